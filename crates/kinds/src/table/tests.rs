#![allow(clippy::unwrap_used)]

use jiff::Timestamp;
use serde_json::{Value, json};

use super::human_duration;
use crate::{find, resources};

const NOW: &str = "2026-01-02T00:00:00Z";

/// A row, cells as text.
fn row(group: &str, plural: &str, mut object: Value) -> Vec<String> {
    let resource = find(group, "v1", plural).unwrap();
    object["metadata"]["name"] = "x".into();
    object["metadata"]["creationTimestamp"] = "2026-01-01T23:55:00Z".into();
    let now: Timestamp = NOW.parse().unwrap();
    let cells = resource.cells(&object, now);
    assert_eq!(cells.len(), resource.columns().len());
    cells.iter().map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_string)).collect()
}

#[test]
fn every_row_has_a_cell_for_every_column() {
    for resource in resources() {
        assert_eq!(
            resource.cells(&json!({}), Timestamp::UNIX_EPOCH).len(),
            resource.columns().len(),
            "{}",
            resource.plural
        );
        assert!(resource.columns().iter().filter(|c| c.format == "name").count() == 1);
    }
}

#[test]
fn durations_lose_precision_with_age() {
    const DAY: i64 = 86_400;
    for (seconds, text) in [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (1, "1s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (12000, "3h20m"),
        (28800, "8h"),
        (2 * DAY - 1, "47h"),
        (2 * DAY, "2d"),
        (2 * DAY + 4 * 3600, "2d4h"),
        (8 * DAY, "8d"),
        (700 * DAY, "700d"),
        (730 * DAY, "2y"),
        (760 * DAY, "2y30d"),
        (3000 * DAY, "8y"),
    ] {
        assert_eq!(human_duration(seconds), text, "{seconds}");
    }
}

#[test]
fn services() {
    let cases = [
        (
            json!({"spec": {"type": "ClusterIP", "clusterIP": "10.96.0.1", "ports": [{"port": 80, "protocol": "TCP"}], "selector": {"b": "2", "a": "1"}}}),
            "x|ClusterIP|10.96.0.1|<none>|80/TCP|5m|a=1,b=2",
        ),
        (
            json!({"spec": {"type": "NodePort", "clusterIP": "10.96.0.1", "externalIPs": ["1.2.3.4", "5.6.7.8"], "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "nodePort": 30053, "protocol": "UDP"}]}}),
            "x|NodePort|10.96.0.1|1.2.3.4,5.6.7.8|80:30080/TCP,53:30053/UDP|5m|<none>",
        ),
        (
            json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.1"}}),
            "x|LoadBalancer|10.96.0.1|<pending>|<none>|5m|<none>",
        ),
        (
            json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.1", "externalIPs": ["1.2.3.4"]}, "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}),
            "x|LoadBalancer|10.96.0.1|203.0.113.1,1.2.3.4|<none>|5m|<none>",
        ),
        (
            json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.1"}, "status": {"loadBalancer": {"ingress": [{"hostname": "a-long-name.example.com"}]}}}),
            "x|LoadBalancer|10.96.0.1|a-long-name.example.com|<none>|5m|<none>",
        ),
        (
            json!({"spec": {"type": "ExternalName", "externalName": "a.example"}}),
            "x|ExternalName|<none>|a.example|<none>|5m|<none>",
        ),
        (
            json!({"spec": {"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"]}}),
            "x|ClusterIP|None|<none>|<none>|5m|<none>",
        ),
    ];
    for (object, expected) in cases {
        assert_eq!(row("", "services", object).join("|"), expected);
    }
}

#[test]
fn endpoints_and_slices() {
    let addresses = |n: usize| (1..=n).map(|i| json!({"ip": format!("10.0.0.{i}")})).collect::<Vec<_>>();
    let subsets = |n: usize| json!({"subsets": [{"addresses": addresses(n), "ports": [{"port": 80}]}]});
    assert_eq!(row("", "endpoints", json!({})).join("|"), "x|<none>|5m");
    assert_eq!(row("", "endpoints", subsets(2)).join("|"), "x|10.0.0.1:80,10.0.0.2:80|5m");
    assert_eq!(row("", "endpoints", subsets(5)).join("|"), "x|10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...|5m");
    assert_eq!(row("", "endpoints", json!({"subsets": [{"addresses": addresses(1)}]})).join("|"), "x|10.0.0.1|5m");
    let slice = json!({"addressType": "IPv4", "ports": [{"port": 80}, {"name": "web"}, {"name": ""}], "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}]});
    assert_eq!(row("discovery.k8s.io", "endpointslices", slice).join("|"), "x|IPv4|80,web,|10.0.0.1,10.0.0.2|5m");
    assert_eq!(
        row("discovery.k8s.io", "endpointslices", json!({"addressType": "IPv4"})).join("|"),
        "x|IPv4|<unset>|<unset>|5m"
    );
}

/// Ready, status and restarts of a pod.
fn pod(metadata: Value, spec: Value, status: Value) -> String {
    let row = row("", "pods", json!({"metadata": metadata, "spec": spec, "status": status}));
    row[1..4].join("|")
}

#[test]
fn pods_sum_up_their_containers() {
    let one = json!({"containers": [{"name": "a"}]});
    let running = json!({"ready": true, "restartCount": 0, "state": {"running": {}}});
    let status = |containers: Value| json!({"phase": "Running", "containerStatuses": containers});
    assert_eq!(pod(json!({}), one.clone(), json!({"phase": "Pending"})), "0/1|Pending|0");
    assert_eq!(pod(json!({}), one.clone(), status(json!([running.clone()]))), "1/1|Running|0");
    let deleting = json!({"deletionTimestamp": NOW});
    assert_eq!(pod(deleting.clone(), one.clone(), status(json!([running.clone()]))), "1/1|Terminating|0");
    let crashing = json!([{"ready": false, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"finishedAt": "2026-01-01T23:59:00Z"}}}]);
    assert_eq!(pod(json!({}), one.clone(), status(crashing)), "0/1|CrashLoopBackOff|3 (60s ago)");
    let done = |code: i64, reason: &str| json!({"phase": if code == 0 { "Succeeded" } else { "Failed" }, "containerStatuses": [{"state": {"terminated": {"exitCode": code, "reason": reason}}}]});
    assert_eq!(pod(json!({}), one.clone(), done(0, "Completed")), "0/1|Completed|0");
    assert_eq!(pod(deleting.clone(), one.clone(), done(0, "Completed")), "0/1|Completed|0");
    assert_eq!(pod(json!({}), one.clone(), done(3, "")), "0/1|ExitCode:3|0");
    let two = json!({"containers": [{"name": "a"}, {"name": "b"}]});
    let half = json!([{"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}, running.clone()]);
    assert_eq!(pod(json!({}), two, status(half)), "1/2|NotReady|0");
    let lost = json!({"phase": "Running", "reason": "NodeLost"});
    assert_eq!(pod(deleting, one.clone(), lost), "0/1|Unknown|0");
    assert_eq!(pod(json!({}), one, json!({"phase": "Failed", "reason": "NodePorts"})), "0/1|NodePorts|0");
}

#[test]
fn pods_wait_for_init_containers() {
    let spec = json!({"initContainers": [{"name": "i"}, {"name": "j"}], "containers": [{"name": "a"}]});
    let status = |state: Value| json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": state, "restartCount": 1}]});
    assert_eq!(pod(json!({}), spec.clone(), status(json!({"running": {}}))), "0/1|Init:0/2|1");
    assert_eq!(
        pod(json!({}), spec.clone(), status(json!({"waiting": {"reason": "CrashLoopBackOff"}}))),
        "0/1|Init:CrashLoopBackOff|1"
    );
    assert_eq!(
        pod(json!({}), spec, status(json!({"terminated": {"exitCode": 2, "reason": "Error"}}))),
        "0/1|Init:Error|1"
    );
    let sidecar = json!({"initContainers": [{"name": "s", "restartPolicy": "Always"}], "containers": [{"name": "a"}]});
    let up = json!({"phase": "Running", "initContainerStatuses": [{"name": "s", "started": true, "ready": true, "state": {"running": {}}}],
        "containerStatuses": [{"ready": true, "state": {"running": {}}}]});
    assert_eq!(pod(json!({}), sidecar, up), "2/2|Running|0");
}

#[test]
fn nodes() {
    let node = json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge"}}, "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "172.30.0.10"}],
        "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian", "kernelVersion": "6.1", "architecture": "amd64", "containerRuntimeVersion": "portolan://0.1"}}});
    assert_eq!(
        row("", "nodes", node).join("|"),
        "x|Ready,SchedulingDisabled|control-plane,edge|5m|v1.36.0|172.30.0.10|<none>|Debian|6.1 (amd64)|portolan://0.1"
    );
    assert_eq!(
        row("", "nodes", json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}))[1],
        "NotReady"
    );
    assert_eq!(row("", "nodes", json!({}))[1], "Unknown");
}

