//! The API does not answer, or answers no.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use tokio::time::Instant;

use super::*;
use crate::{
    correlator::Source,
    queue::{Queue, queue},
    wire::{Answer, Sent, Wire},
};

fn start(answer: impl Fn(usize, &Sent) -> Answer + Send + Sync + 'static) -> (Queue<Report>, Wire) {
    let (client, wire) = Wire::new(answer);
    let (queue, inbox) = queue();
    let correlator = Correlator::new(Source { component: "service-controller", host: None });
    tokio::spawn(Writer::new(client, correlator, inbox).run());
    (queue, wire)
}

fn report(queue: &Queue<Report>, message: &str) {
    let report = Report {
        regarding: ObjectReference { name: Some("web".into()), ..ObjectReference::default() },
        reason: "EnsuringLoadBalancer",
        severity: "Normal",
        message: message.into(),
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
    };
    queue.report(report, "service-controller", Some("web"), "EnsuringLoadBalancer");
}

fn counts(queue: &Queue<Report>) -> [u64; 5] {
    let metrics = queue.metrics();
    [&metrics.created, &metrics.updated, &metrics.unwritten, &metrics.dropped, &metrics.failed].map(|one| one.get())
}

#[tokio::test(start_paused = true)]
async fn an_event_is_tried_twelve_times_and_then_given_up() {
    let (queue, wire) = start(|_, _| Answer::Broken);
    let began = Instant::now();
    report(&queue, "text");
    queue.flush().await;
    assert_eq!(wire.sent().len(), 12);
    assert_eq!(counts(&queue), [0, 0, 0, 0, 1]);
    assert!((100..=110).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_comes_later_waits_for_what_came_first() {
    let (queue, wire) = start(|number, _| if number < 3 { Answer::Broken } else { Answer::Echo });
    report(&queue, "first");
    report(&queue, "second");
    queue.flush().await;
    let messages: Vec<_> = wire.sent().into_iter().map(|sent| sent.body["message"].clone()).collect();
    assert_eq!(messages, ["first", "first", "first", "first", "second"]);
    assert_eq!(counts(&queue), [2, 0, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_count_is_patched_and_a_lost_event_created_again() {
    let (queue, wire) = start(|number, _| if number == 2 { Answer::code(404) } else { Answer::Echo });
    (0..3).for_each(|_| report(&queue, "text"));
    queue.flush().await;
    assert_eq!(wire.methods(), ["POST", "PATCH", "PATCH", "POST"]);
    let sent = wire.sent();
    let fields: Vec<&String> = sent[1].body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["count", "lastTimestamp", "message"]);
    assert_eq!((&sent[1].body["count"], &sent[3].body["count"]), (&2.into(), &3.into()));
    assert_eq!(counts(&queue), [2, 1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_exists_already_was_written_by_a_try_before() {
    let (queue, wire) = start(|number, _| if number == 0 { Answer::Broken } else { Answer::code(409) });
    report(&queue, "text");
    queue.flush().await;
    assert_eq!((wire.sent().len(), counts(&queue)), (2, [1, 0, 0, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_refused_patch_is_final() {
    let (queue, wire) = start(|number, _| if number == 1 { Answer::code(403) } else { Answer::Echo });
    (0..2).for_each(|_| report(&queue, "text"));
    queue.flush().await;
    assert_eq!(wire.methods(), ["POST", "PATCH"]);
    assert_eq!(counts(&queue), [1, 0, 0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn the_queue_holds_a_thousand_and_counts_what_it_drops() {
    let (queue, wire) = start(|_, _| Answer::Echo);
    // The writer has no turn in between: all of them meet the queue.
    (0..1003).for_each(|n| report(&queue, &format!("text {n}")));
    queue.flush().await;
    let [created, updated, filtered, dropped, failed] = counts(&queue);
    assert_eq!((created + updated + filtered, dropped, failed), (1000, 3, 0));
    assert_eq!(wire.sent().len(), 25, "and the object is cut off after 25");
}

#[tokio::test(start_paused = true)]
async fn closing_tries_everything_once_within_the_limit() {
    let (queue, wire) = start(|_, _| Answer::Broken);
    (0..5).for_each(|n| report(&queue, &format!("text {n}")));
    let began = Instant::now();
    assert!(queue.close(Duration::from_secs(5)).await);
    assert_eq!((wire.sent().len(), began.elapsed().as_secs()), (5, 0));
    assert_eq!(counts(&queue), [0, 0, 0, 0, 5]);
}
