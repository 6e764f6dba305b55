//! Deployments: a template's pods, and how to get from one template to the next without an outage.
//!
//! Everything happens through ReplicaSets, one per template. One key is one Deployment; a plan is at most one step of a
//! rollout, and the next one follows as soon as a set reports.
//! Upstream: `pkg/controller/deployment`.

mod plan;
mod sets;
mod status;
#[cfg(test)]
mod tests;

use std::{future::Future, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentStatus, ReplicaSet},
    core::v1::Pod,
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use portolan_catalogue::Reason;
use portolan_events::{Recorder, reference};
use portolan_objects::{ObjectKey, pod};
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    already_exists,
    cache::{Cache, Ledger, by_controller, controller_of, orphans, uid},
    is_gone,
    timers::Timers,
};
use plan::{Action, Observed, Plan};

/// The component that events and the API's log name.
pub const NAME: &str = "deployment-controller";

/// Runs the controller until `stop`.
pub async fn run(client: Client, recorder: Recorder, metrics: Metrics, stop: CancellationToken) {
    let inputs = Inputs::new().all(&client, Input::Deployment).all(&client, Input::Set).all(&client, Input::Pod);
    let options = Options {
        name: NAME,
        workers: 5,
        backoff: Backoff { base: Duration::from_millis(200), max: Duration::from_secs(60), attempts: None },
        timeout: Duration::from_secs(60),
    };
    portolan_runtime::run(Deployments::new(client, recorder), inputs, options, metrics, stop).await;
}

enum Input {
    Deployment(Change<Deployment>),
    Set(Change<ReplicaSet>),
    Pod(Change<Pod>),
}

struct Deployments {
    client: Client,
    recorder: Recorder,
    deployments: Cache<Deployment>,
    sets: Cache<ReplicaSet>,
    /// Only read for strategy Recreate, which waits for old pods to be really gone.
    pods: Cache<Pod>,
    timers: Timers<ObjectKey>,
}

impl Deployments {
    fn new(client: Client, recorder: Recorder) -> Self {
        Self {
            client,
            recorder,
            deployments: Cache::new(by_controller),
            sets: Cache::new(by_controller),
            pods: Cache::new(by_controller),
            timers: Timers::default(),
        }
    }

    fn index_set(&mut self, change: Change<ReplicaSet>, dirty: &mut Vec<ObjectKey>) {
        let deployments = &self.deployments;
        self.sets.take(change, |(old, new)| {
            for set in [old, new].into_iter().flatten() {
                let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
                match controller_of(&**set) {
                    Some(owner) => dirty.push(ObjectKey::new(namespace, owner.name.as_str())),
                    None => dirty.extend(
                        deployments
                            .iter()
                            .filter(|deployment| deployment.metadata.namespace.as_deref() == Some(namespace))
                            .map(|deployment| ObjectKey::of(&**deployment)),
                    ),
                }
            }
        });
    }

    /// A pod that has gone may be what a Recreate waits for.
    fn index_pod(&mut self, change: Change<Pod>, dirty: &mut Vec<ObjectKey>) {
        let sets = &self.sets;
        self.pods.take(change, |(old, new)| {
            let ended = |pod: Option<&Arc<Pod>>| pod.is_none_or(|pod| pod::is_terminal(pod));
            let (Some(old), true) = (old, ended(new)) else { return };
            let Some(owner) = controller_of(&**old) else { return };
            let namespace = old.metadata.namespace.as_deref().unwrap_or_default();
            let set = sets.get(&ObjectKey::new(namespace, owner.name.as_str()));
            if let Some(owner) = set.and_then(|set| controller_of(&**set)) {
                dirty.push(ObjectKey::new(namespace, owner.name.as_str()));
            }
        });
    }
}

impl Reconciler for Deployments {
    type Input = Input;
    type Key = ObjectKey;
    type Plan = (Arc<Deployment>, Plan);
    type Outcome = Option<Duration>;

