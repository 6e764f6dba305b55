#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn correlator() -> Correlator {
    let source =
        Source { controller: "ipallocator-repair-controller", instance: "ipallocator-repair-controller-n1".into() };
    Correlator::new(source)
}

fn time(seconds: i64) -> Timestamp {
    "2026-01-02T03:04:05.000006Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
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

fn report(note: &str, seconds: i64) -> Report {
    Report {
        regarding: service("web"),
        related: None,
        reason: "ClusterIPOutOfRange",
        severity: "Warning",
        action: "ClusterIPAllocation",
        note: note.into(),
        at: time(seconds),
    }
}

/// The writes in short: series count (1 for none) and note.
fn short(writes: &[Write]) -> Vec<String> {
    let count = |event: &Event| event.series.as_ref().map_or(1, |series| series.count);
    writes.iter().map(|event| format!("x{} {}", count(event), event.note.clone().unwrap())).collect()
}

#[test]
fn the_first_is_created_the_second_makes_a_series_and_later_ones_are_counted() {
    let mut correlator = correlator();
    let first = correlator.decide(report("first", 0)).remove(0);
    let expected = serde_json::json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "web.1886caf21c964970", "namespace": "shop"},
        "eventTime": "2026-01-02T03:04:05.000006Z",
        "reportingController": "ipallocator-repair-controller",
        "reportingInstance": "ipallocator-repair-controller-n1",
        "action": "ClusterIPAllocation", "reason": "ClusterIPOutOfRange", "type": "Warning", "note": "first",
        "regarding": {"kind": "Service", "namespace": "shop", "name": "web", "uid": "uid-of-web", "apiVersion": "v1"},
    });
    assert_eq!(serde_json::to_value(&first).unwrap(), expected);
    let second = correlator.decide(report("another note", 60)).remove(0);
    assert_eq!(short(std::slice::from_ref(&second)), ["x2 first"], "the first note stays");
    assert_eq!(second.metadata, first.metadata);
    assert_eq!(second.series.unwrap().last_observed_time.0, time(60));
    assert!(correlator.decide(report("first", 61)).is_empty());
    assert!(correlator.decide(report("first", 62)).is_empty());
    let unwritten = correlator.unwritten();
    assert_eq!(short(&unwritten), ["x4 first"]);
    assert_eq!(unwritten[0].series.as_ref().unwrap().last_observed_time.0, time(62));
    correlator.written(&unwritten.iter().collect::<Vec<_>>());
    assert!(correlator.unwritten().is_empty());
}

#[test]
fn what_differs_in_any_part_of_the_key_is_another_event() {
    let mut correlator = correlator();
    correlator.decide(report("note", 0));
    type Change = fn(&mut Report);
    let changes: [(&str, Change); 10] = [
        ("type", |report| report.severity = "Normal"),
        ("action", |report| report.action = "Listen"),
        ("reason", |report| report.reason = "ClusterIPNotValid"),
        ("related", |report| report.related = Some(service("other"))),
        ("kind", |report| report.regarding.kind = Some("Node".into())),
        ("namespace", |report| report.regarding.namespace = Some("elsewhere".into())),
        ("name", |report| report.regarding.name = Some("api".into())),
        ("uid", |report| report.regarding.uid = Some("another".into())),
        ("resource version", |report| report.regarding.resource_version = Some("7".into())),
        ("field path", |report| report.regarding.field_path = Some("spec".into())),
    ];
    for (part, change) in changes {
        let mut other = report("note", 1);
        change(&mut other);
        assert_eq!(short(&correlator.decide(other)), ["x1 note"], "{part}");
    }
    assert_eq!(short(&correlator.decide(report("differs", 1))), ["x2 note"], "the note is not in the key");
}

#[test]
fn nothing_is_cut_off_and_nothing_summed_up() {
    let mut correlator = correlator();
    let objects = (0..60).map(|n| {
        let mut report = report(&format!("note {n}"), 0);
        report.regarding.resource_version = Some(n.to_string());
        report
    });
    let writes: Vec<_> = objects.flat_map(|report| correlator.decide(report)).collect();
    assert_eq!(writes.len(), 60);
    assert!(short(&writes).iter().all(|line| line.starts_with("x1 note ")));
}

