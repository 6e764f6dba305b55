//! What the proxy counts. Names are kube-proxy's where it has the metric; the meaning of a "full" sync is: the whole
//! table was built.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portolan_objects::Family;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use std::sync::atomic::AtomicU64;

/// Bounds in seconds: a transaction takes from ten microseconds to a second.
const SYNC_BOUNDS: [f64; 12] = [0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];
/// Bounds in seconds of the way from a pod's change to the rules.
const PROGRAMMING_BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FamilyLabel(Family);

impl EncodeLabelValue for FamilyLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.as_str().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFamily {
    ip_family: FamilyLabel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: u16,
}

type Histograms = family::Family<ByFamily, Histogram, fn() -> Histogram>;
type Counters = family::Family<ByFamily, Counter>;

/// The metrics of one proxy; clones are the same metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    sync: Histograms,
    full: Histograms,
    partial: Histograms,
    failures: Counters,
    rebuilds: Counter,
    disturbances: Counter,
    elements: Counter,
    programming: Histogram,
    last: Gauge<f64, AtomicU64>,
    queued: Gauge<f64, AtomicU64>,
    service_changes: Counter,
    endpoint_changes: Counter,
    flows: Counters,
    healthz: family::Family<ByCode, Counter>,
    livez: family::Family<ByCode, Counter>,
    pub(crate) loop_metrics: portolan_runtime::Metrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let sync: fn() -> Histogram = || Histogram::new(SYNC_BOUNDS);
        Self {
            sync: family::Family::new_with_constructor(sync),
            full: family::Family::new_with_constructor(sync),
            partial: family::Family::new_with_constructor(sync),
            failures: family::Family::default(),
            rebuilds: Counter::default(),
            disturbances: Counter::default(),
            elements: Counter::default(),
            programming: Histogram::new(PROGRAMMING_BOUNDS),
            last: Gauge::default(),
            queued: Gauge::default(),
            service_changes: Counter::default(),
            endpoint_changes: Counter::default(),
            flows: family::Family::default(),
            healthz: family::Family::default(),
            livez: family::Family::default(),
            loop_metrics: portolan_runtime::Metrics::default(),
        }
    }
}

impl Metrics {
    /// Makes the metrics and registers them under `prefix`, `kubeproxy` for the names that dashboards know.
    pub fn register(registry: &mut Registry, prefix: &str) -> Self {
        let metrics = Self { loop_metrics: portolan_runtime::Metrics::register(registry, prefix), ..Self::default() };
        let part = registry.sub_registry_with_prefix(prefix);
        let mut rules = |name: &str, help: &str, metric: &Histograms| {
            part.register(format!("sync_{name}_duration_seconds"), help, metric.clone());
        };
        rules("proxy_rules", "Time to commit a transaction", &metrics.sync);
        rules("full_proxy_rules", "Time to build a whole table", &metrics.full);
        rules("partial_proxy_rules", "Time to commit changed elements", &metrics.partial);
        part.register(
            "sync_proxy_rules_nftables_sync_failures",
            "Transactions that the kernel refused",
            metrics.failures.clone(),
        );
        part.register("table_rebuilds", "Whole tables built", metrics.rebuilds.clone());
        part.register("table_disturbances", "Changes of the table by others", metrics.disturbances.clone());
        part.register("sync_elements", "Set elements added and deleted", metrics.elements.clone());
        part.register(
            "network_programming_duration_seconds",
            "Time from the change of a pod or Service to the rules",
            metrics.programming.clone(),
        );
        part.register("sync_proxy_rules_last_timestamp_seconds", "The last successful sync", metrics.last.clone());
        part.register(
            "sync_proxy_rules_last_queued_timestamp_seconds",
            "When a sync was last asked for",
            metrics.queued.clone(),
        );
        part.register("sync_proxy_rules_service_changes", "Changes of Services", metrics.service_changes.clone());
        part.register("sync_proxy_rules_endpoint_changes", "Changes of endpoints", metrics.endpoint_changes.clone());
        part.register(
            "conntrack_reconciler_deleted_entries",
            "Stale UDP flows that were deleted",
            metrics.flows.clone(),
        );
        part.register("proxy_healthz", "Answers of /healthz", metrics.healthz.clone());
        part.register("proxy_livez", "Answers of /livez", metrics.livez.clone());
        metrics
    }

    pub(crate) fn committed(&self, family: Family, rebuild: bool, took: Duration, elements: usize) {
        let label = ByFamily { ip_family: FamilyLabel(family) };
        self.sync.get_or_create(&label).observe(took.as_secs_f64());
        let kind = if rebuild { &self.full } else { &self.partial };
        self.rebuilds.inc_by(u64::from(rebuild));
        kind.get_or_create(&label).observe(took.as_secs_f64());
        self.elements.inc_by(elements as u64);
        self.last.set(seconds(SystemTime::now()));
    }

    #[cfg(test)]
    pub(crate) fn changed_elements(&self) -> u64 {
        self.elements.get()
    }

    #[cfg(test)]
    pub(crate) fn rebuilds(&self) -> u64 {
        self.rebuilds.get()
    }

    pub(crate) fn refused(&self, family: Family) {
        self.failures.get_or_create(&ByFamily { ip_family: FamilyLabel(family) }).inc();
    }

    pub(crate) fn disturbed(&self) {
        self.disturbances.inc();
    }

    pub(crate) fn queued(&self) {
        self.queued.set(seconds(SystemTime::now()));
    }

    pub(crate) fn service_changed(&self) {
        self.service_changes.inc();
    }

    pub(crate) fn endpoints_changed(&self) {
        self.endpoint_changes.inc();
    }

    /// A change that happened at `since` has reached the kernel.
    pub(crate) fn programmed(&self, since: SystemTime) {
        if let Ok(took) = since.elapsed() {
            self.programming.observe(took.as_secs_f64());
        }
    }

    pub(crate) fn forgot(&self, family: Family, flows: usize) {
        self.flows.get_or_create(&ByFamily { ip_family: FamilyLabel(family) }).inc_by(flows as u64);
    }

    pub(crate) fn answered(&self, path: &str, code: u16) {
        let counter = if path == "/livez" { &self.livez } else { &self.healthz };
        counter.get_or_create(&ByCode { code }).inc();
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
