//! Volumes that are provided, and what is said about those that are not.

use std::os::unix::fs::PermissionsExt;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::{Api, api::PostParams};
use serde_json::json;

use crate::cluster::{Cluster, PATIENCE, container, inside, phase};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_waits_for_its_volumes_and_then_sees_them() {
    if !inside("volumes::a_pod_waits_for_its_volumes_and_then_sees_them") {
        return;
    }
    if let Some(missing) = ["/mnt", "/opt", "/srv"].iter().find(|path| !std::path::Path::new(path).is_dir()) {
        eprintln!("skipped: a_pod_waits_for_its_volumes_and_then_sees_them: there is no directory {missing}");
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    // What is bound over them is seen in the containers only.
    let volumes = json!([
        {"name": "config", "configMap": {"name": "later"}},
        {"name": "key", "secret": {"secretName": "key"}},
        {"name": "scratch", "emptyDir": {}},
    ]);
    let scratch = json!({"name": "scratch", "mountPath": "/mnt"});
    let first =
        json!({"name": "first", "image": "shell", "args": ["echo from first > /mnt/note"], "volumeMounts": [scratch]});
    let script = "cat /opt/a /srv/k /mnt/note && ! echo > /opt/b";
    let mounts = json!([{"name": "config", "mountPath": "/opt"}, {"name": "key", "mountPath": "/srv"}, scratch]);
    let main = json!({"name": "main", "image": "shell", "args": [script], "volumeMounts": mounts});
    let spec = json!({"restartPolicy": "Never", "volumes": volumes, "initContainers": [first], "containers": [main]});
    cluster.pod(&node, "web", spec).await;
    let expected = "FailedMount: MountVolume.SetUp failed for volume \"config\" : configmap \"later\" not found";
    cluster.events_until("web", |events| events.iter().any(|event| event == expected)).await;
    let pod = cluster.pod_until("web", |pod| container(pod)["state"]["waiting"].is_object()).await;
    assert_eq!((phase(&pod), &container(&pod)["state"]["waiting"]["reason"]), ("Pending", &json!("PodInitializing")));
    assert!(portolan_objects::pod::ips(&pod).is_empty(), "nothing of it runs");

    let secret = json!({"metadata": {"name": "key"}, "stringData": {"k": "secret\n"}});
    let secrets = Api::<Secret>::namespaced(cluster.client.clone(), "default");
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    let config_map = json!({"metadata": {"name": "later"}, "data": {"a": "config\n"}});
    let config_maps = Api::<ConfigMap>::namespaced(cluster.client.clone(), "default");
    config_maps.create(&PostParams::default(), &serde_json::from_value(config_map).unwrap()).await.unwrap();
    let pod = cluster.pod_until("web", |pod| matches!(phase(pod), "Succeeded" | "Failed")).await;
    let root = cluster.home.path().join(format!("node1/pods/default_web_{}", pod.metadata.uid.as_deref().unwrap()));
    let log = std::fs::read_to_string(root.join("main/0.log")).unwrap();
    assert_eq!(phase(&pod), "Succeeded", "{log}");
    for line in ["stdout F config", "stdout F secret", "stdout F from first"] {
        assert!(log.contains(line), "{log}");
    }
    let mode = std::fs::metadata(root.join(".volumes/key/k")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a secret is for the node alone");
    cluster.delete("web", None).await;
    cluster.gone("web").await;
    // Its volumes go with the pod, as soon as the node has heard of its end.
    let deadline = std::time::Instant::now() + PATIENCE;
    while root.exists() {
        assert!(std::time::Instant::now() < deadline, "{} is still there", root.display());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_that_the_node_has_not_keeps_the_pod_from_starting() {
    if !inside("volumes::a_volume_that_the_node_has_not_keeps_the_pod_from_starting") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let mounts = json!([{"name": "disk", "mountPath": "/mnt"}]);
    let main = json!({"name": "main", "image": "shell", "args": ["exit 1"], "volumeMounts": mounts});
    let volumes = json!([{"name": "disk", "hostPath": {"path": "/tmp"}}]);
    cluster.pod(&node, "web", json!({"containers": [main], "volumes": volumes})).await;
    let begins = "FailedMount: MountVolume.SetUp failed for volume \"disk\" : hostPath volumes are not supported";
    cluster.events_until("web", |events| events.iter().any(|event| event.starts_with(begins))).await;
    let waits = |pod: &Pod| container(pod)["state"]["waiting"]["reason"] == "ContainerCreating";
    assert_eq!(phase(&cluster.pod_until("web", waits).await), "Pending");
    cluster.delete("web", None).await;
    cluster.gone("web").await;
    node.stop().await;
}
