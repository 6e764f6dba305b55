//! Stopping and starting again on the same data directory.

use std::io::{Read, Write};

use portolan_testkit::{Network, kubectls_or_skip, network_or_skip};
use tempfile::TempDir;

use crate::{PORTOLAN, crash::descendants, until};

/// Ctrl-C ends every process and keeps every object; the next start brings the same address and port back, and traffic.
#[test]
fn a_restart_brings_back_addresses_ports_and_traffic() {
    const TEST: &str = "a_restart_brings_back_addresses_ports_and_traffic";
    let Some(kubectl) = kubectls_or_skip(TEST).pop() else { return };
    let data = TempDir::new().unwrap();
    let arguments = ["--data", data.path().to_str().unwrap()];
    let Some(network) = network_or_skip(TEST, PORTOLAN, &arguments) else { return };
    let client = network.connect(&kubectl);
    client.ok(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/loadbalancer.yaml")]).unwrap();
    client.ok(&["rollout", "status", "deployment/web", "--timeout=60s"]).unwrap();
    let door = answers(&network);
    let identity = ["get", "service", "web", "-o"];
    let template =
        "jsonpath={.metadata.uid} {.spec.clusterIP} {.spec.ports[0].nodePort} {.status.loadBalancer.ingress[0].ip}";
    let before = client.ok(&[&identity[..], &[template]].concat()).unwrap();
    assert_eq!(before.split_whitespace().count(), 4, "{before}");
    let family = descendants(network.pid());
    network.stop().unwrap();
    assert!(family.iter().all(|pid| !crate::crash::is_running(*pid)), "Ctrl-C left processes behind");

    let network = network_or_skip(TEST, PORTOLAN, &arguments).unwrap();
    let client = network.connect(&kubectl);
    assert_eq!(client.ok(&[&identity[..], &[template]].concat()).unwrap(), before);
    assert_eq!(answers(&network), door, "the balancer's port on the host moved");
    network.stop().unwrap();
}

/// The output of `up` may be cut short, as by `head`: the network goes on.
#[test]
fn a_reader_that_goes_away_does_not_stop_the_network() {
    const TEST: &str = "a_reader_that_goes_away_does_not_stop_the_network";
    let Some(kubectl) = kubectls_or_skip(TEST).pop() else { return };
    let Some(network) = network_or_skip(TEST, PORTOLAN, &[]) else { return };
    network.stop_reading();
    let client = network.connect(&kubectl);
    client.ok(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/nodeport.yaml")]).unwrap();
    until("an answer through a forward that could not be announced", 30, || {
        let door = network.listed_forwards("default/door").into_values().next().ok_or("no forward yet")?;
        let mut stream = std::net::TcpStream::connect(door).map_err(|error| error.to_string())?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        if answer.contains("pod door-") { Ok(()) } else { Err(format!("{answer:?}")) }
    });
    network.stop().unwrap();
}

/// A pod that inherited the API's listener or the way to the host's sockets could use them.
#[test]
fn a_pod_inherits_no_descriptor() {
    const TEST: &str = "a_pod_inherits_no_descriptor";
    let Some(kubectl) = kubectls_or_skip(TEST).pop() else { return };
    let Some(network) = network_or_skip(TEST, PORTOLAN, &["--image", "ls=/bin/ls"]) else { return };
    let client = network.connect(&kubectl);
    let pod = "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"ls\"}, \"spec\": {\"restartPolicy\": \"Never\", \
               \"containers\": [{\"name\": \"ls\", \"image\": \"ls\", \"args\": [\"-l\", \"/proc/self/fd\"]}]}}";
    assert_eq!(client.run(&["apply", "-f", "-"], pod).unwrap().code, 0);
    until("the pod to finish", 30, || {
        match client.ok(&["get", "pod", "ls", "-o", "jsonpath={.status.phase}"]).unwrap() {
            phase if phase == "Succeeded" => Ok(()),
            phase => Err(phase),
        }
    });
    let log = client.ok(&["logs", "ls"]).unwrap();
    assert!(log.contains(" 1 -> pipe:"), "ls should show its own output: {log}");
    assert!(!log.contains("socket:"), "a pod inherited a socket: {log}");
    network.stop().unwrap();
}

/// The kubeconfig holds a key, so only its owner may read it; and without a certificate nobody gets in.
#[test]
fn credentials_are_private_and_needed() {
    const TEST: &str = "credentials_are_private_and_needed";
    let Some(network) = network_or_skip(TEST, PORTOLAN, &[]) else { return };
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&network.kubeconfig).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let lines = network.lines();
    let api = lines.iter().find_map(|line| line.strip_prefix("api")).unwrap().trim();
    let script = "import ssl, sys, urllib.request, urllib.error\n\
         context = ssl._create_unverified_context()\n\
         try: print(urllib.request.urlopen(sys.argv[1], context=context, timeout=10).status)\n\
         except urllib.error.HTTPError as error: print(error.code)";
    let url = format!("{api}/api/v1/namespaces/default/services");
    let output = std::process::Command::new("python3").args(["-c", script, &url]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "401", "{output:?}");
    network.stop().unwrap();
}

/// Waits for an answer through the balancer; gives its address on the host.
fn answers(network: &Network) -> String {
    until("an answer of the balancer from outside", 30, || {
        let forwards = network.forwards("default/web");
        let door = forwards.iter().find(|(inside, _)| inside.starts_with("203.0.113.")).ok_or("no forward yet")?.1;
        let mut stream = std::net::TcpStream::connect(door).map_err(|error| error.to_string())?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        if answer.contains("pod web-") { Ok(door.clone()) } else { Err(format!("{answer:?}")) }
    })
}
