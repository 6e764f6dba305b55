//! Twenty manifests that must be refused: the right status code, reason and field path, and nothing stored.

use std::process::Command;

use portolan_testkit::{Kubectl, kubectls_or_skip, network_or_skip};
use serde_json::{Value, json};

use crate::PORTOLAN;

/// What is wrong, what is posted where, and the Status that must come back.
struct Bad {
    name: &'static str,
    path: &'static str,
    body: Value,
    code: u64,
    reason: &'static str,
    /// Field of the first cause, or a part of the message if there are no causes.
    names: &'static str,
}

const SERVICES: &str = "/api/v1/namespaces/default/services";
const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

fn invalid(name: &'static str, path: &'static str, body: Value, field: &'static str) -> Bad {
    Bad { name, path, body, code: 422, reason: "Invalid", names: field }
}

fn service(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bad"}, "spec": spec})
}

fn port(port: Value) -> Value {
    json!({"ports": [port]})
}

fn table() -> Vec<Bad> {
    let named = |name: &str| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": port(json!({"port": 80}))});
    let pod = |containers: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad"}, "spec": {"containers": containers}});
    let template = json!({"metadata": {"labels": {"app": "y"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    vec![
        invalid("port 0", SERVICES, service(port(json!({"port": 0}))), "spec.ports[0].port"),
        invalid("port 70000", SERVICES, service(port(json!({"port": 70000}))), "spec.ports[0].port"),
        invalid("no ports", SERVICES, service(json!({"selector": {"app": "x"}})), "spec.ports"),
        invalid(
            "unknown protocol",
            SERVICES,
            service(port(json!({"port": 80, "protocol": "ICMP"}))),
            "spec.ports[0].protocol",
        ),
        invalid(
            "two ports without names",
            SERVICES,
            service(json!({"ports": [{"port": 80}, {"port": 81}]})),
            "spec.ports[0].name",
        ),
        invalid(
            "the same port twice",
            SERVICES,
            service(json!({"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]})),
            "spec.ports[1]",
        ),
        invalid("unknown type", SERVICES, service(json!({"type": "Cluster", "ports": [{"port": 80}]})), "spec.type"),
        invalid(
            "headless balancer",
            SERVICES,
            service(json!({"type": "LoadBalancer", "clusterIP": "None", "ports": [{"port": 80}]})),
            "spec.clusterIPs[0]",
        ),
        invalid(
            "ClusterIP out of range",
            SERVICES,
            service(json!({"clusterIP": "192.0.2.1", "ports": [{"port": 80}]})),
            "spec.clusterIPs",
        ),
        invalid(
            "ClusterIP taken",
            SERVICES,
            service(json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]})),
            "spec.clusterIPs",
        ),
        invalid(
            "node port out of range",
            SERVICES,
            service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]})),
            "spec.ports[0].nodePort",
        ),
        invalid("ExternalName without a name", SERVICES, service(json!({"type": "ExternalName"})), "spec.externalName"),
        invalid("name with capitals", SERVICES, named("Web"), "metadata.name"),
        invalid("pod without containers", PODS, pod(json!([])), "spec.containers"),
        invalid("container without image", PODS, pod(json!([{"name": "c"}])), "spec.containers[0].image"),
        invalid(
            "selector that misses its own template",
            DEPLOYMENTS,
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "bad"},
                   "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template}}),
            "spec.template.metadata.labels",
        ),
        invalid(
            "slice with an unknown address type",
            SLICES,
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "bad"},
                   "addressType": "IPv5", "endpoints": []}),
            "addressType",
        ),
        Bad {
            name: "unknown field",
            path: "/api/v1/namespaces/default/services?fieldValidation=Strict",
            body: service(json!({"prots": [{"port": 80}]})),
            code: 400,
            reason: "BadRequest",
            names: "unknown field \"spec.prots\"",
        },
        Bad {
            name: "wrong type of a field",
            path: SERVICES,
            body: service(port(json!({"port": "eighty"}))),
            code: 400,
            reason: "BadRequest",
            names: "port",
        },
        Bad {
            name: "missing namespace",
            path: "/api/v1/namespaces/nowhere/services",
            body: service(port(json!({"port": 80}))),
            code: 404,
            reason: "NotFound",
            names: "namespaces \"nowhere\" not found",
        },
    ]
}

#[test]
fn bad_manifests_are_refused_with_the_field_and_store_nothing() {
    const TEST: &str = "bad_manifests_are_refused_with_the_field_and_store_nothing";
    let Some(kubectl) = kubectls_or_skip(TEST).pop() else { return };
    let Some(network) = network_or_skip(TEST, PORTOLAN, &[]) else { return };
    let kubectl = network.connect(&kubectl);
    let proxy = Proxy::start(&kubectl);
    let before = everything(&kubectl);
    let mut wrong = Vec::new();
    for bad in table() {
        let status = proxy.post(bad.path, &bad.body);
        let field = status["details"]["causes"][0]["field"].as_str();
        let message = status["message"].as_str().unwrap_or_default();
        let named = field.map_or_else(|| message.contains(bad.names), |field| field == bad.names);
        let good = status["kind"] == "Status"
            && status["code"] == bad.code
            && status["reason"] == bad.reason
            && (named || message.contains(bad.names));
        if !good {
            wrong
                .push(format!("{}: wanted {} {} naming {:?}, got {status}", bad.name, bad.code, bad.reason, bad.names));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(everything(&kubectl), before, "a refused manifest left something behind");
}

fn everything(kubectl: &Kubectl) -> String {
    kubectl.ok(&["get", "services,pods,deployments,endpointslices,ipaddresses", "-A", "-o", "name"]).unwrap()
}

/// `kubectl proxy`, so that a test can post what kubectl itself would not send.
struct Proxy {
    child: std::process::Child,
    address: String,
}

impl Proxy {
    fn start(kubectl: &Kubectl) -> Self {
        use std::io::{BufRead, BufReader};
        let mut child = kubectl
            .command(&["proxy", "--port=0"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("kubectl proxy");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Self { child, address }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let script = "import sys, urllib.request, urllib.error\n\
             request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {'Content-Type': 'application/json'})\n\
             try: answer = urllib.request.urlopen(request, timeout=20)\n\
             except urllib.error.HTTPError as error: answer = error\n\
             print(answer.read().decode())";
        let url = format!("http://{}{path}", self.address);
        let output = Command::new("python3").args(["-c", script, &url, &body.to_string()]).output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{url}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
