//! Tells the users of the cluster what a part did: the two recorders of Events.
//!
//! A part calls [`Recorder::event`] or [`SeriesRecorder::event`], which never block. A queue of 1000 leads to one
//! writer task for each recorder; a correlator there decides what becomes of each report, and the writer sends what is
//! to be sent, one after the other, so that Events are created in the order of their reports. Which words are used is
//! the [`Vocabulary`].
//!
//! - [`Recorder`] writes core/v1: equal reports are counted, similar ones summed up, noisy objects cut off. Rules,
//!   limits and names are those of client-go's `tools/record` (`event.go`, `events_cache.go`).
//! - [`SeriesRecorder`] writes events.k8s.io/v1: a report that comes again makes a series, whose count is written once
//!   in a while. Rules are those of client-go's `tools/events` (`event_broadcaster.go`).
//!
//! `kubectl describe` and people's eyes are tuned to both. Memory is bounded: a queue of 1000 and 4096 remembered
//! keys in each stage.

mod correlator;
mod delivery;
mod lru;
mod metrics;
mod names;
mod queue;
mod recorder;
mod reference;
mod series;
mod vocabulary;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod wire;
mod writer;

pub use recorder::Recorder;
pub use reference::reference;
pub use series::SeriesRecorder;
pub use vocabulary::Vocabulary;
