//! What only kernels and real connections show: one fault each time, and the states that look like one.

use serde_json::{Value, json};

use super::{Cluster, diagnose, proven, silent, state};
use crate::{Diagnosis, LinkId, Snapshot, State, evidence::NodeEvidence};

const HEALTHY: &str = r#"200 {"lastUpdated":1,"currentTime":2,"nodeEligible":true}"#;

/// Evidence of one node on which everything is as it should be, changed by `patch`.
fn node(name: &str, patch: Value) -> NodeEvidence {
    let listening = json!([{"protocol": "TCP", "address": "0.0.0.0", "port": 8080, "program": "web"}]);
    let pods: Vec<Value> = (0..3)
        .filter(|n| name == format!("node-{}", n % 2))
        .map(
            |n| json!({"owner": {"pod": {"namespace": "default", "name": format!("web-{n}")}}, "listening": listening}),
        )
        .collect();
    let mut evidence = json!({
        "node": name, "takenAt": "2026-07-01T12:00:01Z",
        "proxy": {"mode": "nftables", "healthy": true, "health": HEALTHY, "rules": [rule(&[0, 1, 2])]},
        "flows": [], "sockets": pods,
    });
    for (field, value) in patch.as_object().unwrap() {
        match (field.as_str(), value) {
            ("proxy", Value::Object(fields)) => {
                fields.iter().for_each(|(field, value)| evidence["proxy"][field] = value.clone());
            }
            _ => evidence[field] = value.clone(),
        }
    }
    serde_json::from_value(evidence).unwrap()
}

fn rule(endpoints: &[usize]) -> Value {
    let endpoints: Vec<String> = endpoints.iter().map(|n| format!("10.244.1.{n}:8080")).collect();
    json!({"address": "10.96.1.1", "port": 80, "protocol": "TCP", "endpoints": endpoints, "verdict": "balance"})
}

fn snapshot(cluster: &Cluster, evidence: Vec<NodeEvidence>) -> Snapshot {
    Snapshot { evidence, ..cluster.snapshot() }
}

/// Node 0 as patched, node 1 as it should be.
fn look(patch: Value) -> Diagnosis {
    look_at(&Cluster::healthy(), patch)
}

fn look_at(cluster: &Cluster, patch: Value) -> Diagnosis {
    diagnose(&snapshot(cluster, vec![node("node-0", patch), node("node-1", json!({}))]))
}

fn subject(diagnosis: &Diagnosis) -> &str {
    diagnosis.cause().unwrap().subject.as_deref().unwrap_or("-")
}

#[test]
fn kernels_that_agree_are_ok_and_silent_without_evidence() {
    let diagnosis = look(json!({}));
    silent(&diagnosis);
    assert!(diagnosis.hints.is_empty(), "{:?}", diagnosis.hints);
    for link in [LinkId::Proxy, LinkId::Conntrack, LinkId::Socket] {
        assert_eq!(state(&diagnosis, link), State::Ok, "{link:?}");
    }
    assert_eq!(state(&diagnosis, LinkId::Probe), State::NotChecked);
    let without = diagnose(&Cluster::healthy().snapshot());
    silent(&without);
    assert_eq!(state(&without, LinkId::Proxy), State::NotChecked);
}

