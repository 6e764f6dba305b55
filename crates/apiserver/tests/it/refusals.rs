//! Bad manifests: the right status, the right field, and nothing stored.

use kube::Client;
use serde_json::{Value, json};

use super::*;

/// Posts to the Services of a namespace and gives the code, the reason and the first field named.
async fn post(client: &Client, path: &str, body: Value) -> (u16, String, String) {
    let request = http::Request::post(format!("{path}?fieldValidation=Strict"))
        .header("content-type", "application/json")
        .body(body.to_string().into_bytes())
        .unwrap();
    match client.request::<Value>(request).await {
        Ok(object) => panic!("accepted: {object}"),
        Err(kube::Error::Api(status)) => {
            let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
            let field = causes.first().map(|cause| cause.field.clone()).unwrap_or_default();
            (status.code, status.reason.clone(), field)
        }
        Err(other) => panic!("{other}"),
    }
}

fn bad(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bad"}, "spec": spec})
}

#[tokio::test]
async fn bad_services_are_refused_and_leave_nothing_behind() {
    let (_server, client) = server().await;
    let ports = json!([{"port": 80}]);
    let named =
        |name: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": name, "spec": {"ports": ports}});
    let rows = [
        ("port 0", bad(json!({"ports": [{"port": 0}]})), 422, "Invalid", "spec.ports[0].port"),
        ("port 70000", bad(json!({"ports": [{"port": 70000}]})), 422, "Invalid", "spec.ports[0].port"),
        ("no ports", bad(json!({"type": "ClusterIP"})), 422, "Invalid", "spec.ports"),
        (
            "twins",
            bad(json!({"ports": [{"name": "a", "port": 1}, {"name": "a", "port": 2}]})),
            422,
            "Invalid",
            "spec.ports[1].name",
        ),
        (
            "nameless port",
            bad(json!({"ports": [{"port": 1}, {"name": "b", "port": 2}]})),
            422,
            "Invalid",
            "spec.ports[0].name",
        ),
        (
            "protocol",
            bad(json!({"ports": [{"port": 1, "protocol": "ICMP"}]})),
            422,
            "Invalid",
            "spec.ports[0].protocol",
        ),
        ("type", bad(json!({"type": "Magic", "ports": ports})), 422, "Invalid", "spec.type"),
        (
            "target",
            bad(json!({"ports": [{"port": 1, "targetPort": 99999}]})),
            422,
            "Invalid",
            "spec.ports[0].targetPort",
        ),
        ("affinity", bad(json!({"ports": ports, "sessionAffinity": "Maybe"})), 422, "Invalid", "spec.sessionAffinity"),
        ("selector", bad(json!({"ports": ports, "selector": {"a b": "c"}})), 422, "Invalid", "spec.selector"),
        ("outside address", bad(json!({"ports": ports, "clusterIP": "192.0.2.1"})), 422, "Invalid", "spec.clusterIPs"),
        ("taken address", bad(json!({"ports": ports, "clusterIP": "10.96.0.1"})), 422, "Invalid", "spec.clusterIPs"),
        ("no address", bad(json!({"ports": ports, "clusterIP": "ten"})), 422, "Invalid", "spec.clusterIPs[0]"),
        (
            "outside node port",
            bad(json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": 80}]})),
            422,
            "Invalid",
            "spec.ports[0].nodePort",
        ),
        (
            "headless balancer",
            bad(json!({"type": "LoadBalancer", "clusterIP": "None", "ports": ports})),
            422,
            "Invalid",
            "spec.clusterIPs[0]",
        ),
        ("external name", bad(json!({"type": "ExternalName"})), 422, "Invalid", "spec.externalName"),
        (
            "dual stack",
            bad(json!({"ports": ports, "ipFamilyPolicy": "RequireDualStack"})),
            422,
            "Invalid",
            "spec.ipFamilyPolicy",
        ),
        ("unknown field", bad(json!({"ports": ports, "colour": "red"})), 400, "BadRequest", ""),
        ("wrong type", bad(json!({"ports": "many"})), 400, "BadRequest", ""),
        ("wrong kind", json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad"}}), 400, "BadRequest", ""),
        ("not an object", json!([1, 2]), 400, "BadRequest", ""),
        ("no name", named(json!({})), 422, "Invalid", "metadata.name"),
        ("bad name", named(json!({"name": "Bad_Name"})), 422, "Invalid", "metadata.name"),
        ("other namespace", named(json!({"name": "bad", "namespace": "other"})), 400, "BadRequest", ""),
        ("with a revision", named(json!({"name": "bad", "resourceVersion": "5"})), 400, "BadRequest", ""),
    ];
    let mut wrong = Vec::new();
    for (name, body, code, reason, field) in rows {
        let got = post(&client, "/api/v1/namespaces/default/services", body).await;
        if got != (code, reason.to_owned(), field.to_owned()) {
            wrong.push(format!("{name}: expected {code} {reason} {field}, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let request = http::Request::get("/api/v1/services").body(Vec::new()).unwrap();
    let stored: Value = client.request(request).await.unwrap();
    assert_eq!(stored["items"].as_array().unwrap().len(), 1, "only default/kubernetes");
    let request = http::Request::get("/apis/networking.k8s.io/v1/ipaddresses").body(Vec::new()).unwrap();
    let addresses: Value = client.request(request).await.unwrap();
    assert_eq!(addresses["items"].as_array().unwrap().len(), 1, "no address is held");
}

#[tokio::test]
async fn unknown_places_answer_a_status_too() {
    let (_server, client) = server().await;
    for (path, code) in [
        ("/api/v1/namespaces/default/wheels/a", 404),
        ("/apis/nowhere.io/v1", 404),
        ("/openapi/v1", 404),
        ("/somewhere", 404),
        ("/api/v1/pods?resourceVersion=99999999999999999999999", 422),
        ("/api/v1/pods?resourceVersion=9999999999999999999", 504),
        ("/api/v1/pods?resourceVersion=1&resourceVersionMatch=Exact", 410),
    ] {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        assert_eq!(refusal(client.request::<Value>(request).await).0, code, "{path}");
    }
}
