//! Sockets that hold a port without serving it.

use std::{
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket,
        sockopt::{self, ReuseAddr},
    },
};
use portolan_netns::Namespace;
use portolan_objects::Protocol;

use super::{Conflict, Holder, HostPort, holder};

/// Binds every port that can be bound, in the node's network. Blocking.
///
/// # Errors
/// The first port that a socket of the node has already.
pub fn bind_all(namespace: &Namespace, ports: &[HostPort]) -> Result<Vec<OwnedFd>, Conflict> {
    // Every address includes each of them.
    let included = |port: &HostPort| {
        ports
            .iter()
            .any(|other| other != port && other.is_everywhere() && !port.is_everywhere() && port.conflicts(other))
    };
    let wanted: Vec<&HostPort> = ports.iter().filter(|port| !included(port)).collect();
    let bound = namespace.run(|| wanted.iter().filter_map(|port| hold(port).transpose()).collect());
    bound.unwrap_or_else(|error| {
        // Nothing can be done in a network that cannot be entered: making the pod's own will say so.
        tracing::warn!(%error, "cannot hold host ports");
        Ok(Vec::new())
    })
}

/// Holds one port; `None` if there is nothing to hold.
fn hold(port: &HostPort) -> Result<Option<OwnedFd>, Conflict> {
    let taken = |sockets| Err(Conflict { port: *port, by: Holder::Sockets(sockets) });
    match bound(port, false) {
        Ok(socket) => Ok(socket),
        Err(Errno::EADDRINUSE) => {
            let serving = holder::serving(port);
            if !serving.is_empty() {
                return taken(serving);
            }
            // Nobody serves the port: what is left of closed connections, or a connection of the node to somewhere
            // else, does not stand in the way of the pod.
            match bound(port, true) {
                Ok(socket) => Ok(socket),
                Err(_) if holder::is_connected(port) => Ok(None),
                Err(_) => taken(serving),
            }
        }
        Err(error) => {
            // Such as an address that is not the node's: the rules for it are harmless, and there is no port to hold.
            tracing::debug!(%port, %error, "a host port cannot be held");
            Ok(None)
        }
    }
}

fn bound(port: &HostPort, reuse: bool) -> nix::Result<Option<OwnedFd>> {
    let kind = match port.protocol {
        Protocol::Tcp => SockType::Stream,
        Protocol::Udp => SockType::Datagram,
        // Kernels without it are common, and so is nobody who speaks it.
        Protocol::Sctp => return Ok(None),
    };
    let family = if port.address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    if reuse && kind == SockType::Stream {
        setsockopt(&socket, ReuseAddr, &true)?;
    }
    if !port.address.is_ipv4() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    let address = SocketAddr::new(port.address, port.port);
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    // Whoever would share it from now on may not listen.
    setsockopt(&socket, ReuseAddr, &false)?;
    Ok(Some(socket))
}
