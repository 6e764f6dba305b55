//! Rows of Services, Endpoints, EndpointSlices, ServiceCIDRs, IPAddresses and NetworkPolicies.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{age, first_few, name, or_none};
use crate::json::{at, int, list, text};
use crate::scale::selector_text;

/// Endpoints shown before `+ N more...`.
const SHOWN: usize = 3;

pub(super) fn service(service: &Value, now: Timestamp) -> Vec<Value> {
    let kind = text(service, "spec.type");
    let cluster_ip = match text(service, "spec.clusterIP") {
        "" => list(service, "spec.clusterIPs").first().and_then(Value::as_str).unwrap_or(""),
        ip => ip,
    };
    let selector = serde_json::json!({"matchLabels": at(service, "spec.selector")});
    vec![
        name(service),
        kind.into(),
        or_none(cluster_ip, "<none>").into(),
        external_ip(service, kind).into(),
        or_none(&service_ports(service), "<none>").into(),
        age(service, now),
        or_none(&selector_text(&selector), "<none>").into(),
    ]
}

fn external_ip(service: &Value, kind: &str) -> String {
    let external: Vec<&str> = list(service, "spec.externalIPs").iter().filter_map(Value::as_str).collect();
    match kind {
        "ExternalName" => text(service, "spec.externalName").to_string(),
        "LoadBalancer" => {
            let given: BTreeSet<&str> = list(service, "status.loadBalancer.ingress")
                .iter()
                .map(|ingress| or_none(text(ingress, "ip"), text(ingress, "hostname")))
                .filter(|address| !address.is_empty())
                .collect();
            let all: Vec<&str> = given.into_iter().chain(external).collect();
            if all.is_empty() { "<pending>".to_string() } else { all.join(",") }
        }
        _ if external.is_empty() => "<none>".to_string(),
        _ => external.join(","),
    }
}

fn service_ports(service: &Value) -> String {
    let ports = list(service, "spec.ports").iter().map(|port| {
        let (number, protocol) = (int(port, "port").unwrap_or(0), text(port, "protocol"));
        match int(port, "nodePort") {
            Some(node_port) if node_port > 0 => format!("{number}:{node_port}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    });
    ports.collect::<Vec<_>>().join(",")
}

pub(super) fn network_policy(policy: &Value, now: Timestamp) -> Vec<Value> {
    let selector = at(policy, "spec.podSelector").cloned().unwrap_or_default();
    vec![name(policy), or_none(&selector_text(&selector), "<none>").into(), age(policy, now)]
}

pub(super) fn endpoints(endpoints: &Value, now: Timestamp) -> Vec<Value> {
    let mut all = Vec::new();
    for subset in list(endpoints, "subsets") {
        let addresses = list(subset, "addresses").iter().map(|address| text(address, "ip"));
        let ports = list(subset, "ports");
        if ports.is_empty() {
            all.extend(addresses.map(str::to_string));
            continue;
        }
        let addresses: Vec<&str> = addresses.collect();
        for port in ports {
            let number = int(port, "port").unwrap_or(0);
            all.extend(addresses.iter().map(|address| match address.contains(':') {
                true => format!("[{address}]:{number}"),
                false => format!("{address}:{number}"),
            }));
        }
    }
    let none = if list(endpoints, "subsets").is_empty() { "<none>" } else { "" };
    vec![name(endpoints), first_few(all, SHOWN, none).into(), age(endpoints, now)]
}

pub(super) fn endpoint_slice(slice: &Value, now: Timestamp) -> Vec<Value> {
    let addresses = list(slice, "endpoints")
        .iter()
        .flat_map(|endpoint| list(endpoint, "addresses"))
        .filter_map(|address| address.as_str().map(str::to_string))
        .collect::<Vec<_>>();
    vec![
        name(slice),
        text(slice, "addressType").into(),
        slice_ports(slice).into(),
        first_few(addresses, SHOWN, "<unset>").into(),
        age(slice, now),
    ]
}

fn slice_ports(slice: &Value) -> String {
    let ports = list(slice, "ports").iter().map(|port| match int(port, "port") {
        Some(number) => number.to_string(),
        None => at(port, "name").and_then(Value::as_str).unwrap_or("*").to_string(),
    });
    first_few(ports.collect(), SHOWN, "<unset>")
}

pub(super) fn service_cidr(cidr: &Value, now: Timestamp) -> Vec<Value> {
    let cidrs: Vec<&str> = list(cidr, "spec.cidrs").iter().filter_map(Value::as_str).collect();
    vec![name(cidr), cidrs.join(",").into(), age(cidr, now)]
}

pub(super) fn ip_address(address: &Value, now: Timestamp) -> Vec<Value> {
    let parent = match at(address, "spec.parentRef") {
        None => String::new(),
        Some(parent) => {
            let resource = non_empty(&[text(parent, "resource"), text(parent, "group")]).join(".");
            non_empty(&[&resource, text(parent, "namespace"), text(parent, "name")]).join("/")
        }
    };
    vec![name(address), or_none(&parent, "<none>").into(), age(address, now)]
}

fn non_empty<'a>(parts: &[&'a str]) -> Vec<&'a str> {
    parts.iter().copied().filter(|part| !part.is_empty()).collect()
}
