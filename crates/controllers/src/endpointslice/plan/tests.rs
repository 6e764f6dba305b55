#![allow(clippy::unwrap_used)]

use portolan_catalogue::Reason;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::endpointslice::tests::{Fixture, changed, check, node, not_ready, on, pod, service};

const BOTH: (&str, [&str; 2]) = ("/spec/ipFamilies", ["IPv4", "IPv6"]);

fn both() -> (&'static str, Value) {
    (BOTH.0, json!(BOTH.1))
}

/// With a Service and these pods, synced.
fn synced(of_service: &[(&str, Value)], pods: &[Value]) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.service(&service(of_service));
    fixture.pods(pods);
    fixture.sync();
    fixture
}

fn serves(port: u16) -> (&'static str, Value) {
    ("/spec/containers", json!([{"name": "a", "ports": [{"name": "http", "containerPort": port}]}]))
}

#[test]
fn a_new_service_without_pods_gets_one_empty_slice_per_family() {
    let mut fixture = Fixture::new();
    fixture.service(&service(&[both()]));
    assert_eq!(fixture.sync(), "+2 ~0 -0");
    let [v4, _] = fixture.slices.values().collect::<Vec<_>>()[..] else { panic!("{:#?}", fixture.slices) };
    let expected = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [], "ports": [],
        "metadata": {
            "generateName": "web-", "namespace": "shop",
            "name": v4["metadata"]["name"], "uid": v4["metadata"]["uid"], "generation": 1, "resourceVersion": "1",
            "labels": {
                "team": "a", "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Service", "name": "web", "uid": "uid-web",
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
    });
    assert_eq!(*v4, expected);
    assert_eq!(fixture.sync(), "nothing");
}

#[test]
fn a_name_that_has_no_room_for_a_dash_has_none() {
    assert_eq!(prefix("web"), "web-");
    let longest = "a".repeat(253);
    assert_eq!((prefix(&longest[1..]).len(), prefix(&longest).len()), (253, 253));
}

#[test]
fn scaling_up_and_down_reuses_the_placeholder() {
    let mut fixture = synced(&[], &[]);
    let name = fixture.only()["metadata"]["name"].clone();
    fixture.pods(&[pod(1, &[]), pod(2, &[])]);
    assert_eq!(fixture.sync(), "+0 ~1 -0");
    assert_eq!(fixture.lines(), ["IPv4 [8080] 1rs- 2rs-"]);
    fixture.pods(&[]);
    assert_eq!(fixture.sync(), "+0 ~1 -0", "back to the placeholder, in the same object");
    assert_eq!((fixture.lines(), &fixture.only()["metadata"]["name"]), (vec!["IPv4 []".to_owned()], &name));
}

#[test]
fn different_resolutions_of_a_named_port_are_different_slices() {
    let unnamed = ("/spec/containers", json!([{"name": "a"}]));
    let mut fixture = synced(&[], &[pod(1, &[]), pod(2, &[serves(81)]), pod(3, std::slice::from_ref(&unnamed))]);
    assert_eq!(fixture.lines(), ["IPv4 [8080] 1rs-", "IPv4 [81] 2rs-", "IPv4 [] 3rs-"]);
    fixture.pods(&[pod(2, &[serves(81)])]);
    assert_eq!(fixture.sync(), "+0 ~0 -2");
    fixture.pods(&[pod(4, &[serves(81)]), pod(5, &[serves(82)]), pod(6, &[unnamed])]);
    assert_eq!(fixture.sync(), "+2 ~1 -0", "the one whose endpoint went is put to use");
    assert_eq!(fixture.lines(), ["IPv4 [81] 4rs-", "IPv4 [82] 5rs-", "IPv4 [] 6rs-"]);
}

#[test]
fn an_empty_slice_with_wanted_ports_is_as_good_as_a_placeholder() {
    let mut fixture = synced(&[], &[pod(1, &[])]);
    fixture.write(changed(fixture.only(), &[("/endpoints", json!([]))]));
    fixture.pods(&[pod(1, &[on("node-9")])]);
    let plan = fixture.plan().unwrap();
    assert_eq!((plan.families[0].writes(), plan.skipped.len()), (0, 1), "its pod is skipped, but has these ports");
    fixture.pods(&[]);
    assert_eq!((fixture.sync().as_str(), fixture.lines()), ("+0 ~1 -0", vec!["IPv4 []".to_owned()]));
}

