//! NetworkPolicies: who is let in and out, and whether anybody enforces it.

use portolan_objects::ObjectKey;
use serde_json::{Value, json};

use super::{fixture::Cluster, proven, silent};
use crate::{
    Ask, Diagnosis, From, Index, LinkId, Snapshot,
    evidence::{NodeEvidence, Outcome, Owner, Probe, Rule, Verdict},
};

/// The cluster with a client, and with a plugin that enforces policies.
fn base() -> Cluster {
    let plugin = json!({"metadata": {"name": "calico-node-x", "namespace": "kube-system", "uid": "plugin",
        "labels": {"app": null, "k8s-app": "calico-node"}}, "status": {"podIP": "192.0.2.1", "podIPs": [{"ip": "192.0.2.1"}]}});
    unenforced().another_pod(plugin)
}

fn unenforced() -> Cluster {
    Cluster::healthy().another_pod(json!({
        "metadata": {"name": "client", "uid": "client", "labels": {"app": "client", "role": "front"}},
        "status": {"podIP": "10.244.7.7", "podIPs": [{"ip": "10.244.7.7"}]},
    }))
}

fn ask(snapshot: &Snapshot, from: From) -> Diagnosis {
    crate::diagnose(&Index::new(snapshot), &ObjectKey::new("default", "web"), &Ask { from })
}

fn from_client(cluster: &Cluster) -> Diagnosis {
    ask(&cluster.snapshot(), From::Pod(ObjectKey::new("default", "client")))
}

/// A policy for the pods of the Service with these rules.
fn ingress(rules: Value) -> Value {
    json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": rules})
}

#[track_caller]
fn blocked(diagnosis: &Diagnosis) {
    proven(diagnosis, "network-policy-blocks", LinkId::NetworkPolicy);
}

#[test]
fn a_caller_gets_in_only_by_a_rule() {
    let pods = |labels: Value| json!({"podSelector": {"matchLabels": labels}});
    let everywhere = json!({"namespaceSelector": {}});
    let other = json!({"namespaceSelector": {"matchLabels": {"team": "ops"}}});
    let tcp = |port: Value| json!([{"port": port}]);
    let cases = [
        ("no rule", json!([]), false),
        ("everybody", json!([{}]), true),
        ("its labels", json!([{"from": [pods(json!({"app": "client"}))]}]), true),
        ("other labels", json!([{"from": [pods(json!({"app": "admin"}))]}]), false),
        (
            "one of two rules",
            json!([{"from": [pods(json!({"app": "admin"}))]}, {"from": [pods(json!({"role": "front"}))]}]),
            true,
        ),
        ("all namespaces", json!([{"from": [everywhere]}]), true),
        ("another namespace", json!([{"from": [other]}]), false),
        (
            "both in one peer",
            json!([{"from": [{"namespaceSelector": {"matchLabels": {"team": "ops"}}, "podSelector": {}}]}]),
            false,
        ),
        ("its address", json!([{"from": [{"ipBlock": {"cidr": "10.244.0.0/16"}}]}]), true),
        (
            "its address taken out",
            json!([{"from": [{"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.7.0/24"]}}]}]),
            false,
        ),
        ("the pods' port", json!([{"ports": tcp(json!(8080))}]), true),
        ("the Service's port", json!([{"ports": tcp(json!(80))}]), false),
        ("a range", json!([{"ports": [{"port": 8000, "endPort": 8999}]}]), true),
        ("the name of the port", json!([{"ports": tcp(json!("http"))}]), true),
        ("another name", json!([{"ports": tcp(json!("metrics"))}]), false),
        ("another protocol", json!([{"ports": [{"port": 8080, "protocol": "UDP"}]}]), false),
        (
            "an expression",
            json!([{"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["client"]}]}}]}]),
            true,
        ),
    ];
    for (name, rules, admitted) in cases {
        println!("{name}");
        let diagnosis = from_client(&base().policy("web", ingress(rules)));
        if admitted { silent(&diagnosis) } else { blocked(&diagnosis) }
    }
}

#[test]
fn policies_add_up_and_speak_only_of_the_pods_they_select() {
    let deny = json!({"podSelector": {}, "policyTypes": ["Ingress"]});
    let allow = ingress(json!([{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}]}]));
    blocked(&from_client(&base().policy("deny", deny.clone())));
    silent(&from_client(&base().policy("deny", deny.clone()).policy("allow", allow)));
    let elsewhere = json!({"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"]});
    silent(&from_client(&base().policy("db", elsewhere)));
    // Without types a policy is about what comes in, and about what goes out only if it has rules for that.
    blocked(&from_client(&base().policy("deny", json!({"podSelector": {}}))));
    let untyped = json!({"podSelector": {"matchLabels": {"app": "client"}}});
    silent(&from_client(&base().policy("client", untyped)));
}

