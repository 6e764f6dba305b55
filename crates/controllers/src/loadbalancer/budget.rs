//! How many calls the provider gets, and who makes the next one.
//!
//! A token bucket counts calls; a fixed number of slots counts Services that are worked on. A [`Grant`] is both: one
//! slot and one call paid for. The controller plans a Service only when it holds a grant, so what waits for its turn is
//! a name and not a finished plan: when the turn comes, it is planned from the newest state, and of many changes of
//! nodes only the last is sent.

use std::{sync::Arc, time::Duration};

use futures::{Stream, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use super::metrics::Metrics;

/// The token bucket, as the time at which the bucket would be full again.
#[derive(Debug)]
struct Bucket {
    interval: Duration,
    burst: u32,
    full_at: Instant,
}

impl Bucket {
    /// Takes a token; says when it may be used.
    fn take(&mut self, now: Instant) -> Instant {
        self.full_at = self.full_at.max(now) + self.interval;
        (self.full_at - self.interval * self.burst).max(now)
    }

    fn give_back(&mut self) {
        self.full_at -= self.interval;
    }

    /// Tokens that are left; negative if calls are waiting for theirs.
    fn left(&self, now: Instant) -> f64 {
        let missing = self.full_at.saturating_duration_since(now).as_secs_f64() / self.interval.as_secs_f64();
        f64::from(self.burst) - missing
    }
}

/// The calls that one provider gets, shared by everybody who makes them.
pub(super) struct Budget {
    bucket: std::sync::Mutex<Bucket>,
    metrics: Metrics,
}

impl Budget {
    /// `burst` calls at once, then one every `1 / calls_per_second`.
    pub fn new(calls_per_second: f64, burst: u32, metrics: Metrics) -> Self {
        // Less than one a day is none at all; more than a thousand a millisecond is all.
        let seconds = (1.0 / calls_per_second).clamp(1e-6, 86_400.0);
        let interval = Duration::from_secs_f64(seconds);
        let bucket = Bucket { interval, burst: burst.max(1), full_at: Instant::now() };
        metrics.limits(1.0 / seconds, burst.max(1));
        Self { bucket: bucket.into(), metrics }
    }

    /// Waits until one more call may be made.
    pub async fn take(&self) {
        let now = Instant::now();
        let at = self.with(|bucket| bucket.take(now));
        if at > now {
            self.metrics.waited(at - now);
            tokio::time::sleep_until(at).await;
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Bucket) -> T) -> T {
        let mut bucket = self.bucket.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let result = change(&mut bucket);
        self.metrics.tokens(bucket.left(Instant::now()));
        result
    }
}

/// The right to work on one Service, with one call paid for.
pub(super) struct Grant {
    budget: Arc<Budget>,
    paid: bool,
    _slot: OwnedSemaphorePermit,
}

impl Grant {
    /// Pays for a call: the first one at once, others when the budget allows.
    pub async fn pay(&mut self) {
        if !std::mem::take(&mut self.paid) {
            self.budget.take().await;
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if self.paid {
            self.budget.with(Bucket::give_back);
        }
    }
}

/// Grants, one after the other, while `waiting` is not zero; at most `slots` at a time.
pub(super) fn grants(
    budget: Arc<Budget>,
    slots: usize,
    waiting: watch::Receiver<usize>,
) -> impl Stream<Item = Grant> + Send {
    let slots = Arc::new(Semaphore::new(slots.max(1)));
    stream::unfold((budget, slots, waiting), |(budget, slots, mut waiting)| async move {
        waiting.wait_for(|waiting| *waiting > 0).await.ok()?;
        let slot = slots.clone().acquire_owned().await.ok()?;
        budget.take().await;
        let grant = Grant { budget: budget.clone(), paid: true, _slot: slot };
        Some((grant, (budget, slots, waiting)))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::StreamExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_then_calls_keep_their_distance() {
        let budget = Budget::new(4.0, 3, Metrics::default());
        let start = Instant::now();
        let mut at = Vec::new();
        for _ in 0..6 {
            budget.take().await;
            at.push(start.elapsed().as_millis());
        }
        assert_eq!(at, [0, 0, 0, 250, 500, 750]);
        tokio::time::advance(Duration::from_secs(3600)).await;
        let start = Instant::now();
        for _ in 0..4 {
            budget.take().await;
        }
        assert_eq!(start.elapsed().as_millis(), 250, "a pause fills the bucket, but not more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_grant_is_a_slot_and_one_paid_call() {
        let budget = Arc::new(Budget::new(1.0, 1, Metrics::default()));
        let (sender, waiting) = watch::channel(0);
        let mut stream = std::pin::pin!(grants(budget, 1, waiting));
        let patience = Duration::from_secs(60);
        assert!(tokio::time::timeout(patience, stream.next()).await.is_err(), "nobody waits");
        sender.send_replace(1);
        let start = Instant::now();
        let mut first = stream.next().await.unwrap();
        first.pay().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        first.pay().await;
        assert_eq!(start.elapsed(), Duration::from_secs(1), "the second call is paid for separately");
        assert!(tokio::time::timeout(patience, stream.next()).await.is_err(), "the only slot is taken");
        drop(first);
        let unused = stream.next().await.unwrap();
        drop(unused);
        let start = Instant::now();
        drop(stream.next().await.unwrap());
        assert_eq!(start.elapsed(), Duration::ZERO, "what was not used was given back");
    }
}
