//! Topology hints leave every zone enough endpoints.
//!
//! Upstream: kube-proxy takes hints for a node only if every ready endpoint has one and some name the node's zone; else it
//! ignores them all, so a zone without hints is not cut off. What hints can do is to send all callers of a zone to few
//! endpoints, whatever room the others have: `PreferClose` does not look at load. Why hints are off
//! (TopologyAwareHintsDisabled) is told by events and is no outage.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::discovery::v1::Endpoint;
use portolan_objects::{endpoint, service};

use super::{Outcome, caller};
use crate::{
    Evidence, Finding, LinkId, Words,
    view::{From, View, node_ready},
    words::words,
};

/// An endpoint that gets this many times an even share, or more, is starved of peers. (Automatic hints stop at 1.2.)
const TOO_MUCH: f64 = 2.0;

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if service::is_external_name(view.service) || service::is_headless(view.service) {
        return Outcome::Skipped(words!("no virtual address: hints do not apply", "没有虚拟地址：拓扑提示不适用"));
    }
    let ready: Vec<&Endpoint> = ready(view);
    if ready.is_empty() {
        return Outcome::Skipped(words!("no ready endpoint", "没有就绪端点"));
    }
    let zones_of = |endpoint: &Endpoint| -> Vec<String> {
        let zones = endpoint.hints.as_ref().and_then(|hints| hints.for_zones.as_ref());
        zones.into_iter().flatten().map(|zone| zone.name.clone()).collect()
    };
    if ready.iter().any(|endpoint| zones_of(endpoint).is_empty()) {
        return Outcome::ok(words!(
            "no hints in use: every zone uses every endpoint",
            "未使用拓扑提示：每个区域都使用所有端点"
        ));
    }
    if view.snapshot.nodes.is_empty() {
        return Outcome::Skipped(words!("the nodes could not be read", "无法读取节点"));
    }
    let mut hinted: BTreeMap<String, usize> = BTreeMap::new();
    for endpoint in &ready {
        for zone in zones_of(endpoint) {
            *hinted.entry(zone).or_default() += 1;
        }
    }
    let shares = Shares { total: ready.len(), nodes: nodes_by_zone(view), hinted };
    judge(view, &shares, hints)
}

fn ready<'a>(view: &View<'a>) -> Vec<&'a Endpoint> {
    let all = view.slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    all.filter(|endpoint| endpoint::is_ready(endpoint)).collect()
}

/// Ready nodes of each zone.
fn nodes_by_zone<'a>(view: &View<'a>) -> BTreeMap<&'a str, usize> {
    let mut zones = BTreeMap::new();
    for zone in view.snapshot.nodes.iter().filter(|node| node_ready(node)).filter_map(caller::zone) {
        *zones.entry(zone).or_default() += 1;
    }
    zones
}

/// Who shares what.
struct Shares<'a> {
    /// Ready endpoints.
    total: usize,
    /// Ready nodes by zone.
    nodes: BTreeMap<&'a str, usize>,
    /// Endpoints by the zone that they are hinted to.
    hinted: BTreeMap<String, usize>,
}

impl Shares<'_> {
    /// How much of an even share an endpoint for this zone gets, if callers are spread like nodes. `None`: hints do not
    /// count for this zone.
    fn load(&self, zone: &str) -> Option<f64> {
        let endpoints = *self.hinted.get(zone)?;
        let all: usize = self.nodes.values().sum();
        let here = *self.nodes.get(zone)?;
        (all > 0 && endpoints > 0).then(|| (here as f64 / all as f64) * (self.total as f64 / endpoints as f64))
    }
}

