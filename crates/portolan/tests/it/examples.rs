//! Every file under examples/, applied by a real kubectl and used through the kernel from a pod, a node and outside.

use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    path::Path,
    time::Duration,
};

use portolan_testkit::{Kubectl, Network, kubectls_or_skip, network_or_skip};
use serde_json::{Value, json};

use crate::{PORTOLAN, until};

#[test]
fn every_example_is_served_to_pods_nodes_and_the_outside() {
    const TEST: &str = "every_example_is_served_to_pods_nodes_and_the_outside";
    let Some(kubectl) = kubectls_or_skip(TEST).pop() else { return };
    let Some(network) = network_or_skip(TEST, PORTOLAN, &["--image", "getent=/usr/bin/getent"]) else { return };
    let kubectl = network.connect(&kubectl);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in &files {
        check(&network, &kubectl, file.to_str().unwrap());
    }
    network.stop().unwrap();
}

fn check(network: &Network, kubectl: &Kubectl, file: &str) {
    println!("example {file}");
    kubectl.ok(&["apply", "-f", file]).unwrap();
    let again = kubectl.ok(&["apply", "-f", file]).unwrap();
    assert!(again.lines().all(|line| line.ends_with("unchanged")), "{file}: a second apply changed something: {again}");
    for object in kubectl.ok(&["get", "-f", file, "-o", "name"]).unwrap().lines() {
        if let Some(deployment) = object.strip_prefix("deployment.apps/") {
            kubectl.ok(&["rollout", "status", "--timeout=60s", &format!("deployment/{deployment}")]).unwrap();
        } else if let Some(service) = object.strip_prefix("service/") {
            talk_to(network, kubectl, service);
        }
    }
    kubectl.ok(&["delete", "-f", file, "--timeout=60s"]).unwrap();
}

fn talk_to(network: &Network, kubectl: &Kubectl, name: &str) {
    let service: Value = serde_json::from_str(&kubectl.ok(&["get", "service", name, "-o", "json"]).unwrap()).unwrap();
    let spec = &service["spec"];
    if spec["type"] == "ExternalName" {
        let log = run_pod(kubectl, "resolver", json!({"image": "getent", "args": ["ahostsv4", name]}), false);
        return assert!(log.contains("10.96.0.1"), "{name} should resolve to the kubernetes Service: {log}");
    }
    let http = &spec["ports"][0]["port"];
    let by_name = format!("http://{name}:{http}/");
    answered(&run_pod(kubectl, "from-pod", probe(&by_name), false), &by_name);
    if spec["clusterIP"] == "None" {
        return;
    }
    let by_address = format!("http://{}:{http}/", spec["clusterIP"].as_str().unwrap());
    answered(&run_pod(kubectl, "from-node", probe(&by_address), true), &by_address);
    if spec["type"] == "ClusterIP" {
        return;
    }
    let wanted = spec["ports"].as_array().unwrap().len();
    let forwards = until(&format!("forwards of {name}"), 20, || {
        let forwards = network.forwards(&format!("default/{name}"));
        let balanced = forwards.keys().any(|inside| inside.starts_with("203.0.113."));
        let ready = forwards.len() >= wanted && (balanced || spec["type"] != "LoadBalancer");
        if ready { Ok(forwards) } else { Err(format!("{forwards:?}")) }
    });
    for (inside, outside) in &forwards {
        let answer = until(&format!("an answer of {inside} from outside"), 20, || from_outside(spec, inside, outside));
        assert!(answer.contains(name), "{name}: {inside} answered {answer:?}");
        if spec["externalTrafficPolicy"] == "Local" && inside.starts_with("203.0.113.") {
            assert!(answer.contains("198.51.100.1"), "{name}: the pod should see the client's address: {answer:?}");
        }
    }
}

/// One request through a forward, in the language of the port behind it.
fn from_outside(spec: &Value, inside: &str, outside: &str) -> Result<String, String> {
    let number: u64 = inside.split([':', '/']).nth(1).and_then(|port| port.parse().ok()).ok_or("no port")?;
    let udp = inside.ends_with("/UDP");
    let port = spec["ports"]
        .as_array()
        .unwrap()
        .iter()
        .find(|port| (port["port"] == number || port["nodePort"] == number) && (port["protocol"] == "UDP") == udp);
    let name = port.and_then(|port| port["name"].as_str()).ok_or("no such port")?;
    match name {
        "datagram" => ask_udp(outside),
        "line" => ask_tcp(outside, "hello\n"),
        _ => ask_tcp(outside, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    }
    .map_err(|error| error.to_string())
    .and_then(|answer| if answer.is_empty() { Err("nothing came back".to_owned()) } else { Ok(answer) })
}

fn ask_tcp(address: &str, question: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(question.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn ask_udp(address: &str) -> std::io::Result<String> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send_to(b"hello\n", address)?;
    let mut buffer = [0; 2048];
    let (length, _) = socket.recv_from(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn probe(url: &str) -> Value {
    json!({"image": "portolan/probe", "args": [url, "--rate", "50", "--for", "1"]})
}

/// Runs one container to its end and gives its log.
fn run_pod(kubectl: &Kubectl, name: &str, mut container: Value, host_network: bool) -> String {
    container["name"] = json!("client");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "hostNetwork": host_network, "containers": [container]},
    });
    let output = kubectl.run(&["apply", "-f", "-"], &pod.to_string()).unwrap();
    assert_eq!(output.code, 0, "{}", output.stderr);
    until(&format!("pod {name} to finish"), 30, || {
        let phase = kubectl.ok(&["get", "pod", name, "-o", "jsonpath={.status.phase}"]).unwrap();
        if phase == "Succeeded" || phase == "Failed" { Ok(()) } else { Err(phase) }
    });
    let log = kubectl.ok(&["logs", name]).unwrap();
    kubectl.ok(&["delete", "pod", name, "--grace-period=0", "--force"]).unwrap();
    log
}

fn answered(log: &str, url: &str) {
    let last: Value = serde_json::from_str(log.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{url}: {error}: {log:?}"));
    assert!(last["total"]["answered"].as_u64().is_some_and(|count| count > 20), "{url}: {log}");
    assert!(last["total"]["failed"].is_null(), "{url}: {log}");
}
