//! Every feature as rows: from where, to what -> who answers, and whose address it sees.

use std::collections::BTreeSet;

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use serde_json::json;

use super::{Feed, Lab, NODE, OUTSIDE, Outcome, in_world, pods, reached, service, slice};

const BOTH: [(&str, &str); 2] = [("t", "TCP"), ("u", "UDP")];

fn objects() -> (Vec<Service>, Vec<EndpointSlice>) {
    let ports = |port: u16, node: u16| {
        json!([{"name": "t", "port": port, "protocol": "TCP", "nodePort": node},
               {"name": "u", "port": port, "protocol": "UDP", "nodePort": node}])
    };
    let balanced = |ip: &str, node: u16, address: &str, local: bool| {
        json!({"type": "LoadBalancer", "clusterIP": ip, "ports": ports(80, node),
               "externalTrafficPolicy": if local { "Local" } else { "Cluster" },
               "ingress": [{"ip": address}]})
    };
    let with = |mut spec: serde_json::Value, key: &str, value: serde_json::Value| {
        spec[key] = value;
        spec
    };
    let plain = |ip: &str| json!({"clusterIP": ip, "ports": ports(80, 0)});
    let external = json!(["203.0.113.120"]);
    let services = vec![
        service("web", plain("10.96.0.10")),
        service("open", with(balanced("10.96.0.20", 30020, "203.0.113.20", false), "externalIPs", external)),
        service("local", balanced("10.96.0.30", 30030, "203.0.113.30", true)),
        service("elsewhere", balanced("10.96.0.40", 30040, "203.0.113.40", true)),
        service("inside", with(plain("10.96.0.50"), "internalTrafficPolicy", json!("Local"))),
        service("inside-elsewhere", with(plain("10.96.0.51"), "internalTrafficPolicy", json!("Local"))),
        service("empty", balanced("10.96.0.60", 30060, "203.0.113.60", false)),
        service("empty-local", balanced("10.96.0.61", 30061, "203.0.113.61", true)),
        service(
            "friends",
            with(
                balanced("10.96.0.70", 30070, "203.0.113.70", false),
                "loadBalancerSourceRanges",
                json!(["198.51.100.0/31", "192.0.2.0/24"]),
            ),
        ),
        service(
            "strangers",
            with(
                balanced("10.96.0.71", 30071, "203.0.113.71", true),
                "loadBalancerSourceRanges",
                json!(["192.0.2.0/24"]),
            ),
        ),
        service("alone", plain("10.96.0.90")),
        service("stick", with(plain("10.96.0.95"), "sessionAffinity", json!("ClientIP"))),
        service(
            "stick-local",
            with(balanced("10.96.0.96", 30096, "203.0.113.96", true), "sessionAffinity", json!("ClientIP")),
        ),
    ];
    let slices = [
        ("web", "abc"),
        ("open", "ac"),
        ("local", "ac"),
        ("elsewhere", "c"),
        ("inside", "bc"),
        ("inside-elsewhere", "c"),
        ("friends", "a"),
        ("strangers", "a"),
        ("alone", "a"),
        ("stick", "abc"),
        ("stick-local", "abc"),
    ];
    (services, slices.map(|(name, who)| slice(name, &BOTH, &pods(who), 8080)).to_vec())
}

