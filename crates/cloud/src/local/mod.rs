//! A real load balancer on this machine: an edge namespace, the gateway of the nodes, that spreads connections over
//! the node ports of healthy nodes.
//!
//! Each Service of type LoadBalancer gets an address from the pool. The address is put on the edge's loopback interface
//! (so unknown ports are refused instead of lost) and its ports into the table of `ruleset`. A health check per node
//! decides who is in the slots: `healthCheckNodePort` for `externalTrafficPolicy: Local`, else the proxy's own check.
//! Nobody healthy means that connections are refused. The client's address is kept.
//!
//! Whoever builds the namespace routes the pool to it and lets it forward; see `portolan up`.
//! Model of behaviour: upstream's `cloud-provider-kind` and the health checks of the large clouds.

mod edge;
mod health;
mod ruleset;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Weak},
    time::Duration,
};

use futures::future::{self, BoxFuture, FutureExt};
use ipnet::Ipv4Net;
use parking_lot::Mutex;
use portolan_netns::Namespace;
use portolan_objects::Protocol;
use tokio::time::timeout;
use tracing::{error, info};

use crate::{BalancerId, Class, CloudError, Held, LoadBalancer, LoadBalancers, Observer, Status, Step, pool::Pool};
use edge::Edge;
use health::Check;

pub use edge::OpenError;

/// Where proxies answer for a whole node (kube-proxy's `--healthz-bind-address`).
const PROXY_HEALTH_PORT: u16 = 10256;
/// How long `ensure` waits for the first check of every node, so that the address works when it is published.
const FIRST_CHECKS: Duration = Duration::from_millis(500);

/// The local provider. Cheap to clone; the last clone's end stops the health checks.
#[derive(Clone)]
pub struct Local {
    shared: Arc<Shared>,
}

struct Shared {
    namespace: Namespace,
    state: Mutex<State>,
}

struct State {
    pool: Pool,
    edge: Edge,
    balancers: BTreeMap<BalancerId, Balancer>,
    checks: BTreeMap<SocketAddr, Check>,
}

struct Balancer {
    wanted: LoadBalancer,
    address: Ipv4Addr,
}

// === impl Local ===

impl Local {
    /// A provider that balances in the namespace `edge` and hands out the addresses of `pool`.
    pub fn new(edge: Namespace, pool: Ipv4Net) -> Result<Self, OpenError> {
        let kernel = Edge::open(&edge)?;
        let state = State { pool: Pool::new(pool), edge: kernel, balancers: BTreeMap::new(), checks: BTreeMap::new() };
        Ok(Self { shared: Arc::new(Shared { namespace: edge, state: Mutex::new(state) }) })
    }

    async fn ensure(&self, wanted: &LoadBalancer, observer: Observer<'_>) -> Result<Status, CloudError> {
        let status = self.shared.ensure(wanted, observer)?;
        self.first_checks(&wanted.id).await;
        Ok(status)
    }

    /// Waits until every node of the balancer has been checked once, but not long.
    async fn first_checks(&self, id: &BalancerId) {
        let results: Vec<_> = {
            let state = self.shared.state.lock();
            let targets = state.balancers.get(id).map(|balancer| targets(&balancer.wanted)).unwrap_or_default();
            targets.iter().filter_map(|target| Some(state.checks.get(target)?.result())).collect()
        };
        let all = future::join_all(results.into_iter().map(|mut result| async move {
            // An ended check has nothing more to wait for.
            result.wait_for(Option::is_some).await.map(drop).unwrap_or_default();
        }));
        // Late nodes come in when they answer.
        timeout(FIRST_CHECKS, all).await.map(drop).unwrap_or_default();
        // The checks program the kernel in their own tasks; do it here as well, so that it is done on return.
        self.shared.refresh(id);
    }
}

