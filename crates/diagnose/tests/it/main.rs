//! The doctor against the real API, in one process. No controller runs here: the test writes what they would.
#![allow(clippy::unwrap_used)]

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use k8s_openapi::{
    NamespaceResourceScope, Resource as Typed,
    api::{
        apps::v1::Deployment,
        core::v1::{Event, Pod, Service},
        discovery::v1::EndpointSlice,
    },
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use portolan_apiserver::Server;
use portolan_diagnose::{Ask, Diagnosis, Index, LinkId, State, around, diagnose};
use portolan_objects::ObjectKey;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

struct Cluster {
    client: Client,
    _server: Server,
}

impl Cluster {
    async fn open() -> Self {
        let server = Server::open(Default::default()).await.unwrap();
        let cluster = Self { client: server.client("system:admin", &["system:masters"]), _server: server };
        cluster.dns().await;
        cluster
    }

    /// A cluster DNS that somebody else runs.
    async fn dns(&self) {
        let labels = json!({"k8s-app": "kube-dns"});
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "kube-dns", "labels": labels}, "spec": {"ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]},
        }))
        .unwrap();
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": {"name": "kube-dns", "labels": {"kubernetes.io/service-name": "kube-dns"}}, "addressType": "IPv4",
            "endpoints": [{"addresses": ["192.0.2.53"], "conditions": {"ready": true}}],
            "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}],
        }))
        .unwrap();
        let services: Api<Service> = Api::namespaced(self.client.clone(), "kube-system");
        services.create(&PostParams::default(), &service).await.unwrap();
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), "kube-system");
        slices.create(&PostParams::default(), &slice).await.unwrap();
    }

    fn api<T>(&self) -> Api<T>
    where
        T: Resource<Scope = NamespaceResourceScope>,
        T::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn create<T>(&self, object: Value) -> T
    where
        T: Resource<Scope = NamespaceResourceScope> + Typed + Clone + Debug + Serialize + DeserializeOwned,
        <T as Resource>::DynamicType: Default,
    {
        let object: T = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    /// A running, ready pod, as a node agent would report it.
    async fn pod(&self, name: &str, address: &str) {
        let spec = json!({"containers": [{"name": "app", "image": "web", "ports": [{"name": "http", "containerPort": 8080}]}]});
        self.create::<Pod>(json!({"metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec})).await;
        let status = json!({"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-07-01T10:00:00Z"}],
        }});
        let pods: Api<Pod> = self.api();
        pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    async fn service(&self, selector: Value) {
        let spec = json!({"selector": selector, "ports": [{"port": 80, "targetPort": "http"}]});
        self.create::<Service>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
    }
}

async fn run(cluster: &Cluster, namespace: &str, name: &str) -> Diagnosis {
    let key = ObjectKey::new(namespace, name);
    portolan_diagnose::run(cluster.client.clone(), &key, &Ask::default(), Vec::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typo_is_found_through_the_api() {
    let cluster = Cluster::open().await;
    cluster.pod("web-0", "10.244.1.5").await;
    cluster.pod("web-1", "10.244.1.6").await;
    cluster.service(json!({"app": "wbe"})).await;
    let diagnosis = run(&cluster, "default", "web").await;
    let cause = diagnosis.cause().unwrap();
    assert_eq!(cause.title.en, "selector app=wbe matches no pod; 2 pods have app=web");
    assert_eq!((diagnosis.exit_code(), diagnosis.unread.as_slice()), (1, [].as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_around_a_service_is_read() {
    let cluster = Cluster::open().await;
    cluster.pod("web-0", "10.244.1.5").await;
    cluster.service(json!({"app": "web"})).await;
    cluster
        .create::<EndpointSlice>(json!({
            "metadata": {"name": "web-a", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "endpoints": [{"addresses": ["10.244.1.5"], "conditions": {"ready": true}}],
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        }))
        .await;
    cluster
        .create::<Deployment>(json!({
            "metadata": {"name": "web"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "web"}]},
            }},
        }))
        .await;
    cluster
        .create::<Event>(json!({
            "metadata": {"name": "web.1", "namespace": "default"},
            "involvedObject": {"kind": "Service", "name": "web", "namespace": "default"},
            "reason": "Tested", "message": "seen", "type": "Normal",
        }))
        .await;
    let key = ObjectKey::new("default", "web");
    let snapshot = around(cluster.client.clone(), &key).await.unwrap();
    assert!(snapshot.unread.is_empty(), "{:?}", snapshot.unread);
    let counts = (snapshot.pods.len(), snapshot.slices.len(), snapshot.events.len(), snapshot.workloads.len());
    assert_eq!(counts, (1, 2, 1, 1));
    let diagnosis = diagnose(&Index::new(&snapshot), &key, &Ask::default());
    assert_eq!(diagnosis.exit_code(), 0, "{diagnosis:#?}");
    assert_eq!(diagnosis.link(LinkId::Ports).unwrap().state, State::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_exist_is_a_finding_not_an_error() {
    let cluster = Cluster::open().await;
    cluster.service(json!({"app": "web"})).await;
    let diagnosis = run(&cluster, "default", "wbe").await;
    assert_eq!(diagnosis.cause().unwrap().code, "service-not-found");
    let command = &diagnosis.cause().unwrap().remedies[0].commands[0];
    assert_eq!(command, "portolan diagnose svc/web -n default");
    let nowhere = run(&cluster, "nowhere", "web").await;
    assert_eq!(nowhere.cause().unwrap().code, "namespace-not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_cluster_costs_twelve_lists_and_no_write() {
    let cluster = Cluster::open().await;
    cluster.pod("web-0", "10.244.1.5").await;
    cluster.service(json!({"app": "web"})).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (inner, seen) = (cluster.client.clone(), asked.clone());
    let counting = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        seen.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        let inner = inner.clone();
        async move { inner.send(request).await }
    });
    let snapshot = portolan_diagnose::cluster(Client::new(counting, "default")).await.unwrap();
    assert_eq!(
        (snapshot.services.len(), snapshot.pods.len(), snapshot.unread.len()),
        (3, 1, 0),
        "{:?}",
        snapshot.unread
    );
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|request| request.starts_with("GET ")), "{asked:?}");
    // Lists alone have a query: the version of the API server is the other question.
    let lists = asked.iter().filter(|request| request.contains("resourceVersion=0")).count();
    assert!(lists <= 12, "{asked:?}");
    assert!(asked.len() <= lists + 1, "{asked:?}");
}
