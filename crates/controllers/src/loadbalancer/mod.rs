//! The load-balancer part of the service controller: keeps a provider's balancers in step with the Services that want
//! one, and says so in events and in `status.loadBalancer`.
//!
//! One key is one Service. `index` holds Services, nodes and what was last given to the provider; `plan` compares;
//! `apply` talks to the provider and to the API. The provider is behind [`LoadBalancers`] and may be slow or refuse; a
//! refusal is retried after 5 s, 10 s, 20 s, ... 300 s, or when the provider says.
//!
//! Calls to the provider are few, so they have a budget (`budget`), and who gets the next one is decided when there is
//! one (`lanes`): a Service that waits for its address goes before 500 that only have to hear of another node.
//!
//! Beyond upstream: a balancer that somebody deleted is made again, one that no Service owns is removed, and a Service
//! that waits says why in a condition of the type `Why` (only in [`Vocabulary::Full`](portolan_events::Vocabulary)).
//!
//! Invariant: the finalizer is on the Service before the provider is asked for anything, and the balancer is gone before
//! the finalizer is. So whenever this controller dies, the next one finds what there is to finish.
//! Upstream: `k8s.io/cloud-provider/controllers/service`.

mod apply;
mod budget;
mod index;
mod lanes;
mod metrics;
mod plan;
mod provider;
mod spec;
#[cfg(test)]
mod tests;
mod why;

use std::{sync::Arc, time::Duration};

use futures::{Stream, stream};
use kube::Client;
use portolan_cloud::LoadBalancers;
use portolan_events::Recorder;
use portolan_runtime::{Backoff, Inputs, Options};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use budget::{Budget, grants};
use index::{Controller, Input, Tools};
use provider::Provider;

pub use metrics::Metrics;

/// The component that events and the API's log name.
pub const NAME: &str = "service-controller";
/// One apply makes a few calls to the provider, each of which has to wait for the budget, and a few to the API.
const CALLS_PER_APPLY: u32 = 6;
/// The part of the budget that may go into looking at balancers one by one.
const CHECK_SHARE: f64 = 0.2;

/// How the controller runs.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Services that are worked on at the same time.
    pub workers: usize,
    /// Calls that the provider gets per second, in the long run.
    pub calls_per_second: f64,
    /// Calls that it gets at once after a pause.
    pub burst: u32,
    /// Delays after failures.
    pub backoff: Backoff,
    /// How long one call to the provider may take.
    pub call_timeout: Duration,
    /// How often to look whether the balancers are still there.
    pub drift_period: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 4,
            calls_per_second: 10.0,
            burst: 20,
            backoff: Backoff { base: Duration::from_secs(5), max: Duration::from_secs(300), attempts: None },
            call_timeout: Duration::from_secs(200),
            drift_period: Duration::from_secs(60),
        }
    }
}

/// Runs the controller with this provider until `stop`.
pub async fn run(
    client: Client,
    recorder: Recorder,
    provider: Arc<dyn LoadBalancers>,
    config: Config,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let budget = Arc::new(Budget::new(config.calls_per_second, config.burst, metrics.clone()));
    let (waiting, waiters) = watch::channel(0);
    let (found, finds) = mpsc::channel(1);
    let inputs = Inputs::new()
        .all(&client, Input::Service)
        .all(&client, Input::Node)
        .signal(futures::StreamExt::map(grants(budget, config.workers, waiters), Input::Turn))
        .signal(received(finds))
        .signal(ticks(config.drift_period));
    let options = Options {
        name: NAME,
        workers: config.workers.max(1),
        backoff: config.backoff,
        timeout: config.call_timeout.saturating_mul(CALLS_PER_APPLY),
    };
    let provider = Provider::new(provider, client.clone(), config.call_timeout, metrics.clone());
    let tools = Tools {
        client,
        recorder,
        provider: Arc::new(provider),
        metrics: metrics.clone(),
        backoff: config.backoff,
        checks: checks(&config),
        found,
        waiting,
    };
    portolan_runtime::run(Controller::new(tools), inputs, options, metrics.runtime, stop).await;
}

/// Balancers that may be looked at one by one in one period.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A count; too large and negative ones saturate.
fn checks(config: &Config) -> usize {
    ((config.calls_per_second * config.drift_period.as_secs_f64() * CHECK_SHARE) as usize).max(1)
}

fn received(finds: mpsc::Receiver<Input>) -> impl Stream<Item = Input> + Send {
    stream::unfold(finds, |mut finds| async move { Some((finds.recv().await?, finds)) })
}

fn ticks(period: Duration) -> impl Stream<Item = Input> + Send {
    // A period of nothing would panic.
    let mut ticks = interval(period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold(ticks, |mut ticks| async move {
        ticks.tick().await;
        Some((Input::Tick, ticks))
    })
}