#[test]
fn what_leaves_the_caller_needs_a_rule_too() {
    let egress = |rules: Value| json!({"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"], "egress": rules});
    let dns = json!({"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]});
    let to_web = json!({"to": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 8080}]});
    let diagnosis = from_client(&base().policy("dns-only", egress(json!([dns]))));
    blocked(&diagnosis);
    let finding = diagnosis.cause().unwrap();
    assert_eq!(finding.subject.as_deref(), Some("networkpolicy/default/dns-only"));
    assert!(
        finding.remedies[0].commands[1].contains(r#""to":[{"podSelector":{"matchLabels":{"app":"web"}}}]"#),
        "{finding:#?}"
    );
    silent(&from_client(&base().policy("both", egress(json!([dns, to_web])))));
}

#[test]
fn a_caller_that_may_not_ask_the_dns_does_not_find_the_service() {
    let egress = |rules: Value| json!({"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"], "egress": rules});
    let to_web = json!({"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]});
    let dns = json!({
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "uid": "dns", "labels": {"k8s-app": "kube-dns"}},
        "spec": {"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "selector": {"app": null, "k8s-app": "kube-dns"},
            "ports": [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53}]},
    });
    let server = json!({"metadata": {"name": "coredns", "namespace": "kube-system", "uid": "coredns",
        "labels": {"app": null, "k8s-app": "kube-dns"}}});
    let cluster = base().another_service(dns).another_pod(server).namespace("kube-system", json!({}));
    let without = cluster.clone().policy("web-only", egress(json!([to_web])));
    let diagnosis = from_client(&without);
    let finding = diagnosis.findings.iter().find(|finding| finding.code == "network-policy-blocks").unwrap();
    assert!(finding.title.en.contains("out to the cluster's DNS (kube-dns, port 53)"), "{}", finding.title);
    let with = json!([to_web, {"to": [{"namespaceSelector": {}}], "ports": [{"port": 53, "protocol": "UDP"}]}]);
    let diagnosis = from_client(&cluster.policy("both", egress(with)));
    assert!(diagnosis.findings.iter().all(|finding| finding.code != "network-policy-blocks"), "{diagnosis:#?}");
}

#[test]
fn without_a_caller_only_a_closed_door_is_a_fault() {
    let anywhere = |rules: Value| ask(&base().policy("web", ingress(rules)).snapshot(), From::Anywhere);
    let diagnosis = anywhere(json!([]));
    blocked(&diagnosis);
    assert!(diagnosis.cause().unwrap().title.en.contains("lets anybody not in"), "{:?}", diagnosis.cause());
    blocked(&anywhere(json!([{"ports": [{"port": 80}]}])));
    // Somebody can come, even if nobody is there yet.
    silent(&anywhere(json!([{"from": [{"podSelector": {"matchLabels": {"app": "admin"}}}]}])));
    silent(&anywhere(json!([{"from": [{"ipBlock": {"cidr": "198.51.100.7/32"}}]}])));
}

#[test]
fn from_outside_only_addresses_are_let_in() {
    let outside = |rules: Value, address: Option<&str>| {
        let address = address.map(|address| address.parse().unwrap());
        let local = json!({"externalTrafficPolicy": "Local"});
        let cluster = base().balancer(Some("203.0.113.1")).spec(local).policy("web", ingress(rules));
        ask(&cluster.snapshot(), From::Outside(address))
    };
    let pods = json!([{"from": [{"podSelector": {}}]}]);
    let block = json!([{"from": [{"ipBlock": {"cidr": "198.51.100.0/24"}}]}]);
    blocked(&outside(pods.clone(), None));
    blocked(&outside(pods, Some("198.51.100.1")));
    blocked(&outside(block.clone(), Some("192.0.2.9")));
    silent(&outside(block.clone(), Some("198.51.100.1")));
    silent(&outside(block, None));
}

