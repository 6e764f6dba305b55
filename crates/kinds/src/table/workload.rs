//! Rows of Deployments and ReplicaSets.

use jiff::Timestamp;
use serde_json::Value;

use super::{age, name, or_none};
use crate::json::{at, int, list, text};
use crate::scale::selector_text;

pub(super) fn deployment(deployment: &Value, now: Timestamp) -> Vec<Value> {
    let count = |path: &str| int(deployment, path).unwrap_or(0);
    let ready = format!("{}/{}", count("status.readyReplicas"), count("spec.replicas"));
    let mut cells = vec![
        name(deployment),
        ready.into(),
        count("status.updatedReplicas").into(),
        count("status.availableReplicas").into(),
        age(deployment, now),
    ];
    cells.extend(wide(deployment));
    cells
}

pub(super) fn replica_set(set: &Value, now: Timestamp) -> Vec<Value> {
    let count = |path: &str| int(set, path).unwrap_or(0);
    let mut cells = vec![
        name(set),
        count("spec.replicas").into(),
        count("status.replicas").into(),
        count("status.readyReplicas").into(),
        age(set, now),
    ];
    cells.extend(wide(set));
    cells
}

/// Containers, images, selector.
fn wide(workload: &Value) -> [Value; 3] {
    let containers = list(workload, "spec.template.spec.containers");
    let joined = |key: &str| containers.iter().map(|c| text(c, key)).collect::<Vec<_>>().join(",");
    let selector = at(workload, "spec.selector").map(selector_text).unwrap_or_default();
    [joined("name").into(), joined("image").into(), or_none(&selector, "<none>").into()]
}
