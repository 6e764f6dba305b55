//! Each reason of the guide: its true cause is made to happen, and `kubectl describe` of the object shows the event.
//!
//! Causes are real: exclusion labels, a taken address, writes that the API refuses (`/debug/faults`), a port that a
//! process holds, a resolver list that is too long, a provider that says no.

use std::{path::PathBuf, sync::Arc};

use portolan_cloud::{
    remote::serve,
    scripted::{Call, Effect, Fault, Refusal, Script, Scripted},
};
use portolan_testkit::{Kubectl, Network, kubectls_or_skip, network_or_skip};
use serde_json::{Value, json};
use tokio::{net::UnixListener, runtime::Runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    PORTOLAN,
    process::{ApiServer, Process},
    until,
};

/// The newest kubectl, connected to a network of two nodes.
fn network(test: &str) -> Option<(Network, Kubectl)> {
    let kubectl = kubectls_or_skip(test).pop()?;
    let network = network_or_skip(test, PORTOLAN, &[])?;
    let kubectl = network.connect(&kubectl);
    Some((network, kubectl))
}

fn apply(kubectl: &Kubectl, objects: &[Value]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let output = kubectl.run(&["apply", "-f", "-"], &list).unwrap();
    assert_eq!(output.code, 0, "{}", output.stderr);
}

fn service(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
}

