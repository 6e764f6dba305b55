//! What the controller counts: upstream's metrics under upstream's names, and the budget of calls.
//! Upstream: `k8s.io/cloud-provider/controllers/service/metrics.go`.

use std::{sync::atomic::AtomicU64, time::Duration};

use portolan_cloud::Class;
use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::lanes::{Lane, Lanes};

/// Counters and gauges of the load-balancer controller.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) runtime: portolan_runtime::Metrics,
    pub(super) syncs: Counter,
    pub(super) node_errors: Counter,
    pub(super) node_latency: Histogram,
    pub(super) update_latency: Histogram,
    calls: Family<Labels, Counter>,
    refusals: Family<Labels, Counter>,
    waiting: Family<Labels, Gauge>,
    waited: Histogram,
    tokens: Gauge<f64, AtomicU64>,
    rate: Gauge<f64, AtomicU64>,
    burst: Gauge,
    drifted: Counter,
    orphans: Counter,
}

/// One label; its values are a closed set.
type Labels = [(&'static str, &'static str); 1];

impl Default for Metrics {
    fn default() -> Self {
        // Upstream's: 1 s to 16384 s.
        let long = || Histogram::new(exponential_buckets(1.0, 2.0, 15));
        Self {
            runtime: portolan_runtime::Metrics::default(),
            syncs: Counter::default(),
            node_errors: Counter::default(),
            node_latency: long(),
            update_latency: long(),
            calls: Family::default(),
            refusals: Family::default(),
            waiting: Family::default(),
            waited: Histogram::new(exponential_buckets(0.01, 2.0, 15)),
            tokens: Gauge::default(),
            rate: Gauge::default(),
            burst: Gauge::default(),
            drifted: Counter::default(),
            orphans: Counter::default(),
        }
    }
}

impl Metrics {
    /// Registers everything under `service_controller`.
    pub fn register(registry: &mut Registry) -> Self {
        const PREFIX: &str = "service_controller";
        let metrics = Self { runtime: portolan_runtime::Metrics::register(registry, PREFIX), ..Self::default() };
        let part = registry.sub_registry_with_prefix(PREFIX);
        part.register("loadbalancer_sync", "Updates of a balancer's nodes", metrics.syncs.clone());
        part.register("nodesync_error", "Updates of a balancer's nodes that failed", metrics.node_errors.clone());
        part.register(
            "nodesync_latency_seconds",
            "From a change of nodes until every balancer has been told",
            metrics.node_latency.clone(),
        );
        part.register(
            "update_loadbalancer_host_latency_seconds",
            "Duration of one update of a balancer's nodes",
            metrics.update_latency.clone(),
        );
        part.register("provider_calls", "Calls to the provider, by call", metrics.calls.clone());
        part.register("provider_refusals", "Calls that failed, by class of error", metrics.refusals.clone());
        part.register("waiting_services", "Services that wait for their turn, by lane", metrics.waiting.clone());
        part.register("provider_budget_wait_seconds", "How long calls waited for the budget", metrics.waited.clone());
        part.register(
            "provider_budget_tokens",
            "Calls that could have been made at once when the last one was; negative if calls wait",
            metrics.tokens.clone(),
        );
        part.register("provider_budget_calls_per_second", "The rate that is allowed", metrics.rate.clone());
        part.register("provider_budget_burst", "Calls that may be made at once", metrics.burst.clone());
        part.register("drifted", "Balancers that were changed or deleted out of band", metrics.drifted.clone());
        part.register("orphans", "Balancers without a Service that were found", metrics.orphans.clone());
        metrics
    }

    pub(super) fn limits(&self, rate: f64, burst: u32) {
        self.rate.set(rate);
        self.burst.set(burst.into());
        self.tokens.set(burst.into());
    }

    pub(super) fn tokens(&self, left: f64) {
        self.tokens.set(left);
    }

    pub(super) fn waited(&self, duration: Duration) {
        self.waited.observe(duration.as_secs_f64());
    }

    pub(super) fn called(&self, call: &'static str) {
        self.calls.get_or_create(&[("call", call)]).inc();
    }

    pub(super) fn refused(&self, class: Class) {
        self.refusals.get_or_create(&[("class", class.as_str())]).inc();
    }

    pub(super) fn waiting<K: Clone + Eq + std::hash::Hash>(&self, lanes: &Lanes<K>) {
        for lane in Lane::ALL {
            let count = i64::try_from(lanes.in_lane(lane)).unwrap_or(i64::MAX);
            self.waiting.get_or_create(&[("lane", lane.as_str())]).set(count);
        }
    }

    pub(super) fn drifted(&self) {
        self.drifted.inc();
    }

    pub(super) fn orphaned(&self) {
        self.orphans.inc();
    }
}
