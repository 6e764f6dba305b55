#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::plan::{Action, Observed, Plan, plan};
use super::sets::{HASH_LABEL, Limits, available, template_hash, wanted};
use super::*;

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn deployment(replicas: i32, image: &str, strategy: Value) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "web", "uid": "dep-1", "generation": 1},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": strategy,
            "progressDeadlineSeconds": 600,
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    }))
    .unwrap()
}

fn rolling(surge: Value, unavailable: Value) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

/// A world in which sets reach their size one pod at a time, in the order that `choices` says.
struct World {
    deployment: Deployment,
    sets: BTreeMap<String, Arc<ReplicaSet>>,
    lowest_available: i32,
    highest_total: i32,
    created: i64,
}

impl World {
    fn new(deployment: Deployment) -> Self {
        Self { deployment, sets: BTreeMap::new(), lowest_available: i32::MAX, highest_total: 0, created: 0 }
    }

    fn plan(&self) -> Plan {
        let sets: Vec<_> = self.sets.values().cloned().collect();
        let running = |set: &ReplicaSet| set.status.as_ref().map_or(0, |status| status.replicas as usize);
        plan(&Observed { deployment: &self.deployment, sets: &sets, running: &running }, now())
    }

    fn apply(&mut self, plan: Plan) {
        for action in plan.actions {
            match action {
                Action::Create(mut set) => {
                    self.created += 1;
                    set.metadata.uid = set.metadata.name.clone();
                    set.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                        Timestamp::new(self.created, 0).unwrap(),
                    ));
                    self.sets.insert(set.metadata.name.clone().unwrap(), Arc::new(*set));
                }
                Action::Scale { set, to } => {
                    let limits = Limits::of(self.deployment.spec.as_ref().unwrap());
                    self.change(name(&set), |set| {
                        set.spec.as_mut().unwrap().replicas = Some(to);
                        let annotations = set.metadata.annotations.get_or_insert_default();
                        annotations.insert(sets::DESIRED.into(), limits.replicas.to_string());
                        annotations.insert(sets::MAXIMUM.into(), limits.maximum().to_string());
                    });
                }
                Action::Annotate { set, revision } => {
                    let inherited = sets::inherited(&self.deployment);
                    self.change(name(&set), |set| {
                        let annotations = set.metadata.annotations.get_or_insert_default();
                        annotations.extend(inherited);
                        annotations.insert(sets::REVISION.into(), revision.to_string());
                    });
                }
                Action::Revision(number) => {
                    let annotations = self.deployment.metadata.annotations.get_or_insert_default();
                    annotations.insert(sets::REVISION.into(), number.to_string());
                }
                Action::Forget(set) => drop(self.sets.remove(name(&set))),
                Action::Adopt(_) => unreachable!("no orphans here"),
            }
        }
        if let Some(status) = plan.status {
            self.deployment.status = Some(status);
        }
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut ReplicaSet)) {
        change(Arc::make_mut(self.sets.get_mut(name).unwrap()));
    }

    /// One set moves one pod towards its size; false if all are there.
    fn tick(&mut self, choice: usize) -> bool {
        let moving: Vec<String> = self
            .sets
            .values()
            .filter(|set| set.status.as_ref().map_or(0, |status| status.replicas) != wanted(set))
            .map(|set| name(set).to_owned())
            .collect();
        if moving.is_empty() {
            return false;
        }
        self.change(&moving[choice % moving.len()], |set| {
            let wanted = wanted(set);
            let status = set.status.get_or_insert_default();
            status.replicas += (wanted - status.replicas).signum();
            status.ready_replicas = Some(status.replicas);
            status.available_replicas = Some(status.replicas);
        });
        let total_available: i32 = self.sets.values().map(|set| available(set)).sum();
        self.lowest_available = self.lowest_available.min(total_available);
        // Pods on their way out do not count, as upstream: what the sets are asked for does.
        self.highest_total = self.highest_total.max(self.sizes().iter().sum());
        true
    }

    /// Plans and ticks until nothing is left to do; panics if that never comes.
    fn settle(&mut self, choices: &[usize]) {
        for step in 0..2000 {
            let plan = self.plan();
            let acts = !plan.actions.is_empty() || plan.status.is_some();
            self.apply(plan);
            let moved = self.tick(choices.get(step % choices.len().max(1)).copied().unwrap_or(0));
            if !acts && !moved {
                return;
            }
        }
        panic!("the rollout never ends");
    }

    fn sizes(&self) -> Vec<i32> {
        self.sets.values().map(|set| wanted(set)).filter(|size| *size > 0).collect()
    }

    fn condition(&self, kind: &str) -> (String, String) {
        let conditions = self.deployment.status.as_ref().unwrap().conditions.as_ref().unwrap();
        let condition = conditions.iter().find(|condition| condition.type_ == kind).unwrap();
        (condition.status.clone(), condition.reason.clone().unwrap())
    }

    fn set_image(&mut self, image: &str) {
        self.deployment.metadata.generation = self.deployment.metadata.generation.map(|generation| generation + 1);
        let template = &mut self.deployment.spec.as_mut().unwrap().template;
        template.spec.as_mut().unwrap().containers[0].image = Some(image.into());
    }

    fn set_replicas(&mut self, replicas: i32) {
        self.deployment.metadata.generation = self.deployment.metadata.generation.map(|generation| generation + 1);
        self.deployment.spec.as_mut().unwrap().replicas = Some(replicas);
    }
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.into(), reason.into())
}

