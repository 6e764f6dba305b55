//! Faults of what manages the cluster: the API, the cloud, controllers, nodes.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Lab;
use crate::until;

#[test]
fn the_api_refuses_and_is_slow_but_can_always_be_repaired() {
    let Some(lab) = Lab::start("the_api_refuses_and_is_slow_but_can_always_be_repaired", &[]) else { return };
    let create = || lab.kubectl.run(&["create", "configmap", "thing"], "").unwrap();
    lab.faults(
        r#"- api: {verbs: [create], resources: [configmaps], namespaces: [default], error: {code: 403, reason: Forbidden, message: "exceeded quota: tiny"}}"#,
    );
    let refused = create();
    assert!(refused.code == 1 && refused.stderr.contains("exceeded quota: tiny"), "{refused:?}");
    // Everything, for everybody: only the list itself can still be reached.
    lab.faults(r#"- api: {error: {code: 503, reason: ServiceUnavailable, message: "out of order"}}"#);
    let refused = lab.kubectl.run(&["get", "pods"], "").unwrap();
    assert!(refused.stderr.contains("out of order"), "{refused:?}");
    lab.faults("- api: {verbs: [create], namespaces: [default], delayMilliseconds: 700}");
    let start = Instant::now();
    let slow = create();
    assert!(slow.code == 0 && start.elapsed() >= Duration::from_millis(700), "{slow:?} {:?}", start.elapsed());
    lab.faults("[]");
    lab.kubectl.ok(&["delete", "configmap", "thing"]).unwrap();
    let start = Instant::now();
    assert_eq!(create().code, 0);
    assert!(start.elapsed() < Duration::from_millis(700), "{:?}", start.elapsed());
    lab.network.stop().unwrap();
}

#[test]
fn the_cloud_fails_in_its_own_words_and_works_again() {
    let Some(lab) = Lab::start("the_cloud_fails_in_its_own_words_and_works_again", &[]) else { return };
    let balancer = |name: &str| {
        lab.apply(&[json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}]},
        })]);
    };
    let address = |name: &str| lab.field(&format!("service/{name}"), ".status.loadBalancer.ingress[0].ip");
    lab.faults("- cloud: {faults: [{calls: [ensure], services: [default/one], effect: {refuse: {code: UnauthorizedOperation}}}]}");
    balancer("one");
    balancer("two");
    lab.event("service/one", "SyncLoadBalancerFailed", "UnauthorizedOperation");
    lab.becomes_like("service/two", ".status.loadBalancer.ingress[0].ip", "203.0.113.", 60);
    assert_eq!(address("one"), "");
    lab.faults("- cloud: {pool: exhausted}");
    balancer("three");
    lab.event("service/three", "IPNotAllocated", "in use");
    lab.faults("- cloud: {faults: [{calls: [ensure], effect: hang}]}");
    balancer("four");
    lab.event("service/four", "EnsuringLoadBalancer", "");
    assert_eq!(address("four"), "");
    // Narrower than the pool of `up`: what is new comes from here.
    lab.faults("- cloud: {pool: 203.0.113.64/28}");
    for name in ["three", "four"] {
        lab.becomes_like(&format!("service/{name}"), ".status.loadBalancer.ingress[0].ip", "203.0.113.6", 60);
    }
    lab.faults("[]");
    lab.becomes_like("service/one", ".status.loadBalancer.ingress[0].ip", "203.0.113.", 60);
    lab.network.stop().unwrap();
}

#[test]
fn controllers_that_are_stopped_or_stale_catch_up() {
    let Some(lab) = Lab::start("controllers_that_are_stopped_or_stale_catch_up", &[]) else { return };
    lab.echo("web", 1, &json!({}));
    until("the slice", 10, || if lab.slice_addresses("web") == 1 { Ok(()) } else { Err(String::new()) });
    for (fault, before, after) in
        [("- controllers: {stopped: [endpointslice]}", 1, 2), ("- controllers: {stale: [endpointslice]}", 2, 3)]
    {
        lab.faults(fault);
        lab.kubectl.ok(&["scale", "deployment/web", &format!("--replicas={after}")]).unwrap();
        lab.kubectl.ok(&["rollout", "status", "deployment/web", "--timeout=60s"]).unwrap();
        // The controller of Endpoints has seen the same change and is well.
        let path = ".subsets[0].addresses[*].ip";
        until("the Endpoints", 20, || match lab.field("endpoints/web", path).split_whitespace().count() {
            count if count == after => Ok(()),
            count => Err(count.to_string()),
        });
        assert_eq!(lab.slice_addresses("web"), before, "{fault}");
        lab.faults("[]");
        until("the slice", 20, || match lab.slice_addresses("web") {
            count if count == after => Ok(()),
            count => Err(count.to_string()),
        });
    }
    lab.network.stop().unwrap();
}

