//! Writes what was planned.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Node, Pod, PodCondition, Taint},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use portolan_catalogue::{Reason, Severity};
use portolan_events::{Recorder, reference};
use portolan_objects::ObjectKey;
use portolan_runtime::Failure;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::{Outcome, health};
use crate::workloads::{cache::Ledger, is_gone};

/// What an apply needs.
pub(super) struct Writer {
    pub client: Client,
    pub recorder: Recorder,
    pub nodes: Ledger<Node>,
    pub pods: Ledger<Pod>,
}

impl Writer {
    /// Nobody knows any more how the node is.
    pub async fn silence(&self, node: &Node) -> Result<Outcome, Failure> {
        let name = name(node);
        warn!(node = %name, "node has stopped posting its status");
        let patch = json!({"status": {"conditions": health::silenced(node, Timestamp::now())}});
        let nodes = Api::<Node>::all(self.client.clone());
        self.wrote(nodes.patch_status(&name, &PatchParams::default(), &Patch::Strategic(patch)).await)
    }

    fn wrote(&self, answer: kube::Result<Node>) -> Result<Outcome, Failure> {
        match answer {
            Ok(node) => {
                self.nodes.put(node);
                Ok(Outcome::Done)
            }
            Err(error) if is_gone(&error) => Ok(Outcome::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells that the node is not ready any more; a warning is only what its pods get.
    pub fn tell(&self, node: &Node) {
        let text = format!("Node {} status is now: NodeNotReady", name(node));
        self.recorder.event_as(Severity::Normal, &reference(node), Reason::NodeNotReady, text);
    }

    /// Sets the taints, unless somebody has changed the node since.
    pub async fn taint(&self, node: &Node, taints: Vec<Taint>) -> Result<Outcome, Failure> {
        let name = name(node);
        info!(node = %name, taints = ?taints.iter().map(|taint| &taint.key).collect::<Vec<_>>(), "tainting a node");
        let metadata = json!({"uid": node.metadata.uid, "resourceVersion": node.metadata.resource_version});
        // An empty list would stay in the object.
        let taints = if taints.is_empty() { Value::Null } else { json!(taints) };
        let patch = json!({"metadata": metadata, "spec": {"taints": taints}});
        let nodes = Api::<Node>::all(self.client.clone());
        self.wrote(nodes.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await)
    }

    /// The pods of a node that is not ready are not ready: Services stop sending traffic there.
    pub async fn mark(&self, pods: &[Arc<Pod>]) -> Result<(), Failure> {
        for pod in pods.iter().filter(|pod| health::counts_as_ready(pod)) {
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            let Some(ready) = conditions.into_iter().find(|condition| condition.type_ == "Ready") else { continue };
            let now = Some(Time(Timestamp::now()));
            let ready = PodCondition { status: "False".into(), last_transition_time: now, ..ready.clone() };
            if self.patch_pod(pod, ready).await? {
                self.recorder.event(&reference(&**pod), Reason::NodeNotReady, "Node is not ready");
            }
        }
        Ok(())
    }

    /// Deletes the pod, and lets it say why.
    pub async fn evict(&self, pod: &Pod) -> Result<(), Failure> {
        let key = ObjectKey::of(pod);
        info!(pod = %key, "deleting a pod because of its node's taints");
        let why = PodCondition {
            type_: "DisruptionTarget".into(),
            status: "True".into(),
            reason: Some("DeletionByTaintManager".into()),
            message: Some("Taint manager: deleting due to NoExecute taint".into()),
            last_transition_time: Some(Time(Timestamp::now())),
            ..PodCondition::default()
        };
        if !self.patch_pod(pod, why).await? {
            return Ok(());
        }
        let preconditions = Some(Preconditions { uid: pod.metadata.uid.clone(), resource_version: None });
        let options = DeleteParams { preconditions, ..DeleteParams::default() };
        let pods = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        match pods.delete(&key.name, &options).await {
            Ok(answer) => {
                answer.map_left(|pod| self.pods.put(pod)).map_right(|_| self.pods.gone(pod));
            }
            Err(error) if is_gone(&error) => self.pods.gone(pod),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Sets one condition of a pod; false if the pod is gone.
    async fn patch_pod(&self, pod: &Pod, condition: PodCondition) -> Result<bool, Failure> {
        let key = ObjectKey::of(pod);
        let pods = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}});
        match pods.patch_status(&key.name, &PatchParams::default(), &Patch::Strategic(patch)).await {
            Ok(patched) => self.pods.put(patched),
            Err(error) if is_gone(&error) => {
                self.pods.gone(pod);
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }
}

fn name(node: &Node) -> String {
    node.metadata.name.clone().unwrap_or_default()
}
