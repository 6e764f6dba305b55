//! What goes wrong on a node itself, and how it gets well again.

use std::{path::Path, time::Duration};

use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use portolan_node::Config;
use serde_json::json;

use crate::cluster::{Cluster, PATIENCE, container, forever, inside, ip, is_ready, phase};

/// Waits for a file: a container is ready before its first line, or the log for it, is there.
async fn appears(path: &Path) {
    let there = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, there).await.unwrap_or_else(|_| panic!("no {}", path.display()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_whose_state_cannot_be_told_waits_until_it_can() {
    if !inside("trouble::a_pod_whose_state_cannot_be_told_waits_until_it_can") {
        return;
    }
    let cluster = Cluster::new().await;
    let config = cluster.node(1).await.stop().await;
    let pod = cluster.pod_on("node1", "web", json!({"containers": [forever()]})).await;
    // Where the container's logs should be is something else.
    let directory = config.root.join(format!("pods/default_web_{}", pod.metadata.uid.unwrap()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("main"), "not a directory").unwrap();
    let node = cluster.start(config).await;
    let begins = "FailedSync: error determining status: cannot read the logs of container main in ";
    let events = cluster.events_until("web", |events| events.iter().any(|event| event.starts_with(begins))).await;
    assert!(events[0].contains("Not a directory"), "{events:?}");
    let waiting = cluster.pod_until("web", |pod| container(pod)["state"]["waiting"].is_object()).await;
    assert_eq!(phase(&waiting), "Pending");

    // Mended, and with a trace of runs that the API never heard of: the next has the next number.
    std::fs::remove_file(directory.join("main")).unwrap();
    std::fs::create_dir(directory.join("main")).unwrap();
    std::fs::write(directory.join("main/2.log"), "").unwrap();
    let pod = cluster.pod_until("web", is_ready).await;
    assert_eq!(container(&pod)["restartCount"], 3);
    appears(&directory.join("main/3.log")).await;

    // The same happens to a container that is to be started again.
    let flag = cluster.home.path().join("flag");
    let begun = flag.with_extension("begun");
    let once = "test -e $0 && { trap 'exit 0' TERM; sleep 1000 & wait; }; \
                touch $0.begun; until test -e $0; do sleep 0.02; done";
    let main = json!({"name": "main", "image": "shell", "args": [once, flag.display().to_string()]});
    let pod = cluster.pod(&node, "again", json!({"containers": [main]})).await;
    let directory = node.config.root.join(format!("pods/default_again_{}", pod.metadata.uid.unwrap()));
    appears(&begun).await;
    appears(&directory.join("main/0.log")).await;
    std::fs::remove_dir_all(directory.join("main")).unwrap();
    std::fs::write(directory.join("main"), "not a directory").unwrap();
    std::fs::write(&flag, "").unwrap();
    cluster.events_until("again", |events| events.iter().any(|event| event.starts_with(begins))).await;
    std::fs::remove_file(directory.join("main")).unwrap();
    cluster.pod_until("again", |pod| is_ready(pod) && container(pod)["restartCount"] == 1).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_without_an_address_says_so_and_takes_the_first_that_is_free() {
    if !inside("trouble::a_pod_without_an_address_says_so_and_takes_the_first_that_is_free") {
        return;
    }
    let cluster = Cluster::new().await;
    let pod_cidr: Ipv4Net = "10.244.1.0/29".parse().unwrap();
    let node = cluster.start(Config { pod_cidr, ..cluster.config(1) }).await;
    let mut spec = json!({"terminationGracePeriodSeconds": 1, "containers": [forever()]});
    for index in 1..=5 {
        cluster.pod(&node, &format!("web-{index}"), spec.clone()).await;
    }
    for index in 1..=5 {
        let pod = cluster.pod_until(&format!("web-{index}"), is_ready).await;
        let allocated = format!("IPAllocated: Successfully allocated IP {} to pod web-{index}", ip(&pod));
        cluster.events_until(&format!("web-{index}"), |events| events.contains(&allocated)).await;
    }
    cluster.pod(&node, "late", spec.clone()).await;
    let reason = "no address is free in the node's pod range 10.244.1.0/29; delete pods or use a larger range";
    let expected = [
        format!("IPNotAllocated: Failed to allocate IP to pod late: {reason}"),
        format!("FailedCreatePodSandBox: Failed to create pod sandbox: {reason}"),
    ];
    cluster.events_until("late", |events| expected.iter().all(|expected| events.contains(expected))).await;
    assert_eq!(phase(&cluster.pods().get("late").await.unwrap()), "Pending");
    // A pod in the node's own network needs none.
    spec["hostNetwork"] = json!(true);
    cluster.pod(&node, "host", spec).await;
    cluster.pod_until("host", is_ready).await;

    let freed = ip(&cluster.pods().get("web-3").await.unwrap());
    cluster.delete("web-3", None).await;
    let late = cluster.pod_until("late", is_ready).await;
    assert_eq!(ip(&late), freed);
    node.stop().await;
}

/// The node was taken for dead, and is not: what was written about it and its pods is put right at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_given_up_says_that_it_lives() {
    if !inside("trouble::a_node_that_was_given_up_says_that_it_lives") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    cluster.pod(&node, "web", json!({"containers": [forever()]})).await;
    cluster.pod_until("web", is_ready).await;
    let not_ready = |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
    let strategic = PatchParams::default();
    let pods = cluster.pods();
    let doubted = pods.patch_status("web", &strategic, &Patch::Strategic(not_ready("False"))).await.unwrap();
    assert!(!is_ready(&doubted));
    let nodes = Api::<Node>::all(cluster.client.clone());
    let told = |events: &[String]| events.iter().filter(|event| event.starts_with("NodeReady: ")).count();
    cluster.events_until("node1", |events| told(events) == 1).await;
    nodes.patch_status("node1", &strategic, &Patch::Strategic(not_ready("Unknown"))).await.unwrap();
    let restored = |pod: &Pod| is_ready(pod) && pod.metadata.resource_version != doubted.metadata.resource_version;
    cluster.pod_until("web", restored).await;
    cluster
        .node_until("node1", |node| {
            let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
            conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
        })
        .await;
    // It says so again, and the same words are counted.
    let events = Api::<Event>::default_namespaced(cluster.client.clone());
    let counted = async {
        loop {
            let list = events.list(&Default::default()).await.unwrap().items;
            let ready = list.iter().find(|event| event.reason.as_deref() == Some("NodeReady"));
            if ready.and_then(|event| event.count) == Some(2) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.unwrap();
    node.stop().await;
}
