//! The workload controllers that a Service network needs under it: pods that exist, on nodes that are there.
//!
//! ```text
//! Deployment -> ReplicaSet -> Pod -> (scheduler) Node          Namespace, ServiceAccount, owners, node leases
//! ```
//!
//! Each has its own identity, index and loop, and can run alone; [`run_all`] is the usual set. On a cluster that runs
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

use kube::Client;
use portolan_events::{Recorder, Vocabulary};
use portolan_runtime::Metrics;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use cache::{Cache, Ledger, uid};

/// Runs every workload controller until `stop`. `client` gives the client of a component, by its name; each has its own
/// identity so that the API can tell them apart. `metrics` gives it what to count with.
pub async fn run_all(
    client: impl Fn(&'static str) -> Client,
    vocabulary: Vocabulary,
    metrics: impl Fn(&'static str) -> Metrics,
    stop: CancellationToken,
) {
    let recorder = |name| Recorder::new(client(name), name, None, vocabulary);
    let mut parts = JoinSet::new();
    let name = deployment::NAME;
    parts.spawn(deployment::run(client(name), recorder(name), metrics(name), stop.clone()));
    let name = replicaset::NAME;
    parts.spawn(replicaset::run(client(name), recorder(name), metrics(name), stop.clone()));
    let name = scheduler::NAME;
    parts.spawn(scheduler::run(client(name), recorder(name), metrics(name), stop.clone()));
    parts.spawn(namespace::run(client(namespace::NAME), metrics(namespace::NAME), stop.clone()));
    parts.spawn(serviceaccount::run(client(serviceaccount::NAME), metrics(serviceaccount::NAME), stop.clone()));
    parts.spawn(garbage::run(client(garbage::NAME), metrics(garbage::NAME), stop.clone()));
    let name = nodes::NAME;
    parts.spawn(nodes::run(client(name), recorder(name), metrics(name), stop));
    while parts.join_next().await.is_some() {}
}

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
