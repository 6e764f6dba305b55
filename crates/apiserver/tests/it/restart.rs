//! A server that is stopped and started again on the same data.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api,
    api::{DeleteParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;

use super::*;

/// An error and its sources.
fn chain(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn objects_addresses_revisions_and_watches_survive() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { data: Some(directory.path().to_owned()), ..Config::default() };
    let server = Server::open(config.clone()).await.unwrap();
    let client = server.client("admin", &[]);
    let api = Api::<Service>::default_namespaced(client.clone());
    let spec = json!({"type": "NodePort", "ports": [{"port": 80}]});
    let web = api.create(&PostParams::default(), &service("web", spec.clone())).await.unwrap();
    let maps = Api::<ConfigMap>::default_namespaced(client);
    maps.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    let from = maps.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    server.close().await;

    let server = Server::open(config.clone()).await.unwrap();
    let locked = Server::open(config).await.err().expect("one server at a time");
    assert!(locked.is_locked());
    let file = directory.path().join("store.redb");
    let text = format!("another server uses {}: stop it or choose another data directory", file.display());
    assert_eq!(chain(&locked), [text]);
    let client = server.client("admin", &[]);
    let api = Api::<Service>::default_namespaced(client.clone());
    assert_eq!(api.get("web").await.unwrap(), web);
    let port = web.spec.as_ref().unwrap().ports.as_ref().unwrap()[0].node_port;
    let same = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]});
    assert_eq!(refusal(api.create(&PostParams::default(), &service("thief", same)).await).0, 422);
    let other = api.create(&PostParams::default(), &service("other", spec)).await.unwrap();
    let number = |service: &Service| service.metadata.resource_version.as_ref().unwrap().parse::<u64>().unwrap();
    assert!(number(&other) > number(&web));

    let maps = Api::<ConfigMap>::default_namespaced(client);
    let stream = maps.watch(&WatchParams::default(), &from).await.unwrap();
    let mut stream = std::pin::pin!(stream);
    let event = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Deleted(_)), "the watch resumes where it was: {event:?}");
    server.close().await;
}

#[tokio::test]
async fn each_part_of_an_error_says_something_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let open = || Server::open(Config { data: Some(directory.path().to_owned()), ..Config::default() });
    std::fs::write(&path, "no store").unwrap();
    let texts = chain(&open().await.err().unwrap());
    assert_eq!(
        texts[0],
        format!("cannot read {}; restore it from a copy, or move it away to begin anew", path.display())
    );
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let texts = [texts, chain(&open().await.err().unwrap())];
    assert_eq!(texts[1][0], format!("cannot open the store's file {}", path.display()));
    for texts in texts {
        assert!(texts.len() >= 2, "the cause is a source: {texts:?}");
        let told = texts.windows(2).any(|pair| pair[0].contains(&pair[1]));
        assert!(!told, "nothing is said twice: {texts:?}");
    }
}

#[tokio::test]
async fn only_the_owner_reads_the_store() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let path = data.join("store.redb");
    let config = Config { data: Some(data.clone()), ..Config::default() };
    Server::open(config.clone()).await.unwrap().close().await;
    assert_eq!((mode(&data), mode(&path)), (0o700, 0o600));

    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o664)).unwrap();
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o755)).unwrap();
    Server::open(config).await.unwrap().close().await;
    assert_eq!(mode(&path), 0o600, "a store that others can read is closed to them");
    assert_eq!(mode(&data), 0o755, "a directory that exists is the user's");
}
