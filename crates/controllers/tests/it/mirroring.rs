//! Slices follow Endpoints that somebody writes by hand, and go with them.
#![allow(clippy::unwrap_used)]

use k8s_openapi::api::{
    core::v1::{Endpoints, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use portolan_apiserver::Server;
use portolan_controllers::mirroring::{self, Config, Metrics};
use portolan_events::{Recorder, Vocabulary};
use serde_json::{Value, json};

use crate::world::World;

const NAME: &str = "endpoint-slice-mirroring-controller";
const OWN: &str = "endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io";

async fn start() -> World {
    start_with(Config::default()).await
}

async fn start_with(config: Config) -> World {
    let world = World::start().await;
    let (client, recorder) = (world.client_of(NAME), world.recorder(NAME, Vocabulary::Upstream));
    tokio::spawn(mirroring::run(client, recorder, config, Metrics::default(), world.stop.clone()));
    world
}

/// A Service without a selector.
async fn service(world: &World, name: &str) {
    world.create::<Service>(json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}})).await;
}

fn subsets(ready: &[&str], rest: &[&str]) -> Value {
    let list = |list: &[&str]| list.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
    json!([{"addresses": list(ready), "notReadyAddresses": list(rest), "ports": [{"name": "http", "port": 8080}]}])
}

async fn endpoints(world: &World, name: &str, subsets: Value) -> Endpoints {
    world.create(json!({"metadata": {"name": name, "labels": {"team": "a"}}, "subsets": subsets})).await
}

async fn patch<T>(world: &World, name: &str, patch: Value)
where
    T: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug,
{
    world.api::<T>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// What the slices publish, sorted: addresses, with `!` before those that are not ready.
fn published(slices: &[EndpointSlice]) -> String {
    let text = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready);
        format!("{}{}", if ready == Some(true) { "" } else { "!" }, endpoint.addresses[0])
    };
    let mut all: Vec<String> = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten()).map(text).collect();
    all.sort();
    all.join(" ")
}

