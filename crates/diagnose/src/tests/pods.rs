//! What is selected and does not run: each cause in its case, and the states that only look like it.

use serde_json::{Value, json};

use super::{code, diagnose, fixture::Cluster, proven, silent, state};
use crate::{Diagnosis, LinkId, State, Workload};

fn pending() -> Value {
    json!({"phase": "Pending", "podIP": null, "podIPs": null, "containerStatuses": null})
}

fn down() -> Cluster {
    Cluster::healthy().owned().every_pod(pending()).no_endpoints()
}

fn unschedulable(message: &str) -> Cluster {
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
    down().every_pod(json!({"conditions": [condition]})).unplaced(true)
}

fn cause(diagnosis: &Diagnosis) -> &crate::Finding {
    diagnosis.cause().unwrap()
}

const NO_PORTS: &str = "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.";

#[test]
fn a_host_port_that_another_pod_has_names_the_holder() {
    let host_port = json!({"spec": {"containers": [
        {"name": "app", "image": "web", "ports": [{"name": "http", "containerPort": 8080, "hostPort": 8080}]},
    ]}});
    let mut holder = host_port.clone();
    holder["metadata"] = json!({"name": "first", "uid": "first", "labels": {"app": "other"}});
    let by_scheduler = unschedulable(NO_PORTS).every_pod_object(host_port.clone()).another_pod(holder.clone());
    let by_agent = down().every_pod_object(host_port.clone()).event(
        "Pod",
        "web-0",
        "HostPortConflict",
        "hostPort 8080/TCP is already in use by pod default/first",
        9,
    );
    let rejected = json!({"phase": "Failed", "reason": "NodePorts",
        "message": "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports"});
    let by_kubelet = Cluster::healthy().no_endpoints().every_pod_object(host_port).every_pod(rejected);
    for (cluster, held) in [(by_scheduler, true), (by_agent, false), (by_kubelet, false)] {
        let diagnosis = diagnose(&cluster.snapshot());
        proven(&diagnosis, "host-port-conflict", LinkId::Pods);
        let named = cause(&diagnosis).evidence.iter().any(|item| item.object == "pod/first");
        assert_eq!(named, held, "{:#?}", cause(&diagnosis));
    }
    // The same number for another protocol takes nothing away.
    holder["spec"]["containers"][0]["ports"][0]["protocol"] = json!("UDP");
    let other = unschedulable(NO_PORTS).another_pod(holder);
    let diagnosis = diagnose(&other.snapshot());
    assert!(cause(&diagnosis).evidence.iter().all(|item| item.object != "pod/first"));
}

#[test]
fn pods_without_a_place_say_who_refuses() {
    let gated = json!({"conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "Scheduling is blocked"},
    ]});
    let cases = [
        ("no room", unschedulable("0/2 nodes are available: 2 Insufficient cpu."), "Insufficient cpu"),
        ("gates", down().unplaced(true).every_pod(gated), "scheduling gates"),
        ("no scheduler", down().unplaced(true), "scheduler default-scheduler has not looked at it"),
    ];
    for (name, cluster, text) in cases {
        let diagnosis = diagnose(&cluster.snapshot());
        println!("{name}");
        proven(&diagnosis, "pods-unschedulable", LinkId::Pods);
        assert!(cause(&diagnosis).title.en.contains(text), "{}", cause(&diagnosis).title);
        assert_eq!(cause(&diagnosis).subject.as_deref(), Some("deployment/default/web"));
    }
}

#[test]
fn a_node_without_pod_addresses_is_the_one_at_fault() {
    let full = "Failed to create pod sandbox: plugin type=\"host-local\" failed (add): failed to allocate for range 0: \
                no IP addresses available in range set: 10.244.0.1-10.244.0.254";
    let range = |range: &str| json!({"spec": {"podCIDR": range}});
    let used_up = down().node_object(0, range("10.244.0.0/24")).node_object(1, range("10.244.1.0/24")).event(
        "Pod",
        "web-0",
        "FailedCreatePodSandBox",
        full,
        5,
    );
    let diagnosis = diagnose(&used_up.snapshot());
    proven(&diagnosis, "pod-address-exhausted", LinkId::Pods);
    assert_eq!(cause(&diagnosis).subject.as_deref(), Some("node/node-0"));
    assert!(cause(&diagnosis).evidence.iter().any(|item| item.field == "spec.podCIDR"));

    let text = "network is not ready: cni plugin not initialized";
    let waiting = |cluster: Cluster| cluster.event("Pod", "web-0", "NetworkNotReady", text, 5);
    let rangeless = waiting(down().node_object(1, range("10.244.1.0/24")));
    proven(&diagnose(&rangeless.snapshot()), "pod-address-exhausted", LinkId::Pods);
    // Where no node has a range the plugin hands addresses out itself.
    proven(&diagnose(&waiting(down()).snapshot()), "pod-network-failed", LinkId::Pods);
}

