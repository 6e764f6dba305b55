#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Service};
use portolan_cloud::{self as cloud, Class};
use serde_json::{Value, json};

use super::apply::names;
use super::plan::{FINALIZER, Plan, Synced, is_news, needs_update, plan};
use super::spec::{self, Candidate};

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

fn nodes(names: &[&str]) -> Arc<Vec<cloud::Node>> {
    Arc::new(names.iter().map(|name| Candidate::of(&node(name, json!({}))).unwrap().node).collect())
}

fn synced(service: &Arc<Service>, nodes: Arc<Vec<cloud::Node>>) -> Synced {
    Synced { service: service.clone(), nodes, status: Some(cloud::Status::default()), in_doubt: false }
}

fn word(plan: Option<Plan>) -> &'static str {
    match plan {
        None => "nothing",
        Some(Plan::Ensure { .. }) => "ensure",
        Some(Plan::UpdateNodes { .. }) => "nodes",
        Some(Plan::Cleanup { .. }) => "clean up",
        Some(Plan::Abandoned { .. }) => "abandoned",
        Some(Plan::Clear { .. } | Plan::Orphan { .. } | Plan::Check { .. } | Plan::Sweep) => "not for this function",
    }
}

#[test]
fn each_state_of_a_service_has_its_step() {
    let plain = service(json!({}));
    let given = synced(&plain, nodes(&["node-1"]));
    let doubtful = Synced { in_doubt: true, ..given.clone() };
    let deleting = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let no_finalizer = json!({"metadata": {"finalizers": []}});
    let forced = json!({"metadata": {"finalizers": ["x/y"], "deletionTimestamp": "2026-01-01T00:00:00Z"}});
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
        ("being deleted, restarted", Some(service(deleting.clone())), None, &one, "clean up"),
        ("being deleted, finalizer forced off", Some(service(forced.clone())), Some(&given), &one, "clean up"),
        ("being deleted for others, never ours", Some(service(forced)), None, &one, "nothing"),
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
        assert_eq!(word(plan(current.as_ref(), synced, nodes, true)), expected, "{name}");
        let quiet = if expected == "nodes" { "nothing" } else { expected };
        assert_eq!(word(plan(current.as_ref(), synced, nodes, false)), quiet, "{name}, and no node came or went");
    }
}

