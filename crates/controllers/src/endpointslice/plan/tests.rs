#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::Protocol;
use portolan_objects::ports::Port;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::endpointslice::desired;

fn service(families: &[&str]) -> Arc<Service> {
    Arc::new(
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "web", "uid": "uid-web", "labels": {"team": "a"}},
            "spec": {"ipFamilies": families, "clusterIP": "10.96.0.9", "ports": [{"port": 80, "targetPort": "http"}]},
        }))
        .unwrap(),
    )
}

/// A pod that serves `http` on `port`; zero is a pod that does not declare it.
fn pod(number: u8, port: u16, ready: bool) -> Arc<Pod> {
    let ports = if port == 0 { json!([]) } else { json!([{"name": "http", "containerPort": port}]) };
    let status = if ready { "True" } else { "False" };
    let ips = json!([{"ip": format!("10.244.0.{number}")}, {"ip": format!("fd00::{number:x}")}]);
    Arc::new(
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": format!("web-{number:03}"), "uid": format!("uid-{number}")},
            "spec": {"nodeName": "node-1", "containers": [{"name": "a", "ports": ports}]},
            "status": {"podIPs": ips, "conditions": [{"type": "Ready", "status": status}]},
        }))
        .unwrap(),
    )
}

fn desired_of(service: &Service, pods: &[Arc<Pod>]) -> Desired {
    desired::desired(service, pods, &HashMap::from([("node-1".to_owned(), None)]))
}

/// The API as the planner needs it: names, UIDs and revisions.
#[derive(Debug, Default)]
struct Cluster {
    slices: Vec<Arc<EndpointSlice>>,
    counter: u64,
}

impl Cluster {
    fn apply(&mut self, plan: &SlicePlan) {
        for slice in &plan.creates {
            self.counter += 1;
            let mut slice = slice.clone();
            let prefix = slice.metadata.generate_name.clone().unwrap();
            slice.metadata.name = Some(format!("{prefix}{:05}", self.counter));
            slice.metadata.uid = Some(format!("uid-slice-{}", self.counter));
            self.slices.push(Arc::new(slice));
        }
        for slice in &plan.updates {
            let held = self.slices.iter_mut().find(|held| held.metadata.name == slice.metadata.name).unwrap();
            assert_eq!(held.address_type, slice.address_type, "the API does not allow this");
            *held = Arc::new(slice.clone());
        }
        let gone: BTreeSet<_> = plan.deletes.iter().map(|slice| slice.metadata.name.clone()).collect();
        self.slices.retain(|slice| !gone.contains(&slice.metadata.name));
    }

    fn plan(&self, service: &Arc<Service>, pods: &[Arc<Pod>], max: usize) -> SlicePlan {
        plan(service, desired_of(service, pods), &self.slices, None, max)
    }

    /// Plans and applies; the plan's verbs in short.
    fn sync(&mut self, service: &Arc<Service>, pods: &[Arc<Pod>]) -> String {
        let plan = self.plan(service, pods, 100);
        self.apply(&plan);
        format!("+{} ~{} -{}", plan.creates.len(), plan.updates.len(), plan.deletes.len())
    }
}

#[test]
fn a_new_service_without_pods_gets_one_empty_slice_per_family() {
    let service = service(&["IPv4", "IPv6"]);
    let mut cluster = Cluster::default();
    assert_eq!(cluster.sync(&service, &[]), "+2 ~0 -0");
    let slice = &cluster.slices[0];
    assert_eq!(slice.address_type, "IPv4");
    assert_eq!(slice.metadata.generate_name.as_deref(), Some("web-"));
    assert_eq!(slice.endpoints.as_ref().map(Vec::len), Some(0));
    let labels: Vec<_> = slice.metadata.labels.clone().unwrap().into_iter().collect();
    let expected = [
        ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"),
        ("kubernetes.io/service-name", "web"),
        ("team", "a"),
    ];
    assert_eq!(labels, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let owner = &slice.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.uid.as_str(), owner.controller), ("Service", "uid-web", Some(true)));
    assert_eq!(cluster.sync(&service, &[]), "+0 ~0 -0");
}

