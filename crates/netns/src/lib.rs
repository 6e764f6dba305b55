//! Network namespaces, links, routes and private worlds: what the kernel gives to whoever asks rightly, root or not.
//!
//! - [`Namespace`] is one network stack, held open by a file descriptor; sockets are made in it without moving
//!   the caller.
//! - [`Links`] are its interfaces, addresses and routes, over rtnetlink.
//! - [`world`] starts a program with network, mounts, host name and process ids of its own, all of which vanish
//!   with it.
//! - [`broker`] hands sockets of the host's loopback to such a program.
//!
//! Nothing here changes the namespace of a thread that the caller owns, and nothing touches the network of the host.

pub mod broker;
mod links;
mod namespace;
pub mod world;

pub use links::{Links, LinksError};
pub use namespace::Namespace;
