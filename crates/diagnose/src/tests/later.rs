//! Clusters that nobody had in mind when the checks were written.

use serde_json::{Value, json};

use super::{code, diagnose, fixture::Cluster, proven, silent};
use crate::{Diagnosis, LinkId, Snapshot, Workload, slim::Slim};

fn commands(diagnosis: &Diagnosis) -> String {
    let remedies = diagnosis.cause().unwrap().remedies.iter().flat_map(|remedy| remedy.commands.clone());
    remedies.collect::<Vec<_>>().join("\n")
}

fn title(diagnosis: &Diagnosis) -> &str {
    &diagnosis.cause().unwrap().title.en
}

/// A StatefulSet of three: its template has `app`, its pods also what the controllers give them.
fn set(selector: Value, role: Option<&str>) -> Cluster {
    let cluster = Cluster::healthy().no_workloads().no_endpoints().spec(json!({"selector": selector}));
    let cluster = cluster.workload(Workload {
        namespace: "default".into(),
        kind: "statefulset".into(),
        name: "web".into(),
        labels: [("app".to_owned(), "web".to_owned())].into(),
        replicas: Some(3),
        owned: false,
    });
    (0..3).fold(cluster, |cluster, n| {
        cluster.pod_object(
            n,
            json!({"metadata": {
                "labels": {"role": role, "statefulset.kubernetes.io/pod-name": format!("web-{n}")},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "set", "controller": true}],
            }}),
        )
    })
}

