//! Faults that are switched on and off while the server runs.

use std::time::{Duration, Instant};

use http::Request;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use portolan_apiserver::{Config, Server};
use serde_json::{Value, json};

use crate::{config_map, refusal, server};

async fn switch(client: &Client, list: &Value) -> kube::Result<Value> {
    let request = Request::put("/debug/faults").body(list.to_string().into_bytes()).unwrap();
    client.request(request).await
}

#[tokio::test]
async fn a_refused_write_changes_nothing_and_a_switched_off_fault_is_gone() {
    let (_server, client) = server().await;
    let error = json!({"code": 403, "reason": "Forbidden", "message": "exceeded quota: tiny"});
    switch(&client, &json!([{"verbs": ["create"], "resources": ["configmaps"], "error": error}])).await.unwrap();
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let create = api.create(&PostParams::default(), &config_map("one", json!({}))).await;
    assert_eq!(refusal(create), (403, "Forbidden".to_owned()));
    assert!(api.list(&ListParams::default()).await.unwrap().items.is_empty());
    switch(&client, &json!([])).await.unwrap();
    api.create(&PostParams::default(), &config_map("one", json!({}))).await.unwrap();
}

#[tokio::test]
async fn a_delay_is_served_before_the_answer() {
    let (_server, client) = server().await;
    switch(&client, &json!([{"resources": ["configmaps"], "delayMilliseconds": 150}])).await.unwrap();
    let begin = Instant::now();
    Api::<ConfigMap>::default_namespaced(client).list(&ListParams::default()).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn only_masters_may_switch_faults() {
    let server = Server::open(Config::default()).await.unwrap();
    let somebody = server.client("somebody", &[]);
    assert_eq!(refusal(switch(&somebody, &json!([])).await), (403, "Forbidden".to_owned()));
    let master = server.client("admin", &["system:masters"]);
    assert_eq!(refusal(switch(&master, &json!({"not": "a list"})).await).0, 400);
}
