//! Validation.
use serde_json::Value;

use crate::error::FieldError;
use crate::resource::{Part, Resource};

pub(crate) fn create(_resource: &Resource, _object: &Value) -> Vec<FieldError> {
    Vec::new()
}

pub(crate) fn update(_resource: &Resource, _new: &Value, _old: &Value, _part: Part) -> Vec<FieldError> {
    Vec::new()
}
