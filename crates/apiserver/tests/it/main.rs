//! The API server as its clients see it: in process through `kube::Client`, and over TLS with real kubectl.
#![allow(clippy::unwrap_used)]

mod allocation;
mod crash;
mod crud;
mod faults;
mod kubectl;
mod logs;
mod refusals;
mod restart;
mod reviews;
mod secrets;
mod tls;
mod watch;

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::Client;
use portolan_apiserver::{Config, Server};
use serde_json::{Value, json};

/// A server in memory and an administrator's client.
async fn server() -> (Server, Client) {
    let server = Server::open(Config::default()).await.unwrap();
    let client = server.client("admin", &["system:masters"]);
    (server, client)
}

fn config_map(name: &str, labels: Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "data": {"a": "1"}})).unwrap()
}

fn service(name: &str, spec: Value) -> Service {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

/// The code and reason of a refused request.
fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String) {
    match result.unwrap_err() {
        kube::Error::Api(status) => (status.code, status.reason.clone()),
        other => panic!("not an API error: {other:?}"),
    }
}
