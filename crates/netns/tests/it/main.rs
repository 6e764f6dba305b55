//! Real namespaces, in worlds: as root and as an ordinary user.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, UdpSocket},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use portolan_netns::{Namespace, world};

/// Two namespaces joined by a veth pair: 10.1.0.1/24 and 10.1.0.2/24.
fn pair() -> (Namespace, Namespace) {
    let (left, right) = (Namespace::create().unwrap(), Namespace::create().unwrap());
    left.links().unwrap().veth("eth0", "eth0", &right).unwrap();
    for (ns, address) in [(&left, "10.1.0.1/24"), (&right, "10.1.0.2/24")] {
        let mut links = ns.links().unwrap();
        links.add_address("eth0", address.parse().unwrap()).unwrap();
        links.up("eth0").unwrap();
    }
    (left, right)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn packets_cross_a_veth_pair() {
    if !world::enter_for_test("packets_cross_a_veth_pair") {
        return;
    }
    let (left, right) = pair();
    assert!(!left.is_same(&right));
    runtime().block_on(async {
        let address: SocketAddr = "10.1.0.2:7000".parse().unwrap();
        let listener = right.tcp_listen(address).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let (client, server) = tokio::join!(left.tcp_connect(address), listener.accept());
        assert_eq!(client.unwrap().peer_addr().unwrap(), address);
        assert_eq!(server.unwrap().1.ip().to_string(), "10.1.0.1");

        let server = tokio::net::UdpSocket::from_std(right.udp_bind(address).unwrap()).unwrap();
        let client = left.udp_connect(address).await.unwrap();
        client.send(b"ahoy").await.unwrap();
        let mut buffer = [0; 8];
        let receive = server.recv_from(&mut buffer);
        let (n, from) = tokio::time::timeout(Duration::from_secs(5), receive).await.unwrap().unwrap();
        assert_eq!((&buffer[..n], from.ip().to_string().as_str()), (&b"ahoy"[..], "10.1.0.1"));
        let taken = right.udp_bind(address).unwrap_err();
        assert!(taken.to_string().contains("10.1.0.2:7000"), "{taken}");
    });
}

#[test]
fn links_addresses_and_routes_can_be_set_again_and_removed_twice() {
    if !world::enter_for_test("links_addresses_and_routes_can_be_set_again_and_removed_twice") {
        return;
    }
    let (left, right) = pair();
    let mut links = left.links().unwrap();
    links.bridge("br0").unwrap();
    links.bridge("br0").unwrap();
    links.veth("port", "eth1", &right).unwrap();
    links.veth("port", "eth1", &right).unwrap();
    links.set_master("port", "br0").unwrap();
    links.set_master("port", "br0").unwrap();
    assert_eq!(links.links().unwrap(), ["lo", "eth0", "br0", "port"]);

    let hardware = links.hardware_address("eth0").unwrap();
    assert_eq!(hardware.len(), 6);
    for _ in 0..2 {
        links.set_neighbour("eth0", "10.1.0.9".parse().unwrap(), &hardware).unwrap();
    }

    let address = "192.0.2.1/32".parse().unwrap();
    links.add_address("lo", address).unwrap();
    links.add_address("lo", address).unwrap();
    links.remove_address("lo", address).unwrap();
    links.remove_address("lo", address).unwrap();
    links.remove_address("gone", address).unwrap();

    let everywhere = "0.0.0.0/0".parse().unwrap();
    let pods = "10.244.1.0/24".parse().unwrap();
    let gateway = "10.1.0.2".parse().unwrap();
    links.add_route(everywhere, Some(gateway), None, false).unwrap();
    links.add_route(everywhere, Some("169.254.1.1".parse().unwrap()), Some("eth0"), true).unwrap();
    links.add_route(pods, Some(gateway), None, false).unwrap();
    links.add_route(pods, Some(gateway), None, false).unwrap();
    links.add_route("10.244.1.7/32".parse().unwrap(), None, Some("eth0"), false).unwrap();
    let table = left.run(|| std::fs::read_to_string("/proc/thread-self/net/route")).unwrap().unwrap();
    assert_eq!(table.lines().count(), 1 + 4, "{table}");
    links.delete_route(pods).unwrap();
    links.delete_route(pods).unwrap();
    links.delete_route("10.244.1.7/32".parse().unwrap()).unwrap();
    links.delete_route(everywhere).unwrap();
    let table = left.run(|| std::fs::read_to_string("/proc/thread-self/net/route")).unwrap().unwrap();
    assert_eq!(table.lines().count(), 1 + 1, "{table}");

    links.delete_link("port").unwrap();
    links.delete_link("port").unwrap();
    assert_eq!(right.links().unwrap().links().unwrap(), ["lo", "eth0"], "the other end went too");
    let error = links.up("nosuch").unwrap_err();
    assert_eq!(error.to_string(), "cannot set nosuch up");
    assert_eq!(error.cause().raw_os_error(), Some(19));
}

#[test]
fn settings_belong_to_their_namespace() {
    if !world::enter_for_test("settings_belong_to_their_namespace") {
        return;
    }
    let (left, right) = pair();
    left.sysctl("net/ipv4/ip_forward", "1").unwrap();
    let read = || std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    assert_eq!(left.run(read).unwrap().trim(), "1");
    assert_eq!(right.run(read).unwrap().trim(), "0");
    let here = Namespace::current().unwrap();
    assert!(!here.is_same(&left), "the caller stays where it was");
    assert!(left.sysctl("net/nosuch", "1").unwrap_err().to_string().contains("net/nosuch"));
}

#[test]
fn a_world_is_root_with_loopback_and_processes_of_its_own() {
    if !world::enter_for_test("a_world_is_root_with_loopback_and_processes_of_its_own") {
        return;
    }
    assert!(nix::unistd::geteuid().is_root());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
    assert_eq!(Namespace::current().unwrap().links().unwrap().links().unwrap(), ["lo"]);
    // Where /proc could be mounted, pid 1 is the reaper and this is its first child.
    if nix::unistd::getppid().as_raw() == 1 {
        let name = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(name.starts_with(&std::process::id().to_string()), "{name}");
    } else {
        portolan_netns::world::skip("a_world_is_root (process ids)", "/proc cannot be mounted here");
    }
}

/// The program's exit code, or 128 + signal, is the keeper's.
#[test]
fn exit_codes_and_signals_pass_through() {
    if let Err(why) = world::available() {
        portolan_netns::world::skip("exit_codes_and_signals_pass_through", &why);
        return;
    }
    let shell = |script: &str| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        world::spawn(command).unwrap()
    };
    assert_eq!(shell("exit 7").wait().unwrap().code(), Some(7));
    assert_eq!(shell("kill -9 $$").wait().unwrap().code(), Some(137));
    let mut child = shell("trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let missing = world::spawn(Command::new("/no/such/program")).unwrap_err();
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
}

/// What the world holds dies with the keeper, however that dies: seen by the end of a pipe that all of it holds.
#[test]
fn nothing_survives_the_death_of_the_parent() {
    if let Err(why) = world::available() {
        portolan_netns::world::skip("nothing_survives_the_death_of_the_parent", &why);
        return;
    }
    let mut command = Command::new("/bin/sh");
    // Grandchildren in sessions of their own, as pods are.
    let script = "setsid sleep 1000 & setsid sleep 1000 & echo ready; exec sleep 1000";
    command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = world::spawn(command).unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let killed = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    let (done, waits) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(output.read_to_end(&mut Vec::new()).is_ok()));
    assert_eq!(waits.recv_timeout(Duration::from_secs(10)), Ok(true), "something still runs");
    assert!(killed.elapsed() < Duration::from_secs(10));
}

/// The thread that spawned is the parent that matters.
#[test]
fn a_world_dies_with_the_thread_that_spawned_it() {
    if let Err(why) = world::available() {
        portolan_netns::world::skip("a_world_dies_with_the_thread_that_spawned_it", &why);
        return;
    }
    let mut child = std::thread::spawn(|| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = world::spawn(command).unwrap();
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    })
    .join()
    .unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success());
}
