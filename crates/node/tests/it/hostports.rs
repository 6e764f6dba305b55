//! Host ports: who reaches a pod through them, who keeps whom from them, and what is left of them afterwards.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use portolan_events::Vocabulary;
use portolan_netns::Namespace;
use portolan_nftables::{Family, Socket, TableId};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::{Instant, timeout},
};

use crate::cluster::{Cluster, PATIENCE, RunningNode, container, inside, ip, is_ready, phase};

/// The echo image with the given ports, ready when it answers.
fn echo(ports: Value) -> Value {
    json!({"terminationGracePeriodSeconds": 1, "containers": [{
        "name": "echo", "image": "portolan/echo", "ports": ports,
        "readinessProbe": {"httpGet": {"port": 8080, "path": "/healthz"}},
    }]})
}

/// Its plain TCP port as 7000 of the node, and its UDP port as 7000 too.
fn both() -> Value {
    json!([
        {"containerPort": 8081, "hostPort": 7000},
        {"containerPort": 8082, "hostPort": 7000, "protocol": "UDP"},
    ])
}

/// The network of a pod, through its process.
fn network(pod: &Pod) -> Namespace {
    let id = container(pod)["containerID"].as_str().unwrap().to_owned();
    Namespace::of_process(u32::from_str_radix(&id[id.len() - 8..], 16).unwrap()).unwrap()
}

/// Who answers over TCP, and as whom it sees the client: `web 172.30.0.1`.
async fn by_tcp(from: &Namespace, to: SocketAddr) -> std::io::Result<String> {
    let exchange = async {
        let stream = from.tcp_connect(to).await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        Ok::<_, std::io::Error>(line)
    };
    let line = timeout(Duration::from_secs(3), exchange).await.map_err(|_| std::io::ErrorKind::TimedOut)??;
    Ok(without_port(&line))
}

async fn by_udp(from: &Namespace, to: SocketAddr) -> std::io::Result<String> {
    let socket = from.udp_connect(to).await?;
    let mut buffer = [0; 200];
    let exchange = async {
        socket.send(b"hello").await?;
        socket.recv(&mut buffer).await
    };
    let length = timeout(Duration::from_secs(3), exchange).await.map_err(|_| std::io::ErrorKind::TimedOut)??;
    Ok(without_port(&String::from_utf8_lossy(&buffer[..length])))
}

/// Which pod answers a UDP client that keeps asking from one port.
async fn asked_until_answered(socket: &tokio::net::UdpSocket) -> String {
    let answered = async {
        let mut buffer = [0; 100];
        loop {
            drop(socket.send(b"anybody?").await);
            if let Ok(Ok(length)) = timeout(Duration::from_millis(50), socket.recv(&mut buffer)).await {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                return text.split(' ').next().unwrap_or_default().to_owned();
            }
        }
    };
    timeout(PATIENCE, answered).await.unwrap()
}

fn without_port(answer: &str) -> String {
    answer.lines().next().and_then(|line| line.rsplit_once(':')).map(|(who, _)| who.to_owned()).unwrap_or_default()
}

/// What is mapped on a node.
fn mapped(node: &RunningNode) -> usize {
    let count = || {
        let mut socket = Socket::open().unwrap();
        let id = TableId::new(Family::Ip, "portolan-host-ports");
        ["by-address", "by-port", "hairpin", "pods"].map(|set| socket.elements(&id, set).unwrap().len())
    };
    node.namespace.run(count).unwrap().iter().sum()
}

/// A server of the node itself, outside of any pod.
fn host_process(node: &RunningNode, port: u16) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["echo_image", "--exact", "--nocapture", "--include-ignored"])
        .envs([("PORT", "off"), ("UDP_PORT", "off"), ("PORTOLAN_POD", "host"), ("ECHO_LINGER_SECONDS", "0")])
        .env("TCP_PORT", port.to_string())
        .stdout(Stdio::null());
    node.namespace.run(|| command.spawn()).unwrap().unwrap()
}

