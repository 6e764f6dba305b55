use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Endpoints, Event, Namespace, Pod, Service},
    discovery::v1::EndpointSlice,
    networking::v1::{IPAddress, ServiceCIDR},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_new_cluster_has_what_every_cluster_has() {
    let config = Config { advertise: Some("198.51.100.1:6443".parse().unwrap()), ..Config::default() };
    let server = Server::open(config).await.unwrap();
    let client = server.client("admin", &[]);
    let namespaces = Api::<Namespace>::all(client.clone()).list(&ListParams::default()).await.unwrap();
    let names: Vec<_> = namespaces.iter().map(|namespace| namespace.metadata.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
    let kubernetes = Api::<Service>::default_namespaced(client.clone()).get("kubernetes").await.unwrap();
    assert_eq!(kubernetes.spec.unwrap().cluster_ip.as_deref(), Some("10.96.0.1"));
    let endpoints = Api::<Endpoints>::default_namespaced(client.clone()).get("kubernetes").await.unwrap();
    assert_eq!(endpoints.subsets.unwrap()[0].addresses.as_ref().unwrap()[0].ip, "198.51.100.1");
    Api::<EndpointSlice>::default_namespaced(client.clone()).get("kubernetes").await.unwrap();
    Api::<ServiceCIDR>::all(client.clone()).get("kubernetes").await.unwrap();
    Api::<IPAddress>::all(client).get("10.96.0.1").await.unwrap();
}

#[tokio::test]
async fn the_kubernetes_service_comes_back_when_it_is_deleted() {
    let (server, client) = server().await;
    let api = Api::<Service>::default_namespaced(client);
    let old = api.get("kubernetes").await.unwrap();
    api.delete("kubernetes", &DeleteParams::default()).await.unwrap();
    let from = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let stream = api.watch(&WatchParams::default(), &from).await.unwrap();
    let mut stream = std::pin::pin!(stream);
    let event = tokio::time::timeout(Duration::from_secs(30), stream.next()).await.unwrap().unwrap().unwrap();
    let WatchEvent::Added(new) = event else { panic!("{event:?}") };
    assert_eq!(new.spec.unwrap().cluster_ip, old.spec.unwrap().cluster_ip);
    server.close().await;
}

#[tokio::test]
async fn an_object_lives_from_create_to_delete() {
    let (_server, client) = server().await;
    let api = Api::<ConfigMap>::default_namespaced(client);
    let created = api.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    assert!(created.metadata.uid.is_some() && created.metadata.creation_timestamp.is_some());
    assert_eq!(refusal(api.create(&PostParams::default(), &config_map("a", json!({}))).await).0, 409);

    let patch = Patch::Merge(json!({"data": {"b": "2"}}));
    let patched = api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data.as_ref().unwrap().len(), 2);
    let again = api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(again.metadata.resource_version, patched.metadata.resource_version, "nothing changed");

    assert_eq!(refusal(api.replace("a", &PostParams::default(), &created).await), (409, "Conflict".to_owned()));
    let mut latest = patched.clone();
    latest.data.as_mut().unwrap().insert("c".to_owned(), "3".to_owned());
    let replaced = api.replace("a", &PostParams::default(), &latest).await.unwrap();
    assert_eq!(replaced.data.unwrap().len(), 3);

    api.delete("a", &DeleteParams::default()).await.unwrap().right().expect("a Status");
    assert_eq!(refusal(api.get("a").await), (404, "NotFound".to_owned()));
}

#[tokio::test]
async fn dry_runs_store_nothing() {
    let (_server, client) = server().await;
    let api = Api::<Service>::default_namespaced(client);
    let web = service("web", json!({"ports": [{"port": 80}]}));
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let shown = api.create(&dry, &web).await.unwrap();
    assert!(shown.spec.unwrap().cluster_ip.is_some());
    assert_eq!(refusal(api.get("web").await).0, 404);
    api.create(&PostParams::default(), &web).await.unwrap();
    api.delete("web", &DeleteParams::default().dry_run()).await.unwrap();
    api.get("web").await.unwrap();
}

#[tokio::test]
async fn services_get_addresses_and_ports_and_give_them_back() {
    let (_server, client) = server().await;
    let api = Api::<Service>::default_namespaced(client.clone());
    let addresses = Api::<IPAddress>::all(client);
    let spec = json!({"type": "NodePort", "clusterIP": "10.96.7.7", "ports": [{"port": 80, "nodePort": 30080}]});
    let web = api.create(&PostParams::default(), &service("web", spec.clone())).await.unwrap();
    assert_eq!(web.spec.unwrap().ports.unwrap()[0].node_port, Some(30080));
    addresses.get("10.96.7.7").await.unwrap();
    assert_eq!(refusal(api.create(&PostParams::default(), &service("other", spec.clone())).await).0, 422);
    assert_eq!(refusal(api.get("other").await).0, 404);
    api.delete("web", &DeleteParams::default()).await.unwrap();
    assert_eq!(refusal(addresses.get("10.96.7.7").await).0, 404);
    api.create(&PostParams::default(), &service("other", spec)).await.unwrap();
}

#[tokio::test]
async fn a_finalizer_holds_a_service_and_its_address() {
    let (_server, client) = server().await;
    let api = Api::<Service>::default_namespaced(client.clone());
    let addresses = Api::<IPAddress>::all(client);
    let mut web = service("web", json!({"clusterIP": "10.96.7.7", "ports": [{"port": 80}]}));
    web.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    api.create(&PostParams::default(), &web).await.unwrap();
    let marked = api.delete("web", &DeleteParams::default()).await.unwrap().left().expect("marked");
    assert!(marked.metadata.deletion_timestamp.is_some());
    let again = api.delete("web", &DeleteParams::default()).await.unwrap().left().expect("still there");
    assert_eq!(again.metadata.resource_version, marked.metadata.resource_version);
    addresses.get("10.96.7.7").await.unwrap();
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("web", &PatchParams::default(), &release).await.unwrap();
    assert_eq!(refusal(api.get("web").await).0, 404);
    assert_eq!(refusal(addresses.get("10.96.7.7").await).0, 404);
    web.metadata.finalizers = None;
    api.create(&PostParams::default(), &web).await.unwrap();
}

