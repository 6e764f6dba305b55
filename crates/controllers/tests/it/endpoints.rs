//! Endpoints follow the pods of a Service, and live as long as it.
#![allow(clippy::unwrap_used)]

use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use kube::api::{DeleteParams, Patch, PatchParams};
use portolan_controllers::endpoints;
use portolan_events::Vocabulary;
use portolan_runtime::Metrics;
use serde_json::json;

use crate::world::World;

async fn start() -> World {
    let world = World::start().await;
    run(&world, Vocabulary::Full);
    world
}

fn run(world: &World, vocabulary: Vocabulary) {
    let client = world.client_of("endpoint-controller");
    let recorder = world.recorder("endpoint-controller", vocabulary);
    tokio::spawn(endpoints::run(client, recorder, Metrics::default(), world.stop.clone()));
}

/// `ready / not ready` addresses of the Endpoints with this name; `None` if there is none.
fn addresses(all: &[Endpoints], name: &str) -> Option<String> {
    let endpoints = all.iter().find(|endpoints| endpoints.metadata.name.as_deref() == Some(name))?;
    let subsets = || endpoints.subsets.iter().flatten();
    let join = |addresses: Vec<String>| addresses.join(" ");
    let ready = subsets().flat_map(|subset| subset.addresses.iter().flatten()).map(|a| a.ip.clone()).collect();
    let rest = subsets().flat_map(|subset| subset.not_ready_addresses.iter().flatten()).map(|a| a.ip.clone()).collect();
    Some(format!("{} / {}", join(ready), join(rest)))
}

async fn until(world: &World, name: &str, expected: Option<&str>) {
    let done = |all: &[Endpoints]| addresses(all, name).as_deref() == expected;
    world.until(&format!("{name}: {expected:?}"), "", done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_follow_the_pods_and_go_with_the_service() {
    let world = start().await;
    world.service("web").await;
    until(&world, "web", Some(" / ")).await;
    world.pod("web", "web-2", "node-1", "10.244.0.6").await;
    world.pod("web", "web-1", "node-1", "10.244.0.5").await;
    until(&world, "web", Some("10.244.0.5 10.244.0.6 / ")).await;
    world.ready("web-1", false).await;
    until(&world, "web", Some("10.244.0.6 / 10.244.0.5")).await;
    world.api::<Pod>().delete("web-1", &DeleteParams::default().grace_period(0)).await.unwrap();
    until(&world, "web", Some("10.244.0.6 / ")).await;
    world.api::<Endpoints>().delete("web", &DeleteParams::default()).await.unwrap();
    until(&world, "web", Some("10.244.0.6 / ")).await;
    world.api::<Service>().delete("web", &DeleteParams::default()).await.unwrap();
    until(&world, "web", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_go_at_start_and_hand_written_ones_stay() {
    let world = World::start().await;
    let by_hand = json!({"metadata": {"name": "by-hand"}, "spec": {"ports": [{"port": 80}]}});
    world.create::<Service>(by_hand).await;
    for name in ["orphan", "by-hand"] {
        world.create::<Endpoints>(json!({"metadata": {"name": name}})).await;
    }
    run(&world, Vocabulary::Full);
    until(&world, "orphan", None).await;
    until(&world, "by-hand", Some(" / ")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_say_who_writes_and_whether_it_is_headless() {
    let world = start().await;
    let spec = json!({"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"port": 80}]});
    world.create::<Service>(json!({"metadata": {"name": "db", "labels": {"team": "a"}}, "spec": spec})).await;
    let labels = "team=a,service.kubernetes.io/headless,endpoints.kubernetes.io/managed-by=endpoint-controller";
    world.until("the labels", labels, |all: &[Endpoints]| all.len() == 1).await;
    let patch = Patch::Merge(json!({"metadata": {"labels": {"team": "b"}}}));
    world.api::<Service>().patch("db", &PatchParams::default(), &patch).await.unwrap();
    world.until("the new label", "team=b", |all: &[Endpoints]| all.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_is_reported_where_the_vocabulary_puts_it() {
    for (vocabulary, kind, namespace) in
        [(Vocabulary::Full, "Service", Some("default")), (Vocabulary::Upstream, "Endpoints", None)]
    {
        let world = World::start().await;
        run(&world, vocabulary);
        // No API takes a loopback address for an endpoint.
        world.pod("web", "web-1", "node-1", "127.0.0.1").await;
        // Once this later pod has been seen, that one has been seen too: then it is the creation that fails.
        world.pod("later", "later-1", "node-1", "10.244.0.5").await;
        world.service("later").await;
        until(&world, "later", Some("10.244.0.5 / ")).await;
        world.service("web").await;
        let event = world.event("web", "FailedToCreateEndpoint").await;
        let message = event.message.unwrap();
        assert!(message.starts_with("Failed to create endpoint for service default/web: "), "{message}");
        assert!(message.contains("may not be in the loopback range"), "{message}");
        let object = event.involved_object;
        assert_eq!((object.kind.as_deref(), object.namespace.as_deref()), (Some(kind), namespace));
        assert_eq!(object.uid.is_some(), vocabulary == Vocabulary::Full);
        world.api::<Pod>().delete("web-1", &DeleteParams::default().grace_period(0)).await.unwrap();
        until(&world, "web", Some(" / ")).await;
    }
}
