//! What can go wrong, with the object it went wrong on.

use std::io;

/// The socket could not be opened or used.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot {action} the netfilter socket; this needs CAP_NET_ADMIN in the user namespace that owns the network namespace"
)]
pub struct SocketError {
    /// What was tried.
    pub action: &'static str,
    /// The kernel's answer.
    pub source: io::Error,
}

/// A transaction did not take effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The kernel refused one operation, so nothing of the transaction happened. Repeating it gives the same answer
    /// unless something else changes.
    #[error("cannot {operation} in table {table}: {} (errno {errno}); nothing was changed", meaning(*errno))]
    Refused {
        /// Family and name of the table.
        table: String,
        /// The operation, with the element where the kernel names one.
        operation: String,
        /// Index of the operation in the batch.
        index: usize,
        /// The kernel's error number.
        errno: i32,
    },
    /// The kernel refused the transaction as a whole; nothing of it happened.
    #[error("the transaction of {operations} operations was refused: {} (errno {errno}); nothing was changed", meaning(*errno))]
    Transaction {
        /// How many operations it had.
        operations: usize,
        /// The kernel's error number.
        errno: i32,
    },
    /// It could not be sent; nothing of it happened.
    #[error("cannot send a transaction of {bytes} bytes; a batch must fit the send buffer in one piece")]
    Send {
        /// Its size.
        bytes: usize,
        /// Why.
        source: io::Error,
    },
    /// It was sent but the answer is lost: it may or may not have happened. Dump and compare.
    #[error("the answer to a transaction is lost; dump the table to learn whether it took effect")]
    Lost(#[source] Option<io::Error>),
}

impl CommitError {
    /// The kernel's error number, if it gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            CommitError::Refused { errno, .. } | CommitError::Transaction { errno, .. } => Some(*errno),
            CommitError::Send { source, .. } => source.raw_os_error(),
            CommitError::Lost(_) => None,
        }
    }
}

/// A dump failed; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("cannot list {what}")]
pub struct DumpError {
    /// What was asked for.
    pub what: String,
    /// The kernel's answer.
    pub source: io::Error,
}

impl DumpError {
    /// The table or set does not exist.
    pub fn is_missing(&self) -> bool {
        self.source.raw_os_error() == Some(libc::ENOENT)
    }
}

/// What an error number means to nf_tables.
fn meaning(errno: i32) -> &'static str {
    match errno {
        libc::EPERM => "not permitted: another process owns the table, or CAP_NET_ADMIN is missing",
        libc::ENOENT => "the table, chain, set or element does not exist, or the kernel lacks the expression",
        libc::EEXIST => "it exists with other contents",
        libc::EBUSY => "it is in use",
        libc::EINVAL => "the kernel does not accept it",
        libc::EOPNOTSUPP => "the kernel does not support it here",
        libc::ELOOP | libc::EMLINK => "the chains would form a loop",
        libc::ENFILE | libc::ENOSPC => "the set is full",
        libc::ENOTEMPTY => "it overlaps with an existing range",
        libc::ENOMEM => "out of memory",
        libc::ERANGE => "a number is out of range",
        libc::EMSGSIZE => "it does not fit the socket buffer",
        _ => "refused",
    }
}
