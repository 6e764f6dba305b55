#![allow(clippy::unwrap_used)]

use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::{Value, json};

use super::*;
use crate::{
    queue::{Queue, queue},
    series::correlator::Source,
    wire::{Answer, Sent, Wire},
};

/// A writer at work on virtual time, and the clock that its reports have.
struct Lab {
    queue: Queue<Report>,
    wire: Wire,
    clock: Box<dyn Fn() -> Timestamp>,
}

impl Lab {
    fn new(answer: impl Fn(usize, &Sent) -> Answer + Send + Sync + 'static) -> Self {
        let (client, wire) = Wire::new(answer);
        let (queue, inbox) = queue();
        let began = Instant::now();
        let clock = move || "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap() + began.elapsed();
        let source = Source { controller: "kube-proxy", instance: "kube-proxy-n1".into() };
        tokio::spawn(Writer::new(client, Correlator::new(source), inbox, clock).run());
        Self { queue, wire, clock: Box::new(clock) }
    }

    fn report(&self, object: &str) {
        let report = Report {
            regarding: ObjectReference { name: Some(object.into()), ..ObjectReference::default() },
            related: None,
            reason: "Starting",
            severity: "Normal",
            action: "StartKubeProxy",
            note: String::new(),
            at: (self.clock)(),
        };
        self.queue.report(report, "kube-proxy", Some(object), "Starting");
    }

    /// What has been sent, in short, since the last time: method, object, series count.
    async fn sent(&self, from: usize) -> Vec<String> {
        self.queue.flush().await;
        let sent = self.wire.sent();
        sent[from..]
            .iter()
            .map(|sent| {
                let object = sent.body["regarding"]["name"]
                    .as_str()
                    .map(str::to_owned)
                    .unwrap_or_else(|| sent.path.rsplit('/').next().unwrap().split('.').next().unwrap().to_owned());
                format!("{} {object} x{}", sent.method, sent.body["series"]["count"].as_i64().unwrap_or(1))
            })
            .collect()
    }
}

async fn minutes(count: u64) {
    tokio::time::sleep(Duration::from_secs(60 * count)).await;
}

#[tokio::test(start_paused = true)]
async fn a_series_is_created_patched_and_then_counted_in_memory() {
    let lab = Lab::new(|_, _| Answer::Echo);
    (0..5).for_each(|_| lab.report("n1"));
    assert_eq!(lab.sent(0).await, ["POST n1 x1", "PATCH n1 x2"]);
    let sent = lab.wire.sent();
    assert_eq!(sent[0].path, "/apis/events.k8s.io/v1/namespaces/default/events");
    assert_eq!(sent[1].path, format!("{}/{}", sent[0].path, sent[0].body["metadata"]["name"].as_str().unwrap()));
    let only: Vec<&String> = sent[1].body.as_object().unwrap().keys().collect();
    assert_eq!(only, ["series"], "nothing else may change");
}

