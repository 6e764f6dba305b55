#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::resource::FieldValidation::{Ignore, Strict, Warn};
use crate::{find, resources};

fn service(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
}

#[test]
fn every_resource_has_a_definition() {
    for resource in resources() {
        let mut object = json!({"metadata": {"name": "x"}});
        resource.decode(&mut object, Strict).unwrap();
        assert_eq!(object["apiVersion"], resource.api_version());
        assert_eq!(object["kind"], resource.kind);
    }
}

#[test]
fn unknown_fields_fail_or_are_dropped() {
    let services = find("", "v1", "services").unwrap();
    let body = service(json!({"foo": 1, "ports": [{"port": 80, "bar": true}], "selector": {"any": "key"}}));
    let error = services.decode(&mut body.clone(), Strict).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Service in version \"v1\" cannot be handled as a Service: strict decoding error: \
         unknown field \"spec.foo\", unknown field \"spec.ports[0].bar\""
    );
    let mut warned = body.clone();
    let warnings = services.decode(&mut warned, Warn).unwrap();
    assert_eq!(warnings, ["unknown field \"spec.foo\"", "unknown field \"spec.ports[0].bar\""]);
    assert_eq!(warned, service(json!({"ports": [{"port": 80}], "selector": {"any": "key"}})));
    assert!(services.decode(&mut body.clone(), Ignore).unwrap().is_empty());
}

#[test]
fn wrong_types_are_named_as_go_names_them() {
    let cases = [
        (
            json!({"ports": [{"port": "80"}]}),
            "cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            json!({"ports": [{"port": 80.5}]}),
            "cannot unmarshal number 80.5 into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (json!({"ports": [{"port": 4294967376_i64}]}), "cannot unmarshal number 4294967376 into Go struct field"),
        (
            json!({"ports": {"port": 80}}),
            "cannot unmarshal object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort",
        ),
        (
            json!({"selector": {"a": 1}}),
            "cannot unmarshal number into Go struct field ServiceSpec.spec.selector of type string",
        ),
        (
            json!({"selector": []}),
            "cannot unmarshal array into Go struct field ServiceSpec.spec.selector of type map[string]string",
        ),
        (json!([]), "cannot unmarshal array into Go struct field Service.spec of type v1.ServiceSpec"),
        (json!({"ports": [{"port": 80, "targetPort": true}]}), "cannot unmarshal bool into Go value of type string"),
    ];
    for (spec, expected) in cases {
        let error = find("", "v1", "services").unwrap().decode(&mut service(spec), Strict).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn nulls_go_and_numeric_quantities_become_text() {
    let mut pod = json!({"metadata": {"name": "a", "creationTimestamp": null}, "spec": {"containers": [
        {"name": "a", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}
    ]}});
    find("", "v1", "pods").unwrap().decode(&mut pod, Strict).unwrap();
    assert!(pod["metadata"].get("creationTimestamp").is_none());
    assert_eq!(pod["spec"]["containers"][0]["resources"]["limits"], json!({"cpu": "1", "memory": "1Gi"}));
}

#[test]
fn empty_lists_and_maps_are_none() {
    let mut body = service(json!({"selector": {}, "externalIPs": [], "sessionAffinityConfig": {}}));
    body["metadata"]["labels"] = json!({});
    find("", "v1", "services").unwrap().decode(&mut body, Strict).unwrap();
    assert_eq!(body, service(json!({"sessionAffinityConfig": {}})), "an empty struct is not nothing");
    let mut slice = json!({"addressType": "IPv4", "endpoints": [], "ports": []});
    find("discovery.k8s.io", "v1", "endpointslices").unwrap().decode(&mut slice, Strict).unwrap();
    assert_eq!((slice.get("endpoints"), slice.get("ports")), (Some(&json!([])), None));
}

#[test]
fn bad_text_in_typed_strings_is_refused() {
    let secrets = find("", "v1", "secrets").unwrap();
    for (data, at) in [("a", 1), ("YQ=", 3), ("Y Q=", 1), ("YQ==YQ==", 4), ("=", 0)] {
        let error = secrets.decode(&mut json!({"data": {"k": data}}), Strict).unwrap_err();
        assert!(error.to_string().ends_with(&format!("illegal base64 data at input byte {at}")), "{error}");
    }
    assert!(secrets.decode(&mut json!({"data": {"k": "YWI=", "e": ""}}), Strict).is_ok());
    let leases = find("coordination.k8s.io", "v1", "leases").unwrap();
    assert!(leases.decode(&mut json!({"spec": {"renewTime": "yesterday"}}), Strict).is_err());
    assert!(leases.decode(&mut json!({"spec": {"renewTime": "2026-01-02T03:04:05.000006Z"}}), Strict).is_ok());
}

#[test]
fn another_kind_is_refused() {
    let services = find("", "v1", "services").unwrap();
    let error = services.decode(&mut json!({"apiVersion": "v1", "kind": "Pod"}), Strict).unwrap_err();
    assert!(error.to_string().contains("cannot be handled as a Service"), "{error}");
    let error = services.decode(&mut json!({"apiVersion": "v2", "kind": "Service"}), Strict).unwrap_err();
    assert!(error.to_string().contains("does not match the expected API version (v1)"), "{error}");
    assert!(services.decode(&mut json!([1]), Strict).is_err());
}
