//! Rows of Nodes and Events, and the counts of ConfigMaps and Secrets.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{age, name, or_none, since};
use crate::json::{entries, flag, int, list, text};

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
/// The older way to name a role, still in use.
const ROLE_LABEL: &str = "kubernetes.io/role";

/// Keys of `data` and `binaryData`.
pub(super) fn data_keys(object: &Value) -> usize {
    entries(object, "data").count() + entries(object, "binaryData").count()
}

pub(super) fn node(node: &Value, now: Timestamp) -> Vec<Value> {
    let info = |key: &str, none: &str| -> Value {
        or_none(text(node, &format!("status.nodeInfo.{key}")), none).to_string().into()
    };
    let mut kernel = or_none(text(node, "status.nodeInfo.kernelVersion"), "<unknown>").to_string();
    let architecture = text(node, "status.nodeInfo.architecture");
    if !architecture.is_empty() {
        kernel = format!("{kernel} ({architecture})");
    }
    vec![
        name(node),
        node_status(node).into(),
        roles(node).into(),
        age(node, now),
        info("kubeletVersion", ""),
        node_address(node, "InternalIP").into(),
        node_address(node, "ExternalIP").into(),
        info("osImage", "<unknown>"),
        kernel.into(),
        info("containerRuntimeVersion", "<unknown>"),
    ]
}

fn node_status(node: &Value) -> String {
    let ready = list(node, "status.conditions").iter().find(|condition| text(condition, "type") == "Ready");
    let mut status = match ready.map(|condition| text(condition, "status")) {
        Some("True") => "Ready".to_string(),
        Some(_) => "NotReady".to_string(),
        None => "Unknown".to_string(),
    };
    if flag(node, "spec.unschedulable") {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn roles(node: &Value) -> String {
    let mut roles = BTreeSet::new();
    if let Some(labels) = node["metadata"]["labels"].as_object() {
        for (key, value) in labels {
            let role = match key.strip_prefix(ROLE_PREFIX) {
                Some(role) => role,
                None if key == ROLE_LABEL => value.as_str().unwrap_or(""),
                None => "",
            };
            if !role.is_empty() {
                roles.insert(role);
            }
        }
    }
    if roles.is_empty() { "<none>".to_string() } else { roles.into_iter().collect::<Vec<_>>().join(",") }
}

fn node_address(node: &Value, kind: &str) -> String {
    list(node, "status.addresses")
        .iter()
        .find(|address| text(address, "type") == kind)
        .map_or("<none>", |address| text(address, "address"))
        .to_string()
}

/// `event` is in core/v1 form.
pub(super) fn event(event: &Value, now: Timestamp) -> Vec<Value> {
    let first_of = |keys: &[&str]| keys.iter().map(|key| text(event, key)).find(|t| !t.is_empty()).unwrap_or("");
    let first = first_of(&["firstTimestamp", "eventTime"]);
    let last = first_of(&["series.lastObservedTime", "lastTimestamp", "firstTimestamp", "eventTime"]);
    let count = int(event, "series.count").or_else(|| int(event, "count")).filter(|n| *n > 0).unwrap_or(1);
    let kind = text(event, "involvedObject.kind").to_lowercase();
    let object = text(event, "involvedObject.name");
    let object = if object.is_empty() { kind } else { format!("{kind}/{object}") };
    vec![
        since(last, now).into(),
        text(event, "type").into(),
        text(event, "reason").into(),
        object.into(),
        text(event, "involvedObject.fieldPath").into(),
        source(event).into(),
        text(event, "message").trim().into(),
        since(first, now).into(),
        count.into(),
        name(event),
    ]
}

fn source(event: &Value) -> String {
    let component = or_none(text(event, "source.component"), text(event, "reportingComponent"));
    let host = or_none(text(event, "source.host"), text(event, "reportingInstance"));
    if host.is_empty() { component.to_string() } else { format!("{component}, {host}") }
}
