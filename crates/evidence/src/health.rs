//! What the node's Service proxy says of itself: `/healthz` on port 10256, `/proxyMode` on port 10249.
//! Upstream: `pkg/proxy/healthcheck`, `cmd/kube-proxy/app`.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use portolan_diagnose::evidence::NOBODY_ANSWERS;
use portolan_netns::Namespace;

use crate::http;

const HEALTH_PORT: u16 = 10256;
const STATUS_PORT: u16 = 10249;
/// For each attempt: it is the same machine.
const PATIENCE: Duration = Duration::from_secs(1);

/// What came back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) healthy: Option<bool>,
    pub(crate) text: Option<String>,
    pub(crate) mode: Option<String>,
}

/// Asks on loopback, then on the node's addresses, until somebody answers.
pub(crate) async fn ask(namespace: &Namespace, addresses: &[IpAddr]) -> Health {
    let (health, mode) = futures::join!(
        of_any(namespace, addresses, HEALTH_PORT, "/healthz"),
        of_any(namespace, &[], STATUS_PORT, "/proxyMode"),
    );
    let (healthy, text) = match health {
        Ok((code, body)) => (Some(code == 200), format!("{code} {body}")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            (None, format!("{NOBODY_ANSWERS} on port {HEALTH_PORT}"))
        }
        Err(error) => (None, format!("port {HEALTH_PORT}: {error}")),
    };
    let known = |mode: &String| ["nftables", "iptables", "ipvs"].contains(&mode.as_str());
    let mode = mode.ok().map(|(_, body)| body).filter(known);
    Health { healthy, text: Some(text.trim_end().to_owned()), mode }
}

async fn of_any(ns: &Namespace, addresses: &[IpAddr], port: u16, path: &str) -> io::Result<(u16, String)> {
    let mut result = Err(io::ErrorKind::ConnectionRefused.into());
    for address in std::iter::once(IpAddr::V4(Ipv4Addr::LOCALHOST)).chain(addresses.iter().copied()) {
        result = of_one(ns, SocketAddr::new(address, port), path).await;
        if result.is_ok() {
            break;
        }
    }
    result
}

async fn of_one(namespace: &Namespace, address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let exchange = async {
        let mut stream = namespace.tcp_connect(address).await?;
        let mut answer = Vec::new();
        http::get(&mut stream, (address, path), &mut answer, |_| false).await?;
        Ok::<_, io::Error>(answer)
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer within 1 s");
    let answer = tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| late())??;
    http::parse(&answer).ok_or_else(|| io::Error::other("what answers does not speak HTTP"))
}
