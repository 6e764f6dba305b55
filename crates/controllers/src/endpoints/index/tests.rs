#![allow(clippy::unwrap_used)]

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::*;
use crate::backends::Watched;

fn service(name: &str, selector: Value) -> Watched<Service> {
    let spec = json!({"clusterIP": "10.96.0.9", "selector": selector, "ports": [{"port": 80}]});
    serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": name}, "spec": spec})).unwrap()
}

fn endpoints(name: &str, annotations: Value) -> Stored {
    let metadata = json!({
        "namespace": "shop", "name": name, "uid": name, "resourceVersion": "1", "annotations": annotations,
    });
    serde_json::from_value(json!({"metadata": metadata})).unwrap()
}

fn index() -> Index {
    Index::new(Batch::new(Duration::ZERO).0)
}

/// The names that have to be looked at.
fn take<T>(index: &mut Index, wrap: fn(Box<Change<T>>) -> Input, change: Change<T>) -> Vec<String> {
    let mut dirty = Vec::new();
    index.take(wrap(Box::new(change)), &mut dirty);
    dirty.sort();
    dirty.dedup();
    dirty.into_iter().map(|key| key.name).collect()
}

fn plan(index: &mut Index, name: &str) -> Option<EndpointsPlan> {
    index.plan(&ObjectKey::new("shop", name))
}

#[test]
fn orphans_are_found_once_after_start_but_locks_and_foreign_ones_are_left_alone() {
    let mut index = index();
    take(&mut index, Input::Service, Change::Reset(vec![service("by-hand", json!(null))]));
    let lock = endpoints("lock", json!({labels::LEADER: "x"}));
    let all = vec![endpoints("orphan", json!({})), lock, endpoints("by-hand", json!({}))];
    assert_eq!(take(&mut index, Input::Endpoints, Change::Reset(all.clone())), ["by-hand", "orphan"]);
    assert!(matches!(plan(&mut index, "orphan"), Some(EndpointsPlan::Delete(_))));
    assert_eq!(plan(&mut index, "by-hand"), None, "without a selector somebody else writes it");
    assert_eq!(take(&mut index, Input::Endpoints, Change::Reset(all)), ["by-hand"], "a watch that began anew");
    assert_eq!(take(&mut index, Input::Endpoints, Change::Apply(endpoints("new", json!({})))), [""; 0]);
}

#[test]
fn endpoints_live_and_die_with_their_service() {
    let mut index = index();
    take(&mut index, Input::Endpoints, Change::Reset(vec![]));
    let web = service("web", json!({"app": "web"}));
    assert_eq!(take(&mut index, Input::Service, Change::Reset(vec![web.clone()])), ["web"]);
    let Some(EndpointsPlan::Create { mut endpoints, .. }) = plan(&mut index, "web") else { panic!("not created") };
    endpoints.metadata.uid = Some("uid".into());
    endpoints.metadata.resource_version = Some("5".into());
    index.wrote(Written::Now(Box::new(endpoints.clone())));
    assert_eq!(plan(&mut index, "web"), None);
    assert_eq!(take(&mut index, Input::Endpoints, Change::Apply(Stored::of(endpoints.clone()))), [""; 0], "the echo");

    assert_eq!(
        take(&mut index, Input::Endpoints, Change::Delete(Stored::of(endpoints.clone()))),
        ["web"],
        "deleted by hand"
    );
    assert!(matches!(plan(&mut index, "web"), Some(EndpointsPlan::Create { .. })));
    endpoints.metadata.uid = Some("another".into());
    index.wrote(Written::Now(Box::new(endpoints)));

    assert_eq!(take(&mut index, Input::Service, Change::Delete(web)), ["web"]);
    let Some(EndpointsPlan::Delete(gone)) = plan(&mut index, "web") else { panic!("not deleted") };
    index.wrote(Written::Gone(gone));
    assert_eq!(plan(&mut index, "web"), None);
}

#[test]
fn an_alias_keeps_the_endpoints_that_it_had() {
    let mut index = index();
    take(&mut index, Input::Endpoints, Change::Reset(vec![endpoints("web", json!({}))]));
    let mut web = service("web", json!({"app": "web"}));
    web.facts.spec.as_mut().unwrap().type_ = Some("ExternalName".into());
    take(&mut index, Input::Service, Change::Reset(vec![web]));
    assert_eq!(plan(&mut index, "web"), None);
}

#[tokio::test(start_paused = true)]
async fn changes_of_pods_wait_and_those_of_services_do_not() {
    let (batch, due) = Batch::new(Duration::from_secs(1));
    let mut index = Index::new(batch);
    let mut due = std::pin::pin!(due);
    assert_eq!(take(&mut index, Input::Service, Change::Apply(service("web", json!({"app": "web"})))), ["web"]);
    let pod = json!({"metadata": {"namespace": "shop", "name": "web-1", "labels": {"app": "web"}}});
    let pod = serde_json::from_value::<Watched<crate::backends::Pod>>(pod).unwrap().facts;
    assert_eq!(take(&mut index, Input::Pod, Change::Apply(pod)), [""; 0]);
    let key = futures::StreamExt::next(&mut due).await.unwrap();
    let mut dirty = Vec::new();
    index.take(Input::Due(key), &mut dirty);
    assert_eq!(dirty, [ObjectKey::new("shop", "web")]);
}
