//! How long a pod stays on a node that wants it gone. Pure.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};

use super::health::{NOT_READY, UNREACHABLE};

/// What upstream's API server adds to every pod that does not speak of it (admission `DefaultTolerationSeconds`). Ours
/// does not, so a pod without a word is taken to have it.
const DEFAULT_PATIENCE: i64 = 300;

pub(super) fn threats(node: &Node) -> Vec<&Taint> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    taints.iter().filter(|taint| taint.effect == "NoExecute").collect()
}

/// The node has one of the taints of a node that is not ready, which drives pods out.
pub(super) fn is_threat(node: &Node) -> bool {
    !threats(node).is_empty()
}

pub(super) fn tolerations(pod: &Pod) -> &[Toleration] {
    pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default()
}

/// How long the pod may stay; `None` for ever.
pub(super) fn patience(node: &Node, pod: &Pod) -> Option<Duration> {
    let threats = threats(node);
    let given = tolerations(pod);
    let defaults = [NOT_READY, UNREACHABLE].into_iter().filter(|key| !given.iter().any(|given| speaks_of(given, key)));
    let all: Vec<Toleration> = given.iter().cloned().chain(defaults.map(default)).collect();
    let mut least = None;
    for taint in threats {
        // The first that fits is the one that counts.
        let Some(toleration) = all.iter().find(|toleration| tolerates(toleration, taint)) else {
            return Some(Duration::ZERO);
        };
        let seconds = toleration.toleration_seconds.map(|seconds| seconds.max(0).unsigned_abs());
        least = least.into_iter().chain(seconds).min();
    }
    least.map(Duration::from_secs)
}

fn speaks_of(toleration: &Toleration, key: &str) -> bool {
    let (own, effect) = (toleration.key.as_deref(), toleration.effect.as_deref());
    matches!(effect, None | Some("" | "NoExecute")) && own.is_none_or(|own| own.is_empty() || own == key)
}

fn default(key: &str) -> Toleration {
    Toleration {
        key: Some(key.into()),
        operator: Some("Exists".into()),
        effect: Some("NoExecute".into()),
        toleration_seconds: Some(DEFAULT_PATIENCE),
        value: None,
    }
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (key, effect) = (text(&toleration.key), text(&toleration.effect));
    let exists = toleration.operator.as_deref() == Some("Exists");
    (effect.is_empty() || effect == taint.effect)
        && (key == taint.key || key.is_empty() && exists)
        && (exists || text(&toleration.value) == text(&taint.value))
}
