//! The Node object and its heartbeat. Upstream: `pkg/kubelet/kubelet_node_status.go`, `nodestatus/setters.go`,
//! `component-helpers/apimachinery/lease`.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{
            DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus, NodeSystemInfo,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::MicroTime},
};
use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use portolan_catalogue::Reason;
use portolan_runtime::{describe, is_code};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{Config, agent::Agent, api::PORT, status::time};

/// How often the Lease is renewed.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often the status is written although nothing changed, in heartbeats.
const STATUS_EVERY: u32 = 6;
/// How long a node counts as alive without a heartbeat, in seconds.
const LEASE_SECONDS: i32 = 40;
/// Most pods of a node, as upstream's default.
const MAX_PODS: u32 = 110;
/// Namespace of the nodes' Leases.
const LEASES: &str = "kube-node-lease";

/// Keeps the Node object registered, ready and alive until `stop`.
pub async fn keep(agent: &Agent, stop: CancellationToken) {
    let beat = async {
        let mut since = None;
        let mut registered = false;
        let mut doubted = false;
        let mut beats = 0;
        loop {
            let result = match registered {
                false => register(agent, &mut since).await,
                true => heartbeat(agent, &mut since, beats).await,
            };
            let delay = match result {
                Ok(()) => {
                    if std::mem::take(&mut doubted) {
                        tell_ready(agent);
                    }
                    registered = true;
                    beats += 1;
                    HEARTBEAT
                }
                Err(error) => {
                    warn!(node = agent.config.name, error = describe(&error), "the node cannot report to the API");
                    // Somebody deleted it.
                    registered &= !is_code(&error, 404);
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                // The node is taken for dead: say at once that it is not.
                () = agent.doubted.notified(), if registered => {
                    doubted = true;
                    // It is ready anew.
                    since = None;
                    beats = 0;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = beat => {}
    }
}

/// Creates the Node, or brings the existing one up to date, and says that it is ready.
async fn register(agent: &Agent, since: &mut Option<Timestamp>) -> kube::Result<()> {
    let config = &agent.config;
    let nodes = Api::<Node>::all(agent.client.clone());
    let wanted = node(config);
    if nodes.get_opt(&config.name).await?.is_none() {
        let created = nodes.create(&PostParams::default(), &wanted).await;
        // Another part may have created it in between.
        match created {
            Err(error) if !is_code(&error, 409) => return Err(error),
            _ => {}
        }
    }
    let patch = json!({"metadata": {"labels": wanted.metadata.labels}, "spec": wanted.spec});
    let node = nodes.patch(&config.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    agent.event(&agent.node_reference(), Reason::Starting, "Starting kubelet.");
    write_status(agent, since).await?;
    tell_ready(agent);
    renew(agent, node.metadata.uid).await
}

fn tell_ready(agent: &Agent) {
    let text = format!("Node {} status is now: NodeReady", agent.config.name);
    agent.event(&agent.node_reference(), Reason::NodeReady, text);
}

async fn heartbeat(agent: &Agent, since: &mut Option<Timestamp>, beats: u32) -> kube::Result<()> {
    if beats.is_multiple_of(STATUS_EVERY) {
        write_status(agent, since).await?;
    }
    renew(agent, None).await
}

async fn write_status(agent: &Agent, since: &mut Option<Timestamp>) -> kube::Result<()> {
    let now = Timestamp::now();
    let status = status(&agent.config, *since.get_or_insert(now), now);
    let nodes = Api::<Node>::all(agent.client.clone());
    let patch = Patch::Strategic(json!({"status": status}));
    nodes.patch_status(&agent.config.name, &PatchParams::default(), &patch).await.map(drop)
}

async fn renew(agent: &Agent, uid: Option<String>) -> kube::Result<()> {
    let name = &agent.config.name;
    let leases = Api::<Lease>::namespaced(agent.client.clone(), LEASES);
    let spec = json!({
        "holderIdentity": name,
        "leaseDurationSeconds": LEASE_SECONDS,
        "renewTime": MicroTime(Timestamp::now()),
    });
    let renewed = leases.patch(name, &PatchParams::default(), &Patch::Merge(&json!({"spec": spec}))).await;
    match renewed {
        Err(error) if is_code(&error, 404) => {
            let owner = uid.map(|uid| json!([{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]));
            let lease = json!({"metadata": {"name": name, "ownerReferences": owner}, "spec": spec});
            let lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
            leases.create(&PostParams::default(), &lease).await.map(drop)
        }
        other => other.map(drop),
    }
}

fn node(config: &Config) -> Node {
    let labels = BTreeMap::from([
        ("kubernetes.io/hostname".to_owned(), config.name.clone()),
        ("kubernetes.io/os".to_owned(), "linux".to_owned()),
        ("kubernetes.io/arch".to_owned(), architecture().to_owned()),
    ]);
    Node {
        metadata: ObjectMeta { name: Some(config.name.clone()), labels: Some(labels), ..ObjectMeta::default() },
        spec: Some(NodeSpec {
            pod_cidr: Some(config.pod_cidr.to_string()),
            pod_cidrs: Some(vec![config.pod_cidr.to_string()]),
            provider_id: Some(format!("portolan://{}", config.name)),
            ..NodeSpec::default()
        }),
        status: None,
    }
}

fn status(config: &Config, since: Timestamp, now: Timestamp) -> NodeStatus {
    let address = |kind: &str, address: String| NodeAddress { type_: kind.into(), address };
    let resources = resources();
    NodeStatus {
        addresses: Some(vec![
            address("InternalIP", config.address.to_string()),
            address("Hostname", config.name.clone()),
        ]),
        capacity: Some(resources.clone()),
        allocatable: Some(resources),
        conditions: Some(conditions(since, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints { kubelet_endpoint: Some(DaemonEndpoint { port: PORT.into() }) }),
        node_info: Some(system_info(config)),
        ..NodeStatus::default()
    }
}

fn conditions(since: Timestamp, now: Timestamp) -> Vec<NodeCondition> {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| NodeCondition {
        type_: kind.into(),
        status: status.into(),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_heartbeat_time: Some(time(now)),
        last_transition_time: Some(time(since)),
    };
    vec![
        condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
}

/// What the machine has. Nodes of one machine share it; nothing divides it between them.
fn resources() -> BTreeMap<String, Quantity> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()).unwrap_or("0");
    [("cpu", cpus.to_string()), ("memory", format!("{kib}Ki")), ("pods", MAX_PODS.to_string())]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Quantity(value)))
        .collect()
}

fn system_info(config: &Config) -> NodeSystemInfo {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let os = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let machine = read("/etc/machine-id");
    NodeSystemInfo {
        architecture: architecture().into(),
        operating_system: "linux".into(),
        boot_id: read("/proc/sys/kernel/random/boot_id"),
        kernel_version: read("/proc/sys/kernel/osrelease"),
        os_image: os.map_or("Linux".to_owned(), |os| os.trim_matches('"').to_owned()),
        // Several nodes may share a machine; what tells them apart is their name.
        machine_id: format!("{machine}-{}", config.name),
        system_uuid: format!("{machine}-{}", config.name),
        kubelet_version: concat!("v1.36.0-portolan.", env!("CARGO_PKG_VERSION")).into(),
        container_runtime_version: concat!("portolan://", env!("CARGO_PKG_VERSION")).into(),
        ..NodeSystemInfo::default()
    }
}

/// The machine's architecture in the words of Go.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
