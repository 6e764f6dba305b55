#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Service};
use portolan_cloud::{self as cloud, Class};
use serde_json::{Value, json};

use super::plan::{FINALIZER, Plan, Synced, is_news, plan};
use super::spec;

/// A Service of type LoadBalancer with the finalizer, changed by a merge of `change`.
fn service(change: Value) -> Arc<Service> {
    let mut whole = json!({
        "metadata": {"namespace": "shop", "name": "web", "uid": "1", "finalizers": [FINALIZER]},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}], "selector": {"app": "web"}},
    });
    merge(&mut whole, change);
    Arc::new(serde_json::from_value(whole).unwrap())
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

fn node(name: &str, change: Value) -> Node {
    let mut whole = json!({
        "metadata": {"name": name},
        "status": {"addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": "172.30.0.11"}]},
    });
    merge(&mut whole, change);
    serde_json::from_value(whole).unwrap()
}

fn nodes(names: &[&str]) -> Vec<cloud::Node> {
    names.iter().filter_map(|name| spec::eligible(&node(name, json!({})))).collect()
}

fn synced(service: &Arc<Service>, nodes: Vec<cloud::Node>) -> Synced {
    Synced { service: service.clone(), nodes, in_doubt: false }
}

fn word(plan: Option<Plan>) -> &'static str {
    match plan {
        None => "nothing",
        Some(Plan::Ensure { .. }) => "ensure",
        Some(Plan::UpdateNodes { .. }) => "nodes",
        Some(Plan::Cleanup { .. }) => "clean up",
        Some(Plan::Abandoned { .. }) => "abandoned",
    }
}

#[test]
fn each_state_of_a_service_has_its_step() {
    let plain = service(json!({}));
    let given = synced(&plain, nodes(&["node-1"]));
    let doubtful = Synced { in_doubt: true, ..given.clone() };
    let deleting = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let no_finalizer = json!({"metadata": {"finalizers": []}});
    let (one, two) = (nodes(&["node-1"]), nodes(&["node-1", "node-2"]));
    let rows = [
        ("new", Some(service(no_finalizer.clone())), None, &one, "ensure"),
        ("after a restart", Some(plain.clone()), None, &one, "ensure"),
        ("unchanged", Some(plain.clone()), Some(&given), &one, "nothing"),
        ("label changed", Some(service(json!({"metadata": {"labels": {"a": "b"}}}))), Some(&given), &one, "nothing"),
        ("selector changed", Some(service(json!({"spec": {"selector": {"app": "x"}}}))), Some(&given), &one, "nothing"),
        (
            "annotation changed",
            Some(service(json!({"metadata": {"annotations": {"a": "b"}}}))),
            Some(&given),
            &one,
            "ensure",
        ),
        ("port changed", Some(service(json!({"spec": {"ports": [{"port": 81}]}}))), Some(&given), &one, "ensure"),
        (
            "policy changed",
            Some(service(json!({"spec": {"externalTrafficPolicy": "Local"}}))),
            Some(&given),
            &one,
            "ensure",
        ),
        ("in doubt", Some(plain.clone()), Some(&doubtful), &one, "ensure"),
        ("other nodes", Some(plain.clone()), Some(&given), &two, "nodes"),
        ("in doubt and other nodes", Some(plain.clone()), Some(&doubtful), &two, "ensure"),
        ("being deleted", Some(service(deleting.clone())), Some(&given), &one, "clean up"),
        ("being deleted, restarted", Some(service(deleting)), None, &one, "clean up"),
        ("other type", Some(service(json!({"spec": {"type": "ClusterIP"}}))), Some(&given), &one, "clean up"),
        (
            "other type, finalizer forced off",
            Some(service(json!({"metadata": {"finalizers": []}, "spec": {"type": "ClusterIP"}}))),
            Some(&given),
            &one,
            "clean up",
        ),
        (
            "classed",
            Some(service(json!({"metadata": {"finalizers": []}, "spec": {"loadBalancerClass": "x/y"}}))),
            None,
            &one,
            "nothing",
        ),
        ("gone", None, Some(&given), &one, "abandoned"),
        ("never known", None, None, &one, "nothing"),
        ("same name, new UID", Some(service(json!({"metadata": {"uid": "2"}}))), Some(&given), &one, "abandoned"),
    ];
    for (name, current, synced, nodes, expected) in rows {
        assert_eq!(word(plan(current.as_ref(), synced, nodes)), expected, "{name}");
    }
}

#[test]
fn only_what_matters_cuts_a_back_off_short() {
    let plain = service(json!({}));
    let rows = [
        (json!({"metadata": {"labels": {"a": "b"}}}), false),
        (json!({"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}), false),
        (json!({"spec": {"internalTrafficPolicy": "Local"}}), false),
        (json!({"spec": {"loadBalancerIP": "203.0.113.9"}}), true),
        (json!({"spec": {"loadBalancerSourceRanges": ["10.0.0.0/8"]}}), true),
        (json!({"spec": {"sessionAffinity": "ClientIP"}}), true),
        (json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), true),
        (json!({"spec": {"type": "NodePort"}}), true),
    ];
    for (change, expected) in rows {
        assert_eq!(is_news(Some(&plain), Some(&service(change.clone()))), expected, "{change}");
    }
    let cluster_ip = service(json!({"metadata": {"finalizers": []}, "spec": {"type": "ClusterIP"}}));
    assert!(!is_news(None, Some(&cluster_ip)));
    assert!(is_news(None, Some(&plain)) && is_news(Some(&plain), None));
}

#[test]
fn nodes_take_part_unless_they_leave_or_are_labelled() {
    let excluded = |value: &str| json!({"metadata": {"labels": {"node.kubernetes.io/exclude-from-external-load-balancers": value}}});
    let rows = [
        (json!({}), true),
        (excluded(""), false),
        (excluded("true"), false),
        (excluded("nonsense"), false),
        (excluded("false"), true),
        (json!({"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}}), false),
        (json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), false),
        (json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}), true),
    ];
    for (change, expected) in rows {
        let found = spec::eligible(&node("node-1", change.clone()));
        assert_eq!(found.is_some(), expected, "{change}");
        assert!(found.is_none_or(|node| node.address == Some([172, 30, 0, 11].into())));
    }
}

#[test]
fn the_provider_is_asked_for_what_the_service_says() {
    let full = service(json!({"spec": {
        "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000, "loadBalancerIP": "203.0.113.9",
        "loadBalancerSourceRanges": ["10.0.0.0/8 ", "192.0.2.0/24"],
        "ports": [{"name": "dns", "protocol": "UDP", "port": 53, "nodePort": 30053}, {"name": "web", "port": 80}],
    }}));
    let wanted = spec::balancer(&full, Vec::new()).unwrap();
    assert_eq!(wanted.health_check_port, Some(31000));
    assert_eq!(wanted.requested, Some([203, 0, 113, 9].into()));
    assert_eq!(wanted.source_ranges.len(), 2);
    assert_eq!(wanted.ports.iter().map(|port| port.node_port).collect::<Vec<_>>(), [Some(30053), None]);
    let annotated = service(json!({"metadata": {"annotations": {
        "service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8,192.0.2.0/24",
    }}}));
    assert_eq!(spec::balancer(&annotated, Vec::new()).unwrap().source_ranges.len(), 2);
    let wrong = service(json!({"spec": {"loadBalancerIP": "here"}}));
    let refused = spec::balancer(&wrong, Vec::new()).unwrap_err();
    assert_eq!(refused.class, Class::Invalid);
    assert!(refused.message.contains("spec.loadBalancerIP"), "{refused}");
}
