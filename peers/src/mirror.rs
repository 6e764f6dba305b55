//! A live copy of one cluster's objects, kept by watches. The driver reads it instead of asking for lists, and
//! learns from it since when nothing has changed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use futures::StreamExt;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::watcher,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::request::Collection;

/// Namespace and name.
pub type Key = (String, String);
/// The objects of one collection at one moment.
pub type Objects = BTreeMap<Key, Arc<Value>>;

/// The copy. Its watches end with it.
#[derive(Debug)]
pub struct Mirror {
    state: Arc<Mutex<State>>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    objects: HashMap<Collection, Objects>,
    /// The latest resourceVersion seen of a collection.
    revisions: HashMap<Collection, u64>,
    complete: usize,
    changed: Instant,
    /// How often each collection was written, deletions included.
    writes: HashMap<Collection, u64>,
}

impl Mirror {
    /// Watches the collections, and waits until each has been listed.
    pub async fn start(client: &Client, collections: &[Collection]) -> Result<Self> {
        let state = Arc::new(Mutex::new(State {
            objects: HashMap::new(),
            revisions: HashMap::new(),
            complete: 0,
            changed: Instant::now(),
            writes: HashMap::new(),
        }));
        let tasks = collections
            .iter()
            .map(|collection| tokio::spawn(follow(client.clone(), *collection, state.clone())))
            .collect();
        let mirror = Self { state, tasks };
        let deadline = Instant::now() + Duration::from_secs(60);
        while mirror.state.lock().complete < collections.len() {
            if Instant::now() > deadline {
                bail!("the watches did not deliver their first lists in time");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(mirror)
    }

    /// The objects of a collection now.
    pub fn objects(&self, collection: Collection) -> Objects {
        self.state.lock().objects.get(&collection).cloned().unwrap_or_default()
    }

    /// Since when nothing has changed.
    pub fn changed(&self) -> Instant {
        self.state.lock().changed
    }

    /// Writes seen so far, by collection.
    pub fn writes(&self, collection: Collection) -> u64 {
        self.state.lock().writes.get(&collection).copied().unwrap_or_default()
    }

    /// Whether the copy has this revision of a collection, or a later one.
    pub fn has(&self, collection: Collection, revision: u64) -> bool {
        self.state.lock().revisions.get(&collection).is_some_and(|seen| *seen >= revision)
    }

    /// Whether an object is there.
    pub fn contains(&self, collection: Collection, key: &Key) -> bool {
        self.state.lock().objects.get(&collection).is_some_and(|objects| objects.contains_key(key))
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn follow(client: Client, collection: Collection, state: Arc<Mutex<State>>) {
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(collection.group, "v1", collection.kind),
        collection.plural,
    );
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    let mut pending = Vec::new();
    let mut first = true;
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(plural = collection.plural, %error, "the watch failed and starts again");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let mut state = state.lock();
        match event {
            watcher::Event::Init => pending.clear(),
            watcher::Event::InitApply(object) => pending.push(object),
            watcher::Event::InitDone => {
                state.objects.insert(collection, Objects::new());
                for object in pending.drain(..) {
                    state.apply(collection, object);
                }
                state.complete += usize::from(std::mem::take(&mut first));
            }
            watcher::Event::Apply(object) => state.apply(collection, object),
            watcher::Event::Delete(object) => state.delete(collection, &object),
        }
    }
}

impl State {
    fn apply(&mut self, collection: Collection, object: DynamicObject) {
        self.touch(collection, &object);
        let key = key(&object);
        // An object of the API is always representable.
        let value = serde_json::to_value(object).unwrap_or_default();
        self.objects.entry(collection).or_default().insert(key, Arc::new(value));
    }

    fn delete(&mut self, collection: Collection, object: &DynamicObject) {
        self.touch(collection, object);
        self.objects.entry(collection).or_default().remove(&key(object));
    }

    fn touch(&mut self, collection: Collection, object: &DynamicObject) {
        self.changed = Instant::now();
        *self.writes.entry(collection).or_default() += 1;
        let revision = object.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
        let seen = self.revisions.entry(collection).or_default();
        *seen = revision.max(*seen);
    }
}

fn key(object: &DynamicObject) -> Key {
    let metadata = &object.metadata;
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}
