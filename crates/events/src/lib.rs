//! Tells the users of the cluster what a part did: the recorder of core/v1 Events.
//!
//! A part calls [`Recorder::event`], which never blocks. A queue of 1000 leads to one writer task; the correlator
//! there decides what becomes of each report (a new Event, a count on an old one, a summary of similar ones, nothing),
//! and the writer sends them one after the other, so that the Events of one object are created in the order of their
//! reports. Which words are used is the [`Vocabulary`].
//!
//! Rules, limits and names are those of client-go's legacy recorder (`tools/record`, `event.go`, `events_cache.go`),
//! because `kubectl describe` and people's eyes are tuned to them.

mod correlator;
mod lru;
mod recorder;
mod vocabulary;
mod writer;

pub use recorder::{Recorder, reference};
pub use vocabulary::Vocabulary;
