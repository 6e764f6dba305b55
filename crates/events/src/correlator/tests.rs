#![allow(clippy::unwrap_used)]

use jiff::SignedDuration;

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

/// The decision in short: what is done, the name's object, count and message.
fn short(decision: &Decision) -> String {
    let (verb, event) = match decision {
        Decision::Create(event) => ("create", event),
        Decision::Update(event) => ("update", event),
        Decision::Filtered => return "filtered".into(),
    };
    format!("{verb} x{} {}", event.count.unwrap(), event.message.clone().unwrap())
}

#[test]
fn equal_reports_are_one_event_with_a_count() {
    let mut correlator = correlator();
    let Decision::Create(first) = correlator.decide(report("no", 0)) else { panic!("not created") };
    assert_eq!(first.metadata.name.as_deref(), Some("web.1886caf21c963200"));
    assert_eq!(first.metadata.namespace.as_deref(), Some("shop"));
    assert_eq!(first.reporting_component.as_deref(), Some("service-controller"));
    assert_eq!(first.event_time, None);
    let Decision::Update(second) = correlator.decide(report("no", 60)) else { panic!("not updated") };
    assert_eq!(second.metadata.name, first.metadata.name);
    assert_eq!(second.count, Some(2));
    assert_eq!(second.first_timestamp, first.first_timestamp);
    assert!(second.last_timestamp > first.last_timestamp);
}

#[test]
fn what_differs_in_any_part_is_another_event() {
    let mut correlator = correlator();
    correlator.decide(report("no", 0));
    let mut others = vec![report("other", 0), report("no", 0), report("no", 0), report("no", 0), report("no", 0)];
    others[1].reason = "Failed";
    others[2].regarding.uid = Some("another".into());
    others[3].regarding.field_path = Some("spec.containers{web}".into());
    others[4].severity = "Normal";
    for other in others {
        assert!(short(&correlator.decide(other)).starts_with("create x1"));
    }
}

#[test]
fn the_tenth_message_in_ten_minutes_begins_a_summary() {
    let mut correlator = correlator();
    let texts: Vec<String> =
        (0..12).map(|n| short(&correlator.decide(report(&format!("error {n}"), n * 10)))).collect();
    assert_eq!(texts[8], "create x1 error 8");
    assert_eq!(texts[9], "create x1 (combined from similar events): error 9");
    assert_eq!(texts[10], "update x2 (combined from similar events): error 10");
    assert_eq!(texts[11], "update x3 (combined from similar events): error 11");
    assert_eq!(short(&correlator.decide(report("error 3", 900))), "update x2 error 3", "after a pause it begins anew");
}

#[test]
fn summaries_carry_no_reporting_component() {
    let mut correlator = correlator();
    (0..9).for_each(|n| drop(correlator.decide(report(&format!("error {n}"), 0))));
    let Decision::Create(event) = correlator.decide(report("error 9", 0)) else { panic!("not created") };
    assert_eq!(event.reporting_component.as_deref(), Some(""));
    assert_eq!(event.source.unwrap().component.as_deref(), Some("service-controller"));
}

#[test]
fn a_noisy_object_is_cut_off_after_25_writes_and_gets_one_in_five_minutes() {
    let mut correlator = correlator();
    let written = (0..40).filter(|_| correlator.decide(report("no", 0)) != Decision::Filtered).count();
    assert_eq!(written, 25);
    assert_eq!(short(&correlator.decide(report("no", 299))), "filtered");
    assert_eq!(short(&correlator.decide(report("no", 301))), "update x42 no", "the count is the true one");
    assert_eq!(short(&correlator.decide(report("no", 302))), "filtered");
    let mut quiet = report("fine", 302);
    quiet.severity = "Normal";
    assert_eq!(short(&correlator.decide(quiet)), "create x1 fine", "each type has its own budget");
    let mut other = report("no", 302);
    other.regarding = service("api");
    assert_eq!(short(&correlator.decide(other)), "create x1 no", "each object has its own budget");
}

#[test]
fn an_event_whose_first_report_was_filtered_is_still_written_in_full() {
    let mut correlator = correlator();
    (0..25).for_each(|_| drop(correlator.decide(report("no", 0))));
    assert_eq!(short(&correlator.decide(report("new", 1))), "filtered");
    let Decision::Update(event) = correlator.decide(report("new", 700)) else { panic!("not updated") };
    assert_eq!((event.count, event.reason.as_deref()), (Some(2), Some("SyncLoadBalancerFailed")));
}

#[test]
fn objects_without_namespace_have_their_events_in_default() {
    let mut node = report("hello", 0);
    node.regarding = ObjectReference { kind: Some("Node".into()), name: Some("n1".into()), ..Default::default() };
    let Decision::Create(event) = correlator().decide(node) else { panic!("not created") };
    assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
    assert_eq!(event.involved_object.namespace, None);
}