#[test]
fn a_refresh_writes_every_series_and_no_single_event() {
    let mut correlator = correlator();
    correlator.decide(report("series", 0));
    correlator.decide(report("series", 1));
    correlator.decide(report("series", 2));
    let mut single = report("single", 3);
    single.regarding = service("api");
    correlator.decide(single);
    assert_eq!(short(&correlator.refresh()), ["x3 series"]);
    assert_eq!(short(&correlator.refresh()), ["x3 series"], "also one whose count has not moved");
}

#[test]
fn a_series_ends_after_six_silent_minutes_with_a_last_write() {
    let mut correlator = correlator();
    (0..4).for_each(|n| drop(correlator.decide(report("note", n * 100))));
    assert!(correlator.finish(time(300 + 360)).is_empty(), "six minutes exactly are not more than six");
    let ended = correlator.finish(time(300 + 361));
    assert_eq!(short(&ended), ["x4 note"]);
    assert_eq!(short(&correlator.finish(time(300 + 720))), ["x4 note"], "until the API has answered");
    correlator.forget(&ended.iter().collect::<Vec<_>>());
    assert!(correlator.finish(time(300 + 1000)).is_empty());
    let next = correlator.decide(report("note", 1300));
    assert_eq!(short(&next), ["x1 note"]);
    assert_ne!(next[0].metadata.name, ended[0].metadata.name, "the next one is a new Event");
}

#[test]
fn a_single_event_is_forgotten_after_six_minutes_without_a_write() {
    let mut correlator = correlator();
    correlator.decide(report("note", 0));
    assert!(correlator.finish(time(360)).is_empty());
    assert_eq!(short(&correlator.decide(report("note", 360))), ["x2 note"], "still the same Event");
    let mut other = report("note", 0);
    other.regarding = service("api");
    correlator.decide(other.clone());
    assert!(correlator.finish(time(361)).is_empty());
    other.at = time(362);
    assert_eq!(short(&correlator.decide(other)), ["x1 note"]);
}

#[test]
fn memory_is_bounded_and_no_count_is_lost_by_it() {
    let mut correlator = correlator();
    (0..3).for_each(|n| drop(correlator.decide(report("old", n))));
    let one = |n: usize| {
        let mut report = report("new", 10);
        report.regarding = service(&format!("web-{n}"));
        report
    };
    for n in 0..REMEMBERED - 1 {
        assert_eq!(short(&correlator.decide(one(n))), ["x1 new"]);
    }
    assert_eq!(short(&correlator.decide(one(REMEMBERED))), ["x3 old", "x1 new"]);
    assert_eq!(short(&correlator.decide(one(REMEMBERED + 1))), ["x1 new"], "a single one has nothing to say");
}

#[test]
fn references_without_namespace_are_in_default() {
    let mut correlator = correlator();
    let mut node = report("note", 0);
    node.regarding = ObjectReference { kind: Some("Node".into()), name: Some("n1".into()), ..Default::default() };
    let event = correlator.decide(node).remove(0);
    assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
    assert_eq!(event.regarding.unwrap().namespace, None);
}

#[test]
fn a_note_is_cut_at_what_the_api_takes() {
    for (note, length) in [("n".repeat(1024), 1024), ("n".repeat(1025), 1024), ("\u{e9}".repeat(600), 1023)] {
        let written = correlator().decide(report(&note, 0)).remove(0).note.unwrap();
        assert_eq!(written.len(), length);
        assert_eq!(written.ends_with("..."), note.len() > 1024);
    }
}

proptest! {
    /// Whatever is reported, and whenever passes come: what is written in the end adds up to what was reported.
    #[test]
    fn no_report_is_lost_to_the_counts(steps in prop::collection::vec((0..4usize, 0..300i64), 1..200)) {
        let mut correlator = correlator();
        let (mut seconds, mut made) = (0, 0);
        let mut counts: HashMap<Option<String>, i32> = HashMap::new();
        let mut store = |writes: &[Write]| {
            for write in writes {
                let count = write.series.as_ref().map_or(1, |series| series.count);
                counts.insert(write.metadata.name.clone(), count);
            }
        };
        for (object, pause) in steps {
            seconds += pause;
            if object == 3 {
                let ended = correlator.finish(time(seconds));
                store(&ended);
                correlator.forget(&ended.iter().collect::<Vec<_>>());
                store(&correlator.refresh());
                continue;
            }
            made += 1;
            let mut report = report("note", seconds);
            report.regarding = service(&format!("web-{object}"));
            store(&correlator.decide(report));
        }
        store(&correlator.unwritten());
        prop_assert_eq!(counts.values().sum::<i32>(), made);
    }
}
