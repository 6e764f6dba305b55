//! ReplicaSets: as many pods as asked for.
//!
//! One key is one ReplicaSet. Pods are made and stopped in batches of 1, 2, 4, 8, ... so that a template that the API
//! refuses costs one request, not five hundred.
//! Upstream: `pkg/controller/replicaset`.

mod plan;
#[cfg(test)]
mod tests;

use std::{future::Future, sync::Arc, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use portolan_catalogue::Reason;
use portolan_events::{Recorder, reference};
use portolan_objects::ObjectKey;
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler, is_namespace_terminating};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    cache::{Cache, Ledger, Transition, by_controller, controller_of, orphans, uid},
    is_gone,
    timers::Timers,
};
use plan::Plan;

pub(super) use plan::REPLICA_FAILURE;

/// The component that events and the API's log name.
pub const NAME: &str = "replicaset-controller";

/// Runs the controller until `stop`.
pub async fn run(client: Client, recorder: Recorder, metrics: Metrics, stop: CancellationToken) {
    let inputs = Inputs::new().all(&client, Input::Set).all(&client, Input::Pod);
    let options = Options {
        name: NAME,
        workers: 5,
        backoff: Backoff { base: Duration::from_millis(200), max: Duration::from_secs(60), attempts: None },
        timeout: Duration::from_secs(60),
    };
    portolan_runtime::run(ReplicaSets::new(client, recorder), inputs, options, metrics, stop).await;
}

enum Input {
    Set(Change<ReplicaSet>),
    Pod(Change<Pod>),
}

struct ReplicaSets {
    client: Client,
    recorder: Recorder,
    sets: Cache<ReplicaSet>,
    pods: Cache<Pod>,
    timers: Timers<ObjectKey>,
}

impl ReplicaSets {
    fn new(client: Client, recorder: Recorder) -> Self {
        Self {
            client,
            recorder,
            sets: Cache::new(by_controller),
            pods: Cache::new(by_controller),
            timers: Timers::default(),
        }
    }

    /// The sets that a pod's change concerns: its controller, or everyone who could adopt it.
    fn touched(sets: &Cache<ReplicaSet>, (old, new): Transition<'_, Pod>, dirty: &mut Vec<ObjectKey>) {
        for pod in [old, new].into_iter().flatten() {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            match controller_of(&**pod) {
                Some(owner) => dirty.push(ObjectKey::new(namespace, owner.name.as_str())),
                None => dirty.extend(
                    sets.iter()
                        .filter(|set| set.metadata.namespace.as_deref() == Some(namespace))
                        .map(|set| ObjectKey::of(&**set)),
                ),
            }
        }
    }

    /// The pods of every set with the same owner as `set`.
    fn related(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        match controller_of(set) {
            Some(owner) => {
                self.sets.group(&owner.uid).flat_map(|sibling| self.pods.group(uid(&**sibling))).cloned().collect()
            }
            None => self.pods.group(uid(set)).cloned().collect(),
        }
    }
}

impl Reconciler for ReplicaSets {
    type Input = Input;
    type Key = ObjectKey;
    type Plan = (Arc<ReplicaSet>, Plan);
    type Outcome = Option<Duration>;

    fn index(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        match input {
            Input::Set(change) => {
                self.sets.take(change, |(_, new)| dirty.extend(new.map(|set| ObjectKey::of(&**set))));
            }
            Input::Pod(change) => {
                let sets = &self.sets;
                self.pods.take(change, |transition| Self::touched(sets, transition, dirty));
            }
        }
    }

    fn plan(&mut self, key: &ObjectKey) -> Option<Self::Plan> {
        self.sets.settle(|_| {});
        self.pods.settle(|_| {});
        let set = self.sets.get(key)?.clone();
        let pods: Vec<Arc<Pod>> =
            self.pods.group(uid(&*set)).chain(self.pods.group(&orphans(&key.namespace))).cloned().collect();
        let plan = plan::plan(&set, &pods, &self.related(&set), Timestamp::now());
        (!plan.is_empty()).then_some((set, plan))
    }

    fn apply(
        &self,
        key: ObjectKey,
        (set, plan): Self::Plan,
    ) -> impl Future<Output = Result<Self::Outcome, Failure>> + Send + 'static {
        let apply = Apply {
            pods: Api::namespaced(self.client.clone(), &key.namespace),
            sets: Api::namespaced(self.client.clone(), &key.namespace),
            pod_ledger: self.pods.ledger(),
            set_ledger: self.sets.ledger(),
            recorder: self.recorder.clone(),
            set,
        };
        apply.run(plan)
    }

    fn applied(&mut self, key: &ObjectKey, outcome: Self::Outcome) -> Option<Duration> {
        self.timers.set(key, outcome?)
    }
}

/// One plan's way to the API.
struct Apply {
    pods: Api<Pod>,
    sets: Api<ReplicaSet>,
    pod_ledger: Ledger<Pod>,
    set_ledger: Ledger<ReplicaSet>,
    recorder: Recorder,
    set: Arc<ReplicaSet>,
}

impl Apply {
    /// Returns when to look again: at once after pods have changed, because the status has changed with them.
    async fn run(self, plan: Plan) -> Result<Option<Duration>, Failure> {
        let changes_pods = plan.create + plan.delete.len() + plan.adopt.len() + plan.release.len() > 0;
        for pod in &plan.adopt {
            self.adopt(pod).await?;
        }
        for pod in &plan.release {
            self.release(pod).await?;
        }
        if let Some(status) = &plan.status {
            self.write_status(status).await?;
        }
        if let Err(failure) = self.create(plan.create).await {
            self.write_failure(&failure).await?;
            return Err(failure);
        }
        self.delete(&plan.delete).await?;
        Ok(if changes_pods { Some(Duration::ZERO) } else { plan.look_again })
    }

