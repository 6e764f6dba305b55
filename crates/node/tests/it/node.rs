//! The Node object, its Lease, and the node's own API.

use std::{net::IpAddr, sync::Arc};

use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::Api;
use portolan_netns::Namespace;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::json;

use crate::cluster::{Cluster, PATIENCE, container, inside, is_ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_tells_what_it_is_and_that_it_lives() {
    if !inside("node::a_node_tells_what_it_is_and_that_it_lives") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let object = cluster.node_until("node1", |_| true).await;
    let spec = object.spec.unwrap();
    assert_eq!((spec.pod_cidr.as_deref(), spec.pod_cidrs.unwrap().len()), (Some("10.244.1.0/24"), 1));
    assert_eq!(object.metadata.labels.unwrap()["kubernetes.io/hostname"], "node1");
    let status = serde_json::to_value(object.status.unwrap()).unwrap();
    let addresses = json!([{"type": "InternalIP", "address": "172.30.0.11"}, {"type": "Hostname", "address": "node1"}]);
    assert_eq!(status["addresses"], addresses);
    assert_eq!(status["daemonEndpoints"]["kubeletEndpoint"]["Port"], 10250);
    assert!(status["nodeInfo"]["kubeletVersion"].as_str().unwrap().starts_with("v1.36.0-portolan"));
    assert_eq!(status["capacity"]["pods"], "110");
    cluster
        .events_until("node1", |events| events.iter().any(|e| e == "NodeReady: Node node1 status is now: NodeReady"))
        .await;
    let leases = Api::<Lease>::namespaced(cluster.client.clone(), "kube-node-lease");
    let wait = kube::runtime::wait::await_condition(leases, "node1", |lease: Option<&Lease>| lease.is_some());
    let lease = tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap().unwrap();
    let spec = lease.spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("node1"));
    assert!(spec.renew_time.is_some());
    // A second life finds its Node and takes it over.
    let node = cluster.start(node.stop().await).await;
    node.stop().await;
}

/// The authority's own certificate, as clients find it in their kubeconfig.
fn certificate(cluster: &Cluster) -> CertificateDer<'static> {
    let kubeconfig = cluster.authority.kubeconfig("https://127.0.0.1", "admin", "system:masters").unwrap();
    let (_, rest) = kubeconfig.split_once("certificate-authority-data:").unwrap();
    let encoded = rest.split_whitespace().next().unwrap().trim_matches('"');
    let pem = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
    CertificateDer::from_pem_slice(&pem).unwrap()
}

/// One request to the node's API, with the given client configuration.
async fn get(from: &Namespace, node: IpAddr, path: &str, tls: rustls::ClientConfig) -> std::io::Result<(u16, String)> {
    let stream = from.tcp_connect((node, 10250).into()).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let stream = connector.connect(ServerName::IpAddress(node.into()), stream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let request = http::Request::get(path).header("host", "node").body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.map_err(std::io::Error::other)?;
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
    Ok((code, String::from_utf8_lossy(&body).into_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_served_to_who_shows_a_certificate() {
    if !inside("node::logs_are_served_to_who_shows_a_certificate") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let script = "echo one; echo two >&2; echo three; trap 'echo four; exit 0' TERM; sleep 1000 & wait";
    let main = json!({"name": "main", "image": "shell", "args": [script]});
    cluster.pod(&node, "web", json!({"containers": [main]})).await;
    cluster.pod_until("web", is_ready).await;
    let tls = || cluster.authority.client_config("kube-apiserver-kubelet-client", "system:masters").unwrap();
    let ask = async |path: &str| get(&cluster.edge, node.address.into(), path, tls()).await.unwrap();
    assert_eq!(ask("/healthz").await, (200, "ok".into()));
    assert_eq!(ask("/containerLogs/default/nosuch/main").await.0, 400);
    assert_eq!(ask("/containerLogs/default/web/main?tailLines=x").await.0, 400);

    let follow = ask("/containerLogs/default/web/main?follow=true");
    let delete = async {
        // The container's own lines have to be there before it is told to stop.
        while !ask("/containerLogs/default/web/main").await.1.contains("three") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let (_, last) = ask("/containerLogs/default/web/main?tailLines=1&timestamps=true").await;
        let (time, text) = last.split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{last}");
        assert!(["one\n", "two\n", "three\n"].contains(&text), "{last}");
        cluster.delete("web", None).await;
    };
    let ((code, text), ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(follow, delete) }).await.unwrap();
    assert_eq!(code, 200);
    assert!(text.ends_with("four\n") && text.contains("two\n") && text.lines().count() == 4, "{text}");

    cluster.pod(&node, "none", json!({"containers": [{"name": "main", "image": "nginx"}]})).await;
    let waits = |pod: &Pod| container(pod)["state"]["waiting"]["reason"] == "ImagePullBackOff";
    cluster.pod_until("none", waits).await;
    let text = "container \"main\" in pod \"none\" is waiting to start: trying and failing to pull image";
    assert_eq!(ask("/containerLogs/default/none/main").await, (400, text.into()));

    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates([certificate(&cluster)]);
    let anonymous = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let refused = get(&cluster.edge, node.address.into(), "/healthz", anonymous).await;
    assert!(refused.is_err(), "{refused:?}");
    node.stop().await;
}
