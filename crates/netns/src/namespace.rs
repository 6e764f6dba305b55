//! A network namespace as a value.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::Arc,
    thread,
};

use nix::{
    sched::{CloneFlags, setns, unshare},
    sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt},
};

use crate::Links;

/// A network namespace that lives at least as long as this value; clones are the same namespace.
///
/// Work in it is done on short-lived threads that enter it, so the namespace of the calling thread never changes.
#[derive(Clone, Debug)]
pub struct Namespace {
    file: Arc<File>,
}

impl Namespace {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// If `/proc` is not mounted.
    pub fn current() -> io::Result<Self> {
        let file = File::open("/proc/thread-self/ns/net")?;
        Ok(Self { file: Arc::new(file) })
    }

    /// The namespace of a running process.
    ///
    /// # Errors
    /// If there is no such process, or its namespace may not be looked at.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        let file = File::open(format!("/proc/{pid}/ns/net"))?;
        Ok(Self { file: Arc::new(file) })
    }

    /// A new namespace, empty but for its loopback interface, which is up.
    ///
    /// # Errors
    /// Without CAP_SYS_ADMIN in the user namespace: see [`crate::world`] for how to get it.
    pub fn create() -> io::Result<Self> {
        let namespace = on_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Self::current()
        })?;
        namespace.links()?.up("lo")?;
        Ok(namespace)
    }

    /// Runs `f` on a thread inside the namespace and waits for it. Sockets that `f` opens stay in the namespace.
    /// Blocking: from async code only for what returns at once. A panic of `f` goes on in the caller.
    ///
    /// # Errors
    /// If the thread cannot be made or may not enter the namespace; `f` has not run then.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> io::Result<T> {
        on_thread(|| {
            setns(&*self.file, CloneFlags::CLONE_NEWNET)?;
            Ok(f())
        })
    }

    /// A listening socket in the namespace: nonblocking, address reusable.
    ///
    /// # Errors
    /// As of `socket`, `bind` and `listen`, with the address in the message.
    pub fn tcp_listen(&self, address: SocketAddr) -> io::Result<std::net::TcpListener> {
        let bind = || {
            // The standard library sets SO_REUSEADDR on listeners.
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        self.run(bind)?.map_err(|error| named("listen on TCP", address, error))
    }

    /// A bound UDP socket in the namespace: nonblocking, address reusable.
    ///
    /// # Errors
    /// As of `socket` and `bind`, with the address in the message.
    pub fn udp_bind(&self, address: SocketAddr) -> io::Result<std::net::UdpSocket> {
        let bind = || {
            let socket = std::net::UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        self.run(bind)?.map_err(|error| named("bind UDP", address, error))
    }

    /// Connects to `address` from inside the namespace.
    ///
    /// # Errors
    /// As of `connect`. There is no timeout but the kernel's: put one around it.
    pub async fn tcp_connect(&self, address: SocketAddr) -> io::Result<tokio::net::TcpStream> {
        let socket = self.raw_socket(address, SockType::Stream)?;
        let socket = tokio::net::TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
        socket.connect(address).await
    }

    /// A UDP socket in the namespace whose only peer is `address`.
    ///
    /// # Errors
    /// As of `connect`, for example when there is no route.
    pub async fn udp_connect(&self, address: SocketAddr) -> io::Result<tokio::net::UdpSocket> {
        let socket = self.raw_socket(address, SockType::Datagram)?;
        let socket = tokio::net::UdpSocket::from_std(std::net::UdpSocket::from(socket))?;
        socket.connect(address).await?;
        Ok(socket)
    }

    /// A handle to the interfaces, addresses and routes.
    ///
    /// # Errors
    /// If the namespace may not be entered.
    pub fn links(&self) -> io::Result<Links> {
        self.run(Links::open)?
    }

    /// Writes a setting of the namespace: `sysctl("net/ipv4/ip_forward", "1")`.
    ///
    /// # Errors
    /// If there is no such setting, or `/proc/sys` may not be written (it is read-only in some containers).
    pub fn sysctl(&self, path: &str, value: &str) -> io::Result<()> {
        let file = format!("/proc/sys/{path}");
        // /proc/sys/net shows the settings of whichever task opens it.
        self.run(|| std::fs::write(&file, value))?
            .map_err(|error| io::Error::new(error.kind(), format!("cannot set {path} to {value}: {error}")))
    }

    /// The namespace's file, for the attributes of netlink and for `setns`.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Whether both are one and the same namespace.
    pub fn is_same(&self, other: &Namespace) -> bool {
        use std::os::unix::fs::MetadataExt;
        match (self.file.metadata(), other.file.metadata()) {
            (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
            _ => self.file.as_raw_fd() == other.file.as_raw_fd(),
        }
    }

    fn raw_socket(&self, address: SocketAddr, kind: SockType) -> io::Result<OwnedFd> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = self.run(|| socket(family, kind, flags, None))??;
        if kind == SockType::Stream {
            setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
        }
        Ok(socket)
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn named(operation: &str, address: SocketAddr, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {operation} {address}: {error}"))
}

/// Runs `f` on a thread of its own, because entering a namespace changes the thread for good.
fn on_thread<T: Send>(f: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("netns".into()).stack_size(256 * 1024).spawn_scoped(scope, f)?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
