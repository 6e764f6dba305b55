#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn service(spec: Value) -> Service {
    let mut body = json!({"metadata": {"namespace": "shop", "name": "web"}, "spec": {
        "ipFamilies": ["IPv4"], "ports": [{"port": 80, "targetPort": "http"}],
    }});
    for (key, value) in spec.as_object().unwrap() {
        body["spec"][key] = value.clone();
    }
    serde_json::from_value(body).unwrap()
}

/// A ready pod on node-1 that serves `http` on 8080, changed by `patch` of its fields.
fn pod(name: &str, changes: &[(&str, Value)]) -> Arc<Pod> {
    let mut body = json!({
        "metadata": {"namespace": "shop", "name": name, "uid": format!("uid-{name}")},
        "spec": {"nodeName": "node-1", "containers": [{"name": "a", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": "10.244.1.1", "conditions": [{"type": "Ready", "status": "True"}]},
    });
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    Arc::new(serde_json::from_value(body).unwrap())
}

fn zones() -> Zones {
    [("node-1".to_owned(), Some("zone-a".to_owned())), ("node-2".to_owned(), None)].into()
}

/// One line for each endpoint: family, ports, address, r/s/t for the conditions that are true.
fn lines(desired: &Desired) -> Vec<String> {
    let mut lines = Vec::new();
    for (family, sets) in &desired.families {
        for (ports, endpoints) in sets {
            let ports: Vec<String> = ports.iter().map(|port| port.number.unwrap().to_string()).collect();
            for endpoint in endpoints {
                let conditions = endpoint.conditions.as_ref().unwrap();
                let flag = |set: Option<bool>, letter| if set.unwrap() { letter } else { "-" };
                lines.push(format!(
                    "{family} [{}] {} {}{}{}",
                    ports.join(","),
                    endpoint.addresses.join(","),
                    flag(conditions.ready, "r"),
                    flag(conditions.serving, "s"),
                    flag(conditions.terminating, "t"),
                ));
            }
        }
    }
    lines
}

/// Story, changes of the Service, changes of the pod, lines that are expected.
type Row = (&'static str, Value, Vec<(&'static str, Value)>, &'static [&'static str]);

#[test]
fn who_is_published_and_how() {
    let not_ready = ("/status/conditions", json!([{"type": "Ready", "status": "False"}]));
    let terminating = ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    let publish = json!({"publishNotReadyAddresses": true});
    let cases: [Row; 11] = [
        ("ready", json!({}), vec![], &["IPv4 [8080] 10.244.1.1 rs-"]),
        ("not ready", json!({}), vec![not_ready.clone()], &["IPv4 [8080] 10.244.1.1 ---"]),
        ("terminating but ready", json!({}), vec![terminating.clone()], &["IPv4 [8080] 10.244.1.1 -st"]),
        ("not ready is published", publish.clone(), vec![not_ready.clone()], &["IPv4 [8080] 10.244.1.1 r--"]),
        ("also when terminating", publish, vec![not_ready, terminating], &["IPv4 [8080] 10.244.1.1 r-t"]),
        ("without address", json!({}), vec![("/status/podIP", Value::Null)], &[]),
        ("has ended", json!({}), vec![("/status/phase", json!("Succeeded"))], &[]),
        ("number", json!({"ports": [{"port": 80, "targetPort": 90}]}), vec![], &["IPv4 [90] 10.244.1.1 rs-"]),
        ("unknown name", json!({"ports": [{"port": 80, "targetPort": "x"}]}), vec![], &["IPv4 [] 10.244.1.1 rs-"]),
        ("other family only", json!({"ipFamilies": ["IPv6"]}), vec![], &[]),
        (
            "dual stack",
            json!({"ipFamilies": ["IPv4", "IPv6"]}),
            vec![("/status/podIPs", json!([{"ip": "10.244.1.1"}, {"ip": "fd00::1"}]))],
            &["IPv4 [8080] 10.244.1.1 rs-", "IPv6 [8080] fd00::1 rs-"],
        ),
    ];
    for (name, spec, changes, expected) in cases {
        let desired = desired(&service(spec), &[pod("p", &changes)], &zones());
        assert_eq!(lines(&desired), expected, "{name}");
        assert!(desired.skipped.is_empty(), "{name}");
    }
}

#[test]
fn an_endpoint_says_where_it_is_and_which_pod() {
    let named = pod("p", &[("/spec/hostname", json!("p-0")), ("/spec/subdomain", json!("web"))]);
    let desired = desired(&service(json!({})), &[named], &zones());
    let endpoint = &desired.families[&Family::V4].values().next().unwrap()[0];
    assert_eq!(endpoint.node_name.as_deref(), Some("node-1"));
    assert_eq!(endpoint.zone.as_deref(), Some("zone-a"));
    assert_eq!(endpoint.hostname.as_deref(), Some("p-0"));
    let target = endpoint.target_ref.clone().unwrap();
    assert_eq!((target.kind.as_deref(), target.uid.as_deref()), (Some("Pod"), Some("uid-p")));
    assert_eq!(target.resource_version, None);
}

#[test]
fn a_pod_on_a_missing_node_is_skipped_unless_readiness_does_not_count() {
    let lost = [pod("a", &[]), pod("lost", &[("/spec/nodeName", json!("node-9"))])];
    let skipping = desired(&service(json!({})), &lost, &zones());
    assert_eq!(lines(&skipping).len(), 1);
    assert_eq!(skipping.skipped, [Skipped { pod: "lost".into(), node: "node-9".into() }]);
    let publishing = desired(&service(json!({"publishNotReadyAddresses": true})), &lost, &zones());
    assert_eq!(lines(&publishing).len(), 2);
    assert!(publishing.skipped.is_empty());
}
