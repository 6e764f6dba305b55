//! What runs and is not ready: why, whose fault it is, and when traffic flows all the same.

use serde_json::{Value, json};

use super::{diagnose, fixture::Cluster, proven, silent};
use crate::LinkId;

fn unready() -> Value {
    json!({
        "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady",
            "lastTransitionTime": "2026-07-01T11:30:00Z"}],
        "containerStatuses": [{"name": "app", "image": "web", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"running": {}}}],
    })
}

fn base() -> Cluster {
    Cluster::healthy().owned().every_pod(unready()).not_ready_endpoints()
}

fn probed(port: Value, text: &str) -> Cluster {
    let probe = json!({"httpGet": {"path": "/healthz", "port": port}});
    base().probe(probe).event("Pod", "web-0", "Unhealthy", &format!("Readiness probe {text}"), 10)
}

#[test]
fn what_a_probe_met_says_what_is_wrong() {
    let refused =
        "failed: Get \"http://10.244.1.0:9999/healthz\": dial tcp 10.244.1.0:9999: connect: connection refused";
    let slow = "failed: Get \"http://10.244.1.0:8080/healthz\": context deadline exceeded (Client.Timeout exceeded)";
    let cases = [
        ("an undeclared port", probed(json!(9999), refused), "which the container does not declare (8080)"),
        ("a declared port", probed(json!(8080), refused), "not started, another port, or loopback only"),
        ("no answer", probed(json!(8080), slow), "within the probe's timeout"),
        (
            "another path",
            probed(json!(8080), "failed: HTTP probe failed with statuscode: 404"),
            "nothing under that path",
        ),
        (
            "its own word",
            probed(json!(8080), "failed: HTTP probe failed with statuscode: 503"),
            "says that it is not well",
        ),
        (
            "no such name",
            probed(json!("htpp"), "errored: couldn't find port: htpp"),
            "no port of that name is declared",
        ),
    ];
    for (name, cluster, text) in cases {
        let diagnosis = diagnose(&cluster.snapshot());
        println!("{name}");
        proven(&diagnosis, "readiness-probe-failing", LinkId::Readiness);
        let finding = diagnosis.cause().unwrap();
        assert!(finding.chain[0].en.contains(text), "{:?}", finding.chain);
        assert_eq!(finding.subject.as_deref(), Some("deployment/default/web"));
        assert_eq!(finding.reason.as_deref(), Some("Unhealthy"));
    }
}

#[test]
fn a_start_that_takes_its_time_is_told_from_a_failing_probe() {
    let starting = json!({"containerStatuses": [{"name": "app", "image": "web", "imageID": "", "ready": false,
        "restartCount": 0, "started": false, "state": {"running": {}}}]});
    let probe = json!({"tcpSocket": {"port": 8080}});
    let container = json!({"spec": {"containers": [
        {"name": "app", "image": "web", "ports": [{"name": "http", "containerPort": 8080}], "startupProbe": probe},
    ]}});
    let text = "Startup probe failed: dial tcp 10.244.1.0:8080: connect: connection refused";
    let cluster = base().every_pod(starting).every_pod_object(container).event("Pod", "web-0", "Unhealthy", text, 5);
    let diagnosis = diagnose(&cluster.snapshot());
    proven(&diagnosis, "readiness-probe-not-passed", LinkId::Readiness);
    assert!(diagnosis.cause().unwrap().title.en.contains("startup probe tcp :8080: dial tcp"));
}

#[test]
fn a_container_between_two_crashes_is_not_merely_unready() {
    let between = |finished: &str| {
        json!({"containerStatuses": [{"name": "app", "image": "web", "imageID": "", "ready": false, "restartCount": 6,
            "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 3, "finishedAt": finished}}}]})
    };
    let crashing = base().every_pod(between("2026-07-01T11:59:50Z"));
    let diagnosis = diagnose(&crashing.snapshot());
    proven(&diagnosis, "pods-crash-looping", LinkId::Readiness);
    assert!(diagnosis.cause().unwrap().title.en.contains("exit code 3, 6 restarts"));
    // It has been up for a quarter of an hour: what holds it now is something else.
    let long_ago = base().every_pod(between("2026-07-01T11:45:00Z"));
    proven(&diagnose(&long_ago.snapshot()), "pods-not-ready", LinkId::Readiness);
}

#[test]
fn each_lost_node_is_told_once() {
    let diagnosis = diagnose(&base().nodes_ready(false).snapshot());
    let subjects: Vec<_> =
        diagnosis.findings.iter().map(|finding| (finding.code, finding.subject.as_deref())).collect();
    assert_eq!(subjects, [("node-not-ready", Some("node/node-0")), ("node-not-ready", Some("node/node-1"))]);
    let one = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady"}]}});
    // The pods on the other node serve.
    let half = Cluster::healthy().node_object(0, one).pod(0, unready()).pod(2, unready());
    silent(&diagnose(&half.endpoint_ready(0, false).endpoint_ready(2, false).snapshot()));
}

#[test]
fn old_pods_serve_until_new_ones_are_ready() {
    let leaving = json!({"metadata": {"deletionTimestamp": "2026-07-01T12:00:10Z"}});
    let ending = json!({"addresses": ["10.244.1.0"], "nodeName": "node-0",
        "conditions": {"ready": false, "serving": true, "terminating": true}});
    let waiting = |n: usize| {
        json!({"addresses": [format!("10.244.1.{n}")], "nodeName": "node-1",
            "conditions": {"ready": false, "serving": false, "terminating": false}})
    };
    let cluster = Cluster::healthy()
        .pod_object(0, leaving)
        .pod(1, unready())
        .pod(2, unready())
        .slice(json!({"endpoints": [ending, waiting(1), waiting(2)]}));
    let diagnosis = diagnose(&cluster.snapshot());
    silent(&diagnosis);
    assert!(diagnosis.hints[0].en.contains("only pods being stopped answer (1)"), "{:?}", diagnosis.hints);
    // DNS of a headless Service names ready pods only.
    let ports = json!([{"port": 8080, "targetPort": "http", "protocol": "TCP"}]);
    let headless = cluster.spec(json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": ports}));
    proven(&diagnose(&headless.snapshot()), "pods-not-ready", LinkId::Readiness);
}

#[test]
fn publishing_pods_that_are_not_ready_is_a_fault_only_where_it_hurts() {
    let published = |cluster: Cluster| cluster.spec(json!({"publishNotReadyAddresses": true}));
    let all = published(Cluster::healthy().every_pod(unready()));
    proven(&diagnose(&all.snapshot()), "not-ready-published", LinkId::Readiness);

    let crashing = json!({"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [
        {"name": "app", "image": "web", "imageID": "", "ready": false, "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
    ]});
    proven(
        &diagnose(&published(Cluster::healthy().pod(1, crashing.clone())).snapshot()),
        "not-ready-published",
        LinkId::Readiness,
    );

    // One that may just be starting.
    let one = diagnose(&published(Cluster::healthy().pod(1, unready())).snapshot());
    silent(&one);
    assert!(one.hints[0].en.contains("1 of 3 pods are not ready and get connections"), "{:?}", one.hints);

    // Peers that look for each other.
    let ports = json!([{"port": 8080, "targetPort": "http", "protocol": "TCP"}]);
    let peers = published(Cluster::healthy().every_pod(unready()))
        .spec(json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": ports}));
    let diagnosis = diagnose(&peers.snapshot());
    silent(&diagnosis);
    assert!(diagnosis.hints.is_empty(), "{:?}", diagnosis.hints);
}
