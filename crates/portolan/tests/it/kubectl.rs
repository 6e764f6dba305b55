//! Unmodified kubectls of several minors, every command a user of Services needs.

use std::io::{BufRead, BufReader};

use portolan_testkit::{Kubectl, Network, kubectls_or_skip, network_or_skip};

use crate::{PORTOLAN, until};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/loadbalancer.yaml");

#[test]
fn kubectl_works_in_every_version() {
    const TEST: &str = "kubectl_works_in_every_version";
    let kubectls = kubectls_or_skip(TEST);
    if kubectls.is_empty() {
        return;
    }
    let Some(network) = network_or_skip(TEST, PORTOLAN, &[]) else { return };
    for kubectl in &kubectls {
        println!("kubectl {}", kubectl.version);
        let kubectl = network.connect(kubectl);
        writes(&kubectl);
        reads(&kubectl);
        watches(&kubectl);
        edits(&kubectl, &network);
        removes(&kubectl);
    }
    network.stop().unwrap();
}

/// Runs a command and checks for all of the words.
fn says(kubectl: &Kubectl, arguments: &str, words: &[&str]) -> String {
    let output = kubectl.ok(&arguments.split_whitespace().collect::<Vec<_>>()).unwrap();
    for word in words {
        assert!(output.contains(word), "kubectl {} {arguments}: no {word:?} in:\n{output}", kubectl.version);
    }
    output
}

