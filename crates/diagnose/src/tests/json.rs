//! The JSON that scripts read, and snapshots that can be stored.

use serde_json::json;

use super::{diagnose, fixture::Cluster};
use crate::Snapshot;

#[test]
fn the_json_form_is_stable() {
    let cluster = Cluster::healthy().spec(json!({"selector": {"app": "wbe"}})).no_endpoints();
    let diagnosis = diagnose(&cluster.snapshot());
    insta::assert_snapshot!("selector_typo_json", serde_json::to_string_pretty(&diagnosis).unwrap());
}

#[test]
fn a_stored_snapshot_gives_the_same_diagnosis() {
    let snapshot = Cluster::healthy().balancer(None).target_port(json!("htpp")).snapshot();
    let stored = serde_json::to_vec(&snapshot).unwrap();
    let read: Snapshot = serde_json::from_slice(&stored).unwrap();
    assert_eq!(diagnose(&read), diagnose(&snapshot));
}
