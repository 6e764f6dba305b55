//! Aliases, the cluster's DNS, and who asks it.

use k8s_openapi::api::core::v1::Service;
use portolan_objects::ObjectKey;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{code, diagnose, diagnose_service, fixture::Cluster, proven, silent, state};
use crate::{Ask, Diagnosis, From, Index, LinkId, Scope, Snapshot, State};

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn alias(target: &str) -> Cluster {
    Cluster::healthy().spec(json!({
        "type": "ExternalName", "externalName": target, "clusterIP": null, "clusterIPs": null, "selector": null,
        "ports": null,
    }))
}

fn another_alias(snapshot: &mut Snapshot, name: &str, target: &str) {
    let service = json!({
        "metadata": {"name": name, "namespace": "default"}, "spec": {"type": "ExternalName", "externalName": target},
    });
    snapshot.services.push(read(service));
}

#[test]
fn aliases_lead_to_names_that_can_be_resolved() {
    let cases = [
        ("192.0.2.7", "external-name-is-address"),
        ("fd00::1", "external-name-is-address"),
        ("https://db.example.com", "external-name-malformed"),
        ("db.example.com:5432", "external-name-malformed"),
        ("db.example.com/path", "external-name-malformed"),
        ("my_db.example.com", "external-name-malformed"),
        ("db", "external-name-malformed"),
        ("db.data.svc", "external-name-malformed"),
        ("nobody.default.svc.cluster.local", "external-name-target-missing"),
        ("db.nowhere.svc.cluster.local", "external-name-target-missing"),
        ("web.default.svc.cluster.local", "external-name-loop"),
        // Fine: the world outside, names that begin with digits, a trailing dot, another cluster's domain.
        ("db.example.com", "-"),
        ("db.example.com.", "-"),
        ("7.db.example.com", "-"),
        ("db.data.svc.corp.example", "-"),
        ("example.com", "-"),
    ];
    for (target, expected) in cases {
        let diagnosis = diagnose(&alias(target).snapshot());
        match expected {
            "-" => silent(&diagnosis),
            expected => proven(&diagnosis, expected, LinkId::Service),
        }
    }
}

#[test]
fn short_names_are_told_in_full() {
    let mut snapshot = alias("api").snapshot();
    let mut api: Service = Cluster::healthy().snapshot().services.remove(0);
    api.metadata.name = Some("api".into());
    snapshot.services.push(api);
    let command = |snapshot: &Snapshot| {
        let diagnosis = diagnose(snapshot);
        proven(&diagnosis, "external-name-malformed", LinkId::Service);
        diagnosis.cause().unwrap().remedies[0].commands[0].clone()
    };
    assert!(command(&snapshot).contains("api.default.svc.cluster.local"));
    snapshot.services[0].spec.as_mut().unwrap().external_name = Some("api.default".into());
    assert!(command(&snapshot).contains("api.default.svc.cluster.local"));
    // With its full name it is fine, and so is a pod's name behind it.
    for target in ["api.default.svc.cluster.local", "api-0.api.default.svc.cluster.local"] {
        snapshot.services[0].spec.as_mut().unwrap().external_name = Some(target.into());
        silent(&diagnose(&snapshot));
    }
}

#[test]
fn aliases_of_aliases_are_followed() {
    let mut circle = alias("b.default.svc.cluster.local").snapshot();
    another_alias(&mut circle, "b", "web.default.svc.cluster.local");
    another_alias(&mut circle, "c", "b.default.svc.cluster.local");
    let diagnosis = diagnose(&circle);
    proven(&diagnosis, "external-name-loop", LinkId::Service);
    // Whoever leads into the circle suffers from it too: one cause.
    let into = diagnose_service(&circle, "c");
    assert_eq!(code(&into), "external-name-loop");
    assert_eq!(into.cause().unwrap().subject, diagnosis.cause().unwrap().subject);

    let mut chain = alias("b.default.svc.cluster.local").snapshot();
    another_alias(&mut chain, "b", "192.0.2.1");
    let diagnosis = diagnose(&chain);
    proven(&diagnosis, "external-name-is-address", LinkId::Service);
    assert_eq!(diagnosis.cause().unwrap().subject.as_deref(), Some("service/default/b"));

    let mut good = alias("b.default.svc.cluster.local").snapshot();
    another_alias(&mut good, "b", "db.example.com");
    silent(&diagnose(&good));
}

