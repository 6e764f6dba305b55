//! Rules of NetworkPolicies. They are kept and served; nothing in this crate enforces them.
//! Upstream: `pkg/apis/networking/validation`.

use ipnet::IpNet;
use serde_json::Value;

use super::{meta, names, report::Report};
use crate::json::{at, int, list, text};

const PROTOCOLS: &[&str] = &["TCP", "UDP", "SCTP"];

pub(super) fn network_policy(report: &mut Report, policy: &Value) {
    let Some(spec) = at(policy, "spec") else { return };
    if let Some(selector) = at(spec, "podSelector") {
        meta::selector(report, "spec.podSelector", selector);
    }
    for (direction, others) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in list(spec, direction).iter().enumerate() {
            let path = format!("spec.{direction}[{index}]");
            let ports = list(rule, "ports").iter().enumerate();
            ports.for_each(|(index, found)| port(report, &format!("{path}.ports[{index}]"), found));
            let peers = list(rule, others).iter().enumerate();
            peers.for_each(|(index, found)| peer(report, &format!("{path}.{others}[{index}]"), found));
        }
    }
    let types = list(spec, "policyTypes");
    if types.len() > 2 {
        report.invalid("spec.policyTypes", types.to_vec(), "may not specify more than two policyTypes");
    }
    for (index, found) in types.iter().enumerate() {
        let found = found.as_str().unwrap_or_default();
        report.one_of(&format!("spec.policyTypes[{index}]"), found, &["Ingress", "Egress"]);
    }
}

fn port(report: &mut Report, path: &str, port: &Value) {
    report.one_of(&format!("{path}.protocol"), text(port, "protocol"), PROTOCOLS);
    let number = int(port, "port");
    let name = text(port, "port");
    match number {
        Some(number) if !(1..=65535).contains(&number) => {
            report.invalid(format!("{path}.port"), number, "must be between 1 and 65535, inclusive");
        }
        None if !name.is_empty() => report.check(&format!("{path}.port"), name, names::port_name),
        _ => {}
    }
    let Some(end) = int(port, "endPort") else { return };
    let path = format!("{path}.endPort");
    match number {
        None if name.is_empty() => report.required(path, "must be specified when `endPort` is specified"),
        None => report.invalid(path, end, "may not be specified when `port` is non-numeric"),
        Some(number) if end < number => report.invalid(path, end, "must be greater than or equal to `port`"),
        Some(_) if !(1..=65535).contains(&end) => {
            report.invalid(path, end, "must be between 1 and 65535, inclusive");
        }
        Some(_) => {}
    }
}

fn peer(report: &mut Report, path: &str, peer: &Value) {
    let mut kinds = 0;
    for key in ["podSelector", "namespaceSelector"] {
        if let Some(selector) = at(peer, key) {
            kinds += 1;
            meta::selector(report, &format!("{path}.{key}"), selector);
        }
    }
    match (at(peer, "ipBlock"), kinds) {
        (Some(_), 1..) => report.forbidden(path, "may not specify both ipBlock and another peer"),
        (Some(block), _) => ip_block(report, &format!("{path}.ipBlock"), block),
        (None, 0) => report.required(path, "must specify a peer"),
        (None, _) => {}
    }
}

fn ip_block(report: &mut Report, path: &str, block: &Value) {
    let cidr = text(block, "cidr");
    if cidr.is_empty() {
        return report.required(format!("{path}.cidr"), "");
    }
    report.check(&format!("{path}.cidr"), cidr, names::cidr);
    let Ok(whole) = cidr.parse::<IpNet>() else { return };
    for (index, except) in list(block, "except").iter().enumerate() {
        let (path, except) = (format!("{path}.except[{index}]"), except.as_str().unwrap_or_default());
        report.check(&path, except, names::cidr);
        let inside = except.parse::<IpNet>().is_ok_and(|part| whole.contains(&part) && part != whole);
        if !inside {
            report.invalid(path, except, "must be a strict subset of `cidr`");
        }
    }
}
