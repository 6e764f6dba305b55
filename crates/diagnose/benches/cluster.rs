//! A whole cluster from a stored snapshot: `cargo bench -p portolan-diagnose`.
//!
//! 10,000 Services with ten pods each, in 100 namespaces on 500 nodes; one Service in a hundred is broken. Measured is what
//! `portolan diagnose -A --from FILE` does but for printing: read the file, index, diagnose every Service, group. The goal
//! is 2 s and 1 GB; the process that measures is a child that has built nothing, so its peak is the answer's alone.
#![allow(clippy::unwrap_used)]

use std::{
    env, fs,
    io::BufWriter,
    process::Command,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use portolan_diagnose::{Scope, Snapshot, diagnose_all, stored};
use serde_json::{Value, json};

const SERVICES: usize = 10_000;
const PODS_PER_SERVICE: usize = 10;
const NAMESPACES: usize = 100;
const NODES: usize = 500;
/// One in so many Services has a typo in its selector.
const BROKEN: usize = 100;
const ROUNDS: usize = 5;

fn main() {
    match env::var("PORTOLAN_BENCH_SNAPSHOT") {
        Ok(file) => measure(&file),
        Err(_) => prepare(),
    }
}

fn prepare() {
    let file = env::temp_dir().join(format!("portolan-bench-{}.json", std::process::id()));
    let began = Instant::now();
    stored::write(&cluster(), false, BufWriter::new(fs::File::create(&file).unwrap())).unwrap();
    let megabytes = fs::metadata(&file).unwrap().len() / 1_000_000;
    println!("snapshot   {megabytes} MB, made in {:.1} s", began.elapsed().as_secs_f64());
    for _ in 0..ROUNDS {
        let child = Command::new(env::current_exe().unwrap()).env("PORTOLAN_BENCH_SNAPSHOT", &file).status();
        assert!(child.unwrap().success());
    }
    fs::remove_file(&file).unwrap();
}

/// One round, in a process of its own.
fn measure(file: &str) {
    let began = Instant::now();
    let snapshot = stored::read(&fs::read(file).unwrap()).unwrap();
    let read = began.elapsed();
    let report = diagnose_all(&snapshot, |_| true);
    let all = began.elapsed();
    assert_eq!(
        (report.services, report.services - report.healthy),
        (SERVICES, SERVICES / BROKEN),
        "{:?}",
        report.causes.first()
    );
    let seconds = |duration: Duration| duration.as_secs_f64();
    println!(
        "round      read {:.2} s, diagnosed {:.2} s, together {:.2} s, peak {} MB",
        seconds(read),
        seconds(all - read),
        seconds(all),
        peak_megabytes()
    );
}

fn peak_megabytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1000
}

fn cluster() -> Snapshot {
    let now = Timestamp::now();
    let created = "2026-01-01T00:00:00Z";
    let mut snapshot = Snapshot::empty(Time(now), Scope::Cluster);
    let typed = |value: Value| serde_json::from_value(value).unwrap();
    for node in 0..NODES {
        snapshot.nodes.push(serde_json::from_value(json!({
            "metadata": {"name": format!("node-{node}"), "labels": {"topology.kubernetes.io/zone": format!("z{}", node % 3)}},
            "spec": {"podCIDR": format!("10.{}.{}.0/24", node / 256, node % 256)},
            "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": created}]},
        })).unwrap());
    }
    for namespace in 0..NAMESPACES {
        snapshot
            .namespaces
            .push(serde_json::from_value(json!({"metadata": {"name": format!("team-{namespace}")}})).unwrap());
    }
    for n in 0..SERVICES {
        let (namespace, name) = (format!("team-{}", n % NAMESPACES), format!("service-{n}"));
        let broken = n % BROKEN == 0;
        let asked = if broken { format!("{name}x") } else { name.clone() };
        snapshot.services.push(typed(service(n, &namespace, &name, &asked, created)));
        let mut endpoints = Vec::new();
        for p in 0..PODS_PER_SERVICE {
            let index = n * PODS_PER_SERVICE + p;
            let address = format!("10.{}.{}.{}", 128 + index / 65_536, index / 256 % 256, index % 256);
            let node = format!("node-{}", index % NODES);
            if !broken {
                endpoints.push(json!({"addresses": [address], "nodeName": node,
                    "conditions": {"ready": true, "serving": true, "terminating": false},
                    "targetRef": {"kind": "Pod", "namespace": namespace, "name": format!("{name}-{p}")}}));
            }
            snapshot.pods.push(serde_json::from_value(pod(&namespace, &name, p, &node, &address, created)).unwrap());
        }
        snapshot.slices.push(serde_json::from_value(json!({
            "metadata": {"name": format!("{name}-x"), "namespace": namespace, "creationTimestamp": created, "labels": {
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints,
        })).unwrap());
    }
    snapshot
}

fn service(n: usize, namespace: &str, name: &str, asked: &str, created: &str) -> Value {
    let address = format!("172.{}.{}.{}", 16 + n / 65_536, n / 256 % 256, n % 256);
    json!({
        "metadata": {"name": name, "namespace": namespace, "uid": format!("s-{n}"), "creationTimestamp": created},
        "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
            "selector": {"app": asked}, "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]},
        "status": {"loadBalancer": {}},
    })
}

fn pod(namespace: &str, name: &str, p: usize, node: &str, address: &str, created: &str) -> Value {
    json!({
        "metadata": {"name": format!("{name}-{p}"), "namespace": namespace, "uid": format!("p-{name}-{p}"),
            "creationTimestamp": created, "labels": {"app": name, "pod-template-hash": "5d4f7c9b8"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-5d4f7c9b8"),
                "uid": format!("r-{name}"), "controller": true, "blockOwnerDeletion": true}]},
        "spec": {"nodeName": node, "serviceAccountName": "default", "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
            "containers": [{"name": "app", "image": "registry.example/app:1.2.3",
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10}}]},
        "status": {"phase": "Running", "hostIP": "192.0.2.1", "podIP": address, "podIPs": [{"ip": address}], "startTime": created,
            "qosClass": "BestEffort",
            "conditions": [
                {"type": "Initialized", "status": "True", "lastTransitionTime": created},
                {"type": "Ready", "status": "True", "lastTransitionTime": created},
                {"type": "ContainersReady", "status": "True", "lastTransitionTime": created},
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": created}],
            "containerStatuses": [{"name": "app", "image": "registry.example/app:1.2.3", "imageID": "x", "ready": true,
                "started": true, "restartCount": 0, "state": {"running": {"startedAt": created}}}]},
    })
}
