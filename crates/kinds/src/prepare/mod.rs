//! What a write may not decide: status on create, everything but status on `/status`, system metadata, generations.
//!
//! Upstream calls these strategies (`PrepareForCreate`, `PrepareForUpdate`). They run after defaulting and before
//! validation.

mod pod;
pub(crate) mod service;

use serde_json::{Value, json};

use crate::json::{at, object, put, same};
use crate::resource::{Model, Part};

/// See [`crate::Resource::prepare_create`].
pub(crate) fn create(model: Model, value: &mut Value) {
    match model {
        Model::Service => {
            value["status"] = json!({"loadBalancer": {}});
            service::create(value);
        }
        Model::Pod => pod::create(value),
        Model::Deployment => value["status"] = json!({}),
        Model::ReplicaSet => value["status"] = json!({"replicas": 0}),
        Model::ServiceCidr => value["status"] = json!({}),
        Model::Namespace => {
            value["status"] = json!({"phase": "Active"});
            let finalizers = &mut object(value, "spec")["finalizers"];
            if !finalizers.as_array().is_some_and(|list| list.iter().any(|f| f == "kubernetes")) {
                *finalizers = json!(["kubernetes"]);
            }
        }
        _ => {}
    }
    let generation = has_generation(model).then(|| json!(1));
    put(object(value, "metadata"), "generation", generation);
}

/// See [`crate::Resource::prepare_update`].
pub(crate) fn update(model: Model, new: &mut Value, old: &Value, part: Part) {
    keep_system_metadata(new, old);
    match part {
        Part::Main => main(model, new, old),
        Part::Status => status(model, new, old),
        Part::Scale => {
            let replicas = at(new, "spec.replicas").cloned();
            *new = restore(new, old);
            put(object(new, "spec"), "replicas", replicas);
        }
        Part::Finalize => {
            let finalizers = at(new, "spec.finalizers").cloned();
            *new = restore(new, old);
            put(object(new, "spec"), "finalizers", finalizers);
        }
    }
    if has_generation(model) {
        let generation = at(old, "metadata.generation").and_then(Value::as_i64).unwrap_or(0);
        let moved = part != Part::Status && spec_changed(model, new, old);
        object(new, "metadata")["generation"] = (generation + i64::from(moved)).into();
    }
}

/// Writes to the resource itself: status is not theirs.
fn main(model: Model, new: &mut Value, old: &Value) {
    match model {
        Model::Service
        | Model::Pod
        | Model::Node
        | Model::Namespace
        | Model::Deployment
        | Model::ReplicaSet
        | Model::ServiceCidr => put(new, "status", old.get("status").cloned()),
        _ => {}
    }
    match model {
        Model::Service => service::update(new, old),
        Model::Namespace => put(object(new, "spec"), "finalizers", at(old, "spec.finalizers").cloned()),
        _ => {}
    }
}

/// Writes to `/status`: all but status and metadata stays as it was.
fn status(model: Model, new: &mut Value, old: &Value) {
    let metadata = new.get("metadata").cloned();
    let status = new.get("status").cloned();
    *new = old.clone();
    put(new, "metadata", metadata);
    put(new, "status", status);
    let metadata = object(new, "metadata");
    let mut keep = |key: &str| put(metadata, key, at(old, "metadata").and_then(|m| m.get(key)).cloned());
    match model {
        Model::Deployment | Model::ReplicaSet => keep("labels"),
        Model::Pod => keep("ownerReferences"),
        Model::ServiceCidr => ["labels", "annotations", "finalizers", "ownerReferences"].into_iter().for_each(keep),
        _ => {}
    }
    if model == Model::Pod && at(new, "status.qosClass").is_none() {
        put(object(new, "status"), "qosClass", at(old, "status.qosClass").cloned());
    }
}

/// The old object under the new resource version.
fn restore(new: &Value, old: &Value) -> Value {
    let mut restored = old.clone();
    put(object(&mut restored, "metadata"), "resourceVersion", at(new, "metadata.resourceVersion").cloned());
    restored
}

/// Fields only the server writes. Where the user left them out they stay; a differing value is for validation to refuse.
fn keep_system_metadata(new: &mut Value, old: &Value) {
    let metadata = object(new, "metadata");
    for key in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let absent = metadata.get(key).is_none_or(|v| v.is_null() || v == "");
        if absent && let Some(value) = at(old, "metadata").and_then(|m| m.get(key)) {
            metadata[key] = value.clone();
        }
    }
    put(metadata, "generation", at(old, "metadata.generation").cloned());
}

/// Kinds whose objects count the changes of their spec.
fn has_generation(model: Model) -> bool {
    matches!(model, Model::Pod | Model::Deployment | Model::ReplicaSet | Model::EndpointSlice)
}

fn spec_changed(model: Model, new: &Value, old: &Value) -> bool {
    let differs = |path: &str| !same(at(new, path), at(old, path));
    match model {
        Model::Deployment => differs("spec") || differs("metadata.annotations"),
        // A slice has no spec: everything but metadata counts, and its labels, which carry meaning.
        Model::EndpointSlice => {
            differs("addressType") || differs("endpoints") || differs("ports") || differs("metadata.labels")
        }
        _ => differs("spec"),
    }
}

#[cfg(test)]
mod tests;
