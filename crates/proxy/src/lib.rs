//! The Service proxy of one node.
//!
//! ```text
//! Services, EndpointSlices, own Node --watch--> index (facts) --project--> wanted elements --ledger--> one transaction
//!                                                                                  ^                        |
//!                                                             looks and refusals --+---- nftables table <---+
//! ```
//! The ruleset has constant chains; a Service is only elements of maps and sets. So a change costs what changed: a few
//! elements in one netlink transaction. Rules: `rules`, `layout`, `targets`. Elements: `elements`. Who wants what and
//! what the kernel holds: `ledger`. After a start, a foreign change or a refusal the kernel is read and compared
//! (`planner`); a table with other rules is replaced in one transaction.
//!
//! Run by `portolan up` for each node and by `portolan proxy`. Upstream: `pkg/proxy`, `pkg/proxy/nftables`.
#![cfg(target_os = "linux")]

mod choose;
mod condition;
mod elements;
mod facts;
mod health;
mod index;
mod kernel;
mod layout;
mod ledger;
mod metrics;
mod part;
mod planner;
mod rules;
mod sets;
mod targets;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use k8s_openapi::api::{
    core::v1::{Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, runtime::watcher};
use portolan_events::Recorder;
use portolan_netns::Namespace;
use portolan_nftables::{Disturbance, Monitor, SocketError, TableId};
use portolan_objects::Family;
use portolan_runtime::{Backoff, Inputs, Options};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::TcpListener,
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    health::{Health, Subject},
    kernel::Kernel,
    layout::Layout,
    part::{Input, Proxy, Shared, portolan_nftables_family},
    planner::Planner,
    sets::SetId,
};

pub use condition::Condition;
pub use metrics::Metrics;

/// Name of the table, in each address family.
pub const TABLE: &str = "portolan";

/// Which objects a proxy is responsible for.
const OURS: &str = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless";

/// What a proxy has to be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the Node object it works for.
    pub node: String,
    /// The node's network namespace.
    pub namespace: Namespace,
    /// Where the cluster's pods are: what comes from elsewhere to a cluster address is masqueraded. Empty: nothing is
    /// known about it, and only external traffic is.
    pub pod_cidrs: Vec<Ipv4Net>,
    /// The same for IPv6.
    pub pod_cidrs_v6: Vec<Ipv6Net>,
    /// Where cluster addresses are allocated: packets to unused ones are dropped.
    pub service_cidr: Option<Ipv4Net>,
    /// The same for IPv6.
    pub service_cidr_v6: Option<Ipv6Net>,
    /// Where the proxy answers `/healthz` and `/livez`, such as the node's address and port 10256.
    pub health: Option<SocketAddr>,
    /// Node ports answer only on addresses in these networks; empty: on every address of the node.
    pub node_port_addresses: Vec<Ipv4Net>,
    /// Masquerade everything that goes to a cluster address, pods too.
    pub masquerade_all: bool,
    /// Keep other programs from changing the table, where the kernel can (Linux 6.9).
    pub own_table: bool,
    /// Where it reports what people should know; by default nowhere.
    pub recorder: Option<Recorder>,
    /// Where it counts.
    pub metrics: Metrics,
    /// What is wrong with it; by default nothing ever is.
    pub condition: watch::Receiver<Condition>,
}

impl Config {
    /// A proxy for `node` in `namespace`, everything else at its default.
    pub fn new(node: impl Into<String>, namespace: Namespace) -> Self {
        Self {
            node: node.into(),
            namespace,
            pod_cidrs: Vec::new(),
            pod_cidrs_v6: Vec::new(),
            service_cidr: None,
            service_cidr_v6: None,
            health: None,
            node_port_addresses: Vec::new(),
            masquerade_all: false,
            own_table: true,
            recorder: None,
            metrics: Metrics::default(),
            condition: watch::Sender::new(Condition::Well).subscribe(),
        }
    }
}

