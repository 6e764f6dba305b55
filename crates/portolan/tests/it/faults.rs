//! Faults at run time: each kind is switched on, seen by a real request or object, switched off, and seen to be gone.

mod application;
mod cluster;
mod data_plane;

use portolan_lab::fault::digest;
use portolan_testkit::{Kubectl, Network, kubectls_or_skip, network_or_skip};
use serde_json::{Value, json};

use crate::{PORTOLAN, until};

const CONFIG_MAP: [&str; 4] = ["configmap", "portolan-faults", "-n", "kube-system"];

/// A network whose faults are switched.
struct Lab {
    network: Network,
    kubectl: Kubectl,
}

impl Lab {
    fn start(test: &str, arguments: &[&str]) -> Option<Self> {
        let kubectl = kubectls_or_skip(test).pop()?;
        let network = network_or_skip(test, PORTOLAN, arguments)?;
        let kubectl = network.connect(&kubectl);
        Some(Self { network, kubectl })
    }

    fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        let output = self.kubectl.run(&["apply", "-f", "-"], &list).unwrap();
        assert_eq!(output.code, 0, "{}", output.stderr);
    }

    /// Puts the list into the ConfigMap.
    fn declare(&self, list: &str) {
        self.apply(&[json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "portolan-faults", "namespace": "kube-system"}, "data": {"faults.yaml": list},
        })]);
    }

    /// The same, and waits until it is in force.
    fn faults(&self, list: &str) {
        self.declare(list);
        self.in_force(list);
    }

    fn in_force(&self, list: &str) {
        until(&format!("these faults: {list}"), 30, || {
            let (applied, error) = self.answer();
            if applied == digest(list) && error.is_empty() { Ok(()) } else { Err(format!("{applied} {error}")) }
        });
    }

    /// What the ConfigMap is answered with: what is applied, and what is wrong.
    fn answer(&self) -> (String, String) {
        let annotation = |name: &str| {
            let path = format!("jsonpath={{.metadata.annotations.portolan\\.dev/{name}}}");
            self.kubectl.ok(&[&["get"], &CONFIG_MAP[..], &["-o", &path]].concat()).unwrap()
        };
        (annotation("faults-applied"), annotation("faults-error"))
    }

    /// A field of an object.
    fn field(&self, object: &str, path: &str) -> String {
        self.kubectl.ok(&["get", object, "-o", &format!("jsonpath={{{path}}}")]).unwrap()
    }

    /// A Deployment of echo pods and its Service, once they are ready.
    fn echo(&self, name: &str, replicas: u32, spec: &Value) {
        self.apply(&echo(name, replicas, spec));
        self.kubectl.ok(&["rollout", "status", &format!("deployment/{name}"), "--timeout=60s"]).unwrap();
    }

    /// What a probe from the network of a node, or of the pod `NS/NAME` there, comes to: `answered ...`, `refused`...
    fn probe(&self, node: &str, from: Option<&str>, target: &str) -> String {
        let from = from.map(|pod| format!("&from={pod}")).unwrap_or_default();
        let path = format!("/api/v1/nodes/{node}/proxy/evidence?probe={target}{from}");
        // A node that has only just registered has no address to ask at.
        let ask = || {
            let answer = self.kubectl.ok(&["get", "--raw", &path]).ok();
            if answer.is_none() {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            answer
        };
        let text = (0..100).find_map(|_| ask()).expect("evidence within 10 s");
        let evidence: Value = serde_json::from_str(&text).unwrap();
        let outcomes: Vec<_> = evidence["probes"].as_array().unwrap().iter().map(|probe| &probe["outcome"]).collect();
        match outcomes[..] {
            [Value::String(word)] => word.clone(),
            [Value::Object(outcome)] => {
                let text = |told: &Value| told["text"].as_str().map_or_else(|| told.to_string(), str::to_owned);
                outcome.iter().map(|(word, told)| format!("{word} {}", text(told))).collect()
            }
            _ => panic!("{path}: {evidence}"),
        }
    }

    /// Waits until a probe from a node comes to something that begins so.
    fn comes_to(&self, node: &str, target: &str, outcome: &str) {
        until(&format!("{target} from {node} to come to {outcome}"), 30, || {
            let found = self.probe(node, None, target);
            if found.starts_with(outcome) { Ok(()) } else { Err(found) }
        });
    }

    /// Waits until a field of an object is as wanted.
    fn becomes(&self, object: &str, path: &str, wanted: &str, seconds: u64) {
        until(&format!("{path} of {object} to become {wanted:?}"), seconds, || {
            let found = self.field(object, path);
            if found == wanted { Ok(()) } else { Err(found) }
        });
    }

    /// The same for the beginning of what it should be.
    fn becomes_like(&self, object: &str, path: &str, beginning: &str, seconds: u64) {
        until(&format!("{path} of {object} to become {beginning}..."), seconds, || {
            let found = self.field(object, path);
            if found.starts_with(beginning) { Ok(()) } else { Err(found) }
        });
    }

    /// Waits until an event on the object has this reason and these words.
    fn event(&self, object: &str, reason: &str, words: &str) {
        until(&format!("{reason} on {object}"), 40, || {
            let text = self.kubectl.ok(&["events", "--for", object, "--no-headers"]).unwrap();
            let shows = text.lines().any(|line| line.contains(&format!(" {reason} ")) && line.contains(words));
            if shows { Ok(()) } else { Err(text) }
        });
    }

    /// The addresses that the slices of a Service hold.
    fn slice_addresses(&self, service: &str) -> usize {
        let label = format!("kubernetes.io/service-name={service}");
        let path = "jsonpath={.items[*].endpoints[*].addresses[0]}";
        let text = self.kubectl.ok(&["get", "endpointslices", "-l", &label, "-o", path]).unwrap();
        text.split_whitespace().count()
    }
}