fn balancer(name: &str) -> Value {
    service(name, &json!({"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}]}))
}

fn pod(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["containers"][0]["name"] = "echo".into();
    spec["containers"][0]["image"] = "portolan/echo".into();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}

/// Waits until `kubectl describe` shows all of the lines: type, reason, who says it, and words of the message.
fn described(kubectl: &Kubectl, object: &[&str], lines: &[(&str, &str, &str, &str)]) -> String {
    until(&format!("{object:?} to show {lines:?}"), 40, || {
        let output = kubectl.run(&[&["describe"], object].concat(), "").unwrap();
        let text = output.stdout;
        let shows = |(severity, reason, from, words): &(&str, &str, &str, &str)| {
            text.lines().any(|line| {
                let mut cells = line.split_whitespace();
                cells.next() == Some(severity)
                    && cells.next() == Some(reason)
                    && line.contains(&format!(" {from} "))
                    && line.contains(words)
            })
        };
        match lines.iter().find(|line| !shows(line)) {
            None => Ok(text),
            Some(missing) => Err(format!("{missing:?} is missing in\n{text}{}", output.stderr)),
        }
    })
}

/// Puts a list of faults in front of the API.
fn faults(kubectl: &Kubectl, list: &Value) {
    let output = kubectl.run(&["replace", "--raw", "/debug/faults", "-f", "-"], &list.to_string()).unwrap();
    assert_eq!(output.code, 0, "{}", output.stderr);
}

/// The API refuses what `user` wants to do.
fn refuse(kubectl: &Kubectl, user: &str, verb: &str, resource: &str) {
    let message = format!("{resource} is forbidden: exceeded quota: tiny");
    faults(
        kubectl,
        &json!([{
            "users": [format!("system:serviceaccount:kube-system:{user}")], "verbs": [verb], "resources": [resource],
            "error": {"code": 403, "reason": "Forbidden", "message": message},
        }]),
    );
}

#[test]
fn a_balancer_says_how_it_comes_and_goes() {
    let Some((network, kubectl)) = network("a_balancer_says_how_it_comes_and_goes") else { return };
    apply(&kubectl, &[balancer("web")]);
    let from = "service-controller";
    described(
        &kubectl,
        &["service", "web"],
        &[
            ("Normal", "EnsuringLoadBalancer", from, "Ensuring load balancer"),
            ("Normal", "IPAllocated", from, "Assigned IP"),
            ("Normal", "CreatingLoadBalancer", from, ""),
            ("Normal", "CreatedLoadBalancer", from, ""),
            ("Normal", "EnsuredLoadBalancer", from, "Ensured load balancer"),
        ],
    );
    let exclude = |node: &str| {
        kubectl.ok(&["label", "node", node, "node.kubernetes.io/exclude-from-external-load-balancers=true"]).unwrap()
    };
    exclude("node1");
    described(&kubectl, &["service", "web"], &[("Normal", "UpdatedLoadBalancer", from, "with new hosts")]);
    exclude("node2");
    let none = "There are no available nodes for LoadBalancer";
    described(&kubectl, &["service", "web"], &[("Warning", "UnAvailableLoadBalancer", from, none)]);
    kubectl.ok(&["patch", "service", "web", "-p", r#"{"spec":{"type":"ClusterIP"}}"#]).unwrap();
    described(
        &kubectl,
        &["service", "web"],
        &[("Normal", "DeletingLoadBalancer", from, ""), ("Normal", "DeletedLoadBalancer", from, "")],
    );
    network.stop().unwrap();
}

#[test]
fn an_address_that_cannot_be_had_says_so() {
    let Some((network, kubectl)) = network("an_address_that_cannot_be_had_says_so") else { return };
    let mut first = balancer("first");
    first["spec"]["loadBalancerIP"] = "203.0.113.7".into();
    let mut second = balancer("second");
    second["spec"]["loadBalancerIP"] = "203.0.113.7".into();
    apply(&kubectl, &[first]);
    described(&kubectl, &["service", "first"], &[("Normal", "EnsuredLoadBalancer", "service-controller", "")]);
    apply(&kubectl, &[second]);
    let from = "service-controller";
    let text = described(
        &kubectl,
        &["service", "second"],
        &[
            ("Warning", "IPNotAllocated", from, "203.0.113.7"),
            ("Warning", "SyncLoadBalancerFailed", from, "Error syncing load balancer: failed to ensure load balancer"),
        ],
    );
    assert!(text.contains("default/first"), "the holder is not named:\n{text}");
    network.stop().unwrap();
}

#[test]
fn refused_writes_of_endpoints_say_so() {
    let Some((network, kubectl)) = network("refused_writes_of_endpoints_say_so") else { return };
    let (user, from) = ("endpoint-controller", "endpoint-controller");
    refuse(&kubectl, user, "create", "endpoints");
    apply(&kubectl, &[service("web", &json!({"selector": {"app": "web"}, "ports": [{"port": 80}]}))]);
    let words = "Failed to create endpoint for service default/web";
    described(&kubectl, &["service", "web"], &[("Warning", "FailedToCreateEndpoint", from, words)]);
    faults(&kubectl, &json!([]));
    described_object(&kubectl, "endpoints/web");
    refuse(&kubectl, user, "update", "endpoints");
    kubectl.ok(&["label", "service", "web", "tier=front"]).unwrap();
    let words = "Failed to update endpoint default/web";
    described(&kubectl, &["service", "web"], &[("Warning", "FailedToUpdateEndpoint", from, words)]);
    network.stop().unwrap();
}

/// The API server takes a Service's Endpoints away with it; what the controller has to delete is what was left behind.
#[test]
fn a_refused_deletion_of_orphaned_endpoints_says_so() {
    let Some((api, kubectl)) = alone("a_refused_deletion_of_orphaned_endpoints_says_so") else { return };
    let kubectl = &kubectl;
    apply(kubectl, &[json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "orphan"}})]);
    let error = json!({"code": 403, "reason": "Forbidden", "message": "endpoints is forbidden: exceeded quota: tiny"});
    faults(kubectl, &json!([{"verbs": ["delete"], "resources": ["endpoints"], "error": error}]));
    let _controllers = api.controllers(&["--controllers=endpoints-controller"]);
    let from = "endpoint-controller";
    described(kubectl, &["endpoints", "orphan"], &[("Warning", "FailedToDeleteEndpoint", from, "default/orphan")]);
    faults(kubectl, &json!([]));
    until("the end of the orphan", 60, || {
        let output = kubectl.run(&["get", "endpoints", "orphan"], "").unwrap();
        if output.code == 0 { Err(output.stdout) } else { Ok(()) }
    });
}

/// Waits until the object exists.
fn described_object(kubectl: &Kubectl, object: &str) {
    until(object, 30, || {
        let output = kubectl.run(&["get", object], "").unwrap();
        if output.code == 0 { Ok(()) } else { Err(output.stderr) }
    });
}

#[test]
fn refused_writes_of_slices_say_so() {
    let Some((network, kubectl)) = network("refused_writes_of_slices_say_so") else { return };
    let (user, from) = ("endpointslice-controller", "endpoint-slice-controller");
    let resource = "endpointslices";
    refuse(&kubectl, user, "create", resource);
    apply(&kubectl, &[service("web", &json!({"selector": {"app": "web"}, "ports": [{"port": 80}]}))]);
    let words = "Error updating Endpoint Slices for Service default/web: failed to create EndpointSlice";
    described(&kubectl, &["service", "web"], &[("Warning", "FailedToCreateEndpointSlice", from, words)]);
    faults(&kubectl, &json!([]));
    until("the slice", 30, || {
        let slices = kubectl.ok(&["get", resource, "-l", "kubernetes.io/service-name=web", "-o", "name"]).unwrap();
        if slices.is_empty() { Err(slices) } else { Ok(()) }
    });
    refuse(&kubectl, user, "update", resource);
    kubectl.ok(&["label", "service", "web", "tier=front"]).unwrap();
    described(&kubectl, &["service", "web"], &[("Warning", "FailedToUpdateEndpointSlice", from, "failed to update")]);
    // A slice that says it is the controller's but belongs to no Service: it has to go.
    refuse(&kubectl, user, "delete", resource);
    let labels = json!({
        "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    });
    apply(
        &kubectl,
        &[json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [],
            "metadata": {"name": "web-of-the-past", "labels": labels},
        })],
    );
    described(&kubectl, &["service", "web"], &[("Warning", "FailedToDeleteEndpointSlice", from, "failed to delete")]);
    network.stop().unwrap();
}

#[test]
fn a_taken_host_port_says_so_and_frees() {
    let Some((network, kubectl)) = network("a_taken_host_port_says_so_and_frees") else { return };
    let on_port = |name: &str| {
        pod(name, json!({"nodeName": "node1", "containers": [{"ports": [{"containerPort": 8080, "hostPort": 8080}]}]}))
    };
    apply(&kubectl, &[on_port("first")]);
    kubectl.ok(&["wait", "--for=condition=Ready", "pod/first", "--timeout=30s"]).unwrap();
    apply(&kubectl, &[on_port("second")]);
    described(&kubectl, &["pod", "second"], &[("Warning", "HostPortConflict", "kubelet", "8080")]);
    let phase = kubectl.ok(&["get", "pod", "second", "-o", "jsonpath={.status.phase}"]).unwrap();
    assert_eq!(phase, "Pending");
    kubectl.ok(&["delete", "pod", "first"]).unwrap();
    kubectl.ok(&["wait", "--for=condition=Ready", "pod/second", "--timeout=30s"]).unwrap();
    network.stop().unwrap();
}

#[test]
fn a_resolver_list_that_is_too_long_says_so_and_the_pod_starts() {
    let Some((network, kubectl)) = network("a_resolver_list_that_is_too_long_says_so_and_the_pod_starts") else {
        return;
    };
    // The cluster's own server is one, these three make four.
    let servers = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    apply(&kubectl, &[pod("names", json!({"containers": [{}], "dnsConfig": {"nameservers": servers}}))]);
    let words = "Nameserver limits were exceeded, some nameservers have been omitted, \
                 the applied nameserver line is: 10.96.0.10 192.0.2.1 192.0.2.2";
    described(&kubectl, &["pod", "names"], &[("Warning", "DNSConfigForming", "kubelet", words)]);
    kubectl.ok(&["wait", "--for=condition=Ready", "pod/names", "--timeout=30s"]).unwrap();
    network.stop().unwrap();
}

/// An API server and nothing else.
fn alone(test: &str) -> Option<(ApiServer, Kubectl)> {
    let kubectl = kubectls_or_skip(test).pop()?;
    let api = ApiServer::start();
    let kubectl = kubectl.connect(&api.kubeconfig, api.home());
    Some((api, kubectl))
}

/// Controllers whose provider does what a script says.
struct Cloudy {
    provider: Arc<Scripted>,
    kubectl: Kubectl,
    _controllers: Process,
    _api: ApiServer,
    _runtime: Runtime,
}

impl Cloudy {
    fn start(test: &str) -> Option<Self> {
        let (api, kubectl) = alone(test)?;
        let socket = api.home().join("provider");
        let runtime = Runtime::new().unwrap();
        let provider = Arc::new(Scripted::new("203.0.113.0/28".parse().unwrap(), Script::default()));
        let listener = runtime.block_on(async { UnixListener::bind(&socket).unwrap() });
        runtime.spawn(serve(listener, provider.clone(), CancellationToken::new()));
        let endpoint = socket.to_str().unwrap();
        let options = ["--controllers=service-lb-controller", "--cloud-provider=remote", "--cloud-endpoint", endpoint];
        let controllers = api.controllers(&options);
        Some(Self { provider, kubectl, _controllers: controllers, _api: api, _runtime: runtime })
    }

    fn refuse(&self, call: Call, code: &str) {
        let fault = Fault { calls: vec![call], ..Fault::always(Effect::Refuse(Refusal::new(code))) };
        self.provider.set(Script { faults: vec![fault], ..Script::default() });
    }
}

#[test]
fn a_provider_that_refuses_is_quoted() {
    let Some(cloudy) = Cloudy::start("a_provider_that_refuses_is_quoted") else { return };
    let (kubectl, from) = (&cloudy.kubectl, "service-controller");
    cloudy.refuse(Call::Ensure, "UnauthorizedOperation");
    apply(kubectl, &[balancer("web")]);
    let words = "Error syncing load balancer: failed to ensure load balancer: UnauthorizedOperation";
    described(kubectl, &["service", "web"], &[("Warning", "SyncLoadBalancerFailed", from, words)]);
    cloudy.provider.set(Script::default());
    described(kubectl, &["service", "web"], &[("Normal", "EnsuredLoadBalancer", from, "")]);

    cloudy.refuse(Call::UpdateNodes, "RequestLimitExceeded");
    let address = json!({"addresses": [{"type": "InternalIP", "address": "172.30.0.11"}]});
    apply(kubectl, &[json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}, "status": address})]);
    let words = "Error updating load balancer with new hosts [node1]";
    described(kubectl, &["service", "web"], &[("Warning", "UpdateLoadBalancerFailed", from, words)]);

    cloudy.refuse(Call::Delete, "DependencyViolation");
    kubectl.ok(&["delete", "service", "web", "--wait=false"]).unwrap();
    let words = "Error deleting load balancer: DependencyViolation";
    described(
        kubectl,
        &["service", "web"],
        &[("Normal", "DeletingLoadBalancer", from, ""), ("Warning", "DeleteLoadBalancerFailed", from, words)],
    );
    cloudy.provider.set(Script::default());
    until("the Service's end", 30, || {
        let output = kubectl.run(&["get", "service", "web"], "").unwrap();
        if output.code == 0 { Err(output.stdout) } else { Ok(()) }
    });
}

