//! A server that is stopped and started again on the same data.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api,
    api::{DeleteParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;

use super::*;

#[tokio::test]
async fn objects_addresses_revisions_and_watches_survive() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { data: Some(directory.path().to_owned()), ..Config::default() };
    let server = Server::open(config.clone()).await.unwrap();
    let client = server.client("admin", &[]);
    let api = Api::<Service>::default_namespaced(client.clone());
    let spec = json!({"type": "NodePort", "ports": [{"port": 80}]});
    let web = api.create(&PostParams::default(), &service("web", spec.clone())).await.unwrap();
    let maps = Api::<ConfigMap>::default_namespaced(client);
    maps.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    let from = maps.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    server.close().await;

    let server = Server::open(config.clone()).await.unwrap();
    assert!(Server::open(config).await.err().expect("one server at a time").is_locked());
    let client = server.client("admin", &[]);
    let api = Api::<Service>::default_namespaced(client.clone());
    assert_eq!(api.get("web").await.unwrap(), web);
    let port = web.spec.as_ref().unwrap().ports.as_ref().unwrap()[0].node_port;
    let same = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]});
    assert_eq!(refusal(api.create(&PostParams::default(), &service("thief", same)).await).0, 422);
    let other = api.create(&PostParams::default(), &service("other", spec)).await.unwrap();
    let number = |service: &Service| service.metadata.resource_version.as_ref().unwrap().parse::<u64>().unwrap();
    assert!(number(&other) > number(&web));

    let maps = Api::<ConfigMap>::default_namespaced(client);
    let stream = maps.watch(&WatchParams::default(), &from).await.unwrap();
    let mut stream = std::pin::pin!(stream);
    let event = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Deleted(_)), "the watch resumes where it was: {event:?}");
    server.close().await;
}
