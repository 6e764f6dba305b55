//! What events may be missing: the recorder's limits, worked out from what was let through.

use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};

use crate::{
    Index, Snapshot,
    history::{Exhausted, History},
    tests::fixture::Cluster,
};

fn event(type_: &str, reason: &str, source: Value, count: i32, first: &str, last: &str) -> Event {
    let event = json!({
        "metadata": {"name": format!("web.{reason}.{type_}"), "namespace": "default"},
        "involvedObject": {"kind": "Service", "name": "web", "namespace": "default", "uid": "svc"},
        "source": source, "type": type_, "reason": reason, "message": "x", "count": count,
        "firstTimestamp": format!("2026-07-01T{first}Z"), "lastTimestamp": format!("2026-07-01T{last}Z"),
    });
    serde_json::from_value(event).unwrap()
}

fn exhausted(version: &str, events: Vec<Event>) -> Vec<Exhausted> {
    let snapshot = Snapshot { version: Some(version.into()), events, ..Cluster::healthy().snapshot() };
    let index = Index::new(&snapshot);
    History::of(&index, "Service", "default", "web", Some("svc")).exhausted()
}

#[test]
fn a_limit_is_used_up_by_a_burst_and_by_a_steady_flow() {
    let ours = || json!({"component": "service-controller"});
    let one = |count, first, last| vec![event("Warning", "Failed", ours(), count, first, last)];
    let cases = [
        ("a burst", one(25, "11:50:00", "11:50:30"), 1),
        ("one less", one(24, "11:50:00", "11:50:30"), 0),
        // 25 and one for each of ten times five minutes.
        ("slow enough to pass", one(34, "11:00:00", "11:50:00"), 0),
        ("a bit too fast", one(35, "11:00:00", "11:50:00"), 1),
    ];
    for (name, events, expected) in cases {
        assert_eq!(exhausted("v1.36.0", events).len(), expected, "{name}");
    }
    let limits = exhausted("v1.36.0", one(30, "11:50:00", "11:50:30"));
    assert_eq!((limits[0].source.as_str(), limits[0].seen), ("service-controller", 30));
    assert_eq!(limits[0].next().to_string(), "2026-07-01T11:55:30Z");
}

#[test]
fn types_share_a_limit_before_1_32_and_sources_never() {
    let events = |other: &str| {
        vec![
            event("Normal", "A", json!({"component": "service-controller"}), 15, "11:50:00", "11:51:00"),
            event("Warning", "B", json!({"component": other}), 15, "11:50:00", "11:51:00"),
        ]
    };
    assert_eq!(exhausted("v1.31.9", events("service-controller")).len(), 1);
    assert_eq!(exhausted("v1.32.0", events("service-controller")).len(), 0);
    assert_eq!(exhausted("v1.31.9", events("endpoint-slice-controller")).len(), 0);
}

#[test]
fn the_recorder_of_the_new_api_has_no_limit() {
    let mut event = event("Warning", "PortOutOfRange", json!({"component": ""}), 60, "11:50:00", "11:51:00");
    event.event_time = serde_json::from_value(json!("2026-07-01T11:50:00.000000Z")).unwrap();
    assert!(exhausted("v1.31.0", vec![event]).is_empty());
}

#[test]
fn gaps_say_what_may_be_missing_and_until_when() {
    let mut merged = event("Warning", "Failed", json!({"component": "service-controller"}), 12, "11:50:00", "11:58:00");
    merged.message = Some("(combined from similar events): Error 12".into());
    let flood = event("Warning", "Other", json!({"component": "service-controller"}), 20, "11:50:00", "11:58:00");
    let snapshot = Snapshot { events: vec![merged, flood], ..Cluster::healthy().snapshot() };
    let index = Index::new(&snapshot);
    let gaps = History::of(&index, "Service", "default", "web", Some("svc")).gaps();
    let texts: Vec<&str> = gaps.iter().map(|gap| gap.en.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts[0].contains("32 Warning events") && texts[0].contains("until 2026-07-01T12:03:00Z may be missing"),
        "{texts:?}"
    );
    assert!(texts[1].starts_with("12 events Failed with different texts"), "{texts:?}");
}
