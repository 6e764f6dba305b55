//! The API does not answer: the wire is cut below the real client, in the runtime's own paused time.
#![allow(clippy::unwrap_used)]

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use http::{Request, Response};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::client::Body;
use tokio::time::Instant;
use tower::service_fn;

use super::*;
use crate::correlator::Source;

/// A client whose first `broken` requests get no answer; the others come back as they were sent, like a creation.
fn flaky(broken: u64) -> (Client, Arc<AtomicU64>) {
    let requests = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&requests);
    let service = service_fn(move |request: Request<Body>| {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        async move {
            if number < broken {
                return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
            }
            Ok(Response::new(request.into_body()))
        }
    });
    (Client::new(service, "default"), requests)
}

fn start(client: Client) -> (mpsc::Sender<Order>, Arc<Metrics>) {
    let (queue, orders) = mpsc::channel(10);
    let metrics = Arc::new(Metrics::default());
    let correlator = Correlator::new(Source { component: "service-controller", host: None });
    tokio::spawn(Writer::new(client, correlator, Arc::clone(&metrics)).run(orders));
    (queue, metrics)
}

async fn report(queue: &mpsc::Sender<Order>, message: &str) {
    let report = Report {
        regarding: ObjectReference { name: Some("web".into()), ..ObjectReference::default() },
        reason: "EnsuringLoadBalancer",
        severity: "Normal",
        message: message.into(),
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
    };
    queue.send(Order::Record(Box::new(report))).await.unwrap();
}

async fn flush(queue: &mpsc::Sender<Order>) {
    let (done, written) = oneshot::channel();
    queue.send(Order::Flush(done)).await.unwrap();
    written.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_event_is_tried_twelve_times_and_then_given_up() {
    let (client, requests) = flaky(u64::MAX);
    let (queue, metrics) = start(client);
    let began = Instant::now();
    report(&queue, "text").await;
    flush(&queue).await;
    assert_eq!(requests.load(Ordering::SeqCst), 12);
    assert_eq!((metrics.created.get(), metrics.failed.get()), (0, 1));
    assert!((100..=110).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_comes_later_waits_for_what_came_first() {
    let (client, requests) = flaky(3);
    let (queue, metrics) = start(client);
    report(&queue, "first").await;
    report(&queue, "second").await;
    flush(&queue).await;
    assert_eq!(requests.load(Ordering::SeqCst), 5);
    assert_eq!((metrics.created.get(), metrics.failed.get()), (2, 0));
}
