//! The only step with I/O: one Event after the other, so that their order is the order of the reports.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use crate::correlator::{Correlator, Decision, Report};

/// How often a write is tried while the API does not answer.
const TRIES: u32 = 12;
/// Between two tries. The first waits a random part of it, so that many recorders do not come back together.
const PAUSE: Duration = Duration::from_secs(10);
/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What goes through the queue.
#[derive(Debug)]
pub(crate) enum Order {
    /// Decide and write.
    Record(Box<Report>),
    /// Say when everything before has been done.
    Flush(oneshot::Sender<()>),
}

/// What a recorder counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) created: Counter,
    pub(crate) updated: Counter,
    pub(crate) filtered: Counter,
    pub(crate) dropped: Counter,
    pub(crate) failed: Counter,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let counters = [
            ("events_created", "Events created", &self.created),
            ("events_updated", "Events whose count was raised", &self.updated),
            ("events_filtered", "Reports left out because their object causes too many", &self.filtered),
            ("events_dropped", "Reports lost because the queue was full", &self.dropped),
            ("events_failed", "Events that the API did not take", &self.failed),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
    }
}

pub(crate) struct Writer {
    client: Client,
    correlator: Correlator,
    metrics: Arc<Metrics>,
}

impl Writer {
    pub(crate) fn new(client: Client, correlator: Correlator, metrics: Arc<Metrics>) -> Self {
        Self { client, correlator, metrics }
    }

    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        while let Some(order) = orders.recv().await {
            match order {
                Order::Record(report) => self.record(*report).await,
                // The one who asked may have stopped waiting.
                Order::Flush(done) => drop(done.send(())),
            }
        }
    }

    async fn record(&mut self, report: Report) {
        match self.correlator.decide(report) {
            Decision::Filtered => {
                self.metrics.filtered.inc();
            }
            Decision::Create(event) => self.write(&event, false).await,
            Decision::Update(event) => self.write(&event, true).await,
        }
    }

    /// Tries until the API has answered. Its answer is final: what it refuses, it would refuse again.
    async fn write(&self, event: &Event, update: bool) {
        let name = event.metadata.name.as_deref().unwrap_or_default();
        for attempt in 0..TRIES {
            if attempt == 1 {
                tokio::time::sleep(PAUSE.mul_f64(fastrand::f64())).await;
            } else if attempt > 1 {
                tokio::time::sleep(PAUSE).await;
            }
            match tokio::time::timeout(TIMEOUT, self.send(event, update)).await {
                Ok(Ok(())) => {
                    let counter = if update { &self.metrics.updated } else { &self.metrics.created };
                    counter.inc();
                    return;
                }
                Ok(Err(kube::Error::Api(status))) => {
                    self.metrics.failed.inc();
                    // Expected while a namespace goes away.
                    debug!(event = name, code = status.code, error = status.message, "event refused by the API");
                    return;
                }
                Ok(Err(error)) => debug!(event = name, attempt, %error, "cannot write an event"),
                Err(_) => debug!(event = name, attempt, "writing an event timed out"),
            }
        }
        self.metrics.failed.inc();
        warn!(event = name, tries = TRIES, "event given up: the API does not answer");
    }

    async fn send(&self, event: &Event, update: bool) -> Result<(), kube::Error> {
        let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
        let name = event.metadata.name.as_deref().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        if update {
            let patch = json!({
                "count": event.count,
                "lastTimestamp": event.last_timestamp,
                "message": event.message,
            });
            match api.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
                // It has expired, or its first report was filtered: write it in full.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                result => return result.map(drop),
            }
        }
        match api.create(&PostParams::default(), event).await {
            // An earlier try got through, only its answer was lost.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            result => result.map(drop),
        }
    }
}

#[cfg(test)]
mod tests;
