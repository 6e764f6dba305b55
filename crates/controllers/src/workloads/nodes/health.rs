//! What a node's conditions say, and what follows for its conditions and taints. Pure.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Node, NodeCondition, Pod, Taint},
    apimachinery::pkg::apis::meta::v1::Time,
};

/// The taint of a node that says that it is not ready.
pub(super) const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// The taint of a node that says nothing.
pub(super) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// The taint of a node that was cordoned.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Conditions that nobody knows of a silent node.
const REPORTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// Conditions that keep new pods away: type, status, taint.
const TAINTING: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// The node's condition Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// It has none yet.
    Never,
    True,
    False,
    Unknown,
}

fn conditions(node: &Node) -> &[NodeCondition] {
    node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}

fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    conditions(node).iter().find(|condition| condition.type_ == kind)
}

pub(super) fn ready(node: &Node) -> Ready {
    match condition(node, "Ready").map(|condition| condition.status.as_str()) {
        None => Ready::Never,
        Some("True") => Ready::True,
        Some("False") => Ready::False,
        Some(_) => Ready::Unknown,
    }
}

/// When the node last posted its state, by its own clock: only good for telling that it did so again.
pub(super) fn heartbeat(node: &Node) -> Option<&Time> {
    condition(node, "Ready")?.last_heartbeat_time.as_ref()
}

/// The conditions of a node that is silent: what is known of it is not known any more.
pub(super) fn silenced(node: &Node, now: Timestamp) -> Vec<NodeCondition> {
    let unknown = |kind: &str| {
        let (reason, message) = match condition(node, kind) {
            Some(held) if held.status == "Unknown" => return None,
            Some(_) => ("NodeStatusUnknown", "Kubelet stopped posting node status."),
            None => ("NodeStatusNeverUpdated", "Kubelet never posted node status."),
        };
        let heartbeat = match condition(node, kind) {
            Some(held) => held.last_heartbeat_time.clone(),
            None => node.metadata.creation_timestamp.clone(),
        };
        Some(NodeCondition {
            type_: kind.into(),
            status: "Unknown".into(),
            reason: Some(reason.into()),
            message: Some(message.into()),
            last_heartbeat_time: heartbeat,
            last_transition_time: Some(Time(now)),
        })
    };
    REPORTED.into_iter().filter_map(unknown).collect()
}

/// The taint that drives pods out of a node in this state.
pub(super) fn threat(ready: Ready) -> Option<&'static str> {
    match ready {
        Ready::False => Some(NOT_READY),
        Ready::Unknown => Some(UNREACHABLE),
        Ready::Never | Ready::True => None,
    }
}

/// The taints that the node should have, with `threat` as the one that drives pods out; `None` if it has them.
pub(super) fn taints(node: &Node, threat: Option<&str>) -> Option<Vec<Taint>> {
    let spec = node.spec.as_ref();
    let held = spec.and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let state = conditions(node).iter().filter_map(|condition| {
        let row = TAINTING.iter().find(|(kind, status, _)| condition.type_ == *kind && condition.status == *status);
        row.map(|(_, _, taint)| (*taint, "NoSchedule"))
    });
    let cordoned = spec.is_some_and(|spec| spec.unschedulable == Some(true));
    let cordon = cordoned.then_some((UNSCHEDULABLE, "NoSchedule"));
    let wanted: Vec<(&str, &str)> = state.chain(cordon).chain(threat.map(|threat| (threat, "NoExecute"))).collect();

    let is = |taint: &Taint, (key, effect): (&str, &str)| taint.key == key && taint.effect == effect;
    let kept = held.iter().filter(|taint| !is_ours(taint) || wanted.iter().any(|wanted| is(taint, *wanted)));
    let mut taints: Vec<Taint> = kept.cloned().collect();
    let missing = wanted.iter().filter(|wanted| !held.iter().any(|taint| is(taint, **wanted)));
    taints.extend(missing.map(|(key, effect)| Taint {
        key: (*key).into(),
        effect: (*effect).into(),
        time_added: Some(Time(Timestamp::now())),
        value: None,
    }));
    (taints.len() != held.len() || taints.iter().zip(held).any(|(new, old)| new != old)).then_some(taints)
}

/// A taint that only this controller sets and removes.
fn is_ours(taint: &Taint) -> bool {
    let key = taint.key.as_str();
    match taint.effect.as_str() {
        "NoSchedule" => key == UNSCHEDULABLE || TAINTING.iter().any(|(_, _, taint)| *taint == key),
        "NoExecute" => [NOT_READY, UNREACHABLE].contains(&key),
        _ => false,
    }
}

/// The pod has a condition Ready that does not say False.
pub(super) fn counts_as_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status != "False")
}
