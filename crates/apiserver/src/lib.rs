//! The embedded Kubernetes API server.
//!
//! A request goes down three layers and knows nothing of the one below the next:
//! - `http` parses its head into a typed operation, a pure function, and renders what comes back;
//! - `registry` does the operation, once for all resources, with the rules of each kind from `portolan-kinds`;
//! - `store` holds every object in memory as encoded bytes, commits in groups, and feeds watchers from one ring.
//!
//! [`Server::open`] loads the store and makes what every cluster has from the start; [`Server::client`] gives a
//! [`kube::Client`] in process, without a socket; [`Server::serve`] listens with TLS.

mod auth;
mod bootstrap;
mod client;
mod discovery;
pub mod faults;
mod http;
mod kubelet;
pub mod pki;
mod registry;
mod status;
mod store;

use std::{io, net::SocketAddr, ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use ipnet::IpNet;
use portolan_kinds::allocate::{Allocators, CidrsError, Families};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{auth::Identity, http::BODY_LIMIT, http::VERSION, store::Retention};
use self::{bootstrap::Bootstrap, http::Api, registry::Registry, store::Store};

/// How often history that is too old is dropped from storages that nobody writes to.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of the store's file; without one everything is gone with the process.
    pub data: Option<PathBuf>,
    /// Where ClusterIPs come from at first: one range, or one of each family. The first is that of Services that ask
    /// for no family. Later, ServiceCIDR objects say it.
    pub service_cidrs: Vec<IpNet>,
    /// Where node ports come from.
    pub node_port_range: RangeInclusive<u16>,
    /// Where the Service default/kubernetes leads; without it that Service has no endpoints.
    pub advertise: Option<SocketAddr>,
    /// How long an Event lives after its last write.
    pub event_ttl: Duration,
    /// TLS towards node agents, for the logs of pods.
    pub kubelet_client: Option<Arc<rustls::ClientConfig>>,
    /// How much history watches can resume from.
    pub retention: Retention,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: None,
            service_cidrs: vec![IpNet::new_assert(std::net::Ipv4Addr::new(10, 96, 0, 0).into(), 16)],
            node_port_range: 30_000..=32_767,
            advertise: None,
            event_ttl: Duration::from_secs(3600),
            kubelet_client: None,
            retention: Retention::default(),
        }
    }
}

/// Why a server cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store is not usable.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The ranges of Services are not those of a cluster.
    #[error("cannot use these service CIDRs: {0}")]
    Cidrs(#[from] CidrsError),
    /// An object that every cluster has cannot be made; the text names it.
    #[error("cannot make the cluster's own objects: {0}; was the data directory made with another --service-cidr?")]
    Bootstrap(String),
}

impl OpenError {
    /// Whether another process has the store open: it may be about to end.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Store(store::OpenError::Locked { .. }))
    }
}

/// The API server.
pub struct Server {
    api: Arc<Api>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Opens the store and makes what every cluster has from the start.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let families = Families::of(&config.service_cidrs)?;
        let options = store::Options { data: config.data.clone(), retention: config.retention };
        let open = move || Store::open(options, &registry::storages(), registry::index());
        let store = tokio::task::spawn_blocking(open)
            .await
            .map_err(|error| OpenError::Bootstrap(format!("loading the store was interrupted: {error}")))??;
        let allocators = Allocators::new(families, config.node_port_range.clone());
        let stop = CancellationToken::new();
        let registry = Arc::new(Registry::new(store.clone(), allocators, config.kubelet_client, stop.clone()));
        let own = Bootstrap { service_cidrs: config.service_cidrs, advertise: config.advertise };
        own.reconcile(&registry).await.map_err(|error| OpenError::Bootstrap(error.message))?;
        let tasks = TaskTracker::new();
        tasks.spawn(registry::expire_events(registry.clone(), config.event_ttl));
        tasks.spawn(own.keep(registry.clone(), stop.clone()));
        tasks.spawn(trim(registry.clone(), stop.clone()));
        tasks.close();
        Ok(Self { api: Arc::new(Api::new(registry)), stop, tasks })
    }

    /// Lets another part of this process put its metrics on the server's `/metrics` page. Names must differ.
    pub fn register_metrics<T>(&self, register: impl FnOnce(&mut prometheus_client::registry::Registry) -> T) -> T {
        self.api.metrics().register(register)
    }

    /// What is wrong with it: the process may declare faults.
    pub fn faults(&self) -> &faults::Faults {
        self.api.faults()
    }

    /// A client in this process with an identity of its own.
    pub fn client(&self, user: &str, groups: &[&str]) -> kube::Client {
        client::client(self.api.clone(), Identity::new(user, groups))
    }

    /// Serves on a listener until `stop`.
    pub async fn serve(
        &self,
        listener: std::net::TcpListener,
        tls: Arc<rustls::ServerConfig>,
        stop: CancellationToken,
    ) -> io::Result<()> {
        http::serve::serve(self.api.clone(), listener, tls, stop).await
    }

    /// Ends all watches, waits for the writes in flight and closes the file.
    pub async fn close(self) {
        self.stop.cancel();
        self.tasks.wait().await;
        self.api.registry().store().close().await;
    }
}

impl Drop for Server {
    /// Ends watches and background work: a server that is dropped without being closed must not keep its file open.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn trim(registry: Arc<Registry>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TRIM_EVERY) => {}
        }
        // First: what is trimmed can no longer be followed.
        registry.follow();
        registry.store().trim();
    }
}
