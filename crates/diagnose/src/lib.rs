//! The doctor: why does this Service have no traffic, or no address?
//!
//! Called by `portolan diagnose`, by the lab and by the demo.
//!
//! ```text
//! API -> fetch (the only I/O) -> Snapshot (data) -> Index (lookups) -> diagnose (pure) -> Diagnosis (data) -> render
//! ```
//!
//! A Service's way is a chart of links, from its name to a socket in a pod. Each is ok, broken, the consequence of another
//! one, or not checked, with the objects and fields that prove it.
//!
//! Invariant: silent unless proven. A finding names the field values it rests on; what is merely likely is a hint and
//! changes neither state nor exit code. Events are lossy (spam filter, aggregation, one hour of life), so objects
//! decide and events explain; where the absence of events matters, the answer says what may have been lost.

mod all;
mod checks;
mod diagnosis;
mod fetch;
mod history;
mod index;
mod nearest;
mod slim;
mod snapshot;
mod view;
mod words;

pub mod alerts;
pub mod evidence;
pub mod lint;
pub mod probes;
pub mod render;
pub mod stored;
pub mod timeline;

use std::{collections::BTreeMap, time::Duration};

use kube::Client;
use portolan_objects::ObjectKey;

use evidence::NodeEvidence;

pub use all::{Cause, Report, diagnose_all};
pub use checks::diagnose;
pub use diagnosis::{Diagnosis, Evidence, Finding, Link, LinkId, Remedy, State};
pub use fetch::{SnapshotError, around, cluster, namespace};
pub use index::Index;
pub use snapshot::{FORMAT, SYSTEM_NAMESPACE, Scope, Snapshot, Unread, Workload};
pub use view::{Ask, From};
pub use words::Words;

/// How long a disagreement between pods and slices must last.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// Most nodes that are asked for the facts of their kernels when all Services are looked at.
const NODES: usize = 50;

/// Reads what is around a Service, with what its nodes say of their kernels: `evidence` if there is some, else what the
/// nodes' agents answer, with the connections that [`probes::wanted`] finds worth trying.
///
/// # Errors
/// Services could not be read. Everything else that could not be read is noted in the snapshot.
pub async fn look(
    client: Client,
    key: &ObjectKey,
    ask: &Ask,
    evidence: Vec<NodeEvidence>,
) -> Result<Snapshot, SnapshotError> {
    let mut snapshot = around(client.clone(), key).await?;
    if let From::Pod(caller) = &ask.from {
        fetch::caller(&client, &mut snapshot, caller).await;
    }
    let wanted = probes::wanted(&Index::new(&snapshot), key, ask);
    attach(&client, &mut snapshot, evidence, wanted).await;
    Ok(snapshot)
}

/// Reads a namespace, or with `None` the whole cluster, with what nodes say of their kernels, as [`look`] does; no connection
/// is tried.
///
/// # Errors
/// As [`look`].
pub async fn look_at_all(
    client: Client,
    namespace: Option<&str>,
    evidence: Vec<NodeEvidence>,
) -> Result<Snapshot, SnapshotError> {
    let mut snapshot = match namespace {
        Some(namespace) => fetch::namespace(client.clone(), namespace).await?,
        None => cluster(client.clone()).await?,
    };
    let nodes = snapshot.nodes.iter().filter(|node| view::node_ready(node)).take(NODES);
    let wanted = nodes.map(|node| (view::name(node).to_owned(), probes::Questions::new())).collect();
    attach(&client, &mut snapshot, evidence, wanted).await;
    Ok(snapshot)
}

async fn attach(
    client: &Client,
    snapshot: &mut Snapshot,
    given: Vec<NodeEvidence>,
    wanted: BTreeMap<String, probes::Questions>,
) {
    if !given.is_empty() {
        snapshot.evidence = given;
        return;
    }
    let (evidence, unread) = evidence::of_nodes(client, &wanted).await;
    snapshot.evidence = evidence;
    snapshot.unread.extend(unread);
}

/// Looks and diagnoses.
///
/// # Errors
/// As [`look`]. Worth trying again when the API was not reachable. A Service that does not exist is a finding.
pub async fn run(
    client: Client,
    key: &ObjectKey,
    ask: &Ask,
    evidence: Vec<NodeEvidence>,
) -> Result<Diagnosis, SnapshotError> {
    let look = async || {
        let snapshot = look(client.clone(), key, ask, evidence.clone()).await?;
        Ok(diagnose(&Index::new(&snapshot), key, ask))
    };
    let first: Diagnosis = look().await?;
    // These are read a moment apart, and a controller or proxy needs one to follow: only what stays is proven.
    let moves = [LinkId::Slices, LinkId::Proxy, LinkId::Conntrack, LinkId::Socket, LinkId::Probe];
    if first.cause().is_none_or(|cause| !moves.contains(&cause.link)) {
        return Ok(first);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    look().await
}

#[cfg(test)]
mod tests;
