#![allow(clippy::unwrap_used)]

use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::PostParams};
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::wire::{Answer, Wire};

/// Delivers one Event over a wire that always answers the same; requests, seconds and (created, failed).
async fn delivered(rhythm: Rhythm, answer: Answer) -> (usize, f64, (u64, u64)) {
    let (client, wire) = Wire::new(move |_, _| answer.clone());
    let api: Api<Event> = Api::namespaced(client, "default");
    let (_open, mut closing) = watch::channel(false);
    let metrics = Metrics::default();
    let began = Instant::now();
    let send = || async {
        let created = api.create(&PostParams::default(), &Event::default()).await;
        created.map(|_| Written::Created).map_err(failure)
    };
    deliver("web.1", rhythm, &mut closing, &metrics, send).await;
    let counts = (metrics.created.get(), metrics.failed.get());
    (wire.sent().len(), began.elapsed().as_secs_f64(), counts)
}

#[tokio::test(start_paused = true)]
async fn answers_are_final_and_silence_is_not() {
    let retry_after = |code, seconds: u32| Answer::Status(code, json!({"retryAfterSeconds": seconds}));
    // Answer, requests, at least and at most so many seconds, created, failed.
    let cases = [
        (Answer::Echo, 1, (0.0, 0.1), (1, 0)),
        (Answer::code(400), 1, (0.0, 0.1), (0, 1)),
        (Answer::code(403), 1, (0.0, 0.1), (0, 1)),
        (Answer::code(404), 1, (0.0, 0.1), (0, 1)),
        (Answer::code(409), 1, (0.0, 0.1), (0, 1)),
        (Answer::code(422), 1, (0.0, 0.1), (0, 1)),
        (Answer::code(500), 1, (0.0, 0.1), (0, 1)),
        (Answer::code(503), 1, (0.0, 0.1), (0, 1)),
        // The API asks for patience: ten times, then its answer is final.
        (Answer::code(429), 11, (10.0, 10.1), (0, 1)),
        (retry_after(429, 3), 11, (30.0, 30.1), (0, 1)),
        (retry_after(503, 2), 11, (20.0, 20.1), (0, 1)),
        (retry_after(403, 2), 1, (0.0, 0.1), (0, 1)),
        // No answer: the first pause is 0 to 10 s, the other ten are 10 s.
        (Answer::Broken, 12, (100.0, 110.1), (0, 1)),
        (Answer::Garbage, 12, (100.0, 110.1), (0, 1)),
        // Twelve times 10 s until a request counts as failed come on top.
        (Answer::Hangs, 12, (220.0, 230.1), (0, 1)),
    ];
    for (answer, requests, (least, most), counts) in cases {
        let (sent, seconds, found) = delivered(Rhythm::RandomStart, answer.clone()).await;
        assert_eq!((sent, found), (requests, counts), "{answer:?}");
        assert!((least..=most).contains(&seconds), "{answer:?}: {seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn series_pause_a_little_longer_each_time() {
    let (sent, seconds, counts) = delivered(Rhythm::Jitter, Answer::Broken).await;
    assert_eq!((sent, counts), (12, (0, 1)));
    assert!((110.0..=137.6).contains(&seconds), "{seconds}");
}

#[test]
fn pauses_are_random_where_they_should_be() {
    let pauses = |rhythm: Rhythm, attempt| (0..200).map(|_| rhythm.pause(attempt).as_secs_f64()).collect::<Vec<_>>();
    let within = |pauses: &[f64], least: f64, most: f64| pauses.iter().all(|pause| (least..=most).contains(pause));
    let spread = |pauses: &[f64]| pauses.iter().any(|pause| (pause - pauses[0]).abs() > 0.1);
    let first = pauses(Rhythm::RandomStart, 1);
    assert!(within(&first, 0.0, 10.0) && spread(&first));
    assert!(within(&pauses(Rhythm::RandomStart, 2), 10.0, 10.0));
    for attempt in [1, 2] {
        let jittered = pauses(Rhythm::Jitter, attempt);
        assert!(within(&jittered, 10.0, 12.5) && spread(&jittered));
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_ends_waits_for_no_pause() {
    let (open, mut closing) = watch::channel(false);
    let metrics = Metrics::default();
    let began = Instant::now();
    let silent = || async { Err(Failure::Silent) };
    let delivery = deliver("web.1", Rhythm::RandomStart, &mut closing, &metrics, silent);
    let closer = async {
        tokio::time::sleep(Duration::from_secs(25)).await;
        open.send_replace(true);
    };
    tokio::join!(delivery, closer);
    assert_eq!((metrics.failed.get(), began.elapsed().as_secs()), (1, 25));
}

#[test]
fn a_request_that_cannot_be_made_is_not_made_again() {
    let error = kube::Error::BuildRequest(kube::core::request::Error::Validation("no".to_owned()));
    assert!(matches!(failure(error), Failure::Impossible(_)));
}
