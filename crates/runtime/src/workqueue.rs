//! What the loops of this process count about their queues, under client-go's names (`workqueue_*`), and whether they
//! have their first complete sets.
//!
//! One process, one set, as in client-go: a page can hold a metric only once, and a loop should not need to be told of
//! the page. [`register`] puts them on one. Upstream: client-go `util/workqueue/metrics.go`.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, LazyLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::Registry,
};
use tokio::time::Instant;

static QUEUES: LazyLock<Queues> = LazyLock::new(Queues::default);
static LOOPS: Mutex<Vec<Weak<Loop>>> = Mutex::new(Vec::new());

/// 10 ns to 1000 s.
const BUCKETS: [f64; 12] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    name: &'static str,
}

type Histograms = Family<Name, Histogram, fn() -> Histogram>;

struct Queues {
    depth: Family<Name, Gauge>,
    adds: Family<Name, Counter>,
    retries: Family<Name, Counter>,
    waits: Histograms,
    works: Histograms,
}

impl Default for Queues {
    fn default() -> Self {
        let histograms = || Histograms::new_with_constructor(|| Histogram::new(BUCKETS));
        Self {
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            waits: histograms(),
            works: histograms(),
        }
    }
}

/// One running loop.
#[derive(Debug)]
struct Loop {
    name: &'static str,
    synced: AtomicBool,
    /// When the work under way began, by its number.
    working: Mutex<BTreeMap<u64, Instant>>,
}

/// A loop's own handles; dropping it takes the loop off the list.
#[derive(Debug)]
pub(crate) struct Gauges {
    this: Arc<Loop>,
    depth: Gauge,
    adds: Counter,
    retries: Counter,
    waits: Histogram,
    works: Histogram,
}

impl Gauges {
    pub fn new(name: &'static str) -> Self {
        let this = Arc::new(Loop { name, synced: AtomicBool::new(false), working: Mutex::default() });
        LOOPS.lock().push(Arc::downgrade(&this));
        let label = Name { name };
        Self {
            this,
            depth: QUEUES.depth.get_or_create(&label).clone(),
            adds: QUEUES.adds.get_or_create(&label).clone(),
            retries: QUEUES.retries.get_or_create(&label).clone(),
            waits: QUEUES.waits.get_or_create(&label).clone(),
            works: QUEUES.works.get_or_create(&label).clone(),
        }
    }

    /// Every watch has delivered its first complete set.
    pub fn synced(&self) {
        self.this.synced.store(true, Ordering::Relaxed);
    }

    pub fn added(&self) {
        self.adds.inc();
        self.depth.inc();
    }

    pub fn retried(&self) {
        self.retries.inc();
    }

    /// Work number `id` begins after its key has waited so long.
    pub fn begun(&self, id: u64, waited: Duration) {
        self.depth.dec();
        self.waits.observe(waited.as_secs_f64());
        self.this.working.lock().insert(id, Instant::now());
    }

    pub fn done(&self, id: u64) {
        if let Some(begun) = self.this.working.lock().remove(&id) {
            self.works.observe(begun.elapsed().as_secs_f64());
        }
    }

    /// Keys that are never worked on, as the loop ends.
    pub fn abandoned(&self, keys: usize) {
        self.depth.dec_by(i64::try_from(keys).unwrap_or(i64::MAX));
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        let ended = Arc::as_ptr(&self.this);
        LOOPS.lock().retain(|other| !std::ptr::eq(other.as_ptr(), ended));
    }
}

/// The loops that still wait for the first complete set of a watch.
pub fn unsynced() -> Vec<&'static str> {
    let loops = LOOPS.lock();
    let running = loops.iter().filter_map(Weak::upgrade);
    running.filter(|running| !running.synced.load(Ordering::Relaxed)).map(|running| running.name).collect()
}

/// Registers what the loops of this process count.
pub fn register(registry: &mut Registry) {
    let page = registry.sub_registry_with_prefix("workqueue");
    page.register("depth", "Current depth of workqueue", QUEUES.depth.clone());
    page.register("adds", "Total number of adds handled by workqueue", QUEUES.adds.clone());
    page.register("retries", "Total number of retries handled by workqueue", QUEUES.retries.clone());
    let waits = "How long an item stays in workqueue before being requested";
    page.register("queue_duration_seconds", waits, QUEUES.waits.clone());
    let works = "How long processing an item from workqueue takes";
    page.register("work_duration_seconds", works, QUEUES.works.clone());
    registry.register_collector(Box::new(UnderWay));
}

/// How long what is under way has been so: known only when somebody asks.
#[derive(Debug)]
struct UnderWay;

impl Collector for UnderWay {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut ages: BTreeMap<&'static str, (f64, f64)> = BTreeMap::new();
        for running in LOOPS.lock().iter().filter_map(Weak::upgrade) {
            let (sum, longest) = ages.entry(running.name).or_default();
            for begun in running.working.lock().values() {
                let age = begun.elapsed().as_secs_f64();
                *sum += age;
                *longest = longest.max(age);
            }
        }
        let unfinished = ages.iter().map(|(name, (sum, _))| (*name, *sum)).collect::<Vec<_>>();
        let longest = ages.iter().map(|(name, (_, longest))| (*name, *longest)).collect::<Vec<_>>();
        let help = "Seconds of work that is in progress and not yet observed by work_duration";
        gauge(&mut encoder, "workqueue_unfinished_work_seconds", help, &unfinished)?;
        let help = "Seconds the longest running processor has been running";
        gauge(&mut encoder, "workqueue_longest_running_processor_seconds", help, &longest)
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: &[(&'static str, f64)],
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, prometheus_client::metrics::MetricType::Gauge)?;
    for (name, value) in values {
        ConstGauge::new(*value).encode(family.encode_family(&Name { name })?)?;
    }
    Ok(())
}
