//! The usual life of a Service: with the local balancer in a network of its own, and with a provider that refuses on
//! demand.
#![allow(clippy::unwrap_used)]

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::{self, BoxFuture, FutureExt};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use portolan_cloud::{
    BalancerId, Class, CloudError, Held, LoadBalancer, LoadBalancers, Observer, Status, Step, local::Local,
};
use portolan_controllers::loadbalancer;
use portolan_events::{Recorder, Vocabulary};
use portolan_netns::{Namespace, world};
use serde_json::json;

use super::site::{address, said, service, services};
use crate::cluster::{Cluster, eventually};

fn run(cluster: &mut Cluster, provider: Arc<dyn LoadBalancers>) {
    let client = cluster.admin();
    let recorder = Recorder::new(client.clone(), loadbalancer::NAME, None, Vocabulary::Full);
    let (config, metrics) = (loadbalancer::Config::default(), loadbalancer::Metrics::default());
    let part = loadbalancer::run(client, recorder, provider, config, metrics, cluster.stop.clone());
    cluster.spawn(part);
}

const NEW: [&str; 5] =
    ["EnsuringLoadBalancer", "IPAllocated", "CreatingLoadBalancer", "CreatedLoadBalancer", "EnsuredLoadBalancer"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_lives_through_all_steps_with_the_local_balancer() {
    if !world::enter_for_test("balancers::steps::a_service_lives_through_all_steps_with_the_local_balancer") {
        return;
    }
    let mut cluster = Cluster::start().await;
    cluster.add_node("node-1", "172.30.0.11").await;
    let edge = Namespace::create().unwrap();
    let local = Local::new(edge, "203.0.113.0/30".parse().unwrap()).unwrap();
    run(&mut cluster, Arc::new(local));

    cluster.create::<Service>(service("web", json!({}))).await;
    assert_eq!(address(&cluster, "web").await, "203.0.113.1");
    said(&cluster, "web", &NEW).await;
    let found = services(&cluster).get("web").await.unwrap();
    assert_eq!(found.finalizers(), ["service.kubernetes.io/load-balancer-cleanup"]);
    let events = cluster.events("default", "web").await;
    assert_eq!(events[1].1, "Assigned IP [\"203.0.113.1\"]");

    cluster.add_node("node-2", "172.30.0.12").await;
    eventually("new hosts", async || {
        cluster.reasons("default", "web").await.contains(&"UpdatedLoadBalancer".to_string()).then_some(())
    })
    .await;
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    services(&cluster).patch("web", &PatchParams::default(), &Patch::Merge(labels)).await.unwrap();

    // The pool has two addresses: the third Service gets none, and says so twice.
    cluster.create::<Service>(service("second", json!({}))).await;
    assert_eq!(address(&cluster, "second").await, "203.0.113.2");
    cluster.create::<Service>(service("third", json!({}))).await;
    said(&cluster, "third", &["EnsuringLoadBalancer", "IPNotAllocated", "SyncLoadBalancerFailed"]).await;
    let failed = cluster.events("default", "third").await.pop().unwrap().1;
    let start = "Error syncing load balancer: failed to ensure load balancer: AddressPoolExhausted: ";
    assert!(failed.starts_with(start), "{failed}");

    services(&cluster).delete("web", &DeleteParams::default()).await.unwrap();
    eventually("the Service gone", async || services(&cluster).get_opt("web").await.unwrap().is_none().then_some(()))
        .await;
    eventually("the last word", async || {
        let reasons = cluster.reasons("default", "web").await;
        reasons.ends_with(&["DeletingLoadBalancer".into(), "DeletedLoadBalancer".into()]).then_some(())
    })
    .await;
    // The back-off of five seconds is over soon: the freed address goes to the one who waits.
    assert_eq!(address(&cluster, "third").await, "203.0.113.1");

    let plain = json!({"spec": {"type": "ClusterIP"}});
    services(&cluster).patch("second", &PatchParams::default(), &Patch::Merge(plain)).await.unwrap();
    eventually("cleaned up", async || {
        let found = services(&cluster).get("second").await.unwrap();
        let ingress = found.status.clone().unwrap().load_balancer.unwrap_or_default().ingress;
        (found.finalizers().is_empty() && ingress.is_none_or(|list| list.is_empty())).then_some(())
    })
    .await;
}

/// Answers as it is told to, and otherwise makes everything at once.
#[derive(Default)]
struct Moody {
    refuse: Mutex<Vec<CloudError>>,
    made: Mutex<Vec<BalancerId>>,
    adopted: Mutex<Vec<IpAddr>>,
}

impl Moody {
    fn answer<T>(&self, value: T) -> Result<T, CloudError> {
        match self.refuse.lock().unwrap().pop() {
            Some(error) => Err(error),
            None => Ok(value),
        }
    }
}

impl LoadBalancers for Moody {
    fn adopt<'a>(&'a self, held: &'a [Held]) -> BoxFuture<'a, Result<(), CloudError>> {
        let addresses = held.iter().flat_map(|held| held.status.addresses.clone());
        self.adopted.lock().unwrap().extend(addresses);
        future::ready(Ok(())).boxed()
    }

    fn get<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<Option<Status>, CloudError>> {
        let made = self.made.lock().unwrap().contains(id);
        future::ready(Ok(made.then(Status::default))).boxed()
    }

    fn ensure<'a>(
        &'a self,
        wanted: &'a LoadBalancer,
        observer: Observer<'a>,
    ) -> BoxFuture<'a, Result<Status, CloudError>> {
        let status = Status { addresses: Vec::new(), hostnames: vec!["web.example.com".into()] };
        let result = self.answer(status.clone()).inspect(|_| {
            let mut made = self.made.lock().unwrap();
            if !made.contains(&wanted.id) {
                observer(Step::Creating);
                made.push(wanted.id.clone());
                observer(Step::Created(status));
            }
        });
        future::ready(result).boxed()
    }

    fn update_nodes<'a>(&'a self, _wanted: &'a LoadBalancer) -> BoxFuture<'a, Result<(), CloudError>> {
        future::ready(self.answer(())).boxed()
    }

    fn delete<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<(), CloudError>> {
        let result = self.answer(()).inspect(|()| self.made.lock().unwrap().retain(|made| made != id));
        future::ready(result).boxed()
    }
}

