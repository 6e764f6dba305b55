//! Load-balancer providers behind one trait.
//!
//! Called by the load-balancer controller only. A provider knows nothing of the Kubernetes API: the controller says
//! what a Service needs ([`LoadBalancer`]) and publishes what it gets ([`Status`]). Errors keep the vendor's own code
//! ([`CloudError`]), because that is what an operator searches for.
//!
//! Invariant: every call may be repeated. `ensure` of what exists changes nothing, `delete` of what is gone succeeds.
//! Upstream: `k8s.io/cloud-provider/cloud.go`, interface `LoadBalancer`.

mod balancer;
mod error;
#[cfg(target_os = "linux")]
pub mod local;

use std::net::IpAddr;

use futures::future::BoxFuture;

pub use balancer::{BalancerId, LoadBalancer, Node, Port, Status};
pub use error::{Class, CloudError};

/// What a provider did on the way of an `ensure`, told when it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Says that a Service had these addresses before this process started, so that nobody else gets them. Called for
    /// every Service before the first other call. Providers that keep their own records need not do anything.
    fn adopt(&self, _id: &BalancerId, _addresses: &[IpAddr]) {}

    /// The balancer of a Service, if it exists.
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
