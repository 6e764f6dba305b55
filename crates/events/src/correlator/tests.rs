//! One test for each rule of the recorder, as tables where the rule is one.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn correlator() -> Correlator {
    Correlator::new(Source { component: "service-controller", host: None })
}

fn service(name: &str) -> ObjectReference {
    ObjectReference {
        kind: Some("Service".into()),
        namespace: Some("shop".into()),
        name: Some(name.into()),
        uid: Some(format!("uid-of-{name}")),
        api_version: Some("v1".into()),
        ..ObjectReference::default()
    }
}

fn report(message: &str, seconds: i64) -> Report {
    Report {
        regarding: service("web"),
        reason: "SyncLoadBalancerFailed",
        severity: "Warning",
        message: message.into(),
        at: "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds),
    }
}

fn of(object: &str, message: &str) -> Report {
    Report { regarding: service(object), ..report(message, 0) }
}

/// The decision in short: what is done, count and message.
fn short(decision: &Decision) -> String {
    let (verb, event) = match decision {
        Decision::Create(event) => ("create", event),
        Decision::Update(event) => ("update", event),
        Decision::Filtered => return "filtered".into(),
    };
    format!("{verb} x{} {}", event.count.unwrap(), event.message.clone().unwrap())
}

fn created(decision: Decision) -> Event {
    match decision {
        Decision::Create(event) => event,
        other => panic!("not created: {other:?}"),
    }
}

/// One difference between two reports.
type Change = (&'static str, fn(&mut Report));

const KIND: Change = ("kind", |report| report.regarding.kind = Some("Endpoints".into()));
const NAMESPACE: Change = ("namespace", |report| report.regarding.namespace = Some("elsewhere".into()));
const NAME: Change = ("name", |report| report.regarding.name = Some("api".into()));
const UID: Change = ("uid", |report| report.regarding.uid = Some("another".into()));
const API_VERSION: Change = ("apiVersion", |report| report.regarding.api_version = Some("v2".into()));
const RESOURCE_VERSION: Change = ("resourceVersion", |report| report.regarding.resource_version = Some("7".into()));
const FIELD_PATH: Change = ("fieldPath", |report| report.regarding.field_path = Some("spec.containers{web}".into()));
const TYPE: Change = ("type", |report| report.severity = "Normal");
const REASON: Change = ("reason", |report| report.reason = "Failed");
const MESSAGE: Change = ("message", |report| report.message = "another".into());

#[test]
fn a_new_event_has_these_fields() {
    let mut correlator = Correlator::new(Source { component: "kubelet", host: Some("node-1".into()) });
    let event = created(correlator.decide(report("no", 0)));
    let expected = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": "web.1886caf21c963200", "namespace": "shop"},
        "involvedObject":
            {"kind": "Service", "namespace": "shop", "name": "web", "uid": "uid-of-web", "apiVersion": "v1"},
        "reason": "SyncLoadBalancerFailed", "message": "no", "type": "Warning",
        "source": {"component": "kubelet", "host": "node-1"},
        "reportingComponent": "kubelet", "reportingInstance": "node-1",
        "firstTimestamp": "2026-01-02T03:04:05Z", "lastTimestamp": "2026-01-02T03:04:05Z", "count": 1,
    });
    assert_eq!(serde_json::to_value(&event).unwrap(), expected);
}

#[test]
fn an_object_without_namespace_has_its_events_in_default() {
    for namespace in [None, Some(String::new())] {
        let mut node = report("hello", 0);
        node.regarding = ObjectReference { kind: Some("Node".into()), namespace, ..node.regarding };
        let event = created(correlator().decide(node.clone()));
        assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
        assert_eq!(event.involved_object, node.regarding, "the reference stays as it was given");
    }
}

#[test]
fn equal_reports_are_one_event_with_a_count() {
    let mut correlator = correlator();
    let first = created(correlator.decide(report("no", 0)));
    let Decision::Update(second) = correlator.decide(report("no", 60)) else { panic!("not updated") };
    assert_eq!(second.metadata, first.metadata);
    assert_eq!(second.count, Some(2));
    assert_eq!(second.first_timestamp, first.first_timestamp);
    assert_eq!(second.last_timestamp.unwrap().0, report("no", 60).at);
}

