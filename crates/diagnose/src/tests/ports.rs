//! The Service's ports against the pods' and, without a selector, against the slices'.

use serde_json::{Value, json};

use super::{diagnose, fixture::Cluster, proven, silent, state};
use crate::{LinkId, State};

fn ports(declared: Value) -> Value {
    json!({"spec": {"containers": [{"name": "app", "image": "web", "ports": declared}]}})
}

/// Half of the pods belong to another Deployment and declare other ports.
fn two_workloads(declared: Value) -> Cluster {
    let owner =
        json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "old", "uid": "o", "controller": true}]);
    let mut other = ports(declared);
    other["metadata"] = json!({"ownerReferences": owner});
    Cluster::healthy().owned().pod_object(2, other)
}

#[test]
fn a_name_counts_together_with_its_protocol() {
    let udp =
        Cluster::healthy().every_pod_object(ports(json!([{"name": "http", "containerPort": 8080, "protocol": "UDP"}])));
    let diagnosis = diagnose(&udp.snapshot());
    proven(&diagnosis, "target-port-protocol-mismatch", LinkId::Ports);
    let finding = diagnosis.cause().unwrap();
    assert_eq!(finding.title.en, "port 80 leads to http by TCP, but the containers declare http for UDP only");
    assert!(finding.remedies[0].commands[0].contains("/spec/ports/0/protocol"));
    let both = json!([
        {"name": "http", "containerPort": 8080, "protocol": "UDP"}, {"name": "http", "containerPort": 8080},
    ]);
    silent(&diagnose(&Cluster::healthy().every_pod_object(ports(both)).snapshot()));
}

#[test]
fn a_workload_without_the_name_is_left_out_for_good() {
    let slice = json!({"ports": [{"name": "", "port": 8080, "protocol": "TCP"}]});
    let lacking = two_workloads(json!([{"name": "web", "containerPort": 8080}])).slice(slice.clone());
    let diagnosis = diagnose(&lacking.snapshot());
    proven(&diagnosis, "target-port-partly-declared", LinkId::Ports);
    assert!(diagnosis.cause().unwrap().title.en.contains("by the pods of statefulset/old (1 of 3)"));
    // A rollout renames it: some pods of one workload have it already.
    let renamed = Cluster::healthy().owned().pod_object(2, ports(json!([{"name": "web", "containerPort": 8080}])));
    let diagnosis = diagnose(&renamed.snapshot());
    silent(&diagnosis);
    assert!(diagnosis.hints[0].en.contains("not declared by 1 of 3 pods"), "{:?}", diagnosis.hints);
}

#[test]
fn a_name_that_only_unready_pods_have_is_a_fault() {
    let unready =
        json!({"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-07-01T11:30:00Z"}]});
    let other = ports(json!([{"name": "web", "containerPort": 8080}]));
    let cluster = Cluster::healthy()
        .owned()
        .pod(0, unready)
        .endpoint_ready(0, false)
        .pod_object(1, other.clone())
        .pod_object(2, other);
    let diagnosis = diagnose(&cluster.snapshot());
    proven(&diagnosis, "target-port-partly-declared", LinkId::Ports);
    assert!(diagnosis.cause().unwrap().title.en.contains("only by pods that are not ready"));
}

#[test]
fn one_name_may_stand_for_different_numbers() {
    let mut cluster = two_workloads(json!([{"name": "http", "containerPort": 8081}]));
    let endpoint = json!({"addresses": ["10.244.1.2"], "nodeName": "node-0", "conditions": {"ready": true}});
    let labels = json!({"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"});
    cluster = cluster.another_slice(json!({"metadata": {"labels": labels}, "endpoints": [endpoint],
        "ports": [{"name": "", "port": 8081, "protocol": "TCP"}]}));
    let mut snapshot = cluster.snapshot();
    snapshot.slices[0].endpoints.as_mut().unwrap().retain(|endpoint| endpoint.addresses[0] != "10.244.1.2");
    silent(&diagnose(&snapshot));
}

#[test]
fn each_broken_port_is_told_and_the_others_are_not() {
    let two = json!([
        {"name": "http", "port": 80, "targetPort": "http"}, {"name": "metrics", "port": 9090, "targetPort": "metrics"},
    ]);
    let slice = json!({"ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]});
    let diagnosis = diagnose(&Cluster::healthy().spec(json!({"ports": two})).slice(slice).snapshot());
    proven(&diagnosis, "target-port-not-declared", LinkId::Ports);
    assert!(diagnosis.cause().unwrap().title.en.contains("port 9090 leads to targetPort metrics"));
}

#[test]
fn headless_services_need_no_names() {
    let ports = json!([{"port": 8080, "targetPort": "nothing", "protocol": "TCP"}]);
    let headless = Cluster::healthy().spec(json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": ports}));
    let diagnosis = diagnose(&headless.snapshot());
    assert_eq!(state(&diagnosis, LinkId::Ports), State::Ok, "{diagnosis:#?}");
}

#[test]
fn ports_by_hand_are_matched_by_name() {
    let named = |service: Value, slice: Value| {
        Cluster::healthy()
            .spec(json!({"selector": null, "ports": [{"name": service, "port": 80, "protocol": "TCP"}]}))
            .slice(json!({"ports": [{"name": slice, "port": 5432, "protocol": "TCP"}]}))
    };
    silent(&diagnose(&named(json!("sql"), json!("sql")).snapshot()));
    silent(&diagnose(&named(json!(null), json!("")).snapshot()));
    for cluster in [named(json!("sql"), json!("")), named(json!(null), json!("sql"))] {
        let diagnosis = diagnose(&cluster.snapshot());
        proven(&diagnosis, "slice-ports-mismatch", LinkId::Ports);
    }
    let every_port = named(json!("sql"), json!("sql")).slice(json!({"ports": [{"name": "sql", "protocol": "TCP"}]}));
    proven(&diagnose(&every_port.snapshot()), "slice-ports-mismatch", LinkId::Ports);
}
