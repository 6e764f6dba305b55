//! How long a Service waits after a change of one of its pods, for more of them.
//!
//! A write of a slice goes to every node of the cluster, and a large Service changes in bursts: a rolling update makes a
//! hundred pods ready in a moment, and all of them can go into one write. So a Service is looked at when its pods have
//! been quiet for a moment that grows with their number: none for a few pods, a fifth of a second for five thousand.
//! (Upstream takes longer than that to compute what to write, and collects changes meanwhile.)
//!
//! `--endpointslice-updates-batch-period` replaces all this by a fixed time, as upstream has it.

use std::{collections::HashMap, pin::Pin, time::Duration};

use futures::{Stream, StreamExt, stream};
use portolan_objects::ObjectKey;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::time::DelayQueue;

/// For each pod of the Service.
const QUIET_PER_POD: Duration = Duration::from_micros(40);
/// Below this it is not worth waiting.
const SHORTEST: Duration = Duration::from_millis(2);
/// Nobody waits longer than this many times the quiet moment, however many changes come.
const PATIENCE: u32 = 4;

/// The waiting room. Each key is in it at most once, so it is never larger than the index.
#[derive(Debug)]
pub(crate) struct Pace {
    /// A fixed time for all Services.
    period: Option<Duration>,
    waiting: HashMap<ObjectKey, Waiting>,
    room: mpsc::UnboundedSender<(Instant, ObjectKey)>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// Enough if no change comes until then.
    quiet: Instant,
    /// Enough in any case.
    latest: Instant,
}

/// The other end of the room.
struct Room {
    arrivals: mpsc::UnboundedReceiver<(Instant, ObjectKey)>,
    waiting: Pin<Box<DelayQueue<ObjectKey>>>,
}

impl Pace {
    /// With the stream of the keys that have waited; each has to be given to [`Pace::due`]. A period of zero is none.
    pub(crate) fn new(period: Duration) -> (Self, impl Stream<Item = ObjectKey> + Send + 'static) {
        let (room, arrivals) = mpsc::unbounded_channel();
        let due = stream::unfold(Room { arrivals, waiting: Box::pin(DelayQueue::new()) }, |mut room| async move {
            loop {
                tokio::select! {
                    Some(expired) = room.waiting.next() => return Some((expired.into_inner(), room)),
                    arrival = room.arrivals.recv() => {
                        let (due, key) = arrival?;
                        room.waiting.insert_at(key, due);
                    }
                }
            }
        });
        let period = (!period.is_zero()).then_some(period);
        (Self { period, waiting: HashMap::new(), room }, due)
    }

    /// A pod of this Service, which has so many of them, has changed.
    pub(crate) fn touch(&mut self, key: ObjectKey, pods: usize, dirty: &mut Vec<ObjectKey>) {
        let now = Instant::now();
        let quiet = QUIET_PER_POD.saturating_mul(u32::try_from(pods).unwrap_or(u32::MAX));
        let moment = match self.period {
            Some(period) => Waiting { quiet: now + period, latest: now + period },
            None if quiet < SHORTEST => return dirty.push(key),
            None => Waiting { quiet: now + quiet, latest: now + quiet * PATIENCE },
        };
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.quiet = moment.quiet.min(waiting.latest);
            return;
        }
        self.send(&key, moment.quiet);
        self.waiting.insert(key, moment);
    }

    /// The key has waited: long enough, if no change has come meanwhile.
    pub(crate) fn due(&mut self, key: ObjectKey, dirty: &mut Vec<ObjectKey>) {
        match self.waiting.get(&key).map(|waiting| waiting.quiet) {
            Some(quiet) if quiet > Instant::now() => self.send(&key, quiet),
            _ => {
                self.waiting.remove(&key);
                dirty.push(key);
            }
        }
    }

    fn send(&self, key: &ObjectKey, due: Instant) {
        // The other end only goes when the whole controller does.
        let _ = self.room.send((due, key.clone()));
    }
}

#[cfg(test)]
mod tests;
