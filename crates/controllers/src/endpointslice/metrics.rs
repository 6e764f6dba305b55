//! What the controller counts, under upstream's names. Upstream: `endpointslice/metrics`.

use std::collections::HashMap;

use portolan_objects::ObjectKey;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::{
    distribution::{Mode, Near},
    plan::{Counts, SlicePlan},
};
use crate::count::{Changes, Count, Operation};

/// The subsystem that upstream's names begin with.
const PREFIX: &str = "endpoint_slice_controller";
/// The buckets of Prometheus' clients for whoever names none.
const DEFAULT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The end of a sync.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDistribution {
    traffic_distribution: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByMode {
    topology: &'static str,
    traffic_distribution: &'static str,
}

impl From<Mode> for ByMode {
    fn from(mode: Mode) -> Self {
        let topology = if mode == Mode::Auto { "Auto" } else { "Disabled" };
        let traffic_distribution = if let Mode::Near(near) = mode { near.as_str() } else { "" };
        Self { topology, traffic_distribution }
    }
}

/// The controller's metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) part: portolan_runtime::Metrics,
    added: Histogram,
    removed: Histogram,
    endpoints: Gauge,
    slices: Gauge,
    fewest: Gauge,
    changes: Changes,
    changed: Family<ByMode, Histogram>,
    syncs: Family<ByResult, Count>,
    distributions: Family<ByDistribution, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            part: portolan_runtime::Metrics::default(),
            added: Histogram::new(exponential_buckets(2.0, 2.0, 15)),
            removed: Histogram::new(exponential_buckets(2.0, 2.0, 15)),
            endpoints: Gauge::default(),
            slices: Gauge::default(),
            fewest: Gauge::default(),
            changes: Family::default(),
            changed: Family::new_with_constructor(|| Histogram::new(DEFAULT_BUCKETS)),
            syncs: Family::default(),
            distributions: Family::default(),
        }
    }
}

impl Metrics {
    /// Registers them as `endpoint_slice_controller_*`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { part: portolan_runtime::Metrics::register(registry, PREFIX), ..Self::default() };
        let page = registry.sub_registry_with_prefix(PREFIX);
        let names = "Number of endpoints added on each Service sync";
        page.register("endpoints_added_per_sync", names, metrics.added.clone());
        let names = "Number of endpoints removed on each Service sync";
        page.register("endpoints_removed_per_sync", names, metrics.removed.clone());
        page.register("endpoints_desired", "Number of endpoints desired", metrics.endpoints.clone());
        page.register("num_endpoint_slices", "Number of EndpointSlices", metrics.slices.clone());
        let names = "Number of EndpointSlices that would exist with perfect endpoint allocation";
        page.register("desired_endpoint_slices", names, metrics.fewest.clone());
        page.register("changes", "Number of EndpointSlice changes", metrics.changes.clone());
        let names = "Number of EndpointSlices changed on each Service sync";
        page.register("endpointslices_changed_per_sync", names, metrics.changed.clone());
        // Upstream has a third result, stale, for syncs that begin before the last one's writes are visible.
        page.register("syncs", "Number of EndpointSlice syncs", metrics.syncs.clone());
        let names = "Number of Services using some specific trafficDistribution";
        page.register("services_count_by_traffic_distribution", names, metrics.distributions.clone());
        metrics
    }

    /// One slice was written.
    pub(crate) fn wrote(&self, operation: Operation) {
        self.changes.get_or_create(&operation.into()).inc();
    }

    /// All slices of one family that had to be written were.
    pub(crate) fn finished(&self, mode: Mode, slices: usize) {
        self.changed.get_or_create(&mode.into()).observe(float(slices));
    }

    /// One sync of one Service has ended.
    pub(crate) fn synced(&self, success: bool) {
        let result = if success { "success" } else { "error" };
        self.syncs.get_or_create(&ByResult { result }).inc();
    }

    /// One sync has looked at these endpoints.
    fn looked(&self, counts: Counts) {
        self.added.observe(float(counts.added));
        self.removed.observe(float(counts.removed));
    }
}

#[expect(clippy::cast_precision_loss)] // Numbers of endpoints are far below what a float holds exactly.
fn float(count: usize) -> f64 {
    count as f64
}

/// What the gauges add up, by Service.
#[derive(Debug, Default)]
pub(crate) struct Census {
    services: HashMap<ObjectKey, Entry>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    endpoints: i64,
    slices: i64,
    fewest: i64,
    near: Option<Near>,
}

impl Census {
    /// Takes what a plan has found.
    pub(crate) fn take(&mut self, key: &ObjectKey, plan: &SlicePlan, metrics: &Metrics) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let mut entry =
            Entry { near: if let Mode::Near(near) = plan.mode { Some(near) } else { None }, ..Entry::default() };
        for counts in plan.families.iter().map(|family| family.counts) {
            metrics.looked(counts);
            entry.endpoints += number(counts.endpoints);
            entry.slices += number(counts.slices);
            entry.fewest += number(counts.fewest);
        }
        let before = self.services.insert(key.clone(), entry);
        add(metrics, &entry, 1);
        before.iter().for_each(|before| add(metrics, before, -1));
    }

    /// The Service is gone.
    pub(crate) fn forget(&mut self, key: &ObjectKey, metrics: &Metrics) {
        self.services.remove(key).iter().for_each(|entry| add(metrics, entry, -1));
    }
}

fn add(metrics: &Metrics, entry: &Entry, times: i64) {
    metrics.endpoints.inc_by(times * entry.endpoints);
    metrics.slices.inc_by(times * entry.slices);
    metrics.fewest.inc_by(times * entry.fewest);
    if let Some(near) = entry.near {
        metrics.distributions.get_or_create(&ByDistribution { traffic_distribution: near.as_str() }).inc_by(times);
    }
}

#[cfg(test)]
mod tests;
