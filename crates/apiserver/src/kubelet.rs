//! The way to a node's agent: `pods/log` is answered by the node that runs the pod.
//!
//! One connection per request: logs are rare and may be followed for hours. The agent's certificate is verified
//! against the cluster's authority, ours says that the API server asks.
//! Upstream: `pkg/registry/core/pod/rest/log.go` and the kubelet's `containerLogs` endpoint.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Empty;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Until the agent has begun to answer; following a log may then take as long as it wants.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why the agent did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubeletError {
    /// No connection, or no TLS.
    #[error("cannot connect to the agent at {address}")]
    Connect {
        /// The agent's address.
        address: SocketAddr,
        /// What went wrong.
        source: io::Error,
    },
    /// The connection broke, or what came back was not HTTP.
    #[error("the agent at {address} did not answer")]
    Exchange {
        /// The agent's address.
        address: SocketAddr,
        /// What went wrong.
        source: hyper::Error,
    },
    /// The path cannot stand in a request.
    #[error("not a path: {0:?}")]
    Path(String),
    /// Nothing came for ten seconds.
    #[error("the agent at {0} did not answer within 10 s")]
    Timeout(SocketAddr),
}

/// `GET path` of the agent at `address`; `path` includes the query and is already percent-encoded.
///
/// # Errors
/// If the agent cannot be reached or does not begin to answer in time. An HTTP error of the agent is an answer.
pub async fn get(tls: Arc<ClientConfig>, address: SocketAddr, path: &str) -> Result<Response<Incoming>, KubeletError> {
    let exchange = tokio::time::timeout(TIMEOUT, exchange(tls, address, path));
    exchange.await.map_err(|_| KubeletError::Timeout(address))?
}

async fn exchange(tls: Arc<ClientConfig>, address: SocketAddr, path: &str) -> Result<Response<Incoming>, KubeletError> {
    let refused = |source| KubeletError::Connect { address, source };
    let stream = TcpStream::connect(address).await.map_err(refused)?;
    let name = ServerName::IpAddress(address.ip().into());
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(refused)?;
    let broken = |source| KubeletError::Exchange { address, source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with the answer's body or its reader; an error then shows as a body that breaks off.
    tokio::spawn(async move { drop(connection.await) });
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|_| KubeletError::Path(path.to_owned()))?;
    sender.send_request(request).await.map_err(broken)
}
