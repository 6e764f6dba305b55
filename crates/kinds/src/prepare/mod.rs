//! Resets.
use serde_json::Value;

use crate::resource::{Model, Part};

pub(crate) fn create(_model: Model, _object: &mut Value) {}

pub(crate) fn update(_model: Model, _new: &mut Value, _old: &Value, _part: Part) {}
