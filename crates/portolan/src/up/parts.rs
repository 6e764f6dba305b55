//! Everything that runs in the world, started in order and stopped in the reverse one.
//!
//! Each part gets a client with an identity of its own and nothing else of the API server; so each can be pointed at
//! a real cluster instead. Those that faults can stop are [`Switch`]es of the [`Machinery`]; the rest are tasks that run
//! from the start to the end.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use ipnet::IpNet;
use kube::Client;
use portolan_apiserver::{Server, faults::EXEMPT, pki::Authority};
use portolan_cloud::{faulty::Faulty, local::Local};
use portolan_controllers::{endpoints, endpointslice, loadbalancer, mirroring};
use portolan_events::Recorder;
use portolan_netns::broker::BrokerClient;
use portolan_proxy::Condition;
use portolan_runtime::{Metrics, client};
use prometheus_client::registry::Registry;
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    fabric::{EDGE_INSIDE, Fabric, NodeSite, OUTSIDE},
    faults, forward,
    machinery::{Controllers, Machinery, NodeParts, ResolvConf},
    objects::{DNS_PORT, SYSTEM, register_dns, retire_nodes},
    settings::{POD_NETWORK, Settings},
    state_metrics,
    switch::Switch,
};
use crate::{
    controllers::{
        parts::{self as controllers, Recorders, Setup, Site},
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
    /// What faults can stop and start.
    machinery: Arc<Mutex<Machinery>>,
    recorders: Recorders,
    faults: Switch,
    others: JoinSet<()>,
    stop_others: CancellationToken,
    /// Where the state metrics are, on the host.
    pub state_metrics: Option<SocketAddr>,
}

impl Parts {
    /// An administrator's client.
    pub fn admin(&self) -> Client {
        admin(&self.server)
    }

    /// Pods first, while the API can still be told of their end; then everything else; then the store is closed.
    pub async fn shut_down(mut self) -> Result<()> {
        // First of all: nothing that is stopped here may be started again.
        self.faults.off().await;
        {
            let mut machinery = self.machinery.lock().await;
            machinery.stop_agents().await;
            self.stop_others.cancel();
            machinery.stop().await;
        }
        self.recorders.close().await;
        while self.others.join_next().await.is_some() {}
        drop((self.machinery, self.faults));
        if let Ok(server) = Arc::try_unwrap(self.server) {
            server.close().await;
        }
        Ok(())
    }
}

fn admin(server: &Server) -> Client {
    client::tolerant(server.client("admin", &["system:masters"]))
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
    let server = Arc::new(server);
    let mut tasks = Tasks { server: server.clone(), running: JoinSet::new(), stop: CancellationToken::new() };
    let api = listener.local_addr()?;
    tasks.serve_api(authority, settings, listener)?;
    kubeconfig::write(authority, &settings.kubeconfig, api)?;
    let assembly = Assembly { server: &server, authority, settings, fabric };
    let (mut machinery, recorders) = assembly.machinery(&broker)?;
    machinery.start()?;
    let state_metrics =
        settings.state_metrics.map(|address| tasks.serve_state_metrics(address, &broker)).transpose()?;
    if settings.forwards {
        tasks.start_forwards(settings, fabric, broker);
    }
    let admin = admin(&server);
    register_dns(&admin, settings).await.context("cannot register the cluster DNS")?;
    retire_nodes(&admin, fabric).await.context("cannot remove the nodes of an earlier run")?;
    if let Some(list) = &settings.faults {
        faults::declare(admin.clone(), list).await?;
    }
    tasks.keep_dns(admin, settings);
    let machinery = Arc::new(Mutex::new(machinery));
    let mut faults = switchboard(&server, &machinery);
    faults.on()?;
    Ok(Parts { server, machinery, recorders, faults, others: tasks.running, stop_others: tasks.stop, state_metrics })
}

/// The part that switches faults, with an identity that no fault of the API concerns.
fn switchboard(server: &Server, machinery: &Arc<Mutex<Machinery>>) -> Switch {
    let client = client::tolerant(server.client("system:portolan:faults", &["system:masters", EXEMPT]));
    // Not to be kept alive by what it switches, which is dropped before the store is closed.
    let machinery = machinery.clone();
    Switch::new("the switchboard of faults", move |ends| {
        Ok(Box::pin(faults::run(client.clone(), machinery.clone(), ends.stop)))
    })
}

/// A client for a component, under the name that the component has in a real cluster.
fn component(server: &Server, name: &str) -> Client {
    client::tolerant(server.client(name, &["system:authenticated"]))
}

/// What runs from the start to the end, whatever is wrong.
struct Tasks {
    server: Arc<Server>,
    running: JoinSet<()>,
    stop: CancellationToken,
}

impl Tasks {
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
            let (server, tls, stop) = (self.server.clone(), tls.clone(), self.stop.clone());
            self.running.spawn(async move {
                report("the API server", server.serve(listener, tls, stop).await);
            });
        }
        Ok(())
    }

    /// Puts the DNS Service back if somebody deletes it: every pod's resolv.conf names its address.
    fn keep_dns(&mut self, admin: Client, settings: &Settings) {
        let (settings, stop) = (settings.clone(), self.stop.clone());
        self.running.spawn(async move {
            let mut ticks = tokio::time::interval(KEEP_EVERY);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                if let Err(error) = register_dns(&admin, &settings).await {
                    warn!(error = %format!("{error:#}"), "cannot register the cluster DNS, trying again");
                }
            }
        });
    }

    fn serve_state_metrics(&mut self, address: SocketAddr, broker: &BrokerClient) -> Result<SocketAddr> {
        let client = component(&self.server, state_metrics::ACCOUNT);
        state_metrics::start(client, address, broker, &mut self.running, self.stop.clone())
    }

    fn start_forwards(&mut self, settings: &Settings, fabric: &Fabric, broker: Arc<BrokerClient>) {
        // `up` always has a node: the option's range begins at one.
        let Some(node) = fabric.nodes.first() else { return };
        let list = settings.data.join("forwards");
        let client = component(&self.server, "portolan-forwards");
        let stop = self.stop.clone();
        self.running.spawn(forward::run(client, broker, IpAddr::V4(node.address), list, stop));
    }
}