/// A Deployment of echo pods, with more in its pods' spec, and the Service before it.
fn echo(name: &str, replicas: u32, spec: &Value) -> Vec<Value> {
    let mut template = json!({"containers": [{"name": "echo", "image": "portolan/echo"}]});
    merge(&mut template, spec);
    let labels = json!({"app": name});
    vec![
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": template},
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        }),
    ]
}

/// Adds the fields of `more`; those of the one container to that.
fn merge(template: &mut Value, more: &Value) {
    for (field, value) in more.as_object().into_iter().flatten() {
        if field == "container" {
            let fields = value.as_object().unwrap().clone();
            template["containers"][0].as_object_mut().unwrap().extend(fields);
        } else {
            template[field] = value.clone();
        }
    }
}

#[test]
fn a_list_is_answered_and_a_wrong_one_leaves_the_last_in_force() {
    let Some(lab) = Lab::start("a_list_is_answered_and_a_wrong_one_leaves_the_last_in_force", &[]) else { return };
    let good = "- dns: {answer: serverFailure}\n";
    lab.faults(good);
    let cases = [
        ("- dns: {stoped: true}", "[0]: unknown field `stoped`"),
        ("nonsense", "must be a list"),
        ("- [", "as YAML"),
        ("- node: {name: node7, down: true}", "[0]: node.name: there is no node `node7`; there are node1, node2"),
        ("- controllers: {stopped: [kubelet]}", "there is no controller `kubelet`"),
    ];
    for (list, words) in cases {
        lab.declare(list);
        until(&format!("the answer to {list}"), 10, || {
            let (applied, error) = lab.answer();
            let told = error.starts_with(&format!("{}: ", digest(list))) && error.contains(words);
            if told && applied == digest(good) { Ok(()) } else { Err(format!("{applied} {error}")) }
        });
    }
    lab.comes_to("node1", "dns://kubernetes.default.svc.cluster.local@10.96.0.10:53", "answered");
    lab.kubectl.ok(&[&["delete"], &CONFIG_MAP[..]].concat()).unwrap();
    lab.comes_to("node1", "dns://kubernetes.default.svc.cluster.local@10.96.0.10:53", "addresses");
    lab.network.stop().unwrap();
}

/// What is still in the list is broken again after a restart; `--faults` writes the same ConfigMap.
#[test]
fn faults_outlive_a_restart_until_they_leave_the_list() {
    let data = tempfile::tempdir().unwrap();
    let list = data.path().join("list.yaml");
    let text = "# to begin with\n- dns: {stopped: true}\n";
    std::fs::write(&list, text).unwrap();
    let (data, list) = (data.path().join("data"), list.to_str().unwrap().to_owned());
    let data = ["--data", data.to_str().unwrap()];
    let test = "faults_outlive_a_restart_until_they_leave_the_list";
    let Some(lab) = Lab::start(test, &[&data[..], &["--faults", &list]].concat()) else { return };
    lab.in_force(text);
    lab.comes_to("node1", "tcp://172.30.0.1:53", "refused");
    lab.network.stop().unwrap();
    let Some(lab) = Lab::start(test, &data) else { return };
    lab.comes_to("node1", "tcp://172.30.0.1:53", "refused");
    lab.faults("[]");
    lab.comes_to("node1", "tcp://172.30.0.1:53", "connected");
    lab.network.stop().unwrap();
}

#[test]
fn up_speaks_in_the_words_of_kubernetes_if_it_is_told_to() {
    let test = "up_speaks_in_the_words_of_kubernetes_if_it_is_told_to";
    let Some(lab) = Lab::start(test, &["--vocabulary", "upstream"]) else { return };
    lab.apply(&[json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]},
    })]);
    lab.event("service/web", "EnsuredLoadBalancer", "");
    let events = lab.kubectl.ok(&["events", "--for", "service/web"]).unwrap();
    assert!(!events.contains("IPAllocated"), "Kubernetes has no such reason:\n{events}");
    lab.network.stop().unwrap();
}