#[test]
fn rules_that_are_gone_are_told_by_what_the_proxy_says_of_itself() {
    let silence = json!({"healthy": null, "health": "nobody listens on port 10256", "rules": []});
    let stuck = json!({"healthy": false, "health": r#"503 {"healthy":false,"nodeEligible":true}"#, "rules": []});
    for (proxy, code) in [
        (json!({"rules": []}), "proxy-rules-missing"),
        (json!({"mode": null, "rules": []}), "proxy-rules-missing"),
        (silence, "proxy-not-running"),
        (stuck, "proxy-not-syncing"),
    ] {
        let diagnosis = look(json!({"proxy": proxy}));
        proven(&diagnosis, code, LinkId::Proxy);
        assert_eq!(subject(&diagnosis), "node/node-0");
        assert!(diagnosis.cause().unwrap().title.en.contains("no Service rules at all"), "{code}");
    }
}

#[test]
fn old_rules_name_what_they_have_and_lack() {
    let diagnosis = look(json!({"proxy": {"rules": [rule(&[0, 1, 9])]}}));
    proven(&diagnosis, "proxy-rules-stale", LinkId::Proxy);
    let values: Vec<_> = diagnosis.cause().unwrap().evidence.iter().map(|e| e.value.as_str()).collect();
    assert!(values.contains(&"10.244.1.9:8080") && values.contains(&"10.244.1.2:8080"), "{values:?}");
    let refuses = json!({"address": "10.96.1.1", "port": 80, "protocol": "TCP", "verdict": "refuse"});
    proven(&look(json!({"proxy": {"rules": [refuses]}})), "proxy-rules-stale", LinkId::Proxy);
}

#[test]
fn states_that_look_like_wrong_rules_and_are_not() {
    // Rules could not be read; the proxy is down but its rules are right; a node on its way out says 503.
    silent(&look(json!({"proxy": {"rules": null}})));
    let down = look(json!({"proxy": {"healthy": null, "health": "nobody listens on port 10256"}}));
    silent(&down);
    assert_eq!(down.hints.len(), 1, "{:?}", down.hints);
    silent(&look(json!({"proxy": {"healthy": false, "health": r#"503 {"nodeEligible":false}"#}})));

    // Another data plane: no rules of a known proxy anywhere.
    let other = || json!({"proxy": {"mode": null, "healthy": null, "health": null, "rules": []}});
    silent(&diagnose(&snapshot(&Cluster::healthy(), vec![node("node-0", other()), node("node-1", other())])));

    // The pods changed a moment ago; the evidence is of another time.
    let now =
        json!({"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-07-01T11:59:55Z"}]});
    silent(&look_at(&Cluster::healthy().pod(1, now), json!({"proxy": {"rules": [rule(&[0])]}})));
    let old = json!({"takenAt": "2026-07-01T11:40:00Z", "proxy": {"rules": []}});
    silent(&diagnose(&snapshot(&Cluster::healthy(), vec![node("node-0", old)])));

    // Policy Local leaves only the node's own endpoints; a Service without endpoints needs no rule.
    let local = Cluster::healthy().spec(json!({"internalTrafficPolicy": "Local"}));
    let own = |name: &str, own: &[usize]| node(name, json!({"proxy": {"rules": [rule(own)]}}));
    silent(&diagnose(&snapshot(&local, vec![own("node-0", &[0, 2]), own("node-1", &[1])])));
    let labels = json!({"labels": {"service.kubernetes.io/service-proxy-name": "mesh"}});
    silent(&look_at(&Cluster::healthy().metadata(labels), json!({"proxy": {"rules": []}})));
}

#[test]
fn node_ports_need_a_rule_too() {
    let port = json!([{"port": 80, "targetPort": "http", "protocol": "TCP", "nodePort": 30080}]);
    let cluster = Cluster::healthy().spec(json!({"type": "NodePort", "ports": port}));
    let diagnosis = look_at(&cluster, json!({}));
    proven(&diagnosis, "proxy-rules-missing", LinkId::Proxy);
    assert_eq!(subject(&diagnosis), "node/node-0,node-1");
    assert!(diagnosis.cause().unwrap().evidence.iter().any(|e| e.field == "rule node port 30080/TCP"));
}

fn udp() -> Cluster {
    Cluster::healthy().udp()
}

fn udp_rule(endpoints: &[usize]) -> Value {
    let mut rule = rule(endpoints);
    rule["protocol"] = json!("UDP");
    rule
}

fn flow(protocol: &str, endpoint: usize, state: Value) -> Value {
    json!({"protocol": protocol, "source": "10.244.0.9:4000", "destination": "10.96.1.1:80",
        "translated": format!("10.244.1.{endpoint}:8080"), "state": state, "answered": state.is_null()})
}

fn udp_node(name: &str, flows: Value) -> NodeEvidence {
    node(name, json!({"proxy": {"rules": [udp_rule(&[0, 1, 2])]}, "sockets": [], "flows": flows}))
}

#[test]
fn udp_flows_to_endpoints_that_are_gone_are_stale() {
    let flows = json!([flow("UDP", 1, Value::Null), flow("UDP", 7, Value::Null)]);
    let diagnosis = diagnose(&snapshot(&udp(), vec![udp_node("node-0", flows)]));
    proven(&diagnosis, "conntrack-stale", LinkId::Conntrack);
    assert_eq!(
        diagnosis.cause().unwrap().remedies[0].commands,
        ["conntrack -D -p udp --orig-dst 10.96.1.1 --orig-port-dst 80 --reply-src 10.244.1.7"]
    );
    // An endpoint that is not ready may still answer its old flows; without any endpoint flows are left alone.
    let one = json!([flow("UDP", 1, Value::Null)]);
    silent(&diagnose(&snapshot(&udp(), vec![udp_node("node-0", one)])));
    let gone = json!([flow("UDP", 7, Value::Null)]);
    let mut empty = snapshot(&udp().no_endpoints(), vec![udp_node("node-0", gone)]);
    empty.evidence[0].proxy.rules = None;
    let diagnosis = diagnose(&empty);
    assert_ne!(state(&diagnosis, LinkId::Conntrack), State::Broken);
}

#[test]
fn affinity_binds_new_connections_to_a_pod_that_is_gone() {
    let sticky = || Cluster::healthy().spec(json!({"sessionAffinity": "ClientIP"}));
    let opening = json!({"flows": [flow("TCP", 7, json!("SYN_SENT"))]});
    let diagnosis = look_at(&sticky(), opening.clone());
    proven(&diagnosis, "affinity-to-dead-pod", LinkId::Conntrack);
    // Without affinity it is an attempt that was under way when the pod went; an established one ends by itself.
    silent(&look(opening));
    silent(&look_at(&sticky(), json!({"flows": [flow("TCP", 7, json!("ESTABLISHED"))]})));
}

fn sockets(sockets: Value) -> Value {
    let owner = |n: usize| json!({"pod": {"namespace": "default", "name": format!("web-{n}")}});
    json!({"sockets": [{"owner": owner(0), "listening": sockets}, {"owner": owner(2), "listening": sockets}]})
}

fn socket(protocol: &str, address: &str, port: u16) -> Value {
    json!({"protocol": protocol, "address": address, "port": port})
}

#[test]
fn sockets_show_who_listens_and_where() {
    for (listening, code) in [
        (json!([]), "nobody-listens"),
        (json!([socket("TCP", "0.0.0.0", 3000)]), "nobody-listens"),
        (json!([socket("TCP", "10.0.0.7", 8080)]), "nobody-listens"),
        (json!([socket("TCP", "127.0.0.1", 8080), socket("TCP", "::1", 8080)]), "listens-on-loopback-only"),
        (json!([socket("UDP", "0.0.0.0", 8080)]), "listens-other-protocol"),
    ] {
        let diagnosis = look(sockets(listening.clone()));
        proven(&diagnosis, code, LinkId::Socket);
        let title = &diagnosis.cause().unwrap().title.en;
        assert!(title.contains("web-0, web-2") && title.contains("8080"), "{title}");
    }
    for listening in [
        json!([socket("TCP", "0.0.0.0", 8080)]),
        json!([socket("TCP", "::", 8080), socket("UDP", "0.0.0.0", 8080)]),
        json!([socket("TCP", "127.0.0.1", 8080), socket("TCP", "0.0.0.0", 8080)]),
    ] {
        silent(&look(sockets(listening)));
    }
}

#[test]
fn the_only_open_port_is_the_remedy() {
    let diagnosis = look(sockets(json!([socket("TCP", "::", 3000)])));
    let commands = &diagnosis.cause().unwrap().remedies[0].commands;
    assert!(commands[0].contains("/spec/ports/0/targetPort") && commands[0].contains(":3000}"), "{commands:?}");
}

#[test]
fn sockets_that_may_still_open_or_that_a_mesh_answers_for_are_no_fault() {
    let starting =
        json!({"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-07-01T11:59:55Z"}]});
    let cluster = Cluster::healthy().pod(0, starting.clone()).pod(2, starting);
    silent(&look_at(&cluster, sockets(json!([]))));
    let mut meshed = sockets(json!([]));
    meshed["probes"] = json!([attempt(0, json!("connected")), attempt(2, json!("connected"))]);
    silent(&look(meshed));
    // By uid, as a real node knows pods.
    let by_uid = json!({"sockets": [{"owner": {"podUid": "pod-0"}, "listening": []}]});
    let diagnosis = look(by_uid);
    proven(&diagnosis, "nobody-listens", LinkId::Socket);
    assert_eq!(subject(&diagnosis), "pod/web-0");
}

#[test]
fn a_pod_that_is_not_ready_is_no_second_cause() {
    let not_ready = json!({"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-07-01T11:30:00Z"}],
        "containerStatuses": [{"name": "app", "image": "web", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"running": {}}}]});
    let cluster = Cluster::healthy().every_pod(not_ready).not_ready_endpoints();
    let mut snapshot = snapshot(&cluster, vec![node("node-0", sockets(json!([])))]);
    snapshot.evidence[0].proxy.rules = Some(vec![]);
    let diagnosis = diagnose(&snapshot);
    assert_eq!(diagnosis.findings.len(), 1, "{diagnosis:#?}");
    assert_eq!(diagnosis.findings[0].link, LinkId::Readiness);
    assert!(diagnosis.hints.iter().any(|hint| hint.en.contains("port 8080/TCP")), "{:?}", diagnosis.hints);
}