impl LoadBalancers for Local {
    fn adopt<'a>(&'a self, held: &'a [Held]) -> BoxFuture<'a, Result<(), CloudError>> {
        let mut state = self.shared.state.lock();
        for Held { id, status } in held {
            for address in &status.addresses {
                if let IpAddr::V4(address) = address {
                    state.pool.adopt(id, *address);
                }
            }
        }
        future::ready(Ok(())).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Option<Vec<Held>>, CloudError>> {
        let state = self.shared.state.lock();
        let held = state.pool.holders().map(|(id, address)| Held { id: id.clone(), status: status(address) });
        future::ready(Ok(Some(held.collect()))).boxed()
    }

    fn get<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<Option<Status>, CloudError>> {
        // An adopted address counts: it was a balancer when the last process stopped, and must be given back.
        let held = self.shared.state.lock().pool.get(id);
        future::ready(Ok(held.map(status))).boxed()
    }

    fn ensure<'a>(
        &'a self,
        wanted: &'a LoadBalancer,
        observer: Observer<'a>,
    ) -> BoxFuture<'a, Result<Status, CloudError>> {
        Local::ensure(self, wanted, observer).boxed()
    }

    fn update_nodes<'a>(&'a self, wanted: &'a LoadBalancer) -> BoxFuture<'a, Result<(), CloudError>> {
        async move {
            self.shared.update(wanted)?;
            self.first_checks(&wanted.id).await;
            Ok(())
        }
        .boxed()
    }

    fn delete<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<(), CloudError>> {
        future::ready(self.shared.state.lock().delete(id)).boxed()
    }
}

// === impl Shared ===

impl Shared {
    fn ensure(self: &Arc<Self>, wanted: &LoadBalancer, observer: Observer<'_>) -> Result<Status, CloudError> {
        let id = &wanted.id;
        let mut state = self.state.lock();
        let before = state.pool.get(id);
        let address = state.allocate(wanted, observer)?;
        let exists = state.balancers.get(id).is_some_and(|balancer| balancer.address == address);
        if !exists {
            observer(Step::Creating);
        }
        if let Some(before) = before.filter(|before| *before != address) {
            state.unprogram(id, before)?;
        }
        state.edge.add_address(address)?;
        state.put(self, wanted, address)?;
        if !exists {
            info!(service = %id.service, %address, "load balancer created at the edge");
            observer(Step::Created(status(address)));
        }
        Ok(status(address))
    }

    fn update(self: &Arc<Self>, wanted: &LoadBalancer) -> Result<(), CloudError> {
        let mut state = self.state.lock();
        let Some(balancer) = state.balancers.get(&wanted.id) else {
            let message = format!("{} has no balancer to update", wanted.id.service);
            return Err(CloudError::new(Class::Invalid, "BalancerNotFound", message));
        };
        let address = balancer.address;
        state.put(self, wanted, address)
    }

    /// A check has changed its mind: programs every balancer that listens to it.
    fn checked(&self, target: SocketAddr) {
        let mut state = self.state.lock();
        let touched: Vec<BalancerId> = state
            .balancers
            .iter()
            .filter(|(_, balancer)| targets(&balancer.wanted).contains(&target))
            .map(|(id, _)| id.clone())
            .collect();
        let healthy = state.checks.get(&target).is_some_and(Check::healthy);
        info!(%target, healthy, balancers = touched.len(), "a node's health has changed");
        touched.iter().for_each(|id| state.refresh(id));
    }

    fn refresh(&self, id: &BalancerId) {
        self.state.lock().refresh(id);
    }
}

// === impl State ===

