//! What the API fills in when the user leaves it out. Idempotent: defaulting a stored object changes nothing, which is
//! why applying the same manifest twice says `unchanged`.
//!
//! Upstream: `pkg/apis/*/v1/defaults.go`.

mod pod;
mod service;

use serde_json::{Value, json};

use crate::json::{at, items_mut, list, object, set_default, set_default_text, take, text};
use crate::resource::Model;

pub(crate) use service::is_external as is_external_service;

/// See [`crate::Resource::default`].
pub(crate) fn apply(model: Model, value: &mut Value) {
    match model {
        Model::Service => {
            service::apply(value);
            condition_times(value);
        }
        Model::Pod => {
            pod::spec(object(value, "spec"));
            pod::pod_only(object(value, "spec"));
            one_of_two(
                object(value, "status"),
                ["podIP", "podIPs"],
                |ip| json!({"ip": ip}),
                |entry| entry["ip"].as_str(),
            );
        }
        Model::Deployment => {
            deployment(object(value, "spec"));
            set_default(value, "status", json!({}));
        }
        Model::ReplicaSet => {
            let spec = object(value, "spec");
            set_default(spec, "replicas", 1);
            template(spec);
            set_default(object(value, "status"), "replicas", 0);
        }
        Model::Namespace => namespace(value),
        Model::Node => node(value),
        Model::Secret => secret(value),
        Model::Endpoints => {
            for subset in items_mut(value, "subsets") {
                items_mut(subset, "ports").for_each(|port| set_default_text(port, "protocol", "TCP"));
            }
        }
        Model::EndpointSlice => endpoint_slice(value),
        Model::NetworkPolicy => network_policy(object(value, "spec")),
        Model::ConfigMap
        | Model::ServiceAccount
        | Model::CoreEvent
        | Model::NewEvent
        | Model::Lease
        | Model::IpAddress
        | Model::Review => {}
        Model::ServiceCidr => condition_times(value),
    }
}

/// Upstream's conditions have no time that can be absent: who writes one without gets the zero back, which is a null.
fn condition_times(value: &mut Value) {
    if value["status"]["conditions"].is_array() {
        items_mut(object(value, "status"), "conditions")
            .for_each(|condition| set_default(condition, "lastTransitionTime", Value::Null));
    }
}

/// A policy is about egress only if it says so.
fn network_policy(spec: &mut Value) {
    for direction in ["ingress", "egress"] {
        for rule in items_mut(spec, direction) {
            items_mut(rule, "ports").for_each(|port| set_default_text(port, "protocol", "TCP"));
        }
    }
    let types = if list(spec, "egress").is_empty() { json!(["Ingress"]) } else { json!(["Ingress", "Egress"]) };
    set_default(spec, "policyTypes", types);
}

fn deployment(spec: &mut Value) {
    set_default(spec, "replicas", 1);
    set_default(spec, "revisionHistoryLimit", 10);
    set_default(spec, "progressDeadlineSeconds", 600);
    let strategy = object(spec, "strategy");
    set_default_text(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        let rolling = object(strategy, "rollingUpdate");
        set_default(rolling, "maxUnavailable", "25%");
        set_default(rolling, "maxSurge", "25%");
    }
    template(spec);
}

fn template(spec: &mut Value) {
    let template = object(spec, "template");
    set_default(template, "metadata", json!({}));
    pod::spec(object(template, "spec"));
}

/// Every namespace carries its own name as a label, so that selectors can name it.
fn namespace(value: &mut Value) {
    let name = text(value, "metadata.name").to_string();
    if !name.is_empty() {
        object(object(value, "metadata"), "labels")["kubernetes.io/metadata.name"] = name.into();
    }
    set_default_text(object(value, "status"), "phase", "Active");
}

/// Of these fields upstream writes out what nobody has set.
const NODE_INFO: [&str; 10] = [
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
];

fn node(value: &mut Value) {
    let status = object(value, "status");
    set_default(object(object(status, "daemonEndpoints"), "kubeletEndpoint"), "Port", 0);
    let info = object(status, "nodeInfo");
    NODE_INFO.into_iter().for_each(|key| set_default(info, key, ""));
    one_of_two(object(value, "spec"), ["podCIDR", "podCIDRs"], |cidr| json!(cidr), Value::as_str);
    if let Some(capacity) = at(value, "status.capacity").cloned() {
        set_default(object(value, "status"), "allocatable", capacity);
    }
}

/// `stringData` is write-only: it ends up, encoded, in `data`.
fn secret(value: &mut Value) {
    set_default_text(value, "type", "Opaque");
    let Some(Value::Object(plain)) = take(value, "stringData") else {
        return;
    };
    let data = object(value, "data");
    for (key, text) in plain {
        data[&key] = base64(text.as_str().unwrap_or("").as_bytes()).into();
    }
}

/// A field that became a list, and the old one, which wins where they differ: old clients write only that.
pub(super) fn one_of_two(
    value: &mut Value,
    [single, all]: [&str; 2],
    wrap: fn(&str) -> Value,
    unwrap: fn(&Value) -> Option<&str>,
) {
    let first = value[all].as_array().and_then(|all| all.first().and_then(unwrap)).map(str::to_string);
    let given = text(value, single).to_string();
    match first {
        Some(first) if given.is_empty() => value[single] = first.into(),
        Some(first) if first == given => {}
        None if given.is_empty() => {}
        _ => value[all] = json!([wrap(&given)]),
    }
}

fn endpoint_slice(value: &mut Value) {
    items_mut(value, "endpoints").for_each(|endpoint| set_default(endpoint, "conditions", json!({})));
    for port in items_mut(value, "ports") {
        set_default(port, "name", "");
        set_default_text(port, "protocol", "TCP");
    }
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..4 {
            let symbol = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() { char::from(symbol) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests;
