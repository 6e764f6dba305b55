//! What the controller counts, under upstream's names (`pkg/controller/endpointslicemirroring/metrics`).

use std::time::Duration;

use prometheus_client::{
    metrics::{
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::{index::Tally, plan::Totals};
use crate::count::{Changes, Operation};

/// In front of every name.
const PREFIX: &str = "endpoint_slice_mirroring_controller";

/// The metrics of one controller; clones are the same metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    added: Histogram,
    updated: Histogram,
    removed: Histogram,
    skipped: Histogram,
    duration: Histogram,
    endpoints_desired: Gauge,
    slices: Gauge,
    slices_desired: Gauge,
    changes: Changes,
    pub(super) part: portolan_runtime::Metrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let counts = || Histogram::new(exponential_buckets(2.0, 2.0, 15));
        Self {
            added: counts(),
            updated: counts(),
            removed: counts(),
            skipped: counts(),
            duration: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            endpoints_desired: Gauge::default(),
            slices: Gauge::default(),
            slices_desired: Gauge::default(),
            changes: Changes::default(),
            part: portolan_runtime::Metrics::default(),
        }
    }
}

impl Metrics {
    /// Registers them as `endpoint_slice_mirroring_controller_*`, beside the loop's own counters.
    pub fn register(registry: &mut Registry) -> Self {
        let part = portolan_runtime::Metrics::register(registry, PREFIX);
        let metrics = Self { part, ..Self::default() };
        let page = registry.sub_registry_with_prefix(PREFIX);
        let histograms = [
            ("endpoints_added_per_sync", "Endpoints added by one sync", &metrics.added),
            ("endpoints_updated_per_sync", "Endpoints changed by one sync", &metrics.updated),
            ("endpoints_removed_per_sync", "Endpoints removed by one sync", &metrics.removed),
            ("addresses_skipped_per_sync", "Addresses left out, as invalid or too many", &metrics.skipped),
            ("endpoints_sync_duration", "Time that one sync took, in seconds", &metrics.duration),
        ];
        for (name, help, histogram) in histograms {
            page.register(name, help, histogram.clone());
        }
        let gauges = [
            ("endpoints_desired", "Endpoints in all mirrored slices together", &metrics.endpoints_desired),
            ("num_endpoint_slices", "Mirrored slices", &metrics.slices),
            ("desired_endpoint_slices", "Slices that a perfect distribution would need", &metrics.slices_desired),
        ];
        for (name, help, gauge) in gauges {
            page.register(name, help, gauge.clone());
        }
        page.register("changes", "Slices created, updated and deleted", metrics.changes.clone());
        metrics
    }

    /// One Endpoints has been compared with its slices.
    pub(super) fn planned(&self, totals: &Totals) {
        let histograms = [
            (&self.added, totals.added),
            (&self.updated, totals.updated),
            (&self.removed, totals.removed),
            (&self.skipped, totals.skipped),
        ];
        for (histogram, count) in histograms {
            histogram.observe(count as f64);
        }
    }

    /// What all Endpoints together ask for. Each slice is as large as it has to be, so that as many are desired as there
    /// are.
    pub(super) fn tally(&self, tally: Tally) {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.endpoints_desired.set(number(tally.endpoints));
        self.slices.set(number(tally.slices));
        self.slices_desired.set(number(tally.slices));
    }

    /// One sync is over, with its writes or without.
    pub(super) fn synced(&self, took: Duration) {
        self.duration.observe(took.as_secs_f64());
    }

    /// A slice has been written.
    pub(super) fn changed(&self, operation: Operation) {
        self.changes.get_or_create(&operation.into()).inc();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn names_are_upstreams() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.planned(&Totals { added: 3, skipped: 1, ..Totals::default() });
        metrics.tally(Tally { endpoints: 5, slices: 2 });
        metrics.synced(Duration::from_millis(3));
        metrics.changed(Operation::Create);
        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        for line in [
            "endpoint_slice_mirroring_controller_endpoints_added_per_sync_sum 3.0",
            "endpoint_slice_mirroring_controller_endpoints_updated_per_sync_count 1",
            "endpoint_slice_mirroring_controller_endpoints_removed_per_sync_count 1",
            "endpoint_slice_mirroring_controller_addresses_skipped_per_sync_sum 1.0",
            "endpoint_slice_mirroring_controller_endpoints_sync_duration_bucket{le=\"0.004\"} 1",
            "endpoint_slice_mirroring_controller_endpoints_desired 5",
            "endpoint_slice_mirroring_controller_num_endpoint_slices 2",
            "endpoint_slice_mirroring_controller_desired_endpoint_slices 2",
            "endpoint_slice_mirroring_controller_changes{operation=\"create\"} 1",
            "endpoint_slice_mirroring_controller_applies_total 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
        }
    }
}
