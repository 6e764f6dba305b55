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
    assert_eq!(plan(&service(true), &[], Some(&endpoints), None), None);
}

#[test]
fn foreign_annotations_stay_and_the_trigger_time_goes_with_the_next_write() {
    let time = "2026-01-02T03:04:05Z".parse().unwrap();
    let mut endpoints = written(plan(&service(false), &[], None, Some(time))).unwrap();
    let annotations = endpoints.metadata.annotations.as_mut().unwrap();
    assert_eq!(annotations[labels::TRIGGER_TIME], "2026-01-02T03:04:05Z");
    annotations.insert("mine".into(), "x".into());
    let next = written(plan(&service(false), &[pod(1, true)], Some(&endpoints), None)).unwrap();
    assert_eq!(next.metadata.annotations.unwrap(), BTreeMap::from([("mine".to_owned(), "x".to_owned())]));
}

#[test]
fn more_than_a_thousand_addresses_are_truncated_and_said_to_be() {
    let pods: Vec<_> = (0..1001).map(|number| pod(number, true)).collect();
    let endpoints = written(plan(&service(false), &pods, None, None)).unwrap();
    assert_eq!(says_truncated(&endpoints.metadata), Some("truncated"));
    assert_eq!(endpoints.subsets.as_ref().unwrap()[0].addresses.as_ref().unwrap().len(), 1000);
    assert_eq!(plan(&service(false), &pods, Some(&endpoints), None), None);
    let fewer = written(plan(&service(false), &pods[..5], Some(&endpoints), None)).unwrap();
    assert_eq!(says_truncated(&fewer.metadata), None);
}

#[test]
fn labels_alone_are_a_reason_to_write() {
    let mut endpoints = written(plan(&service(false), &[], None, None)).unwrap();
    endpoints.metadata.labels.as_mut().unwrap().insert("team".into(), "b".into());
    assert!(matches!(plan(&service(false), &[], Some(&endpoints), None), Some(EndpointsPlan::Update { .. })));
}

proptest! {
    #[test]
    fn planning_again_gives_nothing(
        history in prop::collection::vec((prop::collection::btree_map(0_usize..1200, any::<bool>(), 0..20), any::<bool>()), 1..5),
    ) {
        let mut held: Option<Endpoints> = None;
        for (pods, headless) in history {
            let service = service(headless);
            let pods: Vec<_> = pods.into_iter().map(|(number, ready)| pod(number, ready)).collect();
            if let Some(endpoints) = written(plan(&service, &pods, held.as_ref(), None)) {
                held = Some(endpoints);
            }
            prop_assert_eq!(plan(&service, &pods, held.as_ref(), None), None);
        }
    }
}
