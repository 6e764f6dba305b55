use serde_json::Value;

use crate::error::PatchError;
use crate::resource::Resource;

pub(super) fn apply(_resource: &Resource, doc: &mut Value, patch: &Value) -> Result<(), PatchError> {
    super::merge(doc, patch)
}
