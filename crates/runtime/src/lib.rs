//! Watch -> index -> plan -> apply, the one loop that every controller, node agent and proxy of Portolan runs.
//!
//! A part implements [`Reconciler`]: it takes changes into a synchronous index, plans for one key without any I/O,
//! and applies the plan. [`run`] owns everything else: watches that are restarted, a work queue that holds a key
//! once, one worker per key at a time, back-off, and counters for every retry and drop.
//!
//! Upstream counterparts: client-go `tools/cache` (informers) and `util/workqueue`.

pub mod client;
mod error;
mod feed;
mod gone;
pub mod leader;
mod lenient;
mod observed;
pub mod pages;
mod queue;
mod reconcile;
pub mod workqueue;

pub use error::{describe, has_finalizers, is_code, is_conflict, is_namespace_terminating};
pub use feed::{Change, Inputs};
pub use gone::{Gone, revision};
pub use observed::Observed;
pub use queue::{Backoff, Bucket, Queue};
pub use reconcile::{Failure, Metrics, Options, Reconciler, run};
