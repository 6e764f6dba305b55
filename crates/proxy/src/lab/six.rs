//! IPv6: the twin table is built with the first Service that has an address in it, and works the same.

use ipnet::IpNet;
use portolan_nftables::{Family, TableId};
use serde_json::json;
use tokio::time::{Duration, timeout};

use super::{Feed, Lab, Outcome, PATIENCE, PODS, in_world, introduce, reached, service, slice};
use crate::TABLE;

const OUTSIDE: &str = "fd00:198::1";
const NODE: &str = "fd00:198::2";

fn address(pod: &str) -> String {
    format!("fd00:244::{pod}")
}

fn endpoints(who: &str) -> Vec<(String, &'static str)> {
    let chosen = PODS.iter().filter(|(name, _, _)| who.contains(name));
    chosen.map(|(name, _, here)| (address(name), if *here { "node-1" } else { "node-2" })).collect()
}

/// Gives every namespace of the lab an IPv6 address. `None` without IPv6.
fn dress(lab: &Lab, test: &str) -> Option<()> {
    let net = |text: &str| -> IpNet { text.parse().unwrap() };
    let all = ["outside", "node", "a", "b", "c"];
    for name in all {
        // Duplicate detection is off only if it is off for all and for the device.
        let _ = lab.namespace(name).sysctl("net/ipv6/conf/all/accept_dad", "0");
        for device in ["out0", "eth0", "pod-a", "pod-b", "pod-c"] {
            // Not every namespace has every device; no address may wait for duplicate detection.
            let _ = lab.namespace(name).sysctl(&format!("net/ipv6/conf/{device}/accept_dad"), "0");
        }
    }
    for (setting, value) in [("net/ipv6/conf/all/forwarding", "1"), ("net/ipv6/icmp/ratelimit", "0")] {
        if let Err(error) = lab.node.sysctl(setting, value) {
            eprintln!("skipped: {test}: {error}");
            return None;
        }
    }
    let mut here = lab.outside.links().unwrap();
    here.add_address("out0", net(&format!("{OUTSIDE}/64"))).unwrap();
    let mut node = lab.node.links().unwrap();
    node.add_address("eth0", net(&format!("{NODE}/64"))).unwrap();
    node.add_route(net("::/0"), Some(OUTSIDE.parse().unwrap()), None, false).unwrap();
    introduce(&lab.outside, "out0", NODE, &lab.node, "eth0", OUTSIDE);
    for route in ["fd00:244::/64", "fd00:96::/112"] {
        here.add_route(net(route), Some(NODE.parse().unwrap()), None, false).unwrap();
    }
    for name in ["a", "b", "c"] {
        let device = format!("pod-{name}");
        node.add_address(&device, net("fe80::1/64")).unwrap();
        node.add_route(net(&format!("{}/128", address(name))), None, Some(&device), false).unwrap();
        let mut pod = lab.namespace(name).links().unwrap();
        pod.add_address("eth0", net(&format!("{}/128", address(name)))).unwrap();
        pod.add_route(net("::/0"), Some("fe80::1".parse().unwrap()), Some("eth0"), true).unwrap();
        introduce(lab.namespace(name), "eth0", "fe80::1", &lab.node, &device, &address(name));
    }
    Some(())
}

/// From, protocol, destination, who answers, whose address it sees (empty: nobody answers).
const ROWS: [(&str, &str, &str, &str, &str); 14] = [
    ("b", "tcp", "[fd00:96::10]:80", "ac", "self"),
    ("b", "udp", "[fd00:96::10]:80", "ac", "self"),
    ("node", "tcp", "[fd00:96::10]:80", "ac", "node"),
    ("outside", "tcp", "[fd00:96::10]:80", "ac", "node"),
    ("outside", "tcp", "[fd00:198::2]:30010", "ac", "node"),
    ("outside", "udp", "[fd00:198::2]:30010", "ac", "node"),
    ("outside", "tcp", "[fd00:198::2]:30020", "a", "self"),
    ("b", "tcp", "[fd00:198::2]:30020", "ac", "self"),
    ("a", "tcp", "[fd00:96::30]:80", "a", "node"),
    ("b", "tcp", "[fd00:96::40]:80", "refused", ""),
    ("b", "udp", "[fd00:96::40]:80", "refused", ""),
    ("b", "tcp", "[fd00:96::10]:81", "refused", ""),
    ("b", "tcp", "[fd00:96::77]:80", "dropped", ""),
    ("outside", "tcp", "[fd00:96::50]:80", "one", "node"),
];

