//! What a user waits for and pays: boot, creating Services, a ready pod's first traffic, memory.
//!
//! `cargo bench -p portolan --bench network` prints a table; dated runs are kept in bench/. Times are of this machine on
//! that day: compare runs made side by side, not numbers across machines.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, PostParams, WatchEvent, WatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use portolan_testkit::{Kubectl, Network};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PORTOLAN: &str = env!("CARGO_BIN_EXE_portolan");
const BOOTS: usize = 9;
const SERVICES: usize = 1000;
const PODS: usize = 50;

fn main() {
    println!("| what | p50 | p99 | max | n |\n|---|---|---|---|---|");
    boots();
    let network = Network::start(PORTOLAN.as_ref(), &[]).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let client = runtime.block_on(connect(&network));
    let empty = resident(network.pid());
    runtime.block_on(first_traffic(&client, &network));
    runtime.block_on(create_services(&client));
    let full = resident(network.pid());
    println!("\n| memory of the process (resident) | MiB |\n|---|---|");
    println!("| no Services | {empty:.1} |\n| {SERVICES} Services | {full:.1} |");
    drop(runtime);
    network.stop().unwrap();

    let data = tempfile::TempDir::new().unwrap();
    let network = Network::start(PORTOLAN.as_ref(), &["--data", data.path().to_str().unwrap()]).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("\n| with --data (fsync before the answer) | p50 | p99 | max | n |\n|---|---|---|---|---|");
    runtime.block_on(async { create_services(&connect(&network).await).await });
    network.stop().unwrap();
}

async fn connect(network: &Network) -> Client {
    let kubeconfig = Kubeconfig::read_from(&network.kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// From the start of the process to the end of the first `kubectl get svc` that succeeds, and to `up` saying it is up.
fn boots() {
    let mut up = Vec::new();
    let mut kubectl_done = Vec::new();
    let kubectl = Kubectl::fetched().pop();
    for _ in 0..BOOTS {
        let network = Network::start(PORTOLAN.as_ref(), &[]).unwrap();
        up.push(network.started().elapsed());
        if let Some(kubectl) = &kubectl {
            network.connect(kubectl).ok(&["get", "svc"]).unwrap();
            kubectl_done.push(network.started().elapsed());
        }
        network.stop().unwrap();
    }
    row("boot to \"up\"", up);
    row("boot to the end of the first `kubectl get svc` (kubectl's own start included)", kubectl_done);
}

async fn create_services(client: &Client) {
    let services = Api::<Service>::default_namespaced(client.clone());
    let mut times = Vec::new();
    for index in 0..SERVICES {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": format!("bench-{index}")},
            "spec": {"selector": {"app": format!("bench-{index}")}, "ports": [{"port": 80}]},
        }))
        .unwrap();
        let start = Instant::now();
        services.create(&PostParams::default(), &service).await.unwrap();
        times.push(start.elapsed());
    }
    row("create a Service, one client, one after the other", times);
}

/// From the watch event that says Ready to the first answer through the node port.
async fn first_traffic(client: &Client, network: &Network) {
    let services = Api::<Service>::default_namespaced(client.clone());
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "first"},
        "spec": {"type": "NodePort", "selector": {"app": "first"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }))
    .unwrap();
    services.create(&PostParams::default(), &service).await.unwrap();
    let door = loop {
        if let Some(door) = network.forwards("default/first").into_values().next() {
            break door;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let pods = Api::<Pod>::default_namespaced(client.clone());
    let mut times = Vec::new();
    for index in 0..PODS {
        let name = format!("first-{index}");
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"app": "first"}},
            "spec": {"containers": [{"name": "echo", "image": "portolan/echo"}], "terminationGracePeriodSeconds": 0},
        }))
        .unwrap();
        let made = pods.create(&PostParams::default(), &pod).await.unwrap();
        await_ready(&pods, &name, &made.metadata.resource_version.unwrap()).await;
        let ready = Instant::now();
        while ask(&door).await.is_err() {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        times.push(ready.elapsed());
        pods.delete(&name, &DeleteParams::default().grace_period(0)).await.unwrap();
        while ask(&door).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    services.delete("first", &DeleteParams::default()).await.unwrap();
    row("pod Ready (seen by a watch) to first answer through the Service", times);
}

async fn await_ready(pods: &Api<Pod>, name: &str, version: &str) {
    let watch = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut events = std::pin::pin!(pods.watch(&watch, version).await.unwrap());
    while let Some(event) = events.next().await {
        if let WatchEvent::Modified(pod) = event.unwrap()
            && portolan_objects::pod::is_ready(&pod)
        {
            return;
        }
    }
    panic!("the watch of {name} ended");
}

async fn ask(door: &str) -> std::io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(door).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    if answer.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

/// Resident memory of `up` and the processes under it, in MiB.
fn resident(up: u32) -> f64 {
    let output = std::process::Command::new("ps").args(["-eo", "pid=,ppid=,rss="]).output().unwrap();
    let table: Vec<[u32; 3]> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| {
            let mut numbers = line.split_whitespace().map(|word| word.parse().unwrap());
            [numbers.next().unwrap(), numbers.next().unwrap(), numbers.next().unwrap()]
        })
        .collect();
    let parents: BTreeMap<u32, u32> = table.iter().map(|row| (row[0], row[1])).collect();
    let belongs = |mut pid: u32| {
        while pid != up {
            match parents.get(&pid) {
                Some(parent) if *parent != 0 => pid = *parent,
                _ => return false,
            }
        }
        true
    };
    table.iter().filter(|row| belongs(row[0])).map(|row| f64::from(row[2])).sum::<f64>() / 1024.0
}

fn row(what: &str, mut times: Vec<Duration>) {
    if times.is_empty() {
        return println!("| {what} | not measured: no kubectl | | | 0 |");
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1000.0;
    println!("| {what} | {:.1} ms | {:.1} ms | {:.1} ms | {} |", at(0.5), at(0.99), at(1.0), times.len());
}
