//! Defaults.
use serde_json::Value;

use crate::resource::Model;

pub(crate) fn apply(_model: Model, _object: &mut Value) {}