/// `who`: pods as letters, `refused` or `dropped`. `seen`: `self` for the client's own address, `node` for the node's.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// Rows that hold for TCP and UDP alike: from, destination, who, seen.
const ROWS: [Row; 50] = [
    ("a", "10.96.0.10:80", "abc", "mixed"),
    ("b", "10.96.0.90:80", "a", "self"),
    ("node", "10.96.0.10:80", "abc", "node"),
    ("outside", "10.96.0.10:80", "abc", "node"),
    // Hairpin.
    ("a", "10.96.0.90:80", "a", "node"),
    // Traffic policy Cluster: every way in, every source.
    ("b", "10.96.0.20:80", "ac", "self"),
    ("b", "203.0.113.20:80", "ac", "node"),
    ("b", "203.0.113.120:80", "ac", "node"),
    ("b", "198.51.100.2:30020", "ac", "node"),
    ("node", "203.0.113.20:80", "ac", "node"),
    ("node", "198.51.100.2:30020", "ac", "node"),
    ("outside", "203.0.113.20:80", "ac", "node"),
    ("outside", "203.0.113.120:80", "ac", "node"),
    ("outside", "198.51.100.2:30020", "ac", "node"),
    // Traffic policy Local: outside only to here and with its own address; inside takes the short way.
    ("outside", "203.0.113.30:80", "a", "self"),
    ("outside", "198.51.100.2:30030", "a", "self"),
    ("b", "203.0.113.30:80", "ac", "self"),
    ("b", "198.51.100.2:30030", "ac", "self"),
    ("node", "203.0.113.30:80", "ac", "node"),
    ("node", "198.51.100.2:30030", "ac", "node"),
    ("b", "10.96.0.30:80", "ac", "self"),
    // None here.
    ("outside", "203.0.113.40:80", "dropped", ""),
    ("outside", "198.51.100.2:30040", "dropped", ""),
    ("b", "203.0.113.40:80", "c", "self"),
    ("node", "198.51.100.2:30040", "c", "node"),
    ("b", "10.96.0.40:80", "c", "self"),
    // Internal policy Local.
    ("a", "10.96.0.50:80", "b", "self"),
    ("node", "10.96.0.50:80", "b", "node"),
    ("a", "10.96.0.51:80", "dropped", ""),
    // No endpoint anywhere.
    ("a", "10.96.0.60:80", "refused", ""),
    ("node", "10.96.0.60:80", "refused", ""),
    ("outside", "203.0.113.60:80", "refused", ""),
    ("outside", "198.51.100.2:30060", "refused", ""),
    ("a", "198.51.100.2:30060", "refused", ""),
    ("outside", "203.0.113.61:80", "refused", ""),
    ("outside", "198.51.100.2:30061", "refused", ""),
    // Source ranges: only for the balancer's address; the node's own address is in the ranges of `friends` or not.
    ("outside", "203.0.113.70:80", "a", "node"),
    ("b", "203.0.113.70:80", "dropped", ""),
    ("outside", "198.51.100.2:30070", "a", "node"),
    ("b", "10.96.0.70:80", "a", "self"),
    ("outside", "203.0.113.71:80", "dropped", ""),
    ("node", "203.0.113.71:80", "dropped", ""),
    ("outside", "198.51.100.2:30071", "a", "self"),
    // What is not there.
    ("a", "10.96.0.10:81", "refused", ""),
    ("outside", "10.96.0.10:81", "refused", ""),
    ("a", "10.96.77.77:80", "dropped", ""),
    ("node", "10.96.77.77:80", "dropped", ""),
    // Not a Service at all.
    ("a", "10.244.2.11:8080", "c", "self"),
    ("outside", "10.244.1.11:8080", "a", "self"),
    ("a", "10.244.1.11:8080", "a", "self"),
];

fn own(from: &str) -> &'static str {
    match from {
        "outside" => OUTSIDE,
        "node" => NODE,
        pod => pods(pod)[0].0,
    }
}

fn check((from, destination, who, seen): Row, protocol: &str, outcomes: &BTreeSet<Outcome>) -> Result<(), String> {
    let complain = |what: &str| Err(format!("{from} -> {protocol} {destination}: {what}: {outcomes:?}"));
    match who {
        "refused" | "dropped" => {
            // The node's own datagram dies in the output hook in both cases, and the sender learns of it at once.
            let refused = who == "refused" || (from, protocol) == ("node", "udp");
            let expected = if refused { Outcome::Refused } else { Outcome::Dropped };
            if *outcomes == BTreeSet::from([expected]) { Ok(()) } else { complain(&format!("not {who}")) }
        }
        who => {
            let mut reached = String::new();
            for outcome in outcomes {
                let Outcome::Reached(pod, client) = outcome else { return complain("an attempt failed") };
                reached.push_str(pod);
                let expected = match seen {
                    "self" => own(from),
                    "node" => NODE,
                    // To itself through the node, to the others directly.
                    _ if pod == from => NODE,
                    _ => own(from),
                };
                if client.to_string() != expected {
                    return complain(&format!("{pod} should see {expected}"));
                }
            }
            if reached == who { Ok(()) } else { complain(&format!("expected {who}")) }
        }
    }
}