fn throttled() -> CloudError {
    CloudError::new(Class::Throttled, "RequestLimitExceeded", "too many requests").after(Duration::from_millis(50))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_keep_the_vendors_words_and_its_time() {
    let mut cluster = Cluster::start().await;
    let provider = Arc::new(Moody::default());
    provider.refuse.lock().unwrap().push(throttled());
    run(&mut cluster, provider.clone());
    cluster.create::<Service>(service("web", json!({}))).await;
    eventually("a host name", async || {
        let status = services(&cluster).get("web").await.unwrap().status?.load_balancer?;
        (status.ingress?.first()?.hostname.as_deref() == Some("web.example.com")).then_some(())
    })
    .await;
    // Equal events are counted, so the second Ensuring and UnAvailable are not listed again.
    let expected = [
        "EnsuringLoadBalancer",
        "UnAvailableLoadBalancer",
        "SyncLoadBalancerFailed",
        "CreatingLoadBalancer",
        "CreatedLoadBalancer",
        "EnsuredLoadBalancer",
    ];
    said(&cluster, "web", &expected).await;
    let events = cluster.events("default", "web").await;
    let text = "Error syncing load balancer: failed to ensure load balancer: RequestLimitExceeded: too many requests";
    assert_eq!(events[2].1, text);

    provider.refuse.lock().unwrap().push(throttled());
    cluster.add_node("node-1", "172.30.0.11").await;
    eventually("the failed update", async || {
        let events = cluster.events("default", "web").await;
        let (_, message) = events.iter().find(|(reason, _)| reason == "UpdateLoadBalancerFailed")?;
        let text = "Error updating load balancer with new hosts [node-1] [node names limited, total number of nodes: 1], \
                    error: RequestLimitExceeded: too many requests";
        (message == text).then_some(())
    })
    .await;
    let forbidden = CloudError::new(Class::Auth, "AuthorizationFailed", "no right to delete");
    provider.refuse.lock().unwrap().push(forbidden.after(Duration::from_millis(50)));
    services(&cluster).delete("web", &DeleteParams::default()).await.unwrap();
    eventually("the Service gone", async || services(&cluster).get_opt("web").await.unwrap().is_none().then_some(()))
        .await;
    assert!(provider.made.lock().unwrap().is_empty());
    let text = "Error syncing load balancer: failed to delete load balancer: AuthorizationFailed: no right to delete";
    eventually("why the deletion took two attempts", async || {
        cluster.events("default", "web").await.iter().any(|(_, message)| message == text).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn classes_belong_to_others_and_published_addresses_are_adopted() {
    let mut cluster = Cluster::start().await;
    cluster.add_node("node-1", "172.30.0.11").await;
    cluster.create::<Service>(service("old", json!({}))).await;
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}});
    services(&cluster).patch_status("old", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    cluster.create::<Service>(service("classed", json!({"loadBalancerClass": "example.com/other"}))).await;
    let provider = Arc::new(Moody::default());
    run(&mut cluster, provider.clone());
    said(
        &cluster,
        "old",
        &["EnsuringLoadBalancer", "CreatingLoadBalancer", "CreatedLoadBalancer", "EnsuredLoadBalancer"],
    )
    .await;
    assert_eq!(*provider.adopted.lock().unwrap(), [IpAddr::from([203, 0, 113, 7])]);
    assert!(cluster.reasons("default", "classed").await.is_empty());
    assert!(services(&cluster).get("classed").await.unwrap().finalizers().is_empty());

    // Same name, new UID, without waiting for us: the old balancer goes before the new one comes.
    let before = provider.made.lock().unwrap().clone();
    let force = json!({"metadata": {"finalizers": null}});
    services(&cluster).patch("old", &PatchParams::default(), &Patch::Merge(force)).await.unwrap();
    services(&cluster).delete("old", &DeleteParams::default()).await.unwrap();
    cluster.create::<Service>(service("old", json!({}))).await;
    eventually("the new one's balancer only", async || {
        let made = provider.made.lock().unwrap();
        (made.len() == 1 && *made != before).then_some(())
    })
    .await;
    let _ = Api::<Node>::all(cluster.admin()).delete("node-1", &DeleteParams::default()).await;
    eventually("no nodes", async || {
        cluster.reasons("default", "old").await.contains(&"UnAvailableLoadBalancer".to_string()).then_some(())
    })
    .await;
}