fn writes(kubectl: &Kubectl) {
    says(kubectl, "version", &["Server Version: v1."]);
    says(kubectl, "api-resources", &["services", "endpointslices", "deployments"]);
    says(kubectl, &format!("apply -f {EXAMPLE}"), &["deployment.apps/web created", "service/web created"]);
    says(kubectl, &format!("apply -f {EXAMPLE}"), &["deployment.apps/web unchanged", "service/web unchanged"]);
    says(kubectl, "rollout status deployment/web --timeout=60s", &["successfully rolled out"]);
    says(
        kubectl,
        "wait --for=jsonpath={.status.loadBalancer.ingress[0].ip} service/web --timeout=30s",
        &["condition met"],
    );
    says(kubectl, "wait --for=condition=Ready pod -l app=web --timeout=30s", &["condition met"]);
    chain_in_order(kubectl);
    says(kubectl, "label service web tier=front", &["service/web labeled"]);
    says(kubectl, "annotate service web note=1", &["service/web annotated"]);
    let patches = [
        ("strategic", r#"{"spec":{"ports":[{"port":80,"name":"http","targetPort":8080}]}}"#),
        ("merge", r#"{"spec":{"sessionAffinity":"None"}}"#),
        ("json", r#"[{"op":"replace","path":"/metadata/labels/tier","value":"back"}]"#),
    ];
    for (kind, patch) in patches {
        let output = kubectl.ok(&["patch", "service", "web", &format!("--type={kind}"), "-p", patch]).unwrap();
        assert!(output.contains("service/web patched"), "{kind}: {output}");
    }
    says(kubectl, "scale deployment/web --replicas=4", &["deployment.apps/web scaled"]);
    says(kubectl, "rollout status deployment/web --timeout=60s", &["successfully rolled out"]);
    let manifest = config_map("generateName", "made-");
    let output = kubectl.run(&["create", "-f", "-"], &manifest).unwrap();
    assert!(output.stdout.contains("configmap/made-"), "{output:?}");
}

/// Before anything is changed: a repeated event counts up and moves to the end of what describe prints.
fn chain_in_order(kubectl: &Kubectl) {
    let chain = ["EnsuringLoadBalancer", "CreatingLoadBalancer", "CreatedLoadBalancer", "EnsuredLoadBalancer"];
    let described = until("the Service's chain of events", 10, || {
        let text = says(kubectl, "describe service web", &["Events:"]);
        if chain.iter().all(|reason| text.contains(reason)) { Ok(text) } else { Err(text) }
    });
    let places: Vec<_> = chain.iter().map(|reason| described.find(&format!(" {reason} "))).collect();
    assert!(places.is_sorted() && places[0].is_some(), "the chain is out of order:\n{described}");
}

fn reads(kubectl: &Kubectl) {
    says(kubectl, "get service web", &["NAME", "LoadBalancer", "203.0.113.", "80:3"]);
    says(kubectl, "get services -o wide", &["SELECTOR", "app=web", "kubernetes"]);
    says(kubectl, "get services -A", &["kube-system", "kube-dns"]);
    says(kubectl, "get service web -o yaml", &["kind: Service", "tier: back"]);
    says(kubectl, "get services -o json", &["\"kind\": \"List\""]);
    says(kubectl, "get pods -l app=web -o wide", &["1/1", "Running", "10.244."]);
    says(kubectl, "get pods --field-selector status.phase=Running", &["web-"]);
    says(kubectl, "get nodes", &["node1", "Ready", "v1."]);
    says(kubectl, "get deployments,replicasets", &["4/4"]);
    says(kubectl, "get endpointslices", &["IPv4", "8080", "10.244."]);
    says(kubectl, "get endpoints web", &["10.244.", ":8080"]);
    says(kubectl, "get all", &["service/web", "deployment.apps/web"]);
    says(kubectl, "describe service web", &["Name:", "web", "Endpoints:", "10.244."]);
    let pod = says(kubectl, "get pods -l app=web -o name", &["pod/web-"]);
    let pod = pod.lines().next().unwrap_or_default();
    says(kubectl, &format!("describe {pod}"), &["Scheduled", "Started", "portolan/echo"]);
    says(kubectl, "describe node node1", &["InternalIP", "PodCIDR", "Non-terminated Pods"]);
    says(kubectl, "describe endpointslices", &["AddressType:", "IPv4"]);
    says(kubectl, "describe endpoints web", &["Addresses:"]);
    says(kubectl, "explain svc.spec", &["clusterIP", "externalTrafficPolicy"]);
    says(kubectl, &format!("logs {pod}"), &[]);
    says(kubectl, "events", &["EnsuredLoadBalancer"]);
    says(kubectl, "get events", &["Scheduled"]);
    let event = says(kubectl, "get events -o name", &["event/"]);
    says(kubectl, &format!("describe {}", event.lines().next().unwrap_or_default()), &["Reason:"]);
}

fn config_map(field: &str, name: &str) -> String {
    serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {field: name}}).to_string()
}

/// `get -w` shows what is there and then what changes.
fn watches(kubectl: &Kubectl) {
    let mut child = kubectl
        .command(&["get", "configmaps", "-w", "--no-headers"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let name = format!("watched-{}", kubectl.version.replace('.', "-"));
    assert!(lines.next().is_some(), "the ConfigMap made before is shown first");
    assert_eq!(kubectl.run(&["create", "-f", "-"], &config_map("name", &name)).unwrap().code, 0);
    assert!(lines.any(|line| line.starts_with(&name)), "the new one follows");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn edits(kubectl: &Kubectl, network: &Network) {
    let script = network.home().join("editor");
    std::fs::write(&script, "#!/bin/sh\nexec sed -i 's/tier: back/tier: edited/' \"$1\"\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = kubectl.command(&["edit", "service", "web"]).env("EDITOR", &script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    says(kubectl, "get service web -o jsonpath={.metadata.labels.tier}", &["edited"]);
}

fn removes(kubectl: &Kubectl) {
    says(kubectl, &format!("delete -f {EXAMPLE} --timeout=60s"), &["deleted"]);
    let gone = kubectl.run(&["get", "service", "web"], "").unwrap();
    assert!(gone.code == 1 && gone.stderr.contains("services \"web\" not found"), "{gone:?}");
    says(kubectl, "delete configmap --all", &["deleted"]);
    until("the Deployment's pods to go", 60, || {
        let left = kubectl.ok(&["get", "pods", "-l", "app=web", "-o", "name"]).unwrap();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}
