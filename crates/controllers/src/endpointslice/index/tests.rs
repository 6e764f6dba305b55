#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::endpointslice::tests::{Fixture, changed, node, not_ready, on, pod, service, web};

/// One Service with one pod, synced.
fn synced() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.service(&service(&[]));
    fixture.pods(&[pod(1, &[])]);
    fixture.sync();
    fixture
}

#[test]
fn the_next_plan_sees_what_was_written_although_the_watch_is_behind() {
    let mut fixture = synced();
    assert_eq!(fixture.plan(), None);
    let created = fixture.only();
    assert_eq!(fixture.pods(&[pod(1, &[not_ready()])]), [web()]);
    let plan = fixture.plan().unwrap();
    assert_eq!(
        plan.families[0].updates[0].metadata.resource_version.as_deref(),
        created["metadata"]["resourceVersion"].as_str()
    );
    fixture.apply(&plan);
    assert_eq!(fixture.plan(), None);
    assert_eq!(fixture.show(&created), [], "the echo of the first write is no news");
    assert_eq!(fixture.plan(), None);
}

#[test]
fn what_others_do_to_a_slice_is_undone() {
    let mut fixture = synced();
    assert_eq!(fixture.write(changed(fixture.only(), &[("/endpoints", json!([]))])), [web()]);
    assert_eq!(fixture.sync(), "+0 ~1 -0", "restored");
    let name = fixture.slices.keys().next().unwrap().clone();
    assert_eq!(fixture.delete(&name), [web()]);
    assert_eq!(fixture.sync(), "+1 ~0 -0", "created again");

    let slice = fixture.only();
    let elsewhere = changed(slice.clone(), &[("/metadata/labels/kubernetes.io~1service-name", json!("db"))]);
    assert_eq!(fixture.write(elsewhere), [ObjectKey::new("shop", "db"), web()], "it belongs to another Service now");
    assert_eq!(fixture.sync(), "+1 ~0 -0");
    fixture.write(slice);
    assert_eq!(fixture.sync(), "+0 ~0 -1", "the endpoint is there twice");
}

#[test]
fn a_slice_that_somebody_has_begun_to_delete_is_replaced() {
    let mut fixture = synced();
    let time = ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    let held = ("/metadata/finalizers", json!(["a/b"]));
    fixture.write(changed(fixture.only(), &[time, held]));
    assert_eq!(fixture.sync(), "+1 ~0 -0");
    assert_eq!(fixture.sync(), "nothing");
}

#[test]
fn a_node_touches_those_who_wait_for_it_and_nobody_else() {
    let (one, two) = (node("node-1", "a", "4"), node("node-2", "b", "4"));
    let mut fixture = synced();
    fixture.pods(&[pod(1, &[]), pod(2, &[on("node-3")])]);
    assert_eq!(fixture.plan().unwrap().skipped.len(), 1);
    assert_eq!(fixture.nodes(&[one.clone(), two.clone(), node("node-4", "a", "1")]), []);
    assert_eq!(fixture.nodes(&[one.clone(), two.clone(), node("node-3", "a", "1")]), [web()]);
    assert_eq!(fixture.sync(), "+0 ~1 -0");
    assert_eq!(fixture.nodes(&[node("node-1", "c", "4"), two]), [], "zones and lost nodes wait for the next sync");
    assert_eq!(fixture.pods(&[pod(1, &[]), pod(2, &[on("node-3"), not_ready()])]), [web()]);
    assert_eq!(fixture.plan().unwrap().skipped.len(), 1);
    fixture.sync();
    assert_eq!(fixture.of(portolan_objects::Family::V4)[0].endpoints[0].zone.as_deref(), Some("c"));
    fixture.no_service();
    fixture.plan();
    assert_eq!(fixture.nodes(&[one, node("node-3", "a", "1")]), [], "a Service that is gone does not wait");
}

#[test]
fn nodes_touch_services_whose_hints_leave_a_zone_short() {
    let auto = ("/metadata/annotations", json!({"service.kubernetes.io/topology-mode": "Auto"}));
    let mut fixture = Fixture::new();
    fixture.service(&service(&[auto]));
    fixture.pods(&[pod(1, &[]), pod(2, &[]), pod(3, &[on("node-2")]), pod(4, &[on("node-2")])]);
    fixture.sync();
    let nodes = |more: &[(&str, &str)]| {
        let more = more.iter().zip(3..).map(|((zone, cpu), number)| node(&format!("node-{number}"), zone, cpu));
        [node("node-1", "a", "4"), node("node-2", "b", "4")].into_iter().chain(more).collect::<Vec<_>>()
    };
    assert_eq!(fixture.nodes(&nodes(&[("a", "1")])), [], "within the threshold");
    assert_eq!(fixture.nodes(&nodes(&[("a", "1"), ("a", "16")])), [web()]);
    assert_eq!(fixture.nodes(&nodes(&[("c", "1")])), [web()], "a zone without any");
}

#[test]
fn every_change_of_a_service_is_looked_at() {
    let mut fixture = synced();
    assert_eq!(fixture.service(&service(&[])), [web()]);
    assert_eq!(fixture.no_service(), [web()]);
    assert_eq!(fixture.sync(), "nothing", "its slices go by garbage collection");
    assert_eq!(fixture.slices.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_changes_is_looked_at_once_and_later() {
    use futures::StreamExt;
    let second = Duration::from_secs(1);
    let ((by_pods, pods), (by_slices, slices)) = (Pace::new(2 * second), Batch::new(3 * second));
    let mut index = Index::new(by_pods, by_slices, Metrics::default(), 100);
    let (mut pods, mut slices) = (std::pin::pin!(pods), std::pin::pin!(slices));
    let mut dirty = Vec::new();
    let web_service = crate::endpointslice::tests::seen(&service(&[]));
    index.take(Input::Service(Box::new(Change::Reset(vec![web_service]))), &mut dirty);
    assert_eq!(std::mem::take(&mut dirty), [web()], "Services do not wait");
    let start = tokio::time::Instant::now();
    index.take(Input::Slice(Box::new(Change::Reset(Vec::new()))), &mut dirty);
    for number in [1, 2] {
        let pod = crate::endpointslice::tests::seen(&pod(number, &[])).into_facts();
        index.take(Input::Pod(Box::new(Change::Apply(pod))), &mut dirty);
    }
    let slice = json!({
        "metadata": {"namespace": "shop", "name": "web-1", "uid": "u", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "endpoints": [],
    });
    index.take(Input::Slice(Box::new(Change::Apply(crate::endpointslice::tests::seen(&slice)))), &mut dirty);
    assert_eq!(dirty, []);
    index.take(Input::PodsDue(pods.next().await.unwrap()), &mut dirty);
    assert_eq!((std::mem::take(&mut dirty), start.elapsed()), (vec![web()], 2 * second));
    index.take(Input::SlicesDue(slices.next().await.unwrap()), &mut dirty);
    assert_eq!((dirty, start.elapsed()), (vec![web()], 3 * second));
}
