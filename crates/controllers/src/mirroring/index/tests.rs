#![allow(clippy::unwrap_used)]

use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::*;

fn index() -> Index {
    Index::new(1000, Batch::new(Duration::ZERO).0)
}

fn service(selector: Value) -> Service {
    let spec = json!({"clusterIP": "10.96.0.9", "selector": selector});
    serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": "db"}, "spec": spec})).unwrap()
}

/// An Endpoints of one address, at this revision.
fn endpoints(revision: u64, metadata: Value) -> Endpoints {
    let mut body = json!({
        "metadata": {"namespace": "shop", "name": "db", "uid": "uid-db", "resourceVersion": revision.to_string()},
        "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 5432}]}],
    });
    for (key, value) in metadata.as_object().unwrap() {
        body["metadata"][key] = value.clone();
    }
    serde_json::from_value(body).unwrap()
}

fn skipped() -> Value {
    json!({"labels": {SKIP: "true"}})
}

/// Whether the change is a reason to plan.
fn take<T>(index: &mut Index, wrap: fn(Box<Change<T>>) -> Input, change: Change<T>) -> bool {
    let mut dirty = Vec::new();
    index.take(wrap(Box::new(change)), &mut dirty);
    dirty.dedup();
    assert!(dirty.len() < 2 && dirty.iter().all(|key| *key == db()), "{dirty:?}");
    !dirty.is_empty()
}

fn db() -> ObjectKey {
    ObjectKey::new("shop", "db")
}

/// `created updated deleted`, or what else is planned.
fn plan(index: &mut Index) -> String {
    match index.plan(&db()).plan {
        None => "nothing".to_owned(),
        Some(MirrorPlan::Fetch) => "fetch".to_owned(),
        Some(MirrorPlan::Write(writes)) => {
            format!("{} {} {}", writes.creates.len(), writes.updates.len(), writes.deletes.len())
        }
    }
}

/// Writes the plan, as the API would answer. Slices get this revision.
fn write(index: &mut Index, revision: u64) -> Vec<EndpointSlice> {
    let Some(MirrorPlan::Write(writes)) = index.plan(&db()).plan else { panic!("nothing to write") };
    let mut slices: Vec<EndpointSlice> = writes.creates.into_iter().chain(writes.updates).collect();
    for slice in &mut slices {
        slice.metadata.name.get_or_insert_with(|| "db-1".into());
        slice.metadata.uid.get_or_insert_with(|| format!("uid-{revision}"));
        slice.metadata.resource_version = Some(revision.to_string());
        slice.metadata.generation = Some(revision.cast_signed());
    }
    let written = Written { written: slices.clone(), deleted: writes.deletes, ..Written::default() };
    assert_eq!(index.wrote(written), None);
    slices
}

/// A Service without selector whose Endpoints is mirrored, and the slice.
fn mirrored() -> (Index, EndpointSlice) {
    let mut index = index();
    assert!(take(&mut index, Input::Service, Change::Reset(vec![service(json!(null))])));
    assert!(take(&mut index, Input::Endpoints, Change::Reset(vec![endpoints(1, json!({}))])));
    assert_eq!(plan(&mut index), "1 0 0");
    let slice = write(&mut index, 5).pop().unwrap();
    assert_eq!(plan(&mut index), "nothing");
    (index, slice)
}

#[test]
fn which_services_and_endpoints_are_a_reason_to_plan() {
    let mut index = index();
    assert!(!take(&mut index, Input::Service, Change::Apply(service(json!({"app": "db"})))));
    assert!(take(&mut index, Input::Endpoints, Change::Apply(endpoints(1, json!({})))), "it may have had slices");
    assert_eq!(plan(&mut index), "nothing");
    assert!(!take(&mut index, Input::Service, Change::Apply(service(json!({"app": "other"})))));
    assert!(take(&mut index, Input::Service, Change::Apply(service(json!({})))), "an empty selector is none");
    assert!(!take(&mut index, Input::Service, Change::Apply(service(json!(null)))));
    assert!(take(&mut index, Input::Endpoints, Change::Apply(endpoints(2, skipped()))), "no longer");
    assert_eq!(plan(&mut index), "nothing");
    assert!(!take(&mut index, Input::Endpoints, Change::Apply(endpoints(3, skipped()))));
    let lock = json!({"annotations": {labels::LEADER: "x"}});
    assert!(!take(&mut index, Input::Endpoints, Change::Apply(endpoints(4, lock))));
    assert!(!take(&mut index, Input::Endpoints, Change::Delete(endpoints(5, skipped()))));
    assert!(take(&mut index, Input::Service, Change::Delete(service(json!(null)))));
}

