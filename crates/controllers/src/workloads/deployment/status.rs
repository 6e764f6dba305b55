//! The status of a Deployment: counts and the conditions that `kubectl rollout status` and `kubectl wait` read. Pure.
//! Upstream: `pkg/controller/deployment/{progress,sync}.go`.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentCondition, DeploymentSpec, DeploymentStatus, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::sets::{Limits, available, wanted};
use crate::workloads::replicaset::REPLICA_FAILURE;

/// The status now, and when to look at the progress again. `created` is the set that the same plan makes.
pub(super) fn status(
    deployment: &Deployment,
    spec: &DeploymentSpec,
    all: &[Arc<ReplicaSet>],
    new: Option<&ReplicaSet>,
    created: Option<&ReplicaSet>,
    now: Timestamp,
) -> (DeploymentStatus, Option<Duration>) {
    let before = deployment.status.clone().unwrap_or_default();
    let mut status = counts(deployment, all, new);
    status.collision_count = before.collision_count;
    status.conditions = before.conditions.clone();
    let conditions = status.conditions.get_or_insert_default();
    set_condition(conditions, availability(spec, status.available_replicas.unwrap_or(0)), now);
    set_failure(status.conditions.get_or_insert_default(), new.and_then(failure), now);
    let name = new.or(created).and_then(|set| set.metadata.name.as_deref()).unwrap_or_default().to_owned();
    let mut look_again = None;
    if let Some(progress) = progress(deployment, spec, &before, &status, created, new.is_some(), &name, now) {
        let conditions = status.conditions.get_or_insert_default();
        set_condition(conditions, progress, now);
    }
    if let Some(deadline) = spec.progress_deadline_seconds
        && let Some(current) = condition(status.conditions.as_deref().unwrap_or_default(), "Progressing")
        && current.status == "True"
        && current.reason.as_deref() != Some("NewReplicaSetAvailable")
        && spec.paused != Some(true)
    {
        look_again = Some(left(current, deadline, now).max(Duration::from_secs(1)));
    }
    (status, look_again)
}

fn counts(deployment: &Deployment, all: &[Arc<ReplicaSet>], new: Option<&ReplicaSet>) -> DeploymentStatus {
    let sum = |count: fn(&ReplicaSet) -> i32| all.iter().map(|set| count(set)).sum::<i32>();
    let replicas = |set: &ReplicaSet| set.status.as_ref().map_or(0, |status| status.replicas);
    let ready = sum(|set| set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0));
    let terminating = sum(|set| set.status.as_ref().and_then(|status| status.terminating_replicas).unwrap_or(0));
    let shown = |count: i32| (count > 0).then_some(count);
    // Zero counts are left out, as the API shows them; only `terminatingReplicas` is always there.
    DeploymentStatus {
        replicas: shown(sum(replicas)),
        updated_replicas: shown(new.map_or(0, replicas)),
        ready_replicas: shown(ready),
        available_replicas: shown(sum(available)),
        unavailable_replicas: shown(sum(wanted) - sum(available)),
        terminating_replicas: Some(terminating),
        observed_generation: deployment.metadata.generation,
        collision_count: None,
        conditions: None,
    }
}

fn new_condition(kind: &str, status: &str, reason: &str, message: String) -> DeploymentCondition {
    DeploymentCondition {
        type_: kind.into(),
        status: status.into(),
        reason: Some(reason.into()),
        message: Some(message),
        last_transition_time: None,
        last_update_time: None,
    }
}

fn condition<'a>(conditions: &'a [DeploymentCondition], kind: &str) -> Option<&'a DeploymentCondition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Puts a condition in. One with the same status and reason keeps its times, except that progress counts each time.
fn set_condition(conditions: &mut Vec<DeploymentCondition>, mut wanted: DeploymentCondition, now: Timestamp) {
    let now = Time(whole_seconds(now));
    let current = conditions.iter_mut().find(|condition| condition.type_ == wanted.type_);
    wanted.last_update_time = Some(now.clone());
    wanted.last_transition_time = Some(now);
    match current {
        None => conditions.push(wanted),
        Some(current) => {
            let same_reason = current.status == wanted.status && current.reason == wanted.reason;
            if same_reason && wanted.reason.as_deref() != Some("ReplicaSetUpdated") {
                return;
            }
            if current.status == wanted.status {
                wanted.last_transition_time = current.last_transition_time.clone();
            }
            *current = wanted;
        }
    }
}