/// Waits until the slices of this name publish exactly this.
async fn until(world: &World, name: &str, expected: &str) -> Vec<EndpointSlice> {
    let labels = format!("{OWN},kubernetes.io/service-name={name}");
    let done = |all: &[EndpointSlice]| published(all) == expected && (!expected.is_empty() || all.is_empty());
    world.until(&format!("{name}: {expected}"), &labels, done).await
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_follow_the_endpoints_and_go_with_it() {
    let world = start().await;
    service(&world, "db").await;
    let db = endpoints(&world, "db", subsets(&["10.1.0.1", "fd00::1"], &["10.1.0.2"])).await;
    let slices = until(&world, "db", "!10.1.0.2 10.1.0.1 fd00::1").await;
    let mut families: Vec<_> = slices.iter().map(|slice| slice.address_type.as_str()).collect();
    families.sort_unstable();
    assert_eq!(families, ["IPv4", "IPv6"]);
    for slice in &slices {
        let metadata = &slice.metadata;
        assert!(metadata.name.as_ref().unwrap().starts_with("db-"));
        assert_eq!(metadata.owner_references.as_ref().unwrap()[0].uid, db.metadata.uid.clone().unwrap());
        assert_eq!(metadata.labels.as_ref().unwrap()["team"], "a");
        let ports = slice.ports.as_ref().unwrap();
        assert_eq!((ports[0].name.as_deref(), ports[0].port), (Some("http"), Some(8080)));
    }

    patch::<Endpoints>(&world, "db", json!({"subsets": subsets(&["10.1.0.2"], &[])})).await;
    let after = until(&world, "db", "10.1.0.2").await;
    let before = slices.iter().find(|slice| slice.address_type == "IPv4").unwrap();
    assert_eq!(after[0].metadata.uid, before.metadata.uid, "written over, not made anew");
    patch::<Endpoints>(&world, "db", json!({"metadata": {"labels": {"team": "b"}}})).await;
    world.until("the label", &format!("{OWN},team=b"), |all: &[EndpointSlice]| all.len() == 1).await;

    world.api::<Endpoints>().delete("db", &DeleteParams::default()).await.unwrap();
    until(&world, "db", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_decides_whether_its_endpoints_is_mirrored() {
    let world = start().await;
    endpoints(&world, "db", subsets(&["10.1.0.1"], &[])).await;
    endpoints(&world, "later", subsets(&["10.1.0.9"], &[])).await;
    service(&world, "later").await;
    until(&world, "later", "10.1.0.9").await;
    until(&world, "db", "").await;
    service(&world, "db").await;
    until(&world, "db", "10.1.0.1").await;

    patch::<Service>(&world, "db", json!({"spec": {"selector": {"app": "db"}}})).await;
    until(&world, "db", "").await;
    patch::<Endpoints>(&world, "db", json!({"subsets": subsets(&["10.1.0.2"], &[])})).await;
    // What was not kept while the selector was there is read again.
    patch::<Service>(&world, "db", json!({"spec": {"selector": null}})).await;
    until(&world, "db", "10.1.0.2").await;
    world.api::<Service>().delete("db", &DeleteParams::default()).await.unwrap();
    until(&world, "db", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_to_be_left_alone_is() {
    let world = start().await;
    for (name, metadata) in [
        ("skipped", json!({"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}})),
        ("lock", json!({"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}})),
        ("db", json!({})),
    ] {
        let mut metadata = metadata;
        metadata["name"] = json!(name);
        service(&world, name).await;
        world.create::<Endpoints>(json!({"metadata": metadata, "subsets": subsets(&["10.1.0.1"], &[])})).await;
    }
    until(&world, "db", "10.1.0.1").await;
    let all = world.api::<EndpointSlice>().list(&ListParams::default().labels(OWN)).await.unwrap();
    assert_eq!(all.items.len(), 1);
    patch::<Endpoints>(
        &world,
        "db",
        json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}}),
    )
    .await;
    until(&world, "db", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_service_has_the_slice_that_the_server_keeps() {
    let advertise = Some("198.51.100.1:6443".parse().unwrap());
    let config = portolan_apiserver::Config { advertise, ..portolan_apiserver::Config::default() };
    let server = Server::open(config).await.unwrap();
    let client = server.client("admin", &["system:masters"]);
    let stop = tokio_util::sync::CancellationToken::new();
    let recorder = Recorder::new(client.clone(), NAME, None, Vocabulary::Full);
    let controller = mirroring::run(client.clone(), recorder, Config::default(), Metrics::default(), stop.clone());
    let controller = tokio::spawn(controller);
    let look = async || {
        let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), "default");
        slices.list(&ListParams::default()).await.unwrap().items
    };
    let post = PostParams::default();
    let body = json!({"metadata": {"name": "db"}, "spec": {"ports": [{"port": 80}]}});
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    services.create(&post, &serde_json::from_value(body).unwrap()).await.unwrap();
    let body = json!({"metadata": {"name": "db"}, "subsets": subsets(&["10.1.0.1"], &[])});
    let all: Api<Endpoints> = Api::namespaced(client.clone(), "default");
    all.create(&post, &serde_json::from_value(body).unwrap()).await.unwrap();
    crate::cluster::eventually("a mirrored slice", async || (look().await.len() == 2).then_some(())).await;
    let of_the_server = |slice: &&EndpointSlice| slice.metadata.name.as_deref() == Some("kubernetes");
    assert_eq!(look().await.iter().filter(of_the_server).count(), 1);
    stop.cancel();
    controller.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_do_to_a_slice_is_put_right() {
    let world = start().await;
    service(&world, "db").await;
    endpoints(&world, "db", subsets(&["10.1.0.1"], &[])).await;
    let slice = until(&world, "db", "10.1.0.1").await.pop().unwrap();
    let name = slice.metadata.name.unwrap();
    let other = json!({"endpoints": [{"addresses": ["10.9.9.9"], "conditions": {"ready": true}}]});
    patch::<EndpointSlice>(&world, &name, other).await;
    until(&world, "db", "10.1.0.1").await;
    world.api::<EndpointSlice>().delete(&name, &DeleteParams::default()).await.unwrap();
    let again = until(&world, "db", "10.1.0.1").await.pop().unwrap();
    assert_ne!(again.metadata.uid, slice.metadata.uid);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slice_does_not_show_is_not_written() {
    let world = start().await;
    service(&world, "db").await;
    endpoints(&world, "db", subsets(&["10.1.0.1"], &[])).await;
    let before = until(&world, "db", "10.1.0.1").await.pop().unwrap();
    let time = json!({"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-02T03:04:05Z"});
    patch::<Endpoints>(&world, "db", json!({"metadata": {"annotations": time}})).await;
    // Planned after the change above, because the controller hears of it later.
    service(&world, "later").await;
    endpoints(&world, "later", subsets(&["10.1.0.9"], &[])).await;
    until(&world, "later", "10.1.0.9").await;
    let after = until(&world, "db", "10.1.0.1").await.pop().unwrap();
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_left_out_are_reported_on_the_endpoints() {
    let world = start_with(Config { max_endpoints_per_subset: 2, ..Config::default() }).await;
    service(&world, "db").await;
    let db = endpoints(&world, "db", subsets(&["10.1.0.3", "10.1.0.1"], &["10.1.0.2", "10.1.0.0"])).await;
    until(&world, "db", "10.1.0.1 10.1.0.3").await;
    let event = world.event("db", "TooManyAddressesToMirror").await;
    let text = "A max of 2 addresses can be mirrored to EndpointSlices per Endpoints subset. 2 addresses were skipped";
    assert_eq!(event.message.as_deref(), Some(text));
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    assert_eq!(event.source.unwrap().component.as_deref(), Some(NAME));
    let object = event.involved_object;
    assert_eq!((object.kind.as_deref(), object.uid), (Some("Endpoints"), db.metadata.uid));
}