/// Story, and what happens; it says whether that is a reason to plan.
type End = (&'static str, fn(&mut Index) -> bool);

#[test]
fn slices_go_when_nothing_is_to_be_mirrored_any_more() {
    let ends: [End; 5] = [
        ("the Service gets a selector", |index| {
            take(index, Input::Service, Change::Apply(service(json!({"app": "db"}))))
        }),
        ("the Service goes", |index| take(index, Input::Service, Change::Delete(service(json!(null))))),
        ("the Service has gone while nobody looked", |index| take(index, Input::Service, Change::Reset(vec![]))),
        ("the Endpoints goes", |index| take(index, Input::Endpoints, Change::Delete(endpoints(9, json!({}))))),
        ("the Endpoints is to be skipped", |index| {
            take(index, Input::Endpoints, Change::Apply(endpoints(9, skipped())))
        }),
    ];
    for (story, end) in ends {
        let (mut index, _) = mirrored();
        assert_eq!(index.tally(), Tally { endpoints: 1, slices: 1 });
        assert!(end(&mut index), "{story}");
        assert_eq!(plan(&mut index), "0 0 1", "{story}");
        assert_eq!(index.tally(), Tally::default(), "{story}");
        write(&mut index, 10);
        assert_eq!(plan(&mut index), "nothing", "{story}");
    }
}

#[test]
fn left_over_slices_are_found_at_start() {
    let (_, slice) = mirrored();
    let mut index = index();
    assert!(take(&mut index, Input::Slice, Change::Reset(vec![slice])));
    assert_eq!(plan(&mut index), "0 0 1");
}

#[test]
fn what_others_do_to_slices() {
    let (mut index, slice) = mirrored();
    assert!(!take(&mut index, Input::Slice, Change::Apply(slice.clone())), "the echo");
    let mut labelled = slice.clone();
    labelled.metadata.resource_version = Some("6".into());
    labelled.metadata.labels.as_mut().unwrap().insert("a".into(), "b".into());
    assert!(!take(&mut index, Input::Slice, Change::Apply(labelled.clone())), "metadata waits for the next change");
    assert_eq!(plan(&mut index), "0 1 0");
    labelled.metadata.resource_version = Some("7".into());
    labelled.metadata.generation = Some(7);
    labelled.endpoints = None;
    assert!(take(&mut index, Input::Slice, Change::Apply(labelled)));
    write(&mut index, 8);
    let mut gone = slice;
    gone.metadata.resource_version = Some("9".into());
    assert!(take(&mut index, Input::Slice, Change::Delete(gone)), "unexpected");
    assert_eq!(plan(&mut index), "1 0 0");
}

#[test]
fn a_slice_that_is_labelled_for_another_service_is_a_matter_of_both() {
    let (mut index, mut slice) = mirrored();
    slice.metadata.resource_version = Some("6".into());
    slice.metadata.labels.as_mut().unwrap().insert(labels::SERVICE_NAME.into(), "other".into());
    let mut dirty = Vec::new();
    index.take(Input::Slice(Box::new(Change::Apply(slice))), &mut dirty);
    dirty.sort();
    assert_eq!(dirty, [db(), ObjectKey::new("shop", "other")]);
    assert_eq!(plan(&mut index), "1 0 0");
    let Some(MirrorPlan::Write(writes)) = index.plan(&ObjectKey::new("shop", "other")).plan else { panic!("kept") };
    assert_eq!(writes.deletes.len(), 1);
}

#[test]
fn what_another_controller_writes_is_read_only_when_it_matters() {
    let mut index = index();
    take(&mut index, Input::Endpoints, Change::Apply(endpoints(3, json!({}))));
    take(&mut index, Input::Service, Change::Apply(service(json!({"app": "db"}))));
    assert!(matches!(index.endpoints[&db()], Held::Brief(_)), "dropped when the Service shows up");
    take(&mut index, Input::Endpoints, Change::Apply(endpoints(4, json!({}))));
    assert!(matches!(index.endpoints[&db()], Held::Brief(_)));
    assert!(take(&mut index, Input::Service, Change::Apply(service(json!(null)))));
    assert_eq!(plan(&mut index), "fetch");

    let read = |revision, uid: &str| Written {
        read: Some(Box::new(endpoints(revision, json!({"uid": uid})))),
        ..Written::default()
    };
    assert_eq!(index.wrote(read(9, "another")), None, "the watch has not shown that one yet");
    assert_eq!(index.wrote(read(6, "uid-db")), Some(Duration::ZERO));
    assert_eq!(plan(&mut index), "1 0 0");
    assert!(!take(&mut index, Input::Endpoints, Change::Apply(endpoints(5, skipped()))), "the watch is behind");
    assert_eq!(plan(&mut index), "1 0 0");
    assert_eq!(index.wrote(read(4, "uid-db")), None, "read twice");
    assert!(take(&mut index, Input::Endpoints, Change::Apply(endpoints(7, skipped()))));
    assert_eq!(plan(&mut index), "nothing");
}

#[test]
fn a_slice_that_was_given_away_can_come_back() {
    let (mut index, mut slice) = mirrored();
    slice.metadata.resource_version = Some("6".into());
    assert!(take(&mut index, Input::Slice, Change::Delete(slice.clone())), "the watch shows it no longer");
    assert_eq!(plan(&mut index), "1 0 0");
    let mut other = write(&mut index, 7).pop().unwrap();
    assert!(!take(&mut index, Input::Slice, Change::Apply(slice.clone())), "late news of the time before");
    slice.metadata.resource_version = Some("8".into());
    slice.metadata.name = Some("db-2".into());
    assert!(take(&mut index, Input::Slice, Change::Apply(slice.clone())));
    assert_eq!(plan(&mut index), "0 0 1", "one is enough");
    write(&mut index, 9);
    slice.metadata.resource_version = Some("10".into());
    assert!(!take(&mut index, Input::Slice, Change::Apply(slice.clone())), "deleted is deleted");
    assert!(!take(&mut index, Input::Slice, Change::Delete(slice)));
    other.metadata.resource_version = Some("12".into());
    assert!(!take(&mut index, Input::Slice, Change::Reset(vec![other.clone()])));
    assert!(take(&mut index, Input::Slice, Change::Reset(vec![])), "gone while nobody looked");
    assert_eq!(plan(&mut index), "1 0 0");
    assert!(take(&mut index, Input::Slice, Change::Apply(other)), "the complete set was an old one");
    assert_eq!(plan(&mut index), "nothing");
}
