//! What nodes say of their kernels, and what the doctor makes of it: on a real network, with real faults.

use std::process::{Command, Output};

use portolan_netns::world;
use portolan_testkit::{Kubectl, Network, kubectls_or_skip, network_or_skip};
use serde_json::{Value, json};

use crate::{PORTOLAN, until};

struct Lab {
    network: Network,
    kubectl: Kubectl,
}

impl Lab {
    /// A network with three echo pods behind the Service `web`, which speaks HTTP.
    fn start(test: &str) -> Option<Self> {
        let kubectl = kubectls_or_skip(test).pop()?;
        let network = network_or_skip(test, PORTOLAN, &[])?;
        let kubectl = network.connect(&kubectl);
        let lab = Self { network, kubectl };
        let port = json!({"name": "http", "containerPort": 8080});
        lab.apply(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [
                    {"name": "echo", "image": "portolan/echo", "ports": [port]}]},
            }},
        }));
        lab.apply(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"type": "NodePort", "selector": {"app": "web"},
                "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        }));
        lab.kubectl.ok(&["rollout", "status", "deployment/web", "--timeout=60s"]).unwrap();
        Some(lab)
    }

    fn apply(&self, object: &Value) {
        let output = self.kubectl.run(&["apply", "-f", "-"], &object.to_string()).unwrap();
        assert_eq!(output.code, 0, "{}", output.stderr);
    }

    fn faults(&self, list: &str) {
        self.apply(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "portolan-faults", "namespace": "kube-system"}, "data": {"faults.yaml": list},
        }));
    }

    /// Gives the pods this variable, and waits for the new ones.
    fn variable(&self, name: &str, value: &str) {
        let patch = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "echo", "env": [{"name": name, "value": value}]}]}}}});
        self.kubectl.ok(&["patch", "deployment", "web", "-p", &patch.to_string()]).unwrap();
        self.kubectl.ok(&["rollout", "status", "deployment/web", "--timeout=60s"]).unwrap();
    }

    fn evidence(&self, node: &str, query: &str) -> Value {
        let path = format!("/api/v1/nodes/{node}/proxy/evidence{query}");
        serde_json::from_str(&self.kubectl.ok(&["get", "--raw", &path]).unwrap()).unwrap()
    }

    fn diagnose(&self) -> Value {
        let kubeconfig = self.network.kubeconfig.to_str().unwrap();
        let output = portolan(&["diagnose", "svc/web", "-n", "default", "--kubeconfig", kubeconfig, "-o", "json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Waits until the doctor names exactly this cause; `-` for none, with all links of the data plane looked at.
    fn cause(&self, what: &str, wanted: &str) {
        until(&format!("{wanted} after {what}"), 60, || {
            let diagnosis = self.diagnose();
            let codes: Vec<_> =
                diagnosis["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
            let looked = ["proxy", "conntrack", "socket", "probe"].iter().all(|id| {
                let links = diagnosis["links"].as_array().unwrap();
                links.iter().any(|link| link["id"] == *id && link["state"] != "not-checked")
            });
            match (wanted, codes.as_slice()) {
                ("-", []) if looked => Ok(()),
                (wanted, [only]) if *only == wanted => Ok(()),
                _ => Err(format!("{codes:?}, looked at all: {looked}")),
            }
        });
    }
}

fn portolan(arguments: &[&str]) -> Output {
    Command::new(PORTOLAN).args(arguments).env_remove("KUBECONFIG").env("LANG", "C.UTF-8").output().unwrap()
}

#[test]
fn nodes_tell_of_their_rules_sockets_and_flows_through_the_api_server() {
    let Some(lab) = Lab::start("nodes_tell_of_their_rules_sockets_and_flows_through_the_api_server") else { return };
    let field = |object: &str, path: &str| lab.kubectl.ok(&["get", object, "-o", &format!("jsonpath={path}")]).unwrap();
    let address = field("service/web", "{.spec.clusterIP}");
    let node_port: u16 = field("service/web", "{.spec.ports[0].nodePort}").parse().unwrap();
    until("the rules of node1", 10, || {
        let evidence = lab.evidence("node1", "");
        let rules = evidence["proxy"]["rules"].as_array().unwrap().clone();
        let full = |rule: &&Value| rule["endpoints"].as_array().unwrap().len() == 3;
        let by_address =
            rules.iter().filter(full).any(|rule| rule["address"] == address.as_str() && rule["port"] == 80);
        let by_port = rules.iter().filter(full).any(|rule| rule["address"].is_null() && rule["port"] == node_port);
        let whole =
            by_address && by_port && evidence["proxy"]["mode"] == "portolan" && evidence["proxy"]["healthy"] == true;
        if whole { Ok(()) } else { Err(evidence.to_string()) }
    });

    let probed = lab.evidence(
        "node1",
        &format!("?probe=http://{address}:80/&probe=dns://web.default.svc.cluster.local@10.96.0.10:53"),
    );
    let outcomes: Vec<&Value> = probed["probes"].as_array().unwrap().iter().map(|probe| &probe["outcome"]).collect();
    assert_eq!(outcomes[0]["answered"]["text"], "HTTP/1.1 200 OK", "{probed}");
    assert_eq!(outcomes[1]["addresses"], json!([address]), "{probed}");
    let flows = lab.evidence("node1", "")["flows"].clone();
    let to_service = |flow: &&Value| flow["destination"] == format!("{address}:80") && flow["protocol"] == "TCP";
    assert!(flows.as_array().unwrap().iter().filter(to_service).all(|flow| flow["answered"] == true), "{flows}");
    assert!(flows.as_array().unwrap().iter().any(|flow| to_service(&flow)), "{flows}");

    // Each pod on its node, with the program that listens; and an attempt from inside it.
    let sockets = lab.evidence("node2", "")["sockets"].clone();
    let pods: Vec<&Value> = sockets.as_array().unwrap().iter().filter(|of| of["owner"]["pod"].is_object()).collect();
    assert!(!pods.is_empty(), "{sockets}");
    let listens = |of: &&&Value| {
        of["listening"].as_array().unwrap().iter().any(|socket| socket["port"] == 8080 && socket["program"].is_string())
    };
    assert_eq!(pods.iter().filter(listens).count(), pods.len(), "{sockets}");
    let pod = format!("default/{}", pods[0]["owner"]["pod"]["name"].as_str().unwrap());
    let inside = lab.evidence("node2", &format!("?podProbe={pod},http://127.0.0.1:8080/"));
    assert_eq!(inside["probes"][0]["outcome"]["answered"]["text"], "HTTP/1.1 200 OK", "{inside}");

    let refused = |path: &str| lab.kubectl.run(&["get", "--raw", path], "").unwrap();
    let missing = refused("/api/v1/nodes/node9/proxy/evidence");
    assert!(missing.stderr.contains("nodes \"node9\" not found"), "{missing:?}");
    assert_eq!(refused("/api/v1/nodes/node1/proxy/evidence?probe=web").code, 1);
    assert_eq!(refused("/api/v1/nodes/node1/proxy/nothing").code, 1);
    lab.network.stop().unwrap();
}

#[test]
fn faults_of_the_data_plane_are_named_from_what_the_nodes_say() {
    let Some(lab) = Lab::start("faults_of_the_data_plane_are_named_from_what_the_nodes_say") else { return };
    lab.cause("nothing", "-");
    let both = |action: &str| {
        let one = |node: &str| format!("- network: {{node: {node}, action: {action}, protocol: TCP, toPort: 8080}}\n");
        one("node1") + &one("node2")
    };
    for (faults, code) in [
        ("- proxy: {nodes: [node1], deleteRules: true}".to_owned(), "proxy-rules-missing"),
        (both("drop"), "network-drops"),
        (both("reject"), "endpoint-refuses"),
        ("- network: {node: node2, action: drop, toPort: 8080}".to_owned(), "network-drops"),
    ] {
        lab.faults(&faults);
        lab.cause(&faults, code);
    }
    lab.faults("[]");
    lab.cause("the repair", "-");

    lab.faults("- proxy: {nodes: [node2], stopped: true}");
    lab.kubectl.ok(&["delete", "pod", "-l", "app=web", "--grace-period=0", "--force"]).unwrap();
    lab.cause("a change that a stopped proxy missed", "proxy-not-running");
    lab.faults("[]");
    lab.cause("its return", "-");
    lab.network.stop().unwrap();
}

#[test]
fn faults_of_the_program_are_named_from_its_sockets_and_answers() {
    let Some(lab) = Lab::start("faults_of_the_program_are_named_from_its_sockets_and_answers") else { return };
    for (variable, value, code) in [
        ("ECHO_LISTEN", "loopback", "listens-on-loopback-only"),
        ("ECHO_LISTEN", "none", "nobody-listens"),
        ("ECHO_PROTOCOL", "udp-only", "listens-other-protocol"),
        ("ECHO_PROTOCOL", "garbage", "wrong-protocol-answer"),
        ("ECHO_PROTOCOL", "silent", "endpoint-silent"),
    ] {
        // One variable at a time: a merge would keep the one before.
        lab.kubectl.ok(&["set", "env", "deployment/web", "ECHO_LISTEN-", "ECHO_PROTOCOL-"]).unwrap();
        lab.variable(variable, value);
        lab.cause(&format!("{variable}={value}"), code);
    }
    lab.kubectl.ok(&["set", "env", "deployment/web", "ECHO_LISTEN-", "ECHO_PROTOCOL-"]).unwrap();
    lab.cause("the repair", "-");
    lab.network.stop().unwrap();
}

#[test]
fn node_evidence_looks_at_the_machine_it_runs_on() {
    if !world::enter_for_test("evidence::node_evidence_looks_at_the_machine_it_runs_on") {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let probe = format!("tcp://127.0.0.1:{port}");
    let output = portolan(&["node-evidence", "--node", "here", "--probe", &probe, "--probe", "tcp://127.0.0.1:1"]);
    let evidence: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(evidence["node"], "here");
    let outcomes: Vec<&Value> = evidence["probes"].as_array().unwrap().iter().map(|probe| &probe["outcome"]).collect();
    assert_eq!(outcomes, [&json!("connected"), &json!("refused")]);
    let listening = evidence["sockets"][0]["listening"].as_array().unwrap();
    assert!(listening.iter().any(|socket| socket["port"] == port && socket["program"].is_string()), "{listening:?}");
    let text = portolan(&["node-evidence", "-o", "text"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains(&format!("port {port}/TCP")), "{text:?}");
    assert_eq!(portolan(&["node-evidence", "--probe", "web:80"]).status.code(), Some(2));
}
