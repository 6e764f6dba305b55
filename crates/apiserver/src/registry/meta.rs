//! Metadata that only the server writes: names, uids, times.

use jiff::Timestamp;
use portolan_kinds::{FieldError, FieldErrorKind, Resource};
use serde_json::{Map, Value};

use crate::status::ApiError;

/// No vowels, so that no words come out; no digits that look like letters.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Longest base of a generated name.
const LONGEST_BASE: usize = 58;

/// `2026-01-31T12:00:00Z`: whole seconds, the only form that every client reads.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn now() -> String {
    time(Timestamp::now())
}

/// `base` and five random characters.
pub(super) fn generate_name(base: &str) -> String {
    let mut end = base.len().min(LONGEST_BASE);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let suffix: String = (0..5).map(|_| char::from(ALPHABET[fastrand::usize(..ALPHABET.len())])).collect();
    format!("{}{suffix}", &base[..end])
}

/// The metadata of an object, made if it has none.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    let slot = &mut object["metadata"];
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().unwrap_or_else(|| unreachable!("made an object above"))
}

/// A text field of the metadata, empty when absent.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or("")
}

/// `metadata.finalizers`.
pub(super) fn finalizers(object: &Value) -> Vec<String> {
    let list = object["metadata"]["finalizers"].as_array();
    list.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Gives a new object its namespace and takes away what a client may not set. The name must follow.
pub(super) fn begin_create(resource: &Resource, namespace: &str, object: &mut Value) -> Result<(), ApiError> {
    if !text(object, "resourceVersion").is_empty() {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    place(resource, namespace, object)?;
    let metadata = metadata(object);
    for field in ["selfLink", "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"] {
        metadata.remove(field);
    }
    metadata.insert("uid".to_owned(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".to_owned(), now().into());
    Ok(())
}

/// Sets the namespace of the path, which the body may only repeat.
pub(super) fn place(resource: &Resource, namespace: &str, object: &mut Value) -> Result<(), ApiError> {
    if !resource.namespaced {
        metadata(object).remove("namespace");
        return Ok(());
    }
    let given = text(object, "namespace");
    if !given.is_empty() && given != namespace {
        return Err(ApiError::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request ({given} != {namespace})"
        )));
    }
    metadata(object).insert("namespace".to_owned(), namespace.into());
    Ok(())
}

/// The error for an object with neither name nor generateName.
pub(super) fn nameless(resource: &Resource) -> ApiError {
    let error = FieldError {
        field: "metadata.name".to_owned(),
        kind: FieldErrorKind::Required,
        detail: "Required value: name or generateName is required".to_owned(),
    };
    ApiError::invalid(resource, "", &[error])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_fit_and_differ() {
        let long = "x".repeat(80);
        assert_eq!(generate_name(&long).len(), 63);
        assert_ne!(generate_name("web-"), generate_name("web-"));
        assert!(generate_name("web-").starts_with("web-"));
    }
}
