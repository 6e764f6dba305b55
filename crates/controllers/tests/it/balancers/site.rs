//! A cluster with a scripted provider and a controller that can be killed.
#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Node, Service};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    client::Body,
};
use portolan_cloud::{
    LoadBalancers,
    scripted::{Script, Scripted},
};
use portolan_controllers::loadbalancer::{self, Config, Metrics};
use portolan_events::{Recorder, Vocabulary};
use portolan_runtime::Backoff;
use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::service_fn;

use crate::cluster::{Cluster, eventually};

/// A controller; dropping it kills it, wherever it is.
pub struct Controller {
    _task: AbortOnDropHandle<()>,
}

impl Controller {
    pub fn start(
        client: Client,
        provider: Arc<dyn LoadBalancers>,
        config: Config,
        vocabulary: Vocabulary,
        metrics: Metrics,
    ) -> Self {
        let recorder = Recorder::new(client.clone(), loadbalancer::NAME, None, vocabulary);
        let stop = CancellationToken::new();
        let part = loadbalancer::run(client, recorder, provider, config, metrics, stop);
        Self { _task: AbortOnDropHandle::new(tokio::spawn(part)) }
    }
}

/// Short waits and no budget to speak of.
pub fn brisk() -> Config {
    Config {
        calls_per_second: 1000.0,
        burst: 1000,
        backoff: Backoff { base: Duration::from_millis(20), max: Duration::from_millis(100), attempts: None },
        call_timeout: Duration::from_millis(300),
        ..Config::default()
    }
}

pub struct Site {
    pub cluster: Cluster,
    pub provider: Scripted,
    /// What the controller and the test itself reach the API with.
    pub client: Client,
}

impl Site {
    /// A cluster with one node and a provider with six addresses.
    pub async fn start() -> Self {
        Self::with_pool("203.0.113.0/29").await
    }

    pub async fn with_pool(pool: &str) -> Self {
        let cluster = Cluster::start().await;
        let client = cluster.admin();
        let site = Self { cluster, provider: Scripted::new(pool.parse().unwrap(), Script::default()), client };
        site.add_node("node-1", "172.30.0.11").await;
        site
    }

    /// The same on a paused clock, which stands still while the API works: the store has a thread of its own, and
    /// waiting for it is not what should make hours pass.
    pub async fn on_virtual_time(pool: &str) -> Self {
        let site = Self::with_pool(pool).await;
        let client = holding_the_clock(site.client.clone());
        Self { client, ..site }
    }

    pub fn run(&self, config: Config, vocabulary: Vocabulary) -> Controller {
        Controller::start(self.client.clone(), Arc::new(self.provider.clone()), config, vocabulary, Metrics::default())
    }

    pub fn services(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub async fn add(&self, name: &str, spec: Value) {
        let service = serde_json::from_value(service(name, spec)).unwrap();
        self.services().create(&PostParams::default(), &service).await.unwrap();
    }

    /// A node with this address from the beginning.
    pub async fn add_node(&self, name: &str, address: &str) {
        let addresses = json!([{"type": "InternalIP", "address": address}]);
        let node = json!({"metadata": {"name": name}, "status": {"addresses": addresses}});
        let node = serde_json::from_value(node).unwrap();
        Api::<Node>::all(self.client.clone()).create(&PostParams::default(), &node).await.unwrap();
    }

    pub async fn merge(&self, name: &str, change: Value) {
        self.services().patch(name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    }

    pub async fn delete(&self, name: &str) {
        self.services().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Deletes it without waiting for the finalizer.
    pub async fn force_away(&self, name: &str) {
        self.merge(name, json!({"metadata": {"finalizers": null}})).await;
        self.delete(name).await;
    }

    pub async fn gone(&self, name: &str) {
        eventually(&format!("{name} gone"), async || {
            self.services().get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    pub async fn address(&self, name: &str) -> String {
        eventually(&format!("an address of {name}"), async || ingress(&self.services().get(name).await.unwrap())).await
    }

    /// Reason and message of the condition `Why`.
    pub async fn why(&self, name: &str) -> Option<(String, String)> {
        let service = self.services().get(name).await.unwrap();
        let conditions = service.status.and_then(|status| status.conditions).unwrap_or_default();
        let found = conditions.into_iter().find(|condition| condition.type_ == "Why")?;
        assert_eq!(found.status, "True");
        Some((found.reason, found.message))
    }

    pub async fn until_why(&self, name: &str, reason: &str) -> String {
        eventually(&format!("{name} waits because of {reason}"), async || {
            self.why(name).await.filter(|(found, _)| found == reason).map(|(_, message)| message)
        })
        .await
    }

    /// Addresses of all Services, by name.
    pub async fn addresses(&self) -> Vec<(String, String)> {
        let all = self.services().list(&Default::default()).await.unwrap();
        all.iter().filter_map(|service| Some((service.name_any(), ingress(service)?))).collect()
    }

    pub async fn remove_node(&self, name: &str) {
        Api::<Node>::all(self.client.clone()).delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn merge_node(&self, name: &str, change: Value) {
        let nodes = Api::<Node>::all(self.client.clone());
        nodes.patch(name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    }

    pub async fn said(&self, name: &str, expected: &[&str]) {
        said(&self.cluster, name, expected).await;
    }

    /// Waits for a message about `name`.
    pub async fn heard(&self, name: &str, reason: &str) -> String {
        eventually(&format!("{reason} about {name}"), async || {
            let events = self.cluster.events("default", name).await;
            events.into_iter().find(|(found, _)| found == reason).map(|(_, message)| message)
        })
        .await
    }

    /// Names of the nodes that the balancer of a Service has.
    pub fn nodes_of(&self, name: &str) -> Vec<String> {
        let records = self.provider.records();
        let record = records.into_iter().find(|record| record.wanted.id.service.name == name);
        record.into_iter().flat_map(|record| record.wanted.nodes).map(|node| node.name).collect()
    }
}

/// A client whose requests keep tokio's paused clock from moving on by itself, as any blocking task does.
fn holding_the_clock(inner: Client) -> Client {
    let service = service_fn(move |request: http::Request<Body>| {
        let inner = inner.clone();
        async move {
            let (release, held) = std::sync::mpsc::channel::<()>();
            tokio::task::spawn_blocking(move || held.recv().is_ok());
            let answer = inner.send(request).await;
            drop(release);
            answer
        }
    });
    Client::new(service, "default")
}

pub fn services(cluster: &Cluster) -> Api<Service> {
    Api::namespaced(cluster.admin(), "default")
}

pub fn ingress(service: &Service) -> Option<String> {
    service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?.ip.clone()
}

pub fn service(name: &str, spec: Value) -> Value {
    let mut service = json!({
        "metadata": {"namespace": "default", "name": name},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": "web"}},
    });
    service["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    service
}

pub async fn address(cluster: &Cluster, name: &str) -> String {
    eventually(&format!("an address of {name}"), async || ingress(&services(cluster).get(name).await.unwrap())).await
}

pub async fn said(cluster: &Cluster, name: &str, expected: &[&str]) {
    let what = format!("{expected:?} about {name}");
    let mut last = Vec::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while last != expected {
        assert!(tokio::time::Instant::now() < deadline, "not within twenty seconds: {what}, but {last:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
        last = cluster.reasons("default", name).await;
    }
}
