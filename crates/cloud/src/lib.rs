//! Load-balancer providers behind one trait.
//!
//! Called by the load-balancer controller only. A provider knows nothing of the Kubernetes API: the controller says
//! what a Service needs ([`LoadBalancer`]) and publishes what it gets ([`Status`]). Errors keep the vendor's own code
//! ([`CloudError`]), because that is what an operator searches for.
//!
//! [`local`] is a real balancer on this machine, [`remote`] speaks to a provider in another process, [`scripted`] keeps
//! records only and fails as it is told to, [`faulty`] lets any of them fail so.
//!
//! Invariant: every call may be repeated. `ensure` of what exists changes nothing, `delete` of what is gone succeeds.
//! Upstream: `k8s.io/cloud-provider/cloud.go`, interface `LoadBalancer`.

mod balancer;
mod error;
pub mod faulty;
#[cfg(target_os = "linux")]
pub mod local;
mod milliseconds;
mod pool;
pub mod remote;
pub mod scripted;

use std::net::IpAddr;

use futures::future::{self, BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};

pub use balancer::{BalancerId, Held, LoadBalancer, Node, Port, Status};
pub use error::{Class, CloudError};

/// What a provider did on the way of an `ensure`, told when it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// A free address was taken for the balancer.
    AddressAllocated(IpAddr),
    /// No address could be taken; `ensure` fails right after. The text says why.
    AddressRefused(String),
    /// The balancer does not exist and is going to be made.
    Creating,
    /// The balancer was made.
    Created(Status),
}

/// Hears the steps of one `ensure`, in order. Must not block.
pub type Observer<'a> = &'a (dyn Fn(Step) + Send + Sync);

/// A provider of load balancers.
///
/// Calls on different balancers may run at the same time; the caller never makes two on the same one.
pub trait LoadBalancers: Send + Sync + 'static {
    /// Says which Services publish which addresses, so that nobody else gets them. Called with every such Service before
    /// the first other call, the one that was published first first, and again after [`Class::AdoptFirst`]. Providers
    /// that keep their own records need not do anything.
    fn adopt<'a>(&'a self, _held: &'a [Held]) -> BoxFuture<'a, Result<(), CloudError>> {
        future::ready(Ok(())).boxed()
    }

    /// Every balancer that was made for *this* cluster, in one cheap call; `None` if the provider cannot say. What it
    /// lists and no Service owns is removed: a provider that cannot tell clusters apart must not list.
    fn list(&self) -> BoxFuture<'_, Result<Option<Vec<Held>>, CloudError>> {
        future::ready(Ok(None)).boxed()
    }

    /// The balancer of a Service, if it exists, be it only in part.
    fn get<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<Option<Status>, CloudError>>;

    /// Makes or changes the balancer until it is as wanted. `observer` hears what really happens.
    fn ensure<'a>(
        &'a self,
        wanted: &'a LoadBalancer,
        observer: Observer<'a>,
    ) -> BoxFuture<'a, Result<Status, CloudError>>;

    /// Gives an existing balancer another set of nodes; everything else in `wanted` is as it was.
    fn update_nodes<'a>(&'a self, wanted: &'a LoadBalancer) -> BoxFuture<'a, Result<(), CloudError>>;

    /// Removes the balancer and everything that belongs to it.
    fn delete<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<(), CloudError>>;
}
