//! Workload controllers against the real API server.
#![allow(clippy::unwrap_used)]

use futures::FutureExt;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    coordination::v1::Lease,
    core::v1::{Namespace, Node, Pod, ServiceAccount},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use portolan_controllers::workloads;
use portolan_events::{Recorder, Vocabulary};
use portolan_runtime::Metrics;
use serde_json::{Value, json};

use crate::cluster::{Cluster, eventually};

async fn start(nodes: usize) -> Cluster {
    let mut cluster = Cluster::start().await;
    for number in 1..=nodes {
        cluster.add_node(&format!("node-{number}"), &format!("172.30.0.{}", 10 + number)).await;
    }
    let (client, metrics) = (|| cluster.admin(), Metrics::default);
    let recorder = |name| Recorder::new(cluster.admin(), name, None, Vocabulary::Full);
    let stop = || cluster.stop.clone();
    let parts = [
        workloads::deployment::run(client(), recorder(workloads::deployment::NAME), metrics(), stop()).boxed(),
        workloads::replicaset::run(client(), recorder(workloads::replicaset::NAME), metrics(), stop()).boxed(),
        workloads::scheduler::run(client(), recorder(workloads::scheduler::NAME), metrics(), stop()).boxed(),
        workloads::nodes::run(client(), recorder(workloads::nodes::NAME), metrics(), stop()).boxed(),
        workloads::namespace::run(client(), metrics(), stop()).boxed(),
        workloads::serviceaccount::run(client(), metrics(), stop()).boxed(),
        workloads::garbage::run(client(), metrics(), stop()).boxed(),
    ];
    parts.into_iter().for_each(|part| cluster.spawn(part));
    cluster.run_toy_kubelet();
    cluster
}

fn deployment(replicas: i32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": "default", "name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    })
}

/// The rollout is over, as `kubectl rollout status` judges it.
async fn rolled_out(cluster: &Cluster, replicas: i32) -> Deployment {
    let api = Api::<Deployment>::namespaced(cluster.admin(), "default");
    eventually(&format!("{replicas} replicas available"), async || {
        let found = api.get("web").await.unwrap();
        let status = found.status.clone().unwrap_or_default();
        let is = |count: Option<i32>| count.unwrap_or(0) == replicas;
        let observed = status.observed_generation == found.metadata.generation;
        let all = is(status.replicas) && is(status.updated_replicas) && is(status.available_replicas);
        (observed && all).then_some(found)
    })
    .await
}

async fn pods(cluster: &Cluster) -> Vec<Pod> {
    let api = Api::<Pod>::namespaced(cluster.admin(), "default");
    api.list(&ListParams::default().labels("app=web")).await.unwrap().items
}

