//! The objects as series of kube-state-metrics, on a loopback address of the host: for trying alerts out.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use kube::Client;
use portolan_netns::broker::BrokerClient;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::parts::report;

/// The name that it has in a real cluster.
pub const ACCOUNT: &str = "system:serviceaccount:kube-system:kube-state-metrics";

/// Starts it; gives where it listens.
pub fn start(
    client: Client,
    address: SocketAddr,
    broker: &BrokerClient,
    tasks: &mut JoinSet<()>,
    stop: CancellationToken,
) -> Result<SocketAddr> {
    let listener = broker
        .tcp_listen(address)
        .with_context(|| format!("cannot listen on {address}: choose another loopback address with --state-metrics"))?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        report("the state metrics", portolan_statemetrics::run(client, listener, stop).await);
    });
    Ok(address)
}
