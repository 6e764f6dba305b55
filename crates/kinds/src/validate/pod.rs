//! Rules of pod specs, in Pods and in templates.
//!
//! Upstream: `pkg/apis/core/validation/validation.go`, `ValidatePodSpec` and friends. What needs a container runtime
//! (security contexts, devices, user namespaces) is not checked: the node agent does not act on it.

use serde_json::{Value, json};

use super::report::Report;
use super::{meta, names, probe};
use crate::json::{at, entries, flag, int, list, same, text};
use crate::schema::quantity;

const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const IMMUTABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// A pod spec; `path` is `spec` or `spec.template.spec`.
pub(super) fn spec(report: &mut Report, path: &str, spec: &Value) {
    let volumes = volumes(report, path, spec);
    if list(spec, "containers").is_empty() {
        report.required(format!("{path}.containers"), "");
    }
    let mut seen: Vec<&str> = Vec::new();
    for key in ["initContainers", "containers"] {
        for (index, each) in list(spec, key).iter().enumerate() {
            let field = format!("{path}.{key}[{index}]");
            container(report, &field, each, flag(spec, "hostNetwork"), &volumes);
            let name = text(each, "name");
            if !name.is_empty() && seen.contains(&name) {
                report.duplicate(format!("{field}.name"), name);
            }
            seen.push(name);
        }
    }
    host_ports(report, path, spec);
    policies(report, path, spec);
    naming(report, path, spec);
    tolerations(report, path, spec);
}

/// What may not change in a Pod: nearly everything.
pub(super) fn update(report: &mut Report, new: &Value, old: &Value) {
    let (after, before) = (list(new, "spec.containers").len(), list(old, "spec.containers").len());
    if after != before {
        report.forbidden("spec.containers", "pod updates may not add or remove containers");
        return;
    }
    deadline(report, int(new, "spec.activeDeadlineSeconds"), int(old, "spec.activeDeadlineSeconds"));
    let kept = list(new, "spec.tolerations");
    if !list(old, "spec.tolerations").iter().all(|old| kept.iter().any(|new| same_but_seconds(new, old))) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        report.forbidden("spec.tolerations", why);
    }
    if !same(Some(&comparable(&new["spec"])), Some(&comparable(&old["spec"]))) {
        report.forbidden("spec", IMMUTABLE);
    }
}

/// Pod status: phases are a closed set.
pub(super) fn status(report: &mut Report, pod: &Value) {
    let phases = &["Failed", "Pending", "Running", "Succeeded", "Unknown"];
    report.one_of("status.phase", text(pod, "status.phase"), phases);
    for (index, ip) in list(pod, "status.podIPs").iter().enumerate() {
        report.check(&format!("status.podIPs[{index}].ip"), text(ip, "ip"), names::ip);
    }
}

/// A deadline may come or come nearer, not go.
fn deadline(report: &mut Report, new: Option<i64>, old: Option<i64>) {
    let path = "spec.activeDeadlineSeconds";
    match (new, old) {
        (None, Some(_)) => report.invalid(path, Value::Null, "must not update from a positive integer to nil value"),
        (Some(new), Some(old)) if new > old => {
            report.invalid(path, new, "must be less than or equal to previous value");
        }
        _ => {}
    }
}

fn same_but_seconds(a: &Value, b: &Value) -> bool {
    ["key", "operator", "value", "effect"].iter().all(|key| text(a, key) == text(b, key))
}

/// A pod spec without the fields that may change. Upstream lets the grace period change from a negative value to 1 only;
/// those are refused here from the start.
fn comparable(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for key in ["containers", "initContainers"] {
        for container in crate::json::items_mut(&mut spec, key) {
            crate::json::take(container, "image");
        }
    }
    for key in ["activeDeadlineSeconds", "tolerations"] {
        crate::json::take(&mut spec, key);
    }
    spec
}

fn container(report: &mut Report, path: &str, container: &Value, host_network: bool, volumes: &[&str]) {
    match text(container, "name") {
        "" => report.required(format!("{path}.name"), ""),
        name => report.check(&format!("{path}.name"), name, names::label),
    }
    let image = text(container, "image");
    if image.is_empty() {
        report.required(format!("{path}.image"), "");
    } else if image.trim() != image {
        report.invalid(format!("{path}.image"), image, "must not have leading or trailing whitespace");
    }
    let pulls = &["Always", "IfNotPresent", "Never"];
    report.one_of(&format!("{path}.imagePullPolicy"), text(container, "imagePullPolicy"), pulls);
    ports(report, path, container, host_network);
    environment(report, path, container);
    mounts(report, path, container, volumes);
    resources(report, path, container);
    probe::container(report, path, container);
}

