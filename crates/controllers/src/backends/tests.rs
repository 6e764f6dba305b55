#![allow(clippy::unwrap_used)]

use portolan_objects::Family;
use serde_json::json;

use super::*;

fn service(name: &str, selector: &[(&str, &str)]) -> Watched<Service> {
    let selector: BTreeMap<_, _> = selector.iter().copied().collect();
    serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"selector": selector}}))
        .unwrap()
}

fn pod(name: &str, labels: &[(&str, &str)], ready: bool) -> Pod {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    let status = if ready { "True" } else { "False" };
    let pod: Watched<Pod> = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": name, "labels": labels},
        "spec": {"nodeName": "node-1", "containers": []},
        "status": {"podIP": "10.244.0.1", "conditions": [{"type": "Ready", "status": status}]},
    }))
    .unwrap();
    pod.facts
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
    fn service(&mut self, change: Change<Watched<Service>>) -> Vec<String> {
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
        Some(pods.iter().map(|pod| pod.name.to_string()).collect())
    }
}

#[test]
fn a_pod_touches_the_services_that_select_it_or_did() {
    let mut index = Fixture::default();
    let web = service("web", &[("app", "web"), ("tier", "front")]);
    index.service(Change::Reset(vec![web, service("app", &[("app", "web")]), service("db", &[("app", "db")])]));
    let front = |ready| pod("p", &[("app", "web"), ("tier", "front")], ready);
    assert_eq!(index.pod(Change::Apply(front(true))), ["app", "web"]);
    assert_eq!(index.pod(Change::Apply(front(true))), [""; 0], "the same again");
    assert_eq!(index.pod(Change::Apply(pod("p", &[("app", "web")], true))), ["web"], "app sees no difference");
    assert_eq!(index.pod(Change::Apply(front(false))), ["app", "web"], "both see another state, web a new pod");
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
    assert!(index.0.pods.is_empty() && index.0.crowds.is_empty());
    assert!(index.0.crowds_by_label.is_empty() && index.0.crowds_by_labels.is_empty());
}

#[test]
fn namespaces_do_not_mix() {
    let mut index = Fixture::default();
    index.service(Change::Apply(service("web", &[("app", "web")])));
    let mut stranger = pod("p", &[("app", "web")], true);
    stranger.namespace = "other".into();
    assert_eq!(index.pod(Change::Apply(stranger)), [""; 0]);
    assert_eq!(index.selected("web").unwrap(), [""; 0]);
}

#[test]
fn pods_of_one_template_share_what_they_have_in_common() {
    let mut index = Fixture::default();
    let made = |name| {
        let mut pod = pod(name, &[("app", "web")], true);
        pod.ports = serde_json::from_value::<Pod>(json!({"spec": {"containers": [
            {"name": "a", "ports": [{"name": "http", "containerPort": 80}]},
        ]}}))
        .unwrap()
        .ports;
        pod
    };
    index.service(Change::Apply(service("web", &[("app", "web")])));
    index.pod(Change::Reset(vec![made("a"), made("b")]));
    let (_, pods) = index.0.selected(&ObjectKey::new("shop", "web")).unwrap();
    assert!(Arc::ptr_eq(&pods[0].labels, &pods[1].labels) && Arc::ptr_eq(&pods[0].ports, &pods[1].ports));
    assert!(Arc::ptr_eq(&pods[0].namespace, &pods[1].namespace));
}

#[test]
fn a_pod_is_read_with_little_of_its_text() {
    let pod: Watched<Pod> = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "p", "uid": "u", "resourceVersion": "7", "managedFields": [{"a": 1}]},
        "spec": {
            "nodeName": "node-1", "hostname": "p-0", "subdomain": "web", "volumes": [{"name": "v"}],
            "containers": [{"name": "a", "ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}, {"containerPort": 1}]}],
            "initContainers": [
                {"name": "once", "ports": [{"name": "setup", "containerPort": 2}]},
                {"name": "side", "restartPolicy": "Always", "ports": [{"name": "metrics", "containerPort": 9090}]},
            ],
        },
        "status": {
            "phase": "Failed", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "conditions": [
                {"type": "Initialized", "status": "True"},
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"},
            ],
        },
    }))
    .unwrap();
    assert_eq!(pod.metadata.resource_version.as_deref(), Some("7"), "the watch goes on from here");
    let facts = &pod.facts;
    assert_eq!((facts.key().to_string().as_str(), &*facts.uid), ("shop/p", "u"));
    assert!(pod::is_ready(facts) && pod::is_terminal(facts) && !pod::is_terminating(facts));
    assert_eq!(pod::ready_changed(facts).unwrap().to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(pod::node(facts), Some("node-1"));
    assert_eq!(pod::ip(facts, Family::V4), Some("10.0.0.1".parse().unwrap()));
    assert_eq!(pod::ip(facts, Family::V6), Some("fd00::1".parse().unwrap()));
    assert_eq!((pod::endpoint_hostname(facts, "web"), pod::endpoint_hostname(facts, "db")), (Some("p-0"), None));

    let ports = |ports| {
        let service: Service = serde_json::from_value(json!({"spec": {"ports": ports}})).unwrap();
        pod::resolve_ports(&service, facts).iter().map(|port| port.number.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ports(json!([{"port": 80}])), [80]);
    assert_eq!(ports(json!([{"port": 80, "targetPort": "dns"}])), [0; 0], "another protocol");
    assert_eq!(ports(json!([{"port": 80, "targetPort": "dns", "protocol": "UDP"}])), [53]);
    assert_eq!(ports(json!([{"port": 80, "targetPort": "metrics"}])), [9090], "of a sidecar");
    assert_eq!(ports(json!([{"port": 80, "targetPort": "setup"}])), [0; 0], "of one that ends");
}