#[test]
fn scaling_up_and_down_reuses_the_placeholder() {
    let service = service(&["IPv4"]);
    let mut cluster = Cluster::default();
    cluster.sync(&service, &[]);
    assert_eq!(cluster.sync(&service, &[pod(1, 80, true), pod(2, 80, true)]), "+0 ~1 -0");
    assert_eq!(cluster.slices[0].ports.as_ref().unwrap()[0].port, Some(80));
    assert_eq!(cluster.sync(&service, &[]), "+0 ~1 -0", "back to the placeholder, in the same object");
    assert_eq!(cluster.slices[0].ports, Some(vec![]));
}

#[test]
fn different_resolutions_of_a_named_port_are_different_slices() {
    let service = service(&["IPv4"]);
    let mut cluster = Cluster::default();
    assert_eq!(cluster.sync(&service, &[pod(1, 80, true), pod(2, 81, true), pod(3, 0, true)]), "+3 ~0 -0");
    let ports: BTreeSet<_> = cluster.slices.iter().map(|slice| PortSet::of_slice(slice)).collect();
    let port = |number| Port { number: Some(number), protocol: Protocol::Tcp, ..Port::default() };
    let expected: [PortSet; 3] =
        [PortSet::default(), [port(80)].into_iter().collect(), [port(81)].into_iter().collect()];
    assert_eq!(ports, BTreeSet::from(expected));
    assert_eq!(cluster.sync(&service, &[pod(2, 81, true)]), "+0 ~0 -2");
}

#[test]
fn labels_follow_the_service_but_reserved_ones_alone_are_no_reason() {
    let mut changed = (*service(&["IPv4"])).clone();
    let mut cluster = Cluster::default();
    cluster.sync(&service(&["IPv4"]), &[pod(1, 80, true)]);
    changed.spec.as_mut().unwrap().cluster_ip = Some("None".into());
    assert_eq!(cluster.sync(&Arc::new(changed.clone()), &[pod(1, 80, true)]), "+0 ~0 -0");
    changed.metadata.labels.as_mut().unwrap().insert("team".into(), "b".into());
    assert_eq!(cluster.sync(&Arc::new(changed), &[pod(1, 80, true)]), "+0 ~1 -0");
    let labels = cluster.slices[0].metadata.labels.clone().unwrap();
    assert_eq!(labels.get("team").map(String::as_str), Some("b"));
    assert_eq!(labels.get(labels::HEADLESS).map(String::as_str), Some(""));
}

#[test]
fn slices_of_an_earlier_service_and_of_other_families_go() {
    let mut cluster = Cluster::default();
    cluster.sync(&service(&["IPv4", "IPv6"]), &[pod(1, 80, true)]);
    let mut again = (*service(&["IPv4"])).clone();
    assert_eq!(cluster.sync(&Arc::new(again.clone()), &[pod(1, 80, true)]), "+0 ~0 -1");
    again.metadata.uid = Some("another".into());
    assert_eq!(cluster.sync(&Arc::new(again), &[pod(1, 80, true)]), "+1 ~0 -1", "not recycled");
}

#[test]
fn a_service_under_deletion_gets_no_new_slices() {
    let mut going = (*service(&["IPv4"])).clone();
    going.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    let going = Arc::new(going);
    let mut cluster = Cluster::default();
    assert_eq!(cluster.sync(&going, &[pod(1, 80, true)]), "+0 ~0 -0");
    cluster.sync(&service(&["IPv4"]), &[pod(1, 80, true)]);
    assert_eq!(cluster.sync(&going, &[pod(1, 80, false)]), "+0 ~1 -0");
}

