//! The handle that parts hold.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use portolan_catalogue::Reason;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::{
    Vocabulary,
    correlator::{Correlator, Report, Source},
    writer::{Metrics, Order, Writer},
};

/// Reports that may wait for the writer; what comes on top is dropped and counted.
const QUEUE: usize = 1000;

/// Reports what one component does. Cheap to clone; the writer ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Order>,
    vocabulary: Vocabulary,
    component: &'static str,
    metrics: Arc<Metrics>,
}

impl Recorder {
    /// A recorder that speaks as `component` (`From` in `kubectl describe`), on `host` if it is one of many.
    /// Spawns its writer on the current tokio runtime.
    pub fn new(client: kube::Client, component: &'static str, host: Option<String>, vocabulary: Vocabulary) -> Self {
        let (queue, orders) = mpsc::channel(QUEUE);
        let metrics = Arc::new(Metrics::default());
        let correlator = Correlator::new(Source { component, host });
        tokio::spawn(Writer::new(client, correlator, Arc::clone(&metrics)).run(orders));
        Self { queue, vocabulary, component, metrics }
    }

    /// Reports `reason` on `regarding`; the type follows from the reason. Never blocks and never fails: a report that
    /// finds the queue full is dropped and counted, a reason that the vocabulary does not have is left out.
    pub fn event(&self, regarding: &ObjectReference, reason: Reason, message: impl Into<String>) {
        let Some(word) = self.vocabulary.word(reason) else { return };
        let report = Report {
            regarding: regarding.clone(),
            reason: word,
            severity: reason.severity().as_str(),
            message: message.into(),
            at: Timestamp::now(),
        };
        if let Err(error) = self.queue.try_send(Order::Record(Box::new(report))) {
            self.metrics.dropped.inc();
            let object = regarding.name.as_deref().unwrap_or_default();
            warn!(component = self.component, object, %reason, %error, "event dropped");
        }
    }

    /// Waits until everything reported so far has been written or given up. That can take two minutes if the API does
    /// not answer: callers that are shutting down should set a limit.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Order::Flush(done)).await.is_ok() {
            // An error means that the writer is gone together with its runtime: nothing is left to wait for.
            let _ = written.await;
        }
    }

    /// Whose words it uses: some Events are put on another object than Kubernetes puts them.
    pub fn vocabulary(&self) -> Vocabulary {
        self.vocabulary
    }

    /// Registers the counters of written, filtered, dropped and failed Events under `prefix`.
    pub fn register(&self, registry: &mut Registry, prefix: &str) {
        self.metrics.register(registry.sub_registry_with_prefix(prefix));
    }
}

/// How an Event names `object`.
pub fn reference<K>(object: &K) -> ObjectReference
where
    K: kube::Resource<DynamicType = ()>,
{
    let resource_version = object.meta().resource_version.clone();
    ObjectReference { resource_version, ..object.object_ref(&()) }
}
