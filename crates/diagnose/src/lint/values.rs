//! What the API server would refuse: its own decoding, defaults and validation, run on the manifest.
//! For kinds that this repository's API server knows; of others only the types of fields are checked.

use portolan_kinds::{DecodeError, FieldValidation, by_kind};
use serde_json::Value;

use super::{Sink, objects::Object, world::World};
use crate::words::words;

/// APIs that are gone: what they were replaced by, and the first version without them.
const REMOVED: [(&str, &str, &str, &str); 12] = [
    ("extensions/v1beta1", "Deployment", "apps/v1", "1.16"),
    ("extensions/v1beta1", "DaemonSet", "apps/v1", "1.16"),
    ("extensions/v1beta1", "ReplicaSet", "apps/v1", "1.16"),
    ("extensions/v1beta1", "NetworkPolicy", "networking.k8s.io/v1", "1.16"),
    ("extensions/v1beta1", "Ingress", "networking.k8s.io/v1", "1.22"),
    ("apps/v1beta1", "Deployment", "apps/v1", "1.16"),
    ("apps/v1beta1", "StatefulSet", "apps/v1", "1.16"),
    ("apps/v1beta2", "Deployment", "apps/v1", "1.16"),
    ("apps/v1beta2", "StatefulSet", "apps/v1", "1.16"),
    ("apps/v1beta2", "DaemonSet", "apps/v1", "1.16"),
    ("networking.k8s.io/v1beta1", "Ingress", "networking.k8s.io/v1", "1.22"),
    ("discovery.k8s.io/v1beta1", "EndpointSlice", "discovery.k8s.io/v1", "1.25"),
];

pub(super) fn check(world: &World<'_>, sink: &mut Sink) {
    for object in world.objects {
        unquoted(object, sink);
        removed(object, sink);
        let before = sink.problems.len();
        let (group, version) = object.api_version.split_once('/').unwrap_or(("", &object.api_version));
        if let Some(resource) = by_kind(group, version, &object.kind) {
            refused(object, resource, sink);
        }
        let wrong = sink.problems.len() > before;
        if names_placeholder(object) || (wrong && has_placeholder(&object.value)) {
            // What the placeholder will become cannot be judged, nor what is around it.
            sink.problems.truncate(before);
            templated(object, sink);
        }
    }
    for (object, why) in &world.misfits {
        let (group, version) = object.api_version.split_once('/').unwrap_or(("", &object.api_version));
        // The others have been told better already.
        if by_kind(group, version, &object.kind).is_none() && !has_placeholder(&object.value) {
            let kind = &object.kind;
            let message = words!("not a {kind}: {why}", "不是有效的 {kind}：{why}");
            sink.about("manifest-wrong-type", object, "", message, None);
        }
    }
}

fn removed(object: &Object, sink: &mut Sink) {
    let gone = REMOVED.iter().find(|(api, kind, ..)| *api == object.api_version && *kind == object.kind);
    let Some((api, kind, successor, since)) = gone else { return };
    let message =
        words!("{kind} of {api} is gone since Kubernetes {since}", "{api} 的 {kind} 自 Kubernetes {since} 起已移除");
    let remedy = words!("Use {successor}.", "改用 {successor}。");
    sink.about("manifest-api-removed", object, "apiVersion", message, Some(remedy));
}

/// Values that were read as a number or a truth value where only text may stand.
fn unquoted(object: &Object, sink: &mut Sink) {
    for (field, text) in &object.unquoted {
        let message = words!("{text} is no text here without quotes", "{text} 不加引号就不是字符串");
        let remedy = words!("Write \"{text}\" in quotes.", "请加引号：\"{text}\"。");
        sink.about("manifest-wrong-type", object, field, message, Some(remedy));
    }
}

/// Whether what identifies or wires the object is still a placeholder: such quotes survive parsing and validation.
fn names_placeholder(object: &Object) -> bool {
    let metadata = &object.value["metadata"];
    let spec = if object.kind == "Service" { &object.value["spec"] } else { &Value::Null };
    [&metadata["name"], &metadata["namespace"], &metadata["labels"], spec].into_iter().any(has_placeholder)
}

fn templated(object: &Object, sink: &mut Sink) {
    let message = words!("a placeholder {{{{ }}}} is still in it", "其中仍有占位符 {{{{ }}}}");
    let remedy =
        words!("Render it first and lint what comes out: portolan lint -", "先渲染，再检查输出：portolan lint -");
    sink.about("template-not-rendered", object, "", message, Some(remedy));
}

fn has_placeholder(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(items) => items.iter().any(has_placeholder),
        Value::Object(fields) => fields.values().any(has_placeholder),
        _ => false,
    }
}

fn refused(object: &Object, resource: &portolan_kinds::Resource, sink: &mut Sink) {
    let mut value = object.value.clone();
    match resource.decode(&mut value, FieldValidation::Warn) {
        Ok(warnings) => {
            for path in warnings.iter().filter_map(|warning| warning.split('"').nth(1)) {
                unknown_field(object, path, sink);
            }
        }
        Err(DecodeError::Type { problem, .. }) => {
            let field = go_path(&problem);
            let message = words!("the API server cannot read this: {problem}", "API server 无法读取：{problem}");
            return sink.about("manifest-wrong-type", object, &field, message, None);
        }
        Err(error) => {
            let message = words!("the API server refuses this: {error}", "API server 会拒绝：{error}");
            return sink.about("manifest-invalid", object, "", message, None);
        }
    }
    if resource.namespaced {
        value["metadata"]["namespace"] = Value::from(object.key.namespace.as_str());
    }
    resource.default(&mut value);
    resource.prepare_create(&mut value);
    for error in resource.validate_create(&value) {
        let (field, detail) = (&error.field, &error.detail);
        let message = words!("the API server refuses this: {field}: {detail}", "API server 会拒绝：{field}: {detail}");
        sink.about("manifest-invalid", object, field, message, None);
    }
}

fn unknown_field(object: &Object, path: &str, sink: &mut Sink) {
    if (object.kind.as_str(), path) == ("Service", "spec.topologyKeys") {
        let message =
            words!("spec.topologyKeys was removed in Kubernetes 1.22", "spec.topologyKeys 已在 Kubernetes 1.22 中移除");
        let remedy = words!(
            "Use spec.trafficDistribution: PreferSameZone, or internalTrafficPolicy: Local.",
            "改用 spec.trafficDistribution: PreferSameZone，或 internalTrafficPolicy: Local。"
        );
        return sink.about("manifest-unknown-field", object, path, message, Some(remedy));
    }
    let kind = &object.kind;
    let message = words!("{kind} has no field {path}", "{kind} 没有字段 {path}");
    let remedy = words!(
        "kubectl refuses it; without validation the API server drops it silently.",
        "kubectl 会拒绝；关闭校验时 API server 会默默丢弃它。"
    );
    sink.about("manifest-unknown-field", object, path, message, Some(remedy));
}

/// `... Go struct field ServiceSpec.spec.ports.port of type int32` -> `spec.ports.port`.
fn go_path(problem: &str) -> String {
    let field = problem.split("Go struct field ").nth(1).and_then(|rest| rest.split(" of type").next());
    field.and_then(|field| field.split_once('.')).map(|(_, path)| path.to_owned()).unwrap_or_default()
}
