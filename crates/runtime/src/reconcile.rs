//! The loop itself.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    future::Future,
    hash::Hash,
    time::Duration,
};

use futures::StreamExt;
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::{Backoff, Bucket, Inputs, Queue, describe, is_conflict};

/// A part that keeps something in step with the API.
///
/// # Guarantees of [`run`]
/// - `plan` is not called before every watch has delivered its first complete set.
/// - At most one `apply` per key runs at a time; at most [`Options::workers`] in all.
/// - `applied` is called once for each `apply` that succeeded, before the key can be planned again: put what was
///   written into the index there, so that the next plan sees its own writes although the watch is behind.
pub trait Reconciler: Send + 'static {
    /// One change, of any of the watched kinds.
    type Input: Send + 'static;
    /// What is planned one at a time.
    type Key: Clone + Eq + Hash + Debug + Send + Sync + 'static;
    /// What to do for one key: data. No plan is the proof that nothing is left to do.
    type Plan: Send + 'static;
    /// What an apply wrote.
    type Outcome: Send + 'static;

    /// How often the part may retry, over all keys. Most of upstream's controllers have this limit; those whose calls
    /// go elsewhere than to the API have none.
    const RETRIES: Option<Bucket> = Some(Bucket::DEFAULT);

    /// Takes one change into the index and pushes the keys that it touches. No I/O.
    fn index(&mut self, input: Self::Input, dirty: &mut Vec<Self::Key>);

    /// What has to be done for `key` now; `None` if nothing. No I/O.
    fn plan(&mut self, key: &Self::Key) -> Option<Self::Plan>;

    /// Does it: the only step with I/O. The future owns what it needs.
    fn apply(
        &self,
        key: Self::Key,
        plan: Self::Plan,
    ) -> impl Future<Output = Result<Self::Outcome, Failure>> + Send + 'static;

    /// What kept an apply from finishing although it wrote some of its plan. The outcome still goes to
    /// [`Reconciler::applied`] first, and then the key is retried.
    fn unfinished(outcome: &mut Self::Outcome) -> Option<Failure> {
        let _ = outcome;
        None
    }

    /// Takes what was written into the index. Returns when to look at the key again even if nothing changes.
    fn applied(&mut self, key: &Self::Key, outcome: Self::Outcome) -> Option<Duration>;
}

/// Why an apply did not finish, and what should happen next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The error chain on one line.
    pub message: String,
    /// Try again after exactly this long instead of the key's back-off (not counted as a failure).
    pub retry_after: Option<Duration>,
    /// Somebody else changed the object first. That happens every day, and the retry sees the change: nobody needs to
    /// hear of it.
    pub conflict: bool,
}

impl Failure {
    /// A failure that is retried with the key's back-off; the whole error chain goes into the message.
    pub fn new(error: &(dyn std::error::Error + 'static)) -> Self {
        let is_conflict = |error: &(dyn std::error::Error + 'static)| error.downcast_ref().is_some_and(is_conflict);
        let mut message = error.to_string();
        let mut conflict = is_conflict(error);
        let mut source = error.source();
        while let Some(cause) = source {
            conflict |= is_conflict(cause);
            let text = cause.downcast_ref().map_or_else(|| cause.to_string(), describe);
            // Some libraries already repeat the cause in their own message.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            // The source of an answer of the API is the same answer in other words.
            source = cause.source().filter(|_| !matches!(cause.downcast_ref(), Some(kube::Error::Api(_))));
        }
        Self { message, retry_after: None, conflict }
    }

    /// A failure in words.
    pub fn message(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry_after: None, conflict: false }
    }

    /// The object changed between the plan and the write, in words.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self { conflict: true, ..Self::message(message) }
    }

    /// The same, tried again after exactly `delay`.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self { conflict: is_conflict(&error), ..Self::message(describe(&error)) }
    }
}

/// How a part runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Name in logs and metrics, such as `endpointslice-controller`.
    pub name: &'static str,
    /// Most applies at a time.
    pub workers: usize,
    /// Delays after failures.
    pub backoff: Backoff,
    /// One apply may take this long; then it counts as failed.
    pub timeout: Duration,
}

/// What a part counts.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    applies: Counter,
    failures: Counter,
    dropped: Counter,
}

