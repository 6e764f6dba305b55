#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn service(spec: Value) -> Service {
    let mut body = json!({"metadata": {"namespace": "shop", "name": "web"}, "spec": {
        "clusterIP": "10.96.0.9", "ipFamilies": ["IPv4"], "ports": [{"port": 80, "targetPort": "http"}],
    }});
    for (key, value) in spec.as_object().unwrap() {
        body["spec"][key] = value.clone();
    }
    serde_json::from_value(body).unwrap()
}

fn pod(address: &str, changes: &[(&str, Value)]) -> Arc<Pod> {
    let mut body = json!({
        "metadata": {"namespace": "shop", "name": address, "uid": address},
        "spec": {"nodeName": "node-1", "containers": [{"name": "a", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": address, "conditions": [{"type": "Ready", "status": "True"}]},
    });
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    Arc::new(serde_json::from_value(body).unwrap())
}

fn not_ready() -> (&'static str, Value) {
    ("/status/conditions", json!([{"type": "Ready", "status": "False"}]))
}

/// One line for each subset: `ports: ready / not ready`.
fn lines(subsets: &[EndpointSubset]) -> Vec<String> {
    let list = |list: &Option<Vec<EndpointAddress>>| {
        list.iter().flatten().map(|address| address.ip.clone()).collect::<Vec<_>>().join(" ")
    };
    let line = |subset: &EndpointSubset| {
        let ports: Vec<_> = subset.ports.iter().flatten().map(|port| port.port.to_string()).collect();
        format!("{}: {} / {}", ports.join(","), list(&subset.addresses), list(&subset.not_ready_addresses))
    };
    subsets.iter().map(line).collect()
}

#[test]
fn addresses_are_grouped_by_ports_and_sorted() {
    let other = ("/spec/containers", json!([{"name": "a", "ports": [{"name": "http", "containerPort": 9090}]}]));
    let pods = [pod("10.0.0.3", &[]), pod("10.0.0.1", &[]), pod("10.0.0.2", &[not_ready()]), pod("10.0.0.4", &[other])];
    let mut lines = lines(&subsets(&service(json!({})), &pods));
    lines.sort();
    assert_eq!(lines, ["8080: 10.0.0.1 10.0.0.3 / 10.0.0.2", "9090: 10.0.0.4 / "]);
}

/// Story, changes of the Service, changes of the pod, lines that are expected.
type Row = (&'static str, Value, Vec<(&'static str, Value)>, &'static [&'static str]);

#[test]
fn who_is_listed() {
    let terminating = ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    let publish = json!({"publishNotReadyAddresses": true});
    let dual = ("/status/podIPs", json!([{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]));
    let sidecar = json!([{"name": "s", "restartPolicy": "Always", "ports": [{"name": "x", "containerPort": 15000}]}]);
    let once = json!([{"name": "s", "ports": [{"name": "x", "containerPort": 15000}]}]);
    let by_x = json!({"ports": [{"port": 80, "targetPort": "x"}]});
    let udp = json!({"ports": [{"port": 80, "targetPort": "http", "protocol": "UDP"}]});
    let two = json!({"ports": [{"name": "a", "port": 80, "targetPort": "http"}, {"name": "b", "port": 81, "targetPort": "x"}]});
    let cases: [Row; 21] = [
        ("ready", json!({}), vec![], &["8080: 10.0.0.1 / "]),
        ("not ready", json!({}), vec![not_ready()], &["8080:  / 10.0.0.1"]),
        ("terminating", json!({}), vec![terminating.clone()], &[]),
        ("terminating, published", publish.clone(), vec![terminating.clone()], &["8080: 10.0.0.1 / "]),
        (
            "terminating and not ready, published",
            publish.clone(),
            vec![terminating, not_ready()],
            &["8080: 10.0.0.1 / "],
        ),
        ("not ready, published", publish.clone(), vec![not_ready()], &["8080: 10.0.0.1 / "]),
        ("has failed", json!({}), vec![("/status/phase", json!("Failed"))], &[]),
        ("has succeeded, published", publish, vec![("/status/phase", json!("Succeeded"))], &[]),
        ("without an address", json!({}), vec![("/status/podIP", json!(null))], &[]),
        ("named port not declared", by_x.clone(), vec![], &[]),
        ("one of two named ports declared", two, vec![], &["8080: 10.0.0.1 / "]),
        ("named port of another protocol", udp, vec![], &[]),
        ("named port of a sidecar", by_x.clone(), vec![("/spec/initContainers", sidecar)], &["15000: 10.0.0.1 / "]),
        ("named port of an init container", by_x, vec![("/spec/initContainers", once)], &[]),
        ("other family", json!({"ipFamilies": ["IPv6"]}), vec![], &[]),
        ("first of two families", json!({"ipFamilies": ["IPv6", "IPv4"]}), vec![dual.clone()], &["8080: fd00::1 / "]),
        (
            "its address says the family",
            json!({"ipFamilies": null, "clusterIP": "fd00::9"}),
            vec![dual],
            &["8080: fd00::1 / "],
        ),
        ("nothing says the family", json!({"ipFamilies": null, "clusterIP": "None"}), vec![], &["8080: 10.0.0.1 / "]),
        ("headless without ports", json!({"clusterIP": "None", "ports": []}), vec![], &[": 10.0.0.1 / "]),
        ("without ports", json!({"ports": []}), vec![], &[]),
        ("without ports or address", json!({"ports": [], "clusterIP": ""}), vec![], &[]),
    ];
    for (name, spec, changes, expected) in cases {
        assert_eq!(lines(&subsets(&service(spec), &[pod("10.0.0.1", &changes)])), expected, "{name}");
    }
}

#[test]
fn an_address_says_its_pod_node_and_name() {
    let named = [("/spec/hostname", json!("db-0")), ("/spec/subdomain", json!("web"))];
    let subsets = subsets(&service(json!({})), &[pod("10.0.0.1", &named)]);
    let expected = json!([{
        "addresses": [{
            "ip": "10.0.0.1", "hostname": "db-0", "nodeName": "node-1",
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": "10.0.0.1", "uid": "10.0.0.1"},
        }],
        "ports": [{"port": 8080, "protocol": "TCP"}],
    }]);
    assert_eq!(serde_json::to_value(subsets).unwrap(), expected);
    let strangers = [("/spec/hostname", json!("db-0")), ("/spec/subdomain", json!("other"))];
    let subsets = super::subsets(&service(json!({})), &[pod("10.0.0.1", &strangers)]);
    assert_eq!(subsets[0].addresses.as_ref().unwrap()[0].hostname, None);
}

/// Subsets with so many ready and not-ready addresses.
fn sized(sizes: &[(usize, usize)]) -> Vec<EndpointSubset> {
    let addresses = |from: usize, count: usize| {
        let address = |n| EndpointAddress { ip: format!("10.{from}.{}.{}", n / 250, n % 250), ..Default::default() };
        Some((0..count).map(address).collect::<Vec<_>>()).filter(|list| !list.is_empty())
    };
    let subset = |(at, (ready, not_ready)): (usize, &(usize, usize))| EndpointSubset {
        addresses: addresses(at * 2, *ready),
        not_ready_addresses: addresses(at * 2 + 1, *not_ready),
        ports: Some(vec![k8s_openapi::api::core::v1::EndpointPort { port: 80 + at as i32, ..Default::default() }]),
    };
    sizes.iter().enumerate().map(subset).collect()
}

/// Ready and not-ready addresses of each subset.
type Sizes = &'static [(usize, usize)];

#[test]
fn what_is_above_the_capacity_is_left_out_in_proportion() {
    let cases: [(Sizes, Sizes); 8] = [
        (&[(500, 500)], &[(500, 500)]),
        (&[(500, 501)], &[(500, 500)]),
        (&[(999, 1), (0, 999)], &[(999, 1)]),
        (&[(600, 100), (300, 300)], &[(600, 25), (300, 75)]),
        (&[(1001, 5)], &[(1000, 0)]),
        (&[(1000, 10), (500, 0)], &[(667, 0), (333, 0)]),
        (&[(400, 0), (400, 0), (400, 0)], &[(334, 0), (334, 0), (332, 0)]),
        (&[(971, 120), (0, 112)], &[(971, 16), (0, 13)]),
    ];
    assert_eq!((120 * 29) % 232, 0, "the last row's share is 15 exactly; in floating point it is a little more");
    for (before, after) in cases {
        let mut subsets = sized(before);
        let truncated = truncate(&mut subsets, CAPACITY);
        let len = |list: &Option<Vec<EndpointAddress>>| list.as_ref().map_or(0, Vec::len);
        let sizes: Vec<_> =
            subsets.iter().map(|subset| (len(&subset.addresses), len(&subset.not_ready_addresses))).collect();
        assert_eq!(sizes, after, "{before:?}");
        assert_eq!(truncated, before != after);
    }
}
