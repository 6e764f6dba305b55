#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn port(address: &str, protocol: Protocol, port: u16) -> HostPort {
    HostPort { address: address.parse().unwrap(), protocol, port, target: 80 }
}

fn ports(spec: Value) -> Vec<HostPort> {
    of_spec(&serde_json::from_value(spec).unwrap())
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("shop", name)
}

fn claimant(name: &str) -> Claimant {
    Claimant { uid: format!("uid-{name}"), pod: key(name), on_host: false }
}

#[test]
fn containers_and_sidecars_ask_for_ports_and_ordinary_init_containers_do_not() {
    let asks = |number: u16| json!([{"containerPort": 80, "hostPort": number}]);
    let spec = json!({
        "initContainers": [
            {"name": "setup", "ports": asks(1)},
            {"name": "mesh", "restartPolicy": "Always", "ports": asks(2)},
        ],
        "containers": [
            {"name": "main", "ports": [
                {"containerPort": 53, "hostPort": 3, "protocol": "UDP", "hostIP": "172.30.0.11"},
                {"containerPort": 8080},
                {"containerPort": 8081, "hostPort": 0},
            ]},
        ],
    });
    let wanted = [port("0.0.0.0", Protocol::Tcp, 2), HostPort { target: 53, ..port("172.30.0.11", Protocol::Udp, 3) }];
    assert_eq!(ports(spec), wanted);
}

#[test]
fn ports_conflict_by_protocol_number_and_address() {
    let all = port("0.0.0.0", Protocol::Tcp, 80);
    let rows = [
        (port("0.0.0.0", Protocol::Tcp, 80), true),
        (port("172.30.0.11", Protocol::Tcp, 80), true),
        (port("0.0.0.0", Protocol::Udp, 80), false),
        (port("0.0.0.0", Protocol::Tcp, 81), false),
    ];
    for (other, expected) in rows {
        assert_eq!((all.conflicts(&other), other.conflicts(&all)), (expected, expected), "{other}");
    }
    let (one, two) = (port("172.30.0.11", Protocol::Tcp, 80), port("127.0.0.1", Protocol::Tcp, 80));
    assert!(!one.conflicts(&two) && one.conflicts(&one));
}

#[tokio::test]
async fn a_pod_gets_all_of_its_ports_or_none_and_its_end_is_told() {
    let host_ports = Arc::new(HostPorts::new(Namespace::current().unwrap(), false));
    let (a, b) = (port("0.0.0.0", Protocol::Tcp, 80), port("0.0.0.0", Protocol::Tcp, 81));
    let first = host_ports.claim(&claimant("first"), &[a]).unwrap();
    let conflict = host_ports.claim(&claimant("second"), &[b, a]).unwrap_err();
    assert!(conflict.is_pod());
    assert_eq!(conflict.describe(), "hostPort 80/TCP is already in use by pod shop/first");
    let third = host_ports.claim(&claimant("third"), &[b]).unwrap();
    let mut freed = host_ports.freed();
    drop(first);
    tokio::time::timeout(std::time::Duration::from_secs(5), freed.changed()).await.unwrap().unwrap();
    let again = host_ports.claim(&claimant("second"), &[a]).unwrap();
    drop((third, again));
}

#[test]
fn what_a_pod_had_before_stays_its_own() {
    let host_ports = Arc::new(HostPorts::new(Namespace::current().unwrap(), false));
    let wanted = [port("0.0.0.0", Protocol::Tcp, 80)];
    host_ports.keep("uid-old", &key("old"), &wanted);
    host_ports.keep("uid-late", &key("late"), &wanted);
    assert!(host_ports.claim(&claimant("late"), &wanted).is_err());
    drop(host_ports.claim(&claimant("old"), &wanted).unwrap());
    drop(host_ports.claim(&claimant("late"), &wanted).unwrap());
}

/// Whether the test is inside a world: beside others, a port that was free may be somebody's the next moment.
fn inside(test: &str) -> bool {
    portolan_netns::world::enter_for_test(&format!("hostports::tests::{test}"))
}

/// What is asked for is held, and found to be held.
#[test]
fn a_port_that_a_socket_has_is_not_given_out_and_a_given_one_is_held() {
    if !inside("a_port_that_a_socket_has_is_not_given_out_and_a_given_one_is_held") {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let wanted = [port("127.0.0.1", Protocol::Tcp, address.port())];
    let host_ports = Arc::new(HostPorts::new(Namespace::current().unwrap(), true));
    let conflict = host_ports.claim(&claimant("web"), &wanted).unwrap_err();
    let expected =
        format!("hostPort {}/TCP on 127.0.0.1 is already in use by process {} (", address.port(), std::process::id());
    assert!(conflict.describe().starts_with(&expected), "{conflict:?}");
    assert!(!conflict.is_pod());

    // What is left of a connection is nobody: the port is free for a server.
    let client = std::net::TcpStream::connect(address).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    drop(listener);
    drop(accepted);
    drop(client);
    let claim = host_ports.claim(&claimant("web"), &wanted).unwrap();
    let taken = std::net::TcpListener::bind(address).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    assert!(std::net::TcpStream::connect(address).is_err(), "held, not served");
    drop(claim);
    drop(std::net::TcpListener::bind(address).unwrap());

    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let wanted = [port("127.0.0.1", Protocol::Udp, udp.local_addr().unwrap().port())];
    assert!(host_ports.claim(&claimant("dns"), &wanted).is_err());
    drop(udp);
    drop(host_ports.claim(&claimant("dns"), &wanted).unwrap());
}

#[test]
fn a_connection_of_the_node_to_somewhere_else_keeps_no_pod_from_its_port() {
    if !inside("a_connection_of_the_node_to_somewhere_else_keeps_no_pod_from_its_port") {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let wanted = [port("127.0.0.1", Protocol::Tcp, client.local_addr().unwrap().port())];
    let host_ports = Arc::new(HostPorts::new(Namespace::current().unwrap(), true));
    drop(host_ports.claim(&claimant("web"), &wanted).unwrap());
}

#[test]
fn every_address_includes_each() {
    if !inside("every_address_includes_each") {
        return;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host_ports = Arc::new(HostPorts::new(Namespace::current().unwrap(), true));
    let wanted = [port("127.0.0.1", Protocol::Tcp, free), port("0.0.0.0", Protocol::Tcp, free)];
    let claim = host_ports.claim(&claimant("web"), &wanted).unwrap();
    assert_eq!(claim.sockets.len(), 1);
}
