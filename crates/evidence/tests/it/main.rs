//! The collector against a real kernel: every test in a network of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use portolan_diagnose::evidence::{NodeEvidence, Outcome, Owner, Rule};
use portolan_evidence::{Asked, Pods, collect};
use portolan_netns::{
    Namespace,
    world::{enter_for_test, skip},
};

fn asked() -> Asked {
    Asked {
        node: "node1".into(),
        namespace: Namespace::current().unwrap(),
        addresses: Vec::new(),
        resolv_conf: PathBuf::new(),
        pods: Pods::Known(Vec::new()),
        probes: Vec::new(),
    }
}

fn evidence(asked: Asked) -> NodeEvidence {
    tokio::runtime::Runtime::new().unwrap().block_on(collect(asked))
}

/// Feeds a program, or says why not.
fn feed(test: &str, program: &str, arguments: &[&str], text: &str) -> bool {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            skip(test, &format!("cannot run {program}: {error}"));
            return false;
        }
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    true
}

fn told(rules: &[Rule]) -> Vec<String> {
    let told = |rule: &Rule| {
        let address = rule.address.map_or("node".to_owned(), |address| address.to_string());
        let service = rule.service.as_deref().unwrap_or("?");
        format!("{address} {} {} {service} {:?} {:?}", rule.protocol, rule.port, rule.verdict, rule.endpoints)
    };
    rules.iter().map(told).collect()
}

/// A map of endpoints for one Service, a chain of its own for each endpoint of another, a single endpoint in the rule
/// for the third.
const KUBE_PROXY: &str = "
table ip kube-proxy {
  chain reject-chain { reject; }
  chain endpoint-AAAAAAAA-default/sticky/tcp/http__10.244.1.5/8080 { ip protocol tcp dnat to 10.244.1.5:8080; }
  chain endpoint-BBBBBBBB-default/sticky/tcp/http__10.244.2.6/8080 {
    ip saddr 10.244.2.6 jump mark-for-masquerade
    meta l4proto tcp dnat to 10.244.2.6:8080
  }
  chain mark-for-masquerade { meta mark set meta mark | 0x4000; }
  chain service-CCCCCCCC-default/sticky/tcp/http {
    numgen random mod 2 vmap { 0 : goto endpoint-AAAAAAAA-default/sticky/tcp/http__10.244.1.5/8080, 1 : goto endpoint-BBBBBBBB-default/sticky/tcp/http__10.244.2.6/8080 }
  }
  chain external-CCCCCCCC-default/sticky/tcp/http {
    jump mark-for-masquerade
    goto service-CCCCCCCC-default/sticky/tcp/http
  }
  chain service-DDDDDDDD-default/web/tcp/ {
    meta l4proto tcp dnat ip addr . port to numgen random mod 2 map { 0 : 10.244.1.7 . 80, 1 : 10.244.1.8 . 80 }
  }
  chain service-EEEEEEEE-kube-system/kube-dns/udp/dns { meta l4proto udp dnat to 10.244.0.2:53; }
  map service-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = {
      10.96.0.10 . tcp . 80 : goto service-DDDDDDDD-default/web/tcp/,
      10.96.0.20 . tcp . 80 : goto service-CCCCCCCC-default/sticky/tcp/http,
      10.96.0.53 . udp . 53 : goto service-EEEEEEEE-kube-system/kube-dns/udp/dns }
  }
  map service-nodeports {
    type inet_proto . inet_service : verdict
    elements = { tcp . 30080 : goto external-CCCCCCCC-default/sticky/tcp/http }
  }
  map no-endpoint-services {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = { 10.96.0.30 . tcp . 80 : goto reject-chain, 203.0.113.9 . tcp . 80 : drop }
  }
  map no-endpoint-nodeports {
    type inet_proto . inet_service : verdict
    elements = { tcp . 30030 : goto reject-chain }
  }
  chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }
  chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }
  chain nat-output { type nat hook output priority -100; jump services; }
}";

