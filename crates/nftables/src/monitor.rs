//! Changes that *others* make to the ruleset, the moment they commit.
//!
//! The kernel sends every message of every commit to this group. A socket filter drops those of our own socket inside
//! the kernel, so that a large transaction of ours costs nothing here and cannot overflow the buffer.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use netlink_sys::constants::NETLINK_NETFILTER;

use crate::{
    SocketError, TableId,
    uapi::*,
    wire::{Message, Messages, read_text},
};

/// Receives the changes of other sockets in one namespace. Not blocking: wait until it is readable, then [`read`].
///
/// [`read`]: Monitor::read
#[derive(Debug)]
pub struct Monitor {
    inner: netlink_sys::Socket,
    ignore: u32,
    buffer: Vec<u8>,
}

/// What somebody else changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// Nothing that concerns the table.
    None,
    /// Something in the table was added, changed or deleted, or the table itself.
    Touched,
    /// Messages were lost: anything may have happened.
    Unknown,
}

impl Monitor {
    /// Opens a monitor in the calling thread's network namespace that does not see the changes of the socket with
    /// port number `ignore`.
    pub fn open(ignore: u32) -> Result<Self, SocketError> {
        let step = |action| move |source| SocketError { action, source };
        let mut inner = netlink_sys::Socket::new(NETLINK_NETFILTER).map_err(step("open"))?;
        inner.bind_auto().map_err(step("bind"))?;
        inner.set_non_blocking(true).map_err(step("configure"))?;
        attach_filter(&inner, ignore).map_err(step("filter"))?;
        inner.add_membership(NFNLGRP_NFTABLES).map_err(step("subscribe"))?;
        Ok(Self { inner, ignore, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// Reads everything that has arrived and says whether it concerns one of the tables.
    pub fn read(&mut self, tables: &[TableId]) -> io::Result<Disturbance> {
        let mut seen = Disturbance::None;
        loop {
            self.buffer.clear();
            match self.inner.recv(&mut self.buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(seen),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    seen = Disturbance::Unknown;
                    continue;
                }
                Err(error) => return Err(error),
            }
            let foreign = Messages(&self.buffer).filter(|message| message.port != self.ignore);
            for message in foreign {
                if seen == Disturbance::None && tables.iter().any(|table| concerns(&message, table)) {
                    seen = Disturbance::Touched;
                }
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor stays open as long as `self`, which the result borrows.
        unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) }
    }
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.inner.as_raw_fd()
    }
}

/// All object messages carry the name of their table as attribute 1.
fn concerns(message: &Message<'_>, table: &TableId) -> bool {
    if message.kind >> 8 != NFNL_SUBSYS_NFTABLES || message.kind & 0xff == NFT_MSG_NEWGEN {
        return false;
    }
    message.family() == table.family.number()
        && message.attributes().get(NFTA_TABLE_NAME).map(read_text).as_deref() == Some(&table.name)
}

/// A classic packet filter: drop what the port number at byte 12 says is ours.
fn attach_filter(socket: &netlink_sys::Socket, ignore: u32) -> io::Result<()> {
    const PORT_OFFSET: u32 = 12;
    let code = |class: u32| class as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // The filter loads in network order what netlink wrote in host order.
    let ours = u32::from_be_bytes(ignore.to_ne_bytes());
    let mut program = [
        step(code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), 0, 0, PORT_OFFSET),
        step(code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K), 0, 1, ours),
        step(code(libc::BPF_RET | libc::BPF_K), 0, 0, 0),
        step(code(libc::BPF_RET | libc::BPF_K), 0, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the descriptor is open; `filter` points at `program`, and both outlive the call, which copies them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
