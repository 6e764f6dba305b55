//! The node agent: pods as processes in network namespaces.
//!
//! One [`run`] is one node. It registers a Node and keeps it alive (`register`), turns the Pods bound to it into
//! processes (`worker`, `container`, `sandbox`, `process`), says what became of them (`status`), routes to
//! the pods of the other nodes (`reconcile`), leads the node's ports to them (`hostports`) and serves their logs
//! (`api`). It speaks to nobody but the API.
//!
//! Invariant: no process outlives the agent, and none runs without a Pod object that wants it. So on a start nothing
//! has to be found again: pods that were running are started again, and that shows as a restart.
//!
//! Upstream: the kubelet, for everything that a Pod's author or a Service's client can see.

mod agent;
mod api;
mod container;
pub mod echo;
mod environment;
mod hostports;
mod logs;
mod probe;
mod process;
mod reconcile;
mod register;
mod resolv;
mod sandbox;
mod services;
mod status;
mod volumes;
mod worker;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures::stream;
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube::{Api, Client, runtime::watcher};
use portolan_events::Recorder;
use portolan_netns::Namespace;
use portolan_runtime::{Backoff, Inputs, Metrics, Options};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use agent::Agent;
use process::Launcher;
use reconcile::{Input, Pods};

/// What a node is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the Node object.
    pub name: String,
    /// The node's address: InternalIP, and gateway of its pods for the other nodes.
    pub address: IpAddr,
    /// Where its pods' addresses come from.
    pub pod_cidr: Ipv4Net,
    /// The node's network.
    pub namespace: Namespace,
    /// Addresses of the cluster's DNS Service; with none, pods that ask for it get what the node has.
    pub dns: Vec<IpAddr>,
    /// The cluster's domain, such as `cluster.local`.
    pub domain: String,
    /// The node's own resolv.conf, read anew for every pod; with an empty path pods that ask for it get no names at all.
    pub resolv_conf: PathBuf,
    /// What the names of images stand for.
    pub images: BTreeMap<String, Program>,
    /// Directory of logs and generated files.
    pub root: PathBuf,
    /// TLS of the node's own API, which is served on port 10250 of `address`; without it there is none.
    pub kubelet_tls: Option<Arc<rustls::ServerConfig>>,
    /// When the agent is stopped, its pods get this long to end, or their own grace period if that is shorter.
    pub stop_deadline: Duration,
    /// What its loop counts.
    pub metrics: Metrics,
    /// Cancelled when the node is lost, as by a power cut: everything of it ends at once, and nobody is told.
    pub lost: CancellationToken,
}

/// A local program that pods can name as their image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its first arguments; a container's `args` follow.
    pub arguments: Vec<String>,
}

impl From<PathBuf> for Program {
    fn from(path: PathBuf) -> Self {
        Self { path, arguments: Vec::new() }
    }
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The directory for logs cannot be used.
    #[error("cannot use {0} for the logs of pods")]
    Directory(PathBuf, #[source] io::Error),
    /// The kernel does not take the route for addresses that no pod has.
    #[error("cannot refuse packets for the unused addresses of {0}")]
    Route(Ipv4Net, #[source] io::Error),
    /// There can be no more threads.
    #[error("cannot start the thread that starts pods")]
    Thread(#[source] io::Error),
    /// The address of the node's API is taken or not the node's.
    #[error("cannot serve the API of the node")]
    Listen(#[source] io::Error),
}

/// Runs the node until `stop`; then its pods are ended, in parallel and within [`Config::stop_deadline`], and it returns.
/// If it is lost ([`Config::lost`]) it returns as soon as its processes are killed.
///
/// # Errors
/// If something is missing at the start; later errors are logged, reported as events and retried.
pub async fn run(
    client: Client,
    recorder: Recorder,
    config: Config,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let pods = config.root.join("pods");
    logs::create_directory(&pods).map_err(|error| StartError::Directory(pods, error))?;
    refuse_unused(&config)?;
    let launcher = Launcher::start(&config.name).map_err(StartError::Thread)?;
    let address = SocketAddr::new(config.address, api::PORT);
    let listener = match &config.kubelet_tls {
        None => None,
        Some(tls) => {
            let listener = config.namespace.tcp_listen(address).map_err(StartError::Listen)?;
            let listener = tokio::net::TcpListener::from_std(listener).map_err(StartError::Listen)?;
            Some((listener, tls.clone()))
        }
    };
    let agent = Arc::new(Agent::new(client, recorder, config, launcher));
    agent.check_resolv_conf();
    if let Err(error) = agent.rules.clear() {
        warn!(node = agent.config.name, %error, "pods of this node can have no host ports");
    }

    let serving = stop.child_token();
    let api = async {
        if let Some((listener, tls)) = listener {
            api::serve(agent.clone(), listener, tls, serving.clone()).await;
        }
    };
    let alive = async {
        tokio::join!(register::keep(&agent, stop.clone()), follow(agent.clone(), stop.clone()), api);
        end_pods(&agent).await;
    };
    if agent.config.lost.run_until_cancelled(alive).await.is_none() {
        serving.cancel();
        agent.tasks.close();
        agent.tasks.wait().await;
    }
    Ok(())
}

/// Ends all pods, as long as they may take.
async fn end_pods(agent: &Agent) {
    agent.halt.cancel();
    agent.tasks.close();
    // What a pod does after its SIGKILL is up to the kernel; a second is plenty.
    let patience = agent.config.stop_deadline + Duration::from_secs(1);
    if tokio::time::timeout(patience, agent.tasks.wait()).await.is_err() {
        warn!(node = agent.config.name, "some pods did not end in time and are killed with the agent");
    }
}

/// A packet for an address that no pod has must not leave the node: it would travel in a circle with the router, and its
/// sender would wait instead of being told.
fn refuse_unused(config: &Config) -> Result<(), StartError> {
    let links = config.namespace.links();
    let refused = links.and_then(|mut links| Ok(links.add_unreachable(config.pod_cidr.into())?));
    refused.map_err(|error| StartError::Route(config.pod_cidr, error))
}

/// Follows Pods, Nodes and Services until `stop`.
async fn follow(agent: Arc<Agent>, stop: CancellationToken) {
    let (changes, reports) = mpsc::unbounded_channel();
    let here = watcher::Config::default().fields(&format!("spec.nodeName={}", agent.config.name));
    let inputs = Inputs::new()
        .watch(Api::<Pod>::all(agent.client.clone()), here, |change| Input::Pods(Box::new(change)))
        .watch(Api::<Node>::all(agent.client.clone()), watcher::Config::default(), |change| {
            Input::Nodes(Box::new(change))
        })
        .watch(Api::<Service>::all(agent.client.clone()), watcher::Config::default(), |change| {
            Input::Services(Box::new(change))
        })
        .signal(stream::unfold(reports, |mut reports| async {
            let key = reports.recv().await?;
            Some((Input::Report(key), reports))
        }));
    let options = Options {
        name: "node",
        workers: 8,
        backoff: Backoff { base: Duration::from_millis(100), max: Duration::from_secs(30), attempts: None },
        timeout: Duration::from_secs(30),
    };
    let metrics = agent.config.metrics.clone();
    portolan_runtime::run(Pods::new(agent, changes), inputs, options, metrics, stop).await;
}