fn ports(report: &mut Report, path: &str, container: &Value, host_network: bool) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, port) in list(container, "ports").iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            report.check(&format!("{path}.name"), name, names::port_name);
            if seen.contains(&name) {
                report.duplicate(format!("{path}.name"), name);
            }
            seen.push(name);
        }
        match int(port, "containerPort") {
            None | Some(0) => report.required(format!("{path}.containerPort"), ""),
            Some(number) => report.port(format!("{path}.containerPort"), number),
        }
        if let Some(host) = int(port, "hostPort").filter(|n| *n != 0) {
            report.port(format!("{path}.hostPort"), host);
            if host_network && int(port, "containerPort") != Some(host) {
                report.invalid(
                    format!("{path}.containerPort"),
                    int(port, "containerPort").unwrap_or(0),
                    "must match `hostPort` when `hostNetwork` is true",
                );
            }
        }
        report.needs_one_of(&format!("{path}.protocol"), text(port, "protocol"), PROTOCOLS);
    }
}

/// Two containers of a pod cannot have the same port of the node.
fn host_ports(report: &mut Report, path: &str, spec: &Value) {
    let mut seen: Vec<(i64, &str, &str)> = Vec::new();
    for (index, container) in list(spec, "containers").iter().enumerate() {
        for (at, port) in list(container, "ports").iter().enumerate() {
            let Some(host) = int(port, "hostPort").filter(|n| *n != 0) else {
                continue;
            };
            let claim = (host, text(port, "protocol"), text(port, "hostIP"));
            if seen.contains(&claim) {
                let value = format!("{}/{}/{host}", claim.1, claim.2);
                report.duplicate(format!("{path}.containers[{index}].ports[{at}].hostPort"), value);
            }
            seen.push(claim);
        }
    }
}

fn environment(report: &mut Report, path: &str, container: &Value) {
    for (index, variable) in list(container, "env").iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        match text(variable, "name") {
            "" => report.required(format!("{path}.name"), ""),
            name => report.check(&format!("{path}.name"), name, names::env_name),
        }
        let Some(source) = variable.get("valueFrom").and_then(Value::as_object) else {
            continue;
        };
        let path = format!("{path}.valueFrom");
        if source.is_empty() {
            report.invalid(
                path,
                "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
            );
        } else if !text(variable, "value").is_empty() {
            report.invalid(path, "", "may not be specified when `value` is not empty");
        } else if source.len() > 1 {
            report.invalid(path, "", "may not have more than one field specified at a time");
        }
    }
}

fn mounts(report: &mut Report, path: &str, container: &Value, volumes: &[&str]) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        let name = text(mount, "name");
        if name.is_empty() {
            report.required(format!("{path}.name"), "");
        } else if !volumes.contains(&name) {
            report.not_found(format!("{path}.name"), name);
        }
        let mount_path = text(mount, "mountPath");
        if mount_path.is_empty() {
            report.required(format!("{path}.mountPath"), "");
        } else if seen.contains(&mount_path) {
            report.invalid(format!("{path}.mountPath"), mount_path, "must be unique");
        }
        seen.push(mount_path);
    }
}

fn resources(report: &mut Report, path: &str, container: &Value) {
    let amount = |value: &Value| value.as_str().and_then(quantity::parse);
    for kind in ["limits", "requests"] {
        for (name, value) in entries(container, &format!("resources.{kind}")) {
            let field = format!("{path}.resources.{kind}");
            if amount(value).is_none_or(|n| n < 0.0) {
                report.invalid(format!("{field}[{name}]"), value.clone(), "must be greater than or equal to 0");
            }
            let limit = entries(container, "resources.limits").find(|(key, _)| *key == name).map(|(_, limit)| limit);
            if kind == "requests"
                && let Some(limit) = limit
                && amount(value) > amount(limit)
            {
                let shown = limit.as_str().unwrap_or("");
                report.invalid(field, value.clone(), &format!("must be less than or equal to {name} limit of {shown}"));
            }
        }
    }
}

