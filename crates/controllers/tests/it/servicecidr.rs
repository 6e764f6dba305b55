//! The life of ServiceCIDRs, with the real allocator beside them.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use k8s_openapi::{
    api::{
        core::v1::{Event, Service},
        networking::v1::ServiceCIDR,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};
use portolan_apiserver::{Config, Server};
use portolan_controllers::servicecidr;
use portolan_events::{Recorder, Vocabulary};
use portolan_runtime::Metrics;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cluster::eventually;

const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";

struct Stage {
    _server: Server,
    client: Client,
    stop: CancellationToken,
    _stop_at_the_end: DropGuard,
}

impl Stage {
    async fn start() -> Self {
        let server = Server::open(Config::default()).await.unwrap();
        let client = server.client("admin", &["system:masters"]);
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        Self { _server: server, client, stop, _stop_at_the_end: guard }
    }

    fn run(&self) {
        let recorder = Recorder::new(self.client.clone(), servicecidr::NAME, None, Vocabulary::Full);
        tokio::spawn(servicecidr::run(self.client.clone(), recorder, Metrics::default(), self.stop.clone()));
    }

    fn ranges(&self) -> Api<ServiceCIDR> {
        Api::all(self.client.clone())
    }

    async fn add(&self, name: &str, cidr: &str) {
        let range = serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"cidrs": [cidr]}})).unwrap();
        self.ranges().create(&PostParams::default(), &range).await.unwrap();
    }

    async fn service(&self, name: &str, address: &str) -> kube::Result<Service> {
        let spec = json!({"clusterIP": address, "ports": [{"port": 80}]});
        let service = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap();
        Api::default_namespaced(self.client.clone()).create(&PostParams::default(), &service).await
    }

    async fn until(&self, what: &str, name: &str, done: impl Fn(&ServiceCIDR) -> bool) -> ServiceCIDR {
        let api = self.ranges();
        eventually(what, async || api.get_opt(name).await.unwrap().filter(&done)).await
    }
}

/// (status, reason, message) of the condition Ready; empty before there is one.
fn ready(range: &ServiceCIDR) -> (String, String, String) {
    let conditions = range.status.clone().unwrap_or_default().conditions.unwrap_or_default();
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
    ready.map(|Condition { status, reason, message, .. }| (status, reason, message)).unwrap_or_default()
}

fn is_kept(range: &ServiceCIDR) -> bool {
    range.metadata.finalizers.as_deref() == Some(&[FINALIZER.to_owned()])
        && ready(range) == ("True".into(), String::new(), "Kubernetes Service CIDR is ready".into())
}

#[tokio::test]
async fn a_range_goes_when_its_last_address_has_gone_and_all_have_heard() {
    let stage = Stage::start().await;
    stage.run();
    stage.until("the cluster's own range is kept", "kubernetes", is_kept).await;
    stage.add("more", "10.97.0.0/24").await;
    stage.until("a new range is kept", "more", is_kept).await;
    stage.service("web", "10.97.0.7").await.unwrap();
    stage.ranges().delete("more", &DeleteParams::default()).await.unwrap();
    let blocked = stage.until("the range waits", "more", |range| ready(range).0 == "False").await;
    let message =
        "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
    assert_eq!(ready(&blocked), ("False".into(), "Terminating".into(), message.into()));
    assert!(stage.service("other", "10.97.0.8").await.is_err(), "nothing more is taken from it");
    Api::<Service>::default_namespaced(stage.client.clone()).delete("web", &DeleteParams::default()).await.unwrap();
    let api = stage.ranges();
    eventually("the range is gone", async || api.get_opt("more").await.unwrap().is_none().then_some(())).await;
    let deleted = blocked.metadata.deletion_timestamp.unwrap().0;
    let passed = Duration::try_from(k8s_openapi::jiff::Timestamp::now().duration_since(deleted)).unwrap();
    assert!(passed >= Duration::from_secs(10), "only after all API servers have heard of it: {passed:?}");
}

#[tokio::test]
async fn a_refused_condition_is_an_event() {
    let stage = Stage::start().await;
    let error = json!({"code": 403, "reason": "Forbidden", "message": "not now"});
    let faults = json!([{"verbs": ["patch"], "resources": ["servicecidrs/status"], "times": 2, "error": error}]);
    let switch = http::Request::put("/debug/faults").body(faults.to_string().into_bytes()).unwrap();
    stage.client.request::<serde_json::Value>(switch).await.unwrap();
    stage.run();
    stage.until("it is tried again", "kubernetes", is_kept).await;
    let events = Api::<Event>::namespaced(stage.client.clone(), "default");
    let event = eventually("an Event", async || events.list(&ListParams::default()).await.unwrap().items.pop()).await;
    assert_eq!(event.reason.as_deref(), Some("KubernetesServiceCIDRError"));
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    assert_eq!(event.message.as_deref(), Some("The ServiceCIDR Status can not be set to Ready=True"));
    assert_eq!(event.source.and_then(|source| source.component).as_deref(), Some("service-cidr-controller"));
    assert_eq!(event.involved_object.kind.as_deref(), Some("ServiceCIDR"));
}
