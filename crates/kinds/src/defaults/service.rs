//! Defaults of Services.

use serde_json::{Value, json};

use crate::json::{int, items_mut, list, object, set_default, set_default_text, take, text};

/// Ten thousand eight hundred seconds: three hours of client affinity.
const AFFINITY_SECONDS: i64 = 10_800;

pub(super) fn apply(service: &mut Value) {
    let spec = object(service, "spec");
    set_default_text(spec, "type", "ClusterIP");
    set_default_text(spec, "sessionAffinity", "None");
    if text(spec, "sessionAffinity") == "None" {
        take(spec, "sessionAffinityConfig");
    }
    if text(spec, "sessionAffinity") == "ClientIP" {
        let client = object(object(spec, "sessionAffinityConfig"), "clientIP");
        set_default(client, "timeoutSeconds", AFFINITY_SECONDS);
    }
    for port in items_mut(spec, "ports") {
        set_default_text(port, "protocol", "TCP");
        let unset = match port.get("targetPort") {
            None | Some(Value::Null) => true,
            Some(Value::String(name)) => name.is_empty(),
            Some(number) => number.as_i64() == Some(0),
        };
        if unset && let Some(number) = int(port, "port") {
            port["targetPort"] = number.into();
        }
    }
    let kind = text(spec, "type").to_string();
    if kind != "ExternalName" {
        set_default_text(spec, "internalTrafficPolicy", "Cluster");
    }
    if is_external(spec) {
        set_default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set_default(spec, "allocateLoadBalancerNodePorts", true);
    }
    drop_zeroes(spec);
    status(service, &kind);
}

/// Whether clients outside the cluster can reach the Service: those have an external traffic policy.
pub(crate) fn is_external(spec: &Value) -> bool {
    match text(spec, "type") {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !list(spec, "externalIPs").is_empty(),
        _ => false,
    }
}

/// Zero and the empty string mean "not set" for these fields, and upstream does not write them out.
fn drop_zeroes(spec: &mut Value) {
    for key in ["clusterIP", "externalName", "externalTrafficPolicy", "loadBalancerIP"] {
        if spec.get(key).is_some_and(|v| v == "") {
            take(spec, key);
        }
    }
    if spec.get("healthCheckNodePort").is_some_and(|v| v == 0) {
        take(spec, "healthCheckNodePort");
    }
    for port in items_mut(spec, "ports") {
        if port.get("nodePort").is_some_and(|v| v == 0) {
            take(port, "nodePort");
        }
        if port.get("name").is_some_and(|v| v == "") {
            take(port, "name");
        }
    }
}

fn status(service: &mut Value, kind: &str) {
    let balancer = object(object(service, "status"), "loadBalancer");
    if kind != "LoadBalancer" {
        return;
    }
    for ingress in items_mut(balancer, "ingress") {
        if !text(ingress, "ip").is_empty() {
            set_default(ingress, "ipMode", json!("VIP"));
        }
    }
}
