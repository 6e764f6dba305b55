#![allow(clippy::unwrap_used)]

use k8s_openapi::api::core::v1::{Pod, Service};
use serde_json::json;

use super::*;

fn service() -> Service {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "web", "uid": "uid-web"},
        "spec": {"ipFamilies": ["IPv4"], "clusterIP": "10.96.0.9", "selector": {"app": "web"}, "ports": [{"port": 80}]},
    }))
    .unwrap()
}

fn pod(ready: bool) -> Pod {
    let status = if ready { "True" } else { "False" };
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "p", "uid": "uid-p", "labels": {"app": "web"}},
        "spec": {"nodeName": "node-1", "containers": []},
        "status": {"podIP": "10.244.1.1", "conditions": [{"type": "Ready", "status": status}]},
    }))
    .unwrap()
}

fn node(zone: &str) -> Node {
    serde_json::from_value(json!({"metadata": {"name": "node-1", "labels": {labels::ZONE: zone}}})).unwrap()
}

fn key() -> ObjectKey {
    ObjectKey::new("shop", "web")
}

fn take<T>(index: &mut Index, wrap: fn(Box<Change<T>>) -> Input, change: Change<T>) -> Vec<ObjectKey> {
    let mut dirty = Vec::new();
    index.take(wrap(Box::new(change)), &mut dirty);
    dirty.sort();
    dirty.dedup();
    dirty
}

/// What the API answers to the writes of a plan.
fn answers(plan: &SlicePlan, revision: u64) -> Written {
    let answer = |slice: &EndpointSlice| {
        let mut slice = slice.clone();
        slice.metadata.name.get_or_insert("web-00001".into());
        slice.metadata.uid.get_or_insert("uid-slice".into());
        slice.metadata.resource_version = Some(revision.to_string());
        slice
    };
    let written = plan.creates.iter().chain(&plan.updates).map(answer).collect();
    Written { written, deleted: plan.deletes.clone(), failure: None }
}

#[test]
fn the_next_plan_sees_what_was_written_although_the_watch_is_behind() {
    let mut index = Index::default();
    take(&mut index, Input::Node, Change::Reset(vec![node("a")]));
    take(&mut index, Input::Service, Change::Reset(vec![service()]));
    take(&mut index, Input::Pod, Change::Reset(vec![pod(true)]));
    let first = index.plan(&key()).unwrap();
    let created = answers(&first, 1).written.remove(0);
    index.wrote(answers(&first, 1));
    assert_eq!(index.plan(&key()), None);

    assert_eq!(take(&mut index, Input::Pod, Change::Apply(pod(false))), [key()]);
    let second = index.plan(&key()).unwrap();
    assert_eq!(second.updates[0].metadata.resource_version.as_deref(), Some("1"));
    index.wrote(answers(&second, 2));
    assert_eq!(index.plan(&key()), None);

    let echo = take(&mut index, Input::Slice, Change::Apply(created));
    assert!(echo.is_empty(), "the echo of the first write is no news");
    assert_eq!(index.plan(&key()), None);
}

#[test]
fn what_others_do_to_a_slice_is_looked_at() {
    let mut index = Index::default();
    take(&mut index, Input::Node, Change::Reset(vec![node("a")]));
    take(&mut index, Input::Service, Change::Reset(vec![service()]));
    take(&mut index, Input::Pod, Change::Reset(vec![pod(true)]));
    let plan = index.plan(&key()).unwrap();
    let mut slice = answers(&plan, 1).written.remove(0);
    index.wrote(answers(&plan, 1));

    slice.endpoints = Some(Vec::new());
    slice.metadata.resource_version = Some("2".into());
    assert_eq!(take(&mut index, Input::Slice, Change::Apply(slice.clone())), [key()]);
    assert!(index.plan(&key()).is_some(), "restored");
    assert_eq!(take(&mut index, Input::Slice, Change::Delete(slice)), [key()]);
    assert_eq!(index.plan(&key()).unwrap().creates.len(), 1, "created again");
    assert!(index.slices_of.is_empty());
}

#[test]
fn a_node_that_appears_or_moves_touches_its_services() {
    let mut index = Index::default();
    take(&mut index, Input::Service, Change::Reset(vec![service()]));
    take(&mut index, Input::Pod, Change::Reset(vec![pod(true)]));
    assert_eq!(index.plan(&key()).unwrap().skipped.len(), 1);
    assert_eq!(take(&mut index, Input::Node, Change::Apply(node("a"))), [key()]);
    assert_eq!(index.plan(&key()).unwrap().skipped.len(), 0);
    assert!(take(&mut index, Input::Node, Change::Apply(node("a"))).is_empty(), "a heartbeat");
    assert_eq!(take(&mut index, Input::Node, Change::Apply(node("b"))), [key()]);
    assert_eq!(take(&mut index, Input::Node, Change::Reset(vec![])), [key()]);
    assert_eq!(index.plan(&key()).unwrap().skipped.len(), 1);
}
