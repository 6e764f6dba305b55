//! A provider in another process, over HTTP/1.1 with JSON on a unix socket or a loopback port.
//!
//! [`Remote`] is the controller's side, [`serve`] puts any provider behind a listener. The protocol is described in
//! `docs/load-balancer-providers.md`; providers in other languages need nothing else.
//!
//! Invariant: what [`serve`] has begun it finishes, although the caller has gone away, and it makes one call on a
//! balancer at a time, although a caller that was killed is followed by another one.

mod client;
mod endpoint;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use client::Remote;
pub use endpoint::{Endpoint, EndpointError};
pub use server::{Listener, serve};