#[tokio::test]
async fn writers_that_race_lose_nothing() {
    let (_server, client) = server().await;
    let api = Api::<ConfigMap>::default_namespaced(client);
    api.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    let patches = (0..4).map(|index| {
        let api = api.clone();
        async move {
            let patch = Patch::Merge(json!({"data": {format!("k{index}"): "v"}}));
            api.patch("a", &PatchParams::default(), &patch).await.unwrap();
        }
    });
    futures::future::join_all(patches).await;
    assert_eq!(api.get("a").await.unwrap().data.unwrap().len(), 5);
}

#[tokio::test]
async fn creating_needs_a_living_namespace() {
    let (_server, client) = server().await;
    let missing = Api::<ConfigMap>::namespaced(client.clone(), "nowhere");
    assert_eq!(refusal(missing.create(&PostParams::default(), &config_map("a", json!({}))).await).0, 404);
    let namespaces = Api::<Namespace>::all(client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "going"}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let marked = namespaces.delete("going", &DeleteParams::default()).await.unwrap().left().expect("marked");
    assert_eq!(marked.status.unwrap().phase.as_deref(), Some("Terminating"));
    let api = Api::<ConfigMap>::namespaced(client.clone(), "going");
    let (code, reason) = refusal(api.create(&PostParams::default(), &config_map("a", json!({}))).await);
    assert_eq!((code, reason.as_str()), (403, "Forbidden"));

    let mut finalized = namespaces.get("going").await.unwrap();
    finalized.spec.as_mut().unwrap().finalizers = None;
    let body = serde_json::to_vec(&finalized).unwrap();
    let request = http::Request::put("/api/v1/namespaces/going/finalize").body(body).unwrap();
    client.request::<Namespace>(request).await.unwrap();
    assert_eq!(refusal(namespaces.get("going").await).0, 404);
}

#[tokio::test]
async fn lists_page_through_one_state() {
    let (_server, client) = server().await;
    let api = Api::<ConfigMap>::default_namespaced(client);
    for index in 0..5 {
        api.create(&PostParams::default(), &config_map(&format!("c{index}"), json!({}))).await.unwrap();
    }
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    api.delete("c3", &DeleteParams::default()).await.unwrap();
    api.create(&PostParams::default(), &config_map("c9", json!({}))).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    let second = api.list(&ListParams::default().limit(9).continue_token(&token)).await.unwrap();
    let names: Vec<_> = second.iter().map(|object| object.metadata.name.clone().unwrap()).collect();
    assert_eq!(names, ["c2", "c3", "c4"], "the state of the first page");
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
}

#[tokio::test]
async fn pods_are_bound_once_and_get_their_grace() {
    let (_server, client) = server().await;
    let api = Api::<Pod>::default_namespaced(client.clone());
    let pod: Pod = serde_json::from_value(
        json!({"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "c", "image": "portolan/echo"}]}}),
    )
    .unwrap();
    let name = api.create(&PostParams::default(), &pod).await.unwrap().metadata.name.unwrap();
    assert_eq!(name.len(), 7);
    let bind = || {
        let body = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"kind": "Node", "name": "n1"}});
        let path = format!("/api/v1/namespaces/default/pods/{name}/binding");
        http::Request::post(path).body(serde_json::to_vec(&body).unwrap()).unwrap()
    };
    client.request::<serde_json::Value>(bind()).await.unwrap();
    assert_eq!(refusal(client.request::<serde_json::Value>(bind()).await).0, 409);
    let status = json!({"status": {"phase": "Running", "podIP": "10.244.0.5"}});
    api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    let marked = api.delete(&name, &DeleteParams::default()).await.unwrap().left().expect("marked");
    assert_eq!(marked.metadata.deletion_grace_period_seconds, Some(30));
    let on_node = api.list(&ListParams::default().fields("spec.nodeName=n1,status.phase=Running")).await.unwrap();
    assert_eq!(on_node.items.len(), 1);
    api.delete(&name, &DeleteParams::default().grace_period(0)).await.unwrap();
    assert_eq!(refusal(api.get(&name).await).0, 404);
}

#[tokio::test]
async fn one_event_has_two_views_and_a_life() {
    let config = Config { event_ttl: std::time::Duration::from_millis(300), ..Config::default() };
    let server = Server::open(config).await.unwrap();
    let client = server.client("admin", &[]);
    let event = json!({
        "metadata": {"name": "e", "namespace": "default"}, "reason": "Tested", "note": "hello", "type": "Normal",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"}, "action": "Testing",
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "t", "reportingInstance": "t",
    });
    let new = Api::<k8s_openapi::api::events::v1::Event>::default_namespaced(client.clone());
    new.create(&PostParams::default(), &serde_json::from_value(event).unwrap()).await.unwrap();
    let core = Api::<Event>::default_namespaced(client);
    let found = core.list(&ListParams::default().fields("involvedObject.name=p")).await.unwrap();
    assert_eq!(found.items[0].message.as_deref(), Some("hello"));
    let found = new.list(&ListParams::default().fields("regarding.name=p")).await.unwrap();
    assert_eq!(found.items[0].note.as_deref(), Some("hello"));
    let gone = async {
        while core.get_opt("e").await.unwrap().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), gone).await.expect("the event goes");
}
