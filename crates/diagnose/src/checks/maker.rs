//! Who makes a Service's pods, and how a fault of theirs is named so that it is told once.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::selector::Selector;

use crate::{Workload, view::View};

/// Label of a Deployment's pods: the end of their ReplicaSet's name.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// `KIND/NAMESPACE/NAME` of an object that lives in the Service's namespace, for [`crate::Finding::subject`]: two
/// namespaces may have a Deployment of one name.
pub(super) fn subject(view: &View<'_>, object: &str) -> String {
    match object.split_once('/') {
        Some((kind, name)) => format!("{kind}/{}/{name}", view.namespace()),
        None => object.to_owned(),
    }
}

/// What makes this pod, as `deployment/web`.
pub(super) fn of(pod: &Pod) -> Option<String> {
    let owners = pod.metadata.owner_references.as_ref()?;
    let owner = owners.iter().find(|owner| owner.controller == Some(true)).or_else(|| owners.first())?;
    if owner.kind == "ReplicaSet" {
        let hash = pod.metadata.labels.as_ref().and_then(|labels| labels.get(TEMPLATE_HASH));
        let deployment = hash.and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'));
        if let Some(deployment) = deployment {
            return Some(format!("deployment/{deployment}"));
        }
    }
    Some(format!("{}/{}", owner.kind.to_ascii_lowercase(), owner.name))
}

/// The one workload that made all of these pods, if there is one.
pub(super) fn of_all(pods: &[&Pod]) -> Option<String> {
    let makers: BTreeSet<Option<String>> = pods.iter().map(|pod| of(pod)).collect();
    let [maker] = makers.into_iter().collect::<Vec<_>>().try_into().ok()?;
    maker
}

/// Workloads whose pods the selector would select; those that nothing owns first.
pub(super) fn fitting<'a>(view: &View<'a>) -> Vec<&'a Workload> {
    let selector = Selector::from_map(&view.selector);
    let mut fitting: Vec<&Workload> =
        view.workloads().iter().copied().filter(|workload| selector.matches(&workload.labels)).collect();
    fitting.sort_by_key(|workload| (workload.owned, workload.object()));
    fitting
}
