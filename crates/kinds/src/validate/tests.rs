#![allow(clippy::unwrap_used)]

mod addresses;
mod policies;
mod workloads;

use serde_json::{Value, json};

use crate::{ContentType, FieldError, FieldErrorKind, FieldValidation, Part, Resource, find, parse};

fn resource(name: &str) -> &'static Resource {
    let (plural, group) = name.split_once('.').unwrap_or((name, ""));
    find(group, "v1", plural).unwrap()
}

/// The way of a create through this crate, in namespace `default`.
fn created(resource: &Resource, mut object: Value) -> Result<Value, String> {
    resource.decode(&mut object, FieldValidation::Strict).map_err(|e| e.to_string())?;
    if resource.namespaced && object["metadata"].get("namespace").is_none() {
        object["metadata"]["namespace"] = "default".into();
    }
    resource.default(&mut object);
    resource.prepare_create(&mut object);
    Ok(object)
}

fn errors(name: &str, object: Value) -> Vec<FieldError> {
    let resource = resource(name);
    resource.validate_create(&created(resource, object).unwrap())
}

fn update_errors(name: &str, old: &Value, change: Value) -> Vec<FieldError> {
    let resource = resource(name);
    let old = created(resource, old.clone()).unwrap();
    let mut new = old.clone();
    crate::patch::merge(&mut new, &change).unwrap();
    resource.default(&mut new);
    resource.prepare_update(&mut new, &old, Part::Main);
    resource.validate_update(&new, &old, Part::Main)
}

fn service(spec: Value) -> Value {
    json!({"metadata": {"name": "web"}, "spec": spec})
}

fn pod(spec: Value) -> Value {
    json!({"metadata": {"name": "web"}, "spec": spec})
}

fn deployment(spec: Value) -> Value {
    let mut whole = json!({
        "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}},
    });
    crate::patch::merge(&mut whole, &spec).unwrap();
    json!({"metadata": {"name": "web"}, "spec": whole})
}

use FieldErrorKind::{Duplicate, Forbidden, Invalid, NotSupported, Required, TooLong};

