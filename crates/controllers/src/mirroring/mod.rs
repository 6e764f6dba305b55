//! Gives every Service without a selector EndpointSlices from its Endpoints object, which somebody writes by hand: readers
//! of slices need no other source.
//!
//! `index` holds which Services have a selector, Endpoints and the slices made from them; `desired` and `plan` are
//! pure; `apply` writes. Each set of ports and each address family of an Endpoints has one slice. Endpoints that carry
//! `endpointslice.kubernetes.io/skip-mirror: "true"`, or that are a lock, are left alone.
//!
//! Upstream: `pkg/controller/endpointslicemirroring`.

mod apply;
mod desired;
mod index;
mod metrics;
mod plan;
mod slices;

use std::{future::Future, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::{
    core::v1::{Endpoints, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, runtime::watcher};
use portolan_events::Recorder;
use portolan_objects::{ObjectKey, labels};
use portolan_runtime::{Backoff, Change, Failure, Inputs, Options, Reconciler};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batch::Batch;
use apply::Written;
use index::Index;
pub use metrics::Metrics;
use plan::MirrorPlan;

/// How Events and logs name the controller.
const NAME: &str = "endpoint-slice-mirroring-controller";
/// `endpointslice.kubernetes.io/managed-by` of the slices made here.
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(100), attempts: Some(15) };
const TIMEOUT: Duration = Duration::from_secs(60);

/// What upstream's flags decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Writes at a time (`--mirroring-concurrent-service-endpoint-syncs`).
    pub workers: usize,
    /// Addresses of one subset, and so of one slice; more are left out (`--mirroring-max-endpoints-per-subset`).
    pub max_endpoints_per_subset: usize,
    /// How long a Service waits after a change of one of its slices, for more of them
    /// (`--mirroring-endpointslice-updates-batch-period`).
    pub batch_period: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { workers: 5, max_endpoints_per_subset: 1000, batch_period: Duration::ZERO }
    }
}

/// Runs the controller until `stop`. The recorder speaks as `endpoint-slice-mirroring-controller`.
pub async fn run(client: Client, recorder: Recorder, config: Config, metrics: Metrics, stop: CancellationToken) {
    let own = format!("{}={MANAGER}", labels::SLICE_MANAGED_BY);
    let (batch, due) = Batch::new(config.batch_period);
    let inputs = Inputs::new()
        .all(&client, |change| Input::Service(Box::new(change)))
        .all(&client, |change| Input::Endpoints(Box::new(change)))
        .watch(Api::all(client.clone()), watcher::Config::default().labels(&own), |change| {
            Input::Slice(Box::new(change))
        })
        .signal(due.map(Input::Due));
    let index = Index::new(config.max_endpoints_per_subset, batch);
    let part = metrics.part.clone();
    let controller = Controller { index, client, recorder, metrics };
    let options = Options { name: NAME, workers: config.workers, backoff: BACKOFF, timeout: TIMEOUT };
    portolan_runtime::run(controller, inputs, options, part, stop).await;
}

/// A change of any watched kind, boxed: their sizes differ tenfold.
pub(crate) enum Input {
    Service(Box<Change<Service>>),
    Endpoints(Box<Change<Endpoints>>),
    Slice(Box<Change<EndpointSlice>>),
    /// A Service has waited for more changes of its slices.
    Due(ObjectKey),
}

struct Controller {
    index: Index,
    client: Client,
    recorder: Recorder,
    metrics: Metrics,
}

impl Reconciler for Controller {
    type Input = Input;
    type Key = ObjectKey;
    type Plan = MirrorPlan;
    type Outcome = Written;

    fn index(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        self.index.take(input, dirty);
    }

    fn plan(&mut self, key: &ObjectKey) -> Option<MirrorPlan> {
        let start = Instant::now();
        let sync = self.index.plan(key);
        if let Some(totals) = &sync.totals {
            self.metrics.planned(totals);
        }
        self.metrics.tally(self.index.tally());
        if sync.plan.is_none() {
            self.metrics.synced(start.elapsed());
        }
        sync.plan
    }

    fn apply(
        &self,
        key: ObjectKey,
        plan: MirrorPlan,
    ) -> impl Future<Output = Result<Written, Failure>> + Send + 'static {
        let (client, recorder, metrics) = (self.client.clone(), self.recorder.clone(), self.metrics.clone());
        async move {
            let start = Instant::now();
            let written = apply::apply(client, recorder, &metrics, key, plan).await;
            metrics.synced(start.elapsed());
            Ok(written)
        }
    }

    fn unfinished(written: &mut Written) -> Option<Failure> {
        written.failure.take()
    }

    fn applied(&mut self, _: &ObjectKey, written: Written) -> Option<Duration> {
        self.index.wrote(written)
    }
}
