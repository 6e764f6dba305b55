//! Slices say who should use which endpoint.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use k8s_openapi::api::{
    core::v1::{Event, Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use portolan_controllers::endpointslice::Config;
use portolan_events::Vocabulary;
use serde_json::{Value, json};

use crate::{endpointslice::run, world::World};

const MODE: &str = "service.kubernetes.io/topology-mode";

/// Two zones with one node each, and six pods of `web`: five in zone a.
async fn start() -> World {
    let world = World::start().await;
    run(&world, Vocabulary::Upstream, Config::default());
    for (name, zone) in [("node-1", "a"), ("node-2", "b")] {
        node(&world, name, zone).await;
    }
    for number in 1..=6 {
        let node = if number < 6 { "node-1" } else { "node-2" };
        world.pod("web", &format!("web-{number}"), node, &format!("10.244.0.{number}")).await;
    }
    world
}

async fn node(world: &World, name: &str, zone: &str) {
    let api: Api<Node> = Api::all(world.client.clone());
    let labels = json!({"topology.kubernetes.io/zone": zone});
    let node = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap();
    api.create(&PostParams::default(), &node).await.unwrap();
    let status = json!({"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"cpu": "4"}});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await.unwrap();
}

async fn service(world: &World, change: Value) {
    let patch = Patch::Merge(change);
    world.api::<Service>().patch("web", &PatchParams::default(), &patch).await.unwrap();
}

/// How many of the six endpoints are for which zones and nodes.
fn hints(slices: &[EndpointSlice]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for endpoint in slices.iter().flat_map(|slice| slice.endpoints.iter().flatten()) {
        let hints = endpoint.hints.clone().unwrap_or_default();
        let zones = hints.for_zones.into_iter().flatten().map(|zone| zone.name);
        let nodes = hints.for_nodes.into_iter().flatten().map(|node| node.name);
        *counts.entry(zones.chain(nodes).collect::<Vec<_>>().join(" ")).or_default() += 1;
    }
    counts
}

async fn until(world: &World, expected: &[(&str, usize)]) {
    let expected: BTreeMap<String, usize> = expected.iter().map(|(who, count)| ((*who).to_owned(), *count)).collect();
    let labels = "kubernetes.io/service-name=web";
    world.until(&format!("{expected:?}"), labels, |slices| hints(slices) == expected).await;
}

async fn told(world: &World, reason: &str, kind: &str, message: &str) {
    let is_it = |event: &Event| event.reason.as_deref() == Some(reason) && event.message.as_deref() == Some(message);
    let events = world.until("an event", "", |events: &[Event]| events.iter().any(is_it)).await;
    let event = events.into_iter().find(is_it).unwrap();
    assert_eq!(event.type_.as_deref(), Some(kind));
    assert_eq!(event.involved_object.kind.as_deref(), Some("Service"));
    assert_eq!(event.source.unwrap().component.as_deref(), Some("endpoint-slice-controller"));
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_get_endpoints_by_their_cpu() {
    let world = start().await;
    world.service("web").await;
    until(&world, &[("", 6)]).await;
    service(&world, json!({"metadata": {"annotations": {MODE: "Auto"}}})).await;
    until(&world, &[("a", 3), ("b", 3)]).await;
    let enabled = "Topology Aware Hints has been enabled, addressType: IPv4";
    told(&world, "TopologyAwareHintsEnabled", "Normal", enabled).await;

    // A node that does not say its zone makes the shares worthless.
    node(&world, "node-3", "").await;
    until(&world, &[("", 6)]).await;
    let insufficient = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes, \
                        addressType: IPv4";
    told(&world, "TopologyAwareHintsDisabled", "Warning", insufficient).await;

    let nodes: Api<Node> = Api::all(world.client.clone());
    nodes.delete("node-3", &kube::api::DeleteParams::default()).await.unwrap();
    service(&world, json!({"metadata": {"labels": {"look": "again"}}})).await;
    until(&world, &[("a", 3), ("b", 3)]).await;
    service(&world, json!({"metadata": {"annotations": {MODE: null}}})).await;
    until(&world, &[("", 6)]).await;
    let disabled = "Topology Aware Hints has been disabled, addressType: IPv4";
    told(&world, "TopologyAwareHintsDisabled", "Warning", disabled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_for_their_own_zone_or_node_if_the_service_says_so() {
    let world = start().await;
    world.service("web").await;
    for word in ["PreferClose", "PreferSameZone"] {
        service(&world, json!({"spec": {"trafficDistribution": word}})).await;
        until(&world, &[("a", 5), ("b", 1)]).await;
    }
    service(&world, json!({"spec": {"trafficDistribution": "PreferSameNode"}})).await;
    until(&world, &[("a node-1", 5), ("b node-2", 1)]).await;
    world.ready("web-6", false).await;
    until(&world, &[("a node-1", 5), ("", 1)]).await;
    service(&world, json!({"spec": {"trafficDistribution": null}})).await;
    until(&world, &[("", 6)]).await;
}