#[test]
fn a_service_for_one_pod_is_never_bent_to_another() {
    let name = |n: usize| json!({"app": null, "statefulset.kubernetes.io/pod-name": format!("web-{n}")});
    let beyond = diagnose(&set(name(3), None).snapshot());
    proven(&beyond, "selector-matches-no-pod", LinkId::Selector);
    assert!(title(&beyond).starts_with("the Service is for pod web-3 alone, which is not there"), "{}", title(&beyond));
    assert!(commands(&beyond).contains("scale statefulset web --replicas=4"), "{}", commands(&beyond));
    assert!(!commands(&beyond).contains("patch"), "{}", commands(&beyond));
    // Between two lives of the pod.
    let renamed = json!({"metadata": {"labels": {"statefulset.kubernetes.io/pod-name": "web-9"}}});
    let between = diagnose(&set(name(1), None).pod_object(1, renamed).snapshot());
    assert!(commands(&between).contains("describe statefulset web"), "{}", commands(&between));
    // The pod is there, and another label is wrong.
    let mut typo = name(1);
    typo["app"] = json!("wbe");
    let typo = diagnose(&set(typo, None).snapshot());
    assert!(commands(&typo).contains(r#"{"selector":{"app":"web"}}"#), "{}", commands(&typo));
}

#[test]
fn labels_that_are_set_at_run_time_are_asked_of_who_sets_them() {
    let nobody = diagnose(&set(json!({"role": "primary"}), Some("replica")).snapshot());
    proven(&nobody, "selector-matches-no-pod", LinkId::Selector);
    assert!(!commands(&nobody).contains("patch"), "{}", commands(&nobody));
    // Nothing shows who sets it: the patch is offered, and what it risks.
    let unknown = diagnose(&set(json!({"role": "primary"}), None).snapshot());
    assert!(unknown.cause().unwrap().remedies[0].what.en.contains("Risk"), "{unknown:#?}");
    // The hash of an earlier template.
    let old = json!({"pod-template-hash": "0ld"});
    let old = diagnose(&Cluster::healthy().owned().no_endpoints().spec(json!({"selector": old})).snapshot());
    proven(&old, "selector-matches-no-pod", LinkId::Selector);
    assert!(commands(&old).contains(r#"{"selector":{"pod-template-hash":null}}"#), "{}", commands(&old));
}

#[test]
fn pods_in_the_network_of_one_node_have_ports_of_their_own() {
    let host = |n: usize, port: u16| {
        json!({"metadata": {"name": format!("web-{n}")}, "spec": {"hostNetwork": true, "nodeName": "node-0",
            "containers": [{"name": "app", "ports": [{"name": "http", "containerPort": port}]}]},
            "status": {"podIP": "192.0.2.1", "podIPs": [{"ip": "192.0.2.1"}]}})
    };
    let end = json!([{"addresses": ["192.0.2.1"], "nodeName": "node-0", "conditions": {"ready": true}}]);
    let cluster = (0..3).fold(Cluster::healthy(), |cluster, n| cluster.pod_object(n, host(n, 8080 + u16::from(n > 0))));
    let cluster = cluster.slice(json!({"endpoints": end}));
    let second = |port: u16| {
        json!({"metadata": {"labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}},
            "ports": [{"name": "", "port": port, "protocol": "TCP"}], "endpoints": end})
    };
    silent(&diagnose(&cluster.clone().another_slice(second(8081)).snapshot()));
    proven(&diagnose(&cluster.another_slice(second(9999)).snapshot()), "slices-stale", LinkId::Slices);
}

/// With a namespace of the system, in which this is all that has to do with DNS.
fn without_dns_service(pods: &[Value], node: Value) -> Snapshot {
    let cluster = Cluster::healthy().namespace("kube-system", json!({})).node_object(0, node);
    pods.iter().cloned().fold(cluster, Cluster::another_pod).snapshot()
}

#[test]
fn platforms_answer_names_without_a_service() {
    let missing = without_dns_service(&[], json!({}));
    assert_eq!(code(&diagnose(&missing)), "dns-service-missing");
    let pod = |name: &str| json!({"metadata": {"name": name, "namespace": "kube-system", "labels": {"app": "other", "k8s-app": "kube-dns"}}});
    for name in ["node-local-dns-x", "nodelocaldns-x"] {
        silent(&diagnose(&without_dns_service(&[pod(name)], json!({}))));
    }
    let auto = json!({"metadata": {"labels": {"eks.amazonaws.com/compute-type": "auto"}}});
    silent(&diagnose(&without_dns_service(&[], auto.clone())));
    // There are servers, so their Service is missed.
    assert_eq!(code(&diagnose(&without_dns_service(&[pod("coredns-x")], auto))), "dns-service-missing");
}

#[test]
fn sidecars_are_waited_for_like_the_others() {
    let sidecar = |status: Value, app: Value| {
        let container = json!([{"name": "mesh", "restartPolicy": "Always", "readinessProbe": {"tcpSocket": {"port": 15021}},
            "startupProbe": {"tcpSocket": {"port": 15021}}}]);
        let mut mesh = json!({"name": "mesh", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-07-01T11:40:00Z"}}});
        mesh.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
        let unready = json!({"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-07-01T11:40:00Z"}],
            "initContainerStatuses": [mesh], "containerStatuses": [app]});
        Cluster::healthy()
            .every_pod_object(json!({"spec": {"initContainers": container}}))
            .every_pod(unready)
            .not_ready_endpoints()
    };
    let runs =
        json!({"name": "app", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}});
    let cluster = sidecar(json!({"started": true}), runs);
    let cluster = cluster.event("Pod", "web-0", "Unhealthy", "Readiness probe failed: dial tcp: connection refused", 9);
    let diagnosis = diagnose(&cluster.snapshot());
    proven(&diagnosis, "readiness-probe-failing", LinkId::Readiness);
    assert!(
        diagnosis.cause().unwrap().evidence.iter().any(|item| item.field == "spec.initContainers[mesh].readinessProbe")
    );
    let waits = json!({"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "PodInitializing"}}});
    let diagnosis = diagnose(&sidecar(json!({"started": false}), waits).snapshot());
    proven(&diagnosis, "container-waiting", LinkId::Pods);
    assert!(title(&diagnosis).contains("sidecar mesh has not passed its startup probe"), "{}", title(&diagnosis));
}

#[test]
fn remedies_fit_what_is_there_already() {
    let evicted =
        json!({"phase": "Failed", "reason": "Evicted", "podIP": null, "podIPs": null, "containerStatuses": null});
    let diagnosis = diagnose(&Cluster::healthy().owned().no_endpoints().every_pod(evicted.clone()).snapshot());
    proven(&diagnosis, "pods-ended", LinkId::Pods);
    assert!(commands(&diagnosis).contains("describe deployment/web"), "{}", commands(&diagnosis));
    let bare = diagnose(&Cluster::healthy().no_workloads().no_endpoints().every_pod(evicted).snapshot());
    assert!(!commands(&bare).contains("deployment/web"), "{}", commands(&bare));
    let mut leaving = Cluster::healthy().no_pods().no_workloads().no_endpoints().snapshot();
    leaving.namespaces[0].metadata.deletion_timestamp = Some(leaving.taken_at.clone());
    let diagnosis = diagnose(&leaving);
    proven(&diagnosis, "namespace-without-pods", LinkId::Selector);
    assert!(diagnosis.cause().unwrap().chain[0].en.contains("being deleted"), "{diagnosis:#?}");
}

#[test]
fn what_probes_run_and_containers_said_last_is_not_kept() {
    let probe = json!({"exec": {"command": ["mysqladmin", "ping", "-phunter2"]}});
    let said = json!({"containerStatuses": [{"name": "app", "image": "", "imageID": "", "ready": true, "restartCount": 1,
        "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1, "message": "password=hunter2"}}}]});
    let mut snapshot = Cluster::healthy().probe(probe).every_pod(said).snapshot();
    snapshot.pods.iter_mut().for_each(Slim::slim);
    let text = serde_json::to_string(&snapshot).unwrap();
    assert!(text.contains("mysqladmin") && !text.contains("hunter2"), "{text}");
}
