//! The store: every object in memory as encoded bytes, one writer, and a durable log below it.
//!
//! Called by the registry and by nobody else; knows no kinds. What it promises:
//! - **One revision** for all storages, strictly growing, never reused, also after a crash.
//! - **fsync, then visible, then published, then acknowledged.** A watcher never sees a revision that a crash can undo.
//! - **Reads never touch the disk** and never wait for a writer's fsync.
//! - **Watchers share**: a watcher is a cursor into the storage's ring of changes. It owns no queue, so a slow one
//!   costs nothing; when the ring has moved past it, it is told so and ends.
//! - **A list at an old revision** is the present state with the ring's changes undone, so real paging needs no copies.
//!
//! Upstream counterparts: etcd3 storage and watch cache of `k8s.io/apiserver/pkg/storage`.

mod durable;
mod shelf;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use self::shelf::Shelf;
pub use self::shelf::{Cursor, Lost, Page, Selection};
use self::writer::Writer;

/// A point in the store's history.
pub type Revision = u64;

/// How selectable fields are read from an object of a storage. Given by the registry, so that the store knows no kinds.
pub type Index = Box<dyn Fn(&'static str, &Value) -> Vec<(&'static str, String)> + Send + Sync>;

/// The place of an object within its storage. Objects without a namespace have an empty one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl Key {
    /// The key of `name` in `namespace`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// One version of an object: never changed, shared by the state, the ring and every answer.
#[derive(Debug)]
pub struct Object {
    /// Where it is.
    pub key: Key,
    /// The revision that wrote it; for a dry run, of the version it is based on (0 for none).
    pub revision: Revision,
    /// The whole object as JSON, `metadata.resourceVersion` included.
    pub json: Bytes,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// Selectable fields besides name and namespace, under every name that one of its views uses.
    pub fields: Vec<(&'static str, String)>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
}

impl Object {
    /// Encodes `value` as the version of `revision`; 0 leaves the object's resourceVersion as it is.
    fn encode(storage: &'static str, key: Key, mut value: Value, revision: Revision, index: &Index) -> Self {
        if revision != 0
            && let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
        }
        // Maps with string keys always encode; an empty body would be refused by every reader, never misread.
        let json = serde_json::to_vec(&value).unwrap_or_default();
        Self::indexed(storage, key, &value, json.into(), revision, index)
    }

    fn indexed(storage: &'static str, key: Key, value: &Value, json: Bytes, revision: Revision, index: &Index) -> Self {
        let metadata = &value["metadata"];
        let labels = metadata["labels"]
            .as_object()
            .map(|labels| {
                labels.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
            })
            .unwrap_or_default();
        let deleting = !metadata["deletionTimestamp"].is_null();
        Self { key, revision, json, labels, fields: index(storage, value), deleting }
    }

    /// The object decoded. What the store holds was encoded by it, so this gives null only for a damaged file.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or(Value::Null)
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It did not exist before.
    Added,
    /// It existed before.
    Modified,
    /// It is gone; the event's object is its last state under the revision of the deletion.
    Deleted,
}

/// One change, as the ring keeps it.
#[derive(Debug)]
pub struct Event {
    /// What happened.
    pub action: Action,
    /// The new version, or for a deletion the last state with the deletion's revision.
    pub object: Arc<Object>,
    /// The version before, if there was one.
    pub old: Option<Arc<Object>>,
    /// When it was published (on a restart: when it was loaded).
    at: Instant,
    /// Encodings made for watchers, each made once. The key belongs to the registry.
    frames: Mutex<Vec<(u64, Bytes)>>,
}

impl Event {
    fn new(action: Action, object: Arc<Object>, old: Option<Arc<Object>>) -> Self {
        Self { action, object, old, at: Instant::now(), frames: Mutex::default() }
    }

    /// Forgets encodings that every watcher that keeps up has used: a late one makes its own again.
    fn forget_frames(&self) {
        *self.frames.lock() = Vec::new();
    }