#[test]
fn every_way_in_leads_where_it_should() {
    in_world("lab::features::every_way_in_leads_where_it_should", |mut lab: Lab| async move {
        lab.serve();
        let (services, slices) = objects();
        let feed = Feed::start(&lab.config(), services, slices);
        lab.settle(&feed).await;
        let mut wrong = Vec::new();
        for protocol in ["tcp", "udp"] {
            for row in ROWS {
                let attempts = match row.2 {
                    "dropped" => 0,
                    "refused" => 2,
                    who if who.len() == 1 => 3,
                    _ => 24,
                };
                let outcomes = reached(lab.namespace(row.0), protocol, row.1, attempts).await;
                wrong.extend(check(row, protocol, &outcomes).err());
            }
        }
        assert!(wrong.is_empty(), "{} rows are wrong:\n{}", wrong.len(), wrong.join("\n"));
        eprintln!("{} packet rows", ROWS.len() * 2);
        feed.stop().await;
    });
}

#[test]
fn clients_stay_with_their_endpoint_and_leave_it_when_it_is_gone() {
    in_world(
        "lab::features::clients_stay_with_their_endpoint_and_leave_it_when_it_is_gone",
        |mut lab: Lab| async move {
            lab.serve();
            let (services, slices) = objects();
            let feed = Feed::start(&lab.config(), services, slices);
            lab.settle(&feed).await;
            for (from, destination) in
                [("outside", "10.96.0.95:80"), ("node", "10.96.0.95:80"), ("outside", "203.0.113.96:80")]
            {
                let seen = reached(lab.namespace(from), "tcp", destination, 20).await;
                assert_eq!(seen.len(), 1, "{from} -> {destination}: {seen:?}");
            }
            let before = reached(&lab.outside, "tcp", "10.96.0.95:80", 1).await;
            let Some(Outcome::Reached(first, _)) = before.first() else { panic!("{before:?}") };
            let others: String = "abc".replace(first.as_str(), "");
            feed.put_slice(slice("stick", &BOTH, &pods(&others), 8080));
            lab.settle(&feed).await;
            let after = reached(&lab.outside, "tcp", "10.96.0.95:80", 20).await;
            assert_eq!(after.len(), 1, "moved once and stays: {after:?}");
            assert!(!matches!(after.first(), Some(Outcome::Reached(pod, _)) if pod == first));
            feed.stop().await;
        },
    );
}

#[test]
fn health_ports_tell_balancers_where_the_endpoints_are() {
    in_world("lab::features::health_ports_tell_balancers_where_the_endpoints_are", |mut lab: Lab| async move {
        let spec = json!({"type": "LoadBalancer", "clusterIP": "10.96.0.10", "externalTrafficPolicy": "Local",
                          "healthCheckNodePort": 31000, "ports": [{"port": 80}]});
        let config = crate::Config { health: Some("198.51.100.2:10256".parse().unwrap()), ..lab.config() };
        let feed =
            Feed::start(&config, vec![service("web", spec.clone())], vec![slice("web", &[], &pods("abc"), 8080)]);
        lab.settle(&feed).await;
        let (code, head, body) = get(&lab, "198.51.100.2:31000", "/").await;
        assert_eq!(code, 200, "{head}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let expected = json!({"service": {"namespace": "default", "name": "web"}, "localEndpoints": 2,
                              "serviceProxyHealthy": true});
        assert_eq!(body, expected);
        assert!(head.contains("x-load-balancing-endpoint-weight: 2"), "{head}");
        for path in ["/healthz", "/livez"] {
            assert_eq!(get(&lab, "198.51.100.2:10256", path).await.0, 200);
        }
        assert_eq!(get(&lab, "198.51.100.2:10256", "/").await.0, 404);
        feed.put_slice(slice("web", &[], &pods("c"), 8080));
        lab.settle(&feed).await;
        assert_eq!(get(&lab, "198.51.100.2:31000", "/").await.0, 503);
        feed.delete(service("web", spec));
        lab.settle(&feed).await;
        let refused = async {
            let address = "198.51.100.2:31000".parse().unwrap();
            while lab.outside.tcp_connect(address).await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(super::PATIENCE, refused).await.expect("the port is closed with its Service");
        feed.stop().await;
    });
}

/// A plain HTTP request from outside: status, head and body.
async fn get(lab: &Lab, address: &str, path: &str) -> (u16, String, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dialog = async {
        // The port opens a moment after the rules.
        let mut stream = loop {
            match lab.outside.tcp_connect(address.parse().unwrap()).await {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
            }
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let text = tokio::time::timeout(super::PATIENCE, dialog).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, head.to_lowercase(), body.to_owned())
}
