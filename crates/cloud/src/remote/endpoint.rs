//! Where a provider listens.

use std::{fmt, io, net::SocketAddr, path::PathBuf, str::FromStr};

use tokio::net::{TcpStream, UnixStream};

/// A unix socket or a loopback port: the protocol has no credentials, so it must not leave the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `/run/provider.sock`, `unix:/run/provider.sock` or `unix:///run/provider.sock`.
    Unix(PathBuf),
    /// `http://127.0.0.1:8080` or `http://[::1]:8080`.
    Tcp(SocketAddr),
}

/// Not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Neither form.
    #[error("{0:?} is neither the path of a unix socket nor http://127.0.0.1:PORT")]
    Form(String),
    /// Reachable from other machines.
    #[error("{0} is not a loopback address; the provider must listen on 127.0.0.1, [::1] or a unix socket")]
    NotLoopback(SocketAddr),
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || EndpointError::Form(text.to_owned());
        if let Some(address) = text.strip_prefix("http://") {
            let address: SocketAddr = address.trim_end_matches('/').parse().map_err(|_| form())?;
            return if address.ip().is_loopback() {
                Ok(Self::Tcp(address))
            } else {
                Err(EndpointError::NotLoopback(address))
            };
        }
        let path = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")).unwrap_or(text);
        if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(form()) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "http://{address}"),
        }
    }
}

/// Bytes in both directions.
pub(super) trait Wire: hyper::rt::Read + hyper::rt::Write + Send + Unpin {}

impl<T: hyper::rt::Read + hyper::rt::Write + Send + Unpin> Wire for T {}

impl Endpoint {
    pub(super) async fn connect(&self) -> io::Result<Box<dyn Wire>> {
        use hyper_util::rt::TokioIo;
        Ok(match self {
            Self::Unix(path) => Box::new(TokioIo::new(UnixStream::connect(path).await?)),
            Self::Tcp(address) => Box::new(TokioIo::new(TcpStream::connect(address).await?)),
        })
    }
}
