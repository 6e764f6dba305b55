//! The netlink socket: transactions, dry runs and the exchange of requests and answers.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use netlink_sys::{SocketAddr, constants::NETLINK_NETFILTER};
use tracing::trace;

use crate::{
    Batch, CommitError, Op, SocketError,
    encode::{Encoded, Subject},
    uapi::*,
    wire::{Attributes, Message, Messages, Writer, read_u32_ne},
};

const RECEIVE: usize = 64 * 1024;

/// A netfilter socket in the network namespace of the thread that opened it. Owned tables belong to it: keep it open.
///
/// All calls are synchronous and short: the kernel works on a transaction inside the send.
#[derive(Debug)]
pub struct Socket {
    inner: netlink_sys::Socket,
    port: u32,
    sequence: u32,
    send_buffer: usize,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self, SocketError> {
        let step = |action| move |source| SocketError { action, source };
        let mut inner = netlink_sys::Socket::new(NETLINK_NETFILTER).map_err(step("open"))?;
        let port = inner.bind_auto().map_err(step("bind"))?.port_number();
        inner.connect(&SocketAddr::new(0, 0)).map_err(step("connect"))?;
        // Short error answers that say which byte is wrong.
        inner.set_cap_ack(true).map_err(step("configure"))?;
        inner.set_ext_ack(true).map_err(step("configure"))?;
        Ok(Self { inner, port, sequence: 1, send_buffer: 0, buffer: Vec::with_capacity(RECEIVE) })
    }

    /// Port number: how the kernel names this socket as owner of a table and as author of a change.
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Applies the whole transaction or nothing of it.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.transact(batch, true)
    }

    /// Lets the kernel check the transaction without applying it.
    pub fn dry_run(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.transact(batch, false)
    }

    fn transact(&mut self, batch: &Batch, end: bool) -> Result<(), CommitError> {
        if batch.is_empty() {
            return Ok(());
        }
        let encoded = Encoded::new(batch, self.sequence, end);
        self.sequence = self.sequence.wrapping_add(encoded.sequences());
        let bytes = encoded.bytes.len();
        trace!(operations = batch.ops().len(), elements = batch.elements(), bytes, "transaction");
        self.drain();
        let sent = self.reserve(bytes).and_then(|()| self.inner.send(&encoded.bytes, 0));
        sent.map_err(|source| CommitError::Send { bytes, source })?;
        self.answer(batch, &encoded)
    }

    /// Takes the answers that the send has left in the receive buffer.
    fn answer(&mut self, batch: &Batch, encoded: &Encoded) -> Result<(), CommitError> {
        let mut refused: Option<CommitError> = None;
        loop {
            self.buffer.clear();
            match self.inner.recv(&mut self.buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) => return Err(refused.unwrap_or(CommitError::Lost(Some(error)))),
            }
            for message in Messages(&self.buffer).filter(|message| message.kind == NLMSG_ERROR) {
                let Some(answer) = Answer::read(&message) else { continue };
                match encoded.subject(message.sequence, answer.offset) {
                    Subject::Stranger => continue,
                    Subject::Batch if answer.errno == 0 => continue,
                    Subject::Batch => {
                        let operations = batch.ops().len();
                        return Err(CommitError::Transaction { operations, errno: answer.errno });
                    }
                    Subject::Op { index, element } if answer.errno != 0 => {
                        refused.get_or_insert_with(|| refusal(batch, index, element, answer.errno));
                    }
                    Subject::Op { .. } => {}
                }
                if message.sequence == encoded.last() {
                    return refused.map_or(Ok(()), Err);
                }
            }
        }
    }

    /// The whole transaction must fit the send buffer. Forcing it needs CAP_NET_ADMIN of the *initial* user
    /// namespace; without that the system's limit applies.
    fn reserve(&mut self, bytes: usize) -> io::Result<()> {
        const SLACK: usize = 64 * 1024;
        if bytes + SLACK <= self.send_buffer.max(128 * 1024) {
            return Ok(());
        }
        let wanted = (bytes + SLACK).next_power_of_two();
        let forced = self.set_option(libc::SO_SNDBUFFORCE, wanted);
        forced.or_else(|_| self.set_option(libc::SO_SNDBUF, wanted))?;
        self.send_buffer = wanted;
        Ok(())
    }

    fn set_option(&self, option: libc::c_int, value: usize) -> io::Result<()> {
        let value = libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
        // SAFETY: the descriptor is open, and the pointer and length describe `value`, which outlives the call.
        let result = unsafe {
            libc::setsockopt(
                self.inner.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Throws away what is left of earlier exchanges.
    fn drain(&mut self) {
        loop {
            self.buffer.clear();
            match self.inner.recv(&mut self.buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(_) => return,
            }
        }
    }

    /// Sends one request and hands every message of the answer to `take`. A dump that was interrupted by a change is
    /// `Interrupted`.
    pub(crate) fn request(
        &mut self,
        build: impl FnOnce(&mut Writer, u32),
        mut take: impl FnMut(&Message<'_>),
    ) -> io::Result<()> {
        self.drain();
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let mut writer = Writer::default();
        build(&mut writer, sequence);
        self.inner.send(&writer.bytes, 0)?;
        let mut interrupted = false;
        loop {
            self.buffer.clear();
            self.inner.recv(&mut self.buffer, 0)?;
            for message in Messages(&self.buffer).filter(|message| message.sequence == sequence) {
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.kind {
                    NLMSG_DONE if interrupted => return Err(io::ErrorKind::Interrupted.into()),
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        let errno = Answer::read(&message).map_or(libc::EIO, |answer| answer.errno);
                        if errno == 0 {
                            return Ok(());
                        }
                        return Err(io::Error::from_raw_os_error(errno));
                    }
                    _ => take(&message),
                }
            }
        }
    }
}

impl std::os::fd::AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor stays open as long as `self`, which the result borrows.
        unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) }
    }
}

/// The contents of an error message: 0 is success.
struct Answer {
    errno: i32,
    offset: Option<u32>,
}

impl Answer {
    fn read(message: &Message<'_>) -> Option<Self> {
        const HEADER: usize = 16;
        let errno = (read_u32_ne(message.body)? as i32).wrapping_neg();
        let mut offset = None;
        if message.flags & NLM_F_ACK_TLVS != 0 {
            let original = read_u32_ne(message.body.get(4..)?)? as usize;
            let skip = if message.flags & NLM_F_CAPPED != 0 { HEADER } else { original.next_multiple_of(4) };
            let attributes = Attributes(message.body.get(4 + skip..).unwrap_or_default());
            offset = attributes.get(NLMSGERR_ATTR_OFFS).and_then(read_u32_ne);
        }
        Some(Self { errno, offset })
    }
}

fn refusal(batch: &Batch, index: usize, element: Option<usize>, errno: i32) -> CommitError {
    let (table, op) = &batch.ops()[index];
    let mut operation = op.to_string();
    if let (Some(element), Op::AddElements { elements, .. } | Op::DeleteElements { elements, .. }) = (element, op)
        && let Some(element) = elements.get(element)
    {
        operation = format!("{operation} (element {:?})", element.key);
    }
    CommitError::Refused { table: table.to_string(), operation, index, errno }
}