    fn index(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        match input {
            Input::Deployment(change) => {
                self.deployments.take(change, |(_, new)| dirty.extend(new.map(|found| ObjectKey::of(&**found))));
            }
            Input::Set(change) => self.index_set(change, dirty),
            Input::Pod(change) => self.index_pod(change, dirty),
        }
    }

    fn plan(&mut self, key: &ObjectKey) -> Option<Self::Plan> {
        self.deployments.settle(|_| {});
        self.sets.settle(|_| {});
        let deployment = self.deployments.get(key)?.clone();
        let sets: Vec<Arc<ReplicaSet>> =
            self.sets.group(uid(&*deployment)).chain(self.sets.group(&orphans(&key.namespace))).cloned().collect();
        let running = |set: &ReplicaSet| self.pods.group(uid(set)).filter(|pod| !pod::is_terminal(pod)).count();
        let observed = Observed { deployment: &deployment, sets: &sets, running: &running };
        let plan = plan::plan(&observed, Timestamp::now());
        (!plan.is_empty()).then_some((deployment, plan))
    }

    fn apply(
        &self,
        key: ObjectKey,
        (deployment, plan): Self::Plan,
    ) -> impl Future<Output = Result<Self::Outcome, Failure>> + Send + 'static {
        let apply = Apply {
            deployments: Api::namespaced(self.client.clone(), &key.namespace),
            sets: Api::namespaced(self.client.clone(), &key.namespace),
            deployment_ledger: self.deployments.ledger(),
            set_ledger: self.sets.ledger(),
            recorder: self.recorder.clone(),
            deployment,
        };
        apply.run(plan)
    }

    fn applied(&mut self, key: &ObjectKey, outcome: Self::Outcome) -> Option<Duration> {
        self.timers.set(key, outcome?)
    }
}

/// One plan's way to the API.
struct Apply {
    deployments: Api<Deployment>,
    sets: Api<ReplicaSet>,
    deployment_ledger: Ledger<Deployment>,
    set_ledger: Ledger<ReplicaSet>,
    recorder: Recorder,
    deployment: Arc<Deployment>,
}

impl Apply {
    /// Returns when to look again: at once after a step, because the next one may be possible.
    async fn run(self, plan: Plan) -> Result<Option<Duration>, Failure> {
        let steps = !plan.actions.is_empty();
        for action in plan.actions {
            self.act(action).await?;
        }
        if let Some(status) = plan.status {
            self.write_status(&status).await?;
        }
        Ok(if steps { Some(Duration::ZERO) } else { plan.look_again })
    }

    async fn act(&self, action: Action) -> Result<(), Failure> {
        match action {
            Action::Adopt(set) => {
                let owner = sets::owner(&self.deployment);
                let patch = json!({"metadata": {"uid": set.metadata.uid, "ownerReferences": [owner]}});
                self.patch_set(&set, Patch::Strategic(patch)).await
            }
            Action::Create(set) => self.create(*set).await,
            Action::Scale { set, to } => self.scale(&set, to).await,
            Action::Annotate { set, revision } => {
                let mut annotations = sets::inherited(&self.deployment);
                annotations.insert(sets::REVISION.into(), revision.to_string());
                let patch = json!({"metadata": {"annotations": annotations}});
                self.patch_set(&set, Patch::Merge(patch)).await
            }
            Action::Revision(number) => {
                let patch = json!({"metadata": {"annotations": {sets::REVISION: number.to_string()}}});
                self.patch_deployment(Patch::Merge(patch)).await
            }
            Action::Forget(set) => self.forget(&set).await,
        }
    }

    async fn create(&self, set: ReplicaSet) -> Result<(), Failure> {
        match self.sets.create(&PostParams::default(), &set).await {
            Ok(created) => {
                let to = sets::wanted(&created);
                if to > 0 {
                    self.scaled(&created, 0, to);
                }
                self.set_ledger.put(created);
                Ok(())
            }
            Err(error) if already_exists(&error) => self.resolve_collision(&set).await,
            Err(error) => {
                let failure = Failure::from(error);
                let message = format!("Failed to create new replica set {:?}: {}", name(&set), failure.message);
                self.recorder.event(&reference(&*self.deployment), Reason::FailedCreate, message);
                Err(failure)
            }
        }
    }

