//! What a ReplicaSet needs: which pods to make, to stop, to adopt, to let go. Pure.
//! Upstream: `pkg/controller/replicaset/replica_set.go`, `pkg/controller/controller_utils.go` (order of deletion).

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus},
    core::v1::Pod,
};
use portolan_objects::{pod, selector::Selector};

use crate::workloads::cache::{controller_of, uid};

/// Most pods made or stopped in one go, as upstream.
pub(super) const BURST: usize = 500;
/// Annotation: what it costs to stop this pod; cheaper ones go first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Condition: pods could not be made.
pub(in crate::workloads) const REPLICA_FAILURE: &str = "ReplicaFailure";

/// What to do for one ReplicaSet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    /// Pods without a controller that match the selector.
    pub adopt: Vec<Arc<Pod>>,
    /// Pods of ours that match no longer.
    pub release: Vec<Arc<Pod>>,
    /// How many pods to make.
    pub create: usize,
    /// Pods to stop.
    pub delete: Vec<Arc<Pod>>,
    /// The status to write.
    pub status: Option<ReplicaSetStatus>,
    /// When a ready pod becomes available without anything else changing.
    pub look_again: Option<Duration>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Plans for `set`. `pods` are the ones that it controls and the namespace's orphans; `related` are those of all sets
/// with the same owner, which count when it is decided where there are too many.
pub(super) fn plan(set: &ReplicaSet, pods: &[Arc<Pod>], related: &[Arc<Pod>], now: Timestamp) -> Plan {
    let Some(spec) = &set.spec else { return Plan::default() };
    // What the API has stored has a valid selector; without one nothing may be touched.
    let Ok(selector) = Selector::from_label_selector(&spec.selector) else { return Plan::default() };
    let mut plan = Plan::default();
    let deleting = set.metadata.deletion_timestamp.is_some();
    let mut owned = Vec::new();
    for candidate in pods {
        let matches = selector.matches(&candidate.metadata.labels.clone().unwrap_or_default());
        match controller_of(&**candidate) {
            Some(owner) if owner.uid != uid(set) => {}
            Some(_) if matches => owned.push(candidate.clone()),
            Some(_) if !deleting => plan.release.push(candidate.clone()),
            None if matches && !deleting && is_active(candidate) => {
                plan.adopt.push(candidate.clone());
                owned.push(candidate.clone());
            }
            _ => {}
        }
    }
    let active: Vec<Arc<Pod>> = owned.iter().filter(|pod| is_active(pod)).cloned().collect();
    if !deleting {
        let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0);
        plan.create = wanted.saturating_sub(active.len()).min(BURST);
        let surplus = active.len().saturating_sub(wanted).min(BURST);
        plan.delete = cheapest(&active, related, surplus);
    }
    let (mut status, look_again) = status(set, &owned, &active, now);
    if plan.create == 0 {
        // The apply says when making pods fails; nothing is left to make, so it no longer does.
        status.conditions = status.conditions.map(without_failure).filter(|rest| !rest.is_empty());
    }
    plan.look_again = look_again;
    if !same(set.status.as_ref(), &status) {
        plan.status = Some(status);
    }
    plan
}

/// The conditions but the one that says that pods cannot be made.
pub(super) fn without_failure(mut conditions: Vec<ReplicaSetCondition>) -> Vec<ReplicaSetCondition> {
    conditions.retain(|condition| condition.type_ != REPLICA_FAILURE);
    conditions
}

/// Equal, if a count that is left out means zero.
fn same(stored: Option<&ReplicaSetStatus>, wanted: &ReplicaSetStatus) -> bool {
    let counts = |status: &ReplicaSetStatus| {
        [
            Some(status.replicas),
            status.fully_labeled_replicas,
            status.ready_replicas,
            status.available_replicas,
            status.terminating_replicas,
        ]
        .map(|count| count.unwrap_or(0))
    };
    stored.is_some_and(|stored| {
        counts(stored) == counts(wanted)
            && stored.observed_generation == wanted.observed_generation
            && stored.conditions == wanted.conditions
    })
}

