#![allow(clippy::unwrap_used)]

use std::{net::Ipv4Addr, path::Path, time::Duration};

use portolan_netns::world;
use tokio::{io::AsyncReadExt, time::timeout};

use super::*;
use crate::sandbox::{Plan, Sandbox};

/// Whether the test is inside a world; its paths are the module's.
fn inside(test: &str) -> bool {
    world::enter_for_test(&format!("process::tests::{test}"))
}

fn sandbox(node: &Namespace, address: Option<Ipv4Addr>, directory: &Path) -> Sandbox {
    Sandbox::create(&Plan {
        node: node.clone(),
        address,
        directory: directory.to_owned(),
        hostname: "web-1".into(),
        resolv_conf: "nameserver 10.96.0.10\n".into(),
        hosts: Some("127.0.0.1 localhost\n".into()),
        link: format!("veth{}", address.map_or(0, |address| address.octets()[3])),
        rules: Arc::new(crate::hostports::Rules::new(node.clone())),
        host_ports: vec![],
    })
    .unwrap()
}

fn shell(sandbox: &Sandbox, script: &str) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("PATH".into(), std::env::var("PATH").unwrap()), ("A".into(), "1".into())],
        directory: Some("/tmp".into()),
        isolation: sandbox.isolation.clone(),
        mounts: vec![],
    }
}

async fn output(launcher: &Launcher, launch: Launch) -> (Exit, String) {
    let mut process = launcher.launch(launch).await.unwrap();
    let mut text = String::new();
    process.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    process.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
    (timeout(Duration::from_secs(10), process.wait()).await.unwrap(), text)
}

