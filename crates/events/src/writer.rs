//! The only step with I/O: one Event after the other, so that their order is the order of the reports.

use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    correlator::{Correlator, Decision, Report},
    delivery::{Failure, Rhythm, Written, answered, deliver, failure},
    queue::{Inbox, Order},
};

pub(crate) struct Writer {
    client: Client,
    correlator: Correlator,
    inbox: Inbox<Report>,
}

impl Writer {
    pub(crate) fn new(client: Client, correlator: Correlator, inbox: Inbox<Report>) -> Self {
        Self { client, correlator, inbox }
    }

    pub(crate) async fn run(mut self) {
        while let Some(order) = self.inbox.orders.recv().await {
            match order {
                Order::Record(report) => self.record(*report).await,
                // The one who asked may have stopped waiting.
                Order::Flush(done) | Order::Close(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    async fn record(&mut self, report: Report) {
        let (event, update) = match self.correlator.decide(report) {
            Decision::Filtered => {
                self.inbox.metrics.unwritten.inc();
                return;
            }
            Decision::Create(event) => (event, false),
            Decision::Update(event) => (event, true),
        };
        let name = event.metadata.name.clone().unwrap_or_default();
        let send = || send(&self.client, &event, update);
        deliver(&name, Rhythm::RandomStart, &mut self.inbox.closing, &self.inbox.metrics, send).await;
    }
}

async fn send(client: &Client, event: &Event, update: bool) -> Result<Written, Failure> {
    let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
    let name = event.metadata.name.as_deref().unwrap_or_default();
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    if update {
        let patch = json!({
            "count": event.count,
            "lastTimestamp": event.last_timestamp,
            "message": event.message,
        });
        let patched = api.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await;
        // Not found: it has expired, or its first report was filtered. Write it in full.
        if !answered(&patched, 404) {
            return patched.map(|_| Written::Updated).map_err(failure);
        }
    }
    let created = api.create(&PostParams::default(), event).await;
    if answered(&created, 409) {
        // An earlier try got through, only its answer was lost.
        return Ok(Written::Created);
    }
    created.map(|_| Written::Created).map_err(failure)
}

#[cfg(test)]
mod tests;