/// Counts as one of the replicas: not finished, not told to stop.
pub(super) fn is_active(pod: &Pod) -> bool {
    !pod::is_terminal(pod) && !pod::is_terminating(pod)
}

/// The `count` pods whose loss hurts least, in the order in which they should go.
fn cheapest(active: &[Arc<Pod>], related: &[Arc<Pod>], count: usize) -> Vec<Arc<Pod>> {
    if count == 0 {
        return Vec::new();
    }
    let mut crowd: BTreeMap<&str, usize> = BTreeMap::new();
    for node in related.iter().filter(|pod| is_active(pod)).filter_map(|pod| pod::node(pod)) {
        *crowd.entry(node).or_default() += 1;
    }
    let mut sorted = active.to_vec();
    sorted.sort_by(|a, b| cheaper(a, b, &crowd));
    sorted.truncate(count);
    sorted
}

/// Upstream's order: unplaced, not running, not ready, low cost, crowded node, recently ready, often restarted, young.
fn cheaper(a: &Pod, b: &Pod, crowd: &BTreeMap<&str, usize>) -> Ordering {
    let placed = |p: &Pod| pod::node(p).is_some();
    let crowded = |p: &Pod| pod::node(p).and_then(|node| crowd.get(node)).copied().unwrap_or(0);
    let ready_since = |p: &Pod| pod::ready_changed(p).map(|time| time.0);
    let created = |p: &Pod| p.metadata.creation_timestamp.as_ref().map(|time| time.0);
    placed(a)
        .cmp(&placed(b))
        .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
        .then_with(|| pod::is_ready(a).cmp(&pod::is_ready(b)))
        .then_with(|| cost(a).cmp(&cost(b)))
        .then_with(|| crowded(b).cmp(&crowded(a)))
        .then_with(|| if pod::is_ready(a) { ready_since(b).cmp(&ready_since(a)) } else { Ordering::Equal })
        .then_with(|| restarts(b).cmp(&restarts(a)))
        .then_with(|| created(b).cmp(&created(a)))
        .then_with(|| a.metadata.name.cmp(&b.metadata.name))
}

fn phase_rank(pod: &Pod) -> u8 {
    match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Running") => 2,
        Some("Unknown") => 1,
        _ => 0,
    }
}

fn cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(DELETION_COST)).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|container| container.restart_count).max().unwrap_or(0)
}

fn status(
    set: &ReplicaSet,
    owned: &[Arc<Pod>],
    active: &[Arc<Pod>],
    now: Timestamp,
) -> (ReplicaSetStatus, Option<Duration>) {
    let spec = set.spec.clone().unwrap_or_default();
    let template = spec.template.and_then(|template| template.metadata).and_then(|metadata| metadata.labels);
    let template = Selector::from_map(&template.unwrap_or_default());
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    let (mut ready, mut available, mut labelled, mut look_again) = (0, 0, 0, None::<Duration>);
    for pod in active {
        labelled += i32::from(template.matches(&pod.metadata.labels.clone().unwrap_or_default()));
        if !pod::is_ready(pod) {
            continue;
        }
        ready += 1;
        match until_available(pod, min_ready, now) {
            None => available += 1,
            Some(wait) => look_again = Some(look_again.map_or(wait, |known| known.min(wait))),
        }
    }
    let terminating = owned.iter().filter(|pod| pod::is_terminating(pod) && !pod::is_terminal(pod)).count();
    let status = ReplicaSetStatus {
        replicas: active.len() as i32,
        fully_labeled_replicas: Some(labelled),
        ready_replicas: Some(ready),
        available_replicas: Some(available),
        terminating_replicas: Some(terminating as i32),
        observed_generation: set.metadata.generation,
        conditions: set.status.as_ref().and_then(|status| status.conditions.clone()),
    };
    (status, look_again)
}

/// How long a ready pod has to stay so before it counts as available; `None` if it does.
fn until_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Option<Duration> {
    if min_ready_seconds <= 0 {
        return None;
    }
    let since = pod::ready_changed(pod).map_or(now, |time| time.0);
    let waited = now.duration_since(since).as_secs_f64();
    let left = f64::from(min_ready_seconds) - waited;
    (left > 0.0).then(|| Duration::from_secs_f64(left))
}
