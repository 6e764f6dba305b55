//! Which node a pod goes to, or why to none. Pure.
//!
//! A node is fit if it takes pods, is tolerated, is selected, has the pod's host ports free, and has room for what the pod
//! requests. A node that is not ready counts as tainted, whether its taint is there already or not. Among the fit ones the pod goes where the fewest pods of the same owner are, then where the fewest pods are, then by name.
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

/// Why a node is not fit.
struct Refusal {
    reasons: Vec<String>,
    /// The end of other pods could change it.
    curable: bool,
}

impl Refusal {
    fn lasting(reason: &str) -> Self {
        Self { reasons: vec![reason.into()], curable: false }
    }
}

pub(super) fn decide(pod: &Pod, places: &[Place<'_>]) -> Decision {
    let mut refusals = Vec::new();
    let share = Share::of(pod);
    let mut best = None;
    for place in places {
        if let Some(refusal) = unfit(pod, &share, place) {
            refusals.push(refusal);
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
        None => Decision::Unschedulable(explain(pod, &refusals)),
    }
}

fn explain(pod: &Pod, refusals: &[Refusal]) -> String {
    if refusals.is_empty() {
        return "no nodes available to schedule pods".into();
    }
    let reasons = refusals.iter().flat_map(|refusal| refusal.reasons.iter().map(String::as_str));
    let mut text = available(refusals.len(), reasons);
    if let Some(preemption) = preemption(pod, refusals) {
        // What the plugin for devices says of every pod that claims none.
        text.push_str(&format!(" no new claims to deallocate, preemption: {preemption}"));
    }
    text
}

/// How many nodes for each reason.
fn available<'a>(nodes: usize, reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    reasons.for_each(|reason| *counts.entry(reason).or_default() += 1);
    let mut counted: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    counted.sort();
    format!("0/{nodes} nodes are available: {}.", counted.join(", "))
}

/// Why no other pod makes room. There are no priority classes here, so nobody is less important than an ordinary pod; of
/// one that claims a higher priority nothing is said, because nobody looks.
fn preemption(pod: &Pod, refusals: &[Refusal]) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    if spec.preemption_policy.as_deref() == Some("Never") {
        return Some("not eligible due to preemptionPolicy=Never.".into());
    }
    if spec.priority.is_some_and(|priority| priority > 0) {
        return None;
    }
    let reasons = refusals.iter().map(|refusal| match refusal.curable {
        true => "No preemption victims found for incoming pod",
        false => "Preemption is not helpful for scheduling",
    });
    Some(available(refusals.len(), reasons))
}

/// Why the pod cannot go there: the first reason in upstream's order of plugins, or everything that is short.
fn unfit(pod: &Pod, share: &Share, place: &Place<'_>) -> Option<Refusal> {
    refusal(pod, share, place).or_else(|| shortages(&share.requests, place))
}

fn refusal(pod: &Pod, share: &Share, place: &Place<'_>) -> Option<Refusal> {
    let node = place.node;
    let spec = node.spec.clone().unwrap_or_default();
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    if spec.unschedulable == Some(true) && repels(&taint("unschedulable"), tolerations) {
        return Some(Refusal::lasting("node(s) were unschedulable"));
    }
    if spec.taints.iter().flatten().chain(&unready(node)).any(|taint| repels(taint, tolerations)) {
        return Some(Refusal::lasting("node(s) had untolerated taint(s)"));
    }
    if !is_selected(pod, node) {
        return Some(Refusal::lasting("node(s) didn't match Pod's node affinity/selector"));
    }
    if share.ports.iter().any(|port| place.used.ports.iter().any(|taken| port.conflicts(taken))) {
        let reason = "node(s) didn't have free ports for the requested pod ports";
        return Some(Refusal { reasons: vec![reason.into()], curable: true });
    }
    None
}

fn taint(state: &str) -> Taint {
    let key = format!("node.kubernetes.io/{state}");
    Taint { key, effect: "NoSchedule".into(), ..Taint::default() }
}

/// The taint that a node which is not ready has, or is about to be given.
fn unready(node: &Node) -> Option<Taint> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
    match ready.map(|condition| condition.status.as_str()) {
        Some("True") => None,
        Some("Unknown") => Some(taint("unreachable")),
        _ => Some(taint("not-ready")),
    }
}

/// What the node has too little of. What it does not speak of it does not have, except that it then takes any number of
/// pods. Nobody here measures disks, so `ephemeral-storage` is not looked at.
fn shortages(requests: &Resources, place: &Place<'_>) -> Option<Refusal> {
    let allocatable = Resources::of_list(place.node.status.as_ref().and_then(|status| status.allocatable.as_ref()));
    let pods = allocatable.get("pods");
    let mut short = Refusal { reasons: Vec::new(), curable: true };
    if pods > 0 && place.used.pods as u64 >= pods {
        short.reasons.push("Too many pods".to_owned());
    }
    for (name, wanted) in requests.iter().filter(|(name, _)| *name != "ephemeral-storage") {
        if place.used.requests.get(name).saturating_add(wanted) > allocatable.get(name) {
            short.reasons.push(format!("Insufficient {name}"));
            short.curable &= wanted <= allocatable.get(name);
        }
    }
    (!short.reasons.is_empty()).then_some(short)
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