/// The bad manifests that the API must answer with 422: (resource, manifest, kind, path, start of the text).
fn bad_manifests() -> Vec<(&'static str, Value, FieldErrorKind, &'static str, &'static str)> {
    vec![
        (
            "services",
            service(json!({"ports": [{"port": 0}]})),
            Invalid,
            "spec.ports[0].port",
            "Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            "services",
            service(json!({"ports": [{"port": 70000}]})),
            Invalid,
            "spec.ports[0].port",
            "Invalid value: 70000: must be",
        ),
        ("services", service(json!({})), Required, "spec.ports", "Required value"),
        (
            "services",
            service(json!({"ports": [{"port": 80}, {"port": 81}]})),
            Required,
            "spec.ports[0].name",
            "Required value",
        ),
        (
            "services",
            service(json!({"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]})),
            Duplicate,
            "spec.ports[1].name",
            "Duplicate value: \"a\"",
        ),
        (
            "services",
            service(json!({"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]})),
            Duplicate,
            "spec.ports[1]",
            "Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,",
        ),
        (
            "services",
            service(json!({"ports": [{"port": 80, "protocol": "ICMP"}]})),
            NotSupported,
            "spec.ports[0].protocol",
            "Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
        (
            "services",
            service(json!({"type": "Balanced", "ports": [{"port": 80}]})),
            NotSupported,
            "spec.type",
            "Unsupported value: \"Balanced\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ),
        (
            "services",
            service(json!({"ports": [{"port": 80, "nodePort": 30080}]})),
            Forbidden,
            "spec.ports[0].nodePort",
            "Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            "services",
            service(json!({"type": "LoadBalancer", "clusterIP": "None", "ports": [{"port": 80}]})),
            Invalid,
            "spec.clusterIPs[0]",
            "Invalid value: \"None\": may not be set to 'None' for LoadBalancer services",
        ),
        (
            "services",
            service(json!({"clusterIP": "10.96.0.300", "ports": [{"port": 80}]})),
            Invalid,
            "spec.clusterIPs[0]",
            "Invalid value: \"10.96.0.300\": must be a valid IP address",
        ),
        ("services", service(json!({"type": "ExternalName"})), Required, "spec.externalName", "Required value"),
        (
            "services",
            service(json!({"selector": {"app": "not valid"}, "ports": [{"port": 80}]})),
            Invalid,
            "spec.selector",
            "Invalid value: \"not valid\": a valid label must be",
        ),
        (
            "services",
            service(json!({"ports": [{"port": 80, "targetPort": "no-such-name-is-so-long"}]})),
            Invalid,
            "spec.ports[0].targetPort",
            "Invalid value: \"no-such-name-is-so-long\": must be no more than 15",
        ),
        (
            "services",
            json!({"metadata": {"name": "Web"}, "spec": {"ports": [{"port": 80}]}}),
            Invalid,
            "metadata.name",
            "Invalid value: \"Web\": a lowercase RFC 1123 label must consist of",
        ),
        (
            "services",
            service(json!({"sessionAffinity": "Sometimes", "ports": [{"port": 80}]})),
            NotSupported,
            "spec.sessionAffinity",
            "Unsupported value",
        ),
        (
            "services",
            service(json!({"externalTrafficPolicy": "Local", "ports": [{"port": 80}]})),
            Invalid,
            "spec.externalTrafficPolicy",
            "Invalid value: \"Local\": may only be set for externally-accessible services",
        ),
        ("pods", pod(json!({"containers": []})), Required, "spec.containers", "Required value"),
        (
            "deployments.apps",
            deployment(json!({"selector": {"matchLabels": {"app": "b"}}})),
            Invalid,
            "spec.template.metadata.labels",
            "Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`",
        ),
        (
            "deployments.apps",
            deployment(json!({"replicas": -1})),
            Invalid,
            "spec.replicas",
            "Invalid value: -1: must be greater than or equal to 0",
        ),
    ]
}

#[test]
fn bad_manifests_are_refused_with_kind_and_path() {
    let cases = bad_manifests();
    assert_eq!(cases.len(), 20);
    check(cases);
}

fn check(cases: Vec<(&'static str, Value, FieldErrorKind, &'static str, &'static str)>) {
    for (name, object, kind, field, detail) in cases {
        let found = errors(name, object.clone());
        assert!(!found.is_empty(), "{object} is not fine");
        assert_eq!((found[0].kind, found[0].field.as_str()), (kind, field), "{found:?}");
        assert!(found[0].detail.starts_with(detail), "{found:?}");
    }
}

#[test]
fn more_rules_of_services() {
    let port = json!([{"port": 80}]);
    check(vec![
        (
            "services",
            service(
                json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90000}}, "ports": port}),
            ),
            Invalid,
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            "Invalid value: 90000: must be greater than 0 and less than 86400",
        ),
        (
            "services",
            service(json!({"externalIPs": ["127.0.0.1"], "ports": port})),
            Invalid,
            "spec.externalIPs[0]",
            "Invalid value: \"127.0.0.1\": may not be in the loopback range",
        ),
        (
            "services",
            service(json!({"loadBalancerSourceRanges": ["10.0.0.0/8"], "ports": port})),
            Forbidden,
            "spec.LoadBalancerSourceRanges",
            "Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            "services",
            service(json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0"], "ports": port})),
            Invalid,
            "spec.LoadBalancerSourceRanges[0]",
            "Invalid value: \"10.0.0.0\": must be a valid CIDR value",
        ),
        (
            "services",
            service(json!({"loadBalancerClass": "a/b", "ports": port})),
            Forbidden,
            "spec.loadBalancerClass",
            "Forbidden: may only be used",
        ),
        (
            "services",
            service(json!({"type": "LoadBalancer", "loadBalancerClass": "a b", "ports": port})),
            Invalid,
            "spec.loadBalancerClass",
            "Invalid value: \"a b\": name part must consist of",
        ),
        (
            "services",
            service(json!({"type": "LoadBalancer", "healthCheckNodePort": 30000, "ports": port})),
            Invalid,
            "spec.healthCheckNodePort",
            "Invalid value: 30000: may only be set when",
        ),
        (
            "services",
            service(json!({"internalTrafficPolicy": "Near", "ports": port})),
            NotSupported,
            "spec.internalTrafficPolicy",
            "Unsupported value",
        ),
        (
            "services",
            service(json!({"ipFamilies": ["IPv5"], "ports": port})),
            NotSupported,
            "spec.ipFamilies[0]",
            "Unsupported value: \"IPv5\"",
        ),
        (
            "services",
            service(json!({"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.0.1"})),
            Forbidden,
            "spec.clusterIPs",
            "Forbidden: may not be set for ExternalName services",
        ),
        (
            "services",
            service(
                json!({"type": "NodePort", "ports": [{"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 30001}]}),
            ),
            Duplicate,
            "spec.ports[1].nodePort",
            "Duplicate value: 30001",
        ),
    ]);
    let web =
        service(json!({"clusterIP": "10.96.0.10", "type": "LoadBalancer", "loadBalancerClass": "a/b", "ports": port}));
    let moved = update_errors("services", &web, json!({"spec": {"clusterIP": "10.96.0.11"}}));
    assert_eq!(moved[0].to_string(), "spec.clusterIPs[0]: Invalid value: [\"10.96.0.11\"]: may not change once set");
    let reclassed = update_errors("services", &web, json!({"spec": {"loadBalancerClass": "a/c"}}));
    assert_eq!(reclassed[0].to_string(), "spec.loadBalancerClass: Invalid value: \"a/c\": may not change once set");
    for fine in [
        json!({"spec": {"type": "ClusterIP"}}),
        json!({"spec": {"type": "ExternalName", "externalName": "a.b"}}),
        json!({"spec": {"clusterIP": null, "clusterIPs": null}}),
    ] {
        assert_eq!(update_errors("services", &web, fine.clone()), [], "{fine}");
    }
}

#[test]
fn rules_of_metadata() {
    let meta = |metadata: Value| json!({"metadata": metadata, "data": {}});
    check(vec![
        ("configmaps", meta(json!({})), Required, "metadata.name", "Required value: name or generateName is required"),
        (
            "configmaps",
            meta(json!({"name": "a..b"})),
            Invalid,
            "metadata.name",
            "Invalid value: \"a..b\": a lowercase RFC 1123 subdomain",
        ),
        (
            "configmaps",
            meta(json!({"name": "a", "labels": {"-x": "y"}})),
            Invalid,
            "metadata.labels",
            "Invalid value: \"-x\": name part must consist",
        ),
        (
            "configmaps",
            meta(json!({"name": "a", "annotations": {"a": "x".repeat(300_000)}})),
            TooLong,
            "metadata.annotations",
            "Too long: may not be more than 262144 bytes",
        ),
        (
            "configmaps",
            meta(json!({"name": "a", "namespace": "No"})),
            Invalid,
            "metadata.namespace",
            "Invalid value: \"No\"",
        ),
        (
            "configmaps",
            meta(json!({"name": "a", "finalizers": ["/x"]})),
            Invalid,
            "metadata.finalizers[0]",
            "Invalid value: \"/x\": prefix part must be non-empty",
        ),
        (
            "namespaces",
            json!({"metadata": {"name": "a", "namespace": "b"}}),
            Forbidden,
            "metadata.namespace",
            "Forbidden: not allowed on this type",
        ),
    ]);
    let errors = update_errors(
        "configmaps",
        &meta(json!({"name": "a", "uid": "1"})),
        json!({"metadata": {"uid": "2", "name": "b"}}),
    );
    let fields: Vec<&str> = errors.iter().map(|e| e.field.as_str()).collect();
    assert_eq!(fields, ["metadata.name", "metadata.uid"]);
}

#[test]
fn rules_of_endpoints_and_slices() {
    let slice = |rest: Value| {
        let mut whole = json!({"metadata": {"name": "a"}, "addressType": "IPv4"});
        crate::patch::merge(&mut whole, &rest).unwrap();
        whole
    };
    let slices = "endpointslices.discovery.k8s.io";
    check(vec![
        (
            "endpoints",
            json!({"metadata": {"name": "a"}, "subsets": [{}]}),
            Required,
            "subsets[0]",
            "Required value: must specify",
        ),
        (
            "endpoints",
            json!({"metadata": {"name": "a"}, "subsets": [{"addresses": [{"ip": "x"}]}]}),
            Invalid,
            "subsets[0].addresses[0].ip",
            "Invalid value: \"x\"",
        ),
        (slices, slice(json!({"addressType": "IPv5"})), NotSupported, "addressType", "Unsupported value: \"IPv5\""),
        (
            slices,
            slice(json!({"endpoints": [{"addresses": []}]})),
            Required,
            "endpoints[0].addresses",
            "Required value",
        ),
        (
            slices,
            slice(json!({"endpoints": [{"addresses": ["::1"]}]})),
            Invalid,
            "endpoints[0].addresses[0]",
            "Invalid value: \"::1\": must be a valid IPv4 address",
        ),
        (
            slices,
            slice(json!({"ports": [{"port": 1}, {"port": 2}]})),
            Duplicate,
            "ports[1].name",
            "Duplicate value: \"\"",
        ),
    ]);
    let changed = update_errors(slices, &slice(json!({})), json!({"addressType": "IPv6"}));
    assert_eq!(changed[0].to_string(), "addressType: Invalid value: \"IPv6\": field is immutable");
}

#[test]
fn rules_of_small_kinds() {
    check(vec![
        (
            "configmaps",
            json!({"metadata": {"name": "a"}, "data": {"a/b": ""}}),
            Invalid,
            "data[a/b]",
            "Invalid value: \"a/b\": a valid config key",
        ),
        (
            "configmaps",
            json!({"metadata": {"name": "a"}, "data": {"a": "x".repeat(1_100_000)}}),
            TooLong,
            "data",
            "Too long: may not be more than 1048576 bytes",
        ),
        (
            "secrets",
            json!({"metadata": {"name": "a"}, "type": "kubernetes.io/tls", "stringData": {"tls.crt": "x"}}),
            Required,
            "data[tls.key]",
            "Required value",
        ),
        (
            "leases.coordination.k8s.io",
            json!({"metadata": {"name": "a"}, "spec": {"leaseDurationSeconds": 0}}),
            Invalid,
            "spec.leaseDurationSeconds",
            "Invalid value: 0: must be greater than 0",
        ),
        (
            "servicecidrs.networking.k8s.io",
            json!({"metadata": {"name": "a"}, "spec": {"cidrs": ["10.0.0.1/8"]}}),
            Invalid,
            "spec.cidrs[0]",
            "Invalid value: \"10.0.0.1/8\"",
        ),
        (
            "ipaddresses.networking.k8s.io",
            json!({"metadata": {"name": "x"}, "spec": {"parentRef": {"resource": "services", "name": "a"}}}),
            Invalid,
            "metadata.name",
            "Invalid value: \"x\": must be a valid IP",
        ),
        (
            "nodes",
            json!({"metadata": {"name": "n"}, "spec": {"taints": [{"key": "a", "effect": "Maybe"}]}}),
            NotSupported,
            "spec.taints[0].effect",
            "Unsupported value",
        ),
        ("namespaces", json!({"metadata": {"name": "a.b"}}), Invalid, "metadata.name", "Invalid value: \"a.b\""),
    ]);
    let frozen = json!({"metadata": {"name": "a"}, "immutable": true, "data": {"a": "1"}});
    assert_eq!(update_errors("configmaps", &frozen, json!({"data": {"a": "2"}}))[0].field, "data");
    let secret = json!({"metadata": {"name": "a"}});
    assert_eq!(
        update_errors("secrets", &secret, json!({"type": "b"}))[0].to_string(),
        "type: Invalid value: \"b\": field is immutable"
    );
    let node = json!({"metadata": {"name": "n"}, "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"]}});
    assert_eq!(
        update_errors("nodes", &node, json!({"spec": {"podCIDR": "10.2.0.0/24", "podCIDRs": ["10.2.0.0/24"]}}))[0].kind,
        Forbidden
    );
}

#[test]
fn rules_of_events() {
    let old_style = json!({"metadata": {"name": "a.1"}, "involvedObject": {"namespace": "default"}, "reason": "R"});
    assert_eq!(errors("events", old_style.clone()), []);
    let mut elsewhere = old_style;
    elsewhere["involvedObject"]["namespace"] = "other".into();
    assert_eq!(
        errors("events", elsewhere)[0].to_string(),
        "involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"
    );
    let new_style = json!({"metadata": {"name": "a.1"}, "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "R", "action": "A",
        "reportingController": "c", "reportingInstance": "i", "note": "n", "regarding": {"namespace": "default"}});
    assert_eq!(errors("events.events.k8s.io", new_style.clone()), []);
    let mut series = new_style.clone();
    series["series"] = json!({"count": 1, "lastObservedTime": "2026-01-01T00:00:00.000000Z"});
    assert_eq!(errors("events.events.k8s.io", series)[0].field, "series.count");
    let mut incomplete = new_style.clone();
    incomplete.as_object_mut().unwrap().remove("action");
    assert_eq!(errors("events.events.k8s.io", incomplete)[0].to_string(), "action: Required value");
    let counted = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}});
    assert_eq!(update_errors("events.events.k8s.io", &new_style, counted), []);
    assert_eq!(update_errors("events.events.k8s.io", &new_style, json!({"note": "m"}))[0].field, "message");
}

#[test]
fn malformed_bodies_are_bad_requests() {
    let strict = |text: &str| -> String {
        match parse(text.as_bytes(), ContentType::Json) {
            Ok((body, _)) => created(resource("services"), body).unwrap_err(),
            Err(error) => error.to_string(),
        }
    };
    assert!(strict("{\"kind\": ").starts_with("couldn't get version/kind; json parse error:"));
    assert!(strict("{\"spec\": {\"foo\": 1}}").ends_with("strict decoding error: unknown field \"spec.foo\""));
    assert!(
        strict("{\"spec\": {\"ports\": [{\"port\": \"http\"}]}}")
            .contains("json: cannot unmarshal string into Go struct field")
    );
    assert!(strict("{\"kind\": \"Pod\", \"apiVersion\": \"v1\"}").contains("cannot be handled as a Service"));
}

#[test]
fn what_is_created_stays_valid() {
    for (name, object) in [
        ("services", service(json!({"type": "LoadBalancer", "selector": {"a": "b"}, "ports": [{"port": 80}]}))),
        ("services", service(json!({"clusterIP": "None"}))),
        ("services", service(json!({"type": "ExternalName", "externalName": "a.example."}))),
        ("deployments.apps", deployment(json!({}))),
        ("replicasets.apps", deployment(json!({}))),
        (
            "pods",
            pod(
                json!({"containers": [{"name": "a", "image": "b", "ports": [{"containerPort": 80}], "readinessProbe": {"httpGet": {"port": 80}}}], "volumes": [{"name": "v"}]}),
            ),
        ),
        ("namespaces", json!({"metadata": {"name": "a"}})),
        ("serviceaccounts", json!({"metadata": {"name": "default"}})),
    ] {
        assert_eq!(errors(name, object.clone()), [], "{object}");
        assert_eq!(update_errors(name, &object, json!({"metadata": {"labels": {"x": "y"}}})), [], "{object}");
    }
}