impl Metrics {
    /// Registers the counters under `prefix`.
    pub fn register(registry: &mut Registry, prefix: &str) -> Self {
        let metrics = Self::default();
        let part = registry.sub_registry_with_prefix(prefix);
        part.register("applies", "Plans applied", metrics.applies.clone());
        part.register("failures", "Plans that failed and are retried", metrics.failures.clone());
        part.register("dropped", "Keys given up until something changes", metrics.dropped.clone());
        metrics
    }
}

/// Runs the part until `stop`; applies that are under way are given up then.
pub async fn run<R: Reconciler>(
    mut part: R,
    inputs: Inputs<R::Input>,
    options: Options,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut unsynced: HashSet<usize> = (0..inputs.watches()).collect();
    let mut inputs = std::pin::pin!(inputs.into_stream());
    let mut queue = Queue::new(options.name, options.backoff, R::RETRIES);
    let mut tasks = JoinSet::new();
    let mut keys = HashMap::new();
    let mut dirty = Vec::new();
    if unsynced.is_empty() {
        queue.synced();
    }
    loop {
        while unsynced.is_empty() && tasks.len() < options.workers {
            let Some(key) = queue.pop() else { break };
            match part.plan(&key) {
                None => {
                    queue.forget(&key);
                    queue.done(&key);
                }
                Some(plan) => {
                    let apply = part.apply(key.clone(), plan);
                    let task = tasks.spawn(async move {
                        let result = tokio::time::timeout(options.timeout, apply).await;
                        result.unwrap_or_else(|_| Err(Failure::message("timed out")))
                    });
                    keys.insert(task.id(), key);
                }
            }
        }
        // A full set of workers is woken by a finished task, not by the clock.
        let due = queue.next_due().filter(|_| tasks.len() < options.workers);
        tokio::select! {
            () = stop.cancelled() => return,
            input = inputs.next() => {
                let Some((source, reset, input)) = input else {
                    debug!(part = options.name, "all inputs ended");
                    return;
                };
                if reset && unsynced.remove(&source) && unsynced.is_empty() {
                    queue.synced();
                }
                part.index(input, &mut dirty);
                dirty.drain(..).for_each(|key| queue.add(key));
            }
            Some(task) = tasks.join_next_with_id() => {
                let (id, result) = match task {
                    Ok(finished) => finished,
                    // Only a bug gets here. The key is retried like after any failure, and nothing else stops.
                    Err(panic) => (panic.id(), Err(Failure::message(format!("the apply panicked: {panic}")))),
                };
                if let Some(key) = keys.remove(&id) {
                    settle(&mut part, &mut queue, &options, &metrics, key, result);
                }
            }
            () = sleep_until(due), if due.is_some() => {}
        }
    }
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await;
    }
}

fn settle<R: Reconciler>(
    part: &mut R,
    queue: &mut Queue<R::Key>,
    options: &Options,
    metrics: &Metrics,
    key: R::Key,
    result: Result<R::Outcome, Failure>,
) {
    let failure = match result {
        Ok(mut outcome) => {
            let failure = R::unfinished(&mut outcome);
            let again = part.applied(&key, outcome);
            if failure.is_none() {
                metrics.applies.inc();
                queue.forget(&key);
            }
            if let Some(delay) = again {
                queue.add_after(key.clone(), delay);
            }
            failure
        }
        Err(failure) => Some(failure),
    };
    if let Some(failure) = failure {
        retry(queue, options, metrics, &key, &failure);
    }
    queue.done(&key);
}

fn retry<K: Clone + Eq + Hash + Debug>(
    queue: &mut Queue<K>,
    options: &Options,
    metrics: &Metrics,
    key: &K,
    failure: &Failure,
) {
    metrics.failures.inc();
    let delay = match failure.retry_after {
        Some(delay) => {
            queue.add_after(key.clone(), delay);
            Some(delay)
        }
        None => queue.retry(key.clone()),
    };
    match delay {
        Some(delay) if failure.conflict => {
            debug!(part = options.name, ?key, error = %failure, ?delay, "changed meanwhile, trying again");
        }
        Some(delay) => warn!(part = options.name, ?key, error = %failure, ?delay, "failed, trying again"),
        None => {
            metrics.dropped.inc();
            error!(part = options.name, ?key, error = %failure, "failed too often, given up until a change");
        }
    }
}

#[cfg(test)]
mod tests;
