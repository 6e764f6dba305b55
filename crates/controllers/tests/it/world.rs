//! An API server in memory with what the tests of this binary need around it.
#![allow(clippy::unwrap_used)]

use std::{fmt::Debug, time::Duration};

use futures::StreamExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Event, Node, Pod},
};
use kube::{
    Api, Client, Resource,
    api::{ListParams, Patch, PatchParams, PostParams, WatchParams},
};
use portolan_apiserver::{Config, Server};
use portolan_events::{Recorder, Vocabulary};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// The namespace that the tests work in.
pub const NAMESPACE: &str = "default";

pub struct World {
    server: Server,
    pub client: Client,
    pub stop: CancellationToken,
    _stop_at_the_end: DropGuard,
}

impl World {
    pub async fn start() -> Self {
        let server = Server::open(Config::default()).await.unwrap();
        let client = server.client("admin", &["system:masters"]);
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        Self { server, client, stop, _stop_at_the_end: guard }
    }

    /// The client of a controller, under its own identity.
    pub fn client_of(&self, name: &str) -> Client {
        let user = format!("system:serviceaccount:kube-system:{name}");
        self.server.client(&user, &["system:masters", "system:serviceaccounts"])
    }

    pub fn recorder(&self, component: &'static str, vocabulary: Vocabulary) -> Recorder {
        Recorder::new(self.client_of(component), component, None, vocabulary)
    }

    pub fn api<T>(&self) -> Api<T>
    where
        T: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    pub async fn create<T>(&self, body: Value) -> T
    where
        T: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Serialize + DeserializeOwned + Debug,
    {
        let object: T = serde_json::from_value(body).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    pub async fn node(&self, name: &str) {
        let node: Node = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        let api: Api<Node> = Api::all(self.client.clone());
        api.create(&PostParams::default(), &node).await.unwrap();
    }

    /// A Service on port 80 that selects `app: <name>` and leads to the port named `http`.
    pub async fn service(&self, name: &str) {
        let _: k8s_openapi::api::core::v1::Service = self
            .create(json!({
                "metadata": {"name": name},
                "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}]},
            }))
            .await;
    }

    /// A ready pod of `app` on `node`, with an address.
    pub async fn pod(&self, app: &str, name: &str, node: &str, address: &str) {
        let container = json!({"name": "a", "image": "echo", "ports": [{"name": "http", "containerPort": 8080}]});
        let _: Pod = self
            .create(json!({
                "metadata": {"name": name, "labels": {"app": app}},
                "spec": {"nodeName": node, "containers": [container]},
            }))
            .await;
        self.pod_status(name, json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]})).await;
        self.ready(name, true).await;
    }

    pub async fn ready(&self, pod: &str, ready: bool) {
        let status = if ready { "True" } else { "False" };
        self.pod_status(pod, json!({"conditions": [{"type": "Ready", "status": status}]})).await;
    }

    async fn pod_status(&self, pod: &str, status: Value) {
        let patch = Patch::Strategic(json!({"status": status}));
        self.api::<Pod>().patch_status(pod, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until the objects of a kind that carry `labels` are as `done` wants them. Woken by a watch.
    pub async fn until<T>(&self, what: &str, labels: &str, done: impl Fn(&[T]) -> bool) -> Vec<T>
    where
        T: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let api: Api<T> = self.api();
        let mut last = Vec::new();
        let wait = async {
            loop {
                let list = api.list(&ListParams::default().labels(labels)).await.unwrap();
                let version = list.metadata.resource_version.unwrap_or_default();
                last = list.items;
                if done(&last) {
                    return;
                }
                let changes = api.watch(&WatchParams::default().labels(labels), &version).await.unwrap();
                drop(changes.boxed().next().await);
            }
        };
        if tokio::time::timeout(LIMIT, wait).await.is_err() {
            panic!("waited in vain for {what}; the last state was {last:#?}");
        }
        last
    }

    /// Waits for an Event with this reason on the object called `name`.
    pub async fn event(&self, name: &str, reason: &str) -> Event {
        let is_it = |event: &Event| {
            event.involved_object.name.as_deref() == Some(name) && event.reason.as_deref() == Some(reason)
        };
        let events = self.until("an event", "", |events: &[Event]| events.iter().any(is_it)).await;
        events.into_iter().find(is_it).unwrap()
    }
}
