//! Everything that runs in the world, started in order and stopped in the reverse one.
//!
//! Each part gets a client with an identity of its own and nothing else of the API server; so each can be pointed at
//! a real cluster instead.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use ipnet::IpNet;
use kube::Client;
use portolan_apiserver::{Server, pki::Authority};
use portolan_cloud::local::Local;
use portolan_controllers::{endpoints, endpointslice, loadbalancer, mirroring};
use portolan_events::{Recorder, Vocabulary};
use portolan_netns::broker::BrokerClient;
use portolan_runtime::{Metrics, client};
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    fabric::{EDGE_INSIDE, Fabric, NodeSite, OUTSIDE},
    forward,
    objects::{DNS_PORT, SYSTEM, register_dns, retire_nodes},
    settings::{POD_NETWORK, Settings},
};
use crate::{
    controllers::{
        parts::{self as controllers, Running, Setup, Site},
        select::Part,
    },
    kubeconfig,
};

/// The API's port inside the world.
const API_PORT: u16 = 6443;
/// The proxies' health port, as kube-proxy's.
const PROXY_HEALTH_PORT: u16 = 10256;
const DOMAIN: &str = "cluster.local";
/// A network that was killed a moment ago may still hold its store.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
/// How soon a deleted DNS Service is back.
const KEEP_EVERY: Duration = Duration::from_secs(10);
/// Pods get this long to end when the world is told to stop.
const POD_DEADLINE: Duration = Duration::from_secs(30);

/// The whole control plane of a network on one machine.
const CONTROLLERS: &[Part] = &[
    Part::Endpoints,
    Part::EndpointSlice,
    Part::Mirroring,
    Part::ServiceLb,
    Part::Deployment,
    Part::ReplicaSet,
    Part::Scheduler,
    Part::Namespace,
    Part::ServiceAccount,
    Part::GarbageCollector,
    Part::Nodes,
    Part::ServiceCidr,
    Part::Repair,
];

/// The running parts.
pub struct Parts {
    server: Arc<Server>,
    nodes: JoinSet<()>,
    controllers: Option<Running>,
    others: JoinSet<()>,
    stop_nodes: CancellationToken,
    stop_others: CancellationToken,
}

/// What all nodes of the world count together: one page cannot hold a metric twice.
struct Counters {
    proxy: portolan_proxy::Metrics,
    agent: Metrics,
}

impl Parts {
    /// An administrator's client.
    pub fn admin(&self) -> Client {
        client::tolerant(self.server.client("admin", &["system:masters"]))
    }

    /// Pods first, while the API can still be told of their end; then everything else; then the store is closed.
    pub async fn shut_down(mut self) -> Result<()> {
        self.stop_nodes.cancel();
        while self.nodes.join_next().await.is_some() {}
        self.stop_others.cancel();
        if let Some(controllers) = self.controllers.take() {
            controllers.ended().await?;
        }
        while self.others.join_next().await.is_some() {}
        if let Ok(server) = Arc::try_unwrap(self.server) {
            server.close().await;
        }
        Ok(())
    }
}

/// Opens the store and the registry; nothing listens yet.
pub async fn open_server(settings: &Settings, authority: &Authority) -> Result<Server> {
    let config = portolan_apiserver::Config {
        data: (!settings.ephemeral).then(|| settings.data.clone()),
        service_cidrs: vec![settings.service_cidr.into()],
        node_port_range: settings.node_ports.0..=settings.node_ports.1,
        advertise: Some((OUTSIDE, API_PORT).into()),
        kubelet_client: Some(Arc::new(authority.client_config("kube-apiserver-kubelet-client", "system:masters")?)),
        ..portolan_apiserver::Config::default()
    };
    let patience = Instant::now() + LOCK_PATIENCE;
    loop {
        match Server::open(config.clone()).await {
            Ok(server) => return Ok(server),
            Err(error) if error.is_locked() && Instant::now() < patience => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => {
                return Err(error).context("cannot start the API server");
            }
        }
    }
}

/// The certificate authority of this network: kept with its data.
pub fn authority(settings: &Settings) -> Result<Authority> {
    Authority::load_or_create(&settings.data)
        .with_context(|| format!("cannot load or create the certificates in {}", settings.data.display()))
}

