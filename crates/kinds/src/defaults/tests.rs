#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::find;

fn defaulted(group: &str, plural: &str, mut object: Value) -> Value {
    let resource = find(group, "v1", plural).unwrap();
    resource.default(&mut object);
    let once = object.clone();
    resource.default(&mut object);
    assert_eq!(object, once, "defaulting is idempotent");
    object
}

#[test]
fn a_minimal_service_gets_what_upstream_gives_it() {
    let service = defaulted("", "services", json!({"spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}}));
    assert_eq!(
        service,
        json!({
            "spec": {
                "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                "selector": {"app": "web"},
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
            },
            "status": {"loadBalancer": {}},
        })
    );
}

#[test]
fn types_bring_their_policies() {
    let balancer = defaulted("", "services", json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}));
    assert_eq!(balancer["spec"]["externalTrafficPolicy"], "Cluster");
    assert_eq!(balancer["spec"]["allocateLoadBalancerNodePorts"], true);
    let external = defaulted("", "services", json!({"spec": {"type": "ExternalName", "externalName": "a.b"}}));
    assert!(external["spec"].get("internalTrafficPolicy").is_none());
    assert!(external["spec"].get("externalTrafficPolicy").is_none());
    let reachable = defaulted("", "services", json!({"spec": {"externalIPs": ["1.2.3.4"], "ports": [{"port": 80}]}}));
    assert_eq!(reachable["spec"]["externalTrafficPolicy"], "Cluster");
    let sticky = defaulted("", "services", json!({"spec": {"sessionAffinity": "ClientIP"}}));
    assert_eq!(sticky["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"], 10800);
}

#[test]
fn deployments_and_their_pods() {
    let deployment = defaulted(
        "apps",
        "deployments",
        json!({"spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{
                "name": "a", "image": "portolan/echo", "ports": [{"containerPort": 80}],
                "readinessProbe": {"httpGet": {"port": 80}},
            }]}},
        }}),
    );
    let spec = &deployment["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(spec["revisionHistoryLimit"], 10);
    assert_eq!(spec["progressDeadlineSeconds"], 600);
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
    );
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["terminationGracePeriodSeconds"], 30);
    assert_eq!(pod["dnsPolicy"], "ClusterFirst");
    assert_eq!(pod["restartPolicy"], "Always");
    let container = &pod["containers"][0];
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(container["ports"][0]["protocol"], "TCP");
    assert_eq!(
        container["readinessProbe"],
        json!({"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
               "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3})
    );
}

#[test]
fn pull_policy_follows_the_tag() {
    for (image, policy) in [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("localhost:5000/nginx", "Always"),
        ("localhost:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:00", "IfNotPresent"),
    ] {
        let pod = defaulted("", "pods", json!({"spec": {"containers": [{"name": "a", "image": image}]}}));
        assert_eq!(pod["spec"]["containers"][0]["imagePullPolicy"], policy, "{image}");
    }
}

#[test]
fn string_data_lands_in_data() {
    let secret =
        defaulted("", "secrets", json!({"stringData": {"a": "hello", "b": "", "c": "ab"}, "data": {"a": "eA=="}}));
    assert_eq!(secret, json!({"type": "Opaque", "data": {"a": "aGVsbG8=", "b": "", "c": "YWI="}}));
}

#[test]
fn namespaces_carry_their_name() {
    let namespace = defaulted("", "namespaces", json!({"metadata": {"name": "a"}}));
    assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], "a");
}

#[test]
fn a_field_that_became_a_list_agrees_with_its_list() {
    let ips =
        |status: Value| defaulted("", "pods", json!({"spec": {"containers": []}, "status": status}))["status"].clone();
    let rows = [
        (json!({"podIP": "10.0.0.1"}), json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]})),
        (json!({"podIPs": [{"ip": "10.0.0.1"}]}), json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]})),
        (
            json!({"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}),
            json!({"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}]}),
        ),
        (
            json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}),
            json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}),
        ),
        (json!({}), json!({})),
    ];
    for (given, expected) in rows {
        assert_eq!(ips(given.clone()), expected, "{given}");
    }
    let node = defaulted("", "nodes", json!({"spec": {"podCIDR": "10.244.0.0/24"}}));
    assert_eq!(node["spec"]["podCIDRs"], json!(["10.244.0.0/24"]));
    assert_eq!(node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"], 0);
    assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], "");
}

#[test]
fn endpoints_of_slices_have_conditions() {
    let slice = defaulted("discovery.k8s.io", "endpointslices", json!({"endpoints": [{"addresses": ["10.0.0.1"]}]}));
    assert_eq!(slice["endpoints"][0]["conditions"], json!({}));
}