#[test]
fn percentages_round_towards_keeping_pods() {
    let limits = |replicas, surge, unavailable| {
        Limits::of(deployment(replicas, "a", rolling(surge, unavailable)).spec.as_ref().unwrap())
    };
    let of = |replicas, surge, unavailable| Limits { replicas, surge, unavailable };
    assert_eq!(limits(10, json!("25%"), json!("25%")), of(10, 3, 2));
    assert_eq!(limits(3, json!("25%"), json!("25%")), of(3, 1, 0));
    assert_eq!(limits(3, json!(0), json!("0%")), of(3, 0, 1), "something must move");
    assert_eq!(limits(2, json!(1), json!(5)), of(2, 1, 2));
}

#[test]
fn the_first_set_is_made_at_full_size_with_hash_and_revision() {
    let mut world = World::new(deployment(3, "a", rolling(json!("25%"), json!("25%"))));
    let plan = world.plan();
    let Action::Create(set) = &plan.actions[0] else { panic!("{:?}", plan.actions) };
    let hash = template_hash(&world.deployment.spec.as_ref().unwrap().template, 0);
    assert_eq!(name(set), format!("web-{hash}"));
    assert_eq!(wanted(set), 3);
    let spec = set.spec.as_ref().unwrap();
    assert_eq!(spec.selector.match_labels.as_ref().unwrap()[HASH_LABEL], hash);
    world.settle(&[]);
    let status = world.deployment.status.clone().unwrap();
    assert_eq!((status.replicas, status.updated_replicas, status.available_replicas), (Some(3), Some(3), Some(3)));
    assert_eq!(world.condition("Progressing"), pair("True", "NewReplicaSetAvailable"));
    assert_eq!(world.condition("Available"), pair("True", "MinimumReplicasAvailable"));
    assert_eq!(world.deployment.metadata.annotations.as_ref().unwrap()[sets::REVISION], "1");
    // Nothing left: the proof of convergence.
    assert!(world.plan().actions.is_empty() && world.plan().status.is_none());
}

#[test]
fn scaling_is_one_step_and_no_rollout() {
    let mut world = World::new(deployment(3, "a", rolling(json!("25%"), json!("25%"))));
    world.settle(&[]);
    for replicas in [30, 0, 3] {
        world.set_replicas(replicas);
        let plan = world.plan();
        assert!(matches!(plan.actions[..], [Action::Scale { to, .. }] if to == replicas), "{:?}", plan.actions);
        world.settle(&[]);
        assert_eq!(world.sizes().iter().sum::<i32>(), replicas);
        assert_eq!(world.condition("Progressing"), pair("True", "NewReplicaSetAvailable"));
    }
    assert_eq!(world.sets.len(), 1);
}

