//! When a Service is written, with the whole loop and on a clock that only goes when everybody waits. The API shows a
//! write to the watch before it answers.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt, channel::mpsc, stream};
use http::{Method, Request, Response};
use kube::{Client, client::Body};
use portolan_events::{Recorder, Vocabulary};
use portolan_runtime::Inputs;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use super::*;
use crate::endpointslice::{Config, run_on};

const MS: Duration = Duration::from_millis(1);
/// How long the API takes to answer.
const ANSWER: Duration = Duration::from_millis(20);
const PODS: u8 = 6;

struct Api {
    stored: Mutex<Fixture>,
    /// When there were writes, in milliseconds since the start.
    written: Mutex<Vec<u128>>,
    watch: mpsc::UnboundedSender<Change<Watched<Slice>>>,
    start: Instant,
}

impl Api {
    async fn answer(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        assert!([Method::POST, Method::PUT].contains(request.method()), "{request:?}");
        let body = request.into_body().collect_bytes().await.unwrap();
        let stored = self.write(serde_json::from_slice(&body).unwrap());
        self.written.lock().unwrap().push(self.start.elapsed().as_millis());
        sleep(ANSWER).await;
        Ok(Response::builder().status(200).body(Body::from(stored.to_string().into_bytes())).unwrap())
    }

    /// Anybody writes.
    fn write(&self, slice: Value) -> Value {
        let stored = self.stored.lock().unwrap().store(slice);
        self.watch.unbounded_send(Change::Apply(seen(&stored))).unwrap();
        stored
    }

    fn any_slice(&self) -> Value {
        self.stored.lock().unwrap().slices.values().next().unwrap().clone()
    }

    /// When there were writes; those of one moment are one.
    fn moments(&self) -> Vec<u128> {
        let mut moments = self.written.lock().unwrap().clone();
        moments.dedup();
        moments
    }
}

/// A running controller, with the Service `web` in three slices.
struct Run {
    api: Arc<Api>,
    services: mpsc::UnboundedSender<Change<Watched<Service>>>,
    pods: mpsc::UnboundedSender<Change<Pod>>,
    stop: CancellationToken,
}

impl Run {
    fn new(batch_period: Duration) -> Self {
        let (watch, slices) = mpsc::unbounded();
        let ((services, service_changes), (pods, pod_changes)) = (mpsc::unbounded(), mpsc::unbounded());
        let (stored, start) = (Mutex::new(Fixture::new()), Instant::now());
        let api = Arc::new(Api { stored, written: Mutex::default(), watch, start });
        let nodes = stream::iter([Change::Reset(vec![seen::<Node>(&node("node-1", "a", "4"))])]);
        services.unbounded_send(Change::Reset(vec![seen(&service(&[]))])).unwrap();
        pods.unbounded_send(Change::Reset((1..=PODS).map(|number| seen(&pod(number, &[])).facts).collect())).unwrap();
        api.watch.unbounded_send(Change::Reset(Vec::new())).unwrap();
        let watches = Inputs::new()
            .stream(service_changes, |change| Input::Service(Box::new(change)))
            .stream(pod_changes, |change| Input::Pod(Box::new(change)))
            .stream(nodes.chain(stream::pending()), |change| Input::Node(Box::new(change)))
            .stream(slices, |change| Input::Slice(Box::new(change)));
        let server = Arc::clone(&api);
        let client = Client::new(service_fn(move |request| Arc::clone(&server).answer(request)), "default");
        let recorder = Recorder::new(client.clone(), "test", None, Vocabulary::Full);
        let config = Config { max_endpoints_per_slice: 2, batch_period, ..Config::default() };
        let stop = CancellationToken::new();
        tokio::spawn(run_on(watches, client, recorder, config, Metrics::default(), stop.clone()));
        Self { api, services, pods, stop }
    }

    /// Pods become unready and ready by turns, one every 70 ms.
    async fn roll(&self, changes: u8) {
        for number in 0..changes {
            sleep(70 * MS).await;
            let ready = (number / PODS) % 2 == 1;
            let body = if ready { pod(number % PODS + 1, &[]) } else { pod(number % PODS + 1, &[not_ready()]) };
            self.pods.unbounded_send(Change::Apply(seen(&body).facts)).unwrap();
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_period_pods_are_written_once_in_it() {
    let run = Run::new(500 * MS);
    run.roll(80).await;
    sleep(5000 * MS).await;
    // The first change after a write, at the next multiple of 70, begins the next period.
    let mut expected = vec![0];
    let mut change = 70;
    while change <= 80 * 70 {
        expected.push(change + 500);
        change = (change + 500) / 70 * 70 + 70;
    }
    assert_eq!(run.api.moments(), expected);
}

#[tokio::test(start_paused = true)]
async fn without_a_period_the_pods_of_a_small_service_are_written_at_once() {
    let run = Run::new(Duration::ZERO);
    run.roll(20).await;
    sleep(5000 * MS).await;
    assert_eq!(run.api.moments(), (0..=20).map(|number| number * 70).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_others_do_is_undone_after_a_second_or_the_period_and_services_do_not_wait() {
    for (period, waits) in [(Duration::ZERO, 1000), (500 * MS, 1000), (3000 * MS, 3000)] {
        let run = Run::new(period);
        sleep(10_000 * MS).await;
        run.api.write(changed(run.api.any_slice(), &[("/endpoints", json!([]))]));
        sleep(10_000 * MS).await;
        let labelled = service(&[("/metadata/labels", json!({"team": "b"}))]);
        run.services.unbounded_send(Change::Apply(seen(&labelled))).unwrap();
        sleep(10_000 * MS).await;
        assert_eq!(run.api.moments(), [0, 10_000 + waits, 20_000], "{period:?}");
    }
}
