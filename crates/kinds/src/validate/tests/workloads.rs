//! Rules of Pods, Deployments and ReplicaSets.

use serde_json::{Value, json};

use super::{check, deployment, pod, update_errors};
use crate::FieldErrorKind::{Duplicate, Forbidden, Invalid, NotFound, NotSupported, Required};

#[test]
fn rules_of_pods() {
    let with = |container: Value| {
        let mut whole = json!({"name": "a", "image": "b"});
        crate::patch::merge(&mut whole, &container).unwrap();
        pod(json!({"containers": [whole]}))
    };
    let first = "spec.containers[0]";
    let path = |rest: &str| -> &'static str { Box::leak(format!("{first}.{rest}").into_boxed_str()) };
    check(vec![
        ("pods", with(json!({"name": "A"})), Invalid, path("name"), "Invalid value: \"A\""),
        ("pods", with(json!({"image": null})), Required, path("image"), "Required value"),
        (
            "pods",
            with(json!({"ports": [{"containerPort": 70000}]})),
            Invalid,
            path("ports[0].containerPort"),
            "Invalid value: 70000",
        ),
        (
            "pods",
            with(json!({"ports": [{"containerPort": 1, "name": "HTTP"}]})),
            Invalid,
            path("ports[0].name"),
            "Invalid value: \"HTTP\": must contain only",
        ),
        (
            "pods",
            with(json!({"readinessProbe": {}})),
            Required,
            path("readinessProbe"),
            "Required value: must specify a handler type",
        ),
        (
            "pods",
            with(json!({"livenessProbe": {"httpGet": {"port": 80}, "tcpSocket": {"port": 80}}})),
            Forbidden,
            path("livenessProbe.tcpSocket"),
            "Forbidden: may not specify more than 1",
        ),
        (
            "pods",
            with(json!({"livenessProbe": {"exec": {"command": ["a"]}, "successThreshold": 2}})),
            Invalid,
            path("livenessProbe.successThreshold"),
            "Invalid value: 2: must be 1",
        ),
        (
            "pods",
            with(json!({"readinessProbe": {"httpGet": {"port": 0}}})),
            Invalid,
            path("readinessProbe.httpGet.port"),
            "Invalid value: 0",
        ),
        ("pods", with(json!({"env": [{"name": "A=B"}]})), Invalid, path("env[0].name"), "Invalid value: \"A=B\""),
        (
            "pods",
            with(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]})),
            NotFound,
            path("volumeMounts[0].name"),
            "Not found: \"v\"",
        ),
        (
            "pods",
            with(json!({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}})),
            Invalid,
            path("resources.requests"),
            "Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        ("pods", with(json!({"imagePullPolicy": "Often"})), NotSupported, path("imagePullPolicy"), "Unsupported value"),
        (
            "pods",
            pod(json!({"restartPolicy": "Maybe", "containers": [{"name": "a", "image": "b"}]})),
            NotSupported,
            "spec.restartPolicy",
            "Unsupported value: \"Maybe\": supported values: \"Always\", \"Never\", \"OnFailure\"",
        ),
        (
            "pods",
            pod(json!({"containers": [{"name": "a", "image": "b"}, {"name": "a", "image": "b"}]})),
            Duplicate,
            "spec.containers[1].name",
            "Duplicate value: \"a\"",
        ),
        (
            "pods",
            pod(json!({"containers": [{"name": "a", "image": "b"}], "dnsPolicy": "None"})),
            Required,
            "spec.dnsConfig.nameservers",
            "Required value",
        ),
        (
            "pods",
            pod(
                json!({"containers": [{"name": "a", "image": "b", "ports": [{"containerPort": 1, "hostPort": 5}, {"containerPort": 2, "hostPort": 5}]}]}),
            ),
            Duplicate,
            "spec.containers[0].ports[1].hostPort",
            "Duplicate value: \"TCP//5\"",
        ),
    ]);
    let old = with(json!({}));
    assert_eq!(
        update_errors("pods", &old, json!({"metadata": {"labels": {"a": "b"}}, "spec": {"activeDeadlineSeconds": 5}})),
        []
    );
    let image = json!({"spec": {"containers": [{"name": "a", "image": "c:1", "imagePullPolicy": "Always", "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "resources": {}}]}});
    assert_eq!(update_errors("pods", &old, image), []);
    let moved = update_errors("pods", &old, json!({"spec": {"nodeName": "n"}}));
    assert!(moved[0].detail.starts_with("Forbidden: pod updates may not change fields other than"), "{moved:?}");
}

#[test]
fn rules_of_workloads() {
    check(vec![
        ("deployments.apps", deployment(json!({"selector": null})), Required, "spec.selector", "Required value"),
        (
            "deployments.apps",
            deployment(json!({"selector": {"matchLabels": null}})),
            Invalid,
            "spec.selector",
            "Invalid value: {}: empty selector is invalid for deployment",
        ),
        (
            "deployments.apps",
            deployment(json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}})),
            Forbidden,
            "spec.strategy.rollingUpdate",
            "Forbidden: may not be specified",
        ),
        (
            "deployments.apps",
            deployment(json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}})),
            Invalid,
            "spec.strategy.rollingUpdate.maxUnavailable",
            "Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
        ),
        (
            "deployments.apps",
            deployment(json!({"strategy": {"rollingUpdate": {"maxSurge": "many"}}})),
            Invalid,
            "spec.strategy.rollingUpdate.maxSurge",
            "Invalid value: \"many\": a valid percent",
        ),
        (
            "deployments.apps",
            deployment(json!({"progressDeadlineSeconds": 5, "minReadySeconds": 5})),
            Invalid,
            "spec.progressDeadlineSeconds",
            "Invalid value: 5: must be greater than",
        ),
        (
            "replicasets.apps",
            deployment(json!({"template": {"spec": {"restartPolicy": "Never"}}})),
            NotSupported,
            "spec.template.spec.restartPolicy",
            "Unsupported value: \"Never\": supported values: \"Always\"",
        ),
    ]);
    let reselected = update_errors(
        "deployments.apps",
        &deployment(json!({})),
        json!({"spec": {"selector": {"matchLabels": {"app": "a", "b": "c"}}, "template": {"metadata": {"labels": {"b": "c"}}}}}),
    );
    assert_eq!(reselected.len(), 1);
    assert!(reselected[0].to_string().ends_with("field is immutable"), "{reselected:?}");
}
