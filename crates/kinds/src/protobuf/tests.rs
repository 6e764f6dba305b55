#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{ContentType, ParseError, parse};

mod bodies;

/// A varint.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A field with a number in it.
fn int(field: u64, number: i64) -> Vec<u8> {
    [varint(field << 3), varint(number.cast_unsigned())].concat()
}

/// A field with bytes in it: text, or the fields of a message.
fn len(field: u64, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [varint(field << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A whole body.
fn body(api_version: &str, kind: &str, object: impl AsRef<[u8]>) -> Vec<u8> {
    let identity = [len(1, api_version), len(2, kind)].concat();
    [MAGIC.to_vec(), len(1, identity), len(2, object)].concat()
}

/// The object in a body, without apiVersion and kind.
fn object(api_version: &str, kind: &str, object: Vec<u8>) -> Value {
    let mut value = decode(&body(api_version, kind, object)).unwrap();
    assert_eq!(value["apiVersion"], api_version);
    assert_eq!(value["kind"], kind);
    value.as_object_mut().unwrap().retain(|key, _| key != "apiVersion" && key != "kind");
    value
}

#[test]
fn what_kubectl_sends_is_what_it_prints_as_json() {
    let metadata = json!({"name": "web", "labels": {"app": "web"}});
    let service = |spec: Value| {
        let status = json!({"loadBalancer": {}});
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": status})
    };
    for (sent, expected) in [
        (
            bodies::NAMESPACE,
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}, "spec": {}, "status": {}}),
        ),
        (
            bodies::DEPLOYMENT,
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
                "spec": {
                    "replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "strategy": {},
                    "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                        {"name": "echo", "image": "portolan/echo", "ports": [{"containerPort": 8080}], "resources": {}},
                    ]}},
                },
                "status": {},
            }),
        ),
        (
            bodies::CLUSTER_IP,
            service(json!({
                "ports": [{"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080}],
                "selector": {"app": "web"}, "type": "ClusterIP",
            })),
        ),
        (
            bodies::NODE_PORT,
            service(json!({
                "ports": [{"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 30080}],
                "selector": {"app": "web"}, "type": "NodePort",
            })),
        ),
        (
            bodies::LOAD_BALANCER,
            service(json!({
                "ports": [{"name": "443-https", "protocol": "TCP", "port": 443, "targetPort": "https"}],
                "selector": {"app": "web"}, "type": "LoadBalancer",
            })),
        ),
        (
            bodies::EXTERNAL_NAME,
            service(json!({"selector": {"app": "web"}, "type": "ExternalName", "externalName": "example.org"})),
        ),
        (bodies::HEADLESS, service(json!({"selector": {"app": "web"}, "type": "ClusterIP", "clusterIP": "None"}))),
        (
            bodies::CONFIG_MAP,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"},
                "data": {"a": "1"}, "binaryData": {"bin": "AP8B"}}),
        ),
        (
            bodies::SECRET,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web"},
                "data": {"password": "aHVudGVyMg=="}}),
        ),
        (bodies::SERVICE_ACCOUNT, json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}})),
        (bodies::DELETE_OPTIONS, json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})),
    ] {
        assert_eq!(parse(sent, ContentType::Protobuf), Ok((expected.clone(), Vec::new())));
        assert_eq!(parse(sent, ContentType::Yaml), Ok((expected, Vec::new())), "the bytes say what they are");
    }
}