#[test]
fn kube_proxy_nftables_rules_are_followed() {
    if !enter_for_test("kube_proxy_nftables_rules_are_followed")
        || !feed("kube_proxy_nftables_rules_are_followed", "nft", &["-f", "-"], KUBE_PROXY)
    {
        return;
    }
    let found = evidence(asked());
    assert_eq!(found.proxy.mode.as_deref(), Some("nftables"));
    let sticky = "default/sticky:http Balance [10.244.1.5:8080, 10.244.2.6:8080]";
    assert_eq!(
        told(&found.proxy.rules.unwrap()),
        [
            "node TCP 30030 ? Refuse []".to_owned(),
            format!("node TCP 30080 {sticky}"),
            "10.96.0.10 TCP 80 default/web Balance [10.244.1.7:80, 10.244.1.8:80]".to_owned(),
            format!("10.96.0.20 TCP 80 {sticky}"),
            "10.96.0.30 TCP 80 ? Refuse []".to_owned(),
            "10.96.0.53 UDP 53 kube-system/kube-dns:dns Balance [10.244.0.2:53]".to_owned(),
            "203.0.113.9 TCP 80 ? Drop []".to_owned(),
        ]
    );
    assert!(feed("flush", "nft", &["-f", "-"], "flush chain ip kube-proxy services"));
    let flushed = evidence(asked());
    assert_eq!(flushed.proxy.rules, Some(vec![]));
    assert!(flushed.problems.iter().any(|problem| problem.contains("flushed")), "{:?}", flushed.problems);
}

#[test]
fn kube_proxy_iptables_rules_are_followed() {
    const TEST: &str = "kube_proxy_iptables_rules_are_followed";
    const RULES: &str = "*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-WEB - [0:0]
:KUBE-SEP-A - [0:0]
-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment \"default/web:http cluster IP\" -m tcp --dport 80 -j KUBE-SVC-WEB
-A KUBE-SVC-WEB -m comment --comment \"default/web:http -> 10.244.1.5:8080\" -j KUBE-SEP-A
-A KUBE-SEP-A -p tcp -m comment --comment \"default/web:http\" -m tcp -j DNAT --to-destination 10.244.1.5:8080
COMMIT
";
    // The variant that works through nftables: the other needs modules that may not be there.
    if !enter_for_test(TEST) || !feed(TEST, "iptables-nft-restore", &[], RULES) {
        return;
    }
    let found = evidence(asked());
    assert_eq!(found.proxy.mode.as_deref(), Some("iptables"), "{:?}", found.problems);
    assert_eq!(told(&found.proxy.rules.unwrap()), ["10.96.0.10 TCP 80 default/web:http Balance [10.244.1.5:8080]"]);
}

#[test]
fn without_a_proxy_there_are_no_rules_and_that_is_known() {
    if !enter_for_test("without_a_proxy_there_are_no_rules_and_that_is_known") {
        return;
    }
    let found = evidence(asked());
    assert_eq!((found.proxy.mode, found.proxy.rules, found.proxy.healthy), (None, Some(vec![]), None));
    assert!(found.proxy.health.unwrap().contains("10256"));
    assert_eq!(found.flows, Some(vec![]));
}

/// A server that says what it is told to say, whatever it is asked.
fn server(address: &str, says: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let bound = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 512];
            let _ = stream.read(&mut asked);
            let _ = stream.write_all(says);
        }
    });
    bound
}