impl State {
    fn allocate(&mut self, wanted: &LoadBalancer, observer: Observer<'_>) -> Result<Ipv4Addr, CloudError> {
        let requested = match wanted.requested {
            Some(IpAddr::V6(address)) => {
                let message = format!("{address} is IPv6; the pool of this balancer is IPv4");
                Err(CloudError::new(Class::Invalid, "AddressNotInPool", message))
            }
            Some(IpAddr::V4(address)) => Ok(Some(address)),
            None => Ok(None),
        };
        let published = wanted.published.iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        });
        match requested.and_then(|requested| self.pool.allocate(&wanted.id, requested, published)) {
            Ok((address, new)) => {
                if new {
                    observer(Step::AddressAllocated(address.into()));
                }
                Ok(address)
            }
            Err(refused) => {
                observer(Step::AddressRefused(refused.message.clone()));
                Err(refused)
            }
        }
    }

    /// Stores what is wanted, follows the health of its nodes and programs it.
    fn put(&mut self, shared: &Arc<Shared>, wanted: &LoadBalancer, address: Ipv4Addr) -> Result<(), CloudError> {
        let id = &wanted.id;
        let old = self.balancers.get(id).map(|balancer| targets(&balancer.wanted)).unwrap_or_default();
        let new = targets(wanted);
        for target in new.difference(&old) {
            let check = self.checks.entry(*target).or_insert_with(|| {
                let weak: Weak<Shared> = Arc::downgrade(shared);
                let changed = move |target| weak.upgrade().iter().for_each(|shared| shared.checked(target));
                Check::start(shared.namespace.clone(), *target, changed)
            });
            check.users += 1;
        }
        self.release_checks(old.difference(&new));
        self.balancers.insert(id.clone(), Balancer { wanted: wanted.clone(), address });
        self.program(id)
    }

    fn program(&mut self, id: &BalancerId) -> Result<(), CloudError> {
        let Some(balancer) = self.balancers.get(id) else { return Ok(()) };
        let port = health_port(&balancer.wanted);
        let checks = &self.checks;
        let healthy = |node: Ipv4Addr| checks.get(&SocketAddr::new(node.into(), port)).is_some_and(Check::healthy);
        let elements = ruleset::elements(&balancer.wanted, balancer.address, &healthy);
        let slots = ruleset::slots(&balancer.wanted, &healthy);
        let has_udp = balancer.wanted.ports.iter().any(|port| port.protocol == Protocol::Udp);
        let keep: BTreeSet<Ipv4Addr> = nodes(&balancer.wanted).filter(|node| healthy(*node)).collect();
        self.edge.program(id, elements, slots)?;
        if has_udp {
            self.edge.forget_flows(balancer.address, &keep);
        }
        Ok(())
    }

    fn refresh(&mut self, id: &BalancerId) {
        if let Err(error) = self.program(id) {
            error!(service = %id.service, %error, "the edge does not follow the health of its nodes");
        }
    }

    fn delete(&mut self, id: &BalancerId) -> Result<(), CloudError> {
        let Some(address) = self.pool.get(id) else { return Ok(()) };
        self.unprogram(id, address)?;
        if let Some(balancer) = self.balancers.remove(id) {
            self.release_checks(targets(&balancer.wanted).iter());
        }
        self.pool.release(id);
        info!(service = %id.service, %address, "load balancer removed from the edge");
        Ok(())
    }

    fn unprogram(&mut self, id: &BalancerId, address: Ipv4Addr) -> Result<(), CloudError> {
        self.edge.program(id, ruleset::Elements::new(), 0)?;
        self.edge.forget_flows(address, &BTreeSet::new());
        self.edge.remove_address(address)
    }

    fn release_checks<'a>(&mut self, targets: impl Iterator<Item = &'a SocketAddr>) {
        for target in targets {
            if let Some(check) = self.checks.get_mut(target) {
                check.users -= 1;
                if check.users == 0 {
                    self.checks.remove(target);
                }
            }
        }
    }
}

fn status(address: Ipv4Addr) -> Status {
    Status { addresses: vec![address.into()], hostnames: Vec::new() }
}

fn nodes(wanted: &LoadBalancer) -> impl Iterator<Item = Ipv4Addr> {
    wanted.nodes.iter().filter_map(|node| match node.address {
        Some(IpAddr::V4(address)) => Some(address),
        _ => None,
    })
}

fn health_port(wanted: &LoadBalancer) -> u16 {
    wanted.health_check_port.unwrap_or(PROXY_HEALTH_PORT)
}

fn targets(wanted: &LoadBalancer) -> BTreeSet<SocketAddr> {
    let port = health_port(wanted);
    nodes(wanted).map(|node| SocketAddr::new(node.into(), port)).collect()
}