#[test]
fn special_types_have_their_json_form() {
    // LeaseSpec: renewTime is a MicroTime; an empty holder by pointer says that the lease was given up.
    let time = [int(1, 1_700_000_000), int(2, 1_500_000)].concat();
    let spec = [len(1, ""), int(2, 0), len(3, ""), len(4, &time)].concat();
    assert_eq!(
        object("coordination.k8s.io/v1", "Lease", len(2, spec)),
        json!({"spec": {"holderIdentity": "", "leaseDurationSeconds": 0, "renewTime": "2023-11-14T22:13:20.001500Z"}})
    );
    // ObjectMeta: creationTimestamp is a Time; managedFields hold JSON text; owner references hold false by pointer.
    let managed = [len(1, "test"), len(7, len(1, r#"{"f:spec":{}}"#))].concat();
    let owner = [len(3, "web"), int(6, 0)].concat();
    let metadata = [len(8, time), len(17, managed), len(13, owner), int(7, 0)].concat();
    assert_eq!(
        object("v1", "ConfigMap", len(1, metadata)),
        json!({"metadata": {
            "creationTimestamp": "2023-11-14T22:13:20Z",
            "managedFields": [{"manager": "test", "fieldsV1": {"f:spec": {}}}],
            "ownerReferences": [{"name": "web", "controller": false}],
        }})
    );
    // A Quantity as the value of a map: NodeStatus.capacity.
    let capacity = [len(1, "cpu"), len(2, len(1, "100m"))].concat();
    assert_eq!(object("v1", "Node", len(3, len(1, capacity))), json!({"status": {"capacity": {"cpu": "100m"}}}));
    // RollingUpdateDeployment: maxUnavailable 0 and maxSurge "25%".
    let rolling = [len(1, [int(1, 0), int(2, 0)].concat()), len(2, [int(1, 1), len(3, "25%")].concat())].concat();
    assert_eq!(
        object("apps/v1", "Deployment", len(2, len(4, len(2, rolling)))),
        json!({"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}}}})
    );
}

#[test]
fn zeros_are_kept_where_they_say_something() {
    let conditions = [int(1, 0), int(2, 1)].concat();
    let endpoint = [len(1, "10.0.0.1"), len(2, conditions)].concat();
    let port = [len(1, ""), int(3, 0)].concat();
    assert_eq!(
        object("discovery.k8s.io/v1", "EndpointSlice", [len(2, endpoint), len(3, port), len(4, "")].concat()),
        json!({
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": false, "serving": true}}],
            "ports": [{"name": "", "port": 0}],
        })
    );
    let spec = [int(13, 0), int(20, 0), int(12, 0), len(7, "")].concat();
    assert_eq!(object("v1", "Service", len(2, spec)), json!({"spec": {"allocateLoadBalancerNodePorts": false}}));
    assert_eq!(object("autoscaling/v1", "Scale", len(2, int(1, 3))), json!({"spec": {"replicas": 3}}));
}

#[test]
fn structs_that_protobuf_nests_are_flat_in_json() {
    let volume = [len(1, "scratch"), len(2, len(2, ""))].concat();
    let probe = [len(1, len(2, [len(1, "/"), len(2, int(2, 80))].concat())), int(2, 3)].concat();
    let key = [len(1, len(1, "settings")), len(2, "color"), int(3, 0)].concat();
    let environment = [len(1, "COLOR"), len(3, len(3, key))].concat();
    let container = [len(1, "echo"), len(7, environment), len(11, probe)].concat();
    assert_eq!(
        object("v1", "Pod", len(2, [len(1, volume), len(2, container)].concat())),
        json!({"spec": {
            "volumes": [{"name": "scratch", "emptyDir": {}}],
            "containers": [{
                "name": "echo",
                "env": [{"name": "COLOR", "valueFrom": {"configMapKeyRef": {
                    "name": "settings", "key": "color", "optional": false,
                }}}],
                "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "initialDelaySeconds": 3},
            }],
        }})
    );
}

#[test]
fn fields_come_again_packed_or_unknown() {
    // The last scalar wins, a zero too; structs are merged; lists go on.
    let twice = [len(1, "a"), len(2, "g"), len(1, "b"), len(2, "")].concat();
    let labels = len(11, [len(1, "x"), len(2, "1")].concat());
    assert_eq!(
        object("v1", "ConfigMap", [len(1, twice), len(1, labels), len(99, "new"), int(98, 7)].concat()),
        json!({"metadata": {"name": "b", "labels": {"x": "1"}}})
    );
    // PodSecurityContext.supplementalGroups, one by one and packed.
    let groups = [int(4, 1), len(4, [varint(2), varint(300)].concat())].concat();
    assert_eq!(
        object("v1", "Pod", len(2, len(14, groups))),
        json!({"spec": {"securityContext": {"supplementalGroups": [1, 2, 300]}}})
    );
}

#[test]
fn what_is_wrong_with_a_body_is_said() {
    let pod = |fields: Vec<u8>| body("v1", "Pod", fields);
    for (sent, expected) in [
        (b"{}".to_vec(), "it does not begin with the bytes k8s\\0"),
        (MAGIC.to_vec(), "no kind \"\" is registered for version \"\""),
        (body("v1", "Wheel", ""), "no kind \"Wheel\" is registered for version \"v1\""),
        (body("v2", "Pod", ""), "no kind \"Pod\" is registered for version \"v2\""),
        (pod(vec![0x0a]), "it ends in the middle of a field"),
        (pod(vec![0x0a, 5, 1]), "it ends in the middle of a field"),
        (pod([varint(1 << 3 | 2), varint(u64::MAX)].concat()), "it ends in the middle of a field"),
        (pod(vec![0xff; 11]), "a number is longer than 64 bits"),
        (pod(vec![0x0b]), "wire type 3 is not used by Kubernetes"),
        (pod(int(1, 4)), "metadata: the field is of another type"),
        (pod(len(1, len(1, [0xff]))), "metadata.name: the text is not UTF-8"),
        (pod(len(1, len(8, int(1, i64::MAX)))), "metadata.creationTimestamp: the time is out of range"),
        (pod(len(1, len(17, len(7, len(1, "{"))))), "metadata.managedFields.fieldsV1: the bytes are not JSON"),
        (pod(len(1, len(11, [len(1, "a"), int(2, 1)].concat()))), "metadata.labels.a: the field is of another type"),
    ] {
        let expected = format!("the body is not a Kubernetes object in protobuf: {expected}");
        let error = parse(&sent, ContentType::Protobuf).unwrap_err();
        assert!(matches!(error, ParseError::Protobuf(_)), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn every_kind_that_may_come_is_in_the_table() {
    let own = resources().iter().map(|r| (r.api_version(), r.kind));
    let others =
        [("autoscaling/v1", "Scale"), ("v1", "Binding"), ("policy/v1", "Eviction"), ("apps/v1", "DeleteOptions")];
    for (version, kind) in own.chain(others.map(|(version, kind)| (version.to_string(), kind))) {
        let name = len(1, len(1, "web"));
        let sent = body(&version, kind, if kind == "DeleteOptions" { int(1, 5) } else { name });
        let value = decode(&sent).unwrap_or_else(|error| panic!("{version} {kind}: {error}"));
        assert!(value["metadata"]["name"] == "web" || value["gracePeriodSeconds"] == 5, "{version} {kind}: {value}");
    }
}

fn kind() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("v1", "Service"),
        ("v1", "Pod"),
        ("v1", "Event"),
        ("apps/v1", "Deployment"),
        ("discovery.k8s.io/v1", "EndpointSlice"),
        ("v1", "DeleteOptions"),
    ])
}

/// Messages in messages, with numbers that fields have.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        (1..24u64, any::<i64>()).prop_map(|(field, number)| int(field, number)),
        (1..24u64, any::<Vec<u8>>()).prop_map(|(field, bytes)| len(field, bytes)),
        (1..24u64, "[a-z{}0-9]{0,4}").prop_map(|(field, text)| len(field, text)),
    ];
    leaf.prop_recursive(12, 64, 4, |inner| {
        (1..24u64, prop::collection::vec(inner, 0..4)).prop_map(|(field, fields)| len(field, fields.concat()))
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = decode(&bytes);
        let _ = decode(&[MAGIC, &bytes].concat());
    }

    #[test]
    fn no_object_makes_it_panic((version, kind) in kind(), fields in prop::collection::vec(message(), 0..6)) {
        let _ = decode(&body(version, kind, fields.concat()));
    }

    /// A real body with a few bytes changed, or cut off.
    #[test]
    fn no_damage_makes_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end: prop::sample::Index,
    ) {
        let mut sent = bodies::DEPLOYMENT.to_vec();
        for (index, byte) in changes {
            let index = index.index(sent.len());
            sent[index] = byte;
        }
        sent.truncate(end.index(sent.len() + 1));
        let _ = decode(&sent);
    }

    /// What is read fits the schema: strict decoding has nothing to say.
    #[test]
    fn what_is_read_has_the_types_of_the_schema(fields in prop::collection::vec(message(), 0..6)) {
        if let Ok(mut value) = decode(&body("v1", "Service", fields.concat())) {
            let service = crate::find("", "v1", "services").unwrap();
            prop_assert_eq!(service.decode(&mut value, crate::FieldValidation::Strict), Ok(Vec::new()));
        }
    }
}
