#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use k8s_openapi::serde_json;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::*;
use crate::Change;

/// Copies wanted numbers into a shared map, one key at a time: the smallest part that has all three steps.
struct Copier {
    wanted: BTreeMap<&'static str, u32>,
    written: BTreeMap<&'static str, u32>,
    world: Arc<World>,
}

/// What the copier acts on, and how it is told to fail.
#[derive(Default)]
struct World {
    values: Mutex<BTreeMap<&'static str, u32>>,
    applies: AtomicUsize,
    failures: AtomicUsize,
    panics: AtomicUsize,
    unfinished: AtomicUsize,
}

type Wanted = (&'static str, u32);

/// What was written, and what was not.
struct Written(u32, Option<Failure>);

impl Reconciler for Copier {
    type Input = Change<Wanted>;
    type Key = &'static str;
    type Plan = u32;
    type Outcome = Written;

    fn index(&mut self, input: Change<Wanted>, dirty: &mut Vec<&'static str>) {
        let changed = match input {
            Change::Reset(all) => all,
            Change::Apply(one) => vec![one],
            Change::Delete((key, _)) => {
                self.wanted.remove(key);
                Vec::new()
            }
        };
        dirty.extend(changed.iter().map(|(key, _)| *key));
        self.wanted.extend(changed);
    }

    fn plan(&mut self, key: &&'static str) -> Option<u32> {
        let wanted = *self.wanted.get(key)?;
        (self.written.get(key) != Some(&wanted)).then_some(wanted)
    }

    fn apply(&self, key: &'static str, plan: u32) -> impl Future<Output = Result<Written, Failure>> + Send + 'static {
        let world = Arc::clone(&self.world);
        async move {
            world.applies.fetch_add(1, Ordering::SeqCst);
            let take = |counter: &AtomicUsize| {
                counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
            };
            assert!(!take(&world.panics), "told to");
            if take(&world.failures) {
                return Err(Failure::message("told to fail"));
            }
            world.values.lock().insert(key, plan);
            Ok(Written(plan, take(&world.unfinished).then(|| Failure::message("told to stop half-way"))))
        }
    }

    fn unfinished(outcome: &mut Written) -> Option<Failure> {
        outcome.1.take()
    }

    fn applied(&mut self, key: &&'static str, outcome: Written) -> Option<Duration> {
        self.written.insert(key, outcome.0);
        None
    }
}

struct Running {
    world: Arc<World>,
    changes: mpsc::UnboundedSender<Change<Wanted>>,
    metrics: Metrics,
    stop: CancellationToken,
}

fn start(world: World) -> Running {
    let world = Arc::new(world);
    let (changes, receiver) = mpsc::unbounded_channel();
    let part = Copier { wanted: BTreeMap::new(), written: BTreeMap::new(), world: Arc::clone(&world) };
    let inputs = Inputs::new().stream(UnboundedReceiverStream::new(receiver), |change| change);
    let options = Options {
        name: "copier",
        workers: 2,
        backoff: Backoff { base: Duration::from_secs(1), max: Duration::from_secs(4), attempts: Some(3) },
        timeout: Duration::from_secs(30),
    };
    let metrics = Metrics::default();
    let stop = CancellationToken::new();
    tokio::spawn(run(part, inputs, options, metrics.clone(), stop.clone()));
    Running { world, changes, metrics, stop }
}

impl Running {
    /// Waits, in the test's paused time, until `done`.
    async fn until(&self, done: impl Fn(&Self) -> bool) {
        let wait = async {
            while !done(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
    }

    fn value(&self, key: &str) -> Option<u32> {
        self.world.values.lock().get(key).copied()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_planned_before_the_first_complete_set() {
    let part = start(World::default());
    part.changes.send(Change::Apply(("a", 1))).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(part.value("a"), None);
    part.changes.send(Change::Reset(vec![("b", 2)])).unwrap();
    part.until(|part| part.value("a") == Some(1) && part.value("b") == Some(2)).await;
    part.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn own_writes_are_known_before_the_next_plan() {
    let part = start(World::default());
    part.changes.send(Change::Reset(vec![("a", 1)])).unwrap();
    part.until(|part| part.value("a") == Some(1)).await;
    part.changes.send(Change::Apply(("a", 1))).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(part.world.applies.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_wait_their_back_off_and_the_key_is_dropped_at_the_limit() {
    let part = start(World { failures: AtomicUsize::new(usize::MAX), ..World::default() });
    let began = tokio::time::Instant::now();
    part.changes.send(Change::Reset(vec![("a", 1)])).unwrap();
    part.until(|part| part.metrics.dropped.get() == 1).await;
    assert_eq!(part.metrics.failures.get(), 4, "the first try and three more");
    assert_eq!(began.elapsed().as_secs(), 1 + 2 + 4);
    part.world.failures.store(0, Ordering::SeqCst);
    part.changes.send(Change::Apply(("a", 2))).unwrap();
    part.until(|part| part.value("a") == Some(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_try_and_nothing_else() {
    let part = start(World { panics: AtomicUsize::new(1), ..World::default() });
    part.changes.send(Change::Reset(vec![("a", 1)])).unwrap();
    part.until(|part| part.value("a") == Some(1)).await;
    assert_eq!(part.metrics.failures.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn half_of_a_plan_counts_as_written_and_as_failed() {
    let part = start(World { unfinished: AtomicUsize::new(1), ..World::default() });
    part.changes.send(Change::Reset(vec![("a", 1)])).unwrap();
    part.until(|part| part.metrics.failures.get() == 1).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(part.world.applies.load(Ordering::SeqCst), 1, "the retry finds nothing left to plan");
    assert_eq!(part.metrics.applies.get(), 0);
}

/// Collects the level and fields of every event on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut |field: &tracing::field::Field, value: &dyn Debug| {
            if matches!(field.name(), "key" | "error") {
                line.push_str(&format!(" {}={value:?}", field.name()));
            }
        });
        self.0.lock().push(line);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write it")]
struct Step(#[source] kube::Error);

/// Logs said "quota: quota: Forbidden": once from the error, once from its source.
#[test]
fn an_answer_of_the_api_is_told_once() {
    let status = serde_json::json!({"code": 403, "reason": "Forbidden", "message": "quota"});
    let failure = Failure::new(&Step(kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))));
    assert_eq!(failure.message, "cannot write it: quota");
}

#[tokio::test]
async fn conflicts_are_retried_without_a_warning_and_keys_are_named_plainly() {
    let answer = |code, reason: &str| {
        let status = serde_json::from_value(serde_json::json!({"code": code, "reason": reason, "message": reason}));
        kube::Error::Api(Box::new(status.unwrap()))
    };
    let log = Log::default();
    let options = Options {
        name: "copier",
        workers: 1,
        backoff: Backoff { base: Duration::from_secs(1), max: Duration::from_secs(1), attempts: Some(4) },
        timeout: Duration::from_secs(1),
    };
    let mut queue = Queue::new("test", options.backoff, None);
    let key = portolan_objects::ObjectKey::new("shop", "web");
    let _guard = tracing::subscriber::set_default(log.clone());
    for failure in [
        Failure::from(answer(409, "Conflict")),
        Failure::new(&Step(answer(409, "Conflict"))),
        Failure::from(answer(409, "AlreadyExists")),
        Failure::from(answer(500, "InternalError")),
        Failure::from(answer(409, "Conflict")),
    ] {
        retry(&mut queue, &options, &Metrics::default(), &key, &failure);
    }
    let lines: Vec<String> = log.0.lock().iter().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(
        lines,
        [
            "DEBUG key=shop/web error=Conflict",
            "DEBUG key=shop/web error=cannot write it",
            "WARN key=shop/web error=AlreadyExists",
            "WARN key=shop/web error=InternalError",
            "ERROR key=shop/web error=Conflict",
        ]
    );
}
