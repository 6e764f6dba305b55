//! What a recorder counts.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) created: Counter,
    pub(crate) updated: Counter,
    /// Reports that were not written by the rules of the recorder; each kind has its own name for it.
    pub(crate) unwritten: Counter,
    pub(crate) dropped: Counter,
    pub(crate) failed: Counter,
}

impl Metrics {
    /// Registers the counters; `unwritten` has the name and the help of its kind of recorder.
    pub(crate) fn register(&self, registry: &mut Registry, unwritten: (&'static str, &'static str)) {
        let counters = [
            ("events_created", "Events created", &self.created),
            ("events_updated", "Events whose count was raised", &self.updated),
            (unwritten.0, unwritten.1, &self.unwritten),
            ("events_dropped", "Reports lost because the queue was full", &self.dropped),
            ("events_failed", "Events that the API did not take", &self.failed),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
    }
}