#[test]
fn labels_follow_the_service_but_reserved_ones_alone_are_no_reason() {
    const HEADLESS: (&str, &str) = ("/spec/clusterIP", "None");
    let headless = || (HEADLESS.0, json!(HEADLESS.1));
    let own = "/metadata/labels";
    let mut fixture = synced(&[], &[pod(1, &[])]);
    let reserved = json!({"team": "a", "kubernetes.io/service-name": "x", "service.kubernetes.io/headless": "y"});
    fixture.service(&service(&[headless(), (own, reserved)]));
    assert_eq!(fixture.sync(), "nothing");
    fixture
        .service(&service(&[headless(), (own, json!({"team": "b", "endpointslice.kubernetes.io/managed-by": "me"}))]));
    assert_eq!(fixture.sync(), "+0 ~1 -0");
    let expected = json!({
        "team": "b", "kubernetes.io/service-name": "web", "service.kubernetes.io/headless": "",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    });
    assert_eq!(fixture.only()["metadata"]["labels"], expected);
    fixture.service(&service(&[headless(), (own, Value::Null)]));
    assert_eq!(fixture.sync(), "+0 ~1 -0");

    // A slice that is only filled keeps the labels that it has, as upstream does.
    fixture.service(&service(&[(own, Value::Null)]));
    fixture.pods(&[pod(1, &[]), pod(2, &[])]);
    assert_eq!(fixture.sync(), "+0 ~1 -0");
    assert_eq!(fixture.only()["metadata"]["labels"]["service.kubernetes.io/headless"], "");
    fixture.pods(&[pod(2, &[])]);
    fixture.sync();
    assert_eq!(fixture.only()["metadata"]["labels"].get("service.kubernetes.io/headless"), None);
}

#[test]
fn labels_that_somebody_else_changes_are_put_right_with_the_next_sync() {
    let mut fixture = synced(&[], &[pod(1, &[])]);
    let right = fixture.only()["metadata"]["labels"].clone();
    let drifted =
        changed(fixture.only(), &[("/metadata/labels/team", json!("x")), ("/metadata/labels/more", json!(""))]);
    assert_eq!(fixture.write(drifted), [], "no reason to look at the Service");
    assert_eq!(fixture.sync(), "+0 ~1 -0");
    assert_eq!(fixture.only()["metadata"]["labels"], right);
}

#[test]
fn a_placeholder_is_one_only_with_the_right_labels() {
    let mut fixture = synced(&[], &[]);
    fixture.write(changed(fixture.only(), &[("/metadata/labels/service.kubernetes.io~1headless", json!(""))]));
    assert_eq!(fixture.sync(), "nothing", "an empty label is none, as upstream compares");
    fixture.write(changed(fixture.only(), &[("/metadata/labels/service.kubernetes.io~1headless", json!("x"))]));
    assert_eq!(fixture.sync(), "+0 ~1 -0");
    fixture.service(&service(&[("/metadata/labels/team", json!("b"))]));
    assert_eq!(fixture.sync(), "+0 ~1 -0");
    let second = changed(fixture.only(), &[("/metadata/name", json!("web-second"))]);
    fixture.write(second);
    assert_eq!(fixture.sync(), "+0 ~1 -1", "of two placeholders one goes");
}

#[test]
fn slices_of_an_earlier_service_go_and_are_not_put_to_use() {
    let again = || ("/metadata/uid", json!("another"));
    let mut fixture = synced(&[], &[pod(1, &[])]);
    fixture.service(&service(&[again()]));
    assert_eq!(fixture.sync(), "+1 ~0 -1");
    let mut empty = synced(&[], &[]);
    empty.service(&service(&[again()]));
    assert_eq!(empty.sync(), "+1 ~0 -1", "not even the placeholder");
    assert_eq!(empty.sync(), "nothing");
}

#[test]
fn who_owns_a_slice_is_not_who_controls_it() {
    let mut fixture = synced(&[], &[pod(1, &[])]);
    let owners = |api: &str, kind: &str, uid: &str| {
        let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x", "controller": true});
        ("/metadata/ownerReferences", json!([other, {"apiVersion": api, "kind": kind, "name": "web", "uid": uid}]))
    };
    fixture.write(changed(fixture.only(), &[owners("v1", "Service", "uid-web")]));
    assert_eq!(fixture.sync(), "nothing");
    for other in [owners("v2", "Service", "uid-web"), owners("v1", "Serving", "uid-web"), owners("v1", "Service", "u")]
    {
        let mut fixture = synced(&[], &[pod(1, &[])]);
        fixture.write(changed(fixture.only(), &[other]));
        assert_eq!(fixture.sync(), "+1 ~0 -1");
    }
}

#[test]
fn slices_of_a_family_that_is_not_wanted_any_more_go() {
    let mut fixture = synced(&[both()], &[pod(1, &[])]);
    fixture.service(&service(&[]));
    let plan = fixture.plan().unwrap();
    assert_eq!((plan.unwanted.len(), plan.families.len()), (1, 1));
    fixture.apply(&plan);
    assert_eq!(fixture.lines(), ["IPv4 [8080] 1rs-"]);
    fixture.service(&service(&[both()]));
    assert_eq!(fixture.sync(), "+1 ~0 -0");
}

