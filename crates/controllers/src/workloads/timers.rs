//! At most one pending wake-up per key, however often a plan asks for one.

use std::{collections::HashMap, hash::Hash, time::Duration};

use tokio::time::Instant;

pub(super) struct Timers<K>(HashMap<K, Instant>);

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Timers<K> {
    /// The delay, if a wake-up after it is needed: `None` when an earlier one is pending.
    pub fn set(&mut self, key: &K, delay: Duration) -> Option<Duration> {
        if delay.is_zero() {
            return Some(delay);
        }
        let now = Instant::now();
        let due = now + delay;
        if self.0.get(key).is_some_and(|pending| *pending > now && *pending <= due) {
            return None;
        }
        self.0.insert(key.clone(), due);
        Some(delay)
    }

    /// Whether a wake-up is pending.
    pub fn pending(&self, key: &K) -> bool {
        self.0.get(key).is_some_and(|due| *due > Instant::now())
    }

    pub fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }
}
