//! Rules of Endpoints and EndpointSlices.

use serde_json::Value;

use super::names;
use super::report::Report;
use crate::json::{at, int, list, text};

const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;

/// Endpoints.
pub(super) fn endpoints(report: &mut Report, object: &Value) {
    for (index, subset) in list(object, "subsets").iter().enumerate() {
        let path = format!("subsets[{index}]");
        let (ready, not_ready) = (list(subset, "addresses"), list(subset, "notReadyAddresses"));
        if ready.is_empty() && not_ready.is_empty() {
            report.required(path.clone(), "must specify `addresses` or `notReadyAddresses`");
        }
        for (key, addresses) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
            for (at, address) in addresses.iter().enumerate() {
                endpoint_address(report, &format!("{path}.{key}[{at}]"), address);
            }
        }
        let ports = list(subset, "ports");
        for (at, port) in ports.iter().enumerate() {
            let path = format!("{path}.ports[{at}]");
            match text(port, "name") {
                "" if ports.len() > 1 => report.required(format!("{path}.name"), ""),
                "" => {}
                name => report.check(&format!("{path}.name"), name, names::label),
            }
            report.port(format!("{path}.port"), int(port, "port").unwrap_or(0));
            report.needs_one_of(&format!("{path}.protocol"), text(port, "protocol"), PROTOCOLS);
        }
    }
}

fn endpoint_address(report: &mut Report, path: &str, address: &Value) {
    report.check(&format!("{path}.ip"), text(address, "ip"), names::endpoint_ip);
    if !text(address, "hostname").is_empty() {
        report.check(&format!("{path}.hostname"), text(address, "hostname"), names::label);
    }
    if let Some(node) = at(address, "nodeName").and_then(Value::as_str) {
        report.check(&format!("{path}.nodeName"), node, names::subdomain);
    }
}

/// An EndpointSlice.
pub(super) fn slice(report: &mut Report, slice: &Value) {
    let family = text(slice, "addressType");
    report.needs_one_of("addressType", family, &["FQDN", "IPv4", "IPv6"]);
    let endpoints = list(slice, "endpoints");
    if endpoints.len() > MAX_ENDPOINTS {
        report.too_many("endpoints", endpoints.len(), MAX_ENDPOINTS);
        return;
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        slice_endpoint(report, &format!("endpoints[{index}]"), endpoint, family);
    }
    slice_ports(report, slice);
}

/// What may not change in a slice.
pub(super) fn slice_update(report: &mut Report, new: &Value, old: &Value) {
    if text(new, "addressType") != text(old, "addressType") {
        report.invalid("addressType", text(new, "addressType"), "field is immutable");
    }
}

fn slice_endpoint(report: &mut Report, path: &str, endpoint: &Value, family: &str) {
    let addresses = list(endpoint, "addresses");
    if addresses.is_empty() {
        report.required(format!("{path}.addresses"), "must contain at least 1 address");
    } else if addresses.len() > MAX_ADDRESSES {
        report.too_many(format!("{path}.addresses"), addresses.len(), MAX_ADDRESSES);
    }
    for (index, address) in addresses.iter().enumerate() {
        let field = format!("{path}.addresses[{index}]");
        let address = address.as_str().unwrap_or("");
        let right_family = match family {
            "IPv4" => address.parse::<std::net::Ipv4Addr>().is_ok(),
            "IPv6" => address.parse::<std::net::Ipv6Addr>().is_ok(),
            _ => true,
        };
        if family == "FQDN" {
            report.check(&field, address, names::subdomain);
        } else if !right_family {
            report.invalid(field, address, &format!("must be a valid {family} address"));
        } else {
            report.check(&field, address, names::endpoint_ip);
        }
    }
    if let Some(node) = at(endpoint, "nodeName").and_then(Value::as_str) {
        report.check(&format!("{path}.nodeName"), node, names::subdomain);
    }
    if let Some(hostname) = at(endpoint, "hostname").and_then(Value::as_str) {
        report.check(&format!("{path}.hostname"), hostname, names::label);
    }
}

fn slice_ports(report: &mut Report, slice: &Value) {
    let ports = list(slice, "ports");
    if ports.len() > MAX_PORTS {
        report.too_many("ports", ports.len(), MAX_PORTS);
        return;
    }
    let mut seen: Vec<&str> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            report.check(&format!("{path}.name"), name, names::label);
        }
        if seen.contains(&name) {
            report.duplicate(format!("{path}.name"), name);
        }
        seen.push(name);
        report.needs_one_of(&format!("{path}.protocol"), text(port, "protocol"), PROTOCOLS);
        if let Some(number) = int(port, "port") {
            report.port(format!("{path}.port"), number);
        }
        if let Some(protocol) = at(port, "appProtocol").and_then(Value::as_str) {
            report.check(&format!("{path}.appProtocol"), protocol, names::qualified);
        }
    }
}