fn attempt(endpoint: usize, outcome: Value) -> Value {
    attempt_to(&format!("tcp://10.244.1.{endpoint}:8080"), outcome)
}

fn attempt_to(target: &str, outcome: Value) -> Value {
    json!({"from": "node", "target": target, "outcome": outcome, "milliseconds": 3})
}

/// Attempts on node 0 and on node 1.
fn attempts(zero: Value, one: Value) -> Diagnosis {
    let nodes = vec![node("node-0", json!({"probes": zero})), node("node-1", json!({"probes": one}))];
    diagnose(&snapshot(&Cluster::healthy(), nodes))
}

#[test]
fn connections_beside_the_endpoint_show_the_program() {
    let refused = attempts(json!([attempt(0, json!("refused")), attempt(2, json!("connected"))]), json!([]));
    proven(&refused, "endpoint-refuses", LinkId::Probe);
    assert_eq!(subject(&refused), "pod/web-0");
    let mute = attempts(json!([attempt(0, json!("timedOut"))]), json!([]));
    proven(&mute, "endpoint-silent", LinkId::Probe);
    let accepts = attempts(json!([attempt_to("http://10.244.1.0:8080/", json!("connected"))]), json!([]));
    proven(&accepts, "endpoint-silent", LinkId::Probe);
    let fine = json!([attempt(0, json!("connected")), attempt_to("tcp://10.96.1.1:80", json!("connected"))]);
    let fine = attempts(fine, json!([attempt(0, json!("connected"))]));
    silent(&fine);
    assert_eq!(state(&fine, LinkId::Probe), State::Ok);
}

