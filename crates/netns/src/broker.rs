//! Sockets of the host for a program that lives in a world of its own: the parent, which stayed outside, opens
//! them and passes the descriptors over a socket pair.
//!
//! The child can bind loopback addresses, and connect to loopback and to the addresses the parent named as
//! upstreams (the host's resolvers), and nothing else. Called by the `up` command on both sides.
//!
//! Wire: a request is 20 bytes (what, family, port, address), an answer is four bytes (errno, 0 with
//! the descriptor attached).

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Mutex,
    time::Duration,
};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Bytes of a request.
const REQUEST_LEN: usize = 20;
/// How long the parent tries to connect to an upstream.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    TcpListen = 1,
    UdpBind = 2,
    TcpConnect = 3,
    UdpConnect = 4,
}

/// The parent's side.
#[derive(Debug)]
pub struct Broker;

impl Broker {
    /// Answers requests for loopback sockets until the child is gone. Blocking: give it a thread.
    ///
    /// # Errors
    /// If the connection to the child breaks in the middle of a request.
    pub fn serve(stream: UnixStream) -> io::Result<()> {
        Self::serve_with_upstreams(stream, &[])
    }

    /// The same, and lets the child connect to `upstreams`, wherever they are.
    ///
    /// # Errors
    /// As [`Broker::serve`].
    pub fn serve_with_upstreams(mut stream: UnixStream, upstreams: &[SocketAddr]) -> io::Result<()> {
        let mut request = [0; REQUEST_LEN];
        loop {
            match stream.read_exact(&mut request) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
            let opened = decode(&request).and_then(|(what, address)| open(what, address, upstreams));
            match opened {
                Ok(socket) => {
                    let fds = [socket.as_raw_fd()];
                    let attached = [ControlMessage::ScmRights(&fds)];
                    let answer = [IoSlice::new(&[0; 4])];
                    sendmsg::<()>(stream.as_raw_fd(), &answer, &attached, MsgFlags::empty(), None)?;
                }
                Err(error) => {
                    let code = error.raw_os_error().unwrap_or(libc::EINVAL);
                    stream.write_all(&code.to_ne_bytes())?;
                }
            }
        }
    }
}

/// The child's side. Requests wait for their answer: microseconds, or up to 3 seconds to connect.
#[derive(Debug)]
pub struct BrokerClient {
    stream: Mutex<UnixStream>,
}

impl BrokerClient {
    /// Speaks to the broker at the other end of `stream`.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream: Mutex::new(stream) }
    }

    /// Speaks to the broker whose end the parent gave as standard input:
    /// `command.stdin(OwnedFd::from(child_end))`.
    ///
    /// # Errors
    /// If standard input cannot be duplicated. Whether it is a broker shows with the first request.
    pub fn from_stdin() -> io::Result<Self> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self::new(UnixStream::from(fd)))
    }

    /// A listener on a loopback address of the host, nonblocking.
    ///
    /// # Errors
    /// As of `bind` on the host's side; `PermissionDenied` for other addresses.
    pub fn tcp_listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let listener = TcpListener::from(self.ask(What::TcpListen, address)?);
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// A UDP socket on a loopback address of the host, nonblocking.
    ///
    /// # Errors
    /// As of `bind` on the host's side; `PermissionDenied` for other addresses.
    pub fn udp_bind(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::from(self.ask(What::UdpBind, address)?);
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// A connection from the host to a loopback address or an upstream, nonblocking.
    ///
    /// # Errors
    /// As of `connect` on the host's side; `PermissionDenied` for other addresses.
    pub fn tcp_connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::from(self.ask(What::TcpConnect, address)?);
        stream.set_nonblocking(true)?;
        Ok(stream)
    }

    /// A UDP socket on the host whose only peer is a loopback address or an upstream, nonblocking.
    ///
    /// # Errors
    /// As of `connect` on the host's side; `PermissionDenied` for other addresses.
    pub fn udp_connect(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::from(self.ask(What::UdpConnect, address)?);
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    fn ask(&self, what: What, address: SocketAddr) -> io::Result<OwnedFd> {
        let mut stream = self.stream.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        stream.write_all(&encode(what, address))?;
        let mut answer = [0; 4];
        let mut space = nix::cmsg_space!([i32; 1]);
        let (bytes, fd) = {
            let mut buffers = [IoSliceMut::new(&mut answer)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_WAITALL;
            let message = recvmsg::<()>(stream.as_raw_fd(), &mut buffers, Some(&mut space), flags)?;
            let fd = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
                _ => None,
            });
            // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
            (message.bytes, fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }))
        };
        match (bytes, i32::from_ne_bytes(answer), fd) {
            (4, 0, Some(fd)) => Ok(fd),
            (4, code, _) if code != 0 => Err(io::Error::from_raw_os_error(code)),
            _ => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                format!("cannot get {address} of the host: the broker is gone"),
            )),
        }
    }
}

