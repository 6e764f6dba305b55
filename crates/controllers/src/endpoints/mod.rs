//! Keeps the Endpoints object of every Service with a selector in step with its pods, for clients that have not moved
//! to EndpointSlices.
//!
//! `index` holds Services, pods and a trace of each Endpoints; `subsets`, `repack` and `plan` are pure; `apply` writes.
//! An Endpoints holds one address family and at most 1000 addresses; what is above that is left out and said in an
//! annotation.
//!
//! Beyond upstream: an Endpoints that somebody else changes is put right at once, not with the Service's next change,
//! and one that is too full is not written again and again.
//!
//! Upstream: `pkg/controller/endpoint`, `pkg/api/v1/endpoints`.

mod apply;
mod index;
mod plan;
pub(crate) mod repack;
mod stored;
mod subsets;

use std::{future::Future, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, runtime::watcher};
use portolan_events::Recorder;
use portolan_objects::ObjectKey;
use portolan_runtime::{Backoff, Change, Failure, Inputs, Options, Reconciler};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use apply::Written;
use index::Index;
use plan::EndpointsPlan;
use stored::Stored;

use crate::{
    backends::{Pod, Watched},
    batch::Batch,
};

const NAME: &str = "endpoint-controller";
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(5), max: Duration::from_secs(1000), attempts: Some(15) };
const TIMEOUT: Duration = Duration::from_secs(60);

/// What upstream's flags decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Writes at a time (`--concurrent-endpoint-syncs`).
    pub workers: usize,
    /// How long a Service waits after a change of a pod, for more of them (`--endpoint-updates-batch-period`).
    pub batch_period: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { workers: 5, batch_period: Duration::ZERO }
    }
}

/// What the controller counts: the loop's own counters. Upstream has none beside those of its queue.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    part: portolan_runtime::Metrics,
}

impl Metrics {
    /// Registers them as `endpoint_controller_*`.
    pub fn register(registry: &mut Registry) -> Self {
        Self { part: portolan_runtime::Metrics::register(registry, "endpoint_controller") }
    }
}

/// Runs the controller until `stop`. The recorder speaks as `endpoint-controller`.
pub async fn run(client: Client, recorder: Recorder, config: Config, metrics: Metrics, stop: CancellationToken) {
    let (batch, due) = Batch::new(config.batch_period);
    let pods: Api<Watched<Pod>> = Api::all(client.clone());
    let inputs = Inputs::new()
        .all(&client, |change| Input::Service(Box::new(change)))
        .watch_into(pods, watcher::Config::default(), Watched::into_facts, |change| Input::Pod(Box::new(change)))
        .all(&client, |change| Input::Endpoints(Box::new(change)))
        .signal(due.map(Input::Due));
    let controller = Controller { index: Index::new(batch), client, recorder };
    let options = Options { name: NAME, workers: config.workers, backoff: BACKOFF, timeout: TIMEOUT };
    portolan_runtime::run(controller, inputs, options, metrics.part, stop).await;
}

/// A change of any watched kind, boxed: their sizes differ tenfold.
pub(crate) enum Input {
    Service(Box<Change<Watched<Service>>>),
    Pod(Box<Change<Pod>>),
    Endpoints(Box<Change<Stored>>),
    /// A Service has waited for more changes of its pods.
    Due(ObjectKey),
}

struct Controller {
    index: Index,
    client: Client,
    recorder: Recorder,
}

impl Reconciler for Controller {
    type Input = Input;
    type Key = ObjectKey;
    type Plan = EndpointsPlan;
    type Outcome = Written;

    fn index(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        self.index.take(input, dirty);
    }

    fn plan(&mut self, key: &ObjectKey) -> Option<EndpointsPlan> {
        self.index.plan(key)
    }

    fn apply(
        &self,
        key: ObjectKey,
        plan: EndpointsPlan,
    ) -> impl Future<Output = Result<Written, Failure>> + Send + 'static {
        apply::apply(self.client.clone(), self.recorder.clone(), key, plan)
    }

    fn applied(&mut self, _: &ObjectKey, written: Written) -> Option<Duration> {
        self.index.wrote(written);
        None
    }
}