/// The directory of a pod's logs on a node of this network, which keeps nothing elsewhere.
fn pod_directory(network: &Network, node: &str, pod: &str) -> PathBuf {
    until("the pod's directory", 30, || {
        let folders = std::fs::read_dir(network.home()).unwrap().flatten();
        let pods =
            folders.filter_map(|folder| std::fs::read_dir(folder.path().join("nodes").join(node).join("pods")).ok());
        let mut found = pods.flatten().flatten().filter(|found| found.file_name().to_string_lossy().contains(pod));
        found.next().map(|found| found.path()).ok_or_else(|| "not there".to_owned())
    })
}

/// How often a container has run is told by its logs; where they should be is something else.
#[test]
fn a_state_that_cannot_be_told_says_so_until_it_can() {
    const TEST: &str = "a_state_that_cannot_be_told_says_so_until_it_can";
    let Some(kubectl) = kubectls_or_skip(TEST).pop() else { return };
    let Some(network) = network_or_skip(TEST, PORTOLAN, &["--image", "shell=/bin/sh"]) else { return };
    let kubectl = network.connect(&kubectl);
    let flag = network.home().join("flag");
    let script = format!("until test -e {}; do sleep 0.05; done", flag.display());
    let mut again = pod("again", json!({"nodeName": "node1", "containers": [{"args": ["-c", script]}]}));
    again["spec"]["containers"][0]["image"] = "shell".into();
    apply(&kubectl, &[again]);
    kubectl.ok(&["wait", "--for=condition=Ready", "pod/again", "--timeout=30s"]).unwrap();
    let logs = pod_directory(&network, "node1", "again").join("echo");
    until("the container's log", 30, || if logs.exists() { Ok(()) } else { Err(String::new()) });
    std::fs::remove_dir_all(&logs).unwrap();
    std::fs::write(&logs, "not a directory").unwrap();
    std::fs::write(&flag, "").unwrap();
    let words = "error determining status: cannot read the logs of container echo";
    described(&kubectl, &["pod", "again"], &[("Warning", "FailedSync", "kubelet", words)]);
    std::fs::remove_file(&flag).unwrap();
    std::fs::remove_file(&logs).unwrap();
    kubectl.ok(&["wait", "--for=condition=Ready", "pod/again", "--timeout=60s"]).unwrap();
    network.stop().unwrap();
}
