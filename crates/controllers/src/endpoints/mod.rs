//! Keeps the Endpoints object of every Service with a selector in step with its pods, for clients that have not moved
//! to EndpointSlices.
//!
//! `index` holds Services, pods and Endpoints; `subsets` and `plan` are pure; `apply` writes. An Endpoints holds
//! one address family and at most 1000 addresses; what is above that is left out and said in an annotation.
//!
//! Upstream: `pkg/controller/endpoint`, `pkg/api/v1/endpoints`.

mod apply;
mod index;
mod plan;
mod subsets;

use std::{future::Future, time::Duration};

use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use kube::Client;
use portolan_events::Recorder;
use portolan_objects::ObjectKey;
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler};
use tokio_util::sync::CancellationToken;

use apply::Written;
use index::Index;
use plan::EndpointsPlan;

const OPTIONS: Options = Options {
    name: "endpoint-controller",
    workers: 5,
    backoff: Backoff { base: Duration::from_millis(5), max: Duration::from_secs(1000), attempts: Some(15) },
    timeout: Duration::from_secs(60),
};

/// Runs the controller until `stop`. The recorder speaks as `endpoint-controller`.
pub async fn run(client: Client, recorder: Recorder, metrics: Metrics, stop: CancellationToken) {
    let inputs = Inputs::new()
        .all(&client, |change| Input::Service(Box::new(change)))
        .all(&client, |change| Input::Pod(Box::new(change)))
        .all(&client, |change| Input::Endpoints(Box::new(change)));
    let controller = Controller { index: Index::default(), client, recorder };
    portolan_runtime::run(controller, inputs, OPTIONS, metrics, stop).await;
}

/// A change of any watched kind, boxed: their sizes differ tenfold.
pub(crate) enum Input {
    Service(Box<Change<Service>>),
    Pod(Box<Change<Pod>>),
    Endpoints(Box<Change<Endpoints>>),
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
