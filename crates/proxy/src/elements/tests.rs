//! What a Service becomes in the maps, printed as `set key -> data`.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value as Json, json};

use super::*;

fn facts(spec: Json, ingress: Json) -> ServiceFacts {
    let service: Service = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "web"}, "spec": spec, "status": {"loadBalancer": {"ingress": ingress}},
    }))
    .unwrap();
    ServiceFacts::of(&service).unwrap()
}

fn endpoint(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 244, 0, n], 8080))
}

/// Elements of a Service whose only port has these endpoints; those up to 9 are here.
fn render(service: &ServiceFacts, main: &[u8], local: &[u8]) -> Vec<String> {
    let list = |list: &[u8]| -> Vec<SocketAddr> { list.iter().copied().map(endpoint).collect() };
    let set = |list: &[u8]| -> BTreeSet<SocketAddr> { list.iter().copied().map(endpoint).collect() };
    let here: Vec<u8> = main.iter().chain(local).copied().filter(|n| *n < 10).collect();
    let lists = Lists { main: set(main), local: set(local), here: set(&here), serving: set(main) };
    let ports =
        [Port { facts: service.ports[0].clone(), lists, slots: Slots { main: list(main), local: list(local) } }];
    let node = NodeFacts { addresses: [Ipv4Addr::new(172, 30, 0, 11).into()].into(), ..NodeFacts::unknown("node-1") };
    let elements = elements(service, &ports, Family::V4, &node);
    elements.iter().map(|(key, data)| line(key, data.as_ref())).collect()
}

fn line(key: &ElementKey, data: Option<&Data>) -> String {
    let word = |value: &Value, n| value.word(n).unwrap();
    let address = |value: &Value, n| Ipv4Addr::from(word(value, n)).to_string();
    let port = |value: &Value, n| u16::from_be_bytes([word(value, n)[0], word(value, n)[1]]);
    let number = |value: &Value, n| u32::from_ne_bytes(word(value, n));
    let name = key.set.name();
    let data = match data {
        None => String::new(),
        Some(Data::Value(value)) if value.as_bytes().len() == 8 => {
            format!(" -> {}:{}", address(value, 0), port(value, 1))
        }
        Some(Data::Value(value)) => match Target::from_number(number(value, 0)) {
            Some(target) => format!(" -> {target}"),
            None => " -> id".to_owned(),
        },
        Some(Data::Verdict(_)) => unreachable!(),
    };
    let value = &key.key;
    let main = match key.set {
        SetId::ClusterIps => address(value, 0),
        SetId::Hairpin => format!("{} {}", address(value, 0), port(value, 3)),
        SetId::LbAllow => {
            let end = key.end.as_ref().unwrap();
            format!("{}:{} {}-{}", address(value, 0), port(value, 2), address(value, 3), address(end, 3))
        }
        SetId::Ep => format!("{}:{} #{}", address(value, 0), port(value, 2), number(value, 3)),
        _ => format!("{}:{}", address(value, 0), port(value, 2)),
    };
    format!("{name} {main}{data}")
}

fn balanced(policy: &str) -> Json {
    json!({"type": "LoadBalancer", "clusterIP": "10.96.0.10", "externalTrafficPolicy": policy,
           "ports": [{"port": 80, "nodePort": 30080}]})
}

#[test]
fn a_cluster_address_is_one_dispatch_and_its_list() {
    let service = facts(json!({"clusterIP": "10.96.0.10", "ports": [{"port": 80}]}), json!([]));
    assert_eq!(
        render(&service, &[1, 20], &[]),
        [
            "svc 10.96.0.10:80 -> pick-2",
            "ep 10.96.0.10:80 #0 -> 10.244.0.1:8080",
            "ep 10.96.0.10:80 #1 -> 10.244.0.20:8080",
            "cluster-ips 10.96.0.10",
            "hairpin 10.244.0.1 8080",
        ]
    );
    assert_eq!(render(&service, &[], &[]), ["svc 10.96.0.10:80 -> refuse", "cluster-ips 10.96.0.10"]);
}

#[test]
fn policy_local_gives_outside_clients_a_list_of_their_own() {
    let service = facts(balanced("Local"), json!([]));
    let node_port =
        |lines: Vec<String>| -> Vec<String> { lines.into_iter().filter(|line| line.contains(":30080")).collect() };
    assert_eq!(
        node_port(render(&service, &[1, 20], &[1])),
        [
            "svc 0.0.0.0:30080 -> etp",
            "svc-in 0.0.0.0:30080 -> pick-2",
            "svc-out 0.0.0.0:30080 -> pick-1-local",
            "ep 0.0.0.0:30080 #0 -> 10.244.0.1:8080",
            "ep 0.0.0.0:30080 #32768 -> 10.244.0.1:8080",
            "ep 0.0.0.0:30080 #1 -> 10.244.0.20:8080",
            "masq-host 0.0.0.0:30080",
        ]
    );
    assert_eq!(
        node_port(render(&service, &[20], &[])),
        [
            "svc 0.0.0.0:30080 -> etp",
            "svc-in 0.0.0.0:30080 -> pick-1",
            "svc-out 0.0.0.0:30080 -> drop",
            "ep 0.0.0.0:30080 #0 -> 10.244.0.20:8080",
            "masq-host 0.0.0.0:30080",
        ]
    );
    assert_eq!(node_port(render(&service, &[], &[])), ["svc 0.0.0.0:30080 -> refuse", "masq-host 0.0.0.0:30080"]);
}

