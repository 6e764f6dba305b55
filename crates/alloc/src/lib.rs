//! Allocators for ClusterIPs, node ports, pod and load-balancer addresses.
//!
//! All are bitmaps over a range. Nothing here draws random numbers: where a pick should be spread, the caller passes a
//! seed, and equal seeds over equal states pick equally.
//!
//! [`ServiceAddresses`] and [`ServicePorts`] split their range as Kubernetes does, so that numbers chosen by hand rarely
//! meet numbers chosen by the allocator: a low *static* band is left to explicit requests for as long as the
//! *dynamic* rest has room (ServiceIPStaticSubrange, ServiceNodePortStaticSubrange).

mod bitmap;
mod pod;
mod pool;
mod service;

pub use pod::PodAddresses;
pub use pool::{LoadBalancerPool, PoolError};
pub use service::{ReserveError, ServiceAddresses, ServicePorts};

#[cfg(test)]
mod tests;
