//! A work queue with client-go's promises: a key waits in it at most once, is worked on by one worker at a time,
//! and a key added while it is being worked on comes back afterwards.
//! Upstream: client-go `util/workqueue` (`queue.go`, `delaying_queue.go`, `default_rate_limiters.go`).

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque, hash_map::Entry},
    hash::Hash,
    time::Duration,
};

use tokio::time::Instant;

use crate::workqueue::Gauges;

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

/// At most so many retries of a part in a second, over all its keys: when everything fails at once, the API should not
/// hear of it at once. Upstream: `BucketRateLimiter`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// In the long run.
    pub per_second: f64,
    /// At once.
    pub burst: f64,
}

impl Bucket {
    /// That of client-go's default limiter.
    pub const DEFAULT: Self = Self { per_second: 10.0, burst: 100.0 };
}

/// A bucket with what is in it; below zero are the turns that have been promised.
#[derive(Debug)]
struct Turns {
    bucket: Bucket,
    left: f64,
    at: Instant,
}

impl Turns {
    fn new(bucket: Bucket) -> Self {
        Self { bucket, left: bucket.burst, at: Instant::now() }
    }

    /// Takes a turn and says how long to wait for it.
    fn take(&mut self) -> Duration {
        let now = Instant::now();
        let filled = self.left + now.duration_since(self.at).as_secs_f64() * self.bucket.per_second;
        (self.left, self.at) = (filled.min(self.bucket.burst) - 1.0, now);
        if self.left >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.left / self.bucket.per_second) }
    }
}

/// The queue of one part. Owned by the part's loop; it is not shared.
#[derive(Debug)]
pub struct Queue<K> {
    backoff: Backoff,
    turns: Option<Turns>,
    gauges: Gauges,
    ready: VecDeque<K>,
    /// When each key that is ready became so.
    waiting: HashMap<K, Instant>,
    /// The number of the work on each key.
    working: HashMap<K, u64>,
    again: HashSet<K>,
    delayed: BTreeSet<(Instant, u64)>,
    delayed_keys: HashMap<u64, K>,
    /// The one entry of `delayed` that each key has.
    delays: HashMap<K, (Instant, u64)>,
    failures: HashMap<K, u32>,
    sequence: u64,
}

impl<K: Clone + Eq + Hash> Queue<K> {
    /// An empty queue, called `name` in the metrics.
    pub fn new(name: &'static str, backoff: Backoff, bucket: Option<Bucket>) -> Self {
        Self {
            backoff,
            turns: bucket.map(Turns::new),
            gauges: Gauges::new(name),
            ready: VecDeque::new(),
            waiting: HashMap::new(),
            working: HashMap::new(),
            again: HashSet::new(),
            delayed: BTreeSet::new(),
            delayed_keys: HashMap::new(),
            delays: HashMap::new(),
            failures: HashMap::new(),
            sequence: 0,
        }
    }

    /// The part has its first complete sets.
    pub(crate) fn synced(&self) {
        self.gauges.synced();
    }

    /// Asks for work on `key`, unless it already waits. If it is being worked on, it comes back when that is done.
    pub fn add(&mut self, key: K) {
        if self.working.contains_key(&key) {
            self.again.insert(key);
        } else if let Entry::Vacant(entry) = self.waiting.entry(key) {
            self.ready.push_back(entry.key().clone());
            entry.insert(Instant::now());
            self.gauges.added();
        }
    }

    /// Asks for work on `key` after `delay`; of two such wishes the earlier counts. Otherwise every change of a key that
    /// fails would begin one more row of retries.
    pub fn add_after(&mut self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let due = Instant::now() + delay;
        if let Some(earlier) = self.delays.get(&key) {
            if earlier.0 <= due {
                return;
            }
            self.delayed.remove(earlier);
            self.delayed_keys.remove(&earlier.1);
        }
        let number = self.number();
        self.delayed.insert((due, number));
        self.delays.insert(key.clone(), (due, number));
        self.delayed_keys.insert(number, key);
    }

    /// Asks for work on `key` after its back-off. Returns the delay, or `None` if the key was dropped.
    pub fn retry(&mut self, key: K) -> Option<Duration> {
        let failures = self.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        let Some(delay) = self.backoff.delay(*failures) else {
            self.failures.remove(&key);
            return None;
        };
        let turn = self.turns.as_mut().map_or(Duration::ZERO, Turns::take);
        let delay = delay.max(turn);
        self.gauges.retried();
        self.add_after(key, delay);
        Some(delay)
    }

    /// The key succeeded: its next failure counts as the first.
    pub fn forget(&mut self, key: &K) {
        self.failures.remove(key);
    }

    /// The worker on `key` is finished.
    pub fn done(&mut self, key: &K) {
        if let Some(number) = self.working.remove(key) {
            self.gauges.done(number);
        }
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
                self.delays.remove(&key);
                self.add(key);
            }
        }
        let key = self.ready.pop_front()?;
        let since = self.waiting.remove(&key).unwrap_or(now);
        let number = self.number();
        self.gauges.begun(number, now.duration_since(since));
        self.working.insert(key.clone(), number);
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

    fn number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

impl<K> Drop for Queue<K> {
    fn drop(&mut self) {
        self.gauges.abandoned(self.ready.len());
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
        let mut queue = Queue::new("test", BACKOFF, None);
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
    async fn a_key_is_delayed_once_and_the_earlier_time_counts() {
        let mut queue = Queue::new("test", BACKOFF, None);
        for seconds in [10, 5, 20] {
            queue.add_after("a", Duration::from_secs(seconds));
        }
        assert_eq!(queue.len(), 1);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(queue.pop(), Some("a"));
        queue.done(&"a");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(queue.pop(), None, "the other two times are gone");
        queue.add_after("a", Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(queue.pop(), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_key_waits_its_back_off() {
        let mut queue = Queue::new("test", BACKOFF, None);
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

    #[tokio::test(start_paused = true)]
    async fn when_everything_fails_at_once_the_retries_are_spread() {
        let quick = Backoff { base: Duration::from_millis(5), max: Duration::from_secs(1000), attempts: None };
        let mut queue = Queue::new("test", quick, Some(Bucket::DEFAULT));
        let delays: Vec<_> = (0..150).filter_map(|key| queue.retry(key)).collect();
        assert!(delays[..100].iter().all(|delay| *delay == Duration::from_millis(5)), "the burst");
        assert_eq!(delays[100].as_millis(), 100);
        assert_eq!(delays[149].as_millis(), 5000);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(queue.retry(0), Some(Duration::from_millis(10)), "its own back-off counts when there are turns");
    }
}