    /// The encoding named `key`, made by the first watcher that needs it and shared with the others.
    pub fn frame(&self, key: u64, make: impl FnOnce() -> Bytes) -> Bytes {
        let mut frames = self.frames.lock();
        if let Some((_, frame)) = frames.iter().find(|(known, _)| *known == key) {
            return frame.clone();
        }
        let frame = make();
        frames.push((key, frame.clone()));
        frame
    }
}

/// What a transaction demands of the present version of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is none.
    Absent,
    /// It is the version of this revision.
    Revision(Revision),
    /// It exists and is not being deleted.
    Live,
}

/// One step of a transaction.
#[derive(Debug)]
pub struct Step {
    /// The storage's name.
    pub storage: &'static str,
    /// The object.
    pub key: Key,
    /// What must hold for the whole transaction to happen.
    pub expect: Expect,
    /// What to do.
    pub write: Write,
}

/// What a step does.
#[derive(Debug)]
pub enum Write {
    /// Nothing: the step is a condition.
    Check,
    /// Stores the object; its resourceVersion is set by the writer.
    Put(Value),
    /// Removes the object; the value is its last state, for the DELETED event.
    Delete(Value),
}

/// Why a transaction was not committed. Nothing of it was done.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A step's expectation does not hold. Read again and retry.
    #[error("step {step} on {key}: the object is not as expected")]
    Unexpected {
        /// Index of the step.
        step: usize,
        /// Its object.
        key: Key,
        /// The version that is there.
        current: Option<Arc<Object>>,
    },
    /// The disk refused. Not retryable: the store takes no further write until it is opened again.
    #[error("cannot write to the store's file: {0}; free space or repair the disk, then start again")]
    Disk(String),
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory is not usable.
    #[error("cannot use the data directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file cannot be opened, or its mode cannot be set.
    #[error("cannot open the store's file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the file open.
    #[error("another server uses {path}: stop it or choose another data directory")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is no store or is damaged.
    #[error("cannot read {path}; restore it from a copy, or move it away to begin anew")]
    Content {
        /// The file.
        path: PathBuf,
        /// What redb said.
        source: redb::Error,
    },
    /// A record cannot be read.
    #[error("{path} holds a record that cannot be read ({what}); restore it from a copy")]
    Record {
        /// The file.
        path: PathBuf,
        /// Which one.
        what: String,
    },
    /// The writer thread cannot be started.
    #[error("cannot start the store's writer")]
    Thread(#[source] std::io::Error),
}

impl OpenError {
    /// Why redb does not open the file.
    fn of(path: &Path, source: redb::Error) -> Self {
        let path = path.to_owned();
        match source {
            redb::Error::DatabaseAlreadyOpen => Self::Locked { path },
            source => Self::Content { path, source },
        }
    }
}

/// How much history is kept. Both limits hold at once.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Changes per storage, and in the file's log over all of them five times this.
    pub count: usize,
    /// Age of the oldest change.
    pub age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { count: 10_000, age: Duration::from_secs(600) }
    }
}

/// How to open a store.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Directory of the file; without one everything is gone with the process.
    pub data: Option<PathBuf>,
    /// How much history to keep.
    pub retention: Retention,
}

/// Numbers for the metrics page.
#[derive(Debug, Default)]
pub struct Counters {
    /// Groups committed.
    pub commits: AtomicU64,
    /// Transactions committed; divided by `commits` it is the mean group size.
    pub transactions: AtomicU64,
    /// Transactions refused because an expectation did not hold.
    pub conflicts: AtomicU64,
    /// Watchers ended because the ring had moved past them.
    pub slow_watchers: AtomicU64,
}

/// What readers, cursors and the writer share.
struct Shared {
    shelves: HashMap<&'static str, Shelf>,
    /// Everything up to here is on disk and readable in every storage.
    visible: AtomicU64,
    /// Everything up to here is on disk and about to be readable: ahead of `visible` only while a group is published.
    synced: AtomicU64,
    index: Index,
    counters: Counters,
    failed: AtomicBool,
}

