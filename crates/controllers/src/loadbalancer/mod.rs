//! The load-balancer part of the service controller: keeps a provider's balancers in step with the Services that want
//! one, and says so in events and in `status.loadBalancer`.
//!
//! One key is one Service. `index` holds Services, eligible nodes and what was last given to the provider; `plan`
//! compares; `apply` talks to the provider and to the API. The provider is behind [`LoadBalancers`] and may be slow or
//! refuse; a refusal is retried after 5 s, 10 s, 20 s, ... 300 s, or when the provider says.
//! Upstream: `k8s.io/cloud-provider/controllers/service`.

mod apply;
mod index;
mod plan;
mod spec;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, api::ListParams};
use portolan_cloud::LoadBalancers;
use portolan_events::Recorder;
use portolan_objects::service;
use portolan_runtime::{Backoff, Inputs, Metrics, Options};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use index::{Controller, Input};

/// The component that events and the API's log name.
pub const NAME: &str = "service-controller";
/// Between attempts to read the Services at start.
const START_PAUSE: Duration = Duration::from_millis(500);
/// How long one call chain to the provider may take.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Runs the controller with this provider until `stop`.
pub async fn run(
    client: Client,
    recorder: Recorder,
    provider: Arc<dyn LoadBalancers>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    if stop.run_until_cancelled(adopt(&client, &*provider)).await.is_none() {
        return;
    }
    let inputs = Inputs::new().all(&client, Input::Service).all(&client, Input::Node);
    let options = Options {
        name: NAME,
        workers: 4,
        backoff: Backoff { base: Duration::from_secs(5), max: Duration::from_secs(300), attempts: None },
        timeout: TIMEOUT,
    };
    portolan_runtime::run(Controller::new(client, recorder, provider), inputs, options, metrics, stop).await;
}

/// Tells the provider which addresses are in use before anyone can ask for one. A new Service must not get the address
/// that another one had before the restart.
async fn adopt(client: &Client, provider: &dyn LoadBalancers) {
    let services = loop {
        match Api::<Service>::all(client.clone()).list(&ListParams::default()).await {
            Ok(services) => break services,
            Err(error) => {
                warn!(%error, "cannot read the Services, trying again");
                tokio::time::sleep(START_PAUSE).await;
            }
        }
    };
    for found in &services.items {
        let addresses = spec::published(found);
        if !addresses.is_empty() && (service::wants_external(found) || plan::has_finalizer(found)) {
            provider.adopt(&spec::id(found), &addresses);
        }
    }
}