#[tokio::test(start_paused = true)]
async fn a_lively_series_is_written_every_half_hour() {
    let lab = Lab::new(|_, _| Answer::Echo);
    lab.report("n1");
    for _ in 0..29 {
        minutes(1).await;
        lab.report("n1");
    }
    assert_eq!(lab.sent(0).await, ["POST n1 x1", "PATCH n1 x2"]);
    minutes(2).await;
    assert_eq!(lab.sent(2).await, ["PATCH n1 x30"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_series_gets_a_last_write_and_the_next_report_a_new_event() {
    let lab = Lab::new(|_, _| Answer::Echo);
    (0..3).for_each(|_| lab.report("n1"));
    lab.report("n2");
    minutes(5).await;
    assert_eq!(lab.sent(0).await, ["POST n1 x1", "PATCH n1 x2", "POST n2 x1"]);
    // The pass after 6 minutes finds it exactly 6 minutes old, the one after 12 minutes ends it.
    minutes(8).await;
    assert_eq!(lab.sent(3).await, ["PATCH n1 x3"]);
    lab.report("n1");
    lab.report("n2");
    assert_eq!(lab.sent(4).await, ["POST n1 x1", "POST n2 x1"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_gone_is_created_with_its_series() {
    let lab = Lab::new(|_, sent| if sent.method == "PATCH" { Answer::code(404) } else { Answer::Echo });
    (0..2).for_each(|_| lab.report("n1"));
    assert_eq!(lab.sent(0).await, ["POST n1 x1", "PATCH n1 x2", "POST n1 x2"]);
    let sent = lab.wire.sent();
    assert_eq!(sent[2].body["eventTime"], sent[0].body["eventTime"]);
}

#[tokio::test(start_paused = true)]
async fn a_series_that_appears_meanwhile_is_patched_after_all() {
    // Patch: not found; create: exists already; ten seconds later the patch succeeds.
    let lab = Lab::new(|number, _| match number {
        1 => Answer::code(404),
        2 => Answer::code(409),
        _ => Answer::Echo,
    });
    (0..2).for_each(|_| lab.report("n1"));
    assert_eq!(lab.sent(0).await, ["POST n1 x1", "PATCH n1 x2", "POST n1 x2", "PATCH n1 x2"]);
    let pause = lab.wire.sent()[3].at - lab.wire.sent()[2].at;
    assert!((10.0..=12.5).contains(&pause.as_secs_f64()), "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_is_not_tried_again_but_its_series_is() {
    let lab = Lab::new(|number, _| if number == 0 { Answer::code(403) } else { Answer::Echo });
    lab.report("n1");
    assert_eq!(lab.sent(0).await, ["POST n1 x1"]);
    lab.report("n1");
    assert_eq!(lab.sent(1).await, ["PATCH n1 x2"]);
}

#[tokio::test(start_paused = true)]
async fn a_pass_stops_at_the_first_silence_and_the_next_one_makes_up_for_it() {
    // Two Events, two series, then nobody answers until the second pass.
    let lab = Lab::new(|number, _| if number == 4 { Answer::Broken } else { Answer::Echo });
    for object in ["n1", "n2"] {
        (0..3).for_each(|_| lab.report(object));
    }
    minutes(13).await;
    assert_eq!(lab.sent(4).await, ["PATCH n1 x3"]);
    minutes(6).await;
    assert_eq!(lab.sent(5).await, ["PATCH n1 x3", "PATCH n2 x3"]);
    minutes(60).await;
    assert!(lab.sent(7).await.is_empty(), "both have ended");
}

#[tokio::test(start_paused = true)]
async fn closing_writes_the_counts_that_were_kept_in_memory() {
    let lab = Lab::new(|_, _| Answer::Echo);
    (0..7).for_each(|_| lab.report("n1"));
    (0..2).for_each(|_| lab.report("n2"));
    assert!(lab.queue.close(Duration::from_secs(5)).await);
    assert_eq!(lab.sent(0).await[2..], ["POST n2 x1", "PATCH n2 x2", "PATCH n1 x7"]);
}

#[tokio::test(start_paused = true)]
async fn closing_has_a_limit() {
    let lab = Lab::new(|_, _| Answer::Hangs);
    (0..50).for_each(|n| lab.report(&format!("n{n}")));
    let began = Instant::now();
    assert!(!lab.queue.close(Duration::from_secs(25)).await);
    assert_eq!(began.elapsed().as_secs(), 25);
    assert_eq!(lab.wire.sent().len(), 3, "one try each, 10 s long");
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_counts_what_it_drops() {
    let lab = Lab::new(|_, _| Answer::Echo);
    // The writer has no turn in between: all of them meet the queue.
    (0..1200).for_each(|n| lab.report(&format!("n{n}")));
    lab.queue.flush().await;
    assert_eq!(lab.queue.metrics().dropped.get(), 200);
    assert_eq!(lab.queue.metrics().created.get(), 1000);
    let last: Value = lab.wire.sent().pop().unwrap().body;
    assert_eq!(last["regarding"], json!({"name": "n999"}));
}
