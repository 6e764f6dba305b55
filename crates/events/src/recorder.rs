//! The handle of the core/v1 recorder that parts hold.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use portolan_catalogue::{Reason, Severity};
use prometheus_client::registry::Registry;

use crate::{
    Vocabulary,
    correlator::{Correlator, Report, Source},
    queue::{Queue, queue},
    writer::Writer,
};

/// Reports what one component does, as core/v1 Events. Cheap to clone; the writer ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: Queue<Report>,
    vocabulary: Vocabulary,
    component: &'static str,
}

impl Recorder {
    /// A recorder that speaks as `component` (`From` in `kubectl describe`), on `host` if it is one of many.
    /// Spawns its writer on the current tokio runtime.
    pub fn new(client: kube::Client, component: &'static str, host: Option<String>, vocabulary: Vocabulary) -> Self {
        let (queue, inbox) = queue();
        let correlator = Correlator::new(Source { component, host });
        tokio::spawn(Writer::new(client, correlator, inbox).run());
        Self { queue, vocabulary, component }
    }

    /// Reports `reason` on `regarding`; the type follows from the reason. Never blocks and never fails: a report that
    /// finds the queue full is dropped and counted, a reason that the vocabulary does not have is left out.
    pub fn event(&self, regarding: &ObjectReference, reason: Reason, message: impl Into<String>) {
        self.event_as(reason.severity(), regarding, reason, message);
    }

    /// The same with a type of its own: Kubernetes says NodeNotReady as Normal on a Node and as Warning on its pods.
    pub fn event_as(
        &self,
        severity: Severity,
        regarding: &ObjectReference,
        reason: Reason,
        message: impl Into<String>,
    ) {
        let Some(word) = self.vocabulary.word(reason) else { return };
        let report = Report {
            regarding: regarding.clone(),
            reason: word,
            severity: severity.as_str(),
            message: message.into(),
            at: Timestamp::now(),
        };
        self.queue.report(report, self.component, regarding.name.as_deref(), word);
    }

    /// Waits until everything reported so far has been written or given up. That can take two minutes for each report
    /// if the API does not answer; a program that ends uses [`Recorder::close`].
    pub async fn flush(&self) {
        self.queue.flush().await;
    }

    /// Says that the program ends: every report that waits is still tried, but only once. Returns when all have been,
    /// or when `limit` is over; false if something was left.
    pub async fn close(&self, limit: Duration) -> bool {
        self.queue.close(limit).await
    }

    /// Whose words it uses: some Events are put on another object than Kubernetes puts them.
    pub fn vocabulary(&self) -> Vocabulary {
        self.vocabulary
    }

    /// Registers the counters of written, filtered, dropped and failed Events under `prefix`.
    pub fn register(&self, registry: &mut Registry, prefix: &str) {
        let filtered = ("events_filtered", "Reports left out because their object causes too many");
        self.queue.metrics().register(registry.sub_registry_with_prefix(prefix), filtered);
    }
}
