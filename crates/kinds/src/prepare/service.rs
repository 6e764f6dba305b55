//! Services: two spellings of the address, and what a change of type leaves behind. Families are filled in later, where
//! the cluster is known ([`crate::allocate::Families`]).
//!
//! Upstream: `pkg/registry/core/service/strategy.go` and `storage/storage.go`.

use serde_json::{Value, json};

use crate::json::{at, int, items_mut, list, object, put, same, take, text};

/// New Service: `clusterIPs` follows `clusterIP`.
pub(super) fn create(service: &mut Value) {
    let spec = object(service, "spec");
    if list(spec, "clusterIPs").is_empty() && !text(spec, "clusterIP").is_empty() {
        spec["clusterIPs"] = json!([text(spec, "clusterIP")]);
    }
    drop_policy_of_external_name(spec);
}

/// Changed Service: keeps what was allocated when the user left it out, drops what the new type has no use for.
pub(super) fn update(new: &mut Value, old: &Value) {
    let (Some(before), Some(after)) = (at(old, "spec"), new.get_mut("spec")) else {
        return;
    };
    keep_allocated(after, before);
    follow_cluster_ip(after, before);
    drop_unused(after, before);
    drop_policy_of_external_name(after);
    if text(new, "spec.type") != "LoadBalancer" {
        object(new, "status")["loadBalancer"] = json!({});
    }
}

/// Nobody sends traffic to an ExternalName. Upstream drops the field whenever the object is read.
fn drop_policy_of_external_name(spec: &mut Value) {
    if !has_cluster_ip(spec) {
        take(spec, "internalTrafficPolicy");
    }
}

/// Whether this type of Service has an address (maybe `None`).
pub(crate) fn has_cluster_ip(spec: &Value) -> bool {
    text(spec, "type") != "ExternalName"
}

/// Whether this type of Service can have node ports.
pub(crate) fn has_node_ports(spec: &Value) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
}

/// Whether node ports must be allocated.
pub(crate) fn needs_node_ports(spec: &Value) -> bool {
    match text(spec, "type") {
        "NodePort" => true,
        "LoadBalancer" => at(spec, "allocateLoadBalancerNodePorts").is_none_or(|v| v != false),
        _ => false,
    }
}

/// Whether the Service has a health check node port.
pub(crate) fn has_health_port(spec: &Value) -> bool {
    text(spec, "type") == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
}

/// Whether the Service is headless.
pub(crate) fn is_headless(spec: &Value) -> bool {
    text(spec, "clusterIP") == "None" || list(spec, "clusterIPs").first().is_some_and(|ip| ip == "None")
}

/// A user may change either spelling of the address; the other follows.
fn follow_cluster_ip(after: &mut Value, before: &Value) {
    let same_single = text(after, "clusterIP") == text(before, "clusterIP");
    if same_single && list(after, "clusterIPs").is_empty() && !list(before, "clusterIPs").is_empty() {
        put(after, "clusterIPs", before.get("clusterIPs").cloned());
    } else if !same_single && same(after.get("clusterIPs"), before.get("clusterIPs")) {
        let single = text(after, "clusterIP").to_string();
        if single.is_empty() {
            take(after, "clusterIPs");
        } else {
            after["clusterIPs"] = json!([single]);
        }
    }
}

/// Clients that PUT a manifest without the allocated fields keep them.
fn keep_allocated(after: &mut Value, before: &Value) {
    if has_cluster_ip(before) && has_cluster_ip(after) {
        if text(after, "clusterIP").is_empty() {
            put(after, "clusterIP", before.get("clusterIP").cloned());
        }
        if list(after, "clusterIPs").is_empty() {
            put(after, "clusterIPs", before.get("clusterIPs").cloned());
        }
    }
    if needs_node_ports(before) && needs_node_ports(after) {
        keep_node_ports(after, before);
    }
    if has_health_port(before) && has_health_port(after) && int(after, "healthCheckNodePort").is_none() {
        put(after, "healthCheckNodePort", before.get("healthCheckNodePort").cloned());
    }
}

/// A port without a number takes the one its namesake had, unless another port asks for that number.
fn keep_node_ports(after: &mut Value, before: &Value) {
    let asked: Vec<i64> = list(after, "ports").iter().filter_map(|p| int(p, "nodePort")).collect();
    for port in items_mut(after, "ports") {
        if int(port, "nodePort").is_some() {
            continue;
        }
        let held = list(before, "ports")
            .iter()
            .find(|old| text(old, "name") == text(port, "name"))
            .and_then(|old| int(old, "nodePort"))
            .filter(|held| !asked.contains(held));
        put(port, "nodePort", held.map(Value::from));
    }
}

/// Fields that the user did not touch and the new type has no use for go away; touched ones are for validation.
fn drop_unused(after: &mut Value, before: &Value) {
    if has_cluster_ip(before) && !has_cluster_ip(after) {
        let untouched = |key: &str| same(after.get(key), before.get(key));
        if untouched("clusterIP") && untouched("clusterIPs") {
            take(after, "clusterIP");
            take(after, "clusterIPs");
        }
        drop_if_same(after, before, "ipFamilies");
        drop_if_same(after, before, "ipFamilyPolicy");
    }
    if has_node_ports(before) && !has_node_ports(after) {
        let numbers = |spec: &Value| -> Vec<i64> {
            list(spec, "ports").iter().filter_map(|port| int(port, "nodePort")).collect()
        };
        let held = numbers(before);
        if numbers(after).iter().all(|number| held.contains(number)) {
            items_mut(after, "ports").for_each(|port| put(port, "nodePort", None));
        }
    }
    if has_health_port(before) && !has_health_port(after) {
        drop_if_same(after, before, "healthCheckNodePort");
    }
    if text(before, "type") == "LoadBalancer" && text(after, "type") != "LoadBalancer" {
        drop_if_same(after, before, "allocateLoadBalancerNodePorts");
        drop_if_same(after, before, "loadBalancerClass");
    }
    let external = crate::defaults::is_external_service;
    if external(before) && !external(after) {
        drop_if_same(after, before, "externalTrafficPolicy");
    }
}

fn drop_if_same(after: &mut Value, before: &Value, key: &str) {
    if same(after.get(key), before.get(key)) {
        take(after, key);
    }
}