#[test]
fn going_back_to_an_old_template_uses_its_set_under_a_new_revision() {
    let mut world = World::new(deployment(3, "a", rolling(json!(1), json!(0))));
    world.settle(&[]);
    world.set_image("b");
    world.settle(&[]);
    assert_eq!(world.sets.len(), 2);
    world.set_image("a");
    world.settle(&[]);
    assert_eq!(world.sets.len(), 2);
    assert_eq!(world.sizes(), [3]);
    assert_eq!(world.deployment.metadata.annotations.as_ref().unwrap()[sets::REVISION], "3");
}

#[test]
fn recreate_stops_everything_before_it_starts_anything() {
    let mut world = World::new(deployment(3, "a", json!({"type": "Recreate"})));
    world.settle(&[]);
    world.set_image("b");
    world.highest_total = 0;
    world.settle(&[]);
    assert_eq!(world.lowest_available, 0);
    assert!(world.highest_total <= 3);
    assert_eq!(world.sizes(), [3]);
}

#[test]
fn a_rollout_without_progress_is_called_failed_at_its_deadline() {
    let mut world = World::new(deployment(1, "a", rolling(json!(1), json!(0))));
    let first = world.plan();
    world.apply(first);
    let second = world.plan();
    assert_eq!(second.look_again, Some(Duration::from_secs(600)));
    world.apply(second);
    let sets: Vec<_> = world.sets.values().cloned().collect();
    let late = now() + jiff::SignedDuration::from_secs(601);
    let observed = Observed { deployment: &world.deployment, sets: &sets, running: &|_| 0 };
    world.deployment.status = plan(&observed, late).status;
    assert_eq!(world.condition("Progressing"), pair("False", "ProgressDeadlineExceeded"));
}

#[test]
fn history_keeps_as_many_old_sets_as_it_is_told() {
    let mut world = World::new(deployment(1, "a", rolling(json!(1), json!(0))));
    world.deployment.spec.as_mut().unwrap().revision_history_limit = Some(2);
    for image in ["a", "b", "c", "d", "e"] {
        world.set_image(image);
        world.settle(&[]);
    }
    assert_eq!(world.sets.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the order in which pods come and go, a rollout ends with the new template at full size, never has more
    /// pods than the surge allows and never fewer available than promised.
    #[test]
    fn rollouts_keep_their_promises(
        replicas in 1..12i32,
        surge in 0..4i32,
        unavailable in 0..4i32,
        choices in prop::collection::vec(0..7usize, 1..40),
    ) {
        let mut world = World::new(deployment(replicas, "a", rolling(json!(surge), json!(unavailable))));
        world.settle(&choices);
        world.set_image("b");
        (world.lowest_available, world.highest_total) = (replicas, 0);
        world.settle(&choices);
        let limits = Limits::of(world.deployment.spec.as_ref().unwrap());
        prop_assert_eq!(world.sizes(), vec![replicas]);
        prop_assert!(world.lowest_available >= limits.minimum(), "{} of {:?}", world.lowest_available, limits);
        prop_assert!(world.highest_total <= limits.maximum(), "{} of {:?}", world.highest_total, limits);
        prop_assert_eq!(world.condition("Progressing"), pair("True", "NewReplicaSetAvailable"));
    }

    /// Scaling in the middle of a rollout still ends at the right size.
    #[test]
    fn scaling_during_a_rollout_ends_at_the_new_size(
        (before, after) in (1..12i32, 0..12i32),
        steps in 0..20usize,
        choices in prop::collection::vec(0..7usize, 1..40),
    ) {
        let mut world = World::new(deployment(before, "a", rolling(json!("25%"), json!("25%"))));
        world.settle(&choices);
        world.set_image("b");
        for step in 0..steps {
            let plan = world.plan();
            world.apply(plan);
            world.tick(choices[step % choices.len()]);
        }
        world.set_replicas(after);
        world.settle(&choices);
        prop_assert_eq!(world.sizes().iter().sum::<i32>(), after);
        prop_assert!(world.sizes().len() <= 1);
    }
}
