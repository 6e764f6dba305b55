//! Which node a pod goes to, or why to none. Pure.
//!
//! A node is fit if it is ready, takes pods, is selected, tolerated, has the pod's host ports free, and has room for what
//! the pod requests. Among the fit ones the pod goes where the fewest pods of the same owner are, then where the fewest pods are, then by name.
//! Upstream: `pkg/scheduler/framework/plugins/{nodeaffinity,nodeports,noderesources,nodeunschedulable,tainttoleration}`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, Taint, Toleration};
use portolan_objects::Resources;

use super::usage::{Share, Used};

/// A node and what is taken there.
pub(super) struct Place<'a> {
    pub node: &'a Node,
    pub used: &'a Used,
}

/// What becomes of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    Bind(String),
    /// No node; the text of the event and the condition.
    Unschedulable(String),
}

pub(super) fn decide(pod: &Pod, places: &[Place<'_>]) -> Decision {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let share = Share::of(pod);
    let mut best = None;
    for place in places {
        let against = unfit(pod, &share, place);
        if !against.is_empty() {
            against.into_iter().for_each(|reason| *reasons.entry(reason).or_default() += 1);
            continue;
        }
        let siblings = place.used.siblings(share.owner.as_deref());
        let rank = (siblings, place.used.pods, place.node.metadata.name.clone().unwrap_or_default());
        if best.as_ref().is_none_or(|best| rank < *best) {
            best = Some(rank);
        }
    }
    match best {
        Some((_, _, name)) => Decision::Bind(name),
        None => Decision::Unschedulable(explain(places.len(), &reasons)),
    }
}

fn explain(nodes: usize, reasons: &BTreeMap<String, usize>) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".into();
    }
    let mut counted: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    counted.sort();
    format!("0/{nodes} nodes are available: {}.", counted.join(", "))
}

/// Why the pod cannot go there: the first reason in upstream's order of plugins, or everything that is short.
fn unfit(pod: &Pod, share: &Share, place: &Place<'_>) -> Vec<String> {
    match refusal(pod, share, place) {
        Some(reason) => vec![reason],
        None => shortages(&share.requests, place),
    }
}

fn refusal(pod: &Pod, share: &Share, place: &Place<'_>) -> Option<String> {
    let node = place.node;
    let spec = node.spec.clone().unwrap_or_default();
    if spec.unschedulable == Some(true) {
        return Some("node(s) were unschedulable".into());
    }
    if !is_ready(node) {
        return Some("node(s) were not ready".into());
    }
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    if let Some(taint) = spec.taints.iter().flatten().find(|taint| repels(taint, tolerations)) {
        let value = taint.value.as_deref().unwrap_or_default();
        return Some(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key));
    }
    if !is_selected(pod, node) {
        return Some("node(s) didn't match Pod's node affinity/selector".into());
    }
    if share.ports.iter().any(|port| place.used.ports.iter().any(|taken| port.conflicts(taken))) {
        return Some("node(s) didn't have free ports for the requested pod ports".into());
    }
    None
}

/// What the node has too little of. What it does not speak of it does not have, except that it then takes any number of
/// pods. Nobody here measures disks, so `ephemeral-storage` is not looked at.
fn shortages(requests: &Resources, place: &Place<'_>) -> Vec<String> {
    let allocatable = Resources::of_list(place.node.status.as_ref().and_then(|status| status.allocatable.as_ref()));
    let pods = allocatable.get("pods");
    let mut short = Vec::new();
    if pods > 0 && place.used.pods as u64 >= pods {
        short.push("Too many pods".to_owned());
    }
    for (name, wanted) in requests.iter().filter(|(name, _)| *name != "ephemeral-storage") {
        if place.used.requests.get(name).saturating_add(wanted) > allocatable.get(name) {
            short.push(format!("Insufficient {name}"));
        }
    }
    short
}

/// The condition Ready is True.
pub(super) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn repels(taint: &Taint, tolerations: &[Toleration]) -> bool {
    let hard = matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    hard && !tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let exists = toleration.operator.as_deref() == Some("Exists");
    (effect.is_empty() || effect == taint.effect)
        && (key == taint.key || (key.is_empty() && exists))
        && (exists || toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default())
}

fn is_selected(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = &pod.spec else { return true };
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let plain = spec.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let name = node.metadata.name.as_deref().unwrap_or_default();
    plain && required.is_none_or(|terms| terms.node_selector_terms.iter().any(|term| term_selects(term, &labels, name)))
}

fn term_selects(term: &NodeSelectorTerm, labels: &BTreeMap<String, String>, name: &str) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    // A term that asks for nothing selects nothing.
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|rule| rule_selects(rule, labels.get(&rule.key).map(String::as_str)))
        && fields.iter().all(|rule| rule_selects(rule, (rule.key == "metadata.name").then_some(name)))
}

fn rule_selects(rule: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = rule.values.as_deref().unwrap_or_default();
    let listed = value.is_some_and(|value| values.iter().any(|candidate| candidate == value));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let (left, right) = (number(value), number(values.first().map(String::as_str)));
    match rule.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => left.zip(right).is_some_and(|(left, right)| left > right),
        "Lt" => left.zip(right).is_some_and(|(left, right)| left < right),
        _ => false,
    }
}
