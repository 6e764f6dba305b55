//! The whole way: objects written to the real API, packets through the kernel.

use std::time::Duration;

use k8s_openapi::api::{
    core::v1::{Event, Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use portolan_apiserver::Server;
use portolan_events::{Recorder, Vocabulary};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Lab, Outcome, PATIENCE, SILENCE, ask_within, in_world, pods, slice};

/// Waits until a connection ends as expected.
async fn until(lab: &Lab, from: &str, destination: &str, expected: impl Fn(&Outcome) -> bool) -> Duration {
    let start = Instant::now();
    let wait = async {
        while !expected(&ask_within(SILENCE, lab.namespace(from), "tcp", destination).await) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{from} -> {destination} never did as expected"));
    start.elapsed()
}

fn reached(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Reached(..))
}

struct Objects {
    services: Api<Service>,
    events: Api<Event>,
    slices: Api<EndpointSlice>,
}

impl Objects {
    fn new(client: Client) -> Self {
        Self {
            services: Api::namespaced(client.clone(), "default"),
            events: Api::namespaced(client.clone(), "default"),
            slices: Api::namespaced(client, "default"),
        }
    }

    /// Creates a Service and returns its cluster address.
    async fn service(&self, name: &str, labels: Value, spec: Value) -> String {
        let object = json!({"metadata": {"name": name, "labels": labels}, "spec": spec});
        let object = serde_json::from_value(object).unwrap();
        let made = self.services.create(&PostParams::default(), &object).await.unwrap();
        made.spec.unwrap().cluster_ip.unwrap()
    }

    async fn endpoints(&self, service: &str, who: &str) {
        let object = slice(service, &[], &pods(who), 8080);
        let patch = Patch::Merge(json!({"endpoints": object.endpoints}));
        let name = format!("{service}-x");
        self.slices.patch(&name, &PatchParams::default(), &patch).await.unwrap();
    }
}

#[test]
fn what_is_written_to_the_api_is_what_packets_do() {
    in_world("lab::api::what_is_written_to_the_api_is_what_packets_do", |lab: Lab| async move {
        lab.serve();
        let server = Server::open(portolan_apiserver::Config::default()).await.unwrap();
        let client = || server.client("system:serviceaccount:kube-system:service-proxy", &["system:masters"]);
        let node = json!({"metadata": {"name": "node-1"}});
        let nodes: Api<Node> = Api::all(client());
        nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
        let objects = Objects::new(client());
        let ports = json!([{"port": 80, "targetPort": 8080}]);
        let ip = objects.service("web", json!({}), json!({"type": "NodePort", "ports": ports})).await;
        let web = format!("{ip}:80");
        objects.slices.create(&PostParams::default(), &slice("web", &[], &pods("a"), 8080)).await.unwrap();

        let stop = CancellationToken::new();
        let proxy = tokio::spawn(crate::run(client(), lab.config(), stop.clone()));
        until(&lab, "b", &web, reached).await;
        let node_port = objects.services.get("web").await.unwrap().spec.unwrap().ports.unwrap()[0].node_port.unwrap();
        until(&lab, "outside", &format!("{}:{node_port}", super::NODE), reached).await;

        // Alternate between two endpoints: how soon after the write is a new connection led to the new one?
        let mut times = Vec::new();
        for who in ["c", "a", "c", "a", "c"] {
            objects.endpoints("web", who).await;
            let is_there = |outcome: &Outcome| matches!(outcome, Outcome::Reached(pod, _) if pod == who);
            times.push(until(&lab, "b", &web, is_there).await);
        }
        times.sort();
        eprintln!("from the write of a slice to a connection to the new endpoint: {times:?}");
        assert!(times[2] < SILENCE, "{times:?}");

        objects.endpoints("web", "").await;
        until(&lab, "b", &web, |outcome| *outcome == Outcome::Refused).await;
        // Somebody else's Services are not ours, nor are headless ones.
        let other = json!({"service.kubernetes.io/service-proxy-name": "other"});
        let other = objects.service("other", other, json!({"ports": ports})).await;
        let dropped = |outcome: &Outcome| *outcome == Outcome::Dropped;
        until(&lab, "b", &format!("{other}:80"), dropped).await;
        objects.services.delete("web", &DeleteParams::default()).await.unwrap();
        until(&lab, "b", &web, dropped).await;

        stop.cancel();
        timeout(PATIENCE, proxy).await.unwrap().unwrap().unwrap();
        server.close().await;
    });
}

#[test]
fn a_health_port_that_is_taken_is_told_on_its_service_and_opened_later() {
    const TEST: &str = "lab::api::a_health_port_that_is_taken_is_told_on_its_service_and_opened_later";
    in_world(TEST, |lab: Lab| async move {
        let server = Server::open(portolan_apiserver::Config::default()).await.unwrap();
        let client = || server.client("system:serviceaccount:kube-system:service-proxy", &["system:masters"]);
        let objects = Objects::new(client());
        let address = "0.0.0.0:31234".parse().unwrap();
        let taken = lab.node.tcp_listen(address).unwrap();
        let stop = CancellationToken::new();
        let recorder = Recorder::new(client(), "kube-proxy", Some("node-1".to_owned()), Vocabulary::Full);
        let config = crate::Config { recorder: Some(recorder), ..lab.config() };
        let proxy = tokio::spawn(crate::run(client(), config, stop.clone()));
        let spec = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31234,
                          "ports": [{"port": 80}]});
        objects.service("web", json!({}), spec).await;
        let told = async {
            loop {
                let events = objects.events.list(&ListParams::default()).await.unwrap();
                let told = events
                    .items
                    .into_iter()
                    .find(|event| event.reason.as_deref() == Some("FailedToStartServiceHealthcheck"));
                match told {
                    Some(event) => return event,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let event = timeout(PATIENCE, told).await.unwrap();
        assert_eq!(event.involved_object.name.as_deref(), Some("web"));
        assert!(event.involved_object.uid.is_some_and(|uid| !uid.is_empty()), "describe finds it by UID");
        let message = event.message.unwrap();
        let expected = "node node-1 failed to start healthcheck \"default/web\" on port 31234: ";
        assert!(message.starts_with(expected), "{message}");
        drop(taken);
        let open = async {
            while lab.outside.tcp_connect("198.51.100.2:31234".parse().unwrap()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, open).await.expect("the port is opened once it is free");
        stop.cancel();
        timeout(PATIENCE, proxy).await.unwrap().unwrap().unwrap();
        server.close().await;
    });
}
