//! What a Deployment needs next: one step of a rollout or of scaling, and the status. Pure.
//!
//! A rollout goes in small steps, each planned from what the sets report: first the new set grows as far as the surge
//! allows, then old sets shrink as far as availability allows.
//! Upstream: `pkg/controller/deployment/{sync,rolling,recreate}.go`.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStatus, ReplicaSet};
use portolan_objects::selector::Selector;

use super::{
    sets::{self, DESIRED, Limits, available, number, revision, wanted},
    status,
};
use crate::workloads::cache::{controller_of, uid};

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Take a set without a controller that matches the selector.
    Adopt(Arc<ReplicaSet>),
    /// Make the set of the present template.
    Create(Box<ReplicaSet>),
    /// Ask a set for another number of pods.
    Scale { set: Arc<ReplicaSet>, to: i32 },
    /// Bring a set's annotations up to date.
    Annotate { set: Arc<ReplicaSet>, revision: i64 },
    /// Number the Deployment.
    Revision(i64),
    /// Forget a set that history has no room for.
    Forget(Arc<ReplicaSet>),
}

/// What to do for one Deployment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    /// In this order.
    pub actions: Vec<Action>,
    /// The status to write.
    pub status: Option<DeploymentStatus>,
    /// When a rollout without progress counts as failed.
    pub look_again: Option<Duration>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The Deployment and what is known about its sets.
pub(super) struct Observed<'a> {
    pub deployment: &'a Deployment,
    /// The sets that it controls and the namespace's orphans.
    pub sets: &'a [Arc<ReplicaSet>],
    /// Pods of this set that have not ended, the stopping ones included.
    pub running: &'a dyn Fn(&ReplicaSet) -> usize,
}

/// The sets of a Deployment, told apart.
struct Rollout<'a> {
    deployment: &'a Deployment,
    spec: &'a DeploymentSpec,
    limits: Limits,
    all: Vec<Arc<ReplicaSet>>,
    new: Option<Arc<ReplicaSet>>,
    /// All but the new one, oldest first.
    old: Vec<Arc<ReplicaSet>>,
}

pub(super) fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let deployment = observed.deployment;
    let Some(spec) = &deployment.spec else { return Plan::default() };
    let Ok(selector) = Selector::from_label_selector(&spec.selector) else { return Plan::default() };
    let deleting = deployment.metadata.deletion_timestamp.is_some();
    let mut actions = Vec::new();
    let mut all = Vec::new();
    for set in observed.sets {
        match controller_of(&**set) {
            Some(owner) if owner.uid == uid(deployment) => all.push(set.clone()),
            None if !deleting && can_adopt(set, &selector) => {
                actions.push(Action::Adopt(set.clone()));
                all.push(set.clone());
            }
            _ => {}
        }
    }
    let rollout = Rollout::new(deployment, spec, all);
    if !deleting {
        rollout.act(observed.running, &mut actions);
    }
    let created = actions.iter().find_map(|action| match action {
        Action::Create(set) => Some(&**set),
        _ => None,
    });
    let (status, look_again) = status::status(deployment, spec, &rollout.all, rollout.new.as_deref(), created, now);
    let status = (deployment.status.as_ref() != Some(&status)).then_some(status);
    Plan { actions, status, look_again }
}

fn can_adopt(set: &ReplicaSet, selector: &Selector) -> bool {
    set.metadata.deletion_timestamp.is_none() && selector.matches(&set.metadata.labels.clone().unwrap_or_default())
}

impl<'a> Rollout<'a> {
    fn new(deployment: &'a Deployment, spec: &'a DeploymentSpec, all: Vec<Arc<ReplicaSet>>) -> Self {
        let found = sets::with_template(&spec.template, all.iter().map(|set| &**set)).map(uid);
        let new = all.iter().find(|set| found == Some(uid(&***set))).cloned();
        let mut old: Vec<_> = all.iter().filter(|set| found != Some(uid(&***set))).cloned().collect();
        old.sort_by_key(|set| (set.metadata.creation_timestamp.clone().map(|time| time.0), set.metadata.name.clone()));
        Self { deployment, spec, limits: Limits::of(spec), all, new, old }
    }

