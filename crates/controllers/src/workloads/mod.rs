//! The workload controllers that a Service network needs under it: pods that exist, on nodes that are there.
//!
//! ```text
//! Deployment -> ReplicaSet -> Pod -> (scheduler) Node          Namespace, ServiceAccount, owners, node leases
//! ```
//!
//! Each has its own identity, index and loop, and runs alone or beside the others. On a cluster that runs
//! kube-controller-manager and kube-scheduler none of them is wanted.

mod cache;
pub mod deployment;
pub mod garbage;
pub mod namespace;
pub mod nodes;
pub mod replicaset;
pub mod scheduler;
pub mod serviceaccount;
mod timers;

pub(crate) use cache::{Cache, Ledger, uid};

/// The API says that the object is not there, or that its name now belongs to another one.
pub(crate) fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 || (status.code == 409 && is_precondition(status)))
}

/// A conflict because of a precondition on the UID, not because of a stale version.
fn is_precondition(status: &kube::core::Status) -> bool {
    // Of an update and of a deletion.
    ["Precondition failed: UID", "the UID in the precondition"].iter().any(|text| status.message.contains(text))
}

/// The API says that the object was there already.
pub(crate) fn already_exists(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.reason == "AlreadyExists")
}
