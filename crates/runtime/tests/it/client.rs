//! One request, and many at once.

use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use portolan_apiserver::{Config, Server};
use portolan_runtime::client::tolerant;
use serde_json::json;

use crate::{
    front::{Fault, Front},
    within,
};

fn named(name: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.to_owned());
    map
}

/// A server under load answers 429 and says when to come again; a write is sent again then, and is done once.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_asked_again_when_it_said() {
    let front = Front::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(front.client().await, "default");
    front.fault(|arrival| arrival.path.ends_with("/configmaps"), Fault::Refuse(429, Some(1)), 1);
    front.fault(|arrival| arrival.path.ends_with("/configmaps"), Fault::Refuse(503, Some(1)), 1);
    let begun = Instant::now();
    within("the write", maps.create(&PostParams::default(), &named("late"))).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(front.arrivals().len(), 3);
}

/// Whether something that failed without a word about when should be done again is for its sender to know.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_without_retry_after_is_told_at_once() {
    let front = Front::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(front.client().await, "default");
    for code in [429, 500, 503, 504] {
        front.fault(|_| true, Fault::Refuse(code, None), 1);
        let error = within("the answer", maps.create(&PostParams::default(), &named("never"))).await.unwrap_err();
        assert!(portolan_runtime::is_code(&error, code), "{error}");
        assert_eq!(front.arrivals().len(), 1);
    }
}

/// Ten watches and fifty slow writes at once, on one connection: nothing waits for anything else.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_writes_and_ten_watches_share_one_connection() {
    const DELAY: Duration = Duration::from_millis(500);
    let front = Front::start().await;
    let client = front.client().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    within("the first answer", namespaces.get("default")).await.unwrap();
    let mut watches = Vec::new();
    for _ in 0..10 {
        let request = http::Request::get("/api/v1/configmaps?watch=1").body(Vec::new()).unwrap();
        watches.push(within("a watch", client.request_stream(request)).await.unwrap());
    }
    front.fault(|arrival| arrival.path.ends_with("/configmaps") && !arrival.is_watch(), Fault::Late(DELAY), 50);
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let (maps, parameters) = (&maps, PostParams::default());
    let begun = Instant::now();
    let writes = (0..50).map(|number| {
        let parameters = &parameters;
        async move { maps.create(parameters, &named(&format!("map-{number}"))).await }
    });
    for written in within("the writes", join_all(writes)).await {
        written.unwrap();
    }
    assert!(begun.elapsed() < 4 * DELAY, "one after the other would take 25 s, this took {:?}", begun.elapsed());
    assert_eq!(front.most_under_way(), 50);
    assert_eq!(front.connections(), 1);
    for mut watch in watches {
        let mut line = String::new();
        within("an event", futures::AsyncBufReadExt::read_line(&mut watch, &mut line)).await.unwrap();
        assert!(line.contains("ADDED"), "{line}");
    }
}

/// A connection that is cut costs an error at most; the next request makes a new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_replaced() {
    let front = Front::start().await;
    let namespaces: Api<Namespace> = Api::all(front.client().await);
    within("an answer", namespaces.get("default")).await.unwrap();
    front.cut(true).await;
    assert!(within("an error", namespaces.get("default")).await.is_err());
    front.up();
    within("an answer", namespaces.get("default")).await.unwrap();
    assert_eq!(front.connections(), 2);
}

/// A Service that somebody wrote so once made every list of Services unreadable, and no balancer was made any more.
#[tokio::test]
async fn a_condition_without_a_time_is_read() {
    let server = Server::open(Config::default()).await.unwrap();
    let client = server.client("admin", &["system:masters"]);
    let services = |client: &Client| Api::<Service>::default_namespaced(client.clone());
    let service = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
    services(&client).create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    let condition = json!({"type": "A", "status": "True", "reason": "R", "message": "", "lastTransitionTime": null});
    let change = Patch::Strategic(json!({"status": {"conditions": [condition]}}));
    let raw = Api::<DynamicObject>::default_namespaced_with(client.clone(), &ApiResource::erase::<Service>(&()));
    let stored = raw.patch_status("web", &PatchParams::default(), &change).await.unwrap();
    assert!(stored.data["status"]["conditions"][0]["lastTransitionTime"].is_null());

    let list = ListParams::default();
    if services(&client).list(&list).await.is_ok() {
        panic!("the typed structs have become content: `tolerant` is no longer needed");
    }
    let read = services(&tolerant(client)).list(&list).await.unwrap();
    let conditions = read.items.iter().filter_map(|found| found.status.as_ref()?.conditions.as_ref());
    assert_eq!(conditions.flatten().map(|condition| &*condition.type_).collect::<Vec<_>>(), ["A"]);
}