/// Checks volumes and gives their names.
fn volumes<'a>(report: &mut Report, path: &str, spec: &'a Value) -> Vec<&'a str> {
    let mut seen: Vec<&str> = Vec::new();
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let path = format!("{path}.volumes[{index}]");
        let name = text(volume, "name");
        if name.is_empty() {
            report.required(format!("{path}.name"), "");
        } else {
            report.check(&format!("{path}.name"), name, names::label);
        }
        if !name.is_empty() && seen.contains(&name) {
            report.duplicate(format!("{path}.name"), name);
        }
        seen.push(name);
        let sources: Vec<&String> =
            volume.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| *key != "name").collect();
        if sources.is_empty() {
            report.required(path.clone(), "must specify a volume type");
        }
        for extra in sources.iter().skip(1) {
            report.forbidden(format!("{path}.{extra}"), "may not specify more than 1 volume type");
        }
    }
    seen
}

fn policies(report: &mut Report, path: &str, spec: &Value) {
    let restarts = &["Always", "Never", "OnFailure"];
    report.needs_one_of(&format!("{path}.restartPolicy"), text(spec, "restartPolicy"), restarts);
    let dns = &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
    report.needs_one_of(&format!("{path}.dnsPolicy"), text(spec, "dnsPolicy"), dns);
    let servers = list(spec, "dnsConfig.nameservers");
    if text(spec, "dnsPolicy") == "None" && servers.is_empty() {
        let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        report.required(format!("{path}.dnsConfig.nameservers"), why);
    }
    if servers.len() > 3 {
        let why = "must not have more than 3 nameservers";
        report.invalid(format!("{path}.dnsConfig.nameservers"), servers.to_vec(), why);
    }
    for (index, server) in servers.iter().enumerate() {
        let field = format!("{path}.dnsConfig.nameservers[{index}]");
        report.check(&field, server.as_str().unwrap_or(""), names::ip);
    }
    report.not_negative(path, spec, "terminationGracePeriodSeconds");
    if let Some(seconds) = int(spec, "activeDeadlineSeconds").filter(|n| *n < 1) {
        let why = "must be between 1 and 2147483647, inclusive";
        report.invalid(format!("{path}.activeDeadlineSeconds"), seconds, why);
    }
    meta::labels(report, &format!("{path}.nodeSelector"), spec.get("nodeSelector"));
}

fn naming(report: &mut Report, path: &str, spec: &Value) {
    for (key, rule) in [
        ("hostname", names::label as fn(&str) -> Vec<String>),
        ("subdomain", names::label),
        ("serviceAccountName", names::subdomain),
        ("nodeName", names::subdomain),
        ("schedulerName", names::subdomain),
    ] {
        let value = text(spec, key);
        if !value.is_empty() {
            report.check(&format!("{path}.{key}"), value, rule);
        }
    }
    for (index, alias) in list(spec, "hostAliases").iter().enumerate() {
        report.check(&format!("{path}.hostAliases[{index}].ip"), text(alias, "ip"), names::ip);
    }
    for (index, gate) in list(spec, "readinessGates").iter().enumerate() {
        let field = format!("{path}.readinessGates[{index}].conditionType");
        report.check(&field, text(gate, "conditionType"), names::qualified);
    }
}

fn tolerations(report: &mut Report, path: &str, spec: &Value) {
    for (index, toleration) in list(spec, "tolerations").iter().enumerate() {
        let path = format!("{path}.tolerations[{index}]");
        let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
        if !key.is_empty() {
            report.check(&format!("{path}.key"), key, names::qualified);
        } else if operator != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            report.invalid(format!("{path}.operator"), operator, why);
        }
        report.one_of(&format!("{path}.operator"), operator, &["Equal", "Exists"]);
        if operator == "Exists" && !text(toleration, "value").is_empty() {
            let why = "value must be empty when `operator` is 'Exists'";
            report.invalid(format!("{path}.operator"), json!(text(toleration, "value")), why);
        }
        let effect = text(toleration, "effect");
        report.one_of(&format!("{path}.effect"), effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        if at(toleration, "tolerationSeconds").is_some() && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            report.invalid(format!("{path}.effect"), effect, why);
        }
    }
}
