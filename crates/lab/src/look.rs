//! One look at the Service of a scenario: the same functions as `portolan diagnose` uses.

use std::time::Duration;

use kube::Client;
use portolan_diagnose::{Ask, Diagnosis, From, Index, LinkId, Snapshot, SnapshotError, diagnose};

use crate::scenario::{Caller, Expect, key};

/// Pods and slices are read a moment apart; only a disagreement that lasts is one.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// Who asks.
pub fn ask(expect: &Expect) -> Ask {
    let from = match &expect.from {
        None => From::Anywhere,
        Some(Caller::Pod(pod)) => From::Pod(key(pod)),
        Some(Caller::Outside) => From::Outside(None),
        Some(Caller::Address(address)) => From::Outside(Some(*address)),
    };
    Ask { from }
}

/// Reads and diagnoses.
pub(crate) async fn look(client: &Client, expect: &Expect) -> Result<(Snapshot, Diagnosis), SnapshotError> {
    let first = once(client, expect).await?;
    if first.1.cause().is_none_or(|cause| cause.link != LinkId::Slices) {
        return Ok(first);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    once(client, expect).await
}

async fn once(client: &Client, expect: &Expect) -> Result<(Snapshot, Diagnosis), SnapshotError> {
    // What the kernels say is asked of the nodes' agents.
    let snapshot = portolan_diagnose::look(client.clone(), &expect.key(), &ask(expect), Vec::new()).await?;
    let diagnosis = again(expect, &snapshot);
    Ok((snapshot, diagnosis))
}

/// Diagnoses what was read before.
pub fn again(expect: &Expect, snapshot: &Snapshot) -> Diagnosis {
    diagnose(&Index::new(snapshot), &expect.key(), &ask(expect))
}
