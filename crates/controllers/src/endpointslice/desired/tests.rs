#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::endpointslice::tests::{Fixture, node, not_ready, on, pod, service};

/// Story, changes of the Service, changes of the pod, slices that are expected.
type Row = (&'static str, Vec<(&'static str, Value)>, Vec<(&'static str, Value)>, &'static [&'static str]);

#[test]
fn who_is_published_and_how() {
    let terminating = || ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    let publish = || ("/spec/publishNotReadyAddresses", json!(true));
    let families = |families: &[&str]| ("/spec/ipFamilies", json!(families));
    let ports = |ports: Value| ("/spec/ports", ports);
    let unknown = || ("/status/conditions", json!([{"type": "Ready", "status": "Unknown"}]));
    let sidecar = |policy: Value| {
        let ports = json!([{"name": "metrics", "containerPort": 9090}]);
        ("/spec/initContainers", json!([{"name": "side", "restartPolicy": policy, "ports": ports}]))
    };
    let metrics = || ports(json!([{"port": 80, "targetPort": "metrics"}]));
    let cases: Vec<Row> = vec![
        ("ready", vec![], vec![], &["IPv4 [8080] 1rs-"]),
        ("not ready", vec![], vec![not_ready()], &["IPv4 [8080] 1---"]),
        ("readiness that is not known", vec![], vec![unknown()], &["IPv4 [8080] 1---"]),
        ("no word about readiness", vec![], vec![("/status/conditions", Value::Null)], &["IPv4 [8080] 1---"]),
        ("terminating but ready", vec![], vec![terminating()], &["IPv4 [8080] 1-st"]),
        ("terminating and not ready", vec![], vec![terminating(), not_ready()], &["IPv4 [8080] 1--t"]),
        ("not ready is published", vec![publish()], vec![not_ready()], &["IPv4 [8080] 1r--"]),
        ("also when terminating", vec![publish()], vec![not_ready(), terminating()], &["IPv4 [8080] 1r-t"]),
        (
            "without address",
            vec![],
            vec![("/status/podIP", Value::Null), ("/status/podIPs", Value::Null)],
            &["IPv4 []"],
        ),
        ("of a time before dual stack", vec![], vec![("/status/podIPs", Value::Null)], &["IPv4 [8080] 1rs-"]),
        ("has succeeded", vec![publish()], vec![("/status/phase", json!("Succeeded"))], &["IPv4 []"]),
        ("has failed", vec![], vec![("/status/phase", json!("Failed"))], &["IPv4 []"]),
        ("is pending", vec![], vec![("/status/phase", json!("Pending")), not_ready()], &["IPv4 [8080] 1---"]),
        ("a port number", vec![ports(json!([{"port": 80, "targetPort": 90}]))], vec![], &["IPv4 [90] 1rs-"]),
        ("no target", vec![ports(json!([{"port": 80}]))], vec![], &["IPv4 [80] 1rs-"]),
        ("an unknown name", vec![ports(json!([{"port": 80, "targetPort": "x"}]))], vec![], &["IPv4 [] 1rs-"]),
        (
            "one name of two is unknown",
            vec![ports(json!([{"name": "a", "port": 1, "targetPort": "x"}, {"name": "b", "port": 2}]))],
            vec![],
            &["IPv4 [2] 1rs-"],
        ),
        ("another protocol", vec![("/spec/ports/0/protocol", json!("UDP"))], vec![], &["IPv4 [] 1rs-"]),
        ("a sidecar's port", vec![metrics()], vec![sidecar(json!("Always"))], &["IPv4 [9090] 1rs-"]),
        ("an init container's", vec![metrics()], vec![sidecar(Value::Null)], &["IPv4 [] 1rs-"]),
        (
            "headless without ports",
            vec![ports(json!([])), ("/spec/clusterIP", json!("None"))],
            vec![],
            &["IPv4 [] 1rs-"],
        ),
        ("the other family", vec![families(&["IPv6"])], vec![], &["IPv6 [8080] 1rs-"]),
        ("dual stack", vec![families(&["IPv4", "IPv6"])], vec![], &["IPv4 [8080] 1rs-", "IPv6 [8080] 1rs-"]),
        (
            "a pod of one family",
            vec![families(&["IPv6", "IPv4"])],
            vec![("/status/podIPs", json!([{"ip": "10.244.0.1"}]))],
            &["IPv4 [8080] 1rs-", "IPv6 []"],
        ),
        (
            "families of old: the cluster address's",
            vec![("/spec/ipFamilies", Value::Null)],
            vec![],
            &["IPv4 [8080] 1rs-"],
        ),
        (
            "families of old, headless: both",
            vec![("/spec/ipFamilies", Value::Null), ("/spec/clusterIP", json!("None"))],
            vec![],
            &["IPv4 [8080] 1rs-", "IPv6 [8080] 1rs-"],
        ),
    ];
    for (story, of_service, of_pod, expected) in cases {
        let mut fixture = Fixture::new();
        fixture.service(&service(&of_service));
        fixture.pods(&[pod(1, &of_pod)]);
        fixture.sync();
        assert_eq!(fixture.lines(), expected, "{story}");
        assert_eq!(fixture.sync(), "nothing", "{story}");
    }
}

#[test]
fn an_endpoint_says_where_it_is_and_which_pod() {
    let rows = [
        (
            "everything",
            vec![("/spec/hostname", json!("p-0")), ("/spec/subdomain", json!("web"))],
            json!("p-0"),
            json!("a"),
        ),
        (
            "of another subdomain",
            vec![("/spec/hostname", json!("p-0")), ("/spec/subdomain", json!("db"))],
            Value::Null,
            json!("a"),
        ),
        ("a subdomain alone", vec![("/spec/subdomain", json!("web"))], Value::Null, json!("a")),
        ("a node without zone", vec![on("node-3")], Value::Null, Value::Null),
        ("a node with an empty one", vec![on("node-4")], Value::Null, Value::Null),
    ];
    for (story, changes, hostname, zone) in rows {
        let mut fixture = Fixture::new();
        fixture.nodes(&[node("node-1", "a", "1"), json!({"metadata": {"name": "node-3"}}), node("node-4", "", "1")]);
        fixture.service(&service(&[]));
        let pod = pod(1, &changes);
        fixture.pods(std::slice::from_ref(&pod));
        fixture.sync();
        let mut expected = json!({
            "addresses": ["10.244.0.1"], "conditions": {"ready": true, "serving": true, "terminating": false},
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-001", "uid": "uid-1"},
        });
        for (key, value) in [("hostname", hostname), ("zone", zone)] {
            if !value.is_null() {
                expected[key] = value;
            }
        }
        assert_eq!(fixture.only()["endpoints"], json!([expected]), "{story}");
    }
}

#[test]
fn a_pod_on_a_missing_node_is_skipped_unless_readiness_does_not_count() {
    let lost = [pod(1, &[]), pod(2, &[on("node-9")]), pod(3, &[("/spec/nodeName", Value::Null)])];
    let mut fixture = Fixture::new();
    fixture.service(&service(&[]));
    fixture.pods(&lost);
    let skipped = |name: &str, node: &str| Skipped { pod: name.into(), node: node.into() };
    let expected = [skipped("web-002", "node-9"), skipped("web-003", "")];
    assert_eq!(fixture.plan().unwrap().skipped, expected);
    assert_eq!(fixture.sync(), "+1 ~0 -0", "the rest is written");
    assert_eq!(fixture.lines(), ["IPv4 [8080] 1rs-"]);
    assert_eq!(fixture.plan().unwrap().skipped, expected, "said again at every sync");

    fixture.service(&service(&[("/spec/publishNotReadyAddresses", json!(true))]));
    assert_eq!((fixture.sync().as_str(), fixture.lines()), ("+0 ~1 -0", vec!["IPv4 [8080] 1rs- 2rs- 3rs-".to_owned()]));
    assert_eq!(fixture.plan(), None);
    assert_eq!(fixture.of(Family::V4)[0].endpoints[1].zone, None, "what does not exist has no zone");
}
