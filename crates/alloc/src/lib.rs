//! Allocators for ClusterIPs, node ports, pod and load-balancer addresses, and the pod ranges of nodes.
//!
//! Most are bitmaps over a range; ClusterIPs, whose ranges may be huge and overlap, are runs of numbers. Nothing here
//! draws random numbers: where a pick should be spread, the caller passes a seed, and equal seeds over equal states
//! pick equally.
//!
//! [`ServiceAddresses`] and [`ServicePorts`] split their range as Kubernetes does, so that numbers chosen by hand rarely
//! meet numbers chosen by the allocator: a low *static* band is left to explicit requests for as long as the
//! *dynamic* rest has room (ServiceIPStaticSubrange, ServiceNodePortStaticSubrange).

mod bitmap;
mod pod;
mod pool;
mod ports;
mod runs;
mod service;
mod subnets;

pub use pod::PodAddresses;
pub use pool::{LoadBalancerPool, PoolError};
pub use ports::ServicePorts;
pub use service::{Family, PickError, ServiceAddresses, ServiceRange};
pub use subnets::{Subnets, SubnetsError};

/// Why an explicit request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// Someone holds it.
    #[error("already allocated")]
    Taken,
    /// It is not in the range.
    #[error("not in the valid range")]
    OutOfRange,
}

#[cfg(test)]
mod tests;
