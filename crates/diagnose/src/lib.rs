//! The doctor: why does this Service have no traffic, or no address?
//!
//! Called by `portolan diagnose` and by the demo.
//!
//! ```text
//! API -> snapshot (the only I/O) -> Snapshot (data) -> diagnose (pure) -> Diagnosis (data) -> render
//! ```
//!
//! A Service is a chain of links: service, address, selector, pods, readiness, slices, ports, policy, load balancer.
//! Each is ok, broken, the consequence of an earlier one, or not checked, with the objects and fields that prove it.
//!
//! Invariant: silent unless proven. A finding names the field values it rests on; what is merely likely is a hint and
//! changes neither state nor exit code. Events are lossy (spam filter, aggregation, one hour of life), so objects
//! decide and events explain; where the absence of events matters, the answer says what may have been lost.

mod checks;
mod diagnosis;
mod fetch;
mod history;
mod nearest;
mod snapshot;
mod view;
mod words;

pub mod evidence;
pub mod render;

use std::time::Duration;

use kube::Client;
use portolan_objects::ObjectKey;

pub use checks::diagnose;
pub use diagnosis::{Diagnosis, Evidence, Finding, Link, LinkId, Remedy, State};
pub use fetch::{SnapshotError, snapshot};
pub use snapshot::{Snapshot, Unread, Workload};
pub use words::Words;

/// How long a disagreement between pods and slices must last.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// Looks and diagnoses.
///
/// # Errors
/// The Service could not be read, for any reason but that it does not exist (which is a finding). Worth trying again
/// when the API was not reachable. Everything else that cannot be read is noted in the diagnosis.
pub async fn run(client: Client, key: &ObjectKey) -> Result<Diagnosis, SnapshotError> {
    let first = diagnose(&snapshot(client.clone(), key).await?);
    if first.cause().is_none_or(|cause| cause.link != LinkId::Slices) {
        return Ok(first);
    }
    // Pods and slices are read a moment apart, and a controller needs one to follow: only what stays is proven.
    tokio::time::sleep(SECOND_LOOK).await;
    Ok(diagnose(&snapshot(client, key).await?))
}

#[cfg(test)]
mod tests;
