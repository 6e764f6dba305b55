#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::{
    backends::Watched,
    endpointslice::tests::{changed, seen},
};

fn slice() -> Value {
    json!({
        "metadata": {
            "namespace": "shop", "name": "web-1", "uid": "uid", "resourceVersion": "7", "generation": 3,
            "labels": {"kubernetes.io/service-name": "web"}, "annotations": {"a": "b"}, "finalizers": ["x/y"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "uid-web"}],
        },
        "addressType": "IPv6",
        "endpoints": [{
            "addresses": ["fd00::1"], "hostname": "web-0", "nodeName": "node-1", "zone": "a",
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "hints": {"forZones": [{"name": "a"}], "forNodes": [{"name": "node-1"}]},
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-0", "uid": "uid-0"},
        }],
        "ports": [{"name": "", "port": 8080, "protocol": "TCP", "appProtocol": "http"}],
    })
}

#[test]
fn what_this_controller_writes_is_read_back_as_it_was() {
    let Watched { metadata, facts } = seen::<Slice>(&slice());
    assert_eq!(metadata.resource_version.as_deref(), Some("7"));
    assert_eq!((facts.service().unwrap().to_string().as_str(), facts.family), ("shop/web", Some(Family::V6)));
    assert!(!facts.endpoints[0].foreign);
    assert_eq!(serde_json::to_value(facts.to_api()).unwrap(), {
        let mut expected = slice();
        expected["apiVersion"] = json!("discovery.k8s.io/v1");
        expected["kind"] = json!("EndpointSlice");
        expected
    });
}

#[test]
fn field_managers_are_not_kept() {
    let managed = json!([{"manager": "kubectl", "fieldsV1": {"f:metadata": {}}}]);
    let facts = seen::<Slice>(&changed(slice(), &[("/metadata/managedFields", managed)])).facts;
    assert_eq!(facts.metadata.managed_fields, None);
}

#[test]
fn what_others_write_is_known_as_theirs() {
    let rows = [
        ("two addresses", "/endpoints/0/addresses", json!(["fd00::1", "fd00::2"])),
        ("an address in another spelling", "/endpoints/0/addresses", json!(["fd00:0::1"])),
        ("no pod", "/endpoints/0/targetRef", Value::Null),
        ("something else than a pod", "/endpoints/0/targetRef/kind", json!("VirtualMachine")),
        ("a pod elsewhere", "/endpoints/0/targetRef/namespace", json!("other")),
        ("a part of a pod", "/endpoints/0/targetRef/fieldPath", json!("spec.containers[0]")),
    ];
    for (story, pointer, value) in rows {
        assert!(seen::<Slice>(&changed(slice(), &[(pointer, value)])).facts.endpoints[0].foreign, "{story}");
    }
    let revision = changed(slice(), &[("/endpoints/0/targetRef/resourceVersion", json!("9"))]);
    assert!(!seen::<Slice>(&revision).facts.endpoints[0].foreign, "as old versions wrote it");
    let names = changed(slice(), &[("/addressType", json!("FQDN"))]);
    assert_eq!(seen::<Slice>(&names).facts.family, None);
}
