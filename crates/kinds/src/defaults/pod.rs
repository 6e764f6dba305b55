//! Defaults of pod specs, in Pods and in templates.

use serde_json::{Value, json};

use crate::json::{flag, int, items_mut, object, set_default, set_default_text, text};

/// 0644: mode of files projected from ConfigMaps and Secrets.
const FILE_MODE: i64 = 0o644;

/// Defaults of any pod spec.
pub(super) fn spec(spec: &mut Value) {
    set_default_text(spec, "dnsPolicy", "ClusterFirst");
    set_default_text(spec, "restartPolicy", "Always");
    set_default_text(spec, "schedulerName", "default-scheduler");
    set_default(spec, "securityContext", json!({}));
    set_default(spec, "terminationGracePeriodSeconds", 30);
    mirror_service_account(spec);
    let host_network = flag(spec, "hostNetwork");
    for key in ["initContainers", "containers", "ephemeralContainers"] {
        for each in items_mut(spec, key) {
            container(each, host_network);
        }
    }
    items_mut(spec, "volumes").for_each(volume);
}

/// Defaults of Pods that templates do not get.
pub(super) fn pod_only(spec: &mut Value) {
    set_default(spec, "enableServiceLinks", true);
    for key in ["initContainers", "containers"] {
        for each in items_mut(spec, key) {
            requests_from_limits(each);
        }
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are served.
fn mirror_service_account(spec: &mut Value) {
    let name = match text(spec, "serviceAccountName") {
        "" => text(spec, "serviceAccount"),
        name => name,
    };
    if !name.is_empty() {
        let name = name.to_string();
        spec["serviceAccountName"] = name.clone().into();
        spec["serviceAccount"] = name.into();
    }
}

fn container(container: &mut Value, host_network: bool) {
    let policy = if pulls_always(text(container, "image")) { "Always" } else { "IfNotPresent" };
    set_default_text(container, "imagePullPolicy", policy);
    set_default_text(container, "terminationMessagePath", "/dev/termination-log");
    set_default_text(container, "terminationMessagePolicy", "File");
    set_default(container, "resources", json!({}));
    for port in items_mut(container, "ports") {
        set_default_text(port, "protocol", "TCP");
        if host_network && let Some(number) = int(port, "containerPort") {
            set_default(port, "hostPort", number);
        }
    }
    for variable in items_mut(container, "env") {
        if let Some(reference) = crate::json::at_mut(variable, "valueFrom.fieldRef") {
            set_default_text(reference, "apiVersion", "v1");
        }
    }
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = container.get_mut(key).filter(|p| p.is_object()) {
            probe(found);
        }
    }
    for hook in ["lifecycle.postStart.httpGet", "lifecycle.preStop.httpGet"] {
        if let Some(get) = crate::json::at_mut(container, hook) {
            http_get(get);
        }
    }
}

/// An image is pulled always when its tag is `latest`, said or not. A digest pins it.
fn pulls_always(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn probe(probe: &mut Value) {
    for (key, default) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        if int(probe, key).unwrap_or(0) == 0 {
            crate::json::put(probe, key, Some(default.into()));
        }
    }
    if let Some(get) = probe.get_mut("httpGet") {
        http_get(get);
    }
    if let Some(grpc) = probe.get_mut("grpc") {
        set_default(grpc, "service", "");
    }
}

fn http_get(get: &mut Value) {
    set_default_text(get, "path", "/");
    set_default_text(get, "scheme", "HTTP");
}

fn volume(volume: &mut Value) {
    if volume.as_object().is_some_and(|map| map.keys().all(|key| key == "name")) {
        volume["emptyDir"] = json!({});
    }
    for key in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(key).filter(|s| s.is_object()) {
            set_default(source, "defaultMode", FILE_MODE);
        }
    }
    if let Some(path) = volume.get_mut("hostPath").filter(|p| p.is_object()) {
        set_default(path, "type", "");
    }
    if let Some(source) = volume.get_mut("downwardAPI") {
        items_mut(source, "items").for_each(downward_item);
    }
    if let Some(projected) = volume.get_mut("projected") {
        for source in items_mut(projected, "sources") {
            if let Some(token) = source.get_mut("serviceAccountToken").filter(|t| t.is_object()) {
                set_default(token, "expirationSeconds", 3600);
            }
            if let Some(downward) = source.get_mut("downwardAPI") {
                items_mut(downward, "items").for_each(downward_item);
            }
        }
    }
}

fn downward_item(item: &mut Value) {
    if let Some(reference) = item.get_mut("fieldRef").filter(|r| r.is_object()) {
        set_default_text(reference, "apiVersion", "v1");
    }
}

/// A limit without a request is also the request.
fn requests_from_limits(container: &mut Value) {
    let Some(Value::Object(limits)) = crate::json::at(container, "resources.limits").cloned() else {
        return;
    };
    let requests = object(object(container, "resources"), "requests");
    for (name, amount) in limits {
        set_default(requests, &name, amount);
    }
}
