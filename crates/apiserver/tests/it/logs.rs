//! Logs of pods come from the node's agent over mutual TLS.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api,
    api::{LogParams, Patch, PatchParams, PostParams},
};
use portolan_apiserver::pki::Authority;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// Answers one request as a node agent would, and gives the first line of the request.
async fn agent(listener: TcpListener, tls: Arc<rustls::ServerConfig>) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n";
    stream.write_all(answer).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8(head).unwrap().lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_log_is_fetched_from_the_node_of_the_pod() {
    let authority = Authority::ephemeral().unwrap();
    let tls = authority.client_config("kube-apiserver-kubelet-client", "system:masters").unwrap();
    let config = Config { kubelet_client: Some(Arc::new(tls)), ..Config::default() };
    let server = Server::open(config).await.unwrap();
    let client = server.client("admin", &[]);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let agent =
        tokio::spawn(agent(listener, Arc::new(authority.kubelet_server_config(&["127.0.0.1".to_owned()]).unwrap())));

    let nodes = Api::<Node>::all(client.clone());
    let node = serde_json::from_value(json!({"metadata": {"name": "n1"}})).unwrap();
    nodes.create(&PostParams::default(), &node).await.unwrap();
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }});
    nodes.patch_status("n1", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let pods = Api::<Pod>::default_namespaced(client);
    let pod = json!({"metadata": {"name": "p"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "portolan/echo"}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();

    let params = LogParams { tail_lines: Some(5), ..LogParams::default() };
    let text = tokio::time::timeout(Duration::from_secs(10), pods.logs("p", &params)).await.unwrap().unwrap();
    assert_eq!(text, "hello\n");
    assert_eq!(agent.await.unwrap(), "GET /containerLogs/default/p/c?tailLines=5 HTTP/1.1");
    let params = LogParams { container: Some("x".to_owned()), ..LogParams::default() };
    assert_eq!(refusal(pods.logs("p", &params).await).0, 400);
}