#[tokio::test]
async fn a_process_sees_its_own_network_files_and_name() {
    if !inside("a_process_sees_its_own_network_files_and_name") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let node = Namespace::create().unwrap();
    let sandbox = sandbox(&node, Some(Ipv4Addr::new(10, 244, 1, 5)), directory.path());
    let launcher = Launcher::start("node1").unwrap();
    let script = "uname -n; cat /etc/resolv.conf; cat /etc/hostname; pwd; echo $A; grep -c eth0 /proc/net/dev; exit 3";
    let (exit, text) = output(&launcher, shell(&sandbox, script)).await;
    assert_eq!((exit.code, text.as_str()), (3, "web-1\nnameserver 10.96.0.10\nweb-1\n/tmp\n1\n1\n"));
    // What the process saw was its own: nothing of it is to be seen here.
    assert!(!std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default().contains("10.96.0.10"));

    let on_host = super::tests::sandbox(&node, None, directory.path());
    let (_, text) = output(&launcher, shell(&on_host, "grep -c eth0 /proc/net/dev; grep -c veth5 /proc/net/dev")).await;
    assert_eq!(text, "0\n1\n", "the node's network");
    let missing = Launch { program: "/no/such".into(), ..shell(&sandbox, "") };
    assert_eq!(launcher.launch(missing).await.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn volumes_are_bound_in_the_process_alone() {
    if !inside("volumes_are_bound_in_the_process_alone") {
        return;
    }
    if !Path::new("/mnt").is_dir() {
        eprintln!("skipped: volumes_are_bound_in_the_process_alone: there is no directory /mnt");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let sandbox = sandbox(&Namespace::current().unwrap(), None, home.path());
    let launcher = Launcher::start("node1").unwrap();
    let path = |name: &str| CString::new(home.path().join(name).into_os_string().into_encoded_bytes()).unwrap();
    for directory in ["a", "b", "c"] {
        std::fs::create_dir(home.path().join(directory)).unwrap();
    }
    std::fs::write(home.path().join("a/file"), "of a").unwrap();
    // The first is bound over the place where the second is.
    let over = CString::new(home.path().as_os_str().as_encoded_bytes()).unwrap();
    let mounts = vec![
        Mount { source: path("a"), target: over, read_only: true },
        Mount { source: path("b"), target: c"/mnt".to_owned(), read_only: false },
    ];
    let script = "cat file; echo > x || echo refused; echo written > /mnt/out";
    let directory = Some(home.path().to_owned());
    let (exit, text) = output(&launcher, Launch { mounts, directory, ..shell(&sandbox, script) }).await;
    assert_eq!(exit.code, 0, "{text}");
    assert!(text.starts_with("of a") && text.contains("refused"), "{text}");
    assert_eq!(std::fs::read_to_string(home.path().join("b/out")).unwrap(), "written\n");
    assert!(home.path().join("c").is_dir() && !Path::new("/mnt/out").exists(), "nothing of it is seen outside");
}

/// Two pods of one node reach each other and the node, and the answer comes back; the first packet too.
#[tokio::test]
async fn pods_reach_each_other_through_the_node() {
    if !inside("pods_reach_each_other_through_the_node") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let node = Namespace::create().unwrap();
    node.sysctl("net/ipv4/ip_forward", "1").unwrap();
    let addresses = [5, 6].map(|last| Ipv4Addr::new(10, 244, 1, last));
    let pods = addresses.map(|address| sandbox(&node, Some(address), directory.path()));
    let listener = pods[1].isolation.network.tcp_listen((addresses[1], 80).into()).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let connect = pods[0].isolation.network.tcp_connect((addresses[1], 80).into());
    let both = async { tokio::join!(connect, listener.accept()) };
    let (client, server) = timeout(Duration::from_millis(500), both).await.expect("at once");
    client.unwrap();
    assert_eq!(server.unwrap().1.ip(), addresses[0]);
    // Made again under the same name, as after a failure: the old one gives way. Removed twice is removed.
    let again = sandbox(&node, Some(addresses[0]), directory.path());
    again.remove();
    again.remove();
    assert_eq!(node.links().unwrap().links().unwrap(), ["lo", "veth6"]);
}

#[tokio::test]
async fn signals_reach_the_process_and_its_end_takes_the_group() {
    if !inside("signals_reach_the_process_and_its_end_takes_the_group") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let node = Namespace::create().unwrap();
    let sandbox = sandbox(&node, None, directory.path());
    let launcher = Launcher::start("node1").unwrap();
    let script = "trap 'echo bye; exit 7' TERM; sleep 1000 & echo ready; wait";
    let mut process = launcher.launch(shell(&sandbox, script)).await.unwrap();
    let mut stdout = process.stdout.take().unwrap();
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).await.unwrap();
    // Cancelling a wait loses nothing.
    assert!(timeout(Duration::from_millis(20), process.wait()).await.is_err());
    process.signal(Signal::SIGTERM);
    let exit = timeout(Duration::from_secs(5), process.wait()).await.unwrap();
    assert_eq!(exit.code, 7);
    // The background process held the pipe too: its end says that it is gone.
    let mut rest = String::new();
    timeout(Duration::from_secs(5), stdout.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, "bye\n");

    let mut killed = launcher.launch(shell(&sandbox, "sleep 1000")).await.unwrap();
    killed.kill();
    assert_eq!(timeout(Duration::from_secs(5), killed.wait()).await.unwrap().code, 137);
    let mut dropped = launcher.launch(shell(&sandbox, "sleep 1000")).await.unwrap();
    let mut stdout = dropped.stdout.take().unwrap();
    drop(dropped);
    timeout(Duration::from_secs(5), stdout.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
}

#[tokio::test]
async fn processes_die_with_their_launcher() {
    if !inside("processes_die_with_their_launcher") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let node = Namespace::create().unwrap();
    let sandbox = sandbox(&node, None, directory.path());
    let launcher = Launcher::start("node1").unwrap();
    let mut process = launcher.launch(shell(&sandbox, "exec sleep 1000")).await.unwrap();
    drop(launcher);
    assert_eq!(timeout(Duration::from_secs(5), process.wait()).await.unwrap().code, 137);
}
