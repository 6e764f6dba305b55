//! Rules of Services.
//!
//! Upstream: `pkg/apis/core/validation/validation.go`, `ValidateService` and friends.

use serde_json::Value;

use super::report::Report;
use super::{meta, names};
use crate::defaults::is_external_service;
use crate::json::{at, int, list, same, text};
use crate::prepare::service::{has_cluster_ip, has_health_port, is_headless};

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const ONLY_LOAD_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
/// One day: longest client affinity, in seconds.
const AFFINITY_MAX: i64 = 86_400;

/// A new or changed Service. `old` is the stored one of an update: what it holds stays allowed.
pub(super) fn validate(report: &mut Report, service: &Value, old: Option<&Value>) {
    let Some(spec) = at(service, "spec") else {
        report.required("spec", "");
        return;
    };
    topology(report, service);
    kind(report, spec);
    ports(report, spec);
    meta::labels(report, "spec.selector", spec.get("selector"));
    affinity(report, spec);
    if has_cluster_ip(spec) {
        address_fields(report, spec, old.and_then(|old| at(old, "spec")));
    } else {
        no_addresses(report, spec);
    }
    external(report, spec, old);
    traffic(report, spec);
    source_range_annotation(report, service, old);
    load_balancer(report, spec);
    load_balancer_class(report, spec);
}

/// The two spellings of one annotation.
fn topology(report: &mut Report, service: &Value) {
    let annotation = |key: &str| at(service, "metadata.annotations").and_then(|all| all.get(key)?.as_str());
    if let (Some(mode), Some(hints)) = (annotation(TOPOLOGY_MODE), annotation(TOPOLOGY_HINTS))
        && mode != hints
    {
        let why = format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified");
        report.invalid(format!("metadata.annotations[{TOPOLOGY_MODE}]"), mode, &why);
    }
}

/// What `loadBalancerSourceRanges` was before it was a field. The field wins.
fn source_range_annotation(report: &mut Report, service: &Value, old: Option<&Value>) {
    let annotation =
        |service: &Value| at(service, "metadata.annotations").and_then(|all| all.get(SOURCE_RANGES)).cloned();
    let Some(value) = annotation(service) else { return };
    if !list(&service["spec"], "loadBalancerSourceRanges").is_empty() {
        return;
    }
    let path = format!("metadata.annotations[{SOURCE_RANGES}]");
    if text(service, "spec.type") != "LoadBalancer" {
        report.forbidden(path.as_str(), ONLY_LOAD_BALANCER);
    }
    let ranges = value.as_str().unwrap_or("").trim();
    if old.and_then(annotation).as_ref() != Some(&value) && !ranges.is_empty() {
        ranges.split(',').for_each(|range| report.check(&path, range.trim(), names::cidr));
    }
}

/// What may not change.
pub(super) fn update(report: &mut Report, new: &Value, old: &Value) {
    let (after, before) = (&new["spec"], &old["spec"]);
    if has_cluster_ip(before) && has_cluster_ip(after) {
        address_change(report, after, before);
        family_change(report, after, before);
    }
    let balancers = text(before, "type") == "LoadBalancer" && text(after, "type") == "LoadBalancer";
    let class = |spec: &Value| spec.get("loadBalancerClass").cloned();
    if balancers && class(before) != class(after) {
        report.invalid("spec.loadBalancerClass", class(after).unwrap_or(Value::Null), "may not change once set");
    }
    // As upstream, once here and once with the rest.
    load_balancer_class(report, after);
    let health = |spec: &Value| int(spec, "healthCheckNodePort");
    if has_health_port(before) && has_health_port(after) && health(before).is_some() && health(before) != health(after)
    {
        report.forbidden("spec.healthCheckNodePort", "field is immutable");
    }
}