    async fn adopt(&self, pod: &Pod) -> Result<(), Failure> {
        let patch = json!({"metadata": {"uid": pod.metadata.uid, "ownerReferences": [owner(&self.set)]}});
        self.patch_pod(pod, patch).await
    }

    async fn release(&self, pod: &Pod) -> Result<(), Failure> {
        let patch = json!({"metadata": {"uid": pod.metadata.uid,
            "ownerReferences": [{"$patch": "delete", "uid": self.set.metadata.uid}]}});
        self.patch_pod(pod, patch).await
    }

    async fn patch_pod(&self, pod: &Pod, patch: serde_json::Value) -> Result<(), Failure> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        match self.pods.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
            Ok(pod) => self.pod_ledger.put(pod),
            Err(error) if is_gone(&error) => self.pod_ledger.gone(pod),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn write_status(&self, status: &ReplicaSetStatus) -> Result<(), Failure> {
        let mut body = json!(status);
        if status.conditions.is_none() {
            body["conditions"] = serde_json::Value::Null;
        }
        let patch = Patch::Merge(json!({"status": body}));
        let name = self.set.metadata.name.as_deref().unwrap_or_default();
        match self.sets.patch_status(name, &PatchParams::default(), &patch).await {
            Ok(set) => self.set_ledger.put(set),
            Err(error) if is_gone(&error) => self.set_ledger.gone(&self.set),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Says in the status that pods cannot be made; `kubectl describe` shows it on set and Deployment.
    async fn write_failure(&self, failure: &Failure) -> Result<(), Failure> {
        let known = self.set.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
        let same = |condition: &ReplicaSetCondition| {
            condition.type_ == REPLICA_FAILURE && condition.message.as_ref() == Some(&failure.message)
        };
        if known.iter().any(same) {
            return Ok(());
        }
        let mut conditions = plan::without_failure(known);
        conditions.push(ReplicaSetCondition {
            type_: REPLICA_FAILURE.into(),
            status: "True".into(),
            reason: Some(Reason::FailedCreate.as_str().into()),
            message: Some(failure.message.clone()),
            last_transition_time: Some(Time(Timestamp::now())),
        });
        let name = self.set.metadata.name.as_deref().unwrap_or_default();
        let patch = Patch::Merge(json!({"status": {"conditions": conditions}}));
        match self.sets.patch_status(name, &PatchParams::default(), &patch).await {
            Ok(set) => self.set_ledger.put(set),
            Err(error) if is_gone(&error) => self.set_ledger.gone(&self.set),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn create(&self, count: usize) -> Result<(), Failure> {
        let pod = new_pod(&self.set);
        in_batches(count, |_| self.create_one(&pod)).await
    }

    async fn create_one(&self, pod: &Pod) -> Result<(), Failure> {
        match self.pods.create(&PostParams::default(), pod).await {
            Ok(pod) => {
                let message = format!("Created pod: {}", pod.metadata.name.as_deref().unwrap_or_default());
                self.recorder.event(&reference(&*self.set), Reason::SuccessfulCreate, message);
                self.pod_ledger.put(pod);
                Ok(())
            }
            // The set itself is about to go.
            Err(error) if is_namespace_terminating(&error) => Ok(()),
            Err(error) => {
                let failure = Failure::from(error);
                let message = format!("Error creating: {}", failure.message);
                self.recorder.event(&reference(&*self.set), Reason::FailedCreate, message);
                Err(failure)
            }
        }
    }

    async fn delete(&self, pods: &[Arc<Pod>]) -> Result<(), Failure> {
        in_batches(pods.len(), |index| self.delete_one(&pods[index])).await
    }

    async fn delete_one(&self, pod: &Pod) -> Result<(), Failure> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let preconditions = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
        let result = self.pods.delete(name, &DeleteParams::background().preconditions(preconditions)).await;
        match result.map(|deleted| deleted.left()) {
            Ok(Some(stopping)) if stopping.metadata.deletion_timestamp.is_some() => self.pod_ledger.put(stopping),
            Ok(_) => self.pod_ledger.gone(pod),
            Err(error) if is_gone(&error) => {
                self.pod_ledger.gone(pod);
                return Ok(());
            }
            Err(error) => {
                let failure = Failure::from(error);
                let message = format!("Error deleting: {}", failure.message);
                self.recorder.event(&reference(&*self.set), Reason::FailedDelete, message);
                return Err(failure);
            }
        }
        self.recorder.event(&reference(&*self.set), Reason::SuccessfulDelete, format!("Deleted pod: {name}"));
        Ok(())
    }
}

/// Does `count` things, 1, 2, 4, ... at a time; stops behind the first batch with a failure.
async fn in_batches<F>(count: usize, mut work: impl FnMut(usize) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let (mut done, mut size) = (0, 1);
    while done < count {
        let batch = size.min(count - done);
        for result in join_all((done..done + batch).map(&mut work)).await {
            result?;
        }
        done += batch;
        size *= 2;
    }
    Ok(())
}

/// The reference that makes `set` the controller of a pod.
fn owner(set: &ReplicaSet) -> OwnerReference {
    OwnerReference {
        api_version: "apps/v1".into(),
        kind: "ReplicaSet".into(),
        name: set.metadata.name.clone().unwrap_or_default(),
        uid: set.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// A pod of `set`; the API gives it its name.
fn new_pod(set: &ReplicaSet) -> Pod {
    let template = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
    let metadata = template.metadata.unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", set.metadata.name.as_deref().unwrap_or_default())),
            namespace: set.metadata.namespace.clone(),
            labels: metadata.labels,
            annotations: metadata.annotations,
            finalizers: metadata.finalizers,
            owner_references: Some(vec![owner(set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}
