//! Slices follow the pods of a Service.
#![allow(clippy::unwrap_used)]

use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::api::{DeleteParams, Patch, PatchParams};
use portolan_controllers::endpointslice::{self, Config, Metrics};
use portolan_events::Vocabulary;
use serde_json::json;

use crate::world::World;

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

async fn start() -> World {
    start_as(Vocabulary::Full).await
}

async fn start_as(vocabulary: Vocabulary) -> World {
    let world = World::start().await;
    run(&world, vocabulary, Config::default());
    world
}

/// Runs the controller in this world.
pub fn run(world: &World, vocabulary: Vocabulary, config: Config) {
    let client = world.client_of("endpointslice-controller");
    let recorder = world.recorder("endpoint-slice-controller", vocabulary);
    tokio::spawn(endpointslice::run(client, recorder, config, Metrics::default(), world.stop.clone()));
}

/// `address ready` of each endpoint of each slice, sorted.
fn endpoints(slices: &[EndpointSlice]) -> Vec<String> {
    let all = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let mut lines: Vec<String> = all
        .map(|endpoint| {
            let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap();
            format!("{} {}", endpoint.addresses[0], if ready { "ready" } else { "not ready" })
        })
        .collect();
    lines.sort();
    lines
}

async fn until(world: &World, service: &str, expected: &[&str]) -> Vec<EndpointSlice> {
    let labels = format!("kubernetes.io/service-name={service}");
    world.until(&format!("{expected:?}"), &labels, |slices| !slices.is_empty() && endpoints(slices) == expected).await
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_follow_the_pods() {
    let world = start().await;
    world.node("node-1").await;
    world.service("web").await;
    let empty = until(&world, "web", &[]).await;
    assert_eq!((empty.len(), empty[0].address_type.as_str()), (1, "IPv4"));
    assert!(empty[0].metadata.name.as_ref().unwrap().starts_with("web-"));

    world.pod("web", "web-1", "node-1", "10.244.0.5").await;
    world.pod("web", "web-2", "node-1", "10.244.0.6").await;
    let two = until(&world, "web", &["10.244.0.5 ready", "10.244.0.6 ready"]).await;
    assert_eq!(two.len(), 1);
    assert_eq!(two[0].metadata.name, empty[0].metadata.name, "the placeholder is put to use");
    assert_eq!(two[0].ports.as_ref().unwrap()[0].port, Some(8080));

    world.ready("web-1", false).await;
    until(&world, "web", &["10.244.0.5 not ready", "10.244.0.6 ready"]).await;
    for pod in ["web-1", "web-2"] {
        world.api::<Pod>().delete(pod, &DeleteParams::default().grace_period(0)).await.unwrap();
    }
    until(&world, "web", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_selector_chooses_other_pods() {
    let world = start().await;
    world.node("node-1").await;
    world.service("web").await;
    world.pod("web", "web-1", "node-1", "10.244.0.5").await;
    world.pod("api", "api-1", "node-1", "10.244.0.6").await;
    until(&world, "web", &["10.244.0.5 ready"]).await;
    let patch = Patch::Merge(json!({"spec": {"selector": {"app": "api"}}}));
    world.api::<Service>().patch("web", &PatchParams::default(), &patch).await.unwrap();
    until(&world, "web", &["10.244.0.6 ready"]).await;
    let patch = Patch::Merge(json!({"metadata": {"labels": {"app": "web"}}}));
    world.api::<Pod>().patch("api-1", &PatchParams::default(), &patch).await.unwrap();
    until(&world, "web", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_delete_or_change_is_restored() {
    let world = start().await;
    world.node("node-1").await;
    world.service("web").await;
    world.pod("web", "web-1", "node-1", "10.244.0.5").await;
    let before = until(&world, "web", &["10.244.0.5 ready"]).await;
    let name = before[0].metadata.name.clone().unwrap();
    let api = world.api::<EndpointSlice>();
    api.patch(&name, &PatchParams::default(), &Patch::Merge(json!({"endpoints": []}))).await.unwrap();
    until(&world, "web", &["10.244.0.5 ready"]).await;
    api.delete(&name, &DeleteParams::default()).await.unwrap();
    let after = until(&world, "web", &["10.244.0.5 ready"]).await;
    assert_ne!(after[0].metadata.uid, before[0].metadata.uid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_endpoints_fill_a_slice() {
    let world = start().await;
    world.node("node-1").await;
    for number in 0..101 {
        world.pod("web", &format!("web-{number}"), "node-1", &format!("10.244.0.{}", number + 1)).await;
    }
    world.service("web").await;
    let slices = world
        .until("101 endpoints", "kubernetes.io/service-name=web", |slices: &[EndpointSlice]| {
            endpoints(slices).len() == 101
        })
        .await;
    let mut sizes: Vec<_> = slices.iter().map(|slice| slice.endpoints.as_ref().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_on_a_missing_node_is_reported_and_published_when_the_node_comes() {
    let world = start().await;
    world.service("web").await;
    world.pod("web", "web-1", "node-9", "10.244.0.5").await;
    let event = world.event("web", "FailedToUpdateEndpointSlices").await;
    assert_eq!(
        event.message.as_deref(),
        Some(
            "Error updating Endpoint Slices for Service default/web: \
             skipping Pod web-1 for Service default/web: Node node-9 Not Found"
        )
    );
    assert_eq!(event.involved_object.kind.as_deref(), Some("Service"));
    world.node("node-9").await;
    until(&world, "web", &["10.244.0.5 ready"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_is_reported_in_the_words_of_the_vocabulary() {
    let cases =
        [(Vocabulary::Full, "FailedToUpdateEndpointSlice"), (Vocabulary::Upstream, "FailedToUpdateEndpointSlices")];
    for (vocabulary, reason) in cases {
        let world = start_as(vocabulary).await;
        world.node("node-1").await;
        world.service("web").await;
        let empty = until(&world, "web", &[]).await;
        // No API takes a loopback address for an endpoint.
        world.pod("web", "web-1", "node-1", "127.0.0.1").await;
        let message = world.event("web", reason).await.message.unwrap();
        let start = format!(
            "Error updating Endpoint Slices for Service default/web: \
             failed to update {} EndpointSlice for Service default/web: ",
            empty[0].metadata.name.as_ref().unwrap()
        );
        assert!(message.starts_with(&start), "{message}");
        assert!(message.contains("may not be in the loopback range"), "{message}");
        world.pod("web", "web-2", "node-1", "10.244.0.5").await;
        world.api::<Pod>().delete("web-1", &DeleteParams::default().grace_period(0)).await.unwrap();
        until(&world, "web", &["10.244.0.5 ready"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_creation_has_a_word_of_its_own() {
    let world = World::start().await;
    world.node("node-1").await;
    world.pod("web", "web-1", "node-1", "127.0.0.1").await;
    world.service("web").await;
    run(&world, Vocabulary::Full, Config::default());
    let message = world.event("web", "FailedToCreateEndpointSlice").await.message.unwrap();
    let start = "Error updating Endpoint Slices for Service default/web: \
                 failed to create EndpointSlice for Service default/web: ";
    assert!(message.starts_with(start), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_that_others_change_wait_for_the_next_sync_but_a_lost_manager_does_not() {
    let world = start().await;
    world.node("node-1").await;
    world.service("web").await;
    world.pod("web", "web-1", "node-1", "10.244.0.5").await;
    let before = until(&world, "web", &["10.244.0.5 ready"]).await;
    let name = before[0].metadata.name.clone().unwrap();
    let api = world.api::<EndpointSlice>();
    let label = |key: &str, value: &str| Patch::Merge(json!({"metadata": {"labels": {key: value}}}));
    api.patch(&name, &PatchParams::default(), &label("colour", "red")).await.unwrap();
    api.patch(&name, &PatchParams::default(), &label(MANAGED_BY, "somebody.example")).await.unwrap();
    let mine = format!("kubernetes.io/service-name=web,{MANAGED_BY}=endpointslice-controller.k8s.io");
    let one = world.until("another slice", &mine, |slices: &[EndpointSlice]| slices.len() == 1).await;
    assert_ne!(one[0].metadata.name.as_ref(), Some(&name));
    // Given back, it holds what is published already. Its colour goes with the write that finds that out.
    api.patch(&name, &PatchParams::default(), &label(MANAGED_BY, "endpointslice-controller.k8s.io")).await.unwrap();
    let is_right = |slices: &[EndpointSlice]| {
        let colours = slices.iter().flat_map(|slice| &slice.metadata.labels).any(|set| set.contains_key("colour"));
        slices.len() == 1 && !colours && endpoints(slices) == ["10.244.0.5 ready"]
    };
    world.until("one slice with the right labels", &mine, is_right).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_loses_its_selector_keeps_its_slices() {
    let world = start().await;
    world.node("node-1").await;
    world.service("web").await;
    world.service("other").await;
    world.pod("web", "web-1", "node-1", "10.244.0.5").await;
    until(&world, "web", &["10.244.0.5 ready"]).await;
    let patch = Patch::Merge(json!({"spec": {"selector": null}}));
    world.api::<Service>().patch("web", &PatchParams::default(), &patch).await.unwrap();
    world.api::<Pod>().delete("web-1", &DeleteParams::default().grace_period(0)).await.unwrap();
    // What comes after that is done, so that was looked at.
    world.pod("other", "other-1", "node-1", "10.244.0.6").await;
    until(&world, "other", &["10.244.0.6 ready"]).await;
    until(&world, "web", &["10.244.0.5 ready"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_are_as_small_as_the_configuration_says_and_wait_for_a_batch() {
    let world = World::start().await;
    let batch_period = std::time::Duration::from_millis(300);
    run(&world, Vocabulary::Full, Config { max_endpoints_per_slice: 2, batch_period, ..Config::default() });
    world.node("node-1").await;
    world.service("web").await;
    until(&world, "web", &[]).await;
    let start = std::time::Instant::now();
    for number in 1..=5 {
        world.pod("web", &format!("web-{number}"), "node-1", &format!("10.244.0.{number}")).await;
    }
    let slices = world
        .until("5 endpoints", "kubernetes.io/service-name=web", |slices: &[EndpointSlice]| endpoints(slices).len() == 5)
        .await;
    assert!(start.elapsed() >= batch_period);
    assert_eq!(slices.len(), 3);
}
