//! What each rule says of a state, and of one beside it.
#![allow(clippy::unwrap_used)]

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use portolan_diagnose::Scope;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A Service `shop/web` on one pod, with an Endpoints object of these subsets.
fn snapshot(target: &Value, subsets: Option<Value>) -> Snapshot {
    let mut snapshot = Snapshot::empty(Time(Timestamp::UNIX_EPOCH), Scope::Cluster);
    let metadata = json!({"namespace": "shop", "name": "web", "labels": {"app": "web"}});
    snapshot.services = vec![object(json!({
        "metadata": metadata, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": target}]},
    }))];
    let ports = json!([{"name": "http", "containerPort": 8080}]);
    snapshot.pods =
        vec![object(json!({"metadata": metadata, "spec": {"containers": [{"name": "echo", "ports": ports}]}}))];
    snapshot.endpoints =
        subsets.map(|subsets| object(json!({"metadata": metadata, "subsets": subsets}))).into_iter().collect();
    snapshot
}

fn said(baseline: usize, snapshot: &Snapshot) -> Vec<Statement> {
    ALL[baseline].look(snapshot, &ObjectKey::new("shop", "web"))
}

const K8SGPT: usize = 0;
const POPEYE: usize = 1;

#[test]
fn a_service_that_is_well_gets_no_word() {
    let well = snapshot(&json!("http"), Some(json!([{"addresses": [{"ip": "10.0.0.1"}]}])));
    assert_eq!(said(K8SGPT, &well), []);
    assert_eq!(said(POPEYE, &well), []);
}

#[test]
fn empty_endpoints_name_the_labels_to_one_and_only_a_symptom_to_the_other() {
    let mut empty = snapshot(&json!(8080), Some(json!([])));
    assert_eq!(said(K8SGPT, &empty)[0].causes, NO_POD);
    assert_eq!(said(POPEYE, &empty)[0].causes, [""; 0]);
    empty.pods.clear();
    assert_eq!(said(POPEYE, &empty)[0].causes, NO_POD);
    empty.endpoints[0].metadata.annotations =
        Some([("control-plane.alpha.kubernetes.io/leader".to_owned(), String::new())].into());
    assert_eq!(said(K8SGPT, &empty), [], "a record of a leader election");
}

#[test]
fn without_an_endpoints_object_one_sees_nothing_and_the_other_says_so() {
    let none = snapshot(&json!(8080), None);
    assert_eq!(said(K8SGPT, &none), []);
    assert_eq!(said(POPEYE, &none)[0].causes, ["endpoints-disagree"]);
}

#[test]
fn waiting_pods_and_warnings_are_told() {
    let waiting = json!([{"notReadyAddresses": [{"ip": "10.0.0.1", "targetRef": {"kind": "Pod", "name": "web"}}]}]);
    let mut snapshot = snapshot(&json!("http"), Some(waiting));
    let about = json!({"kind": "Service", "namespace": "shop", "name": "web"});
    let event = |kind: &str, reason: &str| {
        object(
            json!({"metadata": {"namespace": "shop", "name": reason}, "involvedObject": about, "type": kind, "reason": reason}),
        )
    };
    snapshot.events = vec![event("Warning", "SyncLoadBalancerFailed"), event("Normal", "EnsuringLoadBalancer")];
    let statements = said(K8SGPT, &snapshot);
    assert_eq!(statements.len(), 2);
    assert_eq!(statements[0].causes, ["pods-not-ready"]);
    assert!(statements[1].causes.contains(&"load-balancer-throttled"));
}

#[test]
fn ports_are_compared_by_protocol_with_name_and_number() {
    let subsets = Some(json!([{"addresses": [{"ip": "10.0.0.1"}]}]));
    for (target, fits) in [(json!("http"), true), (json!(8080), true), (json!("web"), false), (json!(9090), false)] {
        assert_eq!(said(POPEYE, &snapshot(&target, subsets.clone())).is_empty(), fits, "{target}");
    }
    let mut udp = snapshot(&json!("http"), subsets);
    udp.services[0].spec.as_mut().unwrap().ports.as_mut().unwrap()[0].protocol = Some("UDP".to_owned());
    assert_eq!(said(POPEYE, &udp).len(), 1);
}