#[test]
fn the_count_key_has_these_parts() {
    let apart = [KIND, NAMESPACE, NAME, UID, API_VERSION, FIELD_PATH, TYPE, REASON, MESSAGE];
    for (parts, expected) in [(&apart[..], "create x1"), (&[RESOURCE_VERSION], "update x2")] {
        for (part, change) in parts {
            let mut correlator = correlator();
            correlator.decide(report("no", 0));
            let mut other = report("no", 1);
            change(&mut other);
            assert!(short(&correlator.decide(other)).starts_with(expected), "{part}");
        }
    }
}

#[test]
fn the_tenth_message_begins_a_summary() {
    let mut correlator = correlator();
    let texts: Vec<String> =
        (0..12).map(|n| short(&correlator.decide(report(&format!("error {n}"), n * 10)))).collect();
    assert_eq!(texts[8], "create x1 error 8");
    assert_eq!(texts[9], "create x1 (combined from similar events): error 9");
    assert_eq!(texts[10], "update x2 (combined from similar events): error 10");
    assert_eq!(texts[11], "update x3 (combined from similar events): error 11");
    assert_eq!(
        short(&correlator.decide(report("error 3", 120))),
        "update x2 error 3",
        "the first nine stay themselves"
    );
}

#[test]
fn a_message_that_comes_again_is_no_further_message() {
    let mut correlator = correlator();
    for n in 0..20 {
        let text = short(&correlator.decide(report(&format!("error {}", n % 9), 0)));
        assert!(!text.contains("combined"), "{text}");
    }
    let tenth = short(&correlator.decide(report("error 9", 0)));
    assert_eq!(tenth, "create x1 (combined from similar events): error 9");
}

#[test]
fn a_summary_needs_each_message_within_600_seconds_of_the_one_before() {
    for (gap, expected) in [(600, "create x1 (combined from similar events): error 9"), (601, "create x1 error 9")] {
        let mut correlator = correlator();
        let texts: Vec<String> =
            (0..10).map(|n| short(&correlator.decide(report(&format!("error {n}"), n * gap)))).collect();
        assert_eq!(texts[9], expected, "every {gap} s");
    }
}

#[test]
fn the_summary_key_has_these_parts() {
    let apart = [KIND, NAMESPACE, NAME, UID, API_VERSION, TYPE, REASON];
    for (parts, combined) in [(&apart[..], false), (&[RESOURCE_VERSION, FIELD_PATH, MESSAGE], true)] {
        for (part, change) in parts {
            let mut correlator = correlator();
            (0..9).for_each(|n| drop(correlator.decide(report(&format!("error {n}"), 0))));
            let mut other = report("error 9", 0);
            change(&mut other);
            assert_eq!(short(&correlator.decide(other)).contains("combined"), combined, "{part}");
        }
    }
}

#[test]
fn a_summary_is_an_event_of_its_own_with_these_fields() {
    let mut correlator = Correlator::new(Source { component: "kubelet", host: Some("node-1".into()) });
    (0..9).for_each(|n| drop(correlator.decide(report(&format!("error {n}"), n))));
    let mut tenth = report("error 9", 9);
    (FIELD_PATH.1)(&mut tenth);
    let event = created(correlator.decide(tenth));
    let expected = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": "web.1886caf435074c00", "namespace": "shop"},
        "involvedObject": {"kind": "Service", "namespace": "shop", "name": "web", "uid": "uid-of-web",
            "apiVersion": "v1", "fieldPath": "spec.containers{web}"},
        "reason": "SyncLoadBalancerFailed", "message": "(combined from similar events): error 9", "type": "Warning",
        "source": {"component": "kubelet", "host": "node-1"},
        "reportingComponent": "", "reportingInstance": "",
        "firstTimestamp": "2026-01-02T03:04:14Z", "lastTimestamp": "2026-01-02T03:04:14Z", "count": 1,
    });
    assert_eq!(serde_json::to_value(&event).unwrap(), expected);
    let Decision::Update(next) = correlator.decide(report("error 10", 20)) else { panic!("not updated") };
    assert_eq!((next.metadata, next.count), (event.metadata, Some(2)), "later ones are counted on it");
}

