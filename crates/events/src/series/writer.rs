//! The only step with I/O: one Event after the other, so that their order is the order of the reports.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tracing::debug;

use super::correlator::{Correlator, Report, Write};
use crate::{
    delivery::{Failure, Rhythm, Written, answered, attempt_once, count, deliver, failure},
    queue::{Inbox, Order},
};

/// How often series are written, so that they do not expire.
const REFRESH: Duration = Duration::from_secs(30 * 60);
/// How often ended series are looked for.
const FINISH: Duration = Duration::from_secs(6 * 60);

pub(crate) struct Writer<N> {
    client: Client,
    correlator: Correlator,
    inbox: Inbox<Report>,
    now: N,
}

impl<N: Fn() -> Timestamp + Send> Writer<N> {
    /// `now` is the clock of the reports.
    pub(crate) fn new(client: Client, correlator: Correlator, inbox: Inbox<Report>, now: N) -> Self {
        Self { client, correlator, inbox, now }
    }

    pub(crate) async fn run(mut self) {
        let (mut refresh, mut finish) = (every(REFRESH), every(FINISH));
        loop {
            tokio::select! {
                order = self.inbox.orders.recv() => match order {
                    None => return,
                    Some(Order::Record(report)) => self.record(*report).await,
                    // The one who asked may have stopped waiting.
                    Some(Order::Flush(done)) => {
                        let _ = done.send(());
                    }
                    Some(Order::Close(done)) => {
                        let writes = self.correlator.unwritten();
                        self.correlator.written(&self.once(&writes).await);
                        let _ = done.send(());
                    }
                },
                _ = refresh.tick() => {
                    let writes = self.correlator.refresh();
                    self.correlator.written(&self.once(&writes).await);
                }
                _ = finish.tick() => {
                    let writes = self.correlator.finish((self.now)());
                    self.correlator.forget(&self.once(&writes).await);
                }
            }
        }
    }

    async fn record(&mut self, report: Report) {
        let writes = self.correlator.decide(report);
        if writes.is_empty() {
            self.inbox.metrics.unwritten.inc();
        }
        for event in writes {
            let name = event.metadata.name.clone().unwrap_or_default();
            let send = || send(&self.client, &event);
            deliver(&name, Rhythm::Jitter, &mut self.inbox.closing, &self.inbox.metrics, send).await;
        }
    }

    /// Writes each once, because the next pass will come; gives those that the API has answered. After the first
    /// silence the others would wait in vain as well, and reports wait behind them.
    async fn once<'a>(&self, writes: &'a [Write]) -> Vec<&'a Write> {
        let mut answered = Vec::new();
        for event in writes {
            match attempt_once(|| send(&self.client, event)).await {
                Ok(written) => count(&self.inbox.metrics, written),
                Err(Failure::Refused(status)) => {
                    self.inbox.metrics.failed.inc();
                    debug!(event = event.metadata.name, code = status.code, error = status.message, "series refused");
                }
                Err(Failure::Impossible(error)) => debug!(event = event.metadata.name, %error, "series not sendable"),
                Err(Failure::Raced) => continue,
                Err(Failure::Silent) => break,
            }
            answered.push(event);
        }
        answered
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    // Two passes in a row would tell nothing new.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn send(client: &Client, event: &Event) -> Result<Written, Failure> {
    let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
    let name = event.metadata.name.as_deref().unwrap_or_default();
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    if let Some(series) = &event.series {
        let patch = json!({ "series": series });
        let patched = api.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await;
        // Not found: it has expired, or was refused. Write it in full.
        if !answered(&patched, 404) {
            return patched.map(|_| Written::Updated).map_err(failure);
        }
    }
    let created = api.create(&PostParams::default(), event).await;
    match (answered(&created, 409), event.series.is_some()) {
        // An earlier try got through, only its answer was lost.
        (true, false) => Ok(Written::Created),
        // The same, but then its series is not this one yet.
        (true, true) => Err(Failure::Raced),
        (false, _) => created.map(|_| Written::Created).map_err(failure),
    }
}

#[cfg(test)]
mod tests;
