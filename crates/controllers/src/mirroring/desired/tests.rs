#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn endpoints(subsets: &Value) -> Endpoints {
    serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": "db"}, "subsets": subsets})).unwrap()
}

fn list(addresses: &str) -> Value {
    addresses.split_whitespace().map(|ip| json!({"ip": ip})).collect()
}

/// A subset with these addresses on port 80.
fn subset(ready: &str, rest: &str) -> Value {
    json!({"addresses": list(ready), "notReadyAddresses": list(rest), "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]})
}

/// A line for each slice: `family ports: addresses`, with `!` before those that are not ready.
fn lines(desired: &Desired) -> Vec<String> {
    let line = |((family, ports), members): (&(Family, PortSet), &Members)| {
        let ports: Vec<_> = ports.iter().map(|port| port.number.unwrap().to_string()).collect();
        let text = |endpoint: &Endpoint| {
            let ready = endpoint.conditions.as_ref().unwrap().ready.unwrap();
            format!("{}{}", if ready { "" } else { "!" }, endpoint.addresses[0])
        };
        format!("{family} {}: {}", ports.join(","), members.values().map(text).collect::<Vec<_>>().join(" "))
    };
    desired.slices.iter().map(line).collect()
}

/// Story, subsets, the slices, invalid addresses, skipped addresses.
type Row = (&'static str, Value, &'static [&'static str], usize, usize);

#[test]
fn slices_of_an_endpoints() {
    let rows: [Row; 11] = [
        ("none", json!([]), &[], 0, 0),
        ("ready and not", json!([subset("10.0.0.1", "10.0.0.2")]), &["IPv4 80: 10.0.0.1 !10.0.0.2"], 0, 0),
        (
            "both families",
            json!([subset("10.0.0.1 fd00::1", "fd00::2")]),
            &["IPv4 80: 10.0.0.1", "IPv6 80: fd00::1 !fd00::2"],
            0,
            0,
        ),
        (
            "split subsets are one",
            json!([subset("10.0.0.2", ""), subset("10.0.0.1", "")]),
            &["IPv4 80: 10.0.0.1 10.0.0.2"],
            0,
            0,
        ),
        ("not ready wins", json!([subset("10.0.0.1", ""), subset("", "10.0.0.1")]), &["IPv4 80: !10.0.0.1"], 0, 0),
        ("without ports", json!([{"addresses": list("10.0.0.1")}]), &["IPv4 : 10.0.0.1"], 0, 0),
        (
            "two sets of ports",
            json!([subset("10.0.0.1", ""), {"addresses": list("10.0.0.2"), "ports": [{"port": 81}]}]),
            &["IPv4 81: 10.0.0.2", "IPv4 80: 10.0.0.1"],
            0,
            0,
        ),
        ("irregular", json!([subset("010.000.0.1 ::ffff:10.0.0.2", "")]), &["IPv4 80: 10.0.0.1 10.0.0.2"], 0, 0),
        ("the same twice", json!([subset("10.0.0.1 10.0.0.01", "")]), &["IPv4 80: 10.0.0.1"], 0, 0),
        ("invalid", json!([subset("10.0.0.1 x 10.0.0", "1.2.3.256")]), &["IPv4 80: 10.0.0.1"], 3, 3),
        (
            "too many: ready ones first, in order; invalid ones take no room",
            json!([subset("10.0.0.4 10.0.0.0.1 10.0.0.3", "10.0.0.2 10.0.0.1 bad")]),
            &["IPv4 80: !10.0.0.1 10.0.0.3 10.0.0.4"],
            1,
            3,
        ),
    ];
    for (story, subsets, expected, invalid, skipped) in rows {
        let desired = desired(&endpoints(&subsets), 3);
        assert_eq!(lines(&desired), expected, "{story}");
        assert_eq!((desired.invalid, desired.skipped), (invalid, skipped), "{story}");
    }
}

#[test]
fn an_endpoint_says_what_its_address_says() {
    let target = json!({"kind": "Pod", "namespace": "shop", "name": "db-0", "uid": "u", "resourceVersion": "5"});
    let address = json!({"ip": "10.0.0.1", "hostname": "db-0", "nodeName": "node-1", "targetRef": target});
    let desired = desired(&endpoints(&json!([{"addresses": [address], "ports": [{"port": 80}]}])), 10);
    let slice: Vec<_> = desired.slices.into_values().flat_map(Members::into_values).collect();
    let expected = json!([{
        "addresses": ["10.0.0.1"], "conditions": {"ready": true}, "hostname": "db-0", "nodeName": "node-1",
        "targetRef": target,
    }]);
    assert_eq!(serde_json::to_value(slice).unwrap(), expected);
}

#[test]
fn addresses_are_read_as_the_api_reads_them() {
    let rows = [
        ("10.0.0.1", Some("10.0.0.1")),
        ("010.0.000.09", Some("10.0.0.9")),
        ("fd00::0001", Some("fd00::1")),
        ("::ffff:1.2.3.4", Some("1.2.3.4")),
        ("10.0.0", None),
        ("10.0.0.256", None),
        ("10.0..1", None),
        ("0.0.0.0", Some("0.0.0.0")),
        ("fe80::1%eth0", None),
        ("", None),
    ];
    for (text, expected) in rows {
        assert_eq!(parse(text).map(|ip| ip.to_string()).as_deref(), expected, "{text}");
    }
}