    /// The name is taken: by our own set that the watch has not shown yet, or by somebody else's.
    async fn resolve_collision(&self, wanted: &ReplicaSet) -> Result<(), Failure> {
        let existing = self.sets.get(name(wanted)).await?;
        if controller_of(&existing).is_some_and(|owner| owner.uid == uid(&*self.deployment)) {
            self.set_ledger.put(existing);
            return Ok(());
        }
        let status = self.deployment.status.as_ref();
        let count = status.and_then(|status| status.collision_count).unwrap_or(0) + 1;
        let patch = Patch::Merge(json!({"status": {"collisionCount": count}}));
        let name = self.deployment.metadata.name.as_deref().unwrap_or_default();
        let updated = self.deployments.patch_status(name, &PatchParams::default(), &patch).await?;
        self.deployment_ledger.put(updated);
        Err(Failure::message("the name of the new ReplicaSet is taken by another owner").after(Duration::ZERO))
    }

    async fn scale(&self, set: &ReplicaSet, to: i32) -> Result<(), Failure> {
        let spec = self.deployment.spec.clone().unwrap_or_default();
        let limits = sets::Limits::of(&spec);
        let annotations = json!({
            sets::DESIRED: limits.replicas.to_string(),
            sets::MAXIMUM: limits.maximum().to_string(),
        });
        let patch = json!({"metadata": {"annotations": annotations}, "spec": {"replicas": to}});
        self.patch_set(set, Patch::Merge(patch)).await?;
        let from = sets::wanted(set);
        if from != to {
            self.scaled(set, from, to);
        }
        Ok(())
    }

    fn scaled(&self, set: &ReplicaSet, from: i32, to: i32) {
        let direction = if to > from { "up" } else { "down" };
        let message = format!("Scaled {direction} replica set {} from {from} to {to}", name(set));
        self.recorder.event(&reference(&*self.deployment), Reason::ScalingReplicaSet, message);
    }

    async fn forget(&self, set: &ReplicaSet) -> Result<(), Failure> {
        let preconditions = Preconditions { uid: set.metadata.uid.clone(), resource_version: None };
        match self.sets.delete(name(set), &DeleteParams::background().preconditions(preconditions)).await {
            Err(error) if !is_gone(&error) => return Err(error.into()),
            _ => self.set_ledger.gone(set),
        }
        Ok(())
    }

    async fn patch_set(&self, set: &ReplicaSet, patch: Patch<Value>) -> Result<(), Failure> {
        match self.sets.patch(name(set), &PatchParams::default(), &patch).await {
            Ok(patched) => self.set_ledger.put(patched),
            Err(error) if is_gone(&error) => self.set_ledger.gone(set),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn patch_deployment(&self, patch: Patch<Value>) -> Result<(), Failure> {
        let name = self.deployment.metadata.name.as_deref().unwrap_or_default();
        match self.deployments.patch(name, &PatchParams::default(), &patch).await {
            Ok(patched) => self.deployment_ledger.put(patched),
            Err(error) if is_gone(&error) => self.deployment_ledger.gone(&self.deployment),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn write_status(&self, status: &DeploymentStatus) -> Result<(), Failure> {
        // A merge patch leaves out what it does not name: say null for counts that are zero now.
        let mut body = json!(status);
        for count in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"] {
            if body.get(count).is_none() {
                body[count] = Value::Null;
            }
        }
        let name = self.deployment.metadata.name.as_deref().unwrap_or_default();
        let patch = Patch::Merge(json!({"status": body}));
        match self.deployments.patch_status(name, &PatchParams::default(), &patch).await {
            Ok(patched) => self.deployment_ledger.put(patched),
            Err(error) if is_gone(&error) => self.deployment_ledger.gone(&self.deployment),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn name(set: &ReplicaSet) -> &str {
    set.metadata.name.as_deref().unwrap_or_default()
}