#[test]
fn a_service_under_deletion_gets_no_new_slices() {
    let going = || ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    let mut fixture = synced(&[going()], &[pod(1, &[])]);
    assert_eq!(fixture.slices.len(), 0);
    assert_eq!(fixture.sync(), "nothing");

    let mut fixture = synced(&[], &[pod(1, &[]), pod(2, &[serves(81)])]);
    fixture.service(&service(&[going()]));
    fixture.pods(&[pod(1, &[not_ready()]), pod(3, &[serves(82)])]);
    assert_eq!(fixture.sync(), "+0 ~2 -0", "what is put to use is not new");
    fixture.pods(&[]);
    assert_eq!(fixture.sync(), "+0 ~1 -1");
    fixture.pods(&[pod(1, &[]), pod(3, &[serves(82)])]);
    assert_eq!(fixture.sync(), "+0 ~1 -0");
}

#[test]
fn a_slice_keeps_what_others_have_put_on_it_until_it_is_put_to_another_use() {
    let extra = |key: &'static str| (key, json!({"who": "somebody"}));
    let mut fixture = synced(&[], &[pod(1, &[])]);
    fixture.write(changed(fixture.only(), &[extra("/metadata/annotations"), ("/metadata/finalizers", json!(["a/b"]))]));
    fixture.pods(&[pod(1, &[not_ready()])]);
    let plan = fixture.plan().unwrap();
    let update = &plan.families[0].updates[0].metadata;
    assert!(update.resource_version.is_some(), "on the revision that was observed");
    fixture.apply(&plan);
    assert_eq!(fixture.only()["metadata"]["annotations"], json!({"who": "somebody"}));
    assert_eq!(fixture.only()["metadata"]["finalizers"], json!(["a/b"]));
    fixture.pods(&[pod(1, &[serves(81)])]);
    let plan = fixture.plan().unwrap();
    let update = &plan.families[0].updates[0].metadata;
    assert!(update.resource_version.is_none() && update.uid.is_some(), "whatever it has become, but no other slice");
    fixture.apply(&plan);
    assert_eq!(fixture.only()["metadata"].get("annotations").and_then(|set| set.get("who")), None);
}

#[test]
fn the_trigger_time_is_on_what_is_written_and_goes_with_the_next_write() {
    let time = |time: &str| {
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": time});
        ("/status/conditions", json!([ready]))
    };
    let mut fixture = synced(&[], &[pod(1, &[])]);
    let annotation = |fixture: &Fixture| {
        let annotations = fixture.only()["metadata"].get("annotations").cloned().unwrap_or_default();
        annotations["endpoints.kubernetes.io/last-change-trigger-time"].as_str().map(str::to_owned)
    };
    assert_eq!(annotation(&fixture).as_deref(), Some("2026-01-01T00:00:00Z"), "the Service's creation");
    fixture.pods(&[pod(1, &[]), pod(2, &[time("2026-01-02T00:00:02Z")]), pod(3, &[time("2026-01-02T00:00:01Z")])]);
    fixture.sync();
    assert_eq!(annotation(&fixture).as_deref(), Some("2026-01-02T00:00:01Z"), "the earliest change");
    fixture.service(&service(&[("/metadata/labels/team", json!("b"))]));
    fixture.sync();
    assert_eq!(annotation(&fixture), None, "no pod has moved");
}

#[test]
fn mirrored_and_hand_written_slices_are_not_looked_at() {
    let mut fixture = Fixture::new();
    fixture.service(&service(&[("/spec/selector", Value::Null)]));
    fixture.pods(&[pod(1, &[])]);
    assert_eq!(fixture.plan(), None);
    fixture.service(&service(&[("/spec/type", json!("ExternalName"))]));
    assert_eq!(fixture.plan(), None);
}

#[test]
fn a_service_that_loses_its_selector_keeps_its_slices() {
    for lost in [("/spec/selector", Value::Null), ("/spec/type", json!("ExternalName"))] {
        let mut fixture = synced(&[], &[pod(1, &[])]);
        fixture.service(&service(&[lost]));
        fixture.pods(&[]);
        assert_eq!(fixture.sync(), "nothing");
        assert_eq!(fixture.lines(), ["IPv4 [8080] 1rs-"]);
        fixture.service(&service(&[]));
        assert_eq!(fixture.sync(), "+0 ~1 -0", "and takes them up again");
    }
}

