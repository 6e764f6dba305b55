//! What the slice controller should have written, by the pods, against what it has.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::{
    Family, endpoint, pod,
    ports::{Port, PortSet},
    service,
};

use super::{addresses, blame::blame, is_controlled, ready_addresses, slice_evidence, slice_object};
use crate::{
    Evidence, Finding, LinkId, Words,
    view::{View, join_some, name, pod_object},
    words::words,
};

/// The pod's addresses that belong into the Service's slices.
pub(super) fn pod_addresses(view: &View<'_>, pod: &Pod) -> Vec<IpAddr> {
    let families = service::families(view.service);
    pod::ips(pod).into_iter().filter(|address| families.contains(&Family::of(*address))).collect()
}

/// Selected pods that have not ended, by address.
pub(super) fn pods_by_address<'a>(view: &View<'a>) -> BTreeMap<IpAddr, Vec<&'a Pod>> {
    let mut map: BTreeMap<IpAddr, Vec<&Pod>> = BTreeMap::new();
    for pod in view.live() {
        for address in pod_addresses(view, pod) {
            map.entry(address).or_default().push(pod);
        }
    }
    map
}

/// How the controller's slices differ from the pods.
struct Difference<'a> {
    /// Ready pods that no slice calls ready.
    absent: Vec<(&'a Pod, IpAddr)>,
    /// Addresses that no selected pod has.
    extra: Vec<IpAddr>,
    /// Pods that are not ready although a slice says so.
    pretended: Vec<(&'a Pod, IpAddr)>,
}

pub(super) fn finding(view: &View<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    let known = pods_by_address(view);
    let ready = ready_addresses(view);
    let wanted: BTreeMap<IpAddr, &Pod> =
        view.ready().flat_map(|pod| pod_addresses(view, pod).into_iter().map(move |address| (address, pod))).collect();
    let ours =
        || view.slices.iter().filter(|slice| is_controlled(slice)).flat_map(|slice| slice.endpoints.iter().flatten());
    let listed: BTreeSet<IpAddr> = ours().flat_map(addresses).collect();
    let called_ready: BTreeSet<IpAddr> =
        ours().filter(|endpoint| endpoint::is_ready(endpoint)).flat_map(addresses).collect();
    let difference = Difference {
        absent: wanted
            .iter()
            .filter(|(address, _)| !ready.contains(address))
            .map(|(address, pod)| (*pod, *address))
            .collect(),
        extra: listed.iter().filter(|address| !known.contains_key(address)).copied().collect(),
        pretended: called_ready
            .iter()
            .filter(|address| !wanted.contains_key(address))
            .filter_map(|address| Some((*known.get(address)?.first()?, *address)))
            .collect(),
    };
    let proof = || view.slices.iter().take(3).map(|slice| slice_evidence(slice));
    if difference.absent.is_empty() && difference.extra.is_empty() && difference.pretended.is_empty() {
        return ports(view, &known).map(|finding| blame(view, finding, &[], hints));
    }
    let absent: Vec<&Pod> = difference.absent.iter().map(|(pod, _)| *pod).collect();
    Some(blame(view, differ(view, &difference).proven_by(proof()), &absent, hints))
}

fn differ(view: &View<'_>, difference: &Difference<'_>) -> Finding {
    let texts = |addresses: &mut dyn Iterator<Item = IpAddr>| -> String {
        join_some(&addresses.map(|address| address.to_string()).collect::<Vec<_>>(), 3)
    };
    let missing = texts(&mut difference.absent.iter().map(|(_, address)| *address));
    let extra = texts(&mut difference.extra.iter().copied());
    let pretended = texts(&mut difference.pretended.iter().map(|(_, address)| *address));
    let title = match (missing.is_empty(), extra.is_empty(), pretended.is_empty()) {
        (false, true, true) => {
            words!("ready pods are missing from the slices: {missing}", "EndpointSlice 缺少就绪的 Pod：{missing}")
        }
        (true, false, _) => words!(
            "the slices hold addresses that no selected pod has: {extra}",
            "EndpointSlice 中有不属于任何选中 Pod 的地址：{extra}"
        ),
        (false, false, _) => words!(
            "the slices hold {extra}, which no selected pod has, and lack {missing}",
            "EndpointSlice 中有多余的 {extra}，并缺少 {missing}"
        ),
        (_, true, false) => words!(
            "the slices call pods ready that are not: {pretended}",
            "EndpointSlice 把未就绪的 Pod 标为就绪：{pretended}"
        ),
        // Not called without a difference.
        (true, true, true) => words!("the slices differ from the pods", "EndpointSlice 与 Pod 不一致"),
    };
    let only_absent = difference.extra.is_empty() && difference.pretended.is_empty();
    let code = if only_absent { "slices-lack-ready-pods" } else { "slices-stale" };
    let ready = |pod: &Pod| if pod::is_ready(pod) { "True" } else { "not True" };
    let pods = difference.absent.iter().chain(&difference.pretended).take(3);
    let pods = pods.map(|(pod, address)| {
        Evidence::new(pod_object(pod), "status.podIP, Ready", format!("{address}, {}", ready(pod)))
    });
    let strangers = difference.extra.iter().take(3).map(|address| owner_now(view, *address));
    Finding::new(code, LinkId::Slices, title).proven_by(pods).proven_by(strangers)
}

/// Who has an address that no selected pod has.
pub(super) fn owner_now(view: &View<'_>, address: IpAddr) -> Evidence {
    match view.index.pods_at(address).first() {
        Some(pod) => {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            Evidence::new(pod_object(pod), "status.podIP", format!("{address} (namespace {namespace}, not selected)"))
        }
        None => Evidence::new("pods", "status.podIP", format!("{address}: no pod")),
    }
}

/// Right addresses with ports of the past: the Service's ports or the pods' names were changed, and the slices were not.
fn ports(view: &View<'_>, known: &BTreeMap<IpAddr, Vec<&Pod>>) -> Option<Finding> {
    for slice in view.slices.iter().filter(|slice| is_controlled(slice)) {
        let has = shown(&PortSet::of_slice(slice));
        let endpoints = slice.endpoints.iter().flatten().filter(|endpoint| endpoint::is_ready(endpoint));
        for pods in endpoints.flat_map(addresses).filter_map(|address| known.get(&address)) {
            let Some(pod) = pods.first() else { continue };
            let wants = PortSet::resolve(view.service, pod);
            // A name that the pod does not declare is a matter of the ports.
            let unresolved = wants.iter().count() < service::ports(view.service).len();
            // Pods in their node's network share its address, each with ports of its own.
            let fits = |pod: &&Pod| shown(&PortSet::resolve(view.service, pod)) == has;
            let wants = shown(&wants);
            if unresolved || pods.iter().any(fits) {
                continue;
            }
            let (has, wants, object) = (text(&has), text(&wants), slice_object(slice));
            let title = words!(
                "the slices have ports of the past: {has} instead of {wants}",
                "EndpointSlice 的端口已过时：是 {has}，应为 {wants}"
            );
            let pod_name = name(*pod);
            let finding = Finding::new("slices-stale", LinkId::Slices, title).proven_by([
                Evidence::new(object, "ports", has),
                view.field("spec.ports", format!("{wants} on pod {pod_name}")),
            ]);
            return Some(finding);
        }
    }
    None
}

type Shown = BTreeSet<(String, String)>;

/// What decides where packets go: name, protocol and number.
fn shown(ports: &PortSet) -> Shown {
    let number = |port: &Port| port.number.map_or_else(|| "any".to_owned(), |number| number.to_string());
    ports.iter().map(|port| (port.name.clone(), format!("{}/{}", number(port), port.protocol))).collect()
}

fn text(ports: &Shown) -> String {
    let each: Vec<String> = ports
        .iter()
        .map(|(name, port)| if name.is_empty() { port.clone() } else { format!("{name} {port}") })
        .collect();
    if each.is_empty() { "(none)".to_owned() } else { join_some(&each, 4) }
}