/// What the parts are made from.
struct Assembly<'a> {
    server: &'a Arc<Server>,
    authority: &'a Authority,
    settings: &'a Settings,
    fabric: &'a Fabric,
}

/// What all nodes of the world count together: one page cannot hold a metric twice.
struct Counters {
    proxy: portolan_proxy::Metrics,
    agent: Metrics,
}

impl Site for Assembly<'_> {
    /// Each controller has a service account of its own.
    fn client(&self, account: &str) -> Client {
        self.component(&format!("system:serviceaccount:{SYSTEM}:{account}"))
    }

    fn count<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        self.server.register_metrics(register)
    }
}

impl Assembly<'_> {
    fn component(&self, name: &str) -> Client {
        component(self.server, name)
    }

    /// Every part that can be switched; none runs yet.
    fn machinery(&self, broker: &Arc<BrokerClient>) -> Result<(Machinery, Recorders)> {
        let cloud = Local::new(self.fabric.edge.clone(), self.settings.lb_pool);
        let cloud = Arc::new(Faulty::new(cloud.context("cannot make the local load balancer")?));
        let (controllers, recorders) = self.controllers(cloud.clone());
        let (dns_trouble, trouble) = watch::channel(None);
        let counters = Counters {
            proxy: self.count(|page| portolan_proxy::Metrics::register(page, "kubeproxy")),
            agent: self.count(|page| Metrics::register(page, "kubelet")),
        };
        let nodes = self.fabric.nodes.iter().map(|site| Ok((site.name.clone(), self.node(site, &counters)?)));
        let machinery = Machinery {
            server: self.server.clone(),
            cloud,
            controllers,
            dns: self.dns(broker, trouble),
            dns_trouble,
            nodes: nodes.collect::<Result<_>>()?,
            edge: self.fabric.edge.clone(),
        };
        Ok((machinery, recorders))
    }

    fn controllers(&self, provider: Arc<Faulty<Local>>) -> (Controllers, Recorders) {
        let setup = Setup {
            parts: CONTROLLERS.to_vec(),
            vocabulary: self.settings.vocabulary.into(),
            endpoints: endpoints::Config::default(),
            endpointslice: endpointslice::Config::default(),
            mirroring: mirroring::Config::default(),
            // The edge is on this machine: calls cost nothing.
            loadbalancer: loadbalancer::Config {
                calls_per_second: 1000.0,
                burst: 1000,
                ..loadbalancer::Config::default()
            },
            provider: Some(provider),
            // Nodes bring theirs along.
            pools: None,
            node_ports: self.settings.node_ports.0..=self.settings.node_ports.1,
        };
        let (runnables, recorders) = controllers::equip(self, &setup);
        let mut switches = Controllers::new();
        for runnable in runnables {
            let (part, account) = (runnable.part, runnable.account);
            let switch = Switch::new(part.name(), move |ends| Ok(runnable.run(ends.stop)));
            switches.entry(part).or_default().push((account, switch));
        }
        (switches, recorders)
    }

    fn dns(&self, broker: &Arc<BrokerClient>, trouble: watch::Receiver<Option<portolan_dns::Trouble>>) -> Switch {
        let address = SocketAddr::from((EDGE_INSIDE, DNS_PORT));
        let (by_udp, by_tcp) = (broker.clone(), broker.clone());
        let mut upstreams = portolan_dns::Upstreams::new(
            self.settings.upstreams.clone(),
            Arc::new(move |upstream| by_udp.udp_connect(upstream)),
        );
        upstreams.connect = Some(Arc::new(move |upstream| by_tcp.tcp_connect(upstream)));
        let (client, metrics) = (self.client("coredns"), self.count(portolan_dns::Metrics::register));
        let (edge, services) = (self.fabric.edge.clone(), self.settings.service_cidr);
        Switch::new("the cluster DNS", move |ends| {
            let config = portolan_dns::Config {
                udp: vec![edge.udp_bind(address)?],
                tcp: vec![edge.tcp_listen(address)?],
                upstreams: upstreams.clone(),
                metrics: metrics.clone(),
                reverse: vec![IpNet::V4(services), IpNet::V4(POD_NETWORK)],
                trouble: trouble.clone(),
                ..portolan_dns::Config::new(DOMAIN)
            };
            let client = client.clone();
            Ok(Box::pin(async move { report("the cluster DNS", portolan_dns::run(client, config, ends.stop).await) }))
        })
    }

    fn node(&self, site: &NodeSite, counters: &Counters) -> Result<NodeParts> {
        let root = self.settings.data.join("nodes").join(&site.name);
        let resolv_conf = resolv_conf(&root)?;
        let (condition, conditions) = watch::channel(Condition::Well);
        Ok(NodeParts {
            namespace: site.namespace.clone(),
            agent: self.agent(site, root, resolv_conf.path.clone(), counters)?,
            proxy: self.proxy(site, conditions, counters),
            condition,
            resolv_conf,
            held: Vec::new(),
        })
    }

    fn proxy(&self, site: &NodeSite, condition: watch::Receiver<Condition>, counters: &Counters) -> Switch {
        let client = self.component("system:kube-proxy");
        let recorder =
            Recorder::new(client.clone(), "kube-proxy", Some(site.name.clone()), self.settings.vocabulary.into());
        let config = portolan_proxy::Config {
            pod_cidrs: vec![POD_NETWORK],
            service_cidr: Some(self.settings.service_cidr),
            health: Some((site.address, PROXY_HEALTH_PORT).into()),
            recorder: Some(recorder),
            metrics: counters.proxy.clone(),
            condition,
            ..portolan_proxy::Config::new(&site.name, site.namespace.clone())
        };
        let name = format!("the proxy of {}", site.name);
        Switch::new(name.clone(), move |ends| {
            let (name, client, config) = (name.clone(), client.clone(), config.clone());
            Ok(Box::pin(async move { report(&name, portolan_proxy::run(client, config, ends.stop).await) }))
        })
    }

    fn agent(&self, site: &NodeSite, root: PathBuf, resolv_conf: PathBuf, counters: &Counters) -> Result<Switch> {
        let names = [site.name.clone(), site.address.to_string()];
        let tls = self.authority.kubelet_server_config(&names).context("cannot make the agent's certificate")?;
        let config = portolan_node::Config {
            name: site.name.clone(),
            address: site.address.into(),
            pod_cidr: site.pod_cidr,
            namespace: site.namespace.clone(),
            dns: vec![self.settings.dns_address().into()],
            domain: DOMAIN.to_owned(),
            resolv_conf,
            images: images(self.settings)?,
            root,
            kubelet_tls: Some(Arc::new(tls)),
            stop_deadline: POD_DEADLINE,
            metrics: counters.agent.clone(),
            lost: CancellationToken::new(),
        };
        let client = self.component(&format!("system:node:{}", site.name));
        let recorder =
            Recorder::new(client.clone(), "kubelet", Some(site.name.clone()), self.settings.vocabulary.into());
        let name = format!("the agent of {}", site.name);
        Ok(Switch::new(name.clone(), move |ends| {
            let config = portolan_node::Config { lost: ends.lost, ..config.clone() };
            let (name, client, recorder) = (name.clone(), client.clone(), recorder.clone());
            Ok(Box::pin(async move { report(&name, portolan_node::run(client, recorder, config, ends.stop).await) }))
        }))
    }
}

pub(super) fn report<E: std::error::Error + Send + Sync + 'static>(part: &str, result: Result<(), E>) {
    match result {
        Ok(()) => info!(part, "stopped"),
        Err(error) => error!(part, error = %format!("{:#}", anyhow::Error::new(error)), "ended with an error"),
    }
}

/// The node's own resolv.conf: what the machine has at the start. From then on it is the node's, as any other node's.
fn resolv_conf(root: &Path) -> Result<ResolvConf> {
    // Logs and secrets of pods come here: nobody else may look.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .with_context(|| format!("cannot make {}", root.display()))?;
    let path = root.join("resolv.conf");
    // A machine without one has no nameservers.
    let own = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    std::fs::write(&path, &own).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(ResolvConf { path, own })
}

/// The built-in images are this very program; the others are the user's.
fn images(settings: &Settings) -> Result<BTreeMap<String, portolan_node::Program>> {
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
