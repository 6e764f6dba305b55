//! The resolver of a pod, where its parts are missing or too long.

use portolan_node::Config;
use serde_json::json;

use crate::cluster::{Cluster, forever, inside, is_ready, phase};

/// What a pod's resolv.conf says, by asking a shell in it.
async fn resolv_conf(cluster: &Cluster, node: &crate::cluster::RunningNode, name: &str) -> String {
    let copy = cluster.home.path().join(format!("{name}.resolv"));
    let main =
        json!({"name": "main", "image": "shell", "args": [format!("cat /etc/resolv.conf > {}", copy.display())]});
    cluster.pod(node, name, json!({"restartPolicy": "Never", "containers": [main]})).await;
    cluster.pod_until(name, |pod| phase(pod) == "Succeeded").await;
    std::fs::read_to_string(copy).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_cluster_dns_the_node_and_the_pod_say_so_and_the_nodes_is_used() {
    if !inside("dns::without_a_cluster_dns_the_node_and_the_pod_say_so_and_the_nodes_is_used") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.start(Config { dns: vec![], ..cluster.config(1) }).await;
    assert_eq!(resolv_conf(&cluster, &node, "web").await, "search node.example\nnameserver 192.0.2.53\n");
    let text = "kubelet does not have ClusterDNS IP configured and cannot create Pod using \"ClusterFirst\" policy. \
                Falling back to \"Default\" policy.";
    let on_node = format!("MissingClusterDNS: {text}");
    cluster.events_until("node1", |events| events.contains(&on_node)).await;
    let uid = cluster.pods().get("web").await.unwrap().metadata.uid.unwrap();
    let on_pod = format!("MissingClusterDNS: pod: \"web_default({uid})\". {text}");
    cluster.events_until("web", |events| events.contains(&on_pod)).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_file_is_missing_starts_no_pods_until_it_is_back() {
    if !inside("dns::a_node_whose_file_is_missing_starts_no_pods_until_it_is_back") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let path = node.config.resolv_conf.clone();
    std::fs::remove_file(&path).unwrap();
    cluster.pod(&node, "web", json!({"containers": [forever()]})).await;
    let reason = format!("open {}: no such file or directory", path.display());
    let expected = [
        format!("DNSConfigForming: Forming DNS config with policy ClusterFirst failed: {reason}"),
        format!("FailedCreatePodSandBox: Failed to create pod sandbox: {reason}"),
    ];
    cluster.events_until("web", |events| expected.iter().all(|expected| events.contains(expected))).await;
    assert_eq!(phase(&cluster.pods().get("web").await.unwrap()), "Pending");
    std::fs::write(&path, "nameserver 192.0.2.54\n").unwrap();
    cluster.pod_until("web", is_ready).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_too_long_is_told_at_the_start_and_cut_for_pods() {
    if !inside("dns::a_file_that_is_too_long_is_told_at_the_start_and_cut_for_pods") {
        return;
    }
    let cluster = Cluster::new().await;
    let config = cluster.config(1);
    let domains: Vec<_> = (0..40).map(|n| format!("d{n}.example")).collect();
    std::fs::write(&config.resolv_conf, format!("nameserver 192.0.2.53\nsearch {}\n", domains.join(" "))).unwrap();
    let file = config.resolv_conf.display().to_string();
    let node = cluster.start(config).await;
    let checked = format!(
        "CheckLimitsForResolvConf: Resolv.conf file '{file}' contains search line consisting of more than 29 domains!"
    );
    cluster.events_until("node1", |events| events.contains(&checked)).await;
    let applied = format!("default.svc.cluster.local svc.cluster.local cluster.local {}", domains[..29].join(" "));
    let text = resolv_conf(&cluster, &node, "web").await;
    assert_eq!(text, format!("search {applied}\nnameserver 10.96.0.10\noptions ndots:5\n"));
    let forming = format!(
        "DNSConfigForming: Search Line limits were exceeded, some search paths have been omitted, the applied search \
         line is: {applied}"
    );
    cluster.events_until("web", |events| events.contains(&forming)).await;
    node.stop().await;
}