#[test]
fn targets_out_of_sight_are_unknown_not_missing() {
    let snapshot = || {
        let mut snapshot = alias("db.data.svc.cluster.local").snapshot();
        snapshot.namespaces.push(read(json!({"metadata": {"name": "data"}})));
        snapshot
    };
    silent(&diagnose(&snapshot()));
    let looked = Snapshot { absent: vec!["data/db".into()], ..snapshot() };
    proven(&diagnose(&looked), "external-name-target-missing", LinkId::Service);
    let whole = Snapshot { scope: Scope::Cluster, ..snapshot() };
    proven(&diagnose(&whole), "external-name-target-missing", LinkId::Service);
    silent(&diagnose(&Snapshot { scope: Scope::Manifests, ..snapshot() }));
}

/// A cluster with its DNS: a Service without selector, and this many ready ones of two endpoints.
fn with_dns(mut snapshot: Snapshot, ready: usize) -> Snapshot {
    snapshot.namespaces.push(read(json!({"metadata": {"name": "kube-system"}})));
    snapshot.services.push(read(json!({
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "spec": {"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "ports": [{"port": 53, "protocol": "UDP"}]},
    })));
    let endpoint = |n: usize| json!({"addresses": [format!("10.244.0.{n}")], "conditions": {"ready": n < ready}});
    snapshot.slices.push(read(json!({
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "addressType": "IPv4", "ports": [{"port": 53, "protocol": "UDP"}], "endpoints": [endpoint(0), endpoint(1)],
    })));
    snapshot
}

fn healthy() -> Snapshot {
    with_dns(Cluster::healthy().snapshot(), 2)
}

fn from_pod(snapshot: &Snapshot, pod: &str) -> Diagnosis {
    let ask = Ask { from: From::Pod(ObjectKey::new("default", pod)) };
    crate::diagnose(&Index::new(snapshot), &ObjectKey::new("default", "web"), &ask)
}

#[test]
fn names_need_a_dns_service_with_endpoints() {
    let diagnosis = diagnose(&healthy());
    silent(&diagnosis);
    assert_eq!(state(&diagnosis, LinkId::Name), State::Ok);
    silent(&diagnose(&with_dns(Cluster::healthy().snapshot(), 1)));
    let none = diagnose(&with_dns(Cluster::healthy().snapshot(), 0));
    proven(&none, "dns-without-endpoints", LinkId::Name);
    assert_eq!(none.cause().unwrap().subject.as_deref(), Some("service/kube-dns"));

    let mut gone = healthy();
    gone.services.pop();
    proven(&diagnose(&gone), "dns-service-missing", LinkId::Name);
    // Callers outside do not ask it; and it may live elsewhere.
    let outside = Ask { from: From::Outside(None) };
    let diagnosis = crate::diagnose(&Index::new(&gone), &ObjectKey::new("default", "web"), &outside);
    assert_eq!(code(&diagnosis), "-");
    let mut elsewhere = gone.clone();
    elsewhere.namespaces.push(read(json!({"metadata": {"name": "openshift-dns"}})));
    silent(&diagnose(&elsewhere));
    let why = "forbidden".to_owned();
    gone.unread.push(crate::Unread { what: "services of kube-system".into(), why, essential: false });
    silent(&diagnose(&gone));
}

/// One question at the cluster's DNS, asked on a node, and what came of it.
fn asked(mut snapshot: Snapshot, node: &str, from: Value, question: &str, outcome: Value) -> Snapshot {
    let probe = json!({"from": from, "target": format!("dns://{question}"), "outcome": outcome, "milliseconds": 5});
    snapshot.evidence.push(read(json!({"node": node, "takenAt": "2026-07-01T12:00:00Z", "probes": [probe]})));
    snapshot
}

#[test]
fn a_dns_that_does_not_answer_is_proven_by_asking() {
    let own = "web.default.svc.cluster.local@10.96.0.10:53";
    let cases = [
        (own, json!("timedOut"), "dns-not-answering"),
        (own, json!("refused"), "dns-not-answering"),
        (own, json!({"answered": {"text": "Server Failure"}}), "dns-not-answering"),
        (own, json!("noSuchName"), "dns-not-answering"),
        (own, json!({"addresses": ["10.96.9.9"]}), "dns-not-answering"),
        (own, json!({"addresses": ["10.96.1.1"]}), "-"),
        // Another server, or a name that nobody promised.
        ("web.default.svc.cluster.local@192.0.2.53:53", json!("timedOut"), "-"),
        ("nobody.default.svc.cluster.local@10.96.0.10:53", json!("noSuchName"), "-"),
        ("example.com@10.96.0.10:53", json!("noSuchName"), "-"),
    ];
    for (question, outcome, expected) in cases {
        let diagnosis = diagnose(&asked(healthy(), "node-0", json!("node"), question, outcome.clone()));
        assert_eq!(code(&diagnosis), expected, "{question} {outcome}: {diagnosis:#?}");
    }
    // Answered on one node: not everybody is hurt, but a caller may be.
    let pod = json!({"pod": {"namespace": "default", "name": "web-1"}});
    let mixed = asked(healthy(), "node-0", json!("node"), own, json!({"addresses": ["10.96.1.1"]}));
    let mixed = asked(mixed, "node-1", pod, own, json!("timedOut"));
    let anybody = diagnose(&mixed);
    silent(&anybody);
    assert!(anybody.hints.iter().any(|hint| hint.en.contains("not everywhere")), "{:?}", anybody.hints);
    assert_eq!(code(&from_pod(&mixed, "web-1")), "dns-not-answering");
    assert_eq!(code(&from_pod(&mixed, "web-0")), "-");
}

#[test]
fn rules_that_do_not_lead_to_the_dns_are_the_proxys_fault() {
    let own = "web.default.svc.cluster.local@10.96.0.10:53";
    let mut snapshot = asked(healthy(), "node-0", json!("node"), own, json!("timedOut"));
    snapshot.evidence[0].proxy.rules = Some(Vec::new());
    let diagnosis = diagnose(&snapshot);
    assert_ne!(state(&diagnosis, LinkId::Name), State::Broken, "{diagnosis:#?}");
}

/// A caller with these fields in its spec.
fn caller(spec: Value) -> Snapshot {
    let mut snapshot = healthy();
    let mut pod = json!({
        "metadata": {"name": "caller", "namespace": "default", "uid": "caller"},
        "spec": {"nodeName": "node-0", "containers": [{"name": "app", "image": "x"}]},
        "status": {"phase": "Running", "podIP": "10.244.0.77", "podIPs": [{"ip": "10.244.0.77"}]},
    });
    for (key, value) in spec.as_object().unwrap() {
        pod["spec"][key] = value.clone();
    }
    snapshot.pods.push(read(pod));
    snapshot
}

#[test]
fn callers_that_ask_another_dns_hurt_themselves() {
    let cases = [
        (json!({}), "-"),
        (json!({"dnsPolicy": "ClusterFirst"}), "-"),
        (json!({"dnsPolicy": "Default"}), "pod-bypasses-cluster-dns"),
        (json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true}), "pod-bypasses-cluster-dns"),
        (json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}), "-"),
        (json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.96.0.10"]}}), "-"),
        (json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["169.254.20.10"]}}), "-"),
        // That server may know the cluster's domain.
        (json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.53"]}}), "-"),
    ];
    for (spec, expected) in cases {
        let snapshot = caller(spec.clone());
        assert_eq!(code(&from_pod(&snapshot, "caller")), expected, "{spec}");
        silent(&diagnose(&snapshot));
    }
    // A node whose own resolver is the cluster's.
    let mut snapshot = caller(json!({"dnsPolicy": "Default"}));
    snapshot.evidence.push(read(json!({
        "node": "node-0", "takenAt": "2026-07-01T12:00:00Z", "resolvConf": "search x\nnameserver 10.96.0.10\n"})));
    assert_eq!(code(&from_pod(&snapshot, "caller")), "-");
    // Who does not ask the cluster's DNS does not miss it.
    let mut gone = caller(json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.96.0.10"]}}));
    gone.services.retain(|service| service.metadata.name.as_deref() != Some("kube-dns"));
    assert_eq!(code(&from_pod(&gone, "caller")), "dns-service-missing");
}