#[test]
fn connections_that_differ_between_nodes_show_the_network() {
    let lost = attempts(json!([attempt(0, json!("connected"))]), json!([attempt(0, json!("timedOut"))]));
    proven(&lost, "network-drops", LinkId::Probe);
    assert_eq!(subject(&lost), "node/node-1");
    let refused = attempts(json!([attempt(0, json!("connected"))]), json!([attempt(0, json!("refused"))]));
    proven(&refused, "network-drops", LinkId::Probe);
    let address = json!([attempt(0, json!("connected")), attempt_to("tcp://10.96.1.1:80", json!("timedOut"))]);
    let address = attempts(address, json!([]));
    proven(&address, "network-drops", LinkId::Probe);
    assert!(address.cause().unwrap().title.en.contains("Service's address"));
    // A node that reaches nothing elsewhere either says nothing of the pods on it.
    let blind = json!([attempt(0, json!("timedOut")), attempt(1, json!("timedOut"))]);
    let blind = attempts(blind, json!([attempt(1, json!("connected"))]));
    proven(&blind, "network-drops", LinkId::Probe);
    assert_eq!(subject(&blind), "node/node-0");
    // From afar alone nothing is known.
    silent(&attempts(json!([]), json!([attempt(0, json!("timedOut"))])));
}