#[test]
fn attempts_meet_what_is_there() {
    const TEST: &str = "attempts_meet_what_is_there";
    let rules = "table ip t { chain out { type filter hook output priority 0; tcp dport 9001 drop; }; }";
    if !enter_for_test(TEST) || !feed(TEST, "nft", &["-f", "-"], rules) {
        return;
    }
    let web = server("127.0.0.1:0", b"HTTP/1.1 204 No Content\r\n\r\n");
    let other = server("127.0.0.1:0", b"SSH-2.0-test\r\n");
    // Says something that is not even a line, and waits.
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let open_address = open.local_addr().unwrap();
    thread::spawn(move || {
        let mut streams: Vec<_> =
            open.incoming().map(Result::unwrap).inspect(|mut s| s.write_all(b"\x15\x03").unwrap()).take(1).collect();
        let _ = streams[0].read_to_end(&mut Vec::new());
    });
    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    let echo_address = echo.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        let (length, peer) = echo.recv_from(&mut buffer).unwrap();
        echo.send_to(&buffer[..length], peer).unwrap();
    });
    let pod_network = Namespace::create().unwrap();
    let in_pod = pod_network.tcp_listen("127.0.0.1:7777".parse().unwrap()).unwrap();
    let pod = Owner::Pod { namespace: "default".into(), name: "web".into() };
    let attempts = [
        (Owner::Node, format!("tcp://{web}"), Outcome::Connected),
        (Owner::Node, format!("http://{web}/healthz"), Outcome::Answered { text: "HTTP/1.1 204 No Content".into() }),
        (Owner::Node, format!("http://{other}/"), Outcome::Answered { text: "SSH-2.0-test".into() }),
        (Owner::Node, format!("http://{open_address}/"), Outcome::Answered { text: "..".into() }),
        (Owner::Node, "tcp://127.0.0.1:9000".into(), Outcome::Refused),
        (Owner::Node, "tcp://127.0.0.1:9001".into(), Outcome::TimedOut),
        (Owner::Node, format!("udp://{echo_address}"), Outcome::Answered { text: "portolan".into() }),
        (Owner::Node, "udp://127.0.0.1:9002".into(), Outcome::Refused),
        (Owner::Node, "dns://example.com@127.0.0.1:9003".into(), Outcome::Refused),
        (pod.clone(), "tcp://127.0.0.1:7777".into(), Outcome::Connected),
        (pod.clone(), format!("tcp://{web}"), Outcome::Refused),
    ];
    let found = evidence(Asked {
        pods: Pods::Known(vec![(pod.clone(), pod_network)]),
        probes: attempts.iter().map(|(from, target, _)| (from.clone(), target.clone())).collect(),
        ..asked()
    });
    let outcomes: Vec<_> = found.probes.iter().map(|p| (p.from.clone(), p.target.clone(), p.outcome.clone())).collect();
    assert_eq!(outcomes, attempts);

    let of = |owner: &Owner| &found.sockets.iter().find(|sockets| sockets.owner == *owner).unwrap().listening;
    assert!(of(&Owner::Node).iter().any(|socket| socket.port == web.port()));
    let pods: Vec<_> = of(&pod).iter().map(|socket| (socket.address, socket.port)).collect();
    assert_eq!(pods, [(IpAddr::from([127, 0, 0, 1]), 7777)]);
    drop(in_pod);
}

#[test]
fn translated_connections_are_told_and_others_are_not() {
    const TEST: &str = "translated_connections_are_told_and_others_are_not";
    if !enter_for_test(TEST) {
        return;
    }
    let web = server("127.0.0.1:0", b"hello");
    let (port, address) = (web.port(), "198.51.100.7/32".parse().unwrap());
    Namespace::current().unwrap().links().unwrap().add_address("lo", address).unwrap();
    let rules = format!(
        "table ip t {{ chain out {{ type nat hook output priority -100; ip daddr 198.51.100.7 tcp dport 80 dnat to 127.0.0.1:{port}; }}; }}"
    );
    if !feed(TEST, "nft", &["-f", "-"], &rules) {
        return;
    }
    let probes = vec![
        (Owner::Node, "http://198.51.100.7:80/".to_owned()),
        (Owner::Node, format!("http://127.0.0.1:{port}/")),
        (Owner::Node, "icmp://x".to_owned()),
    ];
    let first = evidence(Asked { probes, ..asked() });
    assert!(first.problems.iter().any(|problem| problem.contains("icmp://x")), "{:?}", first.problems);
    let flows = evidence(asked()).flows.unwrap();
    let told: Vec<_> = flows.iter().map(|f| (f.destination.to_string(), f.translated, f.answered)).collect();
    assert_eq!(told, [("198.51.100.7:80".to_owned(), web, true)]);
    assert!(flows[0].state.is_some());
}
