//! Rules of Deployments and ReplicaSets.
//!
//! Upstream: `pkg/apis/apps/validation/validation.go`.

use serde_json::Value;

use super::report::Report;
use super::{meta, pod};
use crate::json::{at, entries, int, list, same, text};

/// A Deployment.
pub(super) fn deployment(report: &mut Report, object: &Value) {
    let spec = &object["spec"];
    workload(report, spec);
    strategy(report, spec);
    report.not_negative("spec", spec, "revisionHistoryLimit");
    if let Some(deadline) = int(spec, "progressDeadlineSeconds") {
        report.not_negative("spec", spec, "progressDeadlineSeconds");
        if deadline <= int(spec, "minReadySeconds").unwrap_or(0) {
            report.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
        }
    }
}

/// A ReplicaSet.
pub(super) fn replica_set(report: &mut Report, object: &Value) {
    workload(report, &object["spec"]);
}

/// What may not change.
pub(super) fn update(report: &mut Report, new: &Value, old: &Value) {
    if !same(at(new, "spec.selector"), at(old, "spec.selector")) {
        let value = at(new, "spec.selector").cloned().unwrap_or(Value::Null);
        report.invalid("spec.selector", value, "field is immutable");
    }
}

/// Status counts.
pub(super) fn status(report: &mut Report, object: &Value) {
    let status = &object["status"];
    let total = int(status, "replicas").unwrap_or(0);
    for key in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "fullyLabeledReplicas"] {
        report.not_negative("status", status, key);
        if let Some(count) = int(status, key).filter(|count| *count > total) {
            report.invalid(format!("status.{key}"), count, "cannot be greater than status.replicas");
        }
    }
    let available = int(status, "availableReplicas").unwrap_or(0);
    if available > int(status, "readyReplicas").unwrap_or(0) {
        report.invalid("status.availableReplicas", available, "cannot be greater than readyReplicas");
    }
}

fn workload(report: &mut Report, spec: &Value) {
    report.not_negative("spec", spec, "replicas");
    report.not_negative("spec", spec, "minReadySeconds");
    match spec.get("selector") {
        None => report.required("spec.selector", ""),
        Some(selector) => {
            meta::selector(report, "spec.selector", selector);
            if same(Some(selector), None) {
                // Upstream says so for ReplicaSets as well.
                let why = "empty selector is invalid for deployment";
                report.invalid("spec.selector", selector.clone(), why);
            } else if !matches(selector, &spec["template"]) {
                let labels = at(spec, "template.metadata.labels").cloned().unwrap_or(Value::Null);
                let why = "`selector` does not match template `labels`";
                report.invalid("spec.template.metadata.labels", labels, why);
            }
        }
    }
    template(report, &spec["template"]);
}

fn template(report: &mut Report, template: &Value) {
    let path = "spec.template.metadata";
    meta::labels(report, &format!("{path}.labels"), at(template, "metadata.labels"));
    meta::annotations(report, &format!("{path}.annotations"), at(template, "metadata.annotations"));
    pod::spec(report, "spec.template.spec", &template["spec"]);
    let restart = text(template, "spec.restartPolicy");
    if !restart.is_empty() && restart != "Always" {
        report.unsupported("spec.template.spec.restartPolicy", restart, &["Always"]);
    }
    if at(template, "spec.activeDeadlineSeconds").is_some() {
        let why = "activeDeadlineSeconds in ReplicaSet is not Supported";
        report.forbidden("spec.template.spec.activeDeadlineSeconds", why);
    }
}

/// Whether a selector selects the pods of a template.
fn matches(selector: &Value, template: &Value) -> bool {
    let label = |key: &str| entries(template, "metadata.labels").find(|(k, _)| *k == key).map(|(_, value)| value);
    let labels = entries(selector, "matchLabels").all(|(key, value)| label(key) == Some(value));
    labels
        && list(selector, "matchExpressions").iter().all(|expression| {
            let found = label(text(expression, "key"));
            let listed = found.is_some_and(|value| list(expression, "values").contains(value));
            match text(expression, "operator") {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

fn strategy(report: &mut Report, spec: &Value) {
    let strategy = &spec["strategy"];
    let path = "spec.strategy.rollingUpdate";
    match (text(strategy, "type"), strategy.get("rollingUpdate")) {
        ("Recreate", Some(_)) => report.forbidden(path, "may not be specified when strategy `type` is 'Recreate'"),
        ("Recreate", None) => {}
        ("RollingUpdate", None) => report.required(path, "this should be defaulted and never be nil"),
        ("RollingUpdate", Some(rolling)) => {
            let unavailable = amount(report, &format!("{path}.maxUnavailable"), rolling.get("maxUnavailable"));
            let surge = amount(report, &format!("{path}.maxSurge"), rolling.get("maxSurge"));
            if unavailable == Some(0) && surge == Some(0) {
                let value = rolling["maxUnavailable"].clone();
                report.invalid(format!("{path}.maxUnavailable"), value, "may not be 0 when `maxSurge` is 0");
            }
            let percent = rolling["maxUnavailable"].is_string();
            if percent && unavailable.is_some_and(|n| n > 100) {
                let value = rolling["maxUnavailable"].clone();
                report.invalid(format!("{path}.maxUnavailable"), value, "must not be greater than 100%");
            }
        }
        _ => report.unsupported("spec.strategy", strategy.clone(), &["Recreate", "RollingUpdate"]),
    }
}

/// A count or a percentage, as a number.
fn amount(report: &mut Report, path: &str, value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::String(text) => match text.strip_suffix('%').and_then(|digits| digits.parse::<u32>().ok()) {
            Some(percent) => Some(percent.into()),
            None => {
                let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                report.invalid(path, text.as_str(), why);
                None
            }
        },
        number => {
            let number = number.as_i64().unwrap_or(0);
            if number < 0 {
                report.invalid(path, number, "must be greater than or equal to 0");
            }
            Some(number)
        }
    }
}
