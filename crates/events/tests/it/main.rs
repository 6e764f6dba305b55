//! The recorder against the real API server, in one process and without a socket.
#![allow(clippy::unwrap_used)]

mod kubectl;
mod series;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Node, ObjectReference};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
};
use portolan_apiserver::{Config, Server};
use portolan_catalogue::Reason;
use portolan_events::{Recorder, Vocabulary, reference};

async fn server() -> (Server, Client) {
    let server = Server::open(Config::default()).await.unwrap();
    let client = server.client("recorder", &["system:masters"]);
    (server, client)
}

fn recorder(client: &Client, vocabulary: Vocabulary) -> Recorder {
    Recorder::new(client.clone(), "service-controller", None, vocabulary)
}

fn service() -> ObjectReference {
    ObjectReference {
        kind: Some("Service".into()),
        api_version: Some("v1".into()),
        namespace: Some("default".into()),
        name: Some("web".into()),
        uid: Some("1b4e28ba-2fa1-11d2-883f-0016d3cca427".into()),
        ..ObjectReference::default()
    }
}

/// What is stored once everything has been written: `reason xcount` in the order of a list.
async fn stored(client: &Client, recorder: &Recorder) -> Vec<Event> {
    tokio::time::timeout(Duration::from_secs(20), recorder.flush()).await.unwrap();
    let api: Api<Event> = Api::namespaced(client.clone(), "default");
    api.list(&ListParams::default()).await.unwrap().items
}

fn lines(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| format!("{} x{}", event.reason.clone().unwrap(), event.count.unwrap())).collect()
}

#[tokio::test]
async fn events_are_counted_and_listed_in_the_order_of_the_reports() {
    let (_server, client) = server().await;
    let recorder = recorder(&client, Vocabulary::Full);
    let chain = [
        Reason::EnsuringLoadBalancer,
        Reason::CreatingLoadBalancer,
        Reason::IPAllocated,
        Reason::CreatedLoadBalancer,
        Reason::EnsuredLoadBalancer,
    ];
    for reason in chain {
        recorder.event(&service(), reason, "text");
    }
    recorder.event(&service(), Reason::EnsuringLoadBalancer, "text");
    let events = stored(&client, &recorder).await;
    let expected = [
        "EnsuringLoadBalancer x2",
        "CreatingLoadBalancer x1",
        "IPAllocated x1",
        "CreatedLoadBalancer x1",
        "EnsuredLoadBalancer x1",
    ];
    assert_eq!(lines(&events), expected);
    let first = &events[0];
    assert_eq!(first.involved_object, service());
    assert_eq!(first.type_.as_deref(), Some("Normal"));
    assert_eq!(first.source.as_ref().unwrap().component.as_deref(), Some("service-controller"));
    assert!(first.metadata.name.as_ref().unwrap().starts_with("web."));
}

#[tokio::test]
async fn an_event_that_expired_is_written_again_with_its_count() {
    let (_server, client) = server().await;
    let recorder = recorder(&client, Vocabulary::Full);
    recorder.event(&service(), Reason::SyncLoadBalancerFailed, "no");
    let before = stored(&client, &recorder).await;
    let api: Api<Event> = Api::namespaced(client.clone(), "default");
    api.delete(before[0].metadata.name.as_ref().unwrap(), &DeleteParams::default()).await.unwrap();
    recorder.event(&service(), Reason::SyncLoadBalancerFailed, "no");
    let after = stored(&client, &recorder).await;
    assert_eq!(lines(&after), ["SyncLoadBalancerFailed x2"]);
    assert_eq!(after[0].first_timestamp, before[0].first_timestamp);
    assert_ne!(after[0].metadata.uid, before[0].metadata.uid);
}

#[tokio::test]
async fn events_of_objects_without_namespace_are_in_default() {
    let (_server, client) = server().await;
    let recorder = recorder(&client, Vocabulary::Full);
    let mut node = Node::default();
    node.metadata.name = Some("node-1".into());
    recorder.event(&reference(&node), Reason::NodeReady, "Node node-1 status is now: NodeReady");
    assert_eq!(lines(&stored(&client, &recorder).await), ["NodeReady x1"]);
}

#[tokio::test]
async fn the_upstream_vocabulary_leaves_out_and_renames() {
    let (_server, client) = server().await;
    let recorder = recorder(&client, Vocabulary::Upstream);
    recorder.event(&service(), Reason::CreatingLoadBalancer, "text");
    recorder.event(&service(), Reason::FailedToCreateEndpointSlice, "text");
    assert_eq!(lines(&stored(&client, &recorder).await), ["FailedToUpdateEndpointSlices x1"]);
}

#[tokio::test]
async fn a_refused_event_does_not_stop_the_others() {
    let (_server, client) = server().await;
    let recorder = recorder(&client, Vocabulary::Full);
    let mut nowhere = service();
    nowhere.namespace = Some("no-such-namespace".into());
    recorder.event(&nowhere, Reason::EnsuringLoadBalancer, "text");
    recorder.event(&service(), Reason::EnsuredLoadBalancer, "text");
    assert_eq!(lines(&stored(&client, &recorder).await), ["EnsuredLoadBalancer x1"]);
}

#[tokio::test]
async fn a_thousand_events_are_written_in_order_and_none_is_lost() {
    let (_server, client) = server().await;
    let recorder = recorder(&client, Vocabulary::Full);
    let began = std::time::Instant::now();
    for n in 0..1000 {
        let regarding = ObjectReference { name: Some(format!("web-{}", n % 100)), ..service() };
        recorder.event(&regarding, Reason::EnsuringLoadBalancer, format!("text {}", n / 100 % 5));
    }
    let events = stored(&client, &recorder).await;
    println!("1,000 reports, 500 Events: {:?}", began.elapsed());
    assert_eq!(events.len(), 500);
    assert!(events.iter().all(|event| event.count == Some(2)));
    let mut in_order = events.clone();
    in_order.sort_by_key(|event| event.metadata.name.clone().unwrap().rsplit('.').next().map(str::to_owned));
    let order: Vec<_> = in_order.iter().map(|event| event.involved_object.name.clone().unwrap()).collect();
    let expected: Vec<_> = (0..500).map(|n| format!("web-{}", n % 100)).collect();
    assert_eq!(order, expected);
}