#[test]
fn a_noisy_object_is_cut_off_after_25_writes_and_gets_one_in_300_seconds() {
    let mut correlator = correlator();
    let written = (0..40).filter(|_| correlator.decide(report("no", 0)) != Decision::Filtered).count();
    assert_eq!(written, 25);
    // Seconds, and what becomes of the report; the count is the true one, cut-off reports included.
    let cases = [
        (299, "filtered"),
        (300, "update x42 no"),
        (301, "filtered"),
        (599, "filtered"),
        (600, "update x45 no"),
        (1200, "update x46 no"),
        (1200, "update x47 no"),
        (1200, "filtered"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(short(&correlator.decide(report("no", seconds))), expected, "{seconds}");
    }
    let day = 86_400;
    let written = (0..40).filter(|_| correlator.decide(report("no", day)) != Decision::Filtered).count();
    assert_eq!(written, 25, "the budget does not grow beyond the burst");
}

#[test]
fn the_budget_key_has_these_parts() {
    let apart = [KIND, NAMESPACE, NAME, UID, API_VERSION, TYPE];
    for (parts, cut_off) in [(&apart[..], false), (&[RESOURCE_VERSION, FIELD_PATH, REASON, MESSAGE], true)] {
        for (part, change) in parts {
            let mut correlator = correlator();
            (0..25).for_each(|_| drop(correlator.decide(report("no", 0))));
            let mut other = report("no", 0);
            change(&mut other);
            assert_eq!(correlator.decide(other) == Decision::Filtered, cut_off, "{part}");
        }
    }
}

#[test]
fn summing_up_and_counting_come_before_the_cut() {
    let mut correlator = correlator();
    for n in 0..34 {
        let cut = correlator.decide(report(&format!("error {n}"), 0)) == Decision::Filtered;
        assert_eq!(cut, n >= 25, "{n}");
    }
    let next = short(&correlator.decide(report("error 34", 300)));
    assert_eq!(next, "update x26 (combined from similar events): error 34", "9 were themselves, 26 are summed up");
}

#[test]
fn an_event_whose_first_report_was_cut_off_is_still_written_in_full() {
    let mut correlator = correlator();
    (0..25).for_each(|_| drop(correlator.decide(report("no", 0))));
    assert_eq!(short(&correlator.decide(report("new", 1))), "filtered");
    let Decision::Update(event) = correlator.decide(report("new", 700)) else { panic!("not updated") };
    assert_eq!((event.count, event.reason.as_deref()), (Some(2), Some("SyncLoadBalancerFailed")));
    assert_eq!(event.first_timestamp.unwrap().0, report("new", 1).at);
}

/// A correlator that has decided `first`, and then something about `others` other objects.
fn after(first: impl Iterator<Item = Report>, others: usize) -> Correlator {
    let mut correlator = correlator();
    first.for_each(|report| drop(correlator.decide(report)));
    (0..others).for_each(|n| drop(correlator.decide(of(&format!("other-{n}"), "no"))));
    correlator
}

#[test]
fn each_stage_remembers_4096_keys() {
    for (others, known) in [(4095, true), (4096, false)] {
        let counted = after([report("no", 0)].into_iter(), others).decide(report("no", 1));
        assert_eq!(short(&counted), if known { "update x2 no" } else { "create x1 no" });
        let cut = after((0..25).map(|_| report("no", 0)), others).decide(report("no", 1));
        assert_eq!(cut == Decision::Filtered, known);
        // Nine messages are nine keys of the stage that counts, but one of the stage that sums up.
        let summed = after((0..9).map(|n| report(&format!("error {n}"), 0)), others).decide(report("error 9", 1));
        assert_eq!(short(&summed).contains("combined"), known);
    }
}

proptest! {
    /// Whatever is reported: a written count is the number of reports that it stands for, names are used once, and no
    /// object has more writes than its budget.
    #[test]
    fn written_counts_are_true_and_writes_are_bounded(
        reports in prop::collection::vec((0..3usize, 0..14usize, 0..400i64), 1..300),
    ) {
        let mut correlator = correlator();
        let (mut seconds, mut made) = (0, 0);
        let mut counts: HashMap<String, i32> = HashMap::new();
        let mut writes = [0i64; 3];
        for (object, message, pause) in reports {
            seconds += pause / 20;
            made += 1;
            let name = format!("web-{object}");
            let mut report = report(&format!("error {message}"), seconds);
            report.regarding = service(&name);
            match correlator.decide(report) {
                Decision::Create(event) => {
                    prop_assert_eq!(event.count, Some(1));
                    prop_assert_eq!(counts.insert(event.metadata.name.unwrap(), 1), None);
                    writes[object] += 1;
                }
                Decision::Update(event) => {
                    let before = counts.insert(event.metadata.name.unwrap(), event.count.unwrap());
                    prop_assert!(before.unwrap_or(1) < event.count.unwrap());
                    writes[object] += 1;
                }
                Decision::Filtered => {}
            }
        }
        prop_assert!(counts.values().sum::<i32>() <= made);
        prop_assert!(writes.iter().all(|writes| *writes <= 25 + seconds / 300), "{writes:?} in {seconds} s");
    }
}