/// The API keeps whole seconds; anything finer would look like a change each time.
fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Why the present template's pods cannot be made, as their set says.
fn failure(new: &ReplicaSet) -> Option<DeploymentCondition> {
    let conditions = new.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == REPLICA_FAILURE)?;
    let (reason, message) = (found.reason.clone()?, found.message.clone().unwrap_or_default());
    Some(new_condition(REPLICA_FAILURE, &found.status, &reason, message))
}

fn set_failure(conditions: &mut Vec<DeploymentCondition>, failure: Option<DeploymentCondition>, now: Timestamp) {
    match failure {
        Some(failure) => set_condition(conditions, failure, now),
        None => conditions.retain(|condition| condition.type_ != REPLICA_FAILURE),
    }
}

fn availability(spec: &DeploymentSpec, available: i32) -> DeploymentCondition {
    if available >= Limits::of(spec).minimum() {
        let message = "Deployment has minimum availability.".into();
        new_condition("Available", "True", "MinimumReplicasAvailable", message)
    } else {
        let message = "Deployment does not have minimum availability.".into();
        new_condition("Available", "False", "MinimumReplicasUnavailable", message)
    }
}

/// The condition Progressing, if it changes.
#[allow(clippy::too_many_arguments)] // All of them are what upstream's rule looks at.
fn progress(
    deployment: &Deployment,
    spec: &DeploymentSpec,
    before: &DeploymentStatus,
    status: &DeploymentStatus,
    created: Option<&ReplicaSet>,
    exists: bool,
    name: &str,
    now: Timestamp,
) -> Option<DeploymentCondition> {
    let deadline = spec.progress_deadline_seconds?;
    let of = |status, reason, message| Some(new_condition("Progressing", status, reason, message));
    let current = condition(before.conditions.as_deref().unwrap_or_default(), "Progressing");
    let reason = current.and_then(|current| current.reason.as_deref());
    if spec.paused == Some(true) {
        return of("Unknown", "DeploymentPaused", "Deployment is paused".into());
    }
    if reason == Some("DeploymentPaused") {
        return of("Unknown", "DeploymentResumed", "Deployment is resumed".into());
    }
    if created.is_some() {
        return of("True", "NewReplicaSetCreated", format!("Created new replica set {name:?}"));
    }
    if !exists {
        return None;
    }
    let settled = status.replicas == status.updated_replicas && reason == Some("NewReplicaSetAvailable");
    if settled && before.observed_generation == deployment.metadata.generation {
        return None;
    }
    let wanted = spec.replicas.unwrap_or(1);
    let is = |count: Option<i32>| count.unwrap_or(0) == wanted;
    if is(status.replicas) && is(status.updated_replicas) && is(status.available_replicas) {
        let message = format!("ReplicaSet {name:?} has successfully progressed.");
        return of("True", "NewReplicaSetAvailable", message);
    }
    if settled {
        // Scaled, or a pod lost, after the rollout was done: that is not a rollout.
        return None;
    }
    if has_progressed(before, status) {
        return of("True", "ReplicaSetUpdated", format!("ReplicaSet {name:?} is progressing."));
    }
    match current {
        // The second when the template went back to one that has a set.
        None => of("True", "FoundNewReplicaSet", format!("Found new replica set {name:?}")),
        Some(_) if reason == Some("NewReplicaSetAvailable") => {
            of("True", "FoundNewReplicaSet", format!("Found new replica set {name:?}"))
        }
        Some(current) if left(current, deadline, now).is_zero() => {
            of("False", "ProgressDeadlineExceeded", format!("ReplicaSet {name:?} has timed out progressing."))
        }
        Some(_) => None,
    }
}

/// More new pods, fewer old ones, or more that are ready or available.
fn has_progressed(before: &DeploymentStatus, status: &DeploymentStatus) -> bool {
    let count = |value: Option<i32>| value.unwrap_or(0);
    let old = |status: &DeploymentStatus| count(status.replicas) - count(status.updated_replicas);
    count(status.updated_replicas) > count(before.updated_replicas)
        || old(status) < old(before)
        || count(status.ready_replicas) > count(before.ready_replicas)
        || count(status.available_replicas) > count(before.available_replicas)
}

/// What is left of the deadline since the last progress.
fn left(current: &DeploymentCondition, deadline_seconds: i32, now: Timestamp) -> Duration {
    let since = current.last_update_time.as_ref().map_or(now, |time| time.0);
    let left = SignedDuration::from_secs(deadline_seconds.into()) - now.duration_since(since);
    Duration::try_from(left).unwrap_or_default()
}
