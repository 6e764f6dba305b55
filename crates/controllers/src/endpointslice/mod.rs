//! Keeps the EndpointSlices of every Service with a selector in step with its pods.
//!
//! `index` holds Services, pods, nodes and slices; `plan` compares what the pods ask for with the slices that exist;
//! `apply` writes. Proxies and DNS read nothing but these slices. Slices of deleted Services go by garbage collection,
//! through their owner reference.
//!
//! Three things decide the hints of endpoints: nobody, the field `trafficDistribution` (`distribution`), or the
//! annotation for hints by the zones' shares of the CPU (`topology`), which wins.
//!
//! Upstream: `pkg/controller/endpointslice`, `k8s.io/endpointslice`.

mod apply;
mod desired;
mod distribution;
mod index;
mod metrics;
mod nodes;
mod observed;
mod pace;
mod pack;
mod plan;
mod slice;
mod topology;

use std::{future::Future, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, runtime::watcher};
use portolan_events::Recorder;
use portolan_objects::{ObjectKey, labels};
use portolan_runtime::{Backoff, Change, Failure, Inputs, Options, Reconciler};
use tokio_util::sync::CancellationToken;

use crate::{
    backends::{Pod, Watched},
    batch::Batch,
};
use apply::Written;
use index::Index;
pub use metrics::Metrics;
use nodes::Node;
use pace::Pace;
use plan::SlicePlan;
use slice::Slice;

const NAME: &str = "endpoint-slice-controller";
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(1000), attempts: Some(15) };
const TIMEOUT: Duration = Duration::from_secs(60);
/// A Service is looked at this long after somebody else has changed one of its slices, or after the batch period if
/// that is longer: whoever changes one often changes more of them.
const SLICE_DELAY: Duration = Duration::from_secs(1);

/// Services that are written at a time for each of upstream's workers. Theirs are threads that select, hash, compare, write
/// and wait by turns; here all but the waiting is done in one place, in a fraction of the time, and what is counted is
/// nothing but requests under way. The API server commits those that come together in one go.
const WRITES_PER_WORKER: usize = 8;

/// What upstream's flags decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How many Services are written at a time, in upstream's measure (`--concurrent-service-endpoint-syncs`): each counts
    /// eight requests.
    pub workers: usize,
    /// The most endpoints in one slice (`--max-endpoints-per-slice`).
    pub max_endpoints_per_slice: usize,
    /// How long a Service waits after a change of a pod, for more of them (`--endpointslice-updates-batch-period`). Zero
    /// leaves it to the number of its pods; a few of them are not waited for.
    pub batch_period: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { workers: 5, max_endpoints_per_slice: 100, batch_period: Duration::ZERO }
    }
}

/// Runs the controller until `stop`. The recorder speaks as `endpoint-slice-controller`.
pub async fn run(client: Client, recorder: Recorder, config: Config, metrics: Metrics, stop: CancellationToken) {
    let own = format!("{}={}", labels::SLICE_MANAGED_BY, labels::SLICE_CONTROLLER);
    let slices: Api<Watched<Slice>> = Api::all(client.clone());
    let pods: Api<Watched<Pod>> = Api::all(client.clone());
    let inputs = Inputs::new()
        .all(&client, |change| Input::Service(Box::new(change)))
        .watch_into(pods, watcher::Config::default(), Watched::into_facts, |change| Input::Pod(Box::new(change)))
        .all(&client, |change| Input::Node(Box::new(change)))
        .watch(slices, watcher::Config::default().labels(&own), |change| Input::Slice(Box::new(change)));
    run_on(inputs, client, recorder, config, metrics, stop).await;
}

/// The controller on these watches.
async fn run_on(
    watches: Inputs<Input>,
    client: Client,
    recorder: Recorder,
    config: Config,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let (by_pods, pods_due) = Pace::new(config.batch_period);
    let (by_slices, slices_due) = Batch::new(config.batch_period.max(SLICE_DELAY));
    let inputs = watches.signal(pods_due.map(Input::PodsDue)).signal(slices_due.map(Input::SlicesDue));
    let index = Index::new(by_pods, by_slices, metrics.clone(), config.max_endpoints_per_slice);
    let part = metrics.part.clone();
    let controller = Controller { index, client, recorder, metrics };
    let options =
        Options { name: NAME, workers: config.workers * WRITES_PER_WORKER, backoff: BACKOFF, timeout: TIMEOUT };
    portolan_runtime::run(controller, inputs, options, part, stop).await;
}

/// A change of any watched kind, boxed: their sizes differ tenfold.
pub(crate) enum Input {
    Service(Box<Change<Watched<Service>>>),
    Pod(Box<Change<Pod>>),
    Node(Box<Change<Watched<Node>>>),
    Slice(Box<Change<Watched<Slice>>>),
    /// A Service has waited for more changes of its pods.
    PodsDue(ObjectKey),
    /// A Service has waited for more changes of its slices.
    SlicesDue(ObjectKey),
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
    type Plan = SlicePlan;
    type Outcome = Written;

    fn index(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        self.index.take(input, dirty);
    }

    fn plan(&mut self, key: &ObjectKey) -> Option<SlicePlan> {
        let plan = self.index.plan(key);
        if plan.is_none() {
            self.metrics.synced(true);
        }
        plan
    }

    fn apply(
        &self,
        key: ObjectKey,
        plan: SlicePlan,
    ) -> impl Future<Output = Result<Written, Failure>> + Send + 'static {
        let (client, recorder, metrics) = (self.client.clone(), self.recorder.clone(), self.metrics.clone());
        async move { Ok(apply::apply(client, recorder, metrics, key, plan).await) }
    }

    fn unfinished(written: &mut Written) -> Option<Failure> {
        written.failure.take()
    }

    fn applied(&mut self, _: &ObjectKey, written: Written) -> Option<Duration> {
        self.index.wrote(written);
        None
    }
}

#[cfg(test)]
mod tests;
