//! OpenAPI v3 documents.
use std::sync::LazyLock;

use serde_json::{Value, json};

/// One document of `/openapi/v3`.
#[derive(Debug)]
pub struct Document {
    /// The document, encoded.
    pub json: Vec<u8>,
    /// Hash of its content, upper-case hexadecimal; goes into the index and the URL.
    pub hash: String,
}

/// The index: `{"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=..."}}}`.
pub fn v3_index() -> &'static Value {
    static INDEX: LazyLock<Value> = LazyLock::new(|| json!({"paths": {}}));
    &INDEX
}

/// The document of a group version: `api/v1`, `apis/apps/v1`.
pub fn v3_document(_path: &str) -> Option<&'static Document> {
    None
}
