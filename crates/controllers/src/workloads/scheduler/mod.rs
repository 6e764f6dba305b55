//! The scheduler: gives every pod without a node the one that fits best.
//!
//! One key is one pod. A decision counts from the moment it is planned, not when the watch shows it, so a burst of
//! pods spreads and nothing on a node is given out twice. A pod that fits nowhere is looked at again when a node changes or
//! a pod ends; the condition and event are written once per reason.
//! Upstream: `pkg/scheduler`.

mod plan;
#[cfg(test)]
mod tests;
mod usage;

use std::{future::Future, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Binding, Node, ObjectReference, Pod},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use portolan_catalogue::Reason;
use portolan_events::{Recorder, reference};
use portolan_objects::{ObjectKey, pod};
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    cache::{Cache, Ledger, by_controller, uid},
    is_gone,
};
use plan::{Decision, Place};
use usage::{Usage, Used};

/// The component that events name, and the `schedulerName` that it answers to.
pub const NAME: &str = "default-scheduler";

/// Runs the scheduler until `stop`.
pub async fn run(client: Client, recorder: Recorder, metrics: Metrics, stop: CancellationToken) {
    let inputs = Inputs::new().all(&client, Input::Pod).all(&client, Input::Node);
    let options = Options {
        name: NAME,
        workers: 16,
        backoff: Backoff { base: Duration::from_millis(200), max: Duration::from_secs(10), attempts: None },
        timeout: Duration::from_secs(30),
    };
    portolan_runtime::run(Scheduler::new(client, recorder), inputs, options, metrics, stop).await;
}

#[allow(clippy::large_enum_variant)] // Moved once, from the watch into the index.
enum Input {
    Pod(Change<Pod>),
    Node(Change<Node>),
}

struct Scheduler {
    client: Client,
    recorder: Recorder,
    /// By node; the empty group waits for one.
    pods: Cache<Pod>,
    nodes: Cache<Node>,
    usage: Usage,
}

impl Scheduler {
    fn new(client: Client, recorder: Recorder) -> Self {
        let by_node = |pod: &Pod| pod::node(pod).unwrap_or_default().to_owned();
        Self { client, recorder, pods: Cache::new(by_node), nodes: Cache::new(by_controller), usage: Usage::default() }
    }

    fn index_pod(&mut self, change: Change<Pod>, dirty: &mut Vec<ObjectKey>) {
        let mut freed = false;
        let usage = &mut self.usage;
        self.pods.take(change, |(old, new)| {
            freed |= usage.track((old, new));
            if let Some(new) = new.filter(|new| is_ours(new)) {
                dirty.push(ObjectKey::of(&**new));
            }
        });
        if freed {
            self.wake(dirty);
        }
    }

    /// Everyone who waits for a node gets another look.
    fn wake(&self, dirty: &mut Vec<ObjectKey>) {
        dirty.extend(self.pods.group("").filter(|pod| is_ours(pod)).map(|pod| ObjectKey::of(&**pod)));
    }

    fn decide(&self, pod: &Pod) -> Decision {
        let nothing = Used::default();
        let place = |node| Place { node, used: self.usage.of(name_of(node)).unwrap_or(&nothing) };
        let places: Vec<Place<'_>> = self.nodes.iter().map(|node| place(&**node)).collect();
        plan::decide(pod, &places)
    }
}

fn name_of(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or_default()
}

/// Waits for this scheduler.
fn is_ours(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    spec.scheduler_name.as_deref().is_none_or(|name| name == NAME)
        && !gated
        && pod::node(pod).is_none()
        && !pod::is_terminating(pod)
        && !pod::is_terminal(pod)
}

/// The message that the pod's condition PodScheduled already carries.
fn known_reason(pod: &Pod) -> Option<&str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    if condition.status == "False" { condition.message.as_deref() } else { None }
}

impl Reconciler for Scheduler {
    type Input = Input;
    type Key = ObjectKey;
    type Plan = (Arc<Pod>, Decision);
    type Outcome = Decision;

    fn index(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        match input {
            Input::Pod(change) => self.index_pod(change, dirty),
            Input::Node(change) => {
                self.nodes.take(change, |_| {});
                self.wake(dirty);
            }
        }
    }

    fn plan(&mut self, key: &ObjectKey) -> Option<Self::Plan> {
        let usage = &mut self.usage;
        self.pods.settle(|transition| {
            usage.track(transition);
        });
        let pod = self.pods.get(key).filter(|pod| is_ours(pod))?.clone();
        if self.usage.is_bound(key, uid(&*pod)) {
            return None;
        }
        // An earlier decision that did not come through must not stand in its own way.
        self.usage.release(key);
        let decision = self.decide(&pod);
        match &decision {
            Decision::Bind(node) => self.usage.assume(key, &pod, node),
            Decision::Unschedulable(reason) if known_reason(&pod) == Some(reason) => return None,
            Decision::Unschedulable(_) => {}
        }
        Some((pod, decision))
    }

    fn apply(
        &self,
        key: ObjectKey,
        (pod, decision): Self::Plan,
    ) -> impl Future<Output = Result<Self::Outcome, Failure>> + Send + 'static {
        let api = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        let (recorder, ledger) = (self.recorder.clone(), self.pods.ledger());
        async move {
            match &decision {
                Decision::Bind(node) => bind(&api, &recorder, &pod, node).await?,
                Decision::Unschedulable(reason) => refuse(&api, &recorder, &ledger, &pod, reason).await?,
            }
            Ok(decision)
        }
    }

    fn applied(&mut self, key: &ObjectKey, outcome: Decision) -> Option<Duration> {
        if let Decision::Bind(_) = outcome {
            self.usage.bound(key);
        }
        None
    }
}

async fn bind(api: &Api<Pod>, recorder: &Recorder, pod: &Pod, node: &str) -> Result<(), Failure> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let binding = Binding {
        metadata: ObjectMeta {
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectMeta::default()
        },
        target: ObjectReference { kind: Some("Node".into()), name: Some(node.into()), ..ObjectReference::default() },
    };
    let parameters = PostParams::default();
    match api.create_subresource::<_, Value>("binding", name, &parameters, &binding).await {
        Ok(_) => {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            let message = format!("Successfully assigned {namespace}/{name} to {node}");
            recorder.event(&reference(pod), Reason::Scheduled, message);
            Ok(())
        }
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn refuse(
    api: &Api<Pod>,
    recorder: &Recorder,
    ledger: &Ledger<Pod>,
    pod: &Pod,
    reason: &str,
) -> Result<(), Failure> {
    recorder.event(&reference(pod), Reason::FailedScheduling, reason);
    let patch = json!({"status": {"conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": reason,
        "lastTransitionTime": Time(Timestamp::now()),
    }]}});
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    match api.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
        Ok(patched) => ledger.put(patched),
        Err(error) if is_gone(&error) => ledger.gone(pod),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