#[test]
fn ipv6_services_work_like_ipv4_ones() {
    const TEST: &str = "lab::six::ipv6_services_work_like_ipv4_ones";
    in_world(TEST, |mut lab: Lab| async move {
        if dress(&lab, TEST).is_none() {
            return;
        }
        lab.serve();
        let ports = |node: u16| {
            json!([{"name": "t", "port": 80, "protocol": "TCP", "nodePort": node},
                   {"name": "u", "port": 80, "protocol": "UDP", "nodePort": node}])
        };
        let services = vec![
            service("web", json!({"type": "NodePort", "clusterIP": "fd00:96::10", "ports": ports(30010)})),
            service(
                "local",
                json!({"type": "NodePort", "clusterIP": "fd00:96::20", "ports": ports(30020),
                       "externalTrafficPolicy": "Local"}),
            ),
            service("alone", json!({"clusterIP": "fd00:96::30", "ports": ports(0)})),
            service("empty", json!({"clusterIP": "fd00:96::40", "ports": ports(0)})),
            service("stick", json!({"clusterIP": "fd00:96::50", "ports": ports(0), "sessionAffinity": "ClientIP"})),
        ];
        let slices = [("web", "ac"), ("local", "ac"), ("alone", "a"), ("stick", "abc")].map(|(name, who)| {
            let endpoints = endpoints(who);
            let endpoints: Vec<(&str, &str)> = endpoints.iter().map(|(a, node)| (a.as_str(), *node)).collect();
            slice(name, &[("t", "TCP"), ("u", "UDP")], &endpoints, 8080)
        });
        let config = crate::Config {
            pod_cidrs_v6: vec!["fd00:244::/64".parse().unwrap()],
            service_cidr_v6: Some("fd00:96::/112".parse().unwrap()),
            ..lab.config()
        };
        let feed = Feed::start(&config, services, slices.to_vec());
        lab.settle(&feed).await;
        // The marker is in the IPv4 table, which is committed first.
        let table = TableId::new(Family::Ip6, TABLE);
        let mut socket = lab.stranger();
        let built = async {
            while !socket.chains(&table).unwrap_or_default().contains(&"postrouting".to_owned()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, built).await.unwrap();
        let mut wrong = Vec::new();
        for (from, protocol, destination, who, seen) in ROWS {
            let attempts = if who == "dropped" { 0 } else { 16 };
            let outcomes = reached(lab.namespace(from), protocol, destination, attempts).await;
            let client = match (seen, from) {
                ("node", _) => NODE.to_owned(),
                (_, "outside") => OUTSIDE.to_owned(),
                (_, pod) => address(pod),
            };
            let answered = |pod: char| Outcome::Reached(pod.to_string(), client.parse().unwrap());
            let fine = match who {
                "refused" => outcomes == [Outcome::Refused].into(),
                "dropped" => outcomes == [Outcome::Dropped].into(),
                "one" => outcomes.len() == 1 && "abc".chars().any(|pod| outcomes.contains(&answered(pod))),
                who => outcomes == who.chars().map(answered).collect(),
            };
            if !fine {
                wrong.push(format!("{from} -> {protocol} {destination}: expected {who}, got {outcomes:?}"));
            }
        }
        assert!(wrong.is_empty(), "{} rows are wrong:\n{}", wrong.len(), wrong.join("\n"));
        feed.stop().await;
    });
}
