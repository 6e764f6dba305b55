//! The slices say what the pods say. Proxies and DNS read only slices, whoever writes them.
//!
//! Slices of the slice controller must equal what the selected pods make (`wanted`); slices of others must not add
//! what no pod is (`others`); without a selector somebody must write them (`by_hand`); and those who still read Endpoints
//! must find the same there (`endpoints`). Upstream: `k8s.io/endpointslice` reconciler for what belongs into them.

mod blame;
mod by_hand;
mod endpoints;
mod others;
mod wanted;

use std::{collections::BTreeSet, net::IpAddr};

use k8s_openapi::{
    api::discovery::v1::{Endpoint, EndpointSlice},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use portolan_objects::{endpoint, labels, pod, service};

use super::Outcome;
use crate::{
    Evidence, Finding, LinkId, Words,
    history::seconds_between,
    view::{View, name},
    words::words,
};

/// Pods that changed less than this many seconds ago may not have reached the slices yet.
const SETTLING: i64 = 10;

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if service::is_external_name(view.service) {
        return Outcome::Skipped(words!("an alias has no endpoints", "别名没有端点"));
    }
    if !view.snapshot.has_read("endpointslices") {
        return Outcome::Skipped(words!("the slices could not be read", "无法读取 EndpointSlice"));
    }
    if !view.snapshot.is_live() {
        return Outcome::Skipped(words!("nobody has applied this yet", "尚未应用到集群"));
    }
    if view.selector.is_empty() {
        return by_hand::check(view, hints);
    }
    if !view.snapshot.has_read("pods") {
        return Outcome::Skipped(words!("the pods could not be read", "无法读取 Pod"));
    }
    by_selector(view, hints)
}

fn by_selector(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if view.slices.is_empty() {
        return if settling(view) { on_its_way() } else { Outcome::broken(missing(view, hints)) };
    }
    let mut findings = others::findings(view);
    // Two findings about one address would be one too many.
    if findings.is_empty() {
        findings.extend(wanted::finding(view, hints));
    }
    if findings.is_empty() {
        findings.extend(endpoints::finding(view));
    }
    if !findings.is_empty() {
        return if settling(view) { on_its_way() } else { Outcome::Broken(findings) };
    }
    let ready = ready_addresses(view).len();
    let proof: Vec<Evidence> = view.slices.iter().take(3).map(|slice| slice_evidence(slice)).collect();
    if ready == 0 {
        let summary = words!("no ready endpoint, as the pods say", "没有就绪端点，与 Pod 状态一致");
        return Outcome::Mirror(summary, proof);
    }
    Outcome::Ok(words!("ready endpoints: {ready}, as the pods say", "{ready} 个就绪端点，与 Pod 状态一致"), proof)
}

fn on_its_way() -> Outcome {
    Outcome::Skipped(words!(
        "pods or the Service changed less than {SETTLING} s ago; the slices may be on their way",
        "Pod 或 Service 在 {SETTLING} 秒内发生过变化，EndpointSlice 可能尚未更新"
    ))
}

fn missing(view: &View<'_>, hints: &mut Vec<Words>) -> Finding {
    let title = words!("the Service has no EndpointSlice", "Service 没有 EndpointSlice");
    let field = format!("endpointslices with {}", labels::SERVICE_NAME);
    let base = Finding::new("slices-missing", LinkId::Slices, title).proven_by([view.field(&field, "0")]);
    let absent: Vec<_> = view.ready().collect();
    blame::blame(view, base, &absent, hints)
}

/// Addresses that the slices call ready.
fn ready_addresses(view: &View<'_>) -> BTreeSet<IpAddr> {
    view.ready_endpoints().filter_map(|(_, address)| address.parse().ok()).collect()
}

/// `N (M ready)`.
fn slice_evidence(slice: &EndpointSlice) -> Evidence {
    let endpoints = slice.endpoints.iter().flatten();
    let ready = endpoints.clone().filter(|endpoint| endpoint::is_ready(endpoint)).count();
    let value = format!("{} ({ready} ready)", endpoints.count());
    Evidence::new(slice_object(slice), "endpoints", value)
}

/// `endpointslice/NAME`.
fn slice_object(slice: &EndpointSlice) -> String {
    format!("endpointslice/{}", name(slice))
}

/// Who writes the slice, by its label.
fn manager(slice: &EndpointSlice) -> Option<&str> {
    slice.metadata.labels.as_ref()?.get(labels::SLICE_MANAGED_BY).map(String::as_str)
}

/// Whether the slice controller writes it.
fn is_controlled(slice: &EndpointSlice) -> bool {
    manager(slice) == Some(labels::SLICE_CONTROLLER)
}

/// The addresses of an endpoint.
fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = IpAddr> {
    endpoint.addresses.iter().filter_map(|address| address.parse().ok())
}

/// Whether the writers may not have caught up yet.
fn settling(view: &View<'_>) -> bool {
    let ready = view.selected.iter().filter_map(|pod| pod::ready_changed(pod));
    let newest = ready.map(|time| seconds_between(time.0, view.now)).min();
    let edited = edited(view, &view.service.metadata);
    [newest, edited, Some(view.age())].into_iter().flatten().any(|seconds| seconds < SETTLING)
}

/// Seconds since the object was last written, if it says so.
fn edited(view: &View<'_>, metadata: &ObjectMeta) -> Option<i64> {
    let times = metadata.managed_fields.iter().flatten().filter_map(|entry| entry.time.as_ref());
    times.map(|time| seconds_between(time.0, view.now)).min()
}
