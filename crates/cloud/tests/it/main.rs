//! The local balancer with real packets: outside -> edge -> two nodes, each in a network namespace of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod network;

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use network::{NODE_PORT, Network, balancer};
use parking_lot::Mutex;
use portolan_cloud::{BalancerId, Class, CloudError, Held, LoadBalancer, LoadBalancers, Status, Step, local::Local};
use portolan_netns::world;
use portolan_objects::{ObjectKey, Protocol};

const VIP: [u8; 4] = [203, 0, 113, 1];

async fn ensure(local: &Local, wanted: &LoadBalancer) -> (Vec<Step>, Result<Status, CloudError>) {
    let steps = Mutex::new(Vec::new());
    let result = local.ensure(wanted, &|step| steps.lock().push(step)).await;
    (steps.into_inner(), result)
}

/// Asks until `done` says so, for at most five seconds.
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !done().await {
        assert!(Instant::now() < deadline, "not within five seconds: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn nodes_answering(network: &Network, address: SocketAddr, times: usize) -> BTreeSet<String> {
    let mut nodes = BTreeSet::new();
    for _ in 0..times {
        nodes.insert(network.ask_tcp(address).await.unwrap().0);
    }
    nodes
}

fn both() -> BTreeSet<String> {
    ["node-1", "node-2"].map(String::from).into()
}

#[tokio::test]
async fn connections_go_to_healthy_nodes_and_keep_their_source() {
    if !world::enter_for_test("connections_go_to_healthy_nodes_and_keep_their_source") {
        return;
    }
    let network = Network::build().unwrap();
    let local = Local::new(network.edge.clone(), "203.0.113.0/24".parse().unwrap()).unwrap();
    let wanted = balancer("web", &network);
    let (steps, status) = ensure(&local, &wanted).await;
    let status = status.unwrap();
    assert_eq!(status.addresses, [IpAddr::from(VIP)]);
    assert_eq!(steps, [Step::AddressAllocated(VIP.into()), Step::Creating, Step::Created(status.clone()),]);

    // At once, without waiting for anything.
    let address = SocketAddr::from((VIP, 80));
    let (_, seen) = network.ask_tcp(address).await.unwrap();
    assert_eq!(seen, IpAddr::from([198, 51, 100, 1]), "the node must see the client's own address");
    assert_eq!(nodes_answering(&network, address, 64).await, both());
    until("UDP by both nodes", async || {
        let mut nodes = BTreeSet::new();
        for _ in 0..16 {
            nodes.extend(network.ask_udp(SocketAddr::from((VIP, 53))).await.map(|(node, _)| node));
        }
        nodes == both()
    })
    .await;

    let (steps, again) = ensure(&local, &wanted).await;
    assert_eq!((steps, again), (vec![], Ok(status)), "a second ensure does nothing");
    assert_eq!(network.ask_tcp(SocketAddr::from((VIP, 81))).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);

    network.set_health("node-2", false);
    until("only node-1 is left", async || nodes_answering(&network, address, 16).await.len() == 1).await;
    network.set_health("node-1", false);
    until("refused without healthy nodes", async || {
        network.ask_tcp(address).await.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    })
    .await;
    network.set_health("node-1", true);
    network.set_health("node-2", true);
    until("both are back", async || network.ask_tcp(address).await.is_ok()).await;
    until("both share again", async || nodes_answering(&network, address, 32).await == both()).await;

    local.delete(&wanted.id).await.unwrap();
    assert_eq!(local.get(&wanted.id).await, Ok(None));
    assert!(network.ask_tcp(address).await.is_err());
    local.delete(&wanted.id).await.unwrap();
}

#[tokio::test]
async fn nodes_come_and_go_and_source_ranges_hold() {
    if !world::enter_for_test("nodes_come_and_go_and_source_ranges_hold") {
        return;
    }
    let network = Network::build().unwrap();
    let local = Local::new(network.edge.clone(), "203.0.113.0/24".parse().unwrap()).unwrap();
    let mut wanted = balancer("web", &network);
    let second = wanted.nodes.pop().unwrap();
    ensure(&local, &wanted).await.1.unwrap();
    let address = SocketAddr::from((VIP, 80));
    assert_eq!(nodes_answering(&network, address, 16).await.len(), 1);

    wanted.nodes.push(second);
    local.update_nodes(&wanted).await.unwrap();
    assert_eq!(nodes_answering(&network, address, 64).await, both());

    wanted.source_ranges = vec!["192.0.2.0/24".parse().unwrap()];
    ensure(&local, &wanted).await.1.unwrap();
    let silent = tokio::time::timeout(Duration::from_millis(300), network.ask_tcp(address)).await;
    assert!(silent.is_err(), "a client outside the ranges is dropped: {silent:?}");
    wanted.source_ranges.push("198.51.100.0/24".parse().unwrap());
    ensure(&local, &wanted).await.1.unwrap();
    network.ask_tcp(address).await.unwrap();

    wanted.nodes.clear();
    local.update_nodes(&wanted).await.unwrap();
    assert_eq!(network.ask_tcp(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn addresses_are_adopted_requested_and_used_up() {
    if !world::enter_for_test("addresses_are_adopted_requested_and_used_up") {
        return;
    }
    let network = Network::build().unwrap();
    let local = Local::new(network.edge.clone(), "203.0.113.0/30".parse().unwrap()).unwrap();
    let old = BalancerId { service: ObjectKey::new("shop", "old"), uid: "old".into() };
    let status = Status { addresses: vec![VIP.into()], hostnames: Vec::new() };
    local.adopt(&[Held { id: old, status }]).await.unwrap();

    let (_, status) = ensure(&local, &balancer("new", &network)).await;
    assert_eq!(status.unwrap().addresses, [IpAddr::from([203, 0, 113, 2])]);
    let (steps, refused) = ensure(&local, &balancer("late", &network)).await;
    let refused = refused.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.class), ("AddressPoolExhausted", Class::Pool));
    assert_eq!(steps, [Step::AddressRefused(refused.message)]);

    let (steps, status) = ensure(&local, &balancer("old", &network)).await;
    assert_eq!(status.unwrap().addresses, [IpAddr::from(VIP)], "the adopted address");
    assert_eq!(steps.first(), Some(&Step::Creating), "an adopted address is not allocated again");

    local.delete(&balancer("new", &network).id).await.unwrap();
    let mut asking = balancer("late", &network);
    asking.requested = Some([203, 0, 113, 2].into());
    assert_eq!(ensure(&local, &asking).await.1.unwrap().addresses, [IpAddr::from([203, 0, 113, 2])]);
    asking.requested = Some(VIP.into());
    assert_eq!(ensure(&local, &asking).await.1.unwrap_err().code, "AddressInUse");
    assert_eq!(asking.ports.iter().filter(|port| port.protocol == Protocol::Udp).count(), 1);
    assert_eq!(asking.ports[0].node_port, Some(NODE_PORT));
}
