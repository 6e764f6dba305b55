//! What pods see of the network, and how they see each other.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, api::DeleteParams};
use portolan_netns::Namespace;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cluster::{Cluster, PATIENCE, forever, inside, ip, is_ready};

/// One HTTP request from a namespace, as JSON.
async fn ask(from: &Namespace, pod: &Pod) -> Value {
    let exchange = async {
        let mut stream = from.tcp_connect((ip(pod), 8080).into()).await?;
        stream.write_all(b"GET /x?format=json HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), exchange).await.unwrap().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_of_two_nodes_reach_each_other() {
    if !inside("network::pods_of_two_nodes_reach_each_other") {
        return;
    }
    let cluster = Cluster::new().await;
    let (one, two) = (cluster.node(1).await, cluster.node(2).await);
    let echo = json!({"containers": [{"name": "echo", "image": "portolan/echo",
        "readinessProbe": {"httpGet": {"port": 8080, "path": "/healthz"}}}]});
    cluster.pod(&one, "a", echo.clone()).await;
    cluster.pod(&two, "b", echo).await;
    let (a, b) = (cluster.pod_until("a", is_ready).await, cluster.pod_until("b", is_ready).await);
    assert_eq!(
        (a.status.as_ref().unwrap().host_ip.as_deref(), ip(&b).to_string().starts_with("10.244.2.")),
        (Some("172.30.0.11"), true)
    );

    // From a node to its own and to the other's pod.
    let answer = ask(&one.namespace, &a).await;
    assert_eq!(
        (&answer["pod"], &answer["node"], &answer["namespace"]),
        (&json!("a"), &json!("node1"), &json!("default"))
    );
    let answer = ask(&one.namespace, &b).await;
    assert!(answer["client"].as_str().unwrap().starts_with("172.30.0.11:"), "{answer}");

    // From a pod to a pod of the other node: the shell of a pod asks through its own network.
    let url = format!("http://{}:8080/?format=json", ip(&b));
    let fetch = format!("import urllib.request; print(urllib.request.urlopen('{url}').read().decode())");
    let command = json!(["python3", "-c", fetch]);
    let main = json!({"name": "main", "image": "shell", "command": command});
    if std::process::Command::new("python3").arg("-V").output().is_ok_and(|output| output.status.success()) {
        let client = cluster.pod(&one, "client", json!({"restartPolicy": "Never", "containers": [main]})).await;
        let client_pod = cluster.pod_until("client", |pod| crate::cluster::phase(pod) == "Succeeded").await;
        let log = format!("node1/pods/default_client_{}/main/0.log", client.metadata.uid.unwrap());
        let log = std::fs::read_to_string(cluster.home.path().join(log)).unwrap();
        assert!(log.contains(&format!("\"client\":\"{}:", ip(&client_pod))), "the source is kept: {log}");
    } else {
        portolan_netns::world::skip(
            "network::pods_of_two_nodes_reach_each_other (from pod to pod)",
            "python3 does not run here",
        );
    }

    // A node that is gone is no way to anywhere.
    let routes = || one.namespace.run(|| std::fs::read_to_string("/proc/thread-self/net/route")).unwrap().unwrap();
    assert!(routes().contains("0002F40A"), "{}", routes());
    two.stop().await;
    Api::<Node>::all(cluster.client.clone()).delete("node2", &DeleteParams::default()).await.unwrap();
    let gone = async {
        while routes().contains("0002F40A") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_knows_itself_and_its_resolver() {
    if !inside("network::a_pod_knows_itself_and_its_resolver") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let env = [
        field("POD", "metadata.name"),
        field("IP", "status.podIP"),
        field("NODE", "spec.nodeName"),
        json!({"name": "URL", "value": "http://$(IP):80"}),
    ];
    let script =
        "echo $POD $NODE $URL $0 $KUBERNETES_SERVICE_HOST; uname -n; cat /etc/resolv.conf; grep $IP /etc/hosts";
    let main = json!({"name": "main", "image": "shell", "args": [script, "$(POD)"], "env": env});
    let dns =
        json!({"nameservers": ["192.0.2.1", "192.0.2.2", "192.0.2.3"], "options": [{"name": "ndots", "value": "2"}]});
    let spec = json!({"restartPolicy": "Never", "containers": [main], "dnsConfig": dns});
    cluster.pod(&node, "web", spec).await;
    let pod = cluster.pod_until("web", |pod| crate::cluster::phase(pod) == "Succeeded").await;
    let log = format!("node1/pods/default_web_{}/main/0.log", pod.metadata.uid.as_deref().unwrap());
    let log = std::fs::read_to_string(cluster.home.path().join(log)).unwrap();
    let lines: Vec<_> = log.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap()).collect();
    assert_eq!(lines[0], format!("web node1 http://{}:80 web 10.96.0.1", ip(&pod)));
    assert_eq!(lines[1], "web");
    let text = lines[2..].join("\n");
    assert!(
        text.starts_with("search default.svc.cluster.local svc.cluster.local cluster.local node.example\n"),
        "{text}"
    );
    assert!(
        text.contains("nameserver 10.96.0.10\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:2\n"),
        "{text}"
    );
    assert!(text.ends_with(&format!("{}\tweb", ip(&pod))), "{text}");
    cluster
        .events_until("web", |events| {
            events.iter().any(|e| e.starts_with("DNSConfigForming: Nameserver limits were exceeded"))
        })
        .await;

    let mut spec = json!({"hostNetwork": true, "containers": [forever()]});
    spec["containers"][0]["name"] = json!("host");
    cluster.pod(&node, "host", spec).await;
    let host = cluster.pod_until("host", is_ready).await;
    assert_eq!(ip(&host), node.address);
    node.stop().await;
}
