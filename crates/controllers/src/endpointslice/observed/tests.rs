#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::endpointslice::tests::{changed, seen};

const LABEL: &str = "/metadata/labels/kubernetes.io~1service-name";

fn slice(generation: i64, revision: u64) -> Value {
    json!({
        "metadata": {
            "namespace": "shop", "name": "web-1", "uid": "uid", "generation": generation,
            "resourceVersion": revision.to_string(), "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4", "endpoints": [], "ports": [],
    })
}

fn read(slice: &Value) -> Slice {
    seen::<Slice>(slice).facts
}

/// The names of the Services that have to be looked at.
fn take(slices: &mut Slices, change: Change<Value>) -> Vec<String> {
    let change = match change {
        Change::Apply(slice) => Change::Apply(seen(&slice)),
        Change::Delete(slice) => Change::Delete(seen(&slice)),
        Change::Reset(all) => Change::Reset(all.iter().map(seen).collect()),
    };
    let mut dirty = Vec::new();
    slices.changed(change, &mut dirty);
    dirty.into_iter().map(|key| key.name).collect()
}

/// What is held of the Service, as `generation@revision`.
fn held(slices: &Slices, service: &str) -> Vec<String> {
    let text = |slice: &Arc<Slice>| {
        format!("{}@{}", slice.metadata.generation.unwrap(), slice.metadata.resource_version.clone().unwrap())
    };
    slices.of(&ObjectKey::new("shop", service)).iter().map(text).collect()
}

/// A slice that this controller has written at generation 3, revision 10.
fn written() -> Slices {
    let mut slices = Slices::default();
    take(&mut slices, Change::Reset(Vec::new()));
    slices.wrote(read(&slice(3, 10)));
    slices
}

#[test]
fn which_changes_by_others_are_a_reason_to_look() {
    type Row = (&'static str, Change<Value>, &'static [&'static str], &'static [&'static str]);
    let terminating = ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    let rows: Vec<Row> = vec![
        ("the echo of the write", Change::Apply(slice(3, 10)), &[], &["3@10"]),
        ("a watch that is behind", Change::Apply(slice(2, 9)), &[], &["3@10"]),
        ("content", Change::Apply(slice(4, 11)), &["web"], &["4@11"]),
        ("an annotation or a label", Change::Apply(slice(3, 11)), &[], &["3@11"]),
        ("another service", Change::Apply(changed(slice(3, 11), &[(LABEL, json!("db"))])), &["web", "db"], &[]),
        ("no service", Change::Apply(changed(slice(3, 11), &[(LABEL, Value::Null)])), &["web"], &[]),
        ("a deletion that begins", Change::Apply(changed(slice(4, 11), &[terminating])), &["web"], &[]),
        ("a deletion, or another manager", Change::Delete(slice(3, 11)), &["web"], &[]),
        ("a watch that began anew without it", Change::Reset(Vec::new()), &["web"], &[]),
        ("a watch that began anew with it", Change::Reset(vec![slice(3, 10)]), &[], &["3@10"]),
        ("a watch that began anew, behind", Change::Reset(vec![slice(2, 9)]), &[], &["3@10"]),
        ("a watch that began anew with a change", Change::Reset(vec![slice(4, 11)]), &["web"], &["4@11"]),
        (
            "a new slice of the same name",
            Change::Apply(changed(slice(1, 12), &[("/metadata/uid", json!("other"))])),
            &["web"],
            &["1@12"],
        ),
        (
            "the late end of a predecessor",
            Change::Delete(changed(slice(1, 9), &[("/metadata/uid", json!("other"))])),
            &[],
            &["3@10"],
        ),
    ];
    for (story, change, dirty, expected) in rows {
        let mut slices = written();
        assert_eq!(take(&mut slices, change), dirty, "{story}");
        assert_eq!(held(&slices, "web"), expected, "{story}");
    }
}

#[test]
fn a_slice_that_this_controller_has_not_written_is_looked_at_with_every_change() {
    let mut slices = Slices::default();
    assert_eq!(take(&mut slices, Change::Reset(vec![slice(3, 10)])), [""; 0], "at the start every Service is, anyway");
    assert_eq!(take(&mut slices, Change::Apply(slice(3, 11))), ["web"], "even of nothing but metadata");
    slices.wrote(read(&slice(4, 12)));
    assert_eq!(take(&mut slices, Change::Apply(slice(4, 13))), [""; 0]);
    assert_eq!(take(&mut slices, Change::Apply(changed(slice(1, 14), &[("/metadata/name", json!("web-2"))]))), ["web"]);
}

#[test]
fn what_this_controller_deleted_does_not_come_back() {
    let mut slices = written();
    slices.deleted(&read(&slice(3, 10)));
    assert_eq!(held(&slices, "web"), [""; 0]);
    assert_eq!(take(&mut slices, Change::Apply(slice(3, 11))), [""; 0], "the watch is behind");
    assert_eq!(take(&mut slices, Change::Delete(slice(3, 12))), [""; 0], "as was expected");
    slices.wrote(read(&slice(3, 11)));
    assert_eq!(held(&slices, "web"), [""; 0], "the late answer to a write");
    assert!(slices.held.is_empty() && slices.of_service.is_empty());
}

#[test]
fn a_slice_that_gets_its_manager_back_is_there_again() {
    let mut slices = written();
    assert_eq!(take(&mut slices, Change::Delete(slice(3, 11))), ["web"], "somebody else took it");
    assert_eq!(take(&mut slices, Change::Apply(slice(3, 12))), ["web"], "and gave it back");
    assert_eq!(held(&slices, "web"), ["3@12"]);
}

/// A list that takes long is older than what is written meanwhile: the slice was taken for gone, the watch's news of it for
/// old news, and nobody ever wrote it again while it kept a dead address in service.
#[test]
fn a_set_that_is_older_than_a_slice_does_not_lose_it() {
    let mut slices = written();
    assert_eq!(take(&mut slices, Change::Reset(Vec::new())), ["web"]);
    assert_eq!(take(&mut slices, Change::Apply(slice(3, 10))), ["web"], "what the watch shows after the set");
    assert_eq!(held(&slices, "web"), ["3@10"]);
}

#[test]
fn an_echo_before_the_answer_is_no_news_and_the_change_of_another_is() {
    let web = ObjectKey::new("shop", "web");
    let elsewhere = changed(slice(3, 10), &[(LABEL, json!("db"))]);
    type Row = (&'static str, Vec<Change<Value>>, fn(&mut Slices), bool);
    let rows: Vec<Row> = vec![
        ("nothing", vec![], |_| {}, false),
        ("an echo", vec![Change::Apply(slice(3, 9))], |slices| slices.wrote(read(&slice(3, 9))), false),
        ("on top of it", vec![Change::Apply(slice(2, 8))], |slices| slices.wrote(read(&slice(3, 9))), false),
        ("never answered", vec![Change::Apply(slice(3, 9))], |_| {}, true),
        (
            "an echo and more",
            vec![Change::Apply(slice(3, 9)), Change::Apply(slice(4, 10))],
            |slices| slices.wrote(read(&slice(3, 9))),
            true,
        ),
        (
            "an echo, and then it is taken away",
            vec![Change::Apply(slice(3, 9)), Change::Apply(elsewhere)],
            |slices| slices.wrote(read(&slice(3, 9))),
            true,
        ),
        (
            "the echo of a deletion",
            vec![Change::Apply(slice(3, 9)), Change::Delete(slice(3, 10))],
            |slices| slices.deleted(&read(&slice(3, 9))),
            false,
        ),
        ("deleted by another", vec![Change::Apply(slice(3, 9)), Change::Delete(slice(3, 10))], |_| {}, true),
    ];
    for (what, changes, answer, expected) in rows {
        let mut slices = Slices::default();
        take(&mut slices, Change::Reset(Vec::new()));
        changes.into_iter().for_each(|change| drop(take(&mut slices, change)));
        answer(&mut slices);
        assert_eq!(slices.is_news(&web), expected, "{what}");
        assert!(!slices.is_news(&web), "{what}: asked once");
    }
}