    fn act(&self, running: &dyn Fn(&ReplicaSet) -> usize, actions: &mut Vec<Action>) {
        let paused = self.spec.paused == Some(true);
        self.number(paused, actions);
        if paused || self.is_scaling() {
            self.scale(actions);
        } else if sets::is_recreate(self.spec) {
            self.recreate(running, actions);
        } else {
            self.roll(actions);
        }
        let moves = actions.iter().any(|action| matches!(action, Action::Create(_) | Action::Scale { .. }));
        if !moves && !paused {
            self.forget(actions);
        }
    }

    fn active_old(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        self.old.iter().filter(|set| wanted(set) > 0)
    }

    fn total_wanted(&self) -> i32 {
        self.all.iter().map(|set| wanted(set)).sum()
    }

    fn next_revision(&self) -> i64 {
        self.old.iter().map(|set| revision(set)).max().unwrap_or(0) + 1
    }

    /// Numbers the new set and the Deployment: the present template is always the latest revision.
    fn number(&self, paused: bool, actions: &mut Vec<Action>) {
        let Some(new) = self.new.as_ref().filter(|_| !paused) else { return };
        let number = self.next_revision().max(revision(new));
        let annotations = new.metadata.annotations.clone().unwrap_or_default();
        let inherits = sets::inherited(self.deployment).iter().all(|(key, value)| annotations.get(key) == Some(value));
        if revision(new) != number || !inherits {
            actions.push(Action::Annotate { set: new.clone(), revision: number });
        }
        self.number_deployment(number, actions);
    }

    fn number_deployment(&self, number: i64, actions: &mut Vec<Action>) {
        let known = self.deployment.metadata.annotations.as_ref().and_then(|all| all.get(sets::REVISION));
        if known != Some(&number.to_string()) {
            actions.push(Action::Revision(number));
        }
    }

    fn set_size(&self, set: &Arc<ReplicaSet>, to: i32, actions: &mut Vec<Action>) {
        let stale = number(set, DESIRED) != Some(self.limits.replicas)
            || number(set, sets::MAXIMUM) != Some(self.limits.maximum());
        if wanted(set) != to || stale {
            actions.push(Action::Scale { set: set.clone(), to });
        }
    }

    // --- scaling, apart from rollouts ---

    /// The Deployment's size has changed since a set was last scaled.
    fn is_scaling(&self) -> bool {
        self.all
            .iter()
            .any(|set| wanted(set) > 0 && number(set, DESIRED).is_some_and(|desired| desired != self.limits.replicas))
    }

    fn scale(&self, actions: &mut Vec<Action>) {
        let mut active: Vec<_> = self.all.iter().filter(|set| wanted(set) > 0).collect();
        let newest = || self.new.as_ref().or(self.all.iter().max_by_key(|set| revision(set)));
        if active.len() <= 1 {
            if let Some(only) = active.first().copied().or_else(newest) {
                self.set_size(only, self.limits.replicas, actions);
            }
            return;
        }
        if self.new.as_ref().is_some_and(|new| self.is_saturated(new)) {
            self.active_old().for_each(|set| self.set_size(set, 0, actions));
            return;
        }
        if sets::is_recreate(self.spec) {
            return;
        }
        let allowed = if self.limits.replicas > 0 { self.limits.maximum() } else { 0 };
        let total = self.total_wanted();
        let to_add = allowed - total;
        // The larger ones first; among equals the newer ones grow and the older ones shrink.
        active.sort_by_key(|set| {
            let created = set.metadata.creation_timestamp.clone().map(|time| time.0);
            (Reverse(wanted(set)), if to_add > 0 { revision(set) } else { -revision(set) }, created)
        });
        if to_add > 0 {
            // Stable in size, newest revision first.
            active.sort_by_key(|set| (Reverse(wanted(set)), Reverse(revision(set))));
        }
        let mut added = 0;
        let mut sizes: Vec<i32> = Vec::with_capacity(active.len());
        for set in &active {
            let part = if to_add == 0 { 0 } else { self.proportion(set, to_add, added, total) };
            added += part;
            sizes.push((wanted(set) + part).max(0));
        }
        if let Some(first) = sizes.first_mut() {
            *first = (*first + to_add - added).max(0);
        }
        for (set, size) in active.into_iter().zip(sizes) {
            self.set_size(set, size, actions);
        }
    }