fn judge(view: &View<'_>, shares: &Shares<'_>, hints: &mut Vec<Words>) -> Outcome {
    let crowded = |zone: &&str| shares.load(zone).is_some_and(|load| load >= TOO_MUCH);
    let zones: BTreeSet<&str> = shares.nodes.keys().copied().filter(|zone| crowded(zone)).collect();
    let asked = caller::node(view).and_then(caller::zone);
    if let Some(zone) = asked.filter(|zone| zones.contains(zone)) {
        return Outcome::broken(starved(view, shares, zone));
    }
    if !matches!(view.ask.from, From::Pod(_)) {
        hints.extend(zones.iter().filter_map(|zone| {
            let (some, total) = (shares.hinted.get(*zone)?, shares.total);
            Some(words!(
                "topology hints give zone {zone} only {some} of {total} endpoints, less than half its share of nodes",
                "拓扑提示只给区域 {zone} 分配了 {total} 个端点中的 {some} 个，不到其节点占比的一半"
            ))
        }));
    }
    let list: Vec<String> = shares.hinted.iter().map(|(zone, count)| format!("{zone} {count}")).collect();
    let list = list.join(", ");
    let proof = vec![Evidence::new("endpointslices", "endpoints[*].hints.forZones", list.clone())];
    Outcome::Ok(words!("endpoints by zone: {list}", "各区域的端点：{list}"), proof)
}

fn starved(view: &View<'_>, shares: &Shares<'_>, zone: &str) -> Finding {
    let some = shares.hinted.get(zone).copied().unwrap_or_default();
    let (total, load) = (shares.total, shares.load(zone).unwrap_or_default());
    let (here, all) = (shares.nodes.get(zone).copied().unwrap_or_default(), shares.nodes.values().sum::<usize>());
    let title = words!(
        "callers in zone {zone}, which has {here} of {all} nodes, are sent to {some} of {total} endpoints only: {load:.1} times an even share for each",
        "区域 {zone} 拥有 {all} 个节点中的 {here} 个，其调用方只能使用 {total} 个端点中的 {some} 个：每个端点承担平均份额的 {load:.1} 倍"
    );
    let service = view.name();
    let spec = view.service.spec.as_ref();
    let distribution = spec.and_then(|spec| spec.traffic_distribution.clone());
    let mode = view.service.metadata.annotations.as_ref().and_then(|all| {
        let keys = ["service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"];
        keys.iter().find_map(|key| Some((*key, all.get(*key)?.clone())))
    });
    let list: Vec<String> = shares.hinted.iter().map(|(zone, count)| format!("{zone}: {count}")).collect();
    let nodes: Vec<String> = shares.nodes.iter().map(|(zone, count)| format!("{zone}: {count}")).collect();
    let annotation = mode.as_ref().map(|(key, _)| format!("annotate service {service} {key}-"));
    let off = annotation.unwrap_or_else(|| {
        format!("patch service {service} --type merge -p '{{\"spec\":{{\"trafficDistribution\":null}}}}'")
    });
    Finding::new("hints-starve-zone", LinkId::Topology, title)
        .proven_by(distribution.map(|value| view.field("spec.trafficDistribution", value)))
        .proven_by(mode.map(|(key, value)| view.field(&format!("metadata.annotations[{key}]"), value)))
        .proven_by([
            Evidence::new("endpointslices", "endpoints[*].hints.forZones", list.join(", ")),
            Evidence::new("nodes", "metadata.labels[topology.kubernetes.io/zone]", nodes.join(", ")),
        ])
        .leads_to(words!(
            "proxies of this zone use no other endpoint while one of its own is ready",
            "只要本区域有就绪端点，该区域的代理就不会使用其他端点"
        ))
        .leads_to(words!(
            "when these are overloaded, callers of the zone are slow or fail while other endpoints idle",
            "当这些端点过载时，该区域的调用方会变慢或失败，而其他端点空闲"
        ))
        .remedy(
            words!(
                "Spread the pods over the zones as the nodes are, with topologySpreadConstraints.",
                "用 topologySpreadConstraints 让 Pod 与节点一样分布到各区域。"
            ),
            [view.kubectl(&format!("get pods -l {} -o wide", view.selector_text()))],
        )
        .remedy(
            words!(
                "Or let all zones use all endpoints. Risk: traffic between zones may cost money and time.",
                "或让所有区域使用所有端点。风险：跨区域流量可能带来费用和延迟。"
            ),
            [view.kubectl(&off)],
        )
}