#[test]
fn a_lost_node_falls_silent_and_comes_back() {
    let Some(lab) = Lab::start("a_lost_node_falls_silent_and_comes_back", &[]) else { return };
    lab.echo("web", 1, &json!({"nodeName": "node2"}));
    let pods = ["get", "pods", "-l", "app=web", "-o"];
    let pod = lab
        .kubectl
        .ok(&[&pods[..], &["jsonpath={.items[0].metadata.name} {.items[0].status.podIP}"]].concat())
        .unwrap();
    let (pod, address) = pod.split_once(' ').unwrap();
    let target = format!("http://{address}:8080/");
    lab.comes_to("node1", &target, "answered");
    let lease = || {
        lab.kubectl.ok(&["get", "lease", "node2", "-n", "kube-node-lease", "-o", "jsonpath={.spec.renewTime}"]).unwrap()
    };
    lab.faults("- node: {name: node2, down: true}");
    let renewed = lease();
    let outcome = lab.probe("node1", None, &target);
    assert!(outcome == "timedOut" || outcome.starts_with("unreachable"), "{outcome}");
    lab.becomes("node/node2", ".status.conditions[?(@.type==\"Ready\")].status", "Unknown", 90);
    assert_eq!(lease(), renewed, "its agent no longer speaks");
    lab.faults("[]");
    lab.becomes("node/node2", ".status.conditions[?(@.type==\"Ready\")].status", "True", 30);
    lab.becomes(&format!("pod/{pod}"), ".status.containerStatuses[0].restartCount", "1", 30);
    lab.comes_to("node1", &target, "answered");
    lab.network.stop().unwrap();
}

#[test]
fn a_port_of_the_node_is_taken_and_given_back() {
    let Some(lab) = Lab::start("a_port_of_the_node_is_taken_and_given_back", &[]) else { return };
    lab.faults(
        "- node: {name: node1, holdPort: {port: 9090}}\n- node: {name: node1, holdPort: {port: 9091, protocol: UDP}}",
    );
    lab.comes_to("node2", "tcp://172.30.0.11:9090", "connected");
    lab.apply(&[json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "needy"},
        "spec": {"nodeName": "node1", "containers": [{
            "name": "echo", "image": "portolan/echo", "ports": [{"containerPort": 8080, "hostPort": 9090}],
        }]},
    })]);
    lab.event("pod/needy", "HostPortConflict", "9090");
    lab.faults("[]");
    lab.becomes("pod/needy", ".status.phase", "Running", 60);
    lab.comes_to("node2", "http://172.30.0.11:9090/", "answered");
    lab.network.stop().unwrap();
}

#[test]
fn a_node_has_another_resolv_conf_for_a_while() {
    let Some(lab) = Lab::start("a_node_has_another_resolv_conf_for_a_while", &["--image", "cat=/bin/cat"]) else {
        return;
    };
    let seen = |name: &str| {
        lab.apply(&[json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"nodeName": "node1", "dnsPolicy": "Default", "restartPolicy": "Never", "containers": [{
                "name": "cat", "image": "cat", "args": ["/etc/resolv.conf"],
            }]},
        })]);
        lab.becomes(&format!("pod/{name}"), ".status.phase", "Succeeded", 30);
        lab.kubectl.ok(&["logs", name]).unwrap()
    };
    let own = seen("before");
    lab.faults(r#"- node: {name: node1, resolvConf: "nameserver 192.0.2.77\n"}"#);
    assert!(seen("broken").contains("192.0.2.77"));
    lab.faults("[]");
    assert_eq!(seen("after"), own);
    lab.network.stop().unwrap();
}
