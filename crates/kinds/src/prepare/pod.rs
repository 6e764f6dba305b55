//! New pods: phase, QoS class, and what admission adds upstream (service account, priority, default tolerations).

use serde_json::{Value, json};

use crate::json::{entries, list, object, set_default, set_default_text, text};
use crate::schema::quantity;

/// How long a pod stays on a node that is not ready or not reachable.
const TOLERATION_SECONDS: i64 = 300;

pub(super) fn create(pod: &mut Value) {
    let class = qos_class(pod);
    pod["status"] = json!({"phase": "Pending", "qosClass": class});
    let spec = object(pod, "spec");
    set_default_text(spec, "serviceAccountName", "default");
    let account = text(spec, "serviceAccountName").to_string();
    spec["serviceAccount"] = account.into();
    set_default(spec, "priority", 0);
    set_default(spec, "preemptionPolicy", "PreemptLowerPriority");
    tolerate("node.kubernetes.io/not-ready", spec);
    tolerate("node.kubernetes.io/unreachable", spec);
}

fn tolerate(taint: &str, spec: &mut Value) {
    let covered = list(spec, "tolerations").iter().any(|toleration| {
        let (key, effect) = (text(toleration, "key"), text(toleration, "effect"));
        (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
    });
    if covered {
        return;
    }
    if !spec["tolerations"].is_array() {
        spec["tolerations"] = json!([]);
    }
    if let Some(tolerations) = spec["tolerations"].as_array_mut() {
        tolerations.push(json!({
            "key": taint,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": TOLERATION_SECONDS,
        }));
    }
}

/// Guaranteed when every container's limits for CPU and memory are set and equal its requests, BestEffort when none
/// asks for anything, else Burstable.
fn qos_class(pod: &Value) -> &'static str {
    let containers = list(pod, "spec.containers").iter().chain(list(pod, "spec.initContainers"));
    let mut asks = false;
    let mut guaranteed = true;
    for container in containers {
        for resource in ["cpu", "memory"] {
            let amount = |kind: &str| {
                entries(container, &format!("resources.{kind}"))
                    .find(|(name, _)| *name == resource)
                    .and_then(|(_, amount)| quantity::parse(amount.as_str()?))
                    .filter(|amount| *amount > 0.0)
            };
            let (request, limit) = (amount("requests"), amount("limits"));
            asks |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request == limit;
        }
    }
    match (asks, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