    /// What this set gets of `to_add` pods, `added` of which are given out.
    fn proportion(&self, set: &ReplicaSet, to_add: i32, added: i32, total: i32) -> i32 {
        let before = f64::from(number(set, sets::MAXIMUM).filter(|max| *max > 0).unwrap_or(total.max(1)));
        let scaled = f64::from(wanted(set)) * f64::from(self.limits.maximum()) / before;
        let fraction = scaled.round() as i32 - wanted(set);
        let left = to_add - added;
        if to_add > 0 { fraction.clamp(0, left) } else { fraction.clamp(left, 0) }
    }

    fn is_saturated(&self, set: &ReplicaSet) -> bool {
        wanted(set) == self.limits.replicas
            && number(set, DESIRED) == Some(self.limits.replicas)
            && available(set) == self.limits.replicas
    }

    // --- rollouts ---

    fn roll(&self, actions: &mut Vec<Action>) {
        let room = (self.limits.maximum() - self.total_wanted()).max(0);
        match &self.new {
            None => return self.create(room.min(self.limits.replicas), actions),
            Some(new) if wanted(new) > self.limits.replicas => {
                return self.set_size(new, self.limits.replicas, actions);
            }
            Some(new) => {
                let grow = room.min(self.limits.replicas - wanted(new));
                self.set_size(new, wanted(new) + grow, actions);
                if grow > 0 {
                    return;
                }
            }
        }
        self.shrink_old(actions);
    }

    /// Takes old pods away: first those that do not work anyway, then as many as availability allows.
    fn shrink_old(&self, actions: &mut Vec<Action>) {
        let Some(new) = &self.new else { return };
        let unavailable_new = wanted(new) - available(new);
        let mut room = self.total_wanted() - self.limits.minimum() - unavailable_new;
        let mut spare = self.all.iter().map(|set| available(set)).sum::<i32>() - self.limits.minimum();
        for set in self.active_old() {
            if room <= 0 {
                break;
            }
            let broken = (wanted(set) - available(set)).clamp(0, room);
            let working = (wanted(set) - broken).clamp(0, spare.max(0)).min(room - broken);
            room -= broken + working;
            spare -= working;
            if broken + working > 0 {
                self.set_size(set, wanted(set) - broken - working, actions);
            }
        }
    }

    fn recreate(&self, running: &dyn Fn(&ReplicaSet) -> usize, actions: &mut Vec<Action>) {
        let before = actions.len();
        self.active_old().for_each(|set| self.set_size(set, 0, actions));
        let stopping = self.old.iter().any(|set| running(set) > 0);
        if actions.len() > before || stopping {
            return;
        }
        match &self.new {
            None => self.create(self.limits.replicas, actions),
            Some(new) => self.set_size(new, self.limits.replicas, actions),
        }
    }

    fn create(&self, replicas: i32, actions: &mut Vec<Action>) {
        let number = self.next_revision();
        let set = sets::new_set(self.deployment, self.spec, replicas, number);
        actions.push(Action::Create(Box::new(set)));
        self.number_deployment(number, actions);
    }

    /// Deletes the oldest empty sets beyond the history limit, once the rollout is over.
    fn forget(&self, actions: &mut Vec<Action>) {
        let limit = self.spec.revision_history_limit.unwrap_or(10).max(0) as usize;
        let done = self.new.as_ref().is_some_and(|new| available(new) == self.limits.replicas);
        if !done || self.old.len() <= limit {
            return;
        }
        let mut old = self.old.clone();
        old.sort_by_key(|set| revision(set));
        let idle = |set: &ReplicaSet| {
            let counted = set.status.as_ref().map_or(0, |status| status.replicas);
            wanted(set) == 0 && counted == 0 && set.metadata.deletion_timestamp.is_none()
        };
        let surplus = old.len() - limit;
        actions.extend(old.into_iter().take(surplus).filter(|set| idle(set)).map(Action::Forget));
    }
}
