//! Keeps the EndpointSlices of every Service with a selector in step with its pods.
//!
//! `index` holds Services, pods, nodes and slices; `plan` compares what the pods ask for with the slices that exist
//! and is pure; `apply` writes. Proxies and DNS read nothing but these slices. Slices of deleted Services go by
//! garbage collection, through their owner reference.
//!
//! Upstream: `pkg/controller/endpointslice`, `k8s.io/endpointslice`. Topology hints are not given yet.

mod apply;
mod desired;
mod index;
mod pack;
mod plan;

use std::{future::Future, time::Duration};

use k8s_openapi::api::{
    core::v1::{Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, runtime::watcher};
use portolan_events::Recorder;
use portolan_objects::{ObjectKey, labels};
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler};
use tokio_util::sync::CancellationToken;

use apply::Written;
use index::Index;
use plan::SlicePlan;

/// Endpoints in one slice, unless configured otherwise upstream (`--max-endpoints-per-slice`).
const MAX_PER_SLICE: usize = 100;

const OPTIONS: Options = Options {
    name: "endpoint-slice-controller",
    workers: 5,
    backoff: Backoff { base: Duration::from_secs(1), max: Duration::from_secs(1000), attempts: Some(15) },
    timeout: Duration::from_secs(60),
};

/// Runs the controller until `stop`. The recorder speaks as `endpoint-slice-controller`.
pub async fn run(client: Client, recorder: Recorder, metrics: Metrics, stop: CancellationToken) {
    let own = format!("{}={}", labels::SLICE_MANAGED_BY, labels::SLICE_CONTROLLER);
    let inputs = Inputs::new()
        .all(&client, |change| Input::Service(Box::new(change)))
        .all(&client, |change| Input::Pod(Box::new(change)))
        .all(&client, |change| Input::Node(Box::new(change)))
        .watch(Api::<EndpointSlice>::all(client.clone()), watcher::Config::default().labels(&own), |change| {
            Input::Slice(Box::new(change))
        });
    let controller = Controller { index: Index::default(), client, recorder };
    portolan_runtime::run(controller, inputs, OPTIONS, metrics, stop).await;
}

/// A change of any watched kind, boxed: their sizes differ tenfold.
pub(crate) enum Input {
    Service(Box<Change<Service>>),
    Pod(Box<Change<Pod>>),
    Node(Box<Change<Node>>),
    Slice(Box<Change<EndpointSlice>>),
}

struct Controller {
    index: Index,
    client: Client,
    recorder: Recorder,
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
        self.index.plan(key)
    }

    fn apply(&self, _: ObjectKey, plan: SlicePlan) -> impl Future<Output = Result<Written, Failure>> + Send + 'static {
        let (client, recorder) = (self.client.clone(), self.recorder.clone());
        async move { Ok(apply::apply(client, recorder, plan).await) }
    }

    fn unfinished(written: &mut Written) -> Option<Failure> {
        written.failure.take()
    }

    fn applied(&mut self, _: &ObjectKey, written: Written) -> Option<Duration> {
        self.index.wrote(written);
        None
    }
}
