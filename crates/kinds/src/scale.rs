//! The scale subresource of Deployments and ReplicaSets: an autoscaling/v1 Scale made from, and written to, the object.

use serde_json::{Value, json};

use crate::error::{FieldError, FieldErrorKind, ScaleError};
use crate::json::{at, int, object, text};
use crate::resource::{Model, Resource};

/// The Scale of an object.
pub(crate) fn read(model: Model, workload: &Value) -> Option<Value> {
    if !matches!(model, Model::Deployment | Model::ReplicaSet) {
        return None;
    }
    let mut metadata = json!({
        "name": text(workload, "metadata.name"),
        "namespace": text(workload, "metadata.namespace"),
    });
    for key in ["uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = workload["metadata"].get(key) {
            metadata[key] = value.clone();
        }
    }
    let mut status = json!({"replicas": int(workload, "status.replicas").unwrap_or(0)});
    if let Some(selector) = at(workload, "spec.selector") {
        status["selector"] = selector_text(selector).into();
    }
    Some(json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": metadata,
        "spec": {"replicas": int(workload, "spec.replicas").unwrap_or(1)},
        "status": status,
    }))
}

/// Writes the replicas of a Scale to the object.
pub(crate) fn write(resource: &Resource, workload: &mut Value, scale: &Value) -> Result<(), ScaleError> {
    if !matches!(resource.model, Model::Deployment | Model::ReplicaSet) {
        return Err(ScaleError::NotScalable(resource.plural));
    }
    let invalid = |detail: String| {
        ScaleError::Invalid(FieldError { field: "spec.replicas".to_string(), kind: FieldErrorKind::Invalid, detail })
    };
    let replicas = match at(scale, "spec.replicas") {
        None | Some(Value::Null) => 0,
        Some(value) => value
            .as_i64()
            .filter(|n| i32::try_from(*n).is_ok())
            .ok_or_else(|| invalid(format!("Invalid value: {value}: must be an integer")))?,
    };
    if replicas < 0 {
        return Err(invalid(format!("Invalid value: {replicas}: must be greater than or equal to 0")));
    }
    object(workload, "spec")["replicas"] = replicas.into();
    Ok(())
}

/// A LabelSelector in query syntax: `app=web,tier in (a,b)`.
pub(crate) fn selector_text(selector: &Value) -> String {
    let mut terms: Vec<(String, String)> = Vec::new();
    for (key, value) in crate::json::entries(selector, "matchLabels") {
        terms.push((key.clone(), format!("{key}={}", value.as_str().unwrap_or(""))));
    }
    for expression in crate::json::list(selector, "matchExpressions") {
        let key = text(expression, "key");
        let mut values: Vec<&str> = crate::json::list(expression, "values").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let term = match text(expression, "operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_string(),
        };
        terms.push((key.to_string(), term));
    }
    terms.sort_by(|a, b| a.0.cmp(&b.0));
    terms.into_iter().map(|(_, term)| term).collect::<Vec<_>>().join(",")
}
