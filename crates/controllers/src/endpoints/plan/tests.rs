#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn service(headless: bool) -> Arc<Service> {
    let cluster_ip = if headless { "None" } else { "10.96.0.9" };
    Arc::new(
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "web", "uid": "uid-web", "labels": {"team": "a"}},
            "spec": {"ipFamilies": ["IPv4"], "clusterIP": cluster_ip, "ports": [{"port": 80}]},
        }))
        .unwrap(),
    )
}

fn pod(number: usize, ready: bool) -> Arc<Pod> {
    let status = if ready { "True" } else { "False" };
    Arc::new(
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": format!("web-{number}"), "uid": format!("uid-{number}")},
            "spec": {"nodeName": "node-1", "containers": []},
            "status": {
                "podIP": format!("10.244.{}.{}", number / 250, number % 250),
                "conditions": [{"type": "Ready", "status": status}],
            },
        }))
        .unwrap(),
    )
}

fn written(plan: Option<EndpointsPlan>) -> Option<Endpoints> {
    match plan? {
        EndpointsPlan::Create { endpoints, .. } | EndpointsPlan::Update { endpoints, .. } => Some(endpoints),
        EndpointsPlan::Delete(_) => None,
    }
}

/// Plans, and the plan after the first one has been written.
fn plan_twice(service: &Arc<Service>, pods: &[Arc<Pod>], before: Option<Endpoints>) -> Option<Endpoints> {
    let stored = before.clone().map(Stored::of);
    let now = written(plan(service, pods, stored.as_ref(), None)).or(before);
    assert_eq!(plan(service, pods, now.clone().map(Stored::of).as_ref(), None), None);
    now
}

#[test]
fn a_new_service_gets_an_empty_endpoints() {
    let Some(EndpointsPlan::Create { endpoints, .. }) = plan(&service(true), &[], None, None) else {
        panic!("not created")
    };
    assert_eq!(endpoints.subsets, None);
    assert_eq!(endpoints.metadata.name.as_deref(), Some("web"));
    let labels: Vec<_> = endpoints.metadata.labels.clone().unwrap().into_iter().collect();
    let expected = [
        ("endpoints.kubernetes.io/managed-by", "endpoint-controller"),
        ("service.kubernetes.io/headless", ""),
        ("team", "a"),
    ];
    assert_eq!(labels, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    plan_twice(&service(true), &[], Some(endpoints));
}

#[test]
fn foreign_annotations_stay_and_the_trigger_time_goes_with_the_next_write() {
    let time = "2026-01-02T03:04:05Z".parse().unwrap();
    let mut endpoints = written(plan(&service(false), &[], None, Some(time))).unwrap();
    let annotations = endpoints.metadata.annotations.as_mut().unwrap();
    assert_eq!(annotations[labels::TRIGGER_TIME], "2026-01-02T03:04:05Z");
    annotations.insert("mine".into(), "x".into());
    let next = plan_twice(&service(false), &[pod(1, true)], Some(endpoints)).unwrap();
    assert_eq!(next.metadata.annotations.unwrap(), BTreeMap::from([("mine".to_owned(), "x".to_owned())]));
}

#[test]
fn more_than_a_thousand_addresses_are_truncated_and_said_to_be() {
    let pods: Vec<_> = (0..1001).map(|number| pod(number, true)).collect();
    let endpoints = plan_twice(&service(false), &pods, None).unwrap();
    let said = |endpoints: &Endpoints| endpoints.metadata.annotations.as_ref()?.get(labels::OVER_CAPACITY).cloned();
    assert_eq!(said(&endpoints).as_deref(), Some("truncated"));
    assert_eq!(endpoints.subsets.as_ref().unwrap()[0].addresses.as_ref().unwrap().len(), 1000);
    let fewer = plan_twice(&service(false), &pods[..5], Some(endpoints)).unwrap();
    assert_eq!(said(&fewer), None);
}

/// Story, change of what is stored, and whether that is a reason to write.
type Row = (&'static str, fn(&mut Endpoints), bool);

#[test]
fn what_is_a_reason_to_write() {
    fn set(endpoints: &mut Endpoints, annotation: &str, value: &str) {
        let annotations = endpoints.metadata.annotations.get_or_insert_default();
        annotations.insert(annotation.to_owned(), value.to_owned());
    }
    fn labels(endpoints: &mut Endpoints) -> &mut BTreeMap<String, String> {
        endpoints.metadata.labels.as_mut().unwrap()
    }
    fn first(endpoints: &mut Endpoints) -> &mut k8s_openapi::api::core::v1::EndpointAddress {
        &mut endpoints.subsets.as_mut().unwrap()[0].addresses.as_mut().unwrap()[0]
    }
    let rows: [Row; 12] = [
        ("nothing", |_| {}, false),
        ("order", |endpoints| endpoints.subsets.as_mut().unwrap()[0].addresses.as_mut().unwrap().reverse(), false),
        ("an empty list", |endpoints| endpoints.subsets.as_mut().unwrap()[0].not_ready_addresses = Some(vec![]), false),
        (
            "a pod's revision",
            |endpoints| {
                first(endpoints).target_ref.as_mut().unwrap().resource_version = Some("7".into());
            },
            false,
        ),
        ("a trigger time", |endpoints| set(endpoints, labels::TRIGGER_TIME, "2026-01-02T03:04:05Z"), false),
        ("a foreign annotation", |endpoints| set(endpoints, "mine", "x"), false),
        ("the headless label", |endpoints| drop(labels(endpoints).insert(labels::HEADLESS.into(), "".into())), false),
        ("another label", |endpoints| drop(labels(endpoints).insert("team".into(), "b".into())), true),
        ("who writes it", |endpoints| drop(labels(endpoints).remove(labels::ENDPOINTS_MANAGED_BY)), true),
        ("an address", |endpoints| first(endpoints).ip = "10.9.9.9".into(), true),
        ("a name", |endpoints| first(endpoints).hostname = Some("a".into()), true),
        ("the capacity", |endpoints| set(endpoints, labels::OVER_CAPACITY, "warning"), true),
    ];
    let pods = [pod(1, true), pod(2, true)];
    for (story, change, writes) in rows {
        let mut endpoints = plan_twice(&service(false), &pods, None).unwrap();
        change(&mut endpoints);
        let plan = plan(&service(false), &pods, Some(&Stored::of(endpoints)), None);
        assert_eq!(matches!(plan, Some(EndpointsPlan::Update { .. })), writes, "{story}");
    }
}

proptest! {
    #[test]
    fn planning_again_gives_nothing(
        history in prop::collection::vec((prop::collection::btree_map(0_usize..1200, any::<bool>(), 0..20), any::<bool>()), 1..5),
    ) {
        let mut held: Option<Endpoints> = None;
        for (pods, headless) in history {
            let pods: Vec<_> = pods.into_iter().map(|(number, ready)| pod(number, ready)).collect();
            held = plan_twice(&service(headless), &pods, held);
        }
    }
}
