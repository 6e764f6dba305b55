//! The same API read by the real kube-state-metrics: every series of ours has to be one of its, and none may be missing.
//!
//! Set PORTOLAN_KSM to the program (`go install k8s.io/kube-state-metrics/v2@v2.19.1`); without it the test is skipped.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Instant,
};

use k8s_openapi::api::{
    core::v1::{Endpoints, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use portolan_apiserver::pki::Authority;
use portolan_statemetrics::{SERVICE_LABELS, SLICE_LABELS};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{PATIENCE, Site, get};

const TEST: &str = "the_series_are_those_of_the_real_kube_state_metrics";

/// Ends with the test.
struct Real(Child);

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_series_are_those_of_the_real_kube_state_metrics() {
    let Some(program) = std::env::var_os("PORTOLAN_KSM") else {
        return portolan_netns::world::skip(TEST, "PORTOLAN_KSM does not name the real kube-state-metrics");
    };
    let site = Site::start().await;
    populate(&site.client).await;
    let ours = site.page("the last object", |page| page.contains("zz-last")).await;

    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = serve(&site, directory.path()).await;
    let (_real, address) = start(program.as_ref(), &kubeconfig);
    let theirs = their_page(address, |page| page.contains("zz-last")).await;

    let (ours, theirs) = (series(&ours), series(&theirs));
    let missing: Vec<_> = theirs.difference(&ours).collect();
    let invented: Vec<_> = ours.difference(&theirs).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing: {missing:#?}\ninvented: {invented:#?}");
    assert!(ours.len() > 80, "{} lines were compared", ours.len());
}

/// The lines of a page without those of families that only the original has, all of which are without series here.
fn series(page: &str) -> BTreeSet<&str> {
    let unserved = ["_annotations", "kube_endpoint_labels"];
    page.lines().filter(|line| !unserved.iter().any(|name| line.contains(name))).collect()
}

async fn create<K>(client: &Client, namespace: &str, value: Value) -> K
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &serde_json::from_value(value).unwrap()).await.unwrap()
}

/// Every shape of Service, slice and Endpoints that has series of its own.
async fn populate(client: &Client) {
    let port = json!([{"port": 80, "name": "http"}, {"port": 53, "protocol": "UDP", "name": "dns"}]);
    for (name, spec) in [
        ("plain", json!({"selector": {"a": "b"}, "ports": port})),
        ("node-port", json!({"type": "NodePort", "ports": port})),
        ("pending", json!({"type": "LoadBalancer", "ports": port, "externalTrafficPolicy": "Local"})),
        ("served", json!({"type": "LoadBalancer", "ports": port, "loadBalancerIP": "203.0.113.4"})),
        ("headless", json!({"clusterIP": "None", "ports": port})),
        ("external", json!({"type": "ExternalName", "externalName": "db.example.com"})),
        ("outside", json!({"ports": port, "externalIPs": ["192.0.2.1", "192.0.2.2"]})),
    ] {
        let metadata = json!({
            "name": name, "labels": {"app": name, "portolan.dev/may-be-empty": "true"},
            "finalizers": ["example.com/keep"],
        });
        let service = json!({"metadata": metadata, "spec": spec});
        create::<Service>(client, "default", service).await;
    }
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    let status =
        json!({"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.4"}, {"hostname": "lb.example.com"}]}}});
    services.patch_status("served", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    // The finalizer keeps it there, with the time of its deletion.
    services.delete("node-port", &Default::default()).await.unwrap();

    let pod = json!({"kind": "Pod", "name": "web-1", "namespace": "default"});
    let slice = json!({
        "metadata": {"name": "plain-1", "labels": {
            "kubernetes.io/service-name": "plain", "app": "x",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["10.244.1.2"], "conditions": {"ready": true, "serving": true, "terminating": false},
             "nodeName": "node1", "zone": "zone-a", "targetRef": pod, "hostname": "web-1",
             "hints": {"forZones": [{"name": "zone-a"}, {"name": "zone-b"}]}},
            {"addresses": ["10.244.1.3"], "conditions": {"ready": false, "serving": true, "terminating": true}},
            {"addresses": ["10.244.1.4"], "conditions": {"ready": false, "serving": false}},
            {"addresses": ["10.244.1.5"]},
        ],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "", "port": 53, "protocol": "UDP"}],
    });
    create::<EndpointSlice>(client, "default", slice).await;
    let empty = json!({"metadata": {"name": "foreign"}, "addressType": "IPv6", "endpoints": [], "ports": []});
    create::<EndpointSlice>(client, "default", empty).await;

    let endpoints = json!({
        "metadata": {"name": "plain"},
        "subsets": [
            {"addresses": [{"ip": "10.244.1.2"}], "notReadyAddresses": [{"ip": "10.244.1.3"}],
             "ports": [{"name": "http", "port": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"}]},
            {"addresses": [{"ip": "10.244.1.9"}]},
        ],
    });
    create::<Endpoints>(client, "default", endpoints).await;
    create::<Endpoints>(client, "default", json!({"metadata": {"name": "zz-last"}})).await;
}

/// Lets other processes reach the API; gives the kubeconfig for that.
async fn serve(site: &Site, directory: &Path) -> std::path::PathBuf {
    let authority = Authority::load_or_create(directory).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let tls = Arc::new(authority.server_config(&["127.0.0.1".to_owned()]).unwrap());
    let server = site.server.clone();
    let stop: CancellationToken = site.stop.clone();
    tokio::spawn(async move { server.serve(listener, tls, stop).await });
    let path = directory.join("kubeconfig");
    let text = authority.kubeconfig(&format!("https://{address}"), "kube-state-metrics", "system:masters").unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

fn start(program: &Path, kubeconfig: &Path) -> (Real, SocketAddr) {
    // It takes no listener; the ports are free a moment before it opens them.
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let (main, telemetry) = (free(), free());
    let names = |labels: &[(&str, &str)]| labels.iter().map(|(label, _)| *label).collect::<Vec<_>>().join(",");
    let allowed = format!("services=[{}],endpointslices=[{}]", names(&SERVICE_LABELS), names(&SLICE_LABELS));
    let child = Command::new(program)
        .args(["--resources=services,endpointslices,endpoints", "--host=127.0.0.1", "--telemetry-host=127.0.0.1"])
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--port={}", main.port()))
        .arg(format!("--telemetry-port={}", telemetry.port()))
        .arg(format!("--metric-labels-allowlist={allowed}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (Real(child), main)
}

async fn their_page(address: SocketAddr, enough: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (code, page) = tokio::task::spawn_blocking(move || get(address, "/metrics")).await.unwrap();
        // Its kinds come in one by one.
        let kinds = ["kube_service_info{", "kube_endpointslice_info{", "kube_endpoint_info{"];
        if code == 200 && enough(&page) && kinds.iter().all(|kind| page.contains(kind)) {
            return page;
        }
        assert!(Instant::now() < deadline, "kube-state-metrics does not show all: {code}\n{page}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
