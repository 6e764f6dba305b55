//! The life of Events: each is deleted a fixed time after its last write, with a DELETED event like any other.
//!
//! As the time is the same for all, their ends come in the order of their writes: a queue, fed by a watch.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::Registry;
use crate::store::{Action, CommitError, Expect, Key, Lost, Object, Revision, Selection, Step, Write};

const EVENTS: &str = "events";

/// The end of one version of an Event.
struct End {
    at: Instant,
    key: Key,
    revision: Revision,
}

/// Deletes Events when their time is over, until the server stops. Events found at start live once more as long.
pub(crate) async fn expire_events(registry: Arc<Registry>, life: Duration) {
    // A reader that was lost in a burst of writes begins anew; the Events it had missed live a little longer.
    while follow(&registry, life).await == Err(Lost::Compacted) {}
}

async fn follow(registry: &Registry, life: Duration) -> Result<(), Lost> {
    let page = registry.store.list(EVENTS, &Selection::ALL, None).ok_or(Lost::Closed)?;
    let mut changes = registry.store.watch(EVENTS, page.revision).ok_or(Lost::Closed)?;
    let at = Instant::now() + life;
    let end = |at, object: &Object| End { at, key: object.key.clone(), revision: object.revision };
    let mut ends: VecDeque<End> = page.objects.iter().map(|object| end(at, object)).collect();
    loop {
        let next = ends.front().map_or_else(|| Instant::now() + life, |end| end.at);
        tokio::select! {
            () = registry.stop.cancelled() => return Ok(()),
            events = changes.next() => {
                let at = Instant::now() + life;
                let events = events?;
                let written = events.iter().filter(|event| event.action != Action::Deleted);
                ends.extend(written.map(|event| end(at, &event.object)));
            }
            () = sleep_until(next) => {
                while let Some(end) = ends.pop_front_if(|end| end.at <= Instant::now()) {
                    remove(registry, end).await;
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
