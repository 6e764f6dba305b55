//! Schemas.
use serde_json::Value;

use crate::error::DecodeError;
use crate::resource::{FieldValidation, Resource};

pub(crate) fn decode(
    _resource: &Resource,
    _object: &mut Value,
    _validation: FieldValidation,
) -> Result<Vec<String>, DecodeError> {
    Ok(Vec::new())
}