#[test]
fn pods_of_a_lost_node_blame_the_node_once() {
    let lost = down().node_object(0, json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}));
    let diagnosis = diagnose(&lost.snapshot());
    let subjects: Vec<_> =
        diagnosis.findings.iter().map(|finding| (finding.code, finding.subject.as_deref())).collect();
    assert!(subjects.contains(&("node-not-ready", Some("node/node-0"))), "{subjects:?}");
    // What hangs on the other node says nothing about why.
    assert_eq!(subjects.len(), 1, "{subjects:?}");
}

#[test]
fn containers_that_keep_pods_from_running_are_named() {
    let init = json!({"initContainerStatuses": [
        {"name": "migrate", "image": "m", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-07-01T11:40:00Z"}}},
    ]});
    let failed_init = json!({"initContainerStatuses": [
        {"name": "migrate", "image": "m", "imageID": "", "ready": false, "restartCount": 5,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}},
    ]});
    let killed = json!({"phase": "Running", "containerStatuses": [
        {"name": "app", "image": "web", "imageID": "", "ready": false, "restartCount": 3,
            "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
    ]});
    let mount = "MountVolume.SetUp failed for volume \"tls\" : secret \"tls\" not found";
    let cases = [
        ("container-waiting", down().every_pod(init), "init container migrate has not finished (20m)"),
        ("pods-crash-looping", down().every_pod(failed_init), "container migrate ends again and again (exit code 1"),
        ("pods-crash-looping", down().every_pod(killed), "exit code 137, OOMKilled"),
        ("container-waiting", down().event("Pod", "web-0", "FailedMount", mount, 9), "secret \"tls\" not found"),
        (
            "pods-status-unknown",
            down().event("Pod", "web-0", "FailedSync", "error determining status: rpc error", 9),
            "node node-0 cannot tell its state",
        ),
        ("pods-not-running", down(), "its kubelet has not begun"),
    ];
    for (expected, cluster, text) in cases {
        let diagnosis = diagnose(&cluster.snapshot());
        proven(&diagnosis, expected, LinkId::Pods);
        assert!(cause(&diagnosis).title.en.contains(text), "{}", cause(&diagnosis).title);
    }
}

#[test]
fn pods_that_are_refused_name_the_refusal_even_without_their_replica_set() {
    let refused = |text: &str| {
        let mut snapshot = Cluster::healthy()
            .no_pods()
            .no_endpoints()
            .event("ReplicaSet", "web-5d4", "FailedCreate", text, 30)
            .snapshot();
        // As a whole cluster is read.
        snapshot.workloads.retain(|workload| workload.kind != "replicaset");
        snapshot
    };
    let cases = [
        ("Error creating: pods \"web-5d4-\" is forbidden: exceeded quota: small", "resourcequotas"),
        ("Error creating: admission webhook \"guard\" denied the request", "validatingwebhookconfigurations"),
        (
            "Error creating: pods \"web-5d4-\" is forbidden: error looking up service account x/y: serviceaccount",
            "serviceaccounts",
        ),
    ];
    for (text, command) in cases {
        let diagnosis = diagnose(&refused(text));
        proven(&diagnosis, "pods-not-created", LinkId::Pods);
        assert!(cause(&diagnosis).remedies[0].commands[0].contains(command), "{:#?}", cause(&diagnosis).remedies);
    }
}

#[test]
fn of_two_workloads_the_one_that_wants_pods_is_asked() {
    let canary = Workload {
        namespace: "default".into(),
        kind: "deployment".into(),
        name: "a-canary".into(),
        labels: [("app".to_owned(), "web".to_owned())].into(),
        replicas: Some(0),
        owned: false,
    };
    silent(&diagnose(&Cluster::healthy().workload(canary.clone()).snapshot()));
    let none = Cluster::healthy().no_pods().no_endpoints().workload(canary);
    let diagnosis = diagnose(&none.snapshot());
    proven(&diagnosis, "pods-not-created", LinkId::Pods);
    assert!(cause(&diagnosis).title.en.starts_with("deployment/web wants 3"), "{}", cause(&diagnosis).title);
}

fn stopping(since: &str) -> Cluster {
    let metadata = json!({"metadata": {"deletionTimestamp": since, "deletionGracePeriodSeconds": 30}});
    let cluster = Cluster::healthy().every_pod_object(metadata).not_ready_endpoints();
    let ending = json!({"ready": false, "serving": true, "terminating": true});
    let endpoints: Vec<Value> = (0..3)
        .map(|n| json!({"addresses": [format!("10.244.1.{n}")], "nodeName": format!("node-{}", n % 2), "conditions": ending}))
        .collect();
    cluster.slice(json!({"endpoints": endpoints}))
}

#[test]
fn pods_that_leave_and_have_no_successor() {
    let soon = "2026-07-01T12:00:05Z";
    let unready = json!({"conditions": [{"type": "Ready", "status": "False"}]});
    let refusal = "Error creating: exceeded quota: small";
    let cases = [
        ("nothing makes new ones", "pods-terminating", stopping(soon).no_workloads()),
        ("scaled to zero", "scaled-to-zero", stopping(soon).replicas(0)),
        ("refused", "pods-not-created", stopping(soon).event("ReplicaSet", "web-5d4", "FailedCreate", refusal, 9)),
        ("none answers", "pods-terminating", stopping(soon).every_pod(unready)),
        ("stuck", "pods-terminating", stopping("2026-07-01T11:50:00Z")),
    ];
    for (name, expected, cluster) in cases {
        println!("{name}");
        proven(&diagnose(&cluster.snapshot()), expected, LinkId::Pods);
    }
    let held =
        stopping("2026-07-01T11:50:00Z").every_pod_object(json!({"metadata": {"finalizers": ["example.com/hold"]}}));
    let diagnosis = diagnose(&held.snapshot());
    assert!(cause(&diagnosis).title.en.contains("finalizer example.com/hold"), "{}", cause(&diagnosis).title);
}

#[test]
fn pods_that_leave_in_good_order_are_no_fault() {
    // A restart of all at once: they still answer, and the workload makes the next ones.
    let restart = stopping("2026-07-01T12:00:05Z");
    let diagnosis = diagnose(&restart.snapshot());
    assert_eq!(code(&diagnosis), "-", "{diagnosis:#?}");
    assert!(diagnosis.hints.iter().any(|hint| hint.en.contains("every pod is being stopped")), "{:?}", diagnosis.hints);
    // A rollout: old ones leave, a new one is ready.
    let leaving = json!({"metadata": {"deletionTimestamp": "2026-07-01T12:00:05Z"}});
    let rollout = Cluster::healthy().pod_object(0, leaving).endpoint_ready(0, false);
    let diagnosis = diagnose(&rollout.snapshot());
    silent(&diagnosis);
    assert!(diagnosis.hints.is_empty(), "{:?}", diagnosis.hints);
}

#[test]
fn evicted_pods_say_so_unless_others_took_their_place() {
    let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    let all = Cluster::healthy().every_pod(evicted.clone()).no_endpoints();
    let diagnosis = diagnose(&all.snapshot());
    proven(&diagnosis, "pods-ended", LinkId::Pods);
    assert!(cause(&diagnosis).evidence[0].value.contains("low on resource: memory"));
    assert!(cause(&diagnosis).title.en.contains("(Evicted)"));
    let replaced =
        Cluster::healthy().another_pod(json!({"metadata": {"name": "web-old", "uid": "old"}, "status": evicted}));
    silent(&diagnose(&replaced.snapshot()));
    assert_eq!(state(&diagnose(&replaced.snapshot()), LinkId::Pods), State::Ok);
}

#[test]
fn many_pods_that_do_not_run_are_counted_not_listed() {
    let waiting = json!({"phase": "Pending", "podIP": null, "podIPs": null, "containerStatuses": [
        {"name": "app", "image": "web:9", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff"}}},
    ]});
    let mut cluster = Cluster::healthy();
    for n in 0..9 {
        let metadata = json!({"name": format!("new-{n}"), "uid": format!("new-{n}")});
        cluster = cluster.another_pod(json!({"metadata": metadata, "status": waiting}));
    }
    let diagnosis = diagnose(&cluster.snapshot());
    silent(&diagnosis);
    assert_eq!(diagnosis.hints.len(), 5, "{:?}", diagnosis.hints);
    assert_eq!(diagnosis.hints[4].en, "more pods that do not run: 5");
}