/// The store. Clones are handles to the same one.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    queue: mpsc::Sender<writer::Request>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store and starts its writer thread. Blocks while the file is read.
    pub fn open(options: Options, storages: &[&'static str], index: Index) -> Result<Self, OpenError> {
        let mut shelves: HashMap<_, _> =
            storages.iter().map(|name| (*name, Shelf::new(name, options.retention))).collect();
        let (durable, revision) = match &options.data {
            Some(directory) => {
                let (durable, revision) = durable::Durable::load(directory, options.retention, &mut shelves, &index)?;
                (Some(durable), revision)
            }
            None => {
                let revision = wall_clock_micros();
                for shelf in shelves.values_mut() {
                    shelf.load(Vec::new(), Vec::new(), revision);
                }
                (None, revision)
            }
        };
        let shared = Arc::new(Shared {
            shelves,
            visible: AtomicU64::new(revision),
            synced: AtomicU64::new(revision),
            index,
            counters: Counters::default(),
            failed: AtomicBool::new(false),
        });
        let (queue, requests) = mpsc::channel(1024);
        let writer = Writer::new(shared.clone(), durable, requests, revision);
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        Ok(Self { shared, queue })
    }

    /// Commits all steps or none. Gives the written objects in the order of the Put and Delete steps.
    pub async fn commit(&self, steps: Vec<Step>) -> Result<Vec<Arc<Object>>, CommitError> {
        let (reply, answer) = oneshot::channel();
        let request = writer::Request::Commit { steps, reply };
        self.queue.send(request).await.map_err(|_| CommitError::Closed)?;
        answer.await.map_err(|_| CommitError::Closed)?
    }

    /// Waits until everything sent before is done and the file is closed. Later commits fail.
    pub async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.queue.send(writer::Request::Close { reply }).await.is_ok() {
            // An error means that the writer ended by itself: closed all the same.
            let _ = answer.await;
        }
    }

    /// The revision up to which everything can be read.
    pub fn revision(&self) -> Revision {
        self.shared.visible.load(Ordering::Acquire)
    }

    /// Whether the store has come to `revision`. A storage shows its own changes a moment before the last storage of
    /// the same group does; a client that saw such a revision is made to wait out that moment here.
    pub fn has_reached(&self, revision: Revision) -> bool {
        loop {
            if revision <= self.revision() {
                return true;
            }
            if revision > self.shared.synced.load(Ordering::Acquire) {
                return false;
            }
            std::thread::yield_now();
        }
    }

    /// The present version of an object.
    pub fn get(&self, storage: &'static str, key: &Key) -> Option<Arc<Object>> {
        self.shared.shelves.get(storage)?.get(key)
    }

    /// The objects of a selection, now or at an earlier revision (None if that history is no longer kept).
    pub fn list(&self, storage: &'static str, selection: &Selection<'_>, at: Option<Revision>) -> Option<Page> {
        self.shared.shelves.get(storage)?.list(selection, at, &self.shared.visible)
    }

    /// A cursor over the changes after `from`.
    pub fn watch(&self, storage: &'static str, from: Revision) -> Option<Cursor> {
        self.shared.shelves.contains_key(storage).then(|| Cursor::new(self.shared.clone(), storage, from))
    }

    /// The object that committing `value` would give, for dry runs.
    pub fn preview(&self, storage: &'static str, key: Key, value: Value) -> Object {
        Object::encode(storage, key, value, 0, &self.shared.index)
    }

    /// The names and sizes of all storages.
    pub fn sizes(&self) -> Vec<(&'static str, usize)> {
        let mut sizes: Vec<_> = self.shared.shelves.iter().map(|(name, shelf)| (*name, shelf.len())).collect();
        sizes.sort_unstable();
        sizes
    }

    /// Numbers for the metrics page.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Whether the disk refused a write; no further one is accepted then.
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }

    /// Drops history that is too old also where nothing is written. Called about once a minute.
    pub fn trim(&self) {
        for shelf in self.shared.shelves.values() {
            shelf.trim();
        }
    }
}

/// Where the revisions of a store without a file begin: later than any that an earlier process gave out.
fn wall_clock_micros() -> Revision {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| u64::try_from(elapsed.as_micros()).ok())
        .unwrap_or(1)
}
