use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;

use super::*;

/// `ADDED a`, `DELETED b`: what an event is, in words.
fn words(event: &WatchEvent<ConfigMap>) -> String {
    let named = |kind: &str, object: &ConfigMap| format!("{kind} {}", object.metadata.name.as_deref().unwrap());
    match event {
        WatchEvent::Added(object) => named("ADDED", object),
        WatchEvent::Modified(object) => named("MODIFIED", object),
        WatchEvent::Deleted(object) => named("DELETED", object),
        WatchEvent::Bookmark(bookmark) if bookmark.metadata.annotations.is_empty() => "BOOKMARK".to_owned(),
        WatchEvent::Bookmark(_) => "END".to_owned(),
        WatchEvent::Error(status) => format!("ERROR {}", status.code),
    }
}

async fn take(api: &Api<ConfigMap>, params: &WatchParams, from: &str, count: usize) -> Vec<String> {
    let stream = api.watch(params, from).await.unwrap();
    let events = stream.take(count).map_ok(|event| words(&event)).try_collect();
    tokio::time::timeout(Duration::from_secs(10), events).await.expect("events come").unwrap()
}

#[tokio::test]
async fn a_watch_begins_with_the_state_and_follows() {
    let (_server, client) = server().await;
    let api = Api::<ConfigMap>::default_namespaced(client);
    api.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    let stream = api.watch(&WatchParams::default(), "0").await.unwrap();
    api.create(&PostParams::default(), &config_map("b", json!({}))).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let events: Vec<_> = stream.take(3).map_ok(|event| words(&event)).try_collect().await.unwrap();
    assert_eq!(events, ["ADDED a", "ADDED b", "DELETED a"]);
}

#[tokio::test]
async fn a_selector_is_a_view() {
    let (_server, client) = server().await;
    let api = Api::<ConfigMap>::default_namespaced(client);
    let from = api.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
    api.create(&PostParams::default(), &config_map("a", json!({"x": "no"}))).await.unwrap();
    for value in ["yes", "yes!", "no"] {
        let patch = json!({"metadata": {"labels": {"x": value.trim_end_matches('!')}}, "data": {"v": value}});
        api.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }
    let events = take(&api, &WatchParams::default().labels("x=yes"), &from, 3).await;
    assert_eq!(events, ["ADDED a", "MODIFIED a", "DELETED a"]);
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let (_server, client) = server().await;
    let api = Api::<ConfigMap>::default_namespaced(client);
    api.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    let events = take(&api, &WatchParams::default().initial_events(), "0", 2).await;
    assert_eq!(events, ["ADDED a", "END"]);
}

#[tokio::test]
async fn a_watch_from_before_the_history_is_told_so() {
    let (_server, client) = server().await;
    let api = Api::<ConfigMap>::default_namespaced(client);
    assert_eq!(take(&api, &WatchParams::default(), "1", 1).await, ["ERROR 410"]);
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_over() {
    let (_server, client) = server().await;
    let api = Api::<ConfigMap>::default_namespaced(client);
    let stream = api.watch(&WatchParams::default().timeout(1), "0").await.unwrap();
    let events: Vec<_> = tokio::time::timeout(Duration::from_secs(5), stream.collect()).await.expect("it ends");
    assert!(events.is_empty(), "{events:?}");
}
