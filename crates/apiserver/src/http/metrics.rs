//! The metrics page: upstream's names where upstream has the metric, sizes read when scraped.

use std::{sync::atomic::Ordering, time::Duration};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry as Page,
};

use crate::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: &'static str,
    resource: &'static str,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabels {
    verb: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StorageLabels {
    resource: &'static str,
}

type Durations = Family<VerbLabels, Histogram, fn() -> Histogram>;

/// Counters of the HTTP face and gauges of the store.
pub struct Metrics {
    page: Mutex<Page>,
    requests: Family<RequestLabels, Counter>,
    durations: Durations,
    objects: Family<StorageLabels, Gauge>,
    revision: Gauge,
    commits: Gauge,
    transactions: Gauge,
    conflicts: Gauge,
    slow_watchers: Gauge,
}

fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut page = Page::default();
        let requests = Family::default();
        let durations = Durations::new_with_constructor(buckets);
        let objects = Family::default();
        let [revision, commits, transactions, conflicts, slow_watchers]: [Gauge; 5] = Default::default();
        page.register("apiserver_request", "Requests by verb, resource and status code", requests.clone());
        page.register(
            "apiserver_request_duration_seconds",
            "Time until the answer began; for watches, until the stream began",
            durations.clone(),
        );
        page.register("apiserver_storage_objects", "Stored objects", objects.clone());
        let store = page.sub_registry_with_prefix("portolan_store");
        store.register("revision", "The newest revision", revision.clone());
        store.register("commits", "Groups of transactions committed since start", commits.clone());
        store.register("transactions", "Transactions committed since start", transactions.clone());
        store.register("conflicts", "Transactions refused since start: someone else was faster", conflicts.clone());
        store.register(
            "slow_watchers",
            "Watches ended since start because they read too slowly",
            slow_watchers.clone(),
        );
        Self {
            page: Mutex::new(page),
            requests,
            durations,
            objects,
            revision,
            commits,
            transactions,
            conflicts,
            slow_watchers,
        }
    }
}

impl Metrics {
    /// Lets another part put its metrics on the page.
    pub(crate) fn register<T>(&self, register: impl FnOnce(&mut Page) -> T) -> T {
        register(&mut self.page.lock())
    }

    pub(super) fn observe(&self, verb: &'static str, resource: &'static str, code: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { verb, resource, code }).inc();
        self.durations.get_or_create(&VerbLabels { verb }).observe(took.as_secs_f64());
    }

    pub(super) fn render(&self, registry: &Registry) -> String {
        let store = registry.store();
        for (resource, size) in store.sizes() {
            self.objects.get_or_create(&StorageLabels { resource }).set(i64::try_from(size).unwrap_or(i64::MAX));
        }
        let counters = store.counters();
        for (gauge, value) in [
            (&self.revision, store.revision()),
            (&self.commits, counters.commits.load(Ordering::Relaxed)),
            (&self.transactions, counters.transactions.load(Ordering::Relaxed)),
            (&self.conflicts, counters.conflicts.load(Ordering::Relaxed)),
            (&self.slow_watchers, counters.slow_watchers.load(Ordering::Relaxed)),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.page.lock());
        text
    }
}
