//! What a connection attempt is made to, as text and taken apart.

use std::{fmt, net::SocketAddr, str::FromStr};

/// One thing to try. Addresses only: whether a name resolves is an attempt of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// `tcp://IP:PORT`: connect.
    Tcp(SocketAddr),
    /// `udp://IP:PORT`: send a datagram and wait for an answer, which a healthy server need not give.
    Udp(SocketAddr),
    /// `http://IP:PORT/PATH`: connect, ask, and read the beginning of the answer.
    Http {
        /// Where.
        address: SocketAddr,
        /// What for, with its slash.
        path: String,
    },
    /// `dns://NAME@IP:PORT`: ask the server for the addresses of the name, which is taken as it is: no search list.
    Dns {
        /// The name.
        name: String,
        /// The server.
        server: SocketAddr,
    },
}

impl Target {
    /// Where packets go.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Tcp(address)
            | Self::Udp(address)
            | Self::Http { address, .. }
            | Self::Dns { server: address, .. } => *address,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Http { address, path } => write!(f, "http://{address}{path}"),
            Self::Dns { name, server } => write!(f, "dns://{name}@{server}"),
        }
    }
}

/// A text that is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not tcp://IP:PORT, udp://IP:PORT, http://IP:PORT/PATH or dns://NAME@IP:PORT; \
     an address of IPv6 stands in brackets"
)]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError(text.to_owned());
        let address = |text: &str| text.parse::<SocketAddr>().map_err(|_| wrong());
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        match scheme {
            "tcp" => Ok(Self::Tcp(address(rest)?)),
            "udp" => Ok(Self::Udp(address(rest)?)),
            "http" => {
                let (server, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let path = if path.is_empty() { "/" } else { path };
                // It goes into the request line as it is.
                let printable = path.bytes().all(|byte| byte.is_ascii_graphic());
                if printable { Ok(Self::Http { address: address(server)?, path: path.into() }) } else { Err(wrong()) }
            }
            "dns" => {
                let (name, server) = rest.rsplit_once('@').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
                Ok(Self::Dns { name: name.into(), server: address(server)? })
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn targets_read_back_as_they_are_written() {
        for text in [
            "tcp://10.96.0.1:443",
            "udp://[fd00::1]:53",
            "http://10.0.0.1:8080/healthz?full=1",
            "dns://web.default.svc.cluster.local.@10.96.0.10:53",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert_eq!("http://10.0.0.1:80".parse::<Target>().unwrap().to_string(), "http://10.0.0.1:80/");
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "",
            "tcp://",
            "tcp://web:80",
            "tcp://10.0.0.1",
            "icmp://10.0.0.1:1",
            "dns://@10.0.0.1:53",
            "dns://a",
            "http://10.0.0.1:80/a b",
            "http://10.0.0.1:80/\r\nHost: x",
            "tcp://fd00::1:80",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
    }
}
