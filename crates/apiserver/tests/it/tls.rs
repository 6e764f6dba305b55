//! The listener: who gets in, and what is served on the wire.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api, Client, Config as ClientConfig,
    api::{PostParams, WatchParams},
    config::{AuthInfo, Kubeconfig},
};
use portolan_apiserver::pki::Authority;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;

/// A server on a free loopback port, and the configuration of its administrator.
async fn served(stop: &CancellationToken) -> ClientConfig {
    let authority = Authority::ephemeral().unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = Server::open(Config::default()).await.unwrap();
    let tls = Arc::new(authority.server_config(&["127.0.0.1".to_owned()]).unwrap());
    let stop = stop.clone();
    tokio::spawn(async move { server.serve(listener, tls, stop).await });
    let kubeconfig = Kubeconfig::from_yaml(&authority.kubeconfig(&url, "admin", "system:masters").unwrap()).unwrap();
    ClientConfig::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap()
}

#[tokio::test]
async fn a_certificate_opens_the_door_and_nothing_else_does() {
    let stop = CancellationToken::new();
    let config = served(&stop).await;
    let services = |config: ClientConfig| Api::<Service>::default_namespaced(Client::try_from(config).unwrap());
    services(config.clone()).get("kubernetes").await.unwrap();

    let mut anonymous = config.clone();
    anonymous.auth_info = AuthInfo::default();
    let client = Client::try_from(anonymous.clone()).unwrap();
    for (path, code) in [
        ("/version", None),
        ("/healthz", None),
        ("/readyz", None),
        ("/livez", None),
        ("/metrics", Some(401)),
        ("/api", Some(401)),
        ("/openapi/v3", Some(401)),
        ("/api/v1/secrets", Some(401)),
        ("/nowhere", Some(401)),
    ] {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        match (client.request_text(request).await, code) {
            (Ok(_), None) => {}
            (Err(kube::Error::Api(status)), Some(code)) if status.code == code => {}
            (other, _) => panic!("{path}: {other:?}"),
        }
    }
    let mut token = anonymous;
    token.auth_info.token = Some("nonsense".to_owned().into());
    assert_eq!(refusal(services(token).get("kubernetes").await).0, 401);
    stop.cancel();
}

#[tokio::test]
async fn a_hundred_watches_share_one_connection_and_end_with_the_server() {
    let stop = CancellationToken::new();
    let client = Client::try_from(served(&stop).await).unwrap();
    let api = Api::<ConfigMap>::default_namespaced(client);
    let mut watches = Vec::new();
    for _ in 0..100 {
        watches.push(Box::pin(api.watch(&WatchParams::default(), "0").await.unwrap()));
    }
    api.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    for watch in &mut watches {
        let event = tokio::time::timeout(Duration::from_secs(10), watch.next()).await.expect("an event");
        event.unwrap().unwrap();
    }
    stop.cancel();
    for watch in &mut watches {
        let end = tokio::time::timeout(Duration::from_secs(10), watch.collect::<Vec<_>>()).await;
        end.expect("the watch ends");
    }
}
