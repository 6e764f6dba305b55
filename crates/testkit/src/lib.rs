//! For tests: a running network, unmodified kubectls, and honest skips.
//!
//! [`Network`] is `portolan up` as a user starts it, as a process of its own on a free port. [`Kubectl`] is the real
//! program. A test that cannot run says so through [`skip`], which the test task counts.

mod kubectl;
mod network;

pub use kubectl::{Kubectl, Output};
pub use network::Network;
pub use portolan_netns::world::skip;

/// A running network, or a skip where this machine does not allow one.
pub fn network_or_skip(test: &str, program: &str, arguments: &[&str]) -> Option<Network> {
    match portolan_netns::world::available() {
        Ok(()) => Some(Network::start(program.as_ref(), arguments).expect("portolan up starts")),
        Err(why) => {
            skip(test, &why);
            None
        }
    }
}

/// The kubectls that were fetched, or a skip.
pub fn kubectls_or_skip(test: &str) -> Vec<Kubectl> {
    let found = Kubectl::fetched();
    if found.is_empty() {
        skip(test, "no kubectl in target/clients; `cargo xtask clients` fetches some");
    }
    found
}
