#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn service(name: &str, spec: Value) -> Service {
    serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": name, "uid": name}, "spec": spec})).unwrap()
}

fn node_port(name: &str, ports: &[i32]) -> Service {
    let ports: Vec<Value> = ports.iter().map(|port| json!({"port": 80, "nodePort": port})).collect();
    service(name, json!({"type": "NodePort", "clusterIP": "10.96.0.1", "ports": ports}))
}

fn index(services: Vec<Service>) -> Index {
    let mut index = Index::new(30000..=30010);
    take(&mut index, Change::Reset(services));
    index
}

fn take(index: &mut Index, change: Change<Service>) -> Vec<String> {
    let mut dirty = Vec::new();
    index.take(Input::Service(Box::new(change)), &mut dirty);
    dirty.into_iter().map(|key| key.name).collect()
}

fn problems(index: &Index, name: &str) -> Vec<Problem> {
    index.plan(&ObjectKey::new("shop", name)).map(|plan| plan.problems).unwrap_or_default()
}

#[test]
fn ports_outside_the_range_are_named() {
    let index = index(vec![node_port("a", &[30000, 30010]), node_port("b", &[29999, 30011])]);
    assert_eq!(problems(&index, "a"), []);
    assert_eq!(problems(&index, "b"), [Problem::OutOfRange(29999), Problem::OutOfRange(30011)]);
    let (reason, note) = index.describe(Problem::OutOfRange(29999));
    assert_eq!(reason, Reason::PortOutOfRange);
    assert_eq!(note, "Port 29999 is not within the port range 30000-30010; please recreate service");
}

#[test]
fn the_first_holder_keeps_a_port() {
    let mut index = index(vec![node_port("b", &[30001, 30001]), node_port("c", &[30001]), node_port("d", &[30002])]);
    assert_eq!(problems(&index, "b"), [], "twice in one Service is not several Services");
    assert_eq!(problems(&index, "c"), [Problem::Shared(30001)]);
    assert_eq!(problems(&index, "d"), []);
    let (reason, note) = index.describe(Problem::Shared(30001));
    assert_eq!(reason, Reason::PortAlreadyAllocated);
    assert_eq!(note, "Port 30001 was assigned to multiple services; please recreate service");
    assert_eq!(take(&mut index, Change::Delete(node_port("b", &[]))), ["c"]);
    assert_eq!(problems(&index, "c"), []);
}

#[test]
fn a_health_check_port_counts_as_well() {
    let balancer = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30003,
        "ports": [{"port": 80, "nodePort": 30004}]});
    let index = index(vec![node_port("a", &[30003]), service("b", balancer)]);
    assert_eq!(problems(&index, "b"), [Problem::Shared(30003)]);
}

#[test]
fn only_changed_holdings_are_looked_at() {
    let mut index = index(vec![node_port("a", &[30001])]);
    let mut relabelled = node_port("a", &[30001]);
    relabelled.metadata.labels = Some([("x".to_string(), "y".to_string())].into());
    relabelled.metadata.resource_version = Some("7".into());
    assert_eq!(take(&mut index, Change::Apply(relabelled)), [""; 0]);
    assert_eq!(take(&mut index, Change::Apply(node_port("a", &[30002]))), ["a"]);
    let mut dirty = Vec::new();
    index.take(Input::Again, &mut dirty);
    assert_eq!(dirty.len(), 1, "every few minutes all of them");
    assert_eq!(take(&mut index, Change::Reset(Vec::new())), [""; 0]);
    assert!(index.holders.is_empty());
}