fn at(node: &RunningNode, port: u16) -> SocketAddr {
    (node.address, port).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_port_leads_to_its_pod_from_everywhere_and_ends_with_it() {
    if !inside("hostports::a_host_port_leads_to_its_pod_from_everywhere_and_ends_with_it") {
        return;
    }
    let cluster = Cluster::new().await;
    let (one, two) = (cluster.node(1).await, cluster.node(2).await);

    // A client that kept asking before there was anybody: it is answered as soon as the pod is there.
    let early = cluster.edge.udp_connect(at(&one, 7000)).await.unwrap();
    for _ in 0..3 {
        drop(early.send(b"anybody?").await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cluster.pod(&one, "web", echo(both())).await;
    cluster.pod(&one, "near", echo(json!([]))).await;
    cluster.pod(&two, "far", echo(json!([]))).await;
    let web = cluster.pod_until("web", is_ready).await;
    let (near, far) = (cluster.pod_until("near", is_ready).await, cluster.pod_until("far", is_ready).await);
    assert_eq!(asked_until_answered(&early).await, "web");

    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 7000));
    let outside = Ipv4Addr::new(172, 30, 0, 1);
    let rows = [
        ("outside", cluster.edge.clone(), at(&one, 7000), outside.into()),
        ("the other node", two.namespace.clone(), at(&one, 7000), IpAddr::V4(two.address)),
        ("the node", one.namespace.clone(), at(&one, 7000), one.address.into()),
        ("the node's loopback", one.namespace.clone(), loopback, one.address.into()),
        ("a pod of the node", network(&near), at(&one, 7000), ip(&near)),
        ("a pod of the other node", network(&far), at(&one, 7000), ip(&far)),
        ("the pod itself", network(&web), at(&one, 7000), one.address.into()),
    ];
    for (name, from, to, client) in &rows {
        let expected = format!("web {client}");
        assert_eq!(by_tcp(from, *to).await.unwrap(), expected, "TCP from {name}");
        assert_eq!(by_udp(from, *to).await.unwrap(), expected, "UDP from {name}");
    }
    // Only here, and nobody gets at the node's own loopback through the pod's interface.
    assert!(by_tcp(&cluster.edge, at(&two, 7000)).await.is_err());
    let secret = one.namespace.tcp_listen((Ipv4Addr::LOCALHOST, 7100).into()).unwrap();
    let mut inside = network(&web).links().unwrap();
    inside.remove_address("lo", "127.0.0.1/8".parse().unwrap()).unwrap();
    inside.add_route("127.0.0.1/32".parse().unwrap(), Some([169, 254, 1, 1].into()), Some("eth0"), true).unwrap();
    network(&web).sysctl("net/ipv4/conf/eth0/route_localnet", "1").unwrap();
    let stolen = timeout(Duration::from_secs(1), network(&web).tcp_connect(secret.local_addr().unwrap())).await;
    assert!(!matches!(stolen, Ok(Ok(_))), "the node's loopback is the node's");

    // Processes of the node see the port as taken.
    for protocol in ["TCP", "UDP"] {
        let taken = match protocol {
            "TCP" => one.namespace.tcp_listen((Ipv4Addr::UNSPECIFIED, 7000).into()).err(),
            _ => one.namespace.udp_bind((Ipv4Addr::UNSPECIFIED, 7000).into()).err(),
        };
        assert_eq!(taken.unwrap().kind(), std::io::ErrorKind::AddrInUse, "{protocol}");
    }
    assert_eq!(mapped(&one), 4);
    cluster.delete("web", None).await;
    cluster.gone("web").await;
    // When the object is gone the port is free.
    assert_eq!(mapped(&one), 0);
    drop(one.namespace.tcp_listen((Ipv4Addr::UNSPECIFIED, 7000).into()).unwrap());
    assert_eq!(by_tcp(&cluster.edge, at(&one, 7000)).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    // The client that never stops asking is the next pod's.
    cluster.pod(&one, "heir", echo(both())).await;
    assert_eq!(asked_until_answered(&early).await, "heir");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_address_is_the_only_one_that_leads_to_the_pod() {
    if !inside("hostports::a_host_address_is_the_only_one_that_leads_to_the_pod") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    node.namespace.links().unwrap().add_address("eth0", "172.30.0.99/24".parse().unwrap()).unwrap();
    let port = |address: &str| json!([{"containerPort": 8081, "hostPort": 7000, "hostIP": address}]);
    cluster.pod(&node, "first", echo(port("172.30.0.11"))).await;
    cluster.pod(&node, "second", echo(port("172.30.0.99"))).await;
    cluster.pod(&node, "local", echo(port("127.0.0.1"))).await;
    for name in ["first", "second", "local"] {
        cluster.pod_until(name, is_ready).await;
    }
    let second = SocketAddr::from(([172, 30, 0, 99], 7000));
    assert_eq!(by_tcp(&cluster.edge, at(&node, 7000)).await.unwrap(), "first 172.30.0.1");
    assert_eq!(by_tcp(&cluster.edge, second).await.unwrap(), "second 172.30.0.1");
    let loopback = (Ipv4Addr::LOCALHOST, 7000).into();
    assert_eq!(by_tcp(&node.namespace, loopback).await.unwrap(), "local 172.30.0.11");
    // All of them is one of them too.
    cluster.pod(&node, "all", echo(json!([{"containerPort": 8081, "hostPort": 7000}]))).await;
    let begins = "HostPortConflict: hostPort 7000/TCP is already in use by pod default/";
    cluster.events_until("all", |events| events.iter().any(|event| event.starts_with(begins))).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_waits_for_the_port_of_another_and_starts_when_it_is_free() {
    if !inside("hostports::a_pod_waits_for_the_port_of_another_and_starts_when_it_is_free") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    cluster.pod(&node, "first", echo(both())).await;
    cluster.pod_until("first", is_ready).await;
    cluster.pod(&node, "second", echo(json!([{"containerPort": 8081, "hostPort": 7000}]))).await;
    cluster.pod(&node, "other", echo(json!([{"containerPort": 8081, "hostPort": 7001}]))).await;
    let conflict = "HostPortConflict: hostPort 7000/TCP is already in use by pod default/first";
    cluster.events_until("second", |events| events.iter().any(|event| event == conflict)).await;
    let other = cluster.pod_until("other", is_ready).await;
    assert_eq!(phase(&other), "Running", "another port is another matter");

    // The agent's end is nobody's gain: the port stays with the pod that had it.
    let node = cluster.start(node.stop().await).await;
    cluster.pod_until("first", |pod| container(pod)["restartCount"] == 1 && is_ready(pod)).await;
    let waiting = cluster.pods().get("second").await.unwrap();
    assert_eq!((phase(&waiting), waiting.status.as_ref().and_then(|status| status.pod_ip.as_ref())), ("Pending", None));
    cluster.delete("first", None).await;
    cluster.gone("first").await;
    let freed = Instant::now();
    cluster.pod_until("second", is_ready).await;
    assert!(freed.elapsed() < Duration::from_secs(5), "it was told");
    assert_eq!(by_tcp(&cluster.edge, at(&node, 7000)).await.unwrap(), "second 172.30.0.1");

    // A pod in the node's own network has its container's ports; so the ports of pods are not for it.
    let mut on_host = echo(json!([{"containerPort": 7000}]));
    on_host["hostNetwork"] = json!(true);
    on_host["containers"][0]["env"] = json!([{"name": "TCP_PORT", "value": "7000"}]);
    cluster.pod(&node, "host", on_host).await;
    let conflict = "HostPortConflict: hostPort 7000/TCP is already in use by pod default/second";
    cluster.events_until("host", |events| events.iter().any(|event| event == conflict)).await;
    cluster.delete("second", None).await;
    cluster.pod_until("host", is_ready).await;
    assert_eq!(by_tcp(&cluster.edge, at(&node, 7000)).await.unwrap(), "host 172.30.0.1");
    node.stop().await;
}

/// An agent that is killed removes nothing: the next one does, before a port leads to a pod that is no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_agent_left_is_removed() {
    if !inside("hostports::what_a_killed_agent_left_is_removed") {
        return;
    }
    let cluster = Cluster::new().await;
    let config = cluster.config(1);
    let id = TableId::new(Family::Ip, "portolan-host-ports");
    let tables = |change: fn(&mut Socket, &TableId)| {
        let look = || {
            let mut socket = Socket::open().unwrap();
            change(&mut socket, &id);
            socket.table(&id).unwrap().is_some()
        };
        config.namespace.run(look).unwrap()
    };
    let left = tables(|socket, id| {
        let mut batch = portolan_nftables::Batch::new();
        batch.table(id).add_table();
        socket.commit(&batch).unwrap();
    });
    assert!(left);
    let node = cluster.start(config.clone()).await;
    assert!(!tables(|_, _| ()));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_waits_for_the_port_of_a_process_of_the_node() {
    if !inside("hostports::a_pod_waits_for_the_port_of_a_process_of_the_node") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let mut process = host_process(&node, 7000);
    let up = async {
        while by_tcp(&cluster.edge, at(&node, 7000)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, up).await.unwrap();
    cluster.pod(&node, "web", echo(both())).await;
    let begins = format!("HostPortConflict: hostPort 7000/TCP is already in use by process {} (", process.id());
    let told =
        |events: &[String]| events.iter().any(|event| event.starts_with(&begins) && event.contains("echo_image"));
    cluster.events_until("web", told).await;
    assert_eq!(phase(&cluster.pods().get("web").await.unwrap()), "Pending");
    // It is said again, and counted.
    let events = kube::Api::<k8s_openapi::api::core::v1::Event>::namespaced(cluster.client.clone(), "default");
    let counted = async {
        loop {
            let list = events.list(&Default::default()).await.unwrap().items;
            let conflict = list.iter().filter(|event| event.reason.as_deref() == Some("HostPortConflict"));
            let counts: Vec<_> = conflict.map(|event| event.count.unwrap_or_default()).collect();
            if matches!(counts[..], [count] if count > 1) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    cluster.pod_until("web", is_ready).await;
    assert_eq!(by_tcp(&cluster.edge, at(&node, 7000)).await.unwrap(), "web 172.30.0.1");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_words_of_kubernetes_a_pod_is_rejected_and_a_process_is_not_noticed() {
    if !inside("hostports::in_the_words_of_kubernetes_a_pod_is_rejected_and_a_process_is_not_noticed") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.start_in(cluster.config(1), Vocabulary::Upstream).await;
    let mut process = host_process(&node, 7000);
    cluster.pod(&node, "first", echo(both())).await;
    cluster.pod_until("first", is_ready).await;
    assert_eq!(by_tcp(&cluster.edge, at(&node, 7000)).await.unwrap(), "first 172.30.0.1", "not the process");
    process.kill().unwrap();
    process.wait().unwrap();

    cluster.pod(&node, "second", echo(both())).await;
    let rejected = cluster.pod_until("second", |pod| phase(pod) == "Failed").await.status.unwrap();
    let predicate = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
    assert_eq!(rejected.reason.as_deref(), Some("NodePorts"));
    assert_eq!(rejected.message.unwrap(), format!("Pod was rejected: {predicate}"));
    assert_eq!((rejected.container_statuses, rejected.pod_ip), (None, None));
    let expected = [format!("NodePorts: {predicate}")];
    let events = cluster.events_until("second", |events| !events.is_empty()).await;
    assert_eq!(events, expected);
    // It never starts, but its place can be taken.
    cluster.delete("first", None).await;
    cluster.gone("first").await;
    cluster.pod(&node, "third", echo(both())).await;
    cluster.pod_until("third", is_ready).await;
    assert_eq!(phase(&cluster.pods().get("second").await.unwrap()), "Failed");
    let events = cluster.events_until("third", |events| events.iter().any(|event| event.starts_with("Started"))).await;
    assert!(events.iter().all(|event| !event.starts_with("IPAllocated")), "{events:?}");
    node.stop().await;
}