async fn patch(cluster: &Cluster, patch: Value) {
    let api = Api::<Deployment>::namespaced(cluster.admin(), "default");
    api.patch("web", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_spreads_scales_and_rolls() {
    let cluster = start(2).await;
    cluster.create::<Deployment>(deployment(4, "a")).await;
    let first = rolled_out(&cluster, 4).await;
    assert_eq!(first.annotations()["deployment.kubernetes.io/revision"], "1");
    for node in ["node-1", "node-2"] {
        let there = pods(&cluster)
            .await
            .iter()
            .filter(|pod| pod.spec.as_ref().unwrap().node_name.as_deref() == Some(node))
            .count();
        assert_eq!(there, 2, "{node}");
    }

    patch(&cluster, json!({"spec": {"replicas": 30}})).await;
    rolled_out(&cluster, 30).await;
    assert_eq!(pods(&cluster).await.len(), 30);
    let sets = Api::<ReplicaSet>::namespaced(cluster.admin(), "default");
    let set = sets.list(&ListParams::default()).await.unwrap().items.remove(0);
    eventually("one event per created pod at most", async || {
        let created = cluster.reasons("default", &set.name_any()).await;
        // The recorder's spam filter lets a burst of 25 through.
        let created = created.iter().filter(|reason| *reason == "SuccessfulCreate").count();
        (10..=30).contains(&created).then_some(())
    })
    .await;
    patch(&cluster, json!({"spec": {"replicas": 3}})).await;
    rolled_out(&cluster, 3).await;
    eventually("stopped pods to be gone", async || (pods(&cluster).await.len() == 3).then_some(())).await;

    patch(&cluster, json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "b"}]}}}})).await;
    let second = rolled_out(&cluster, 3).await;
    assert_eq!(second.annotations()["deployment.kubernetes.io/revision"], "2");
    eventually("only the new image", async || {
        let images: Vec<_> =
            pods(&cluster).await.iter().map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone()).collect();
        (images.len() == 3 && images.iter().all(|image| image.as_deref() == Some("b"))).then_some(())
    })
    .await;
    let conditions = second.status.unwrap().conditions.unwrap();
    let progressing = conditions.iter().find(|condition| condition.type_ == "Progressing").unwrap();
    assert_eq!(progressing.reason.as_deref(), Some("NewReplicaSetAvailable"));
    let events = cluster.events("default", "web").await;
    assert!(events.iter().all(|(reason, _)| reason == "ScalingReplicaSet"), "{events:?}");
    assert!(events[0].1.starts_with("Scaled up replica set web-"), "{events:?}");
    assert!(events[0].1.ends_with(" from 0 to 4"), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_makes_each_pod_once() {
    let cluster = start(3).await;
    cluster.create::<Deployment>(deployment(100, "a")).await;
    rolled_out(&cluster, 100).await;
    // Nobody was made too many and stopped again.
    let all = pods(&cluster).await;
    assert_eq!(all.len(), 100);
    assert!(all.iter().all(|pod| pod.metadata.deletion_timestamp.is_none()));
    let sets = Api::<ReplicaSet>::namespaced(cluster.admin(), "default");
    let set = sets.list(&ListParams::default()).await.unwrap().items.remove(0);
    let reasons = cluster.reasons("default", &set.name_any()).await;
    assert!(reasons.iter().all(|reason| reason == "SuccessfulCreate"), "{reasons:?}");
    let on =
        |node: &str| all.iter().filter(|pod| pod.spec.as_ref().unwrap().node_name.as_deref() == Some(node)).count();
    let counts = ["node-1", "node-2", "node-3"].map(on);
    assert!(counts.iter().all(|count| (33..=34).contains(count)), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependents_follow_their_owner_in_each_of_the_three_ways() {
    let cluster = start(1).await;
    let deployments = Api::<Deployment>::namespaced(cluster.admin(), "default");
    let sets = Api::<ReplicaSet>::namespaced(cluster.admin(), "default");
    for parameters in [DeleteParams::background(), DeleteParams::foreground()] {
        cluster.create::<Deployment>(deployment(2, "a")).await;
        rolled_out(&cluster, 2).await;
        deployments.delete("web", &parameters).await.unwrap();
        eventually(&format!("everything gone: {parameters:?}"), async || {
            let left = pods(&cluster).await.len() + sets.list(&ListParams::default()).await.unwrap().items.len();
            (left == 0 && deployments.get_opt("web").await.unwrap().is_none()).then_some(())
        })
        .await;
    }
    cluster.create::<Deployment>(deployment(2, "a")).await;
    rolled_out(&cluster, 2).await;
    deployments.delete("web", &DeleteParams::orphan()).await.unwrap();
    eventually("the owner gone", async || deployments.get_opt("web").await.unwrap().is_none().then_some(())).await;
    let set = sets.list(&ListParams::default()).await.unwrap().items.remove(0);
    assert!(set.owner_references().is_empty());
    assert_eq!(pods(&cluster).await.len(), 2);
    // A new owner with the same selector takes the orphan over instead of making another set.
    cluster.create::<Deployment>(deployment(2, "a")).await;
    rolled_out(&cluster, 2).await;
    assert_eq!(sets.get(&set.name_any()).await.unwrap().owner_references().len(), 1);
    assert_eq!(pods(&cluster).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_get_an_account_and_end_empty() {
    let cluster = start(1).await;
    let namespaces = Api::<Namespace>::all(cluster.admin());
    let mut shop = Namespace::default();
    shop.metadata.name = Some("shop".into());
    namespaces.create(&PostParams::default(), &shop).await.unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(cluster.admin(), "shop");
    eventually("the default account", async || accounts.get_opt("default").await.unwrap()).await;
    accounts.delete("default", &DeleteParams::default()).await.unwrap();
    eventually("the default account again", async || accounts.get_opt("default").await.unwrap()).await;

    let mut web = deployment(2, "a");
    web["metadata"]["namespace"] = json!("shop");
    cluster.create::<Deployment>(web).await;
    let pods = Api::<Pod>::namespaced(cluster.admin(), "shop");
    eventually("pods", async || (pods.list(&ListParams::default()).await.unwrap().items.len() == 2).then_some(()))
        .await;
    namespaces.delete("shop", &DeleteParams::default()).await.unwrap();
    eventually("the namespace gone", async || namespaces.get_opt("shop").await.unwrap().is_none().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_without_room_says_why_and_goes_when_there_is() {
    let cluster = start(1).await;
    let pod = |name: &str| {
        json!({"metadata": {"name": name}, "spec": {"containers": [
            {"name": "main", "image": "a", "ports": [{"containerPort": 80, "hostPort": 80}]},
        ]}})
    };
    cluster.create::<Pod>(pod("first")).await;
    let pods = Api::<Pod>::namespaced(cluster.admin(), "default");
    let node = async |name: &str| pods.get(name).await.unwrap().spec.unwrap().node_name;
    eventually("the first on its node", async || node("first").await).await;
    cluster.create::<Pod>(pod("second")).await;
    let message = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. \
                   no new claims to deallocate, preemption: 0/1 nodes are available: \
                   1 No preemption victims found for incoming pod.";
    eventually("the reason", async || {
        let events = cluster.events("default", "second").await;
        (events == [("FailedScheduling".to_string(), message.to_string())]).then_some(())
    })
    .await;
    let conditions = eventually("the condition", async || pods.get("second").await.unwrap().status?.conditions).await;
    assert_eq!(conditions[0].message.as_deref(), Some(message));
    pods.delete("first", &DeleteParams::default()).await.unwrap();
    eventually("the second on its node", async || node("second").await).await;
    eventually("the event", async || {
        let events = cluster.events("default", "second").await;
        (events.last()?.1 == "Successfully assigned default/second to node-1").then_some(())
    })
    .await;
}

/// A pod that requests this much CPU.
fn hungry(name: &str, cpu: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "default", "name": name},
        "spec": {"containers": [{"name": "main", "image": "a", "resources": {"requests": {"cpu": cpu}}}]},
    })
}

async fn node_status(cluster: &Cluster, name: &str, status: Value) {
    let api = Api::<Node>::all(cluster.admin());
    api.patch_status(name, &PatchParams::default(), &Patch::Strategic(json!({"status": status}))).await.unwrap();
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a k8s_openapi::api::core::v1::PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_waits_for_room_and_takes_what_others_leave() {
    let cluster = start(2).await;
    for node in ["node-1", "node-2"] {
        node_status(&cluster, node, json!({"allocatable": {"cpu": "2"}})).await;
    }
    let api = Api::<Pod>::namespaced(cluster.admin(), "default");
    let placed = async |name: &str| {
        eventually(&format!("{name} has a node"), async || api.get(name).await.unwrap().spec.unwrap().node_name).await
    };
    let refused = async |name: &str| {
        eventually(&format!("{name} is refused"), async || {
            let pod = api.get(name).await.unwrap();
            let scheduled = condition(&pod, "PodScheduled").filter(|condition| condition.status == "False")?;
            assert_eq!(scheduled.reason.as_deref(), Some("Unschedulable"));
            scheduled.message.clone()
        })
        .await
    };
    for name in ["one", "two"] {
        cluster.create::<Pod>(hungry(name, "1500m")).await;
    }
    assert_ne!(placed("one").await, placed("two").await, "two of them are too much for one node");

    let refusal = |preemption: &str| {
        format!(
            "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, preemption: \
             0/2 nodes are available: 2 {preemption}."
        )
    };
    let message = refusal("No preemption victims found for incoming pod");
    cluster.create::<Pod>(hungry("third", "1")).await;
    assert_eq!(refused("third").await, message);
    let failed = ("FailedScheduling".to_owned(), message.to_owned());
    eventually("the event", async || cluster.events("default", "third").await.contains(&failed).then_some(())).await;
    let freed = placed("one").await;
    api.delete("one", &DeleteParams::default()).await.unwrap();
    assert_eq!(placed("third").await, freed, "a pod went");

    cluster.create::<Pod>(hungry("huge", "50")).await;
    assert_eq!(refused("huge").await, refusal("Preemption is not helpful for scheduling"));
    node_status(&cluster, "node-2", json!({"allocatable": {"cpu": "64"}})).await;
    assert_eq!(placed("huge").await, "node-2", "a node grew");
}

async fn ready_pod(cluster: &Cluster, name: &str, node: &str, tolerations: Value) {
    let mut pod = hungry(name, "0");
    pod["spec"]["nodeName"] = json!(node);
    pod["spec"]["tolerations"] = tolerations;
    cluster.create::<Pod>(pod).await;
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    let pods = Api::<Pod>::namespaced(cluster.admin(), "default");
    pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(status)).await.unwrap();
}

/// Signs of life of a node, as long as the cluster lives.
fn keep_alive(cluster: &mut Cluster, node: &'static str) {
    let leases = Api::<Lease>::namespaced(cluster.admin(), "kube-node-lease");
    cluster.spawn(async move {
        let lease = json!({"metadata": {"name": node}, "spec": {"holderIdentity": node}});
        leases.create(&PostParams::default(), &serde_json::from_value(lease).unwrap()).await.unwrap();
        loop {
            let now = k8s_openapi::jiff::Timestamp::now().to_string();
            let beat = json!({"spec": {"renewTime": now}});
            drop(leases.patch(node, &PatchParams::default(), &Patch::Merge(beat)).await);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
}

/// From a node's last word to the end of its pods, with less patience than usual.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pods_of_a_silent_node_are_not_ready_and_go_when_they_are_tolerated_no_longer() {
    let mut cluster = Cluster::start().await;
    for (name, address) in [("node-1", "172.30.0.11"), ("node-2", "172.30.0.12")] {
        cluster.add_node(name, address).await;
    }
    keep_alive(&mut cluster, "node-2");
    let patient = json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}]);
    ready_pod(&cluster, "web", "node-1", patient.clone()).await;
    ready_pod(&cluster, "loyal", "node-1", json!([{"operator": "Exists"}])).await;
    ready_pod(&cluster, "other", "node-2", patient).await;
    let recorder = portolan_events::Recorder::new(cluster.admin(), workloads::nodes::NAME, None, Vocabulary::Full);
    let short = std::time::Duration::from_millis(1500);
    let config = workloads::nodes::Config { grace: short, startup_grace: short, settle: short / 5 };
    let part = workloads::nodes::run_with(cluster.admin(), recorder, config, Metrics::default(), cluster.stop.clone());
    cluster.spawn(part);

    let nodes = Api::<Node>::all(cluster.admin());
    let pods = Api::<Pod>::namespaced(cluster.admin(), "default");
    let taints = async || -> Vec<String> {
        let node = nodes.get("node-1").await.unwrap();
        let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        taints.map(|taint| format!("{}:{}", taint.key, taint.effect)).collect()
    };
    let unreachable = ["NoSchedule", "NoExecute"].map(|effect| format!("node.kubernetes.io/unreachable:{effect}"));
    eventually("taints", async || (taints().await == unreachable).then_some(())).await;
    let conditions = nodes.get("node-1").await.unwrap().status.unwrap().conditions.unwrap();
    let state = |kind: &str| {
        let condition = conditions.iter().find(|condition| condition.type_ == kind).unwrap();
        (condition.status.clone(), condition.reason.clone().unwrap())
    };
    assert_eq!(state("Ready"), ("Unknown".into(), "NodeStatusUnknown".into()));
    assert_eq!(state("MemoryPressure"), ("Unknown".into(), "NodeStatusNeverUpdated".into()));
    let told = [("NodeNotReady".to_owned(), "Node is not ready".to_owned())];
    for name in ["web", "loyal"] {
        eventually("the pod's event", async || (cluster.events("default", name).await == told).then_some(())).await;
        assert_eq!(condition(&pods.get(name).await.unwrap(), "Ready").unwrap().status, "False");
    }
    let told = [("NodeNotReady".to_owned(), "Node node-1 status is now: NodeNotReady".to_owned())];
    eventually("the node's event", async || (cluster.events("default", "node-1").await == told).then_some(())).await;

    // It speaks again, in time, and for the last time.
    let alive = json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}});
    nodes.patch_status("node-1", &PatchParams::default(), &Patch::Strategic(alive)).await.unwrap();
    eventually("recovery", async || taints().await.is_empty().then_some(())).await;
    let back = std::time::Instant::now();
    let web = eventually("deletion", async || {
        let web = pods.get("web").await.unwrap();
        web.metadata.deletion_timestamp.is_some().then_some(web)
    })
    .await;
    assert!(back.elapsed() > std::time::Duration::from_secs(4), "what was tolerated before does not count");
    let target = condition(&web, "DisruptionTarget").unwrap();
    assert_eq!((target.status.as_str(), target.reason.as_deref()), ("True", Some("DeletionByTaintManager")));
    let (loyal, other) = (pods.get("loyal").await.unwrap(), pods.get("other").await.unwrap());
    assert!(loyal.metadata.deletion_timestamp.is_none(), "it tolerates everything");
    assert!(other.metadata.deletion_timestamp.is_none() && portolan_objects::pod::is_ready(&other));
}