#[test]
fn events_in_both_views() {
    let core = json!({"involvedObject": {"kind": "Service", "name": "web"}, "type": "Normal", "reason": "EnsuredLoadBalancer", "message": "Ensured load balancer\n",
        "source": {"component": "service-controller"}, "count": 3, "firstTimestamp": "2026-01-01T23:50:00Z", "lastTimestamp": "2026-01-01T23:59:30Z"});
    let expected = "30s|Normal|EnsuredLoadBalancer|service/web||service-controller|Ensured load balancer|10m|3|x";
    assert_eq!(row("", "events", core.clone()).join("|"), expected);
    let mut view = core;
    find("events.k8s.io", "v1", "events").unwrap().to_view(&mut view);
    assert_eq!(row("events.k8s.io", "events", view).join("|"), expected);
}

#[test]
fn workloads_and_small_kinds() {
    let spec = json!({"replicas": 3, "selector": {"matchLabels": {"app": "a"}}, "template": {"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}}});
    let status = json!({"replicas": 4, "readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1});
    let object = json!({"spec": spec, "status": status});
    assert_eq!(row("apps", "deployments", object.clone()).join("|"), "x|2/3|3|1|5m|c,d|i,j|app=a");
    assert_eq!(row("apps", "replicasets", object).join("|"), "x|3|4|2|5m|c,d|i,j|app=a");
    assert_eq!(row("", "namespaces", json!({"status": {"phase": "Active"}})).join("|"), "x|Active|5m");
    assert_eq!(row("", "configmaps", json!({"data": {"a": "1"}, "binaryData": {"b": ""}})).join("|"), "x|2|5m");
    assert_eq!(row("", "secrets", json!({"type": "Opaque", "data": {"a": "1"}})).join("|"), "x|Opaque|1|5m");
    assert_eq!(row("coordination.k8s.io", "leases", json!({"spec": {"holderIdentity": "me"}})).join("|"), "x|me|5m");
    assert_eq!(
        row("networking.k8s.io", "servicecidrs", json!({"spec": {"cidrs": ["10.96.0.0/16"]}})).join("|"),
        "x|10.96.0.0/16|5m"
    );
    let parent =
        json!({"spec": {"parentRef": {"group": "", "resource": "services", "namespace": "default", "name": "web"}}});
    assert_eq!(row("networking.k8s.io", "ipaddresses", parent).join("|"), "x|services/default/web|5m");
}
