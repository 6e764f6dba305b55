#![allow(clippy::unwrap_used)]

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::*;
use crate::http::request::{Operation, parse};

fn request(method: &Method, path: &str) -> ResourceRequest {
    match parse(method, path, "", &HeaderMap::new()).unwrap() {
        Operation::Resource(request) => *request,
        other => panic!("{other:?}"),
    }
}

fn faults(list: Value) -> Faults {
    let faults = Faults::default();
    faults.replace(serde_json::from_value(list).unwrap()).unwrap();
    faults
}

#[test]
fn a_fault_meets_what_it_names_and_nothing_else() {
    let faults = faults(json!([{
        "verbs": ["create"], "resources": ["endpointslices"], "namespaces": ["shop"], "users": ["slices"],
        "error": {"code": 403, "reason": "Forbidden", "message": "no"},
    }]));
    let slices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
    let cases = [
        (Method::POST, slices, "slices", true),
        (Method::POST, slices, "somebody", false),
        (Method::POST, "/apis/discovery.k8s.io/v1/namespaces/other/endpointslices", "slices", false),
        (Method::GET, slices, "slices", false),
        (Method::POST, "/api/v1/namespaces/shop/endpoints", "slices", false),
    ];
    for (method, path, user, met) in cases {
        let identity = Identity::new(user, &[]);
        let burden = faults.befall(Some(&identity), &request(&method, path));
        assert_eq!(burden.is_some(), met, "{method} {path} by {user}");
    }
}

#[test]
fn a_subresource_has_a_name_of_its_own() {
    let faults = faults(json!([{"resources": ["services/status"], "delayMilliseconds": 20}]));
    let below = request(&Method::GET, "/api/v1/namespaces/shop/services/web/status");
    assert_eq!(faults.befall(None, &below), Some(Burden { delay: Duration::from_millis(20), refusal: None }));
    assert_eq!(faults.befall(None, &request(&Method::GET, "/api/v1/namespaces/shop/services/web")), None);
}

#[test]
fn a_counted_fault_ends() {
    let faults = faults(json!([{"times": 2, "delayMilliseconds": 1}]));
    let read = request(&Method::GET, "/api/v1/namespaces/shop/pods");
    assert!(faults.befall(None, &read).is_some());
    assert!(faults.befall(None, &read).is_some());
    assert!(faults.befall(None, &read).is_none());
    assert_eq!(faults.list()[0].times, Some(0));
}

#[test]
fn a_list_that_makes_no_sense_changes_nothing() {
    let faults = faults(json!([{"delayMilliseconds": 1}]));
    let wrong = json!([{"error": {"code": 200, "reason": "OK", "message": "fine"}}]);
    let error = faults.replace(serde_json::from_value(wrong).unwrap()).unwrap_err();
    assert_eq!(error, "[0].error.code: 200 is no error; use 400 to 599");
    assert_eq!(faults.list().len(), 1);
    let unknown: Result<Fault, _> = serde_json::from_value(json!({"verb": "get"}));
    assert!(unknown.unwrap_err().to_string().contains("unknown field `verb`"));
}

#[test]
fn what_is_declared_stands_beside_what_is_set_by_hand() {
    let delay = |milliseconds: u64| serde_json::from_value(json!([{"delayMilliseconds": milliseconds}])).unwrap();
    let read = request(&Method::GET, "/api/v1/pods");
    let borne = |faults: &Faults| faults.befall(None, &read).map(|burden| burden.delay.as_millis());
    let faults = Faults::default();
    faults.declare(delay(1)).unwrap();
    assert_eq!((borne(&faults), faults.list().len()), (Some(1), 0));
    faults.replace(delay(2)).unwrap();
    assert_eq!(borne(&faults), Some(2), "by hand comes first");
    faults.replace(Vec::new()).unwrap();
    assert_eq!(borne(&faults), Some(1));
    faults.declare(Vec::new()).unwrap();
    assert_eq!(borne(&faults), None);
}

#[test]
fn whoever_repairs_is_spared() {
    let faults = faults(json!([{"delayMilliseconds": 1}]));
    let meets = |groups: &[&str], path: &str| {
        faults.befall(Some(&Identity::new("somebody", groups)), &request(&Method::GET, path)).is_some()
    };
    let switches = "/api/v1/namespaces/kube-system/configmaps/portolan-faults";
    assert!(meets(&[], switches));
    assert!(!meets(&[OPERATORS], switches));
    assert!(meets(&[OPERATORS], "/api/v1/namespaces/default/configmaps/portolan-faults"));
    assert!(meets(&[OPERATORS], "/api/v1/namespaces/kube-system/pods"));
    assert!(!meets(&[EXEMPT], "/api/v1/pods"));
}
