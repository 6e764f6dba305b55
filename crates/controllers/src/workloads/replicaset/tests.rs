#![allow(clippy::unwrap_used)]

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::plan::{Plan, plan};
use super::*;

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn set(replicas: i32) -> ReplicaSet {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "web-abc", "uid": "set-1", "generation": 1},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}},
        },
    }))
    .unwrap()
}

/// A running, ready pod of the set on node-1, ready for an hour.
fn pod(name: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": name, "labels": {"app": "web"},
            "ownerReferences": [owner(&set(0))],
        },
        "spec": {"nodeName": "node-1", "containers": []},
        "status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T11:00:00Z"},
        ]},
    }))
    .unwrap()
}

fn pods(pods: impl IntoIterator<Item = Pod>) -> Vec<Arc<Pod>> {
    pods.into_iter().map(Arc::new).collect()
}

fn planned(set: &ReplicaSet, pods: &[Arc<Pod>]) -> Plan {
    plan(set, pods, pods, now())
}

fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
    pods.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect()
}

#[test]
fn the_difference_is_made_or_stopped_and_equality_is_nothing() {
    let two = pods([pod("a"), pod("b")]);
    assert_eq!(planned(&set(5), &two).create, 3);
    assert_eq!(planned(&set(1), &two).delete.len(), 1);
    let mut settled = set(2);
    settled.status = planned(&settled, &two).status;
    assert_eq!(settled.status.as_ref().unwrap().available_replicas, Some(2));
    assert!(planned(&settled, &two).is_empty());
}

#[test]
fn finished_and_stopping_pods_do_not_count() {
    let mut failed = pod("failed");
    failed.status.as_mut().unwrap().phase = Some("Failed".into());
    let mut stopping = pod("stopping");
    stopping.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T11:59:00Z")).unwrap();
    let plan = planned(&set(2), &pods([failed, stopping, pod("a")]));
    assert_eq!(plan.create, 1);
    let status = plan.status.unwrap();
    assert_eq!((status.replicas, status.terminating_replicas), (1, Some(1)));
}

#[test]
fn one_plan_makes_at_most_a_burst() {
    assert_eq!(planned(&set(2000), &[]).create, plan::BURST);
}

#[test]
fn orphans_are_adopted_and_strangers_let_go() {
    let mut orphan = pod("orphan");
    orphan.metadata.owner_references = None;
    let mut relabelled = pod("relabelled");
    relabelled.metadata.labels = Some([("app".to_string(), "other".to_string())].into());
    let mut foreign = pod("foreign");
    foreign.metadata.owner_references.as_mut().unwrap()[0].uid = "set-2".into();
    let plan = planned(&set(2), &pods([orphan, relabelled, foreign]));
    assert_eq!(names(&plan.adopt), ["orphan"]);
    assert_eq!(names(&plan.release), ["relabelled"]);
    assert_eq!(plan.create, 1, "the adopted one counts, the others do not");
}

#[test]
fn a_set_that_is_being_deleted_touches_no_pod() {
    let mut leaving = set(3);
    leaving.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T11:59:00Z")).unwrap();
    let mut orphan = pod("orphan");
    orphan.metadata.owner_references = None;
    let plan = planned(&leaving, &pods([orphan]));
    assert_eq!((plan.create, plan.adopt.len(), plan.delete.len()), (0, 0, 0));
}

#[test]
fn pods_go_in_the_order_of_least_harm() {
    let mut unplaced = pod("1-unplaced");
    unplaced.spec.as_mut().unwrap().node_name = None;
    let mut pending = pod("2-pending");
    pending.status.as_mut().unwrap().phase = Some("Pending".into());
    let mut unready = pod("3-unready");
    unready.status.as_mut().unwrap().conditions.as_mut().unwrap()[0].status = "False".into();
    let mut cheap = pod("4-cheap");
    cheap.metadata.annotations = Some([("controller.kubernetes.io/pod-deletion-cost".into(), "-1".into())].into());
    let crowded = [pod("5-crowded"), pod("6-crowded")];
    let mut alone = pod("8-alone-and-long-ready");
    alone.spec.as_mut().unwrap().node_name = Some("node-2".into());
    let mut fresh = alone.clone();
    fresh.metadata.name = Some("7-fresh".into());
    fresh.spec.as_mut().unwrap().node_name = Some("node-3".into());
    let ready = &mut fresh.status.as_mut().unwrap().conditions.as_mut().unwrap()[0];
    ready.last_transition_time = serde_json::from_value(json!("2026-01-01T11:59:59Z")).unwrap();
    let mut all = vec![alone, fresh, cheap, unready, pending, unplaced];
    all.extend(crowded);
    let plan = planned(&set(0), &pods(all));
    let order: Vec<String> = names(&plan.delete).iter().map(|name| name[..1].to_string()).collect();
    assert_eq!(order, ["1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[test]
fn a_ready_pod_becomes_available_after_the_minimum_time_without_any_event() {
    let mut patient = set(1);
    patient.spec.as_mut().unwrap().min_ready_seconds = Some(30);
    let mut fresh = pod("fresh");
    let ready = &mut fresh.status.as_mut().unwrap().conditions.as_mut().unwrap()[0];
    ready.last_transition_time = serde_json::from_value(json!("2026-01-01T11:59:50Z")).unwrap();
    let fresh = pods([fresh]);
    let early = planned(&patient, &fresh);
    assert_eq!(early.status.unwrap().available_replicas, Some(0));
    assert_eq!(early.look_again, Some(Duration::from_secs(20)));
    let late = plan(&patient, &fresh, &fresh, now() + SignedDuration::from_secs(20));
    assert_eq!(late.status.unwrap().available_replicas, Some(1));
    assert_eq!(late.look_again, None);
}

#[tokio::test]
async fn batches_double_and_stop_behind_a_failure() {
    let tried = std::sync::Mutex::new(Vec::new());
    let result = in_batches(100, |index| {
        tried.lock().unwrap().push(index);
        async move { if index == 4 { Err(Failure::message("no")) } else { Ok(()) } }
    })
    .await;
    assert!(result.is_err());
    assert_eq!(tried.into_inner().unwrap().len(), 1 + 2 + 4);
}

#[test]
fn a_failure_stays_in_the_status_until_nothing_is_left_to_make() {
    let mut failing = set(1);
    failing.status = planned(&failing, &[]).status;
    failing.status.as_mut().unwrap().conditions = serde_json::from_value(json!([
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"},
    ]))
    .unwrap();
    assert_eq!(planned(&failing, &[]).status, None, "nothing has changed");
    assert_eq!(planned(&failing, &pods([pod("a")])).status.unwrap().conditions, None);
}
