//! `kill -9` loses nothing that was acknowledged.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use portolan_testkit::{kubectls_or_skip, network_or_skip};
use tempfile::TempDir;

use crate::{PORTOLAN, until};

const WRITES: usize = 200;

/// Eight clients write 200 ConfigMaps between them; in the middle the host's side gets SIGKILL, which takes the
/// whole world down with it. After a restart on the same directory every write that kubectl reported as done is there,
/// and so are the Services with their addresses.
#[test]
fn a_killed_network_has_every_acknowledged_write() {
    const TEST: &str = "a_killed_network_has_every_acknowledged_write";
    let Some(kubectl) = kubectls_or_skip(TEST).pop() else { return };
    let data = TempDir::new().unwrap();
    let arguments = ["--data", data.path().to_str().unwrap()];
    let Some(network) = network_or_skip(TEST, PORTOLAN, &arguments) else { return };
    let client = network.connect(&kubectl);
    client.ok(&["create", "-f", &fixture(&data, "service.yaml", SERVICE)]).unwrap();
    let address = ["get", "service", "kept", "-o", "jsonpath={.spec.clusterIP} {.spec.ports[0].nodePort}"];
    let before = client.ok(&address).unwrap();

    let done = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (client, done) = (client.clone(), done.clone());
            thread::spawn(move || {
                let mut acknowledged = Vec::new();
                for index in (writer..WRITES).step_by(8) {
                    let name = format!("write-{index}");
                    let manifest = format!(
                        "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"{name}\"}},\"data\":{{\"n\":\"{index}\"}}}}"
                    );
                    match client.run(&["create", "--validate=false", "-f", "-"], &manifest) {
                        Ok(output) if output.code == 0 => acknowledged.push(format!("configmap/{name}")),
                        _ => break,
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                acknowledged
            })
        })
        .collect();
    until("half of the writes", 120, || match done.load(Ordering::Relaxed) {
        count if count >= WRITES / 2 => Ok(()),
        count => Err(format!("{count} done")),
    });
    network.kill().unwrap();
    let acknowledged: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    assert!(
        (WRITES / 2..WRITES).contains(&acknowledged.len()),
        "killed in the middle, not after {}",
        acknowledged.len()
    );

    let network = network_or_skip(TEST, PORTOLAN, &arguments).unwrap();
    let client = network.connect(&kubectl);
    let found = client.ok(&["get", "configmaps", "-o", "name"]).unwrap();
    let missing: Vec<_> = acknowledged.iter().filter(|name| !found.lines().any(|line| line == *name)).collect();
    assert!(missing.is_empty(), "acknowledged, but lost: {missing:?}");
    assert_eq!(client.ok(&address).unwrap(), before, "the Service's address or port moved");
    network.stop().unwrap();
}

/// A process that outlives its network would keep ports and memory: after SIGKILL nothing of it is left.
#[test]
fn a_killed_network_leaves_no_process() {
    const TEST: &str = "a_killed_network_leaves_no_process";
    let Some(network) = network_or_skip(TEST, PORTOLAN, &[]) else { return };
    let family = descendants(network.pid());
    assert!(!family.is_empty(), "the world is a child of `up`");
    network.kill().unwrap();
    until("the world to vanish", 10, || {
        let left: Vec<_> = family.iter().filter(|pid| is_running(**pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} still run")) }
    });
}

pub fn descendants(pid: u32) -> Vec<u32> {
    let output = std::process::Command::new("ps").args(["-eo", "pid=,ppid="]).stderr(Stdio::null()).output().unwrap();
    let pairs: Vec<(u32, u32)> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::parse);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        })
        .collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(pairs.iter().filter(|(_, ppid)| *ppid == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    family.split_off(1)
}

pub fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

const SERVICE: &str =
    "{apiVersion: v1, kind: Service, metadata: {name: kept}, spec: {type: NodePort, ports: [{port: 80}]}}\n";

fn fixture(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
