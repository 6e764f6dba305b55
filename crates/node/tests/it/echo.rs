//! Many pods at once, and the echo image under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use portolan_netns::Namespace;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::cluster::{Cluster, inside, ip, is_ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_pods_start_and_stop_quickly() {
    if !inside("echo::thirty_pods_start_and_stop_quickly") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let spec = json!({"terminationGracePeriodSeconds": 1, "containers": [{"name": "echo", "image": "portolan/echo",
        "readinessProbe": {"httpGet": {"port": 8080, "path": "/healthz"}}}]});
    let begun = Instant::now();
    for index in 0..30 {
        cluster.pod(&node, &format!("web-{index}"), spec.clone()).await;
    }
    for index in 0..30 {
        cluster.pod_until(&format!("web-{index}"), is_ready).await;
    }
    let started = begun.elapsed();
    let begun = Instant::now();
    for index in 0..30 {
        cluster.delete(&format!("web-{index}"), None).await;
    }
    for index in 0..30 {
        cluster.gone(&format!("web-{index}")).await;
    }
    println!("30 pods were ready after {started:?} and gone after {:?}", begun.elapsed());
    assert!(started < Duration::from_secs(20));
    node.stop().await;
}

/// One connection: true if it was answered.
async fn connect(from: &Namespace, address: std::net::SocketAddr) -> std::io::Result<()> {
    let mut stream = from.tcp_connect(address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(std::io::Error::other(answer)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echo_goes_on_for_a_while_after_it_was_told_to_stop() {
    if !inside("echo::echo_goes_on_for_a_while_after_it_was_told_to_stop") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let env = json!([{"name": "ECHO_LINGER_SECONDS", "value": "1"}]);
    let spec = json!({"containers": [{"name": "echo", "image": "portolan/echo", "env": env,
        "readinessProbe": {"tcpSocket": {"port": 8080}}}]});
    cluster.pod(&node, "web", spec).await;
    let pod = cluster.pod_until("web", is_ready).await;
    let address = (ip(&pod), 8080).into();

    let (served, told) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let load = {
        let (served, told, namespace) = (served.clone(), told.clone(), node.namespace.clone());
        tokio::spawn(async move {
            // Until it refuses: when that is, is what the test is about.
            while connect(&namespace, address).await.is_ok() {
                if told.load(Ordering::Relaxed) {
                    served.fetch_add(1, Ordering::Relaxed);
                }
            }
            Instant::now()
        })
    };
    let slow = {
        let namespace = node.namespace.clone();
        let mut stream = namespace.tcp_connect(address).await.unwrap();
        stream.write_all(b"GET /slow?ms=1500 HTTP/1.1\r\nHost: web\r\n\r\n").await.unwrap();
        tokio::spawn(async move {
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).await.unwrap();
            line
        })
    };
    let deleted = Instant::now();
    told.store(true, Ordering::Relaxed);
    cluster.delete("web", None).await;
    let refused = tokio::time::timeout(Duration::from_secs(10), load).await.unwrap().unwrap();
    assert!(refused - deleted >= Duration::from_millis(900), "it served on for {:?}", refused - deleted);
    assert!(served.load(Ordering::Relaxed) > 10);
    assert_eq!(slow.await.unwrap(), "HTTP/1.1 200 OK\r\n", "what was begun is finished");
    cluster.gone("web").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echo_speaks_tcp_and_udp_too() {
    if !inside("echo::echo_speaks_tcp_and_udp_too") {
        return;
    }
    let cluster = Cluster::new().await;
    let node = cluster.node(1).await;
    let spec = json!({"containers": [{"name": "echo", "image": "portolan/echo",
        "readinessProbe": {"httpGet": {"port": 8080, "path": "/"}}}]});
    cluster.pod(&node, "web", spec).await;
    let pod = cluster.pod_until("web", is_ready).await;
    let exchange = async {
        let stream = node.namespace.tcp_connect((ip(&pod), 8081).into()).await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        assert!(line.starts_with("web 172.30.0.11:"), "{line}");
        stream.write_all(b"ahoy\n").await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        assert_eq!(line, "ahoy\n");

        let socket = node.namespace.udp_connect((ip(&pod), 8082).into()).await.unwrap();
        socket.send(b"ahoy").await.unwrap();
        let mut buffer = [0; 100];
        let n = socket.recv(&mut buffer).await.unwrap();
        let text = std::str::from_utf8(&buffer[..n]).unwrap();
        assert!(text.starts_with("web 172.30.0.11:") && text.ends_with("\nahoy"), "{text}");
    };
    tokio::time::timeout(Duration::from_secs(10), exchange).await.unwrap();
    node.stop().await;
}
