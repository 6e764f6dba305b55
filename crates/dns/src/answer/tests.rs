#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use k8s_openapi::api::{
    core::v1::{Namespace, Service},
    discovery::v1::EndpointSlice,
};
use portolan_runtime::Change;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Index, Input};

/// A zone with everything that the tables below ask for.
struct Fixture {
    zone: Arc<Zone>,
    index: Index,
}

fn service(name: &str, spec: Value) -> Service {
    let object = json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

fn slice(name: &str, service: &str, ports: Value, endpoints: Value) -> EndpointSlice {
    serde_json::from_value(json!({
        "metadata": {
            "name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4", "ports": ports, "endpoints": endpoints,
    }))
    .unwrap()
}

fn namespaces() -> Vec<Namespace> {
    let named = |name| serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    ["default", "kube-system", "empty"].map(named).into()
}

fn services() -> Vec<Service> {
    let mut dns = service("kube-dns", json!({"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"]}));
    dns.metadata.namespace = Some("kube-system".into());
    vec![
        dns,
        service(
            "web",
            json!({"clusterIP": "10.96.1.1", "clusterIPs": ["10.96.1.1", "fd00::1"], "ports": [
                {"name": "http", "port": 80, "protocol": "TCP"},
                {"name": "quic", "port": 443, "protocol": "UDP"},
            ]}),
        ),
        service("plain", json!({"clusterIP": "10.96.1.2", "ports": [{"port": 80}]})),
        service("db", json!({"clusterIP": "None", "ports": [{"name": "sql", "port": 5432}]})),
        service("idle", json!({"clusterIP": "None"})),
        service("early", json!({"clusterIP": "None", "publishNotReadyAddresses": true, "ports": []})),
        service("away", json!({"type": "ExternalName", "externalName": "www.example.com"})),
        service("near", json!({"type": "ExternalName", "externalName": "web.default.svc.cluster.local."})),
        service("loop", json!({"type": "ExternalName", "externalName": "loop.default.svc.cluster.local"})),
        service("literal", json!({"type": "ExternalName", "externalName": "192.0.2.1"})),
    ]
}

fn slices() -> Vec<EndpointSlice> {
    vec![
        slice(
            "db-a",
            "db",
            json!([{"name": "sql", "port": 15432, "protocol": "TCP"}]),
            json!([
                {"addresses": ["10.244.1.5"], "hostname": "db-0", "conditions": {"ready": true}},
                {"addresses": ["10.244.1.6"]},
                {"addresses": ["10.244.1.7"], "conditions": {"ready": false}},
            ]),
        ),
        slice("early-a", "early", json!([]), json!([{"addresses": ["10.244.2.9"], "conditions": {"ready": false}}])),
    ]
}

impl Fixture {
    fn unsynced() -> Self {
        let nets = ["10.96.0.0/16", "10.244.0.0/16", "fd00::/108"];
        let nets = nets.map(|net| net.parse().unwrap()).into();
        let zone = Arc::new(Zone::new("cluster.local", nets, PodRecords::Insecure).unwrap());
        Self { index: Index::new(zone.clone()), zone }
    }

    fn new() -> Self {
        let mut fixture = Self::unsynced();
        fixture.index.apply(Input::Slice(Change::Reset(slices())));
        fixture.index.apply(Input::Service(Change::Reset(services())));
        fixture.index.apply(Input::Namespace(Change::Reset(namespaces())));
        fixture
    }

    fn ask(&self, name: &str, kind: RecordType) -> Outcome {
        answer(&self.zone, &Name::from_ascii(name).unwrap(), kind)
    }

    /// The answer on one line: code, answers sorted, `soa` if negative.
    fn line(&self, name: &str, kind: RecordType) -> String {
        let Outcome::Answer(reply) = self.ask(name, kind) else { return "forward".into() };
        let mut parts: Vec<String> = reply.answers.iter().map(|record| record.data.to_string()).collect();
        parts.sort();
        let code = match reply.code {
            ResponseCode::NoError => "ok",
            ResponseCode::NXDomain => "nx",
            ResponseCode::ServFail => "fail",
            _ => "other",
        };
        parts.insert(0, code.into());
        if let Some(record) = reply.authorities.first() {
            parts.push(format!("soa={}", record.name));
        }
        if let Some(name) = reply.chase {
            parts.push(format!("chase={name}"));
        }
        parts.join(" ")
    }
}

const SOA: &str = "soa=cluster.local.";

#[test]
fn names_of_the_cluster_domain() {
    use RecordType::{A, AAAA, ANY, CNAME, MX, NS, SRV, TXT};
    let fixture = Fixture::new();
    let web = "ok 10.96.1.1";
    let web_srv = "ok 0 100 80 web.default.svc.cluster.local.";
    let no_data = format!("ok {SOA}");
    let missing = format!("nx {SOA}");
    let cases: &[(&str, RecordType, &str)] = &[
        ("web.default.svc.cluster.local.", A, web),
        ("WEB.Default.svc.Cluster.LOCAL.", A, web),
        ("web.default.svc.cluster.local.", AAAA, "ok fd00::1"),
        ("web.default.svc.cluster.local.", ANY, "ok 10.96.1.1 fd00::1"),
        ("web.default.svc.cluster.local.", MX, &no_data),
        ("plain.default.svc.cluster.local.", A, "ok 10.96.1.2"),
        ("plain.default.svc.cluster.local.", AAAA, &no_data),
        ("_http._tcp.web.default.svc.cluster.local.", SRV, web_srv),
        ("_quic._udp.web.default.svc.cluster.local.", SRV, "ok 0 100 443 web.default.svc.cluster.local."),
        ("_http._udp.web.default.svc.cluster.local.", SRV, &missing),
        ("_http._tcp.web.default.svc.cluster.local.", A, &no_data),
        ("_tcp.web.default.svc.cluster.local.", SRV, &no_data),
        ("_tcp.plain.default.svc.cluster.local.", SRV, &missing),
        ("host.web.default.svc.cluster.local.", A, &missing),
        ("a.b.c.web.default.svc.cluster.local.", A, &missing),
        ("db.default.svc.cluster.local.", A, "ok 10.244.1.5 10.244.1.6"),
        ("db-0.db.default.svc.cluster.local.", A, "ok 10.244.1.5"),
        ("10-244-1-6.db.default.svc.cluster.local.", A, "ok 10.244.1.6"),
        ("10-244-1-5.db.default.svc.cluster.local.", A, &missing),
        ("10-244-1-7.db.default.svc.cluster.local.", A, &missing),
        (
            "_sql._tcp.db.default.svc.cluster.local.",
            SRV,
            "ok 0 50 15432 10-244-1-6.db.default.svc.cluster.local. 0 50 15432 db-0.db.default.svc.cluster.local.",
        ),
        ("idle.default.svc.cluster.local.", A, &missing),
        ("early.default.svc.cluster.local.", A, "ok 10.244.2.9"),
        ("away.default.svc.cluster.local.", A, "ok www.example.com. chase=www.example.com."),
        ("away.default.svc.cluster.local.", CNAME, "ok www.example.com."),
        ("near.default.svc.cluster.local.", A, "ok 10.96.1.1 web.default.svc.cluster.local."),
        ("literal.default.svc.cluster.local.", A, &no_data),
        ("gone.default.svc.cluster.local.", A, &missing),
        ("web.nowhere.svc.cluster.local.", A, &missing),
        ("default.svc.cluster.local.", A, &no_data),
        ("empty.svc.cluster.local.", A, &no_data),
        ("nowhere.svc.cluster.local.", A, &missing),
        ("svc.cluster.local.", A, &no_data),
        ("10-244-1-5.default.pod.cluster.local.", A, "ok 10.244.1.5"),
        ("fd00--5.default.pod.cluster.local.", AAAA, "ok fd00::5"),
        ("10-244-1-5.default.pod.cluster.local.", AAAA, &no_data),
        ("10-244-1-5.nowhere.pod.cluster.local.", A, &missing),
        ("10-244-1.default.pod.cluster.local.", A, &missing),
        ("default.pod.cluster.local.", A, &no_data),
        ("dns-version.cluster.local.", TXT, "ok 1.1.0"),
        ("dns-version.cluster.local.", A, &no_data),
        ("cluster.local.", NS, "ok kube-dns.kube-system.svc.cluster.local."),
        ("cluster.local.", A, &no_data),
        ("web.default.cluster.local.", A, &missing),
        // What a pod's search list makes of an outside name: refused here, at once.
        ("example.com.default.svc.cluster.local.", A, &missing),
        ("example.com.svc.cluster.local.", A, &missing),
        ("example.com.cluster.local.", A, &missing),
        ("example.com.", A, "forward"),
        ("local.", A, "forward"),
        (".", NS, "forward"),
    ];
    for (name, kind, expected) in cases {
        assert_eq!(fixture.line(name, *kind), *expected, "{name} {kind}");
    }
}

#[test]
fn reverse_names() {
    use RecordType::{A, NS, PTR, SOA};
    let fixture = Fixture::new();
    let cases: &[(&str, RecordType, &str)] = &[
        ("1.1.96.10.in-addr.arpa.", PTR, "ok web.default.svc.cluster.local."),
        ("1.1.96.10.in-addr.arpa.", A, "ok soa=96.10.in-addr.arpa."),
        ("5.1.244.10.in-addr.arpa.", PTR, "ok db-0.db.default.svc.cluster.local."),
        ("6.1.244.10.in-addr.arpa.", PTR, "ok 10-244-1-6.db.default.svc.cluster.local."),
        ("7.1.244.10.in-addr.arpa.", PTR, "nx soa=244.10.in-addr.arpa."),
        ("99.1.96.10.in-addr.arpa.", PTR, "nx soa=96.10.in-addr.arpa."),
        ("01.1.96.10.in-addr.arpa.", PTR, "nx soa=96.10.in-addr.arpa."),
        ("1.96.10.in-addr.arpa.", PTR, "ok soa=96.10.in-addr.arpa."),
        ("96.10.in-addr.arpa.", NS, "ok kube-dns.kube-system.svc.cluster.local."),
        ("10.in-addr.arpa.", SOA, "forward"),
        ("1.2.0.192.in-addr.arpa.", PTR, "forward"),
        ("x.1.96.10.in-addr.arpa.", PTR, "forward"),
        ("1.1.1.96.10.in-addr.arpa.", PTR, "forward"),
        ("in-addr.arpa.", PTR, "forward"),
    ];
    for (name, kind, expected) in cases {
        assert_eq!(fixture.line(name, *kind), *expected, "{name} {kind}");
    }
    let v6 = Name::from("fd00::1".parse::<IpAddr>().unwrap()).to_string();
    assert_eq!(fixture.line(&v6, PTR), "ok web.default.svc.cluster.local.");
}

#[test]
fn srv_and_ns_answers_bring_the_addresses_of_their_targets() {
    let fixture = Fixture::new();
    let cases = [
        ("_sql._tcp.db.default.svc.cluster.local.", RecordType::SRV, vec!["10.244.1.5", "10.244.1.6"]),
        ("_http._tcp.web.default.svc.cluster.local.", RecordType::SRV, vec!["10.96.1.1", "fd00::1"]),
        ("cluster.local.", RecordType::NS, vec!["10.96.0.10"]),
    ];
    for (name, kind, expected) in cases {
        let Outcome::Answer(reply) = fixture.ask(name, kind) else { panic!("{name} is ours") };
        let mut found: Vec<_> = reply.additionals.iter().map(|record| record.data.to_string()).collect();
        found.sort();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn negative_answers_may_be_remembered_for_five_seconds() {
    let Outcome::Answer(reply) = Fixture::new().ask("gone.default.svc.cluster.local.", RecordType::A) else {
        panic!("the name is ours")
    };
    let RData::SOA(soa) = &reply.authorities[0].data else { panic!("a negative answer has the SOA") };
    assert_eq!((reply.authorities[0].ttl, soa.minimum), (5, 5));
}

#[test]
fn an_alias_to_itself_ends() {
    let line = Fixture::new().line("loop.default.svc.cluster.local.", RecordType::A);
    assert!(line.starts_with("ok loop.default") && line.ends_with(SOA), "{line}");
}

#[test]
fn nothing_is_denied_before_every_watch_has_delivered() {
    let mut fixture = Fixture::unsynced();
    let name = "web.default.svc.cluster.local.";
    fixture.index.apply(Input::Service(Change::Reset(services())));
    fixture.index.apply(Input::Slice(Change::Reset(slices())));
    assert_eq!(fixture.line(name, RecordType::A), "fail");
    assert_eq!(fixture.line("99.1.96.10.in-addr.arpa.", RecordType::PTR), "fail");
    fixture.index.apply(Input::Namespace(Change::Reset(namespaces())));
    assert_eq!(fixture.line(name, RecordType::A), "ok 10.96.1.1");
}

#[test]
fn changes_are_seen_at_once_and_leave_nothing_behind() {
    let mut fixture = Fixture::new();
    let db = "db.default.svc.cluster.local.";
    let reverse = "5.1.244.10.in-addr.arpa.";
    let serial = fixture.zone.serial();

    fixture.index.apply(Input::Slice(Change::Apply(slices()[0].clone())));
    assert_eq!(fixture.zone.serial(), serial, "the same slice again changes nothing");

    let ready = json!([{"addresses": ["10.244.1.6"]}]);
    fixture.index.apply(Input::Slice(Change::Apply(slice("db-a", "db", json!([]), ready))));
    assert_eq!(fixture.line(db, RecordType::A), "ok 10.244.1.6");
    assert_eq!(fixture.line(reverse, RecordType::PTR), "nx soa=244.10.in-addr.arpa.");

    let moved = json!([{"addresses": ["10.244.1.8"]}]);
    fixture.index.apply(Input::Slice(Change::Apply(slice("db-a", "idle", json!([]), moved))));
    assert_eq!(fixture.line(db, RecordType::A), format!("nx {SOA}"));
    assert_eq!(fixture.line("idle.default.svc.cluster.local.", RecordType::A), "ok 10.244.1.8");

    fixture.index.apply(Input::Service(Change::Reset(Vec::new())));
    fixture.index.apply(Input::Slice(Change::Reset(Vec::new())));
    assert_eq!(fixture.line("web.default.svc.cluster.local.", RecordType::A), format!("nx {SOA}"));
    assert_eq!(fixture.line("1.1.96.10.in-addr.arpa.", RecordType::PTR), "nx soa=96.10.in-addr.arpa.");
}

#[test]
fn pod_names_can_be_switched_off() {
    let zone = Arc::new(Zone::new("cluster.local.", Vec::new(), PodRecords::Disabled).unwrap());
    let mut index = Index::new(zone.clone());
    index.apply(Input::Service(Change::Reset(services())));
    index.apply(Input::Slice(Change::Reset(Vec::new())));
    index.apply(Input::Namespace(Change::Reset(namespaces())));
    let fixture = Fixture { zone, index };
    let missing = format!("nx {SOA}");
    assert_eq!(fixture.line("10-244-1-5.default.pod.cluster.local.", RecordType::A), missing);
    // A known address is ours even without configured networks.
    assert_eq!(fixture.line("1.1.96.10.in-addr.arpa.", RecordType::PTR), "ok web.default.svc.cluster.local.");
    assert_eq!(fixture.line("2.2.96.10.in-addr.arpa.", RecordType::PTR), "forward");
}

#[test]
fn a_domain_that_is_no_name_is_refused() {
    for domain in ["", ".", "a..b", &"x".repeat(64)] {
        assert!(Zone::new(domain, Vec::new(), PodRecords::Disabled).is_err(), "{domain:?}");
    }
}

proptest! {
    #[test]
    fn any_name_gets_an_answer_without_panic(labels in proptest::collection::vec("[a-z0-9_-]{1,12}", 0..7), kind: u16) {
        let fixture = Fixture::new();
        let name = format!("{}.svc.cluster.local.", labels.join("."));
        if let Ok(name) = Name::from_ascii(name) {
            answer(&fixture.zone, &name, RecordType::from(kind));
        }
    }

    #[test]
    fn any_reverse_name_gets_an_answer_without_panic(labels in proptest::collection::vec("[0-9a-f]{1,3}", 0..34), v6: bool) {
        let fixture = Fixture::new();
        let suffix = if v6 { "ip6" } else { "in-addr" };
        if let Ok(name) = Name::from_ascii(format!("{}.{suffix}.arpa.", labels.join("."))) {
            answer(&fixture.zone, &name, RecordType::PTR);
        }
    }
}
