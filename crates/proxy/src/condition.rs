//! What is wrong with a proxy, switched from outside while it runs: for laboratories.

/// The condition of a proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Condition {
    /// It does its work.
    #[default]
    Well,
    /// It runs, but nothing of what it hears reaches the kernel any more, and its health check says so. The rules stay as
    /// they are.
    Frozen,
    /// Somebody has deleted its tables. It does not know and believes itself well.
    Stripped,
}
