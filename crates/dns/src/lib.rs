//! Cluster DNS: the names of Services, headless endpoints and pods, answered from watched objects.
//!
//! Started by `portolan up` and `portolan dns` with sockets that may come from another network namespace.
//!
//! ```text
//! watch -> Index -> Zone (shared records) -> answer (pure) -> message -> socket
//!                                              '-> forward: every name outside the cluster
//! ```
//!
//! The watch side rewrites the records of the one Service that changed; the answering side only reads, so a query
//! never waits for the API. Until every watch has delivered its first set the answer is SERVFAIL, not NXDOMAIN: a
//! resolver tries again after the first and remembers the second.
//!
//! Messages are read and written with `hickory-proto`. The server loop is our own because a forwarded answer leaves
//! byte for byte as the upstream sent it, which a server framework built around parsed messages does not offer.
//!
//! Names follow the Kubernetes DNS-based service discovery specification, schema 1.1.0
//! (`kubernetes/dns`, `docs/specification.md`); what it leaves open follows CoreDNS' `kubernetes` plugin.

mod answer;
mod forward;
mod index;
mod message;
mod metrics;
mod server;
mod zone;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::future;
use ipnet::IpNet;
use k8s_openapi::api::{
    core::v1::{Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, runtime::watcher};
use portolan_runtime::{Backoff, Inputs, Options};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use answer::{Answer, Outcome, answer};
pub use index::{Index, Input};
pub use metrics::Metrics;
pub use zone::{InvalidDomain, Zone};

/// How the DNS server runs.
pub struct Config {
    /// The cluster domain without a trailing dot, such as `cluster.local`.
    pub domain: String,
    /// Bound UDP sockets to answer on.
    pub udp: Vec<std::net::UdpSocket>,
    /// Listening TCP sockets to answer on.
    pub tcp: Vec<std::net::TcpListener>,
    /// Where every other name is asked.
    pub upstreams: Upstreams,
    /// Networks whose reverse names are ours alone (Service and pod ranges): an unknown address in them is
    /// NXDOMAIN and is never asked upstream.
    pub reverse: Vec<IpNet>,
    /// What `a-b-c-d.NAMESPACE.pod.DOMAIN` answers.
    pub pods: PodRecords,
    /// What the server counts.
    pub metrics: Metrics,
    /// What is wrong with it, for laboratories: while there is something, every question is answered so.
    pub trouble: watch::Receiver<Option<Trouble>>,
}

/// The one answer of a broken server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// SERVFAIL.
    ServerFailure,
    /// NXDOMAIN.
    NoSuchName,
    /// None.
    Silent,
}

impl Config {
    /// A server for `domain` that answers on no socket yet and asks no upstream.
    pub fn new(domain: impl Into<String>) -> Self {
        Self {
            domain: domain.into(),
            udp: Vec::new(),
            tcp: Vec::new(),
            upstreams: Upstreams::none(),
            reverse: Vec::new(),
            pods: PodRecords::Insecure,
            metrics: Metrics::default(),
            // Nobody will ever send anything: it stays well.
            trouble: watch::Sender::new(None).subscribe(),
        }
    }
}

/// What `a-b-c-d.NAMESPACE.pod.DOMAIN` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodRecords {
    /// NXDOMAIN.
    Disabled,
    /// The address that the name spells, whether or not such a pod exists. The specification asks for this form;
    /// it is called insecure because anyone can make a name for any address.
    Insecure,
}

/// Makes a fresh UDP socket from which the given upstream can be reached: unconnected or connected, on a port that
/// the kernel picks, in whichever network namespace the upstream lives.
pub type BindUdp = Arc<dyn Fn(SocketAddr) -> io::Result<std::net::UdpSocket> + Send + Sync>;
/// Connects to the given upstream over TCP.
pub type ConnectTcp = Arc<dyn Fn(SocketAddr) -> io::Result<std::net::TcpStream> + Send + Sync>;

/// Where names outside the cluster are asked.
#[derive(Clone)]
pub struct Upstreams {
    /// Servers, the preferred one first. None: such names get SERVFAIL.
    pub addrs: Vec<SocketAddr>,
    /// One new socket for each question, so that the source port cannot be guessed.
    pub bind: BindUdp,
    /// For questions that came over TCP and whose UDP answer was cut; without it the cut answer is passed on.
    pub connect: Option<ConnectTcp>,
    /// How long one upstream may take before the next is asked.
    pub timeout: Duration,
    /// Most questions under way at a time; further ones get SERVFAIL.
    pub in_flight: usize,
}

impl Upstreams {
    /// No upstream.
    pub fn none() -> Self {
        Self::new(Vec::new(), Arc::new(|_| Err(io::ErrorKind::Unsupported.into())))
    }

    /// These upstreams, with 1.5 s each and at most 512 questions under way.
    pub fn new(addrs: Vec<SocketAddr>, bind: BindUdp) -> Self {
        Self { addrs, bind, connect: None, timeout: Duration::from_millis(1500), in_flight: 512 }
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The cluster domain is not a DNS name.
    #[error("cannot serve cluster DNS")]
    Domain(#[from] InvalidDomain),
    /// A socket could not be handed to the event loop.
    #[error("cannot use a DNS socket")]
    Socket(#[source] io::Error),
}

/// Serves DNS until `stop`.
///
/// # Errors
/// Only for what is wrong from the start: the domain or a socket. Failing watches are restarted for ever.
pub async fn run(client: Client, config: Config, stop: CancellationToken) -> Result<(), RunError> {
    let zone = Arc::new(Zone::new(&config.domain, config.reverse, config.pods)?);
    let resolver = Arc::new(server::Resolver::new(zone.clone(), config.upstreams, config.metrics, config.trouble));
    let mut tasks: Vec<future::BoxFuture<'static, ()>> = Vec::new();
    for socket in config.udp {
        let socket = server::udp(socket).map_err(RunError::Socket)?;
        tasks.push(Box::pin(server::serve_udp(socket, resolver.clone(), stop.clone())));
    }
    for listener in config.tcp {
        let listener = server::tcp(listener).map_err(RunError::Socket)?;
        tasks.push(Box::pin(server::serve_tcp(listener, resolver.clone(), stop.clone())));
    }
    tasks.push(Box::pin(watch(client, zone, stop)));
    future::join_all(tasks.into_iter().map(tokio::spawn)).await;
    Ok(())
}

/// Keeps `zone` in step with the API until `stop`.
async fn watch(client: Client, zone: Arc<Zone>, stop: CancellationToken) {
    let inputs = Inputs::new()
        .watch::<Service>(Api::all(client.clone()), watcher::Config::default(), Input::Service)
        .watch::<EndpointSlice>(Api::all(client.clone()), watcher::Config::default(), Input::Slice)
        .watch::<Namespace>(Api::all(client), watcher::Config::default(), Input::Namespace);
    let options = Options {
        name: "dns",
        workers: 1,
        backoff: Backoff { base: Duration::from_secs(1), max: Duration::from_secs(30), attempts: None },
        timeout: Duration::from_secs(1),
    };
    // Nothing is ever planned: the index is the whole job, so the loop's counters stay at zero.
    portolan_runtime::run(Index::new(zone), inputs, options, Default::default(), stop).await;
}
