//! Endpoints follow the pods of a Service, and live as long as it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use http::Request;
use k8s_openapi::api::core::v1::{Endpoints, Event, Namespace, Pod, Service};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use portolan_controllers::endpoints::{self, Config, Metrics};
use portolan_events::Vocabulary;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use crate::{cluster::eventually, world::World};

async fn start() -> World {
    let world = World::start().await;
    run(&world, Vocabulary::Full);
    world
}

fn run(world: &World, vocabulary: Vocabulary) {
    run_with(world, vocabulary, Config::default(), Metrics::default());
}

fn run_with(world: &World, vocabulary: Vocabulary, config: Config, metrics: Metrics) {
    let client = world.client_of("endpoint-controller");
    let recorder = world.recorder("endpoint-controller", vocabulary);
    tokio::spawn(endpoints::run(client, recorder, config, metrics, world.stop.clone()));
}

/// Lets requests of the controller fail.
async fn faults(world: &World, list: Value) {
    let request = Request::put("/debug/faults").body(list.to_string().into_bytes()).unwrap();
    world.client.request::<Value>(request).await.unwrap();
}

/// A refusal of the next write of this kind, by whom the cluster's policies might send it.
fn refusal(verb: &str) -> Value {
    let error = json!({"code": 403, "reason": "Forbidden", "message": "endpoints is forbidden: by policy"});
    json!([{"verbs": [verb], "resources": ["endpoints"], "times": 1, "error": error}])
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

#[tokio::test(flavor = "multi_thread")]
async fn each_verb_that_is_refused_is_reported_and_tried_again() {
    let world = start().await;
    faults(&world, refusal("create")).await;
    world.service("web").await;
    until(&world, "web", Some(" / ")).await;
    let event = world.event("web", "FailedToCreateEndpoint").await;
    let text = "Failed to create endpoint for service default/web: endpoints is forbidden: by policy";
    assert_eq!(event.message.as_deref(), Some(text));

    faults(&world, refusal("update")).await;
    world.pod("web", "web-1", "node-1", "10.244.0.5").await;
    until(&world, "web", Some("10.244.0.5 / ")).await;
    let event = world.event("web", "FailedToUpdateEndpoint").await;
    let text = "Failed to update endpoint default/web: endpoints is forbidden: by policy";
    assert_eq!(event.message.as_deref(), Some(text));

    faults(&world, refusal("delete")).await;
    world.api::<Service>().delete("web", &DeleteParams::default()).await.unwrap();
    until(&world, "web", None).await;
    let event = world.event("web", "FailedToDeleteEndpoint").await;
    assert_eq!(event.involved_object.kind.as_deref(), Some("Endpoints"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_on_its_way_out_is_left_alone() {
    let world = World::start().await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let shop: Namespace = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    namespaces.create(&PostParams::default(), &shop).await.unwrap();
    let spec = json!({"selector": {"app": "web"}, "ports": [{"port": 80}]});
    let service: Service = serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap();
    Api::namespaced(world.client.clone(), "shop").create(&PostParams::default(), &service).await.unwrap();
    namespaces.delete("shop", &DeleteParams::default()).await.unwrap();

    let mut registry = Registry::default();
    run_with(&world, Vocabulary::Upstream, Config::default(), Metrics::register(&mut registry));
    let page = || {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        page
    };
    let is_said = |line: &str| page().lines().any(|found| found == line).then_some(());
    eventually("the only sync", async || is_said("endpoint_controller_applies_total 1")).await;
    assert!(is_said("endpoint_controller_failures_total 0").is_some(), "{}", page());
    let events: Api<Event> = Api::all(world.client.clone());
    assert_eq!(events.list(&ListParams::default()).await.unwrap().items, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoints_that_somebody_changes_is_put_right() {
    let world = start().await;
    world.service("web").await;
    world.pod("web", "web-1", "node-1", "10.244.0.5").await;
    until(&world, "web", Some("10.244.0.5 / ")).await;
    let patch = Patch::Merge(json!({"subsets": [{"addresses": [{"ip": "10.9.9.9"}], "ports": [{"port": 1}]}]}));
    world.api::<Endpoints>().patch("web", &PatchParams::default(), &patch).await.unwrap();
    until(&world, "web", Some("10.244.0.5 / ")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_pods_is_one_write_with_a_batch_period() {
    let world = World::start().await;
    let mut registry = Registry::default();
    let config = Config { batch_period: Duration::from_millis(1500), ..Config::default() };
    run_with(&world, Vocabulary::Full, config, Metrics::register(&mut registry));
    world.service("web").await;
    until(&world, "web", Some(" / ")).await;
    let start = tokio::time::Instant::now();
    for n in 1..6 {
        world.pod("web", &format!("web-{n}"), "node-1", &format!("10.244.0.{n}")).await;
    }
    let all = "10.244.0.1 10.244.0.2 10.244.0.3 10.244.0.4 10.244.0.5 / ";
    let in_time = start.elapsed() < config.batch_period;
    until(&world, "web", Some(all)).await;
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
    let counted = |line: &str| (1..3).any(|count| line == format!("endpoint_controller_applies_total {count}"));
    // On a machine so slow that the pods took longer than the period, there may be more.
    assert!(!in_time || page.lines().any(counted), "{page}");
}
