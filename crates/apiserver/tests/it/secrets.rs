//! What a Secret holds is in the answer to its reader and nowhere else.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use tracing::{Event, Metadata, Subscriber, field::Field, span};

use super::*;

const PASSWORD: &str = "hunter2";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// Every field of every event, at all levels.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn field(&mut self, field: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Subscriber for Log {
    /// What the server says; its in-process client is another matter.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("portolan")
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut log = self.clone();
        attributes.record(&mut |field: &Field, value: &dyn Debug| log.field(field, value));
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut log = self.clone();
        values.record(&mut |field: &Field, value: &dyn Debug| log.field(field, value));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut log = self.clone();
        event.record(&mut |field: &Field, value: &dyn Debug| log.field(field, value));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The code of the answer.
async fn send(client: &Client, method: &str, path: &str, content_type: &str, body: String) -> u16 {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content_type)
        .body(body.into_bytes())
        .unwrap();
    match client.request::<Value>(request).await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_log_shows_no_secret() {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    let (server, client) = server().await;
    let secret = |name: &str| {
        let metadata = json!({"name": name, "annotations": {"last": PASSWORD}});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": PASSWORD}})
    };
    let with = |field: &str, value: Value| {
        let mut secret = secret("bad");
        secret[field] = value;
        secret.to_string()
    };
    let item = format!("{SECRETS}/good");
    let strict = format!("{SECRETS}?fieldValidation=Strict");
    let test = json!([{"op": "test", "path": "/stringData/password", "value": PASSWORD}]).to_string();
    let merge = json!({"data": {"password": PASSWORD}}).to_string();
    for (method, path, content_type, body, accepted) in [
        ("POST", SECRETS, "json", secret("good").to_string(), true),
        ("POST", SECRETS, "json", secret("good").to_string(), false),
        ("POST", SECRETS, "json", secret("BAD").to_string(), false),
        ("POST", SECRETS, "json", with("data", json!({"password": PASSWORD})), false),
        ("POST", SECRETS, "json", with("data", PASSWORD.into()), false),
        ("POST", SECRETS, "json", with("kind", PASSWORD.into()), false),
        ("POST", &strict, "json", with("unknown", PASSWORD.into()), false),
        ("POST", SECRETS, "yaml", format!("stringData: {{password: {PASSWORD}"), false),
        ("POST", SECRETS, "json", format!("{{\"stringData\": {PASSWORD}}}"), false),
        ("PATCH", &item, "json-patch+json", test, false),
        ("PATCH", &item, "merge-patch+json", merge.clone(), false),
        ("PATCH", &item, "strategic-merge-patch+json", merge, false),
        ("DELETE", &item, "json", String::new(), true),
    ] {
        let content_type = format!("application/{content_type}");
        // Another test that meets a line of the log for the first time just now may have found that nobody listens, and that
        // is remembered for all threads.
        tracing::callsite::rebuild_interest_cache();
        let code = send(&client, method, path, &content_type, body.clone()).await;
        assert_eq!(code == 200, accepted, "{code}: {method} {path} {body}");
    }
    server.close().await;
    drop(guard);
    let log = log.0.lock().unwrap();
    assert!(log.contains("refused"), "refusals are in the log: {log}");
    assert!(!log.contains(PASSWORD), "{log}");
}