/// Status: addresses that a balancer reports.
pub(super) fn status(report: &mut Report, service: &Value) {
    let ingress = list(service, "status.loadBalancer.ingress");
    if !ingress.is_empty() && text(service, "spec.type") != "LoadBalancer" {
        report.forbidden("status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'");
        return;
    }
    for (index, entry) in ingress.iter().enumerate() {
        let path = format!("status.loadBalancer.ingress[{index}]");
        let (ip, hostname) = (text(entry, "ip"), text(entry, "hostname"));
        if !ip.is_empty() {
            report.check(&format!("{path}.ip"), ip, names::ip);
            match text(entry, "ipMode") {
                "" => report.required(format!("{path}.ipMode"), "must be specified when `ip` is set"),
                mode => report.one_of(&format!("{path}.ipMode"), mode, &["Proxy", "VIP"]),
            }
        } else if at(entry, "ipMode").is_some() {
            report.forbidden(format!("{path}.ipMode"), "may not be specified when `ip` is not set");
        }
        if !hostname.is_empty() {
            report.check(&format!("{path}.hostname"), hostname, names::subdomain);
            if hostname.parse::<std::net::IpAddr>().is_ok() {
                report.invalid(format!("{path}.hostname"), hostname, "must be a DNS name, not an IP address");
            }
        }
    }
}

fn kind(report: &mut Report, spec: &Value) {
    let kind = text(spec, "type");
    report.needs_one_of("spec.type", kind, TYPES);
    let headless = is_headless(spec);
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            let why = format!("may not be set to 'None' for {kind} services");
            report.invalid("spec.clusterIPs[0]", "None", &why);
        }
        "ExternalName" => match text(spec, "externalName").trim_end_matches('.') {
            "" => report.required("spec.externalName", ""),
            name => report.check("spec.externalName", name, names::subdomain),
        },
        _ => {}
    }
    if list(spec, "ports").is_empty() && !headless && kind != "ExternalName" {
        report.required("spec.ports", "");
    }
}

