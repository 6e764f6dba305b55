//! Pods begin, fail, are started again and end.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Service};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::json;

use crate::cluster::{Cluster, container, forever, inside, ip, is_ready, phase};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_becomes_ready_and_goes_with_grace() {
    if !inside("lifecycle::a_pod_becomes_ready_and_goes_with_grace") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let script = "trap 'echo going; sleep 0.3; echo gone; exit 0' TERM; echo here; sleep 1000 & wait";
    let main = json!({"name": "main", "image": "shell", "args": [script]});
    cluster.pod(&node, "web", json!({"containers": [main], "terminationGracePeriodSeconds": 20})).await;
    let pod = cluster.pod_until("web", is_ready).await;
    assert_eq!(phase(&pod), "Running");
    assert!(node.config.pod_cidr.contains(&ip(&pod).to_string().parse::<std::net::Ipv4Addr>().unwrap()));
    let status = pod.status.as_ref().unwrap();
    assert_eq!(status.host_ip.as_deref(), Some("172.30.0.11"));
    assert!(status.start_time.is_some());
    let first = container(&pod);
    assert!(first["containerID"].as_str().unwrap().starts_with("portolan://"), "{first}");
    assert!(first["state"]["running"]["startedAt"].is_string(), "{first}");

    // Ready is a promise about the container having started, so its first line may still be on its way.
    let path =
        cluster.home.path().join(format!("node1/pods/default_web_{}/main/0.log", pod.metadata.uid.as_ref().unwrap()));
    let deadline = Instant::now() + Duration::from_secs(10);
    while !std::fs::read_to_string(&path).unwrap_or_default().contains(" stdout F here\n") {
        assert!(Instant::now() < deadline, "no log");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    cluster.delete("web", None).await;
    let going = cluster.pod_until("web", |pod| container(pod)["state"]["terminated"].is_object()).await;
    assert_eq!(container(&going)["state"]["terminated"]["exitCode"], 0);
    assert!(!is_ready(&going));
    cluster.gone("web").await;
    assert!(begun.elapsed() < Duration::from_secs(5), "it ended by itself, not by its deadline");
    let events = cluster.events_until("web", |events| events.iter().any(|e| e.starts_with("Killing"))).await;
    let allocated = format!("IPAllocated: Successfully allocated IP {} to pod web", ip(&pod));
    let expected = [
        allocated.as_str(),
        "Created: Created container main",
        "Started: Started container main",
        "Killing: Stopping container main",
    ];
    assert_eq!(events, expected);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_will_not_go_is_killed_at_its_deadline_or_at_once() {
    if !inside("lifecycle::a_pod_that_will_not_go_is_killed_at_its_deadline_or_at_once") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let deaf = json!({"name": "main", "image": "shell", "args": ["trap '' TERM; while :; do sleep 0.1; done"]});
    for name in ["one", "two", "three"] {
        cluster.pod(&node, name, json!({"containers": [deaf], "terminationGracePeriodSeconds": 600})).await;
    }
    for name in ["one", "two", "three"] {
        cluster.pod_until(name, is_ready).await;
    }
    let begun = Instant::now();
    cluster.delete("one", Some(1)).await;
    let killed = cluster.pod_until("one", |pod| container(pod)["state"]["terminated"].is_object()).await;
    assert_eq!(container(&killed)["state"]["terminated"]["exitCode"], 137);
    cluster.gone("one").await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // A second, more impatient wish counts.
    cluster.delete("two", None).await;
    cluster.delete("two", Some(1)).await;
    cluster.gone("two").await;
    // Without any grace the object is gone at once, and the process soon after: the node has its address back.
    cluster.delete("three", Some(0)).await;
    cluster.gone("three").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while node.namespace.links().unwrap().links().unwrap() != ["lo", "eth0"] {
        assert!(Instant::now() < deadline, "a pod's interface is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restart_policies_decide_what_an_exit_means() {
    if !inside("lifecycle::restart_policies_decide_what_an_exit_means") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let ends = |code: &str| json!({"name": "main", "image": "shell", "args": [format!("exit {code}")]});
    let run = |policy: &str, code: &str| json!({"restartPolicy": policy, "containers": [ends(code)]});
    cluster.pod(&node, "done", run("Never", "0")).await;
    cluster.pod(&node, "lost", run("Never", "3")).await;
    cluster.pod(&node, "enough", run("OnFailure", "0")).await;
    cluster.pod(&node, "again", run("Always", "5")).await;
    cluster.pod_until("done", |pod| phase(pod) == "Succeeded").await;
    cluster.pod_until("enough", |pod| phase(pod) == "Succeeded").await;
    let lost = cluster.pod_until("lost", |pod| phase(pod) == "Failed").await;
    assert_eq!(container(&lost)["state"]["terminated"]["exitCode"], 3);
    assert_eq!(container(&lost)["restartCount"], 0);
    // The first restart is at once, the next after ten seconds.
    let again =
        cluster.pod_until("again", |pod| container(pod)["state"]["waiting"]["reason"] == "CrashLoopBackOff").await;
    assert_eq!(container(&again)["restartCount"], 1);
    assert_eq!(container(&again)["lastState"]["terminated"]["exitCode"], 5);
    assert_eq!(phase(&again), "Running");
    cluster.events_until("again", |events| events.iter().any(|e| e.starts_with("BackOff: Back-off restarting"))).await;
    // Terminal pods stay until they are deleted, and then need no waiting.
    for name in ["done", "lost", "again"] {
        cluster.delete(name, None).await;
        cluster.gone(name).await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_containers_run_in_order_and_sidecars_stay() {
    if !inside("lifecycle::init_containers_run_in_order_and_sidecars_stay") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let shared = cluster.home.path().join("order");
    let note = |name: &str, then: &str| json!({"name": name, "image": "shell", "args": [format!("echo {name} >> {}; {then}", shared.display())]});
    let stay = "trap 'exit 0' TERM; sleep 1000 & wait";
    let mut sidecar = note("mesh", stay);
    sidecar["restartPolicy"] = json!("Always");
    let init = [note("first", "sleep 0.1"), sidecar, note("second", "sleep 0.1")];
    cluster.pod(&node, "web", json!({"initContainers": init, "containers": [note("main", stay)]})).await;
    let pod = cluster.pod_until("web", is_ready).await;
    let status = serde_json::to_value(pod.status.unwrap()).unwrap();
    assert_eq!(status["initContainerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
    assert!(status["initContainerStatuses"][1]["state"]["running"].is_object(), "{status:#}");
    let order = std::fs::read_to_string(&shared).unwrap();
    let order: Vec<_> = order.lines().filter(|line| *line != "main").collect();
    assert_eq!(order.iter().filter(|name| **name != "mesh").collect::<Vec<_>>(), [&"first", &"second"]);
    cluster.delete("web", None).await;
    cluster.gone("web").await;

    let failing = json!({"name": "setup", "image": "shell", "args": ["exit 1"]});
    cluster
        .pod(&node, "never", json!({"restartPolicy": "Never", "initContainers": [failing], "containers": [forever()]}))
        .await;
    let failed = cluster.pod_until("never", |pod| phase(pod) == "Failed").await;
    assert!(container(&failed)["containerID"].is_null(), "the container was never started");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_image_is_explained_and_does_not_hold_the_pod() {
    if !inside("lifecycle::an_unknown_image_is_explained_and_does_not_hold_the_pod") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    cluster.pod(&node, "web", json!({"containers": [{"name": "main", "image": "nginx:1"}]})).await;
    for reason in ["ErrImagePull", "ImagePullBackOff"] {
        let waiting = |pod: &Pod| container(pod)["state"]["waiting"]["reason"] == reason;
        let waiting = cluster.pod_until("web", waiting).await;
        let message = container(&waiting)["state"]["waiting"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("--image nginx:1=PATH"), "{message}");
        assert_eq!(phase(&waiting), "Pending");
    }
    let expected = [
        "Failed: Error: ErrImagePull",
        "BackOff: Back-off pulling image \"nginx:1\"",
        "Failed: Error: ImagePullBackOff",
    ];
    let events = cluster
        .events_until("web", |events| expected.iter().all(|expected| events.iter().any(|e| e == expected)))
        .await;
    let back_off = Api::<Event>::all(cluster.client.clone()).list(&ListParams::default()).await.unwrap().items;
    let back_off = back_off.iter().find(|event| event.reason.as_deref() == Some("BackOff")).unwrap();
    assert_eq!(back_off.type_.as_deref(), Some("Normal"), "as in Kubernetes; the Warning is Failed");
    let pull = events.iter().find(|event| event.starts_with("Failed: Failed to pull image \"nginx:1\": ")).unwrap();
    assert!(pull.contains("--image nginx:1=PATH"), "{pull}");
    cluster.delete("web", None).await;
    cluster.gone("web").await;

    let env = json!([{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "x"}}}]);
    let main = json!({"name": "main", "image": "shell", "args": ["test \"$X\" = 1"], "env": env});
    cluster.pod(&node, "env", json!({"restartPolicy": "Never", "containers": [main]})).await;
    let waiting = |pod: &Pod| container(pod)["state"]["waiting"]["reason"] == "CreateContainerConfigError";
    let pod = cluster.pod_until("env", waiting).await;
    assert_eq!(container(&pod)["state"]["waiting"]["message"], "configmap \"later\" not found");
    let config_map = json!({"metadata": {"name": "later"}, "data": {"x": "1"}});
    let config_maps = Api::<ConfigMap>::namespaced(cluster.client.clone(), "default");
    config_maps.create(&PostParams::default(), &serde_json::from_value(config_map).unwrap()).await.unwrap();
    cluster.pod_until("env", |pod| phase(pod) == "Succeeded").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_are_started_in_the_order_of_the_spec() {
    if !inside("lifecycle::containers_are_started_in_the_order_of_the_spec") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let names = ["z", "a", "m", "unknown", "b"];
    let containers: Vec<_> = names
        .iter()
        .map(|name| json!({"name": name, "image": if *name == "unknown" { "nginx" } else { "shell" }, "args": ["sleep 1000"]}))
        .collect();
    cluster.pod(&node, "web", json!({"containers": containers, "terminationGracePeriodSeconds": 0})).await;
    let started = |events: &[String]| -> Vec<String> {
        events.iter().filter_map(|event| event.strip_prefix("Started: Started container ").map(str::to_owned)).collect()
    };
    let status = cluster
        .pod_until("web", |pod| {
            let status = serde_json::to_value(&pod.status).unwrap();
            status["containerStatuses"].as_array().is_some_and(|all| all.len() == 5)
                && status["containerStatuses"][4]["state"]["running"].is_object()
        })
        .await;
    let events = cluster.events_until("web", |events| started(events).len() == 4).await;
    // Events of one second are in no order; process numbers are, in a namespace that has just begun.
    let ids = serde_json::to_value(&status.status).unwrap()["containerStatuses"].clone();
    let pid = |index: usize| ids[index]["containerID"].as_str().map(|id| id[id.len() - 8..].to_owned());
    let pids: Vec<_> = [0, 1, 2, 4].into_iter().map(|index| pid(index).unwrap()).collect();
    assert!(pids.is_sorted(), "{pids:?} {events:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_run_before_the_signal() {
    if !inside("lifecycle::hooks_run_before_the_signal") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let order = cluster.home.path().join("order");
    let path = order.display();
    let main = json!({
        "name": "main", "image": "shell",
        "args": [format!("trap 'echo signal >> {path}; exit 0' TERM; sleep 1000 & wait")],
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", format!("echo hook >> {path}; sleep 0.2")]}}},
    });
    cluster.pod(&node, "web", json!({"containers": [main]})).await;
    cluster.pod_until("web", is_ready).await;
    cluster.delete("web", None).await;
    cluster.gone("web").await;
    assert_eq!(std::fs::read_to_string(&order).unwrap(), "hook\nsignal\n");
    node.stop().await;
}

/// Pods die with the agent, which is therefore the same for them as a reboot: started again, counted, same address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_started_again_after_the_agent() {
    if !inside("lifecycle::pods_are_started_again_after_the_agent") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    cluster.pod(&node, "first", json!({"containers": [forever()]})).await;
    cluster.pod(&node, "web", json!({"containers": [forever()]})).await;
    cluster.pod(&node, "late", json!({"containers": [forever()]})).await;
    let before = cluster.pod_until("web", is_ready).await;
    cluster.pod_until("late", is_ready).await;
    cluster.delete("first", None).await;
    cluster.gone("first").await;
    let config = node.stop().await;
    assert_eq!(config.namespace.links().unwrap().links().unwrap(), ["lo", "eth0"], "no interface is left");
    // While nobody looks, one pod is added, one is to go, and one went and left its files.
    cluster.pod_on("node1", "new", json!({"containers": [forever()]})).await;
    cluster.delete("late", None).await;
    let stray = config.root.join("pods/default_gone_1234");
    std::fs::create_dir_all(&stray).unwrap();
    let node = cluster.start(config).await;
    let restarted = |pod: &Pod| container(pod)["restartCount"] == 1 && is_ready(pod);
    let after = cluster.pod_until("web", restarted).await;
    assert_eq!(ip(&after), ip(&before));
    assert_ne!(container(&after)["containerID"], container(&before)["containerID"]);
    assert!(container(&after)["lastState"]["terminated"].is_object());
    let new = cluster.pod_until("new", is_ready).await;
    assert_ne!(ip(&new), ip(&after), "an address that was in use is not given away");
    cluster.gone("late").await;
    assert!(!stray.exists());
    node.stop().await;
}

/// The variables of a container that prints its environment.
async fn environment(cluster: &Cluster, node: &crate::cluster::RunningNode, name: &str, links: bool) -> Vec<String> {
    let path = cluster.home.path().join(name);
    let main = json!({"name": "main", "image": "shell", "args": [format!("env > {}", path.display())]});
    let spec = json!({"containers": [main], "restartPolicy": "Never", "enableServiceLinks": links});
    cluster.pod(node, name, spec).await;
    cluster.pod_until(name, |pod| phase(pod) == "Succeeded").await;
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_names_services_and_nothing_of_the_machine() {
    if !inside("lifecycle::the_environment_names_services_and_nothing_of_the_machine") {
        return;
    }
    let cluster = Cluster::new().await;
    let service = json!({"metadata": {"name": "my-db"}, "spec": {"clusterIP": "10.96.7.7", "ports": [{"name": "sql", "port": 5432}]}});
    let services = Api::<Service>::namespaced(cluster.client.clone(), "default");
    services.create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    let node = cluster.node(1).await;
    let with = environment(&cluster, &node, "with", true).await;
    for expected in [
        "KUBERNETES_SERVICE_HOST=10.96.0.1",
        "KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1",
        "MY_DB_SERVICE_PORT_SQL=5432",
        "MY_DB_PORT=tcp://10.96.7.7:5432",
        "HOME=/root",
        "HOSTNAME=with",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ] {
        assert!(with.iter().any(|line| line == expected), "{expected}: {with:#?}");
    }
    // What a shell sets by itself, and what the built-in images are told.
    let own = ["PWD", "OLDPWD", "SHLVL", "_", "HOME", "HOSTNAME", "PATH"];
    let foreign: Vec<_> = with
        .iter()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name))
        .filter(|name| !own.contains(name))
        .filter(|name| !["KUBERNETES_", "MY_DB_", "PORTOLAN_"].iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    assert_eq!(foreign, [""; 0], "of the machine");
    let without = environment(&cluster, &node, "without", false).await;
    assert!(without.iter().any(|line| line == "KUBERNETES_SERVICE_PORT=443"), "{without:#?}");
    assert!(!without.iter().any(|line| line.starts_with("MY_DB")), "{without:#?}");
    node.stop().await;
}
