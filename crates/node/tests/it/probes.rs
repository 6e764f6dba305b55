//! Probes by HTTP, TCP and command.

use serde_json::json;

use crate::cluster::{Cluster, container, inside, ip, is_ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_follows_a_command() {
    if !inside("probes::readiness_follows_a_command") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let flag = cluster.home.path().join("ready");
    let probe = json!({"exec": {"command": ["test", "-e", flag]}, "periodSeconds": 1, "failureThreshold": 1});
    let args = ["trap 'exit 0' TERM; sleep 1000 & wait"];
    let main = json!({"name": "main", "image": "shell", "args": args, "readinessProbe": probe});
    cluster.pod(&node, "web", json!({"containers": [main]})).await;
    let pod = cluster.pod_until("web", |pod| container(pod)["state"]["running"].is_object()).await;
    assert!(!is_ready(&pod), "not before the probe succeeds");
    cluster
        .events_until("web", |events| events.iter().any(|e| e.starts_with("Unhealthy: Readiness probe failed")))
        .await;
    std::fs::write(&flag, "").unwrap();
    cluster.pod_until("web", is_ready).await;
    std::fs::remove_file(&flag).unwrap();
    cluster.pod_until("web", |pod| !is_ready(pod)).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn liveness_restarts_the_container() {
    if !inside("probes::liveness_restarts_the_container") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let probe = json!({"tcpSocket": {"port": 9}, "periodSeconds": 1, "failureThreshold": 1});
    let args = ["trap 'exit 0' TERM; sleep 1000 & wait"];
    let main = json!({"name": "main", "image": "shell", "args": args, "livenessProbe": probe});
    cluster.pod(&node, "web", json!({"containers": [main]})).await;
    let pod = cluster.pod_until("web", |pod| container(pod)["restartCount"] == 1).await;
    assert_eq!(container(&pod)["lastState"]["terminated"]["exitCode"], 0, "it was asked to end");
    let events = cluster
        .events_until("web", |events| {
            events.contains(&"Killing: Container main failed liveness probe, will be restarted".to_owned())
        })
        .await;
    let unhealthy = events.iter().find(|event| event.starts_with("Unhealthy")).unwrap();
    let refused = format!("Unhealthy: Liveness probe failed: dial tcp {}:9: connect: connection refused", ip(&pod));
    assert_eq!(unhealthy, &refused);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_startup_probe_holds_the_others_back() {
    if !inside("probes::a_startup_probe_holds_the_others_back") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let flag = cluster.home.path().join("started");
    let startup = json!({"exec": {"command": ["test", "-e", flag]}, "periodSeconds": 1, "failureThreshold": 60});
    let get = json!({"httpGet": {"port": "web", "path": "/healthz"}, "periodSeconds": 1});
    let main = json!({
        "name": "main", "image": "portolan/echo", "ports": [{"name": "web", "containerPort": 8080}],
        "startupProbe": startup, "readinessProbe": get, "livenessProbe": get,
    });
    cluster.pod(&node, "web", json!({"containers": [main]})).await;
    let pod = cluster.pod_until("web", |pod| container(pod)["state"]["running"].is_object()).await;
    assert_eq!((&container(&pod)["started"], is_ready(&pod)), (&json!(false), false));
    // Meanwhile the words of an HTTP probe that nobody answers.
    let get = json!({"httpGet": {"port": 9, "path": "/healthz"}, "periodSeconds": 1});
    let args = ["trap 'exit 0' TERM; sleep 1000 & wait"];
    let mute = json!({"name": "main", "image": "shell", "args": args, "readinessProbe": get});
    cluster.pod(&node, "mute", json!({"containers": [mute]})).await;
    let mute = cluster.pod_until("mute", |pod| container(pod)["state"]["running"].is_object()).await;
    let address = ip(&mute);
    let refused = format!(
        "Unhealthy: Readiness probe failed: Get \"http://{address}:9/healthz\": \
         dial tcp {address}:9: connect: connection refused"
    );
    cluster.events_until("mute", |events| events.contains(&refused)).await;
    std::fs::write(&flag, "").unwrap();
    let pod = cluster.pod_until("web", is_ready).await;
    assert_eq!(container(&pod)["started"], true);
    assert_eq!(container(&pod)["restartCount"], 0);
    node.stop().await;
}
