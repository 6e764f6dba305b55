//! What a consumer of slices sees: one watch of all EndpointSlices, with the time at which each endpoint came to be as it is.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use futures::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use parking_lot::Mutex;
use tokio::{sync::Notify, task::JoinHandle};

/// How an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Takes traffic.
    pub ready: bool,
    /// Its pod is being deleted.
    pub terminating: bool,
    /// Since when it has been seen like this.
    pub since: Instant,
}

/// The watch; it ends with the value.
#[derive(Debug)]
pub struct Slices {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    moved: Notify,
}

/// What has been seen so far.
#[derive(Debug, Default)]
pub struct State {
    /// By slice: the pods in it.
    pub slices: HashMap<String, Vec<String>>,
    /// By pod.
    pub endpoints: HashMap<String, Endpoint>,
    /// Writes of slices: created, changed, deleted.
    pub writes: u64,
    listed: bool,
}

impl Slices {
    /// Begins to watch; returns once the list has been read.
    pub async fn watch(client: &Client) -> Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), moved: Notify::new() });
        let task = tokio::spawn(follow(Api::all(client.clone()), shared.clone()));
        let slices = Self { shared, task };
        slices.until(Duration::from_secs(60), "the list of slices", |state| state.listed).await?;
        Ok(slices)
    }

    /// Waits until the state is as wanted.
    pub async fn until(&self, limit: Duration, what: &str, wanted: impl Fn(&State) -> bool) -> Result<Instant> {
        let deadline = Instant::now() + limit;
        loop {
            let moved = self.shared.moved.notified();
            if wanted(&self.shared.state.lock()) {
                return Ok(Instant::now());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("gave up waiting for {what} after {} s", limit.as_secs());
            }
            // A moment later, the state may be as wanted even if the signal was missed.
            let _ = tokio::time::timeout(left.min(Duration::from_millis(50)), moved).await;
        }
    }

    /// Reads the state.
    pub fn look<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.shared.state.lock())
    }

    /// Waits until no slice has been written for a while.
    pub async fn calm(&self, quiet: Duration) {
        let mut writes = self.look(|state| state.writes);
        loop {
            tokio::time::sleep(quiet).await;
            let now = self.look(|state| state.writes);
            if now == writes {
                return;
            }
            writes = now;
        }
    }
}

impl Drop for Slices {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(api: Api<EndpointSlice>, shared: Arc<Shared>) {
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        {
            let mut state = shared.state.lock();
            match event {
                Ok(watcher::Event::Init) => state.slices.clear(),
                Ok(watcher::Event::InitApply(slice)) => state.put(&slice),
                Ok(watcher::Event::InitDone) => state.listed = true,
                Ok(watcher::Event::Apply(slice)) => {
                    state.writes += 1;
                    state.put(&slice);
                }
                Ok(watcher::Event::Delete(slice)) => {
                    state.writes += 1;
                    state.remove(&key(&slice));
                }
                Err(error) => tracing::warn!(%error, "the watch of slices failed and starts again"),
            }
        }
        shared.moved.notify_waiters();
    }
}

impl State {
    fn put(&mut self, slice: &EndpointSlice) {
        let now = Instant::now();
        let mut pods = Vec::new();
        for endpoint in slice.endpoints.iter().flatten() {
            let Some(pod) = endpoint.target_ref.as_ref().and_then(|target| target.name.clone()) else { continue };
            let conditions = endpoint.conditions.clone().unwrap_or_default();
            let (ready, terminating) = (conditions.ready == Some(true), conditions.terminating == Some(true));
            let known =
                self.endpoints.get(&pod).filter(|known| known.ready == ready && known.terminating == terminating);
            if known.is_none() {
                self.endpoints.insert(pod.clone(), Endpoint { ready, terminating, since: now });
            }
            pods.push(pod);
        }
        let old = self.slices.insert(key(slice), pods).unwrap_or_default();
        self.forget(old, &key(slice));
    }

    fn remove(&mut self, key: &str) {
        let old = self.slices.remove(key).unwrap_or_default();
        self.forget(old, key);
    }

    /// Endpoints that a slice no longer has are gone, unless another slice has them.
    fn forget(&mut self, old: Vec<String>, slice: &str) {
        let present: std::collections::HashSet<&String> = self.slices.get(slice).into_iter().flatten().collect();
        let gone: Vec<String> = old.into_iter().filter(|pod| !present.contains(pod)).collect();
        for pod in gone {
            let elsewhere = self.slices.values().any(|pods| pods.contains(&pod));
            if !elsewhere {
                self.endpoints.remove(&pod);
            }
        }
    }
}

fn key(slice: &EndpointSlice) -> String {
    let metadata = &slice.metadata;
    format!("{}/{}", metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}
