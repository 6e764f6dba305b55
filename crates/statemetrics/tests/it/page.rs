//! What the page shows while objects come, change and go.

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{Site, get};

const INGRESS: &str = "kube_service_status_load_balancer_ingress{namespace=\"default\",service=\"web\"";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_follows_the_objects_without_another_list() {
    let site = Site::start().await;
    let services: Api<Service> = Api::namespaced(site.client.clone(), "default");
    let slices: Api<EndpointSlice> = Api::namespaced(site.client.clone(), "default");
    site.page("the first page", |page| page.contains("service=\"kubernetes\"")).await;
    let lists = lists(&site).await;

    let service = json!({"metadata": {"name": "web"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    services.create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    let page = site.page("the Service", |page| page.contains("service=\"web\"")).await;
    assert!(page.contains("type=\"LoadBalancer\"} 1\n") && !page.contains(INGRESS), "{page}");

    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}});
    services.patch_status("web", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    site.page("the address", |page| page.contains(INGRESS)).await;

    let slice = json!({
        "metadata": {"name": "web-a", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "endpoints": [{"addresses": ["10.244.1.2"], "conditions": {"ready": false}}], "ports": [],
    });
    slices.create(&PostParams::default(), &serde_json::from_value(slice).unwrap()).await.unwrap();
    site.page("the endpoint", |page| page.contains("endpointslice=\"web-a\",namespace=\"default\",ready=\"false\""))
        .await;
    let ready = json!({"endpoints": [{"addresses": ["10.244.1.2"], "conditions": {"ready": true}}]});
    slices.patch("web-a", &PatchParams::default(), &Patch::Merge(ready)).await.unwrap();
    let page = site.page("readiness", |page| page.contains("ready=\"true\"")).await;
    assert!(!page.contains("ready=\"false\""), "{page}");

    slices.delete("web-a", &DeleteParams::default()).await.unwrap();
    services.delete("web", &DeleteParams::default()).await.unwrap();
    site.page("the end", |page| !page.contains("\"web\"") && !page.contains("web-a")).await;
    assert_eq!(self::lists(&site).await, lists, "changes came through the watches");
}

/// How many lists the API server has answered.
async fn lists(site: &Site) -> u64 {
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let page = site.client.request_text(request).await.unwrap();
    let counts = page.lines().filter(|line| line.starts_with("apiserver_request_total{") && line.contains("LIST"));
    counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_paths_say_what_they_are() {
    let site = Site::start().await;
    site.page("the first page", |_| true).await;
    let address = site.address;
    let answers = tokio::task::spawn_blocking(move || {
        ["/healthz", "/livez", "/readyz", "/nothing"].map(|path| get(address, path).0)
    });
    assert_eq!(answers.await.unwrap(), [200, 200, 200, 404]);
}
