//! The handle of the events.k8s.io/v1 recorder that parts hold.

mod correlator;
mod writer;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use portolan_catalogue::Reason;
use prometheus_client::registry::Registry;

use crate::{
    Vocabulary,
    queue::{Queue, queue},
};
use correlator::{Correlator, Report, Source};
use writer::Writer;

/// Reports what one component does, as events.k8s.io/v1 Events. Cheap to clone; the writer ends when the last clone is
/// dropped.
#[derive(Debug, Clone)]
pub struct SeriesRecorder {
    queue: Queue<Report>,
    vocabulary: Vocabulary,
    controller: &'static str,
}

impl SeriesRecorder {
    /// A recorder that speaks as `controller` (`From` in `kubectl describe`). `instance` tells it from others of its
    /// kind; upstream's programs say `<controller>-<host name>`. Spawns its writer on the current tokio runtime.
    pub fn new(client: kube::Client, controller: &'static str, instance: String, vocabulary: Vocabulary) -> Self {
        let (queue, inbox) = queue();
        let correlator = Correlator::new(Source { controller, instance });
        tokio::spawn(Writer::new(client, correlator, inbox, Timestamp::now).run());
        Self { queue, vocabulary, controller }
    }

    /// Reports `reason` on `regarding`, because `action` was done or tried, perhaps with `related`; the type follows
    /// from the reason. Never blocks and never fails: a report that finds the queue full is dropped and counted, a
    /// reason that the vocabulary does not have is left out. A report that differs from an earlier one in its note
    /// alone only raises that one's count: the first note stays.
    pub fn event(
        &self,
        regarding: &ObjectReference,
        related: Option<&ObjectReference>,
        reason: Reason,
        action: &'static str,
        note: impl Into<String>,
    ) {
        let Some(word) = self.vocabulary.word(reason) else { return };
        let report = Report {
            regarding: regarding.clone(),
            related: related.cloned(),
            reason: word,
            severity: reason.severity().as_str(),
            action,
            note: note.into(),
            at: Timestamp::now(),
        };
        self.queue.report(report, self.controller, regarding.name.as_deref(), word);
    }

    /// Waits until everything reported so far has been written, counted or given up. That can take two minutes for
    /// each report if the API does not answer; a program that ends uses [`SeriesRecorder::close`].
    pub async fn flush(&self) {
        self.queue.flush().await;
    }

    /// Says that the program ends: every report that waits is still tried, but only once, and the counts that were
    /// kept in memory are written. Returns when all have been, or when `limit` is over; false if something was left.
    pub async fn close(&self, limit: Duration) -> bool {
        self.queue.close(limit).await
    }

    /// Whose words it uses: some Events are put on another object than Kubernetes puts them.
    pub fn vocabulary(&self) -> Vocabulary {
        self.vocabulary
    }

    /// Registers the counters of written, counted, dropped and failed Events under `prefix`.
    pub fn register(&self, registry: &mut Registry, prefix: &str) {
        let counted = ("events_counted", "Reports that only raised the count of a series in memory");
        self.queue.metrics().register(registry.sub_registry_with_prefix(prefix), counted);
    }
}