/// From inside pod 0.
fn inside(outcome: Value) -> Value {
    let mut attempt = attempt(0, outcome);
    attempt["from"] = json!({"pod": {"namespace": "default", "name": "web-0"}});
    attempt
}

#[test]
fn connections_inside_the_pod_tell_the_program_from_the_node() {
    let both = |inside_met: Value, beside: Value| attempts(json!([inside(inside_met), attempt(0, beside)]), json!([]));
    let dropped = both(json!("connected"), json!("timedOut"));
    proven(&dropped, "network-drops", LinkId::Probe);
    let rejected = both(json!("connected"), json!("refused"));
    proven(&rejected, "endpoint-refuses", LinkId::Probe);
    assert_eq!(subject(&rejected), "node/node-0");
    let program = both(json!("refused"), json!("refused"));
    proven(&program, "endpoint-refuses", LinkId::Probe);
    assert_eq!(subject(&program), "pod/web-0");
    silent(&both(json!("connected"), json!("connected")));
}

#[test]
fn a_network_policy_may_want_nodes_to_be_kept_out() {
    let nodes = vec![
        node("node-0", json!({"probes": [attempt(0, json!("connected"))]})),
        node("node-1", json!({"probes": [attempt(0, json!("timedOut"))]})),
    ];
    let mut snapshot = snapshot(&Cluster::healthy(), nodes);
    let policy = json!({"metadata": {"name": "p", "namespace": "default"}, "spec": {"podSelector": {"matchLabels": {"app": "web"}}}});
    snapshot.network_policies = vec![serde_json::from_value(policy).unwrap()];
    let diagnosis = diagnose(&snapshot);
    assert_ne!(diagnosis.cause().map(|finding| finding.code), Some("network-drops"), "{diagnosis:#?}");
    assert!(diagnosis.hints.iter().any(|hint| hint.en.contains("NetworkPolicies")), "{:?}", diagnosis.hints);
    // One that selects other pods changes nothing.
    let others = json!({"metadata": {"name": "p", "namespace": "default"}, "spec": {"podSelector": {"matchLabels": {"app": "other"}}}});
    snapshot.network_policies = vec![serde_json::from_value(others).unwrap()];
    proven(&diagnose(&snapshot), "network-drops", LinkId::Probe);
}

#[test]
fn an_answer_in_another_protocol_is_told_where_the_service_names_one() {
    let port = json!([{"port": 80, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}]);
    let cluster = Cluster::healthy().spec(json!({"ports": port}));
    let answer =
        |text: &str| json!({"probes": [attempt_to("http://10.244.1.0:8080/", json!({"answered": {"text": text}}))]});
    let diagnosis = look_at(&cluster, answer("SSH-2.0-OpenSSH_9.2"));
    proven(&diagnosis, "wrong-protocol-answer", LinkId::Probe);
    silent(&look_at(&cluster, answer("HTTP/1.1 404 Not Found")));
    silent(&look(answer("SSH-2.0-OpenSSH_9.2")));
}

#[test]
fn what_the_sockets_explain_is_not_told_again_by_the_attempts() {
    let mut patch = sockets(json!([]));
    patch["probes"] = json!([attempt(0, json!("refused"))]);
    let diagnosis = look(patch);
    proven(&diagnosis, "nobody-listens", LinkId::Socket);
    assert_eq!(state(&diagnosis, LinkId::Probe), State::Consequence);
}