fn encode(what: What, address: SocketAddr) -> [u8; REQUEST_LEN] {
    let mut request = [0; REQUEST_LEN];
    request[0] = what as u8;
    request[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => {
            request[1] = 4;
            request[4..8].copy_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            request[1] = 6;
            request[4..20].copy_from_slice(&ip.octets());
        }
    }
    request
}

fn decode(request: &[u8; REQUEST_LEN]) -> io::Result<(What, SocketAddr)> {
    let what = match request[0] {
        1 => What::TcpListen,
        2 => What::UdpBind,
        3 => What::TcpConnect,
        4 => What::UdpConnect,
        _ => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
    };
    let port = u16::from_be_bytes([request[2], request[3]]);
    let mut octets = [0; 16];
    octets.copy_from_slice(&request[4..]);
    let ip = match request[1] {
        4 => IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])),
        6 => IpAddr::V6(Ipv6Addr::from(octets)),
        _ => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
    };
    Ok((what, SocketAddr::new(ip, port)))
}

/// Opens what was asked for, if it may be had.
fn open(what: What, address: SocketAddr, upstreams: &[SocketAddr]) -> io::Result<OwnedFd> {
    let connects = matches!(what, What::TcpConnect | What::UdpConnect);
    if !(address.ip().is_loopback() || connects && upstreams.contains(&address)) {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    match what {
        What::TcpListen => TcpListener::bind(address).map(OwnedFd::from),
        What::UdpBind => UdpSocket::bind(address).map(OwnedFd::from),
        What::TcpConnect => TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).map(OwnedFd::from),
        What::UdpConnect => {
            let any: IpAddr = match address {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect(address)?;
            Ok(OwnedFd::from(socket))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn requests_survive_the_wire() {
        let kinds = [What::TcpListen, What::UdpBind, What::TcpConnect, What::UdpConnect];
        for what in kinds {
            for address in ["127.0.0.1:53", "[::1]:65535", "192.0.2.7:0"] {
                let address = address.parse().unwrap();
                assert_eq!(decode(&encode(what, address)).unwrap(), (what, address));
            }
        }
    }

    #[test]
    fn loopback_sockets_are_handed_over_and_others_refused() {
        let (parent, child) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || Broker::serve(parent));
        let client = BrokerClient::new(child);

        let listener = client.tcp_listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(false).unwrap();
        let mut stream = client.tcp_connect(address).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        stream.write_all(b"ahoy").unwrap();
        let mut text = [0; 4];
        accepted.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"ahoy");

        let udp = client.udp_bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(udp.local_addr().unwrap().ip().is_loopback());

        let taken = client.tcp_listen(address).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        for refused in ["0.0.0.0:0", "192.0.2.1:80"] {
            let error = client.tcp_listen(refused.parse().unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            let error = client.tcp_connect(refused.parse().unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        }
        drop(client);
        server.join().unwrap().unwrap();
    }
}
