#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::{Part, Resource, find};

fn services() -> &'static Resource {
    find("", "v1", "services").unwrap()
}

/// Defaults and prepares as the server does.
fn updated(resource: &Resource, old: &Value, change: Value, part: Part) -> Value {
    let mut new = old.clone();
    crate::patch::merge(&mut new, &change).unwrap();
    resource.default(&mut new);
    resource.prepare_update(&mut new, old, part);
    new
}

fn balancer() -> Value {
    let mut service = json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "u"},
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 30100, "loadBalancerClass": "example.com/lb",
            "ports": [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81, "nodePort": 30081}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}},
    });
    services().default(&mut service);
    service
}

#[test]
fn a_change_of_type_drops_what_it_leaves_behind() {
    let new = updated(services(), &balancer(), json!({"spec": {"type": "ClusterIP"}}), Part::Main);
    let spec = &new["spec"];
    for gone in ["healthCheckNodePort", "loadBalancerClass", "allocateLoadBalancerNodePorts", "externalTrafficPolicy"] {
        assert!(spec.get(gone).is_none(), "{gone}: {spec}");
    }
    assert!(spec["ports"][0].get("nodePort").is_none());
    assert_eq!(spec["clusterIP"], "10.96.0.10");
    assert_eq!(new["status"], json!({"loadBalancer": {}}));

    let change = json!({"spec": {"type": "ExternalName", "externalName": "a.example"}});
    let new = updated(services(), &balancer(), change, Part::Main);
    for gone in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        assert!(new["spec"].get(gone).is_none(), "{gone}: {new}");
    }
}

#[test]
fn what_was_allocated_stays_when_left_out() {
    let change = json!({"spec": {"clusterIP": null, "clusterIPs": null, "healthCheckNodePort": null,
        "ports": [{"name": "b", "port": 91}, {"name": "a", "port": 90, "nodePort": 30081}]}});
    let new = updated(services(), &balancer(), change, Part::Main);
    assert_eq!(new["spec"]["clusterIP"], "10.96.0.10");
    assert_eq!(new["spec"]["clusterIPs"], json!(["10.96.0.10"]));
    assert_eq!(new["spec"]["healthCheckNodePort"], 30100);
    assert!(new["spec"]["ports"][0].get("nodePort").is_none(), "its number was asked for by another port");
    assert_eq!(new["status"]["loadBalancer"]["ingress"][0]["ip"], "203.0.113.1");
}

#[test]
fn the_two_spellings_of_an_address_follow_each_other() {
    let mut headless = json!({"spec": {"clusterIP": "None"}});
    services().default(&mut headless);
    services().prepare_create(&mut headless);
    assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
    for (change, single, all) in [
        (json!({"clusterIP": "10.96.0.11"}), json!("10.96.0.11"), json!(["10.96.0.11"])),
        (json!({"clusterIP": null}), json!("10.96.0.10"), json!(["10.96.0.10"])),
        (json!({"clusterIPs": null}), json!("10.96.0.10"), json!(["10.96.0.10"])),
        (json!({"clusterIPs": ["10.96.0.11"]}), json!("10.96.0.10"), json!(["10.96.0.11"])),
    ] {
        let new = updated(services(), &balancer(), json!({"spec": change}), Part::Main);
        assert_eq!((&new["spec"]["clusterIP"], &new["spec"]["clusterIPs"]), (&single, &all));
    }
}

#[test]
fn node_ports_are_kept_only_where_they_would_be_allocated() {
    let change = json!({"spec": {"allocateLoadBalancerNodePorts": false, "ports": [{"name": "a", "port": 80}]}});
    let new = updated(services(), &balancer(), change, Part::Main);
    assert!(new["spec"]["ports"][0].get("nodePort").is_none());
}

#[test]
fn status_and_spec_are_written_apart() {
    let old = balancer();
    let change = json!({"metadata": {"annotations": {"a": "1"}}, "spec": {"type": "ClusterIP"}, "status": {"loadBalancer": {"ingress": null}}});
    let new = updated(services(), &old, change, Part::Status);
    assert_eq!(new["spec"], old["spec"]);
    assert_eq!(new["status"], json!({"loadBalancer": {}}));
    assert_eq!(new["metadata"]["annotations"]["a"], "1");
    assert_eq!(new["metadata"]["uid"], "u");
}

