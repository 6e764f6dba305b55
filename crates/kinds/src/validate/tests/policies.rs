//! NetworkPolicies: what the API fills in, and what it refuses.

use super::*;

fn policy(spec: Value) -> Value {
    json!({"metadata": {"name": "web"}, "spec": spec})
}

fn said(spec: Value) -> Vec<(FieldErrorKind, String)> {
    let found = errors("networkpolicies.networking.k8s.io", policy(spec));
    found.into_iter().map(|error| (error.kind, error.field)).collect()
}

#[test]
fn a_policy_is_about_egress_if_it_says_so() {
    let resource = resource("networkpolicies.networking.k8s.io");
    let rows = [
        (json!({"podSelector": {}}), json!(["Ingress"])),
        (json!({"podSelector": {}, "egress": [{}]}), json!(["Ingress", "Egress"])),
        (json!({"podSelector": {}, "policyTypes": ["Egress"]}), json!(["Egress"])),
    ];
    for (spec, types) in rows {
        assert_eq!(created(resource, policy(spec.clone())).unwrap()["spec"]["policyTypes"], types, "{spec}");
    }
    let ports = json!({"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]});
    let made = created(resource, policy(ports)).unwrap();
    assert_eq!(made["spec"]["ingress"][0]["ports"][0]["protocol"], "TCP");
    // Everybody in the namespace is not the same as everybody.
    let all = json!({"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]});
    assert_eq!(created(resource, policy(all)).unwrap()["spec"]["ingress"][0]["from"], json!([{"podSelector": {}}]));
}

#[test]
fn rules_of_policies() {
    let port = |port: Value| json!({"podSelector": {}, "ingress": [{"ports": [port]}]});
    let peer = |peer: Value| json!({"podSelector": {}, "egress": [{"to": [peer]}]});
    let (ports, to) = ("spec.ingress[0].ports[0]", "spec.egress[0].to[0]");
    let rows = [
        (port(json!({"port": "http"})), vec![]),
        (port(json!({"port": 8000, "endPort": 8999})), vec![]),
        (port(json!({"port": 0})), vec![(Invalid, format!("{ports}.port"))]),
        (port(json!({"port": 80, "protocol": "ICMP"})), vec![(NotSupported, format!("{ports}.protocol"))]),
        (port(json!({"port": 80, "endPort": 79})), vec![(Invalid, format!("{ports}.endPort"))]),
        (port(json!({"port": "http", "endPort": 79})), vec![(Invalid, format!("{ports}.endPort"))]),
        (port(json!({"endPort": 79})), vec![(Required, format!("{ports}.endPort"))]),
        (peer(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}})), vec![]),
        (peer(json!({})), vec![(Required, to.to_owned())]),
        (peer(json!({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}})), vec![(Forbidden, to.to_owned())]),
        (
            peer(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}})),
            vec![(Invalid, format!("{to}.ipBlock.except[0]"))],
        ),
        (json!({"podSelector": {}, "policyTypes": ["Both"]}), vec![(NotSupported, "spec.policyTypes[0]".to_owned())]),
    ];
    for (spec, expected) in rows {
        assert_eq!(said(spec.clone()), expected, "{spec}");
    }
}
