//! Printer columns.
use serde_json::Value;

use crate::json::text;
use crate::resource::{Column, Model};

const NAME: Column =
    Column { name: "Name", kind: "string", format: "name", description: "Name of the object", priority: 0 };
const CREATED: Column =
    Column { name: "Created At", kind: "date", format: "", description: "When the object was created", priority: 0 };

pub(crate) fn columns(_model: Model) -> &'static [Column] {
    &[NAME, CREATED]
}

pub(crate) fn cells(_model: Model, object: &Value, _now: jiff::Timestamp) -> Vec<Value> {
    vec![text(object, "metadata.name").into(), text(object, "metadata.creationTimestamp").into()]
}

/// A duration as upstream's tables print it.
pub fn human_duration(seconds: i64) -> String {
    format!("{seconds}s")
}