/// Every field of the contract's list, and every one that is not on it.
#[test]
fn exactly_these_changes_matter_to_a_balancer() {
    let port = |change: Value| {
        let mut port = json!({
            "name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080, "targetPort": 8080, "appProtocol": "http",
        });
        merge(&mut port, change);
        port
    };
    let full = json!({
        "metadata": {"annotations": {"a": "b"}, "labels": {"l": "m"}},
        "spec": {
            "ports": [port(json!({})), port(json!({"name": "other", "port": 81}))],
            "loadBalancerSourceRanges": ["10.0.0.0/8", "192.0.2.0/24"], "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10}}, "loadBalancerIP": "203.0.113.1",
            "externalIPs": ["192.0.2.1", "192.0.2.2"], "externalTrafficPolicy": "Cluster", "healthCheckNodePort": 31000,
            "ipFamilies": ["IPv4"], "internalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": true,
            "publishNotReadyAddresses": false, "clusterIP": "10.96.0.1", "trafficDistribution": "PreferClose",
        },
    });
    let first_port =
        |change: Value| json!({"spec": {"ports": [port(change), port(json!({"name": "other", "port": 81}))]}});
    let rows = [
        ("type", json!({"spec": {"type": "ClusterIP"}}), true),
        ("class set", json!({"spec": {"loadBalancerClass": "x/y"}}), true),
        ("source ranges", json!({"spec": {"loadBalancerSourceRanges": ["10.0.0.0/8"]}}), true),
        ("their order", json!({"spec": {"loadBalancerSourceRanges": ["192.0.2.0/24", "10.0.0.0/8"]}}), true),
        ("a port's name", first_port(json!({"name": "web"})), true),
        ("a port's protocol", first_port(json!({"protocol": "UDP"})), true),
        ("a port's number", first_port(json!({"port": 82})), true),
        ("a port's node port", first_port(json!({"nodePort": 30081})), true),
        ("a port's target", first_port(json!({"targetPort": "http"})), true),
        ("a port's application", first_port(json!({"appProtocol": "kubernetes.io/h2c"})), true),
        (
            "the ports' order",
            json!({"spec": {"ports": [port(json!({"name": "other", "port": 81})), port(json!({}))]}}),
            true,
        ),
        ("one port less", json!({"spec": {"ports": [port(json!({}))]}}), true),
        ("affinity", json!({"spec": {"sessionAffinity": "None"}}), true),
        ("affinity's time", json!({"spec": {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 11}}}}), true),
        ("address", json!({"spec": {"loadBalancerIP": "203.0.113.2"}}), true),
        ("external addresses", json!({"spec": {"externalIPs": ["192.0.2.1"]}}), true),
        ("their order", json!({"spec": {"externalIPs": ["192.0.2.2", "192.0.2.1"]}}), true),
        ("an annotation", json!({"metadata": {"annotations": {"a": "c"}}}), true),
        ("another annotation", json!({"metadata": {"annotations": {"c": "d"}}}), true),
        ("UID", json!({"metadata": {"uid": "2"}}), true),
        ("external policy", json!({"spec": {"externalTrafficPolicy": "Local"}}), true),
        ("health check port", json!({"spec": {"healthCheckNodePort": 31001}}), true),
        ("number of families", json!({"spec": {"ipFamilies": ["IPv4", "IPv6"]}}), true),
        ("which family", json!({"spec": {"ipFamilies": ["IPv6"]}}), false),
        ("labels", json!({"metadata": {"labels": {"l": "n"}}}), false),
        ("selector", json!({"spec": {"selector": {"app": "other"}}}), false),
        ("internal policy", json!({"spec": {"internalTrafficPolicy": "Local"}}), false),
        ("node ports wanted", json!({"spec": {"allocateLoadBalancerNodePorts": false}}), false),
        ("not ready addresses", json!({"spec": {"publishNotReadyAddresses": true}}), false),
        ("cluster address", json!({"spec": {"clusterIP": "10.96.0.2"}}), false),
        ("traffic distribution", json!({"spec": {"trafficDistribution": "PreferSameNode"}}), false),
        ("finalizers", json!({"metadata": {"finalizers": []}}), false),
        ("status", json!({"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}), false),
    ];
    let old = service(full.clone());
    for (name, change, expected) in rows {
        let mut changed = full.clone();
        merge(&mut changed, change);
        let new = service(changed);
        assert_eq!((needs_update(&old, &new), needs_update(&new, &old)), (expected, expected), "{name}");
    }
    let absent = service(json!({}));
    let empty = service(json!({"metadata": {"annotations": {}}, "spec": {
        "loadBalancerSourceRanges": [], "externalIPs": [], "loadBalancerIP": "", "ipFamilies": [],
    }}));
    assert!(!needs_update(&absent, &empty), "what is empty is as what is absent");
    let plain = |class: &str| service(json!({"spec": {"loadBalancerClass": class, "loadBalancerIP": class}}));
    assert!(!needs_update(&plain("x/y"), &plain("x/z")), "other controllers' Services change unseen");
}

#[test]
fn at_most_twenty_nodes_are_named() {
    let many: Vec<String> = (10..33).map(|number| format!("n{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(names(&nodes(&[])), "[]");
    assert_eq!(names(&nodes(&["a", "b"])), "[a b]");
    assert_eq!(
        names(&nodes(&many)),
        "[n10 n11 n12 n13 n14 n15 n16 n17 n18 n19 n20 n21 n22 n23 n24 n25 n26 n27 n28 n29 <3 more>]"
    );
    assert!(!names(&nodes(&many[..20])).contains("more"));
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
    let why = json!([{"type": "Why", "status": "True", "reason": "Throttled", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    let waiting = service(json!({"status": {"conditions": why}}));
    assert!(!is_news(Some(&plain), Some(&waiting)), "our own words must not cut our own back-off short");
    let late = service(json!({"status": {"conditions": why, "loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}));
    assert!(is_news(Some(&plain), Some(&late)), "it does not wait any more");
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
        let candidate = Candidate::of(&node("node-1", change.clone())).unwrap();
        assert_eq!(candidate.is_eligible(), expected, "{change}");
        assert_eq!(candidate.node.address, Some([172, 30, 0, 11].into()));
    }
}

#[test]
fn balancers_hear_at_once_of_exclusion_identity_and_address_only() {
    let excluded = json!({"metadata": {"labels": {"node.kubernetes.io/exclude-from-external-load-balancers": ""}}});
    let rows = [
        ("exclusion", excluded, true),
        ("provider's name", json!({"spec": {"providerID": "kind://node-1"}}), true),
        ("address", json!({"status": {"addresses": [{"type": "InternalIP", "address": "172.30.0.99"}]}}), true),
        (
            "taint",
            json!({"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}}),
            false,
        ),
        ("deletion", json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), false),
        ("readiness", json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}), false),
        ("labels", json!({"metadata": {"labels": {"zone": "a"}}}), false),
    ];
    let before = Candidate::of(&node("node-1", json!({}))).unwrap();
    for (name, change, expected) in rows {
        let after = Candidate::of(&node("node-1", change)).unwrap();
        assert_eq!((before.differs(&after), after.differs(&before)), (expected, expected), "{name}");
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
