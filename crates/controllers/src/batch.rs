//! Keys that wait a while before they are planned, so that a burst of changes ends in one write.
//! Upstream: `--endpoint-updates-batch-period`, by client-go's `AddAfter`.

use std::{collections::HashSet, time::Duration};

use futures::{Stream, stream};
use portolan_objects::ObjectKey;
use tokio::{sync::mpsc, time::Instant};

/// The waiting room. Each key is in it at most once, so it is never larger than the index.
#[derive(Debug)]
pub(crate) struct Batch {
    period: Duration,
    waiting: HashSet<ObjectKey>,
    room: mpsc::UnboundedSender<(Instant, ObjectKey)>,
}

impl Batch {
    /// With the stream of the keys that have waited long enough; each has to be given to [`Batch::due`].
    pub(crate) fn new(period: Duration) -> (Self, impl Stream<Item = ObjectKey> + Send + 'static) {
        let (room, keys) = mpsc::unbounded_channel::<(Instant, ObjectKey)>();
        // All wait equally long, so they become due in the order of their coming.
        let due = stream::unfold(keys, |mut keys| async move {
            let (due, key) = keys.recv().await?;
            tokio::time::sleep_until(due).await;
            Some((key, keys))
        });
        (Self { period, waiting: HashSet::new(), room }, due)
    }

    /// Takes keys that a change touches. Without a period they are dirty at once.
    pub(crate) fn add(&mut self, keys: impl IntoIterator<Item = ObjectKey>, dirty: &mut Vec<ObjectKey>) {
        if self.period.is_zero() {
            return dirty.extend(keys);
        }
        for key in keys {
            if self.waiting.insert(key.clone()) {
                // The other end only goes when the whole controller does.
                let _ = self.room.send((Instant::now() + self.period, key));
            }
        }
    }

    /// The key has waited long enough.
    pub(crate) fn due(&mut self, key: ObjectKey, dirty: &mut Vec<ObjectKey>) {
        self.waiting.remove(&key);
        dirty.push(key);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::StreamExt;

    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("shop", name)
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_waits_once_from_its_first_change_on() {
        let (mut batch, due) = Batch::new(Duration::from_secs(2));
        let mut due = std::pin::pin!(due);
        let (start, mut dirty) = (Instant::now(), Vec::new());
        batch.add([key("web"), key("db")], &mut dirty);
        tokio::time::advance(Duration::from_secs(1)).await;
        batch.add([key("web")], &mut dirty);
        assert_eq!(dirty, []);
        for expected in [key("web"), key("db")] {
            let waited = due.next().await.unwrap();
            assert_eq!((&waited, start.elapsed()), (&expected, Duration::from_secs(2)));
            batch.due(waited, &mut dirty);
        }
        assert_eq!(std::mem::take(&mut dirty), [key("web"), key("db")]);
        batch.add([key("web")], &mut dirty);
        assert_eq!(due.next().await.unwrap(), key("web"));
        assert_eq!(start.elapsed(), Duration::from_secs(4));
    }

    #[test]
    fn without_a_period_nothing_waits() {
        let (mut batch, _) = Batch::new(Duration::ZERO);
        let mut dirty = Vec::new();
        batch.add([key("web"), key("web")], &mut dirty);
        assert_eq!(dirty.len(), 2);
    }
}
