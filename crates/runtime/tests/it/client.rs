//! One request, and many at once.

use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{Api, api::PostParams};

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
