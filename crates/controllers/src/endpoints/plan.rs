//! The Endpoints that exists against the one that is wanted. Pure.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Endpoints, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use portolan_objects::{labels, service};

use super::{
    stored::Stored,
    subsets::{self, Desired},
};
use crate::{backends::Pod, trigger};

/// Value of the annotation [`labels::OVER_CAPACITY`].
const TRUNCATED: &str = "truncated";

/// What to write under one key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum EndpointsPlan {
    /// There is none yet.
    Create { service: Arc<Service>, endpoints: Endpoints },
    /// The complete new state, on the revision that was observed.
    Update { service: Arc<Service>, endpoints: Endpoints },
    /// Its Service is gone.
    Delete(Arc<Stored>),
}

/// Plans for a Service with a selector; `None` if its Endpoints is right.
pub(crate) fn plan(
    service: &Arc<Service>,
    pods: &[Arc<Pod>],
    existing: Option<&Stored>,
    trigger: Option<Timestamp>,
) -> Option<EndpointsPlan> {
    let desired = subsets::desired(service, pods);
    let labels = endpoints_labels(service);
    if existing.is_some_and(|stored| is_right(stored, &desired, &labels)) {
        return None;
    }
    let mut metadata = existing.map(|stored| stored.metadata.clone()).unwrap_or_else(|| ObjectMeta {
        name: service.metadata.name.clone(),
        namespace: service.metadata.namespace.clone(),
        ..ObjectMeta::default()
    });
    metadata.labels = Some(labels);
    annotate(&mut metadata, labels::TRIGGER_TIME, trigger.map(trigger::annotation));
    annotate(&mut metadata, labels::OVER_CAPACITY, desired.truncated.then(|| TRUNCATED.to_owned()));
    let subsets = (!desired.subsets.is_empty()).then_some(desired.subsets);
    let (service, endpoints) = (Arc::clone(service), Endpoints { metadata, subsets });
    Some(match existing {
        None => EndpointsPlan::Create { service, endpoints },
        Some(_) => EndpointsPlan::Update { service, endpoints },
    })
}

/// Nothing of what this controller writes differs. As upstream has it, the time of the trigger alone is no reason to
/// write, and neither is the headless label.
fn is_right(stored: &Stored, desired: &Desired, labels: &BTreeMap<String, String>) -> bool {
    let counted = |(key, _): &(&String, &String)| *key != labels::HEADLESS;
    let held = stored.metadata.labels.iter().flatten();
    stored.fingerprint == desired.fingerprint
        && held.filter(counted).eq(labels.iter().filter(counted))
        && stored.annotation(labels::OVER_CAPACITY) == desired.truncated.then_some(TRUNCATED)
}

/// The Service's labels and who writes the object.
fn endpoints_labels(service: &Service) -> BTreeMap<String, String> {
    let mut set = service.metadata.labels.clone().unwrap_or_default();
    set.remove(labels::HEADLESS);
    if service::is_headless(service) {
        set.insert(labels::HEADLESS.to_owned(), String::new());
    }
    set.insert(labels::ENDPOINTS_MANAGED_BY.to_owned(), labels::ENDPOINTS_CONTROLLER.to_owned());
    set
}

fn annotate(metadata: &mut ObjectMeta, key: &str, value: Option<String>) {
    let annotations = metadata.annotations.get_or_insert_default();
    match value {
        Some(value) => annotations.insert(key.to_owned(), value),
        None => annotations.remove(key),
    };
    if annotations.is_empty() {
        metadata.annotations = None;
    }
}

#[cfg(test)]
mod tests;
