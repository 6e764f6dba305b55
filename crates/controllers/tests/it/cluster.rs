//! An API server in memory with what the tests of load balancers and workloads need around it.
#![allow(clippy::unwrap_used)]

use std::{fmt::Debug, future::Future, time::Duration};

use futures::StreamExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Event, Node, Pod},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use portolan_apiserver::{Config, Server};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(30);

/// Stops everything that was spawned when it is dropped.
pub struct Cluster {
    server: Server,
    pub stop: CancellationToken,
    tasks: JoinSet<()>,
    _stop_at_the_end: DropGuard,
}

impl Cluster {
    pub async fn start() -> Self {
        let server = Server::open(Config::default()).await.unwrap();
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        Self { server, stop, tasks: JoinSet::new(), _stop_at_the_end: guard }
    }

    pub fn admin(&self) -> Client {
        self.server.client("admin", &["system:masters"])
    }

    pub fn spawn(&mut self, part: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(part);
    }

    pub async fn create<T>(&self, body: Value) -> T
    where
        T: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Serialize + DeserializeOwned + Debug,
    {
        let object: T = serde_json::from_value(body).unwrap();
        let namespace = object.meta().namespace.clone().unwrap_or_else(|| "default".into());
        Api::namespaced(self.admin(), &namespace).create(&PostParams::default(), &object).await.unwrap()
    }

    /// A ready node with this address.
    pub async fn add_node(&self, name: &str, address: &str) {
        let api = Api::<Node>::all(self.admin());
        let node: Node = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        api.create(&PostParams::default(), &node).await.unwrap();
        let status = json!({"status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"pods": "110"},
        }});
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    /// Does to placed pods what a node agent would: runs them at once, and ends those that are told to stop.
    pub fn run_toy_kubelet(&mut self) {
        let (client, stop) = (self.admin(), self.stop.clone());
        self.tasks.spawn(async move {
            let pods = watcher(Api::<Pod>::all(client.clone()), watcher::Config::default());
            let mut pods = pods.default_backoff().applied_objects().boxed();
            let run = async {
                while let Some(pod) = pods.next().await {
                    if let Ok(pod) = pod {
                        attend(&client, &pod).await;
                    }
                }
            };
            let _ = stop.run_until_cancelled(run).await;
        });
    }

    /// Reason and message of the Events about `name`, oldest first.
    pub async fn events(&self, namespace: &str, name: &str) -> Vec<(String, String)> {
        let api = Api::<Event>::namespaced(self.admin(), namespace);
        let mut events = api.list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| event.involved_object.name.as_deref() == Some(name));
        // Names end in the time of the first report, which is finer than the timestamps.
        events.sort_by_key(|event| event.name_any());
        events.into_iter().map(|event| (event.reason.unwrap_or_default(), event.message.unwrap_or_default())).collect()
    }

    /// Only the reasons of [`Cluster::events`].
    pub async fn reasons(&self, namespace: &str, name: &str) -> Vec<String> {
        self.events(namespace, name).await.into_iter().map(|(reason, _)| reason).collect()
    }
}

/// One look at one pod. A pod that has changed meanwhile comes again.
async fn attend(client: &Client, pod: &Pod) {
    let namespace = pod.namespace().unwrap_or_default();
    let api = Api::<Pod>::namespaced(client.clone(), &namespace);
    let placed = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if !placed {
        return;
    }
    if pod.metadata.deletion_timestamp.is_some() {
        drop(api.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await);
    } else if phase != Some("Running") {
        let now = k8s_openapi::jiff::Timestamp::now().to_string();
        let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
        let status = json!({"status": {
            "phase": "Running",
            "conditions": [condition("Ready"), condition("ContainersReady")],
        }});
        drop(api.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(status)).await);
    }
}

/// Waits until `look` finds something.
pub async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(LIMIT, wait).await {
        Ok(found) => found,
        Err(_) => panic!("not within {} seconds: {what}", LIMIT.as_secs()),
    }
}