#[test]
fn generations_count_changes_of_the_spec() {
    let deployments = find("apps", "v1", "deployments").unwrap();
    let mut old =
        json!({"metadata": {"name": "a", "generation": 9}, "spec": {"template": {}}, "status": {"replicas": 7}});
    deployments.default(&mut old);
    deployments.prepare_create(&mut old);
    assert_eq!(old["metadata"]["generation"], 1);
    assert_eq!(old["status"], json!({}));
    let generation =
        |change: Value, part: Part| updated(deployments, &old, change, part)["metadata"]["generation"].clone();
    assert_eq!(generation(json!({"metadata": {"labels": {"a": "b"}, "generation": 5}}), Part::Main), 1);
    assert_eq!(generation(json!({"status": {"replicas": 3}}), Part::Status), 1);
    assert_eq!(generation(json!({"metadata": {"annotations": {"a": "b"}}}), Part::Main), 2);
    assert_eq!(generation(json!({"spec": {"replicas": 3, "paused": true}}), Part::Scale), 2);
    let scaled = updated(deployments, &old, json!({"spec": {"replicas": 3, "paused": true}}), Part::Scale);
    assert!(scaled["spec"].get("paused").is_none());
    let slices = find("discovery.k8s.io", "v1", "endpointslices").unwrap();
    let mut slice = json!({"addressType": "IPv4", "endpoints": []});
    slices.prepare_create(&mut slice);
    let annotated = updated(slices, &slice, json!({"metadata": {"annotations": {"a": "b"}}}), Part::Main);
    assert_eq!(annotated["metadata"]["generation"], 1);
    let labelled = updated(slices, &slice, json!({"metadata": {"labels": {"a": "b"}}}), Part::Main);
    assert_eq!(labelled["metadata"]["generation"], 2);
}

#[test]
fn new_pods_are_pending_and_classed() {
    let class = |resources: Value| {
        let mut pod = json!({"spec": {"containers": [{"name": "a", "image": "b", "resources": resources}]}, "status": {"phase": "Running"}});
        let pods = find("", "v1", "pods").unwrap();
        pods.default(&mut pod);
        pods.prepare_create(&mut pod);
        assert_eq!(pod["status"]["phase"], "Pending");
        assert_eq!(pod["spec"]["serviceAccountName"], "default");
        assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 2);
        pod["status"]["qosClass"].clone()
    };
    assert_eq!(class(json!({})), "BestEffort");
    assert_eq!(class(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), "Guaranteed");
    assert_eq!(class(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m"}})), "Guaranteed");
    assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
}

#[test]
fn namespaces_keep_their_finalizer_until_finalized() {
    let namespaces = find("", "v1", "namespaces").unwrap();
    let mut old = json!({"metadata": {"name": "a"}});
    namespaces.default(&mut old);
    namespaces.prepare_create(&mut old);
    assert_eq!(old["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(old["status"]["phase"], "Active");
    let change = json!({"spec": {"finalizers": []}});
    assert_eq!(updated(namespaces, &old, change.clone(), Part::Main)["spec"], old["spec"]);
    assert_eq!(updated(namespaces, &old, change, Part::Finalize)["spec"]["finalizers"], json!([]));
}

#[test]
fn the_status_of_a_range_carries_no_metadata() {
    let ranges = find("networking.k8s.io", "v1", "servicecidrs").unwrap();
    let mut old = json!({"metadata": {"name": "a"}, "spec": {"cidrs": ["10.0.0.0/24"]}, "status": {"conditions": []}});
    ranges.prepare_create(&mut old);
    assert_eq!((&old["status"], old["metadata"].get("generation")), (&json!({}), None));
    let change = json!({"metadata": {"labels": {"a": "b"}}, "status": {"conditions": [{"type": "Ready"}]}});
    let new = updated(ranges, &old, change, Part::Status);
    assert!(new["metadata"].get("labels").is_none());
    assert_eq!(new["status"]["conditions"][0]["type"], "Ready");
}

#[test]
fn nobody_sends_traffic_to_an_external_name() {
    let change = json!({"spec": {"type": "ExternalName", "externalName": "a.example"}});
    let new = updated(services(), &balancer(), change, Part::Main);
    assert!(new["spec"].get("internalTrafficPolicy").is_none());
}