/// Starts everything. When it returns the API answers; nodes come up within milliseconds after.
pub async fn start(
    server: Server,
    authority: &Authority,
    settings: &Settings,
    fabric: &Fabric,
    listener: TcpListener,
    broker: Arc<BrokerClient>,
) -> Result<Parts> {
    let mut parts = Parts {
        server: Arc::new(server),
        nodes: JoinSet::new(),
        controllers: None,
        others: JoinSet::new(),
        stop_nodes: CancellationToken::new(),
        stop_others: CancellationToken::new(),
    };
    let api = listener.local_addr()?;
    parts.serve_api(authority, settings, listener)?;
    kubeconfig::write(authority, &settings.kubeconfig, api)?;
    parts.start_controllers(settings, fabric)?;
    parts.start_dns(settings, fabric, broker.clone())?;
    let counters = Counters {
        proxy: parts.count(|page| portolan_proxy::Metrics::register(page, "kubeproxy")),
        agent: parts.count(|page| Metrics::register(page, "kubelet")),
    };
    for site in &fabric.nodes {
        parts.start_node(authority, settings, site, &counters)?;
    }
    if settings.forwards {
        parts.start_forwards(settings, fabric, broker);
    }
    register_dns(&parts.admin(), settings).await.context("cannot register the cluster DNS")?;
    retire_nodes(&parts.admin(), fabric).await.context("cannot remove the nodes of an earlier run")?;
    parts.keep_dns(settings);
    Ok(parts)
}

impl Site for Parts {
    /// Each controller has a service account of its own.
    fn client(&self, account: &str) -> Client {
        self.component(&format!("system:serviceaccount:{SYSTEM}:{account}"))
    }

    fn count<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        self.server.register_metrics(register)
    }
}

impl Parts {
    /// A client for a component, under the name that the component has in a real cluster.
    fn component(&self, name: &str) -> Client {
        client::tolerant(self.server.client(name, &["system:authenticated"]))
    }

    /// On the host's address and inside the world.
    fn serve_api(&mut self, authority: &Authority, settings: &Settings, listener: TcpListener) -> Result<()> {
        let names = [
            "localhost",
            "127.0.0.1",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ];
        let addresses = [settings.listen.ip(), OUTSIDE.into(), settings.api_address()];
        let names: Vec<String> =
            names.map(str::to_owned).into_iter().chain(addresses.map(|address| address.to_string())).collect();
        let tls = Arc::new(authority.server_config(&names).context("cannot make the API's certificate")?);
        let inside = TcpListener::bind((OUTSIDE, API_PORT)).context("cannot listen inside the world")?;
        for listener in [listener, inside] {
            listener.set_nonblocking(true)?;
            let (server, tls, stop) = (self.server.clone(), tls.clone(), self.stop_others.clone());
            self.others.spawn(async move {
                report("the API server", server.serve(listener, tls, stop).await);
            });
        }
        Ok(())
    }

    fn start_controllers(&mut self, settings: &Settings, fabric: &Fabric) -> Result<()> {
        let local = Local::new(fabric.edge.clone(), settings.lb_pool).context("cannot make the local load balancer")?;
        let setup = Setup {
            parts: CONTROLLERS.to_vec(),
            vocabulary: Vocabulary::Full,
            endpoints: endpoints::Config::default(),
            endpointslice: endpointslice::Config::default(),
            mirroring: mirroring::Config::default(),
            // The edge is on this machine: calls cost nothing.
            loadbalancer: loadbalancer::Config {
                calls_per_second: 1000.0,
                burst: 1000,
                ..loadbalancer::Config::default()
            },
            provider: Some(Arc::new(local)),
            // Nodes bring theirs along.
            pools: None,
            node_ports: settings.node_ports.0..=settings.node_ports.1,
        };
        self.controllers = Some(controllers::start(self, &setup, &self.stop_others));
        Ok(())
    }

    fn start_dns(&mut self, settings: &Settings, fabric: &Fabric, broker: Arc<BrokerClient>) -> Result<()> {
        let address = SocketAddr::from((EDGE_INSIDE, DNS_PORT));
        let by_tcp = broker.clone();
        let mut upstreams = portolan_dns::Upstreams::new(
            settings.upstreams.clone(),
            Arc::new(move |upstream| broker.udp_connect(upstream)),
        );
        upstreams.connect = Some(Arc::new(move |upstream| by_tcp.tcp_connect(upstream)));
        let config = portolan_dns::Config {
            udp: vec![fabric.edge.udp_bind(address)?],
            tcp: vec![fabric.edge.tcp_listen(address)?],
            upstreams,
            metrics: self.count(portolan_dns::Metrics::register),
            reverse: vec![IpNet::V4(settings.service_cidr), IpNet::V4(POD_NETWORK)],
            ..portolan_dns::Config::new(DOMAIN)
        };
        let (client, stop) = (self.client("coredns"), self.stop_others.clone());
        self.others.spawn(async move { report("the cluster DNS", portolan_dns::run(client, config, stop).await) });
        Ok(())
    }

