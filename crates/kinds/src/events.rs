//! Two views of one Event: core/v1, as stored, and events.k8s.io/v1.
//!
//! Upstream converts through an internal type; here the pairs of field names are a table.

use serde_json::{Value, json};

use crate::json::{put, take};

/// (core/v1, events.k8s.io/v1).
const PAIRS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("reportingComponent", "reportingController"),
];

/// core/v1 to events.k8s.io/v1.
pub(crate) fn to_new(event: &mut Value) {
    for (core, new) in PAIRS {
        let value = take(event, core);
        if value.is_some() {
            put(event, new, value);
        }
    }
    put(event, "apiVersion", Some(json!("events.k8s.io/v1")));
}

/// events.k8s.io/v1 to core/v1.
pub(crate) fn to_core(event: &mut Value) {
    for (core, new) in PAIRS {
        let value = take(event, new);
        if value.is_some() {
            put(event, core, value);
        }
    }
    put(event, "apiVersion", Some(json!("v1")));
}
