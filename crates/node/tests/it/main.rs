//! The node agent against the real API server, with real processes, in worlds.
#![allow(clippy::unwrap_used, missing_docs)]

mod cluster;
mod dns;
mod echo;
mod hostports;
mod lifecycle;
mod network;
mod node;
mod probes;
mod trouble;
mod volumes;

/// Not a test: what the image `portolan/echo` runs in these tests is this very binary with this name.
#[test]
#[ignore = "the program of the image portolan/echo"]
fn echo_image() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(portolan_node::echo::run()).unwrap();
}
