//! Rules of the small kinds: Node, ConfigMap, Secret, Lease, ServiceCIDR, IPAddress.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::names;
use super::report::Report;
use crate::json::{at, entries, flag, int, list, same, text};

const IMMUTABLE: &str = "field is immutable";

/// All values of a ConfigMap or Secret together.
const DATA_MAX: usize = 1024 * 1024;

pub(super) fn node(report: &mut Report, node: &Value) {
    let cidrs = list(node, "spec.podCIDRs");
    for (index, cidr) in cidrs.iter().enumerate() {
        report.check(&format!("spec.podCIDRs[{index}]"), cidr.as_str().unwrap_or(""), names::cidr);
    }
    let single = text(node, "spec.podCIDR");
    if !single.is_empty() && cidrs.first().is_some_and(|first| first != single) {
        report.invalid("spec.podCIDRs", cidrs.to_vec(), "first value must match `podCIDR`");
    }
    for (index, taint) in list(node, "spec.taints").iter().enumerate() {
        let path = format!("spec.taints[{index}]");
        report.check(&format!("{path}.key"), text(taint, "key"), names::qualified);
        report.check(&format!("{path}.value"), text(taint, "value"), names::label_value);
        let effects = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
        report.needs_one_of(&format!("{path}.effect"), text(taint, "effect"), effects);
    }
}

/// The range of a node is given once; pods hold addresses in it.
pub(super) fn node_update(report: &mut Report, new: &Value, old: &Value) {
    for (key, name) in [("podCIDRs", "podCIDR"), ("providerID", "providerID")] {
        let path = format!("spec.{key}");
        let was = at(old, &path);
        if !same(was, None) && !same(at(new, &path), was) {
            report.forbidden(path, &format!("node updates may not change {name} except from \"\" to valid"));
        }
    }
}

pub(super) fn config_map(report: &mut Report, map: &Value) {
    let binary: Vec<&String> = entries(map, "binaryData").map(|(key, _)| key).collect();
    for (key, _) in entries(map, "data").filter(|(key, _)| binary.contains(key)) {
        report.invalid(format!("data[{key}]"), key.as_str(), "duplicate of key present in binaryData");
    }
    data(report, map, &["data", "binaryData"]);
}

pub(super) fn config_map_update(report: &mut Report, new: &Value, old: &Value) {
    frozen(report, new, old, &["data", "binaryData"]);
}

pub(super) fn secret(report: &mut Report, secret: &Value) {
    data(report, secret, &["data"]);
    let required: &[&str] = match text(secret, "type") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    for key in required {
        if !entries(secret, "data").any(|(have, _)| have == key) {
            report.required(format!("data[{key}]"), "");
        }
    }
}

pub(super) fn secret_update(report: &mut Report, new: &Value, old: &Value) {
    frozen(report, new, old, &["data"]);
    immutable(report, new, old, "type");
}

/// Keys and the total size of maps of data.
fn data(report: &mut Report, object: &Value, maps: &[&str]) {
    let mut size = 0;
    for map in maps {
        for (key, value) in entries(object, map) {
            report.check(&format!("{map}[{key}]"), key, names::config_key);
            let length = value.as_str().map_or(0, str::len);
            size += if *map == "data" && maps.len() == 2 { length } else { length / 4 * 3 };
        }
    }
    if size > DATA_MAX {
        report.too_long(maps[0], DATA_MAX);
    }
}

/// An object marked immutable keeps its data, and the mark.
fn frozen(report: &mut Report, new: &Value, old: &Value, maps: &[&str]) {
    if !flag(old, "immutable") {
        return;
    }
    if !flag(new, "immutable") {
        report.forbidden("immutable", "field is immutable when `immutable` is set");
    }
    for map in maps {
        if !same(at(new, map), at(old, map)) {
            report.forbidden(*map, "field is immutable when `immutable` is set");
        }
    }
}

/// A field that never changes.
pub(super) fn immutable(report: &mut Report, new: &Value, old: &Value, path: &str) {
    if !same(at(new, path), at(old, path)) {
        report.invalid(path, at(new, path).cloned().unwrap_or(Value::Null), IMMUTABLE);
    }
}

pub(super) fn lease(report: &mut Report, lease: &Value) {
    if let Some(seconds) = int(lease, "spec.leaseDurationSeconds").filter(|n| *n <= 0) {
        report.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0");
    }
    if let Some(spec) = at(lease, "spec") {
        report.not_negative("spec", spec, "leaseTransitions");
    }
    // An empty holder is how a leader hands over.
}

pub(super) fn service_cidr(report: &mut Report, object: &Value) {
    let cidrs = list(object, "spec.cidrs");
    match cidrs.len() {
        0 => return report.required("spec.cidrs", "at least one CIDR required"),
        1 | 2 => {}
        // Upstream prints its internal struct here.
        _ => return report.invalid("spec.cidrs", json!({"CIDRs": cidrs}), "may only hold up to 2 values"),
    }
    for (index, cidr) in cidrs.iter().enumerate() {
        report.check(&format!("spec.cidrs[{index}]"), cidr.as_str().unwrap_or(""), names::canonical_cidr);
    }
    let nets: Vec<IpNet> = cidrs.iter().filter_map(|cidr| cidr.as_str()?.parse().ok()).collect();
    if let [one, two] = nets.as_slice()
        && one.addr().is_ipv4() == two.addr().is_ipv4()
    {
        let why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        report.invalid("spec.cidrs", cidrs.to_vec(), why);
    }
}

/// The ranges stay; a second family may be added.
pub(super) fn service_cidr_update(report: &mut Report, new: &Value, old: &Value) {
    let (has, had) = (list(new, "spec.cidrs"), list(old, "spec.cidrs"));
    match (had, has) {
        ([was], [is, _]) => {
            if was != is {
                report.invalid("spec.cidrs[0]", is.clone(), IMMUTABLE);
            }
            service_cidr(report, new);
        }
        _ if had.len() == has.len() => {
            for (index, (_, is)) in had.iter().zip(has).enumerate().filter(|(_, (was, is))| was != is) {
                report.invalid(format!("spec.cidrs[{index}]"), is.clone(), IMMUTABLE);
            }
        }
        _ => report.invalid("spec.cidrs", has.to_vec(), IMMUTABLE),
    }
}

/// What holds an address stays.
pub(super) fn ip_address_update(report: &mut Report, new: &Value, old: &Value) {
    let parent = at(new, "spec.parentRef");
    if !same(parent, at(old, "spec.parentRef")) {
        // Printed as upstream's internal struct.
        let fields = ["Group", "Resource", "Namespace", "Name"];
        let shown = fields.map(|name| format!("\"{name}\":{:?}", parent.map_or("", |p| text(p, &name.to_lowercase()))));
        report.invalid_text("spec.parentRef", &format!("{{{}}}", shown.join(",")), IMMUTABLE);
    }
}

pub(super) fn ip_address(report: &mut Report, object: &Value) {
    let Some(parent) = at(object, "spec.parentRef") else {
        return report.required("spec.parentRef", "");
    };
    if !text(parent, "group").is_empty() {
        report.check("spec.parentRef.group", text(parent, "group"), names::subdomain);
    }
    for key in ["resource", "name"] {
        let path = format!("spec.parentRef.{key}");
        match text(parent, key) {
            "" => report.required(path, ""),
            value => report.check(&path, value, names::path_segment),
        }
    }
    report.check("spec.parentRef.namespace", text(parent, "namespace"), names::path_segment);
}
