//! The controllers of the Service network. Each watches through its own `kube::Client`, keeps a synchronous index,
//! plans without I/O and applies; `portolan_runtime::run` is the loop of all of them.

mod backends;
mod batch;
mod count;
pub mod endpoints;
pub mod endpointslice;
pub mod loadbalancer;
pub mod mirroring;
pub mod nodeipam;
pub mod repair;
pub mod servicecidr;
mod trigger;
pub mod workloads;