#[test]
fn what_a_pod_asked_for_and_did_not_get_is_named() {
    let line = "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 10.96.0.10 192.0.2.1 192.0.2.2";
    let told = || with_dns(Cluster::healthy().event("Pod", "web-1", "DNSConfigForming", line, 60).snapshot(), 2);
    let mut own = told();
    own.pods[1].spec.as_mut().unwrap().dns_config =
        read(json!({"nameservers": ["192.0.2.1", "192.0.2.2", "192.0.2.3"]}));
    let diagnosis = diagnose(&own);
    proven(&diagnosis, "pod-dns-truncated", LinkId::Name);
    assert!(diagnosis.cause().unwrap().title.en.contains("192.0.2.3"), "{diagnosis:#?}");
    // A caller that is another pod is not concerned.
    assert_eq!(code(&from_pod(&own, "web-0")), "-");
    // The node's list was cut: what the cluster needs comes first.
    let node = diagnose(&told());
    silent(&node);
    assert!(node.hints.iter().any(|hint| hint.en.contains("resolv.conf")), "{:?}", node.hints);
}

#[test]
fn kubelets_without_cluster_dns_hurt_the_pods_of_their_nodes() {
    let text = "kubelet does not have ClusterDNS IP configured and cannot create Pod using \"ClusterFirst\" policy. Falling back to \"Default\" policy.";
    let one = with_dns(Cluster::healthy().event("Pod", "web-1", "MissingClusterDNS", text, 60).snapshot(), 2);
    let anybody = diagnose(&one);
    silent(&anybody);
    assert!(anybody.hints.iter().any(|hint| hint.en.contains("node-1")), "{:?}", anybody.hints);
    let caller = from_pod(&one, "web-1");
    assert_eq!(code(&caller), "cluster-dns-not-configured");
    assert_eq!(caller.cause().unwrap().subject.as_deref(), Some("node/node-1"));
    assert_eq!(code(&from_pod(&one, "web-0")), "-");
    let all = Cluster::healthy().event("Pod", "web-1", "MissingClusterDNS", text, 60).event(
        "Pod",
        "web-0",
        "MissingClusterDNS",
        text,
        60,
    );
    proven(&diagnose(&with_dns(all.snapshot(), 2)), "cluster-dns-not-configured", LinkId::Name);
}