/// The proxy could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The namespace cannot be entered.
    #[error("cannot enter the network namespace of node {node}")]
    Namespace {
        /// The node.
        node: String,
        /// Why.
        source: io::Error,
    },
    /// The kernel does not let us at its rules.
    #[error("cannot program Services on node {node}")]
    Netfilter {
        /// The node.
        node: String,
        /// Why.
        source: SocketError,
    },
    /// The health address is taken or not ours.
    #[error("cannot serve health checks on {address}; choose another address or stop what listens there")]
    Health {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Runs the proxy until `stop`. Its rules stay: traffic goes on while it restarts.
///
/// # Errors
/// Only at the start; later failures are retried and counted.
pub async fn run(client: Client, config: Config, stop: CancellationToken) -> Result<(), RunError> {
    let (part, signals) = prepare(&config, &stop)?;
    let own_node = watcher::Config::default().fields(&format!("metadata.name={}", config.node));
    let ours = || watcher::Config::default().labels(OURS);
    let inputs = Inputs::new()
        .watch(Api::<Service>::all(client.clone()), ours(), |change| Input::Service(Box::new(change)))
        .watch(Api::<EndpointSlice>::all(client.clone()), ours(), |change| Input::Slice(Box::new(change)))
        .watch(Api::<Node>::all(client), own_node, |change| Input::Node(Box::new(change)))
        .signal(signals);
    portolan_runtime::run(part, inputs, OPTIONS, config.metrics.loop_metrics.clone(), stop).await;
    Ok(())
}

const OPTIONS: Options = Options {
    name: "service-proxy",
    workers: 2,
    backoff: Backoff { base: Duration::from_millis(50), max: Duration::from_secs(30), attempts: None },
    timeout: Duration::from_secs(30),
};

/// Opens what the proxy needs of the node, and starts the server of its own health.
fn prepare(
    config: &Config,
    stop: &CancellationToken,
) -> Result<(Proxy, impl Stream<Item = Input> + Send + use<>), RunError> {
    let (mut kernel, monitor) = open(config)?;
    let owned = config.own_table && kernel.can_own_tables();
    let planners = planners(config, owned);
    let tables: Vec<TableId> = planners.values().map(|planner| planner.layout.table.clone()).collect();
    let health = Health::new(config.metrics.clone());
    if let Some(address) = config.health {
        let listener = config.namespace.tcp_listen(address).and_then(TcpListener::from_std);
        let listener = listener.map_err(|source| RunError::Health { address, source })?;
        tokio::spawn(health::serve(listener, Arc::clone(&health), Subject::Proxy, stop.child_token()));
    }
    let shared = Shared {
        kernel: Arc::new(Mutex::new(kernel)),
        namespace: config.namespace.clone(),
        health,
        recorder: config.recorder.clone(),
        metrics: config.metrics.clone(),
        stop: stop.clone(),
    };
    let signals = stream::select(disturbances(monitor, tables), conditions(config.condition.clone()));
    Ok((Proxy::new(&config.node, planners, shared), signals))
}

fn open(config: &Config) -> Result<(Kernel, AsyncFd<Monitor>), RunError> {
    let node = || config.node.clone();
    let namespace = |source| RunError::Namespace { node: node(), source };
    let netfilter = |source| RunError::Netfilter { node: node(), source };
    let kernel = Kernel::open(&config.namespace).map_err(namespace)?.map_err(netfilter)?;
    let port = kernel.port();
    let monitor = config.namespace.run(|| Monitor::open(port)).map_err(namespace)?.map_err(netfilter)?;
    // SAFETY: the descriptor belongs to `monitor`, which the result owns, never closes before and never replaces.
    let monitor = unsafe { AsyncFd::register_with_interest(monitor, Interest::READABLE) };
    let monitor = monitor.map_err(|error| namespace(error.into()))?;
    Ok((kernel, monitor))
}

fn planners(config: &Config, owned: bool) -> BTreeMap<Family, Planner> {
    let listed: Vec<IpNet> = config.node_port_addresses.iter().copied().map(IpNet::from).collect();
    let pods_v4: Vec<IpNet> = config.pod_cidrs.iter().copied().map(IpNet::from).collect();
    let pods_v6: Vec<IpNet> = config.pod_cidrs_v6.iter().copied().map(IpNet::from).collect();
    let services_v4: Vec<IpNet> = config.service_cidr.map(IpNet::from).into_iter().collect();
    let services_v6: Vec<IpNet> = config.service_cidr_v6.map(IpNet::from).into_iter().collect();
    let planner = |family: Family, pods: Vec<IpNet>, services: Vec<IpNet>, listed: Vec<IpNet>| {
        let layout = Layout {
            table: TableId::new(portolan_nftables_family(family), TABLE),
            detector: !pods.is_empty(),
            masquerade_all: config.masquerade_all,
            listed_node_addresses: !listed.is_empty(),
            owned,
        };
        let mut networks = BTreeMap::from([(SetId::PodCidrs, pods), (SetId::ServiceCidrs, services)]);
        if layout.listed_node_addresses {
            networks.insert(SetId::NodePortIps, listed);
        }
        // The IPv6 table is built when the first Service with an IPv6 address appears.
        (family, Planner::new(layout, family == Family::V4, networks))
    };
    BTreeMap::from([
        planner(Family::V4, pods_v4, services_v4, listed),
        planner(Family::V6, pods_v6, services_v6, Vec::new()),
    ])
}

/// The condition, now and whenever it changes.
fn conditions(mut condition: watch::Receiver<Condition>) -> impl Stream<Item = Input> + Send {
    condition.mark_changed();
    stream::unfold(condition, |mut condition| async {
        condition.changed().await.ok()?;
        let now = *condition.borrow_and_update();
        Some((Input::Condition(now), condition))
    })
}

/// A signal whenever somebody else touched one of the tables.
fn disturbances(monitor: AsyncFd<Monitor>, tables: Vec<TableId>) -> impl Stream<Item = Input> + Send {
    stream::unfold((monitor, tables), |(mut monitor, tables)| async move {
        loop {
            let mut ready = match monitor.readable_mut().await {
                Ok(ready) => ready,
                Err(error) => {
                    warn!(%error, "changes of the table by others are no longer noticed");
                    return None;
                }
            };
            let seen = ready.get_inner_mut().read(&tables);
            ready.clear_ready();
            match seen {
                Ok(Disturbance::None) => {}
                Ok(Disturbance::Touched | Disturbance::Unknown) => return Some((Input::Disturbed, (monitor, tables))),
                Err(error) => {
                    warn!(%error, "changes of the table by others are no longer noticed");
                    return None;
                }
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod lab;
