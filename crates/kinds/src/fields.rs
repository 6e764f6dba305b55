//! Field selectors: which fields a resource can be selected by, and their values.

use serde_json::Value;

use crate::json::{flag, text};
use crate::resource::{Model, Resource};

/// Fields of core/v1 Events. `source` is answered from `source.component`, or the reporting controller.
const CORE_EVENT: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

const NEW_EVENT: &[&str] = &[
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reason",
    "reportingController",
    "type",
];

const POD: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
    "spec.host",
];

fn names(model: Model) -> &'static [&'static str] {
    match model {
        Model::Pod => POD,
        Model::Node => &["spec.unschedulable"],
        Model::Service => &["spec.clusterIP", "spec.type"],
        Model::CoreEvent => CORE_EVENT,
        Model::NewEvent => NEW_EVENT,
        Model::Namespace => &["status.phase"],
        Model::Secret => &["type"],
        Model::ReplicaSet => &["status.replicas"],
        Model::IpAddress => &["spec.parentRef.name", "spec.parentRef.namespace"],
        _ => &[],
    }
}

/// Whether a selector may use `label`.
pub(crate) fn supported(resource: &Resource, label: &str) -> bool {
    match label {
        "metadata.name" => true,
        "metadata.namespace" => resource.namespaced,
        _ => names(resource.model).contains(&label),
    }
}

/// The value of each selectable field; `object` is in this resource's form.
pub(crate) fn values(model: Model, object: &Value) -> Vec<(&'static str, String)> {
    names(model).iter().map(|name| (*name, value(model, object, name))).collect()
}

fn value(model: Model, object: &Value, name: &str) -> String {
    match (model, name) {
        (Model::Pod, "spec.host") => text(object, "spec.nodeName").to_string(),
        (Model::Pod, "spec.hostNetwork") => flag(object, "spec.hostNetwork").to_string(),
        (Model::Pod, "status.podIPs") => {
            let ips: Vec<&str> = crate::json::list(object, "status.podIPs").iter().map(|ip| text(ip, "ip")).collect();
            ips.join(",")
        }
        (Model::Node, _) => flag(object, "spec.unschedulable").to_string(),
        (Model::ReplicaSet, _) => crate::json::int(object, name).unwrap_or(0).to_string(),
        (Model::CoreEvent, "source") => match text(object, "source.component") {
            "" => text(object, "reportingComponent").to_string(),
            component => component.to_string(),
        },
        _ => text(object, name).to_string(),
    }
}