#[test]
fn a_broken_resolv_conf_is_told_where_it_keeps_pods_from_starting() {
    let creating =
        json!({"phase": "Pending", "podIP": null, "podIPs": null, "containerStatuses": null, "conditions": null});
    let text = "Failed to create pod sandbox: Encountered error while parsing resolv conf file. Error: nameserver list is empty ";
    let cluster = (0..3).fold(Cluster::healthy().every_pod(creating).no_endpoints(), |cluster, n| {
        cluster.event("Pod", &format!("web-{n}"), "FailedCreatePodSandBox", text, 20)
    });
    let diagnosis = diagnose(&cluster.snapshot());
    assert_eq!(code(&diagnosis), "node-resolv-conf-broken", "{diagnosis:#?}");
    assert_eq!(diagnosis.cause().unwrap().subject.as_deref(), Some("node/node-0"));
    // Nobody is hurt while the pods run.
    let mut running = healthy();
    running
        .evidence
        .push(read(json!({"node": "node-0", "takenAt": "2026-07-01T12:00:00Z", "resolvConf": "nameserver\n"})));
    let diagnosis = diagnose(&running);
    silent(&diagnosis);
    assert!(diagnosis.hints.iter().any(|hint| hint.en.contains("resolv.conf of node-0")), "{:?}", diagnosis.hints);
}
