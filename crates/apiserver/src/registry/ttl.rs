//! The life of Events: each is deleted a fixed time after its last write, with a DELETED event like any other.
//!
//! As the time is the same for all, their ends come in the order of their writes: a queue, fed by a watch.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::Registry;
use crate::store::{Action, CommitError, Expect, Key, Revision, Selection, Step, Write};

const EVENTS: &str = "events";

/// The end of one version of an Event.
struct End {
    at: Instant,
    key: Key,
    revision: Revision,
}

/// Deletes Events when their time is over, until the server stops. Events found at start live once more as long.
pub(crate) async fn expire_events(registry: Arc<Registry>, life: Duration) {
    let Some(page) = registry.store.list(EVENTS, &Selection::ALL, None) else { return };
    let mut ends: VecDeque<End> = page
        .objects
        .iter()
        .map(|object| End { at: Instant::now() + life, key: object.key.clone(), revision: object.revision })
        .collect();
    let Some(mut changes) = registry.store.watch(EVENTS, page.revision) else { return };
    loop {
        let next = ends.front().map_or_else(|| Instant::now() + life, |end| end.at);
        tokio::select! {
            () = registry.stop.cancelled() => return,
            events = changes.next() => {
                // Lost means closed here: this reader is never slow for ten thousand changes.
                let Ok(events) = events else { return };
                let at = Instant::now() + life;
                let written = events.iter().filter(|event| event.action != Action::Deleted);
                ends.extend(written.map(|event| End { at, key: event.object.key.clone(), revision: event.object.revision }));
            }
            () = sleep_until(next) => {
                while ends.front().is_some_and(|end| end.at <= Instant::now()) {
                    if let Some(end) = ends.pop_front() {
                        remove(&registry, end).await;
                    }
                }
            }
        }
    }
}

/// Deletes the Event unless it was written again: then another end is in the queue.
async fn remove(registry: &Registry, end: End) {
    let Some(object) = registry.store.get(EVENTS, &end.key).filter(|object| object.revision == end.revision) else {
        return;
    };
    let step = Step {
        storage: EVENTS,
        key: end.key,
        expect: Expect::Revision(end.revision),
        write: Write::Delete(object.value()),
    };
    match registry.store.commit(vec![step]).await {
        Ok(_) | Err(CommitError::Unexpected { .. } | CommitError::Closed) => {}
        Err(error) => tracing::error!(%error, "an Event that is over cannot be deleted"),
    }
}