#[test]
fn the_trigger_time_is_on_what_is_written_and_goes_with_the_next_write() {
    let service = service(&["IPv4"]);
    let mut cluster = Cluster::default();
    let time = "2026-01-02T03:04:05.678Z".parse().unwrap();
    let first = plan(&service, desired_of(&service, &[pod(1, 80, true)]), &[], Some(time), 100);
    let annotation = |slice: &EndpointSlice| slice.metadata.annotations.as_ref()?.get(labels::TRIGGER_TIME).cloned();
    assert_eq!(annotation(&first.creates[0]).as_deref(), Some("2026-01-02T03:04:05.678Z"));
    cluster.apply(&first);
    let second = cluster.plan(&service, &[pod(1, 80, false)], 100);
    assert_eq!(annotation(&second.updates[0]), None);
}

#[test]
fn skipped_pods_are_a_plan_of_their_own() {
    let service = service(&["IPv4"]);
    let mut cluster = Cluster::default();
    cluster.sync(&service, &[]);
    let desired = desired::desired(&service, &[pod(1, 80, true)], &HashMap::new());
    let plan = plan(&service, desired, &cluster.slices, None, 100);
    assert!(plan.creates.is_empty() && plan.updates.is_empty() && plan.deletes.is_empty());
    assert!(!plan.is_empty(), "it has to be reported and tried again");
}

fn pods() -> impl Strategy<Value = Vec<Arc<Pod>>> {
    let port = prop_oneof![4 => Just(80_u16), 1 => Just(81), 1 => Just(0)];
    prop::collection::btree_map(1_u8..40, (port, any::<bool>()), 0..30)
        .prop_map(|pods| pods.into_iter().map(|(number, (port, ready))| pod(number, port, ready)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// After any history: exactly the wanted endpoints, in slices that are not too full, and nothing left to plan.
    #[test]
    fn every_plan_leads_to_what_is_wanted(
        history in prop::collection::vec((pods(), 1_usize..4), 1..6),
        max in 1_usize..7,
    ) {
        let mut cluster = Cluster::default();
        for (pods, families) in history {
            let service = service(&["IPv4", "IPv6"][..families.min(2)]);
            let plan = cluster.plan(&service, &pods, max);
            cluster.apply(&plan);
            prop_assert!(cluster.plan(&service, &pods, max).is_empty(), "planning again gives nothing");
            check(&cluster, &desired_of(&service, &pods), max)?;
        }
    }
}

fn check(cluster: &Cluster, desired: &Desired, max: usize) -> Result<(), TestCaseError> {
    let addresses = |endpoint: &Endpoint| endpoint.addresses.join(",");
    let mut found = Vec::new();
    for slice in &cluster.slices {
        let endpoints = slice.endpoints.as_deref().unwrap_or_default();
        prop_assert!(endpoints.len() <= max);
        let ports = PortSet::of_slice(slice);
        found.extend(endpoints.iter().map(|e| (slice.address_type.clone(), ports.clone(), addresses(e))));
        prop_assert!(!endpoints.is_empty() || ports.is_empty(), "an empty slice is a placeholder");
    }
    found.sort();
    let mut wanted = Vec::new();
    for (family, sets) in &desired.families {
        let all = sets.iter().flat_map(|(ports, endpoints)| endpoints.iter().map(move |e| (ports, e)));
        wanted.extend(all.map(|(ports, e)| (family.to_string(), ports.clone(), addresses(e))));
        let slices = cluster.slices.iter().filter(|slice| slice.address_type == family.to_string());
        let empty = slices.clone().filter(|slice| slice.endpoints.as_ref().is_none_or(Vec::is_empty)).count();
        let nothing = sets.values().all(Vec::is_empty);
        prop_assert_eq!(empty, usize::from(nothing), "one placeholder, and only if there is nothing else");
        prop_assert!(slices.count() > 0);
    }
    wanted.sort();
    prop_assert_eq!(found, wanted);
    Ok(())
}