#[test]
fn hints_that_fail_are_a_plan_of_their_own() {
    let auto = ("/metadata/annotations", json!({"service.kubernetes.io/topology-mode": "Auto"}));
    let mut fixture = synced(&[auto], &[pod(1, &[])]);
    let plan = fixture.plan().unwrap();
    assert!(plan.families.iter().all(|family| family.writes() == 0) && !plan.is_empty());
    assert_eq!(plan.events[0].0, Reason::TopologyAwareHintsDisabled);
}

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    /// The pods, by number: port (zero is one that is not declared), readiness, node (3 does not exist).
    Pods(BTreeMap<u8, (u16, bool, u8)>),
    /// Families, labels, hints.
    Service(u8, bool, u8),
    /// Somebody else empties, repeats, relabels, re-owns or deletes a slice.
    Slice(usize, u8),
    /// The zones of the nodes.
    Nodes(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let port = prop_oneof![4 => Just(8080_u16), 1 => Just(81), 1 => Just(0)];
    let node = prop_oneof![3 => Just(1_u8), 3 => Just(2), 1 => Just(3)];
    let pods = prop::collection::btree_map(1_u8..40, (port, any::<bool>(), node), 0..30);
    let step = prop_oneof![
        4 => pods.prop_map(Step::Pods),
        2 => (0_u8..3, any::<bool>(), 0_u8..4).prop_map(|(families, labels, hints)| Step::Service(families, labels, hints)),
        2 => (any::<usize>(), 0_u8..5).prop_map(|(which, how)| Step::Slice(which, how)),
        1 => any::<bool>().prop_map(Step::Nodes),
    ];
    prop::collection::vec(step, 1..12)
}

fn made(pods: &BTreeMap<u8, (u16, bool, u8)>) -> Vec<Value> {
    let one = |(number, (port, ready, node)): (&u8, &(u16, bool, u8))| {
        let ports = if *port == 0 { ("/spec/containers", json!([])) } else { serves(*port) };
        let mut changes = vec![ports, ("/spec/nodeName", json!(format!("node-{node}")))];
        changes.extend((!ready).then(not_ready));
        pod(*number, &changes)
    };
    pods.iter().map(one).collect()
}

fn meddle(fixture: &mut Fixture, which: usize, how: u8) {
    if fixture.slices.is_empty() {
        return;
    }
    let name = fixture.slices.keys().nth(which % fixture.slices.len()).unwrap().clone();
    let slice = fixture.slices[&name].clone();
    match how {
        0 => drop(fixture.write(changed(slice, &[("/endpoints", json!([]))]))),
        1 => drop(fixture.write(changed(
            slice,
            &[("/metadata/name", json!(format!("{name}-again"))), ("/metadata/uid", Value::Null)],
        ))),
        2 => drop(fixture.write(changed(slice, &[("/metadata/labels/team", json!("x"))]))),
        3 => drop(fixture.write(changed(slice, &[("/metadata/ownerReferences", Value::Null)]))),
        _ => drop(fixture.delete(&name)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// After any history, others' meddling included: one sync leads to exactly the wanted endpoints in slices that are
    /// not too full, and nothing is left to write.
    #[test]
    fn every_plan_leads_to_what_is_wanted(steps in steps(), max in 1_usize..7) {
        let mut fixture = Fixture::with_max(max);
        fixture.service(&service(&[]));
        let (mut families, mut pods) = (vec![Family::V4], BTreeMap::new());
        for step in steps {
            match step {
                Step::Pods(next) => {
                    fixture.pods(&made(&next));
                    pods = next;
                }
                Step::Service(which, labels, hints) => {
                    let names = [&["IPv4"][..], &["IPv6"], &["IPv4", "IPv6"]][usize::from(which)];
                    families = names.iter().map(|name| name.parse().unwrap()).collect();
                    let annotations = json!({"service.kubernetes.io/topology-mode": "Auto"});
                    let hints = match hints {
                        0 => vec![],
                        1 => vec![("/spec/trafficDistribution", json!("PreferClose"))],
                        2 => vec![("/spec/trafficDistribution", json!("PreferSameNode"))],
                        _ => vec![("/metadata/annotations", annotations)],
                    };
                    let changes = [("/spec/ipFamilies", json!(names)), ("/metadata/labels/team", json!(if labels { "a" } else { "b" }))];
                    fixture.service(&service(&[changes.to_vec(), hints].concat()));
                }
                Step::Slice(which, how) => meddle(&mut fixture, which, how),
                Step::Nodes(zoned) => {
                    let zone = if zoned { "b" } else { "a" };
                    fixture.nodes(&[node("node-1", "a", "4"), node("node-2", zone, "2")]);
                }
            }
            if let Some(plan) = fixture.plan() {
                fixture.apply(&plan);
            }
            let skipped = pods.values().filter(|(_, _, node)| *node == 3).count();
            check(&fixture, &families, pods.len() - skipped, max);
            let left = fixture.plan();
            let writes: usize = left.iter().flat_map(|plan| &plan.families).map(FamilyPlan::writes).sum();
            prop_assert_eq!(writes, 0, "planning again: {:#?}", left);
            prop_assert_eq!(left.map_or(0, |plan| plan.skipped.len()), skipped);
        }
    }
}
