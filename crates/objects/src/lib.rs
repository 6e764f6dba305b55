//! Keys, ports, families, selectors and readings of Kubernetes objects that more than one part needs.
//!
//! Pure: no client, clock, file or process. Every rule names where upstream defines it; what a field means when it is
//! absent is decided here once, for controllers, proxy, DNS and diagnosis alike.

mod key;
mod net;
mod resources;

pub mod endpoint;
pub mod labels;
pub mod pod;
pub mod ports;
pub mod quantity;
pub mod selector;
pub mod service;

pub use key::{ObjectKey, ServicePortKey};
pub use net::{Family, Protocol, UnknownFamily, UnknownProtocol};
pub use resources::Resources;