#[test]
fn source_ranges_guard_the_balancer_address_only() {
    let mut spec = balanced("Cluster");
    spec["loadBalancerSourceRanges"] = json!(["192.0.2.0/25", "192.0.2.128/25", " 172.30.0.0/24"]);
    let lines = render(&facts(spec.clone(), json!([{"ip": "203.0.113.7"}])), &[1], &[1]);
    let with = |text: &str| -> Vec<&str> { lines.iter().map(String::as_str).filter(|l| l.contains(text)).collect() };
    assert_eq!(
        with("203.0.113.7:80"),
        [
            "svc 203.0.113.7:80 -> guard",
            "svc-in 203.0.113.7:80 -> pick-1",
            "ep 203.0.113.7:80 #0 -> 10.244.0.1:8080",
            "masq-always 203.0.113.7:80",
            // A node may use it, so the balancer's own address may too.
            "lb-allow 203.0.113.7:80 172.30.0.0-172.30.0.255",
            "lb-allow 203.0.113.7:80 192.0.2.0-192.0.2.255",
            "lb-allow 203.0.113.7:80 203.0.113.7-203.0.113.7",
        ]
    );
    assert_eq!(with("svc 0.0.0.0:30080"), ["svc 0.0.0.0:30080 -> pick-1"]);
    spec["loadBalancerSourceRanges"] = json!(["192.0.2.0/24", "0.0.0.0/0"]);
    let lines = render(&facts(spec, json!([{"ip": "203.0.113.7"}])), &[1], &[1]);
    assert!(lines.contains(&"svc 203.0.113.7:80 -> pick-1".to_owned()), "everybody is no restriction: {lines:?}");
}

#[test]
fn balancer_addresses_in_proxy_mode_are_left_alone() {
    let ingress = json!([{"ip": "203.0.113.7", "ipMode": "Proxy"}, {"ip": "203.0.113.8", "ipMode": "VIP"}]);
    let lines = render(&facts(balanced("Cluster"), ingress), &[1], &[]);
    assert!(lines.iter().all(|line| !line.contains("203.0.113.7")), "{lines:?}");
    assert!(lines.contains(&"svc 203.0.113.8:80 -> pick-1".to_owned()));
}

#[test]
fn internal_policy_local_drops_where_there_are_only_others() {
    let mut spec = balanced("Cluster");
    spec["internalTrafficPolicy"] = json!("Local");
    let service = facts(spec, json!([]));
    for (main, local, cluster, node_port) in
        [(&[1, 20][..], &[1][..], "pick-1", "pick-2"), (&[20], &[], "drop", "pick-1"), (&[], &[], "refuse", "refuse")]
    {
        let lines = render(&service, main, local);
        assert!(lines.contains(&format!("svc 10.96.0.10:80 -> {cluster}")), "{lines:?}");
        assert!(lines.contains(&format!("svc 0.0.0.0:30080 -> {node_port}")), "{lines:?}");
    }
}

#[test]
fn affinity_remembers_ids_that_are_the_same_after_a_restart() {
    let mut spec = balanced("Local");
    spec["sessionAffinity"] = json!("ClientIP");
    let lines = render(&facts(spec, json!([])), &[1, 20], &[1]);
    for expected in [
        "svc 10.96.0.10:80 -> stick-10800s-2",
        "svc-out 0.0.0.0:30080 -> stick-10800s-1-local",
        "aff-ep 10.96.0.10:80 -> 10.244.0.20:8080",
        "aff-ep-local 0.0.0.0:30080 -> 10.244.0.1:8080",
    ] {
        assert!(lines.contains(&expected.to_owned()), "{expected}: {lines:#?}");
    }
    let list: Vec<SocketAddr> = (1..=200).map(endpoint).collect();
    let ids = endpoint_ids(&list);
    let distinct: BTreeSet<u32> = ids.values().copied().collect();
    assert_eq!(distinct.len(), 200);
    assert!(!distinct.contains(&0));
    assert_eq!(endpoint_ids(&list[50..60])[&list[55]], ids[&list[55]]);
}

#[test]
fn headless_services_and_aliases_are_nothing() {
    for spec in [json!({"clusterIP": "None"}), json!({"type": "ExternalName", "externalName": "x"}), json!({})] {
        let service: Service = serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": spec})).unwrap();
        assert_eq!(ServiceFacts::of(&service), None);
    }
}