#[test]
fn one_closed_port_of_two_is_what_policies_are_for() {
    let two = json!([{"name": "http", "port": 80, "targetPort": "http"}, {"name": "metrics", "port": 9090, "targetPort": 9090}]);
    let slice = json!({"ports": [
        {"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "metrics", "port": 9090, "protocol": "TCP"},
    ]});
    let cluster =
        base().spec(json!({"ports": two})).slice(slice).policy("web", ingress(json!([{"ports": [{"port": 8080}]}])));
    let diagnosis = from_client(&cluster);
    silent(&diagnosis);
    assert!(diagnosis.hints.iter().any(|hint| hint.en.contains("close port 9090")), "{:?}", diagnosis.hints);
}

/// What the client met when it tried one pod.
fn tried(snapshot: &mut Snapshot, outcome: Outcome) {
    let from = Owner::Pod { namespace: "default".into(), name: "client".into() };
    let mut evidence = NodeEvidence::new("node-1", snapshot.taken_at.clone());
    evidence.probes.push(Probe { from, target: "tcp://10.244.1.0:8080".into(), outcome, milliseconds: 1000 });
    snapshot.evidence.push(evidence);
}

#[test]
fn nobody_may_be_there_to_enforce_it() {
    let closed = unenforced().policy("web", ingress(json!([])));
    let caller = || From::Pod(ObjectKey::new("default", "client"));
    let diagnosis = ask(&closed.snapshot(), caller());
    silent(&diagnosis);
    assert!(diagnosis.hints.iter().any(|hint| hint.en.contains("known to enforce")), "{:?}", diagnosis.hints);

    // A distribution that enforces by itself.
    let k3s = closed.clone().node_object(0, json!({"status": {"nodeInfo": {
        "kubeletVersion": "v1.34.1+k3s1", "architecture": "", "bootID": "", "containerRuntimeVersion": "",
        "kernelVersion": "", "kubeProxyVersion": "", "machineID": "", "operatingSystem": "", "osImage": "", "systemUUID": "",
    }}}));
    blocked(&ask(&k3s.snapshot(), caller()));

    // A real connection decides, whoever is known.
    let mut silence = closed.snapshot();
    tried(&mut silence, Outcome::TimedOut);
    let diagnosis = ask(&silence, caller());
    let finding = diagnosis.cause().unwrap();
    assert_eq!(finding.code, "network-policy-blocks", "{diagnosis:#?}");
    assert!(
        finding.evidence.iter().any(|item| item.field == "probe tcp://10.244.1.0:8080" && item.value == "no answer")
    );
    // So does one to the Service's address, if the kernel translates it: else the loss may be the proxy's.
    let through = |verdict: Option<Verdict>| {
        let mut snapshot = closed.snapshot();
        tried(&mut snapshot, Outcome::TimedOut);
        let evidence = snapshot.evidence.last_mut().unwrap();
        evidence.probes[0].target = "tcp://10.96.1.1:80".into();
        evidence.proxy.rules = Some(Vec::from_iter(verdict.map(|verdict| Rule {
            address: Some("10.96.1.1".parse().unwrap()),
            port: 80,
            protocol: "TCP".into(),
            service: None,
            endpoints: Vec::new(),
            verdict,
        })));
        let codes: Vec<_> = ask(&snapshot, caller()).findings.iter().map(|finding| finding.code).collect();
        codes.contains(&"network-policy-blocks")
    };
    assert!(through(Some(Verdict::Balance)) && !through(Some(Verdict::Drop)) && !through(None));
    let mut answer = base().policy("web", ingress(json!([]))).snapshot();
    tried(&mut answer, Outcome::Connected);
    let diagnosis = ask(&answer, caller());
    assert!(diagnosis.findings.iter().all(|finding| finding.code != "network-policy-blocks"), "{diagnosis:#?}");
}
