//! A work queue with client-go's promises: a key waits in it at most once, is worked on by one worker at a time,
//! and a key added while it is being worked on comes back afterwards.
//! Upstream: client-go `util/workqueue` (`queue.go`, `delaying_queue.go`, `default_rate_limiters.go`).

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    hash::Hash,
    time::Duration,
};

use tokio::time::Instant;

/// Exponential back-off per key: `base`, doubled with every failure in a row, never above `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Delay after the first failure.
    pub base: Duration,
    /// Longest delay.
    pub max: Duration,
    /// Failures in a row after which the key is dropped until something changes; `None` is never.
    pub attempts: Option<u32>,
}

impl Backoff {
    /// The delay after `failures` failures in a row (1 is the first), or `None` when the key should be dropped.
    pub fn delay(&self, failures: u32) -> Option<Duration> {
        if self.attempts.is_some_and(|limit| failures > limit) {
            return None;
        }
        let doublings = failures.saturating_sub(1).min(31);
        Some(self.base.saturating_mul(1 << doublings).min(self.max))
    }
}

/// The queue of one part. Owned by the part's loop; it is not shared.
#[derive(Debug)]
pub struct Queue<K> {
    backoff: Backoff,
    ready: VecDeque<K>,
    waiting: HashSet<K>,
    working: HashSet<K>,
    again: HashSet<K>,
    delayed: BTreeSet<(Instant, u64)>,
    delayed_keys: HashMap<u64, K>,
    failures: HashMap<K, u32>,
    sequence: u64,
}

impl<K: Clone + Eq + Hash> Queue<K> {
    /// An empty queue.
    pub fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            ready: VecDeque::new(),
            waiting: HashSet::new(),
            working: HashSet::new(),
            again: HashSet::new(),
            delayed: BTreeSet::new(),
            delayed_keys: HashMap::new(),
            failures: HashMap::new(),
            sequence: 0,
        }
    }

    /// Asks for work on `key`, unless it already waits. If it is being worked on, it comes back when that is done.
    pub fn add(&mut self, key: K) {
        if self.working.contains(&key) {
            self.again.insert(key);
        } else if self.waiting.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// Asks for work on `key` after `delay`.
    pub fn add_after(&mut self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        self.sequence += 1;
        self.delayed.insert((Instant::now() + delay, self.sequence));
        self.delayed_keys.insert(self.sequence, key);
    }

    /// Asks for work on `key` after its back-off. Returns the delay, or `None` if the key was dropped.
    pub fn retry(&mut self, key: K) -> Option<Duration> {
        let failures = self.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        let delay = self.backoff.delay(*failures);
        match delay {
            Some(delay) => self.add_after(key, delay),
            None => drop(self.failures.remove(&key)),
        }
        delay
    }

    /// The key succeeded: its next failure counts as the first.
    pub fn forget(&mut self, key: &K) {
        self.failures.remove(key);
    }

    /// The worker on `key` is finished.
    pub fn done(&mut self, key: &K) {
        self.working.remove(key);
        if let Some(key) = self.again.take(key) {
            self.add(key);
        }
    }

    /// The next key that is due, at once. It counts as being worked on until [`Queue::done`].
    pub fn pop(&mut self) -> Option<K> {
        let now = Instant::now();
        while let Some(&(due, id)) = self.delayed.first() {
            if due > now {
                break;
            }
            self.delayed.remove(&(due, id));
            if let Some(key) = self.delayed_keys.remove(&id) {
                self.add(key);
            }
        }
        let key = self.ready.pop_front()?;
        self.waiting.remove(&key);
        self.working.insert(key.clone());
        Some(key)
    }

    /// When the next delayed key becomes due.
    pub fn next_due(&self) -> Option<Instant> {
        self.delayed.first().map(|(due, _)| *due)
    }

    /// Keys that wait or are delayed.
    pub fn len(&self) -> usize {
        self.ready.len() + self.delayed.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { base: Duration::from_secs(5), max: Duration::from_secs(300), attempts: Some(8) };

    #[test]
    fn delays_double_up_to_the_limit_and_then_the_key_is_dropped() {
        let seconds: Vec<_> = (1..=9).map(|n| BACKOFF.delay(n).map(|d| d.as_secs())).collect();
        let expected = [5, 10, 20, 40, 80, 160, 300, 300].map(Some).into_iter().chain([None]);
        assert_eq!(seconds, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_key_waits_once_and_comes_back_if_added_while_worked_on() {
        let mut queue = Queue::new(BACKOFF);
        queue.add("a");
        queue.add("a");
        assert_eq!(queue.pop(), Some("a"));
        assert_eq!(queue.pop(), None);
        queue.add("a");
        assert_eq!(queue.pop(), None, "one worker per key");
        queue.done(&"a");
        assert_eq!(queue.pop(), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_key_waits_its_back_off() {
        let mut queue = Queue::new(BACKOFF);
        queue.add("a");
        queue.pop();
        assert_eq!(queue.retry("a"), Some(Duration::from_secs(5)));
        queue.done(&"a");
        assert_eq!(queue.pop(), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(queue.pop(), Some("a"));
        assert_eq!(queue.retry("a"), Some(Duration::from_secs(10)));
        queue.forget(&"a");
        assert_eq!(queue.retry("a"), Some(Duration::from_secs(5)));
    }
}