    /// Puts the DNS Service back if somebody deletes it: every pod's resolv.conf names its address.
    fn keep_dns(&mut self, settings: &Settings) {
        let (admin, settings, stop) = (self.admin(), settings.clone(), self.stop_others.clone());
        self.others.spawn(async move {
            let mut ticks = tokio::time::interval(KEEP_EVERY);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                if let Err(error) = register_dns(&admin, &settings).await {
                    warn!(error = %format!("{error:#}"), "cannot register the cluster DNS, trying again");
                }
            }
        });
    }

    /// The proxy and the agent of one node.
    fn start_node(
        &mut self,
        authority: &Authority,
        settings: &Settings,
        site: &NodeSite,
        counters: &Counters,
    ) -> Result<()> {
        let user = format!("system:node:{}", site.name);
        let config = portolan_proxy::Config {
            pod_cidrs: vec![POD_NETWORK],
            service_cidr: Some(settings.service_cidr),
            health: Some((site.address, PROXY_HEALTH_PORT).into()),
            recorder: Some(Recorder::new(
                self.component("system:kube-proxy"),
                "kube-proxy",
                Some(site.name.clone()),
                Vocabulary::Full,
            )),
            metrics: counters.proxy.clone(),
            ..portolan_proxy::Config::new(&site.name, site.namespace.clone())
        };
        let (client, stop) = (self.component("system:kube-proxy"), self.stop_others.clone());
        let name = format!("the proxy of {}", site.name);
        self.others.spawn(async move { report(&name, portolan_proxy::run(client, config, stop).await) });

        let names = [site.name.clone(), site.address.to_string()];
        let tls = authority.kubelet_server_config(&names).context("cannot make the agent's certificate")?;
        let root = settings.data.join("nodes").join(&site.name);
        let config = portolan_node::Config {
            name: site.name.clone(),
            address: site.address.into(),
            pod_cidr: site.pod_cidr,
            namespace: site.namespace.clone(),
            dns: vec![settings.dns_address().into()],
            domain: DOMAIN.to_owned(),
            resolv_conf: resolv_conf(&root)?,
            images: images(settings)?,
            root,
            kubelet_tls: Some(Arc::new(tls)),
            stop_deadline: POD_DEADLINE,
            metrics: counters.agent.clone(),
            lost: CancellationToken::new(),
        };
        let client = self.component(&user);
        let recorder = Recorder::new(client.clone(), "kubelet", Some(site.name.clone()), Vocabulary::Full);
        let stop = self.stop_nodes.clone();
        let name = format!("the agent of {}", site.name);
        self.nodes.spawn(async move { report(&name, portolan_node::run(client, recorder, config, stop).await) });
        Ok(())
    }

    fn start_forwards(&mut self, settings: &Settings, fabric: &Fabric, broker: Arc<BrokerClient>) {
        // `up` always has a node: the option's range begins at one.
        let Some(node) = fabric.nodes.first() else { return };
        let list = settings.data.join("forwards");
        let (client, stop) = (self.component("portolan-forwards"), self.stop_others.clone());
        self.others.spawn(forward::run(client, broker, IpAddr::V4(node.address), list, stop));
    }
}

fn report<E: std::error::Error + Send + Sync + 'static>(part: &str, result: Result<(), E>) {
    match result {
        Ok(()) => info!(part, "stopped"),
        Err(error) => error!(part, error = %format!("{:#}", anyhow::Error::new(error)), "ended with an error"),
    }
}

/// The node's own resolv.conf: what the machine has at the start. From then on it is the node's, as any other node's.
fn resolv_conf(root: &Path) -> Result<PathBuf> {
    // Logs and secrets of pods come here: nobody else may look.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .with_context(|| format!("cannot make {}", root.display()))?;
    let path = root.join("resolv.conf");
    // A machine without one has no nameservers.
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The built-in images are this very program; the others are the user's.
fn images(settings: &Settings) -> Result<std::collections::BTreeMap<String, portolan_node::Program>> {
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    let built_in = [("portolan/echo", "echo"), ("portolan/probe", "probe")].map(|(name, command)| {
        (name.to_owned(), portolan_node::Program { path: this.clone(), arguments: vec![command.to_owned()] })
    });
    let given = settings
        .images
        .iter()
        .map(|(name, path)| (name.clone(), portolan_node::Program { path: path.clone(), arguments: Vec::new() }));
    Ok(built_in.into_iter().chain(given).collect())
}
