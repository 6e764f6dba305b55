//! Faults of what carries requests: proxies, DNS, the network.

use serde_json::json;

use super::Lab;

/// The cluster address of a Service.
fn entrance(lab: &Lab, service: &str) -> String {
    format!("http://{}:80/", lab.field(&format!("service/{service}"), ".spec.clusterIP"))
}

const HEALTH: &str = "http://172.30.0.11:10256/healthz";

#[test]
fn a_stopped_proxy_knows_no_new_service() {
    let Some(lab) = Lab::start("a_stopped_proxy_knows_no_new_service", &[]) else { return };
    lab.echo("old", 1, &json!({}));
    lab.comes_to("node1", &entrance(&lab, "old"), "answered");
    lab.faults("- proxy: {nodes: [node1], stopped: true}");
    lab.echo("new", 1, &json!({}));
    lab.comes_to("node2", &entrance(&lab, "new"), "answered");
    let outcome = lab.probe("node1", None, &entrance(&lab, "new"));
    assert!(!outcome.starts_with("answered"), "{outcome}");
    lab.comes_to("node1", &entrance(&lab, "old"), "answered");
    lab.comes_to("node2", HEALTH, "refused");
    lab.faults("[]");
    lab.comes_to("node1", &entrance(&lab, "new"), "answered");
    lab.comes_to("node2", HEALTH, "answered HTTP/1.1 200");
    lab.network.stop().unwrap();
}

#[test]
fn deleted_rules_are_missed_and_come_back() {
    let Some(lab) = Lab::start("deleted_rules_are_missed_and_come_back", &[]) else { return };
    lab.echo("web", 1, &json!({}));
    let web = entrance(&lab, "web");
    lab.comes_to("node1", &web, "answered");
    lab.faults("- proxy: {nodes: [node1], deleteRules: true}");
    crate::until("the rules to be missed", 10, || {
        let outcome = lab.probe("node1", None, &web);
        if outcome.starts_with("answered") { Err(outcome) } else { Ok(()) }
    });
    lab.comes_to("node2", &web, "answered");
    lab.comes_to("node2", HEALTH, "answered HTTP/1.1 200");
    lab.faults("[]");
    lab.comes_to("node1", &web, "answered");
    lab.network.stop().unwrap();
}

#[test]
fn a_frozen_proxy_says_so_and_catches_up() {
    let Some(lab) = Lab::start("a_frozen_proxy_says_so_and_catches_up", &[]) else { return };
    lab.faults("- proxy: {nodes: [node1], frozen: true}");
    lab.comes_to("node2", HEALTH, "answered HTTP/1.1 503");
    lab.echo("web", 1, &json!({}));
    lab.comes_to("node2", &entrance(&lab, "web"), "answered");
    let outcome = lab.probe("node1", None, &entrance(&lab, "web"));
    assert!(!outcome.starts_with("answered"), "{outcome}");
    lab.faults("[]");
    lab.comes_to("node1", &entrance(&lab, "web"), "answered");
    lab.comes_to("node2", HEALTH, "answered HTTP/1.1 200");
    lab.network.stop().unwrap();
}

#[test]
fn dns_answers_wrongly_or_not_at_all() {
    let Some(lab) = Lab::start("dns_answers_wrongly_or_not_at_all", &[]) else { return };
    let question = "dns://kubernetes.default.svc.cluster.local@10.96.0.10:53";
    lab.comes_to("node1", question, "addresses [\"10.96.0.1\"]");
    for (fault, outcome) in [
        ("- dns: {answer: noSuchName}", "noSuchName"),
        ("- dns: {answer: serverFailure}", "answered"),
        ("- dns: {answer: silent}", "timedOut"),
        ("- dns: {stopped: true}", "refused"),
    ] {
        lab.faults(fault);
        lab.comes_to("node1", question, outcome);
    }
    lab.faults("[]");
    lab.comes_to("node1", question, "addresses [\"10.96.0.1\"]");
    lab.network.stop().unwrap();
}

#[test]
fn packets_are_dropped_and_rejected_where_it_is_said() {
    let Some(lab) = Lab::start("packets_are_dropped_and_rejected_where_it_is_said", &[]) else { return };
    lab.echo("web", 1, &json!({"nodeName": "node2"}));
    let web = entrance(&lab, "web");
    lab.comes_to("node1", &web, "answered");
    let address = lab.field("pods", ".items[0].status.podIP");
    let at_the_source = format!("- network: {{node: node1, action: reject, toAddress: {address}}}");
    for (fault, outcome) in [
        // Behind the translation: the pod's own port.
        ("- network: {node: node2, action: drop, protocol: TCP, toPort: 8080}", "timedOut"),
        ("- network: {node: node2, action: reject, toPort: 8080}", "refused"),
        (&at_the_source, "refused"),
    ] {
        lab.faults(fault);
        lab.comes_to("node1", &web, outcome);
    }
    lab.faults("- network: {node: node2, action: drop, protocol: TCP, toPort: 8081}");
    lab.comes_to("node1", &web, "answered");
    let dns = "tcp://172.30.0.1:53";
    lab.comes_to("node1", dns, "connected");
    lab.faults("- network: {node: edge, action: drop, protocol: TCP, toPort: 53}");
    lab.comes_to("node1", dns, "timedOut");
    lab.faults("[]");
    lab.comes_to("node1", dns, "connected");
    lab.network.stop().unwrap();
}
