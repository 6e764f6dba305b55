//! Rules of `metadata`, the same for every kind.
//!
//! Upstream: apimachinery `pkg/api/validation/objectmeta.go`.

use serde_json::{Value, json};

use super::names;
use super::report::Report;
use crate::json::{at, entries, flag, list, same, text};
use crate::resource::{Model, Resource};

/// Keys and values of all annotations together.
const ANNOTATIONS_MAX: usize = 256 * 1024;
/// Longest `generateName` that leaves room for a suffix.
const SUFFIX: &str = "aaaaa";

/// Metadata of a new or changed object.
pub(super) fn object(report: &mut Report, resource: &Resource, object: &Value) {
    name(report, resource, object);
    let namespace = text(object, "metadata.namespace");
    match (resource.namespaced, namespace) {
        (true, "") => report.required("metadata.namespace", ""),
        (true, namespace) => report.check("metadata.namespace", namespace, names::label),
        (false, "") => {}
        (false, _) => report.forbidden("metadata.namespace", "not allowed on this type"),
    }
    labels(report, "metadata.labels", at(object, "metadata.labels"));
    annotations(report, "metadata.annotations", at(object, "metadata.annotations"));
    for (index, finalizer) in list(object, "metadata.finalizers").iter().enumerate() {
        let value = finalizer.as_str().unwrap_or("");
        report.check(&format!("metadata.finalizers[{index}]"), value, names::qualified);
    }
    owners(report, object);
}

/// What may not change in metadata.
pub(super) fn update(report: &mut Report, new: &Value, old: &Value) {
    for key in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"] {
        let path = format!("metadata.{key}");
        if !same(at(new, &path), at(old, &path)) {
            let value = at(new, &path).cloned().unwrap_or(Value::Null);
            report.invalid(path, value, "field is immutable");
        }
    }
    if at(old, "metadata.deletionTimestamp").is_some() {
        let before = list(old, "metadata.finalizers");
        let added: Vec<&Value> = list(new, "metadata.finalizers").iter().filter(|f| !before.contains(f)).collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers {}",
                json!(added)
            );
            report.forbidden("metadata.finalizers", &why);
        }
    }
}

fn name(report: &mut Report, resource: &Resource, object: &Value) {
    let rule = rule(resource.model);
    let generate = text(object, "metadata.generateName");
    if !generate.is_empty() {
        for why in rule(&format!("{}{SUFFIX}", generate.trim_end_matches('-'))) {
            report.invalid("metadata.generateName", generate, &why);
        }
    }
    match text(object, "metadata.name") {
        "" => report.required("metadata.name", "name or generateName is required"),
        name => report.check("metadata.name", name, rule),
    }
}

fn rule(model: Model) -> fn(&str) -> Vec<String> {
    match model {
        Model::Service | Model::Namespace => names::label,
        Model::IpAddress => names::canonical_ip,
        // Upstream checks the names of Events on the object they are about.
        Model::CoreEvent | Model::NewEvent => names::path_segment,
        _ => names::subdomain,
    }
}

/// A map of labels.
pub(super) fn labels(report: &mut Report, field: &str, labels: Option<&Value>) {
    let holder = json!({"labels": labels});
    for (key, value) in entries(&holder, "labels") {
        report.check(field, key, names::qualified);
        report.check(field, value.as_str().unwrap_or(""), names::label_value);
    }
}

/// A map of annotations.
pub(super) fn annotations(report: &mut Report, field: &str, annotations: Option<&Value>) {
    let holder = json!({"annotations": annotations});
    let mut size = 0;
    for (key, value) in entries(&holder, "annotations") {
        for why in names::qualified(&key.to_lowercase()) {
            report.invalid(field, key.as_str(), &why);
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_MAX {
        report.too_long(field, ANNOTATIONS_MAX);
    }
}

fn owners(report: &mut Report, object: &Value) {
    let mut controllers = 0;
    for (index, owner) in list(object, "metadata.ownerReferences").iter().enumerate() {
        for key in ["apiVersion", "kind", "name", "uid"] {
            if text(owner, key).is_empty() {
                report.invalid(format!("metadata.ownerReferences[{index}].{key}"), "", "must not be empty");
            }
        }
        controllers += usize::from(flag(owner, "controller"));
    }
    if controllers > 1 {
        let value = at(object, "metadata.ownerReferences").cloned().unwrap_or(Value::Null);
        report.invalid("metadata.ownerReferences", value, "Only one reference can have Controller set to true");
    }
}

/// A LabelSelector.
pub(super) fn selector(report: &mut Report, field: &str, selector: &Value) {
    labels(report, &format!("{field}.matchLabels"), selector.get("matchLabels"));
    for (index, expression) in list(selector, "matchExpressions").iter().enumerate() {
        let path = format!("{field}.matchExpressions[{index}]");
        report.check(&format!("{path}.key"), text(expression, "key"), names::qualified);
        let values = list(expression, "values");
        match text(expression, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                report.required(format!("{path}.values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                report.forbidden(format!("{path}.values"), why);
            }
            "Exists" | "DoesNotExist" => {}
            other => report.invalid(format!("{path}.operator"), other, "not a valid selector operator"),
        }
        for (at, value) in values.iter().enumerate() {
            report.check(&format!("{path}.values[{at}]"), value.as_str().unwrap_or(""), names::label_value);
        }
    }
}