fn ports(report: &mut Report, spec: &Value) {
    let kind = text(spec, "type");
    let ports = list(spec, "ports");
    let mut seen_names: Vec<&str> = Vec::new();
    let mut seen_ports: Vec<(i64, &str)> = Vec::new();
    let mut seen_node_ports: Vec<(i64, &str)> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        port_fields(report, &path, port, ports.len() > 1);
        let name = text(port, "name");
        if !name.is_empty() && seen_names.contains(&name) {
            report.duplicate(format!("{path}.name"), name);
        }
        seen_names.push(name);
        let (number, protocol) = (int(port, "port").unwrap_or(0), text(port, "protocol"));
        if seen_ports.contains(&(number, protocol)) {
            report.duplicate_port(path.clone(), number, protocol);
        }
        seen_ports.push((number, protocol));
        let Some(node_port) = int(port, "nodePort").filter(|n| *n != 0) else {
            continue;
        };
        if kind == "ClusterIP" {
            report.forbidden(format!("{path}.nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
        if seen_node_ports.contains(&(node_port, protocol)) {
            report.duplicate(format!("{path}.nodePort"), node_port);
        }
        seen_node_ports.push((node_port, protocol));
    }
}

fn port_fields(report: &mut Report, path: &str, port: &Value, several: bool) {
    match text(port, "name") {
        "" if several => report.required(format!("{path}.name"), ""),
        "" => {}
        name => report.check(&format!("{path}.name"), name, names::label),
    }
    report.port(format!("{path}.port"), int(port, "port").unwrap_or(0));
    report.needs_one_of(&format!("{path}.protocol"), text(port, "protocol"), PROTOCOLS);
    if let Some(target) = at(port, "targetPort") {
        report.port_or_name(&format!("{path}.targetPort"), target);
    }
    if let Some(protocol) = at(port, "appProtocol").and_then(Value::as_str) {
        report.check(&format!("{path}.appProtocol"), protocol, names::qualified);
    }
}

fn affinity(report: &mut Report, spec: &Value) {
    report.needs_one_of("spec.sessionAffinity", text(spec, "sessionAffinity"), &["ClientIP", "None"]);
    let path = "spec.sessionAffinityConfig";
    match (text(spec, "sessionAffinity"), at(spec, "sessionAffinityConfig")) {
        ("ClientIP", Some(config)) => {
            let seconds = int(config, "clientIP.timeoutSeconds").unwrap_or(0);
            if seconds <= 0 || seconds > AFFINITY_MAX {
                let why = format!("must be greater than 0 and less than {AFFINITY_MAX}");
                report.invalid(format!("{path}.clientIP.timeoutSeconds"), seconds, &why);
            }
        }
        ("None", Some(config)) if !same(Some(config), None) => {
            report.forbidden(path, "must not be set when session affinity is None");
        }
        _ => {}
    }
}

/// An ExternalName has no address of the cluster.
fn no_addresses(report: &mut Report, spec: &Value) {
    for key in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if !same(spec.get(key), None) {
            report.forbidden(format!("spec.{key}"), "may not be set for ExternalName services");
        }
    }
}

/// Addresses, families and policy, each by itself and together. `before` is the spec of the stored Service.
pub(crate) fn address_fields(report: &mut Report, spec: &Value, before: Option<&Value>) {
    let addresses = list(spec, "clusterIPs");
    two_spellings(report, spec);
    for (index, family) in list(spec, "ipFamilies").iter().enumerate() {
        let path = format!("spec.ipFamilies[{index}]");
        report.one_of(&path, family.as_str().unwrap_or(""), &["IPv4", "IPv6"]);
        if list(spec, "ipFamilies")[..index].contains(family) {
            report.duplicate(path, family.clone());
        }
    }
    let policies = &["PreferDualStack", "RequireDualStack", "SingleStack"];
    report.one_of("spec.ipFamilyPolicy", text(spec, "ipFamilyPolicy"), policies);
    let known = before.map(|before| list(before, "clusterIPs")).unwrap_or_default();
    let mut readable = true;
    for (index, address) in addresses.iter().enumerate() {
        if index == 0 && address == "None" {
            if addresses.len() > 1 {
                readable = false;
                report.invalid("spec.clusterIPs", addresses.to_vec(), "'None' must be the first and only value");
            }
        } else if !known.contains(address) {
            let text = address.as_str().unwrap_or("");
            readable &= names::ip(text).is_empty();
            report.check(&format!("spec.clusterIPs[{index}]"), text, names::ip);
        }
    }
    if addresses.len() > 2 {
        report.invalid("spec.clusterIPs", addresses.to_vec(), "may only hold up to 2 values");
    }
    if readable {
        address_families(report, spec);
    }
}

/// `clusterIP` and the first of `clusterIPs` are the same.
fn two_spellings(report: &mut Report, spec: &Value) {
    let (single, all) = (text(spec, "clusterIP"), list(spec, "clusterIPs"));
    if !single.is_empty() && all.is_empty() {
        report.required("spec.clusterIPs", "");
    } else if single.is_empty() && !all.is_empty() {
        report.invalid("spec.clusterIPs", all.to_vec(), "must be empty when `clusterIP` is not specified");
    } else if all.first().and_then(Value::as_str).unwrap_or("") != single {
        report.invalid("spec.clusterIPs", all.to_vec(), "first value must match `clusterIP`");
    }
}

/// At most one address of a family, in the order of `ipFamilies`.
fn address_families(report: &mut Report, spec: &Value) {
    let addresses = list(spec, "clusterIPs");
    let texts: Vec<&str> = addresses.iter().filter_map(Value::as_str).collect();
    let family = |ip: &str| if ip.contains(':') { "IPv6" } else { "IPv4" };
    let of = |wanted: &str| texts.iter().filter(|ip| family(ip) == wanted).count();
    if texts.len() > 1 && (of("IPv4") == 0 || of("IPv6") == 0) {
        report.invalid("spec.clusterIPs", addresses.to_vec(), "may specify no more than one IP for each IP family");
    }
    if is_headless(spec) {
        return;
    }
    for (index, (ip, expected)) in texts.iter().zip(list(spec, "ipFamilies")).enumerate() {
        let expected = expected.as_str().unwrap_or("");
        if matches!(expected, "IPv4" | "IPv6") && expected != family(ip) {
            let why = format!("expected an {expected} value as indicated by `ipFamilies[{index}]`");
            report.invalid(format!("spec.clusterIPs[{index}]"), *ip, &why);
        }
    }
}

/// A second address may come, and go again with SingleStack; the first one stays.
fn address_change(report: &mut Report, after: &Value, before: &Value) {
    if is_headless(before) && is_headless(after) {
        return;
    }
    let (had, has) = (list(before, "clusterIPs"), list(after, "clusterIPs"));
    // Of lists of one length every item is compared, else the first.
    let compared = if had.len() == has.len() { had.len() } else { 1 };
    for (index, (was, is)) in had.iter().zip(has).enumerate().take(compared) {
        if was != is {
            report.invalid(format!("spec.clusterIPs[{index}]"), has.to_vec(), "may not change once set");
        }
    }
    if has.is_empty() && !had.is_empty() {
        report.invalid("spec.clusterIPs[0]", Value::Null, "primary clusterIP can not be unset");
    }
    if had.len() > has.len() && has.len() == 1 {
        needs_single_stack(report, after, "clusterIP");
    }
}

/// As [`address_change`], but a headless Service may change its families.
fn family_change(report: &mut Report, after: &Value, before: &Value) {
    if is_headless(before) || is_headless(after) {
        return;
    }
    let (had, has) = (list(before, "ipFamilies"), list(after, "ipFamilies"));
    let compared = if had.len() == has.len() { had.len() } else { 1 };
    for (was, is) in had.iter().zip(has).take(compared) {
        if was != is {
            report.invalid("spec.ipFamilies[0]", has.to_vec(), "may not change once set");
        }
    }
    if had.len() > has.len() && has.len() == 1 {
        needs_single_stack(report, after, "ipFamily");
    }
}

fn needs_single_stack(report: &mut Report, after: &Value, what: &str) {
    let policy = text(after, "ipFamilyPolicy");
    if policy != "SingleStack" {
        let why = format!("must be set to 'SingleStack' when releasing the secondary {what}");
        report.invalid("spec.ipFamilyPolicy", policy, &why);
    }
}

/// Addresses and ranges outside the cluster. What `old` had may stay, even if it would be refused today.
fn external(report: &mut Report, spec: &Value, old: Option<&Value>) {
    let known = |key: &str, value: &Value| old.is_some_and(|old| list(&old["spec"], key).contains(value));
    for (index, ip) in list(spec, "externalIPs").iter().enumerate() {
        let (path, text) = (format!("spec.externalIPs[{index}]"), ip.as_str().unwrap_or(""));
        if names::ip(text).is_empty() || known("externalIPs", ip) {
            report.check(&path, text, names::endpoint_ip);
        } else {
            report.check(&path, text, names::ip);
        }
    }
    // Upstream spells this path with a capital letter, by accident; clients compare paths.
    let ranges = list(spec, "loadBalancerSourceRanges");
    if !ranges.is_empty() && text(spec, "type") != "LoadBalancer" {
        report.forbidden("spec.LoadBalancerSourceRanges", ONLY_LOAD_BALANCER);
    }
    for (index, range) in ranges.iter().enumerate().filter(|(_, range)| !known("loadBalancerSourceRanges", range)) {
        let path = format!("spec.LoadBalancerSourceRanges[{index}]");
        report.check(&path, range.as_str().unwrap_or("").trim(), names::cidr);
    }
}

fn traffic(report: &mut Report, spec: &Value) {
    let policies = &["Cluster", "Local"];
    report.one_of("spec.internalTrafficPolicy", text(spec, "internalTrafficPolicy"), policies);
    let external = text(spec, "externalTrafficPolicy");
    if external.is_empty() {
        if is_external_service(spec) {
            report.required("spec.externalTrafficPolicy", "");
        }
    } else if !is_external_service(spec) {
        let why = "may only be set for externally-accessible services";
        report.invalid("spec.externalTrafficPolicy", external, why);
    } else {
        report.one_of("spec.externalTrafficPolicy", external, policies);
    }
    if let Some(port) = int(spec, "healthCheckNodePort").filter(|n| *n != 0) {
        if has_health_port(spec) {
            report.port("spec.healthCheckNodePort", port);
        } else {
            let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            report.invalid("spec.healthCheckNodePort", port, why);
        }
    }
    let distributions = &["PreferClose", "PreferSameZone", "PreferSameNode"];
    report.one_of("spec.trafficDistribution", text(spec, "trafficDistribution"), distributions);
}

fn load_balancer(report: &mut Report, spec: &Value) {
    let balancer = text(spec, "type") == "LoadBalancer";
    match (balancer, at(spec, "allocateLoadBalancerNodePorts")) {
        (true, None) => report.required("spec.allocateLoadBalancerNodePorts", ""),
        (false, Some(_)) => report.forbidden("spec.allocateLoadBalancerNodePorts", ONLY_LOAD_BALANCER),
        _ => {}
    }
}

fn load_balancer_class(report: &mut Report, spec: &Value) {
    let balancer = text(spec, "type") == "LoadBalancer";
    if let Some(class) = at(spec, "loadBalancerClass").and_then(Value::as_str) {
        if balancer {
            report.check("spec.loadBalancerClass", class, names::qualified);
        } else {
            report.forbidden("spec.loadBalancerClass", ONLY_LOAD_BALANCER);
        }
    }
}
