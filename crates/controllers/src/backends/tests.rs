#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn service(name: &str, selector: &[(&str, &str)]) -> Service {
    let selector: BTreeMap<_, _> = selector.iter().copied().collect();
    serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"selector": selector}}))
        .unwrap()
}

fn pod(name: &str, labels: &[(&str, &str)], ready: bool) -> Pod {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    let status = if ready { "True" } else { "False" };
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": name, "labels": labels},
        "spec": {"nodeName": "node-1", "containers": []},
        "status": {"podIP": "10.244.0.1", "conditions": [{"type": "Ready", "status": status}]},
    }))
    .unwrap()
}

/// Who has to be looked at, sorted and without namespace.
fn names(mut dirty: Vec<ObjectKey>) -> Vec<String> {
    dirty.sort();
    dirty.dedup();
    dirty.into_iter().map(|key| key.name).collect()
}

#[derive(Default)]
struct Fixture(Backends);

impl Fixture {
    fn service(&mut self, change: Change<Service>) -> Vec<String> {
        let mut dirty = Vec::new();
        self.0.services_changed(change, &mut dirty);
        names(dirty)
    }

    fn pod(&mut self, change: Change<Pod>) -> Vec<String> {
        let mut dirty = Vec::new();
        self.0.pods_changed(change, &mut dirty);
        names(dirty)
    }

    fn selected(&self, service: &str) -> Option<Vec<String>> {
        let (_, pods) = self.0.selected(&ObjectKey::new("shop", service))?;
        Some(pods.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect())
    }
}

#[test]
fn a_pod_touches_the_services_that_select_it_or_did() {
    let mut index = Fixture::default();
    let web = service("web", &[("app", "web"), ("tier", "front")]);
    index.service(Change::Reset(vec![web, service("app", &[("app", "web")]), service("db", &[("app", "db")])]));
    let front = pod("p", &[("app", "web"), ("tier", "front")], true);
    assert_eq!(index.pod(Change::Apply(front.clone())), ["app", "web"]);
    assert_eq!(index.pod(Change::Apply(front)), [""; 0], "the same again");
    assert_eq!(index.pod(Change::Apply(pod("p", &[("app", "web")], true))), ["app", "web"], "web has lost it");
    assert_eq!(index.pod(Change::Apply(pod("p", &[("app", "web")], false))), ["app"], "only app has it");
    assert_eq!(index.pod(Change::Delete(pod("p", &[], false))), ["app"], "the last known labels count");
    assert_eq!(index.pod(Change::Apply(pod("q", &[("x", "y")], true))), [""; 0]);
}

#[test]
fn a_service_finds_its_pods_in_order() {
    let mut index = Fixture::default();
    index.pod(Change::Reset(vec![
        pod("b", &[("app", "web"), ("tier", "front")], true),
        pod("a", &[("app", "web"), ("tier", "front")], true),
        pod("c", &[("app", "web")], true),
    ]));
    assert_eq!(index.selected("web"), None);
    assert_eq!(index.service(Change::Apply(service("web", &[("app", "web"), ("tier", "front")]))), ["web"]);
    assert_eq!(index.selected("web").unwrap(), ["a", "b"]);
    index.service(Change::Apply(service("web", &[("app", "none")])));
    assert_eq!(index.selected("web").unwrap(), [""; 0]);
    index.service(Change::Apply(service("web", &[])));
    assert_eq!(index.selected("web"), None, "nobody chooses");
    assert!(index.0.service(&ObjectKey::new("shop", "web")).is_some());
    assert_eq!(index.service(Change::Reset(vec![])), ["web"]);
    assert!(index.0.services.is_empty() && index.0.services_by_label.is_empty());
}

#[test]
fn a_complete_set_replaces_what_was_known() {
    let mut index = Fixture::default();
    index.service(Change::Apply(service("web", &[("app", "web")])));
    index.pod(Change::Apply(pod("old", &[("app", "web")], true)));
    assert_eq!(index.pod(Change::Reset(vec![pod("new", &[("app", "web")], true)])), ["web"]);
    assert_eq!(index.selected("web").unwrap(), ["new"]);
    index.pod(Change::Reset(vec![]));
    assert!(index.0.pods.is_empty() && index.0.pods_by_label.is_empty());
}

#[test]
fn namespaces_do_not_mix() {
    let mut index = Fixture::default();
    index.service(Change::Apply(service("web", &[("app", "web")])));
    let mut stranger = pod("p", &[("app", "web")], true);
    stranger.metadata.namespace = Some("other".into());
    assert_eq!(index.pod(Change::Apply(stranger)), [""; 0]);
    assert_eq!(index.selected("web").unwrap(), [""; 0]);
}

#[test]
fn a_node_touches_the_services_of_its_pods() {
    let mut index = Fixture::default();
    index.service(Change::Reset(vec![service("web", &[("app", "web")]), service("db", &[("app", "db")])]));
    index.pod(Change::Apply(pod("p", &[("app", "web")], true)));
    assert_eq!(names(index.0.services_on_node("node-1").into_iter().collect()), ["web"]);
    assert!(index.0.services_on_node("node-2").is_empty());
}
