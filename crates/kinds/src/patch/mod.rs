//! The three patch formats that change an object in place: JSON patch, merge patch, strategic merge patch.

mod strategic;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::error::PatchError;
use crate::resource::Resource;

/// Upstream's bound on operations in one JSON patch.
pub const MAX_OPERATIONS: usize = 10_000;

/// RFC 6902. On error the document is unchanged.
pub fn json(doc: &mut Value, patch: &Value) -> Result<(), PatchError> {
    let operations = patch.as_array().ok_or_else(|| {
        PatchError::Malformed("error decoding patch: a JSON patch is a list of operations".to_string())
    })?;
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations { limit: MAX_OPERATIONS, got: operations.len() });
    }
    let operations: Vec<json_patch::PatchOperation> = serde_json::from_value(patch.clone())
        .map_err(|e| PatchError::Malformed(format!("error decoding patch: {e}")))?;
    json_patch::patch(doc, &operations).map_err(|e| PatchError::DoesNotApply(e.to_string()))
}

/// RFC 7386.
pub fn merge(doc: &mut Value, patch: &Value) -> Result<(), PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed("error decoding patch: a merge patch is an object".to_string()));
    }
    json_patch::merge(doc, patch);
    Ok(())
}

/// Kubernetes' strategic merge patch, by the merge keys of the resource's schema. On error the document may be half
/// patched: patch a copy.
pub fn strategic(resource: &Resource, doc: &mut Value, patch: &Value) -> Result<(), PatchError> {
    strategic::apply(resource, doc, patch)
}
