//! The store's file: redb with three tables, one transaction with one fsync per group.
//!
//! - `state`: `storage NUL namespace NUL name` -> the object as encoded JSON
//! - `log`: revision -> one change, with the version before it, so that watches can resume after a restart
//! - `meta`: `revision`, the last one given out, and `compacted`, up to which the log was trimmed
//!
//! The log is trimmed a little with every group, never all at once, so that no write waits for a long one.

use std::{
    collections::HashMap,
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, backends::FileBackend};

use super::{Action, Event, Index, Key, Object, OpenError, Retention, Revision, shelf::Shelf, writer::Change};

const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const REVISION: &str = "revision";
const COMPACTED: &str = "compacted";

/// The log holds the changes of all storages: so many times the limit of one.
const LOG_FACTOR: usize = 5;
/// Most records trimmed with one group.
const TRIM: usize = 512;
/// redb's page cache. Objects are read from memory, so it serves writes only.
const CACHE_BYTES: usize = 16 << 20;

pub(super) struct Durable {
    database: Database,
    retention: Retention,
}

impl Durable {
    /// Opens or creates the file and fills the shelves. Gives the last revision.
    pub(super) fn load(
        directory: &Path,
        retention: Retention,
        shelves: &mut HashMap<&'static str, Shelf>,
        index: &Index,
    ) -> Result<(Self, Revision), OpenError> {
        make_private(directory).map_err(|source| OpenError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join("store.redb");
        let file = open_private(&path).map_err(|source| OpenError::File { path: path.clone(), source })?;
        let database = open(file).map_err(|source| OpenError::of(&path, source))?;
        let loaded = read(&database).map_err(|source| OpenError::of(&path, source))?;
        fill(loaded, shelves, index, &path).map(|revision| (Self { database, retention }, revision))
    }

    /// Writes one group and syncs. On success it is safe from any crash; on failure nothing of it is there.
    pub(super) fn append(&mut self, changes: &[Change], revision: Revision) -> Result<(), redb::Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let now = now_millis();
        let transaction = self.database.begin_write()?;
        {
            let mut state = transaction.open_table(STATE)?;
            let mut log = transaction.open_table(LOG)?;
            let mut meta = transaction.open_table(META)?;
            for change in changes {
                let place = place(change.storage, &change.object.key);
                match change.action {
                    Action::Deleted => state.remove(place.as_str())?,
                    Action::Added | Action::Modified => state.insert(place.as_str(), &*change.object.json)?,
                };
                log.insert(change.object.revision, encode(change, now).as_slice())?;
            }
            meta.insert(REVISION, revision)?;
            if let Some(compacted) = self.trim(&mut log, now)? {
                meta.insert(COMPACTED, compacted)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn trim(&self, log: &mut redb::Table<'_, u64, &'static [u8]>, now: u64) -> Result<Option<Revision>, redb::Error> {
        let keep = (self.retention.count * LOG_FACTOR) as u64;
        let cutoff = now.saturating_sub(millis(self.retention.age));
        let mut compacted = None;
        for _ in 0..TRIM {
            let Some((revision, old)) =
                log.first()?.map(|(revision, record)| (revision.value(), written_at(record.value()) < cutoff))
            else {
                break;
            };
            if !old && log.len()? <= keep {
                break;
            }
            log.remove(revision)?;
            compacted = Some(revision);
        }
        Ok(compacted)
    }
}

/// What the file holds, still encoded.
struct Loaded {
    state: Vec<(String, Vec<u8>)>,
    log: Vec<(Revision, Vec<u8>)>,
    revision: Revision,
    compacted: Revision,
}

/// Makes the directory, if it is missing, for its owner alone. One that exists is the user's: it stays as it is.
fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Opens or creates the file. It holds Secrets, so nobody but its owner reads it; one that is open to others is closed
/// to them.
fn open_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(mode & 0o700))?;
        tracing::warn!(path = %path.display(), was = format!("{:o}", mode & 0o777), "the store was open to other users");
    }
    Ok(file)
}

fn open(file: File) -> Result<Database, redb::Error> {
    let backend = FileBackend::new(file)?;
    let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend)?;
    let transaction = database.begin_write()?;
    transaction.open_table(STATE)?;
    transaction.open_table(LOG)?;
    transaction.open_table(META)?;
    transaction.commit()?;
    Ok(database)
}

fn read(database: &Database) -> Result<Loaded, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let number = |name| Ok::<_, redb::Error>(meta.get(name)?.map_or(0, |value| value.value()));
    let (revision, compacted) = (number(REVISION)?.max(1), number(COMPACTED)?);
    let mut state = Vec::new();
    for entry in transaction.open_table(STATE)?.iter()? {
        let (place, json) = entry?;
        state.push((place.value().to_owned(), json.value().to_vec()));
    }
    let mut log = Vec::new();
    for entry in transaction.open_table(LOG)?.iter()? {
        let (revision, record) = entry?;
        log.push((revision.value(), record.value().to_vec()));
    }
    Ok(Loaded { state, log, revision, compacted })
}

/// Decodes what was loaded into the shelves. Storages that this version does not know stay in the file untouched.
fn fill(
    loaded: Loaded,
    shelves: &mut HashMap<&'static str, Shelf>,
    index: &Index,
    path: &Path,
) -> Result<Revision, OpenError> {
    let bad = |what: String| OpenError::Record { path: PathBuf::from(path), what };
    let mut objects: HashMap<&'static str, Vec<Object>> = HashMap::new();
    for (place, json) in loaded.state {
        let mut parts = place.splitn(3, '\0');
        let (Some(storage), Some(namespace), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad(format!("state {place:?}")));
        };
        let Some(shelf) = shelves.get(storage) else { continue };
        let object = decode_object(shelf.name, Key::new(namespace, name), json, index)
            .ok_or_else(|| bad(format!("state {place:?}")))?;
        objects.entry(shelf.name).or_default().push(object);
    }
    let mut tails: HashMap<&'static str, Vec<Event>> = HashMap::new();
    for (revision, record) in loaded.log {
        let record = decode(&record).ok_or_else(|| bad(format!("log {revision}")))?;
        let Some(shelf) = shelves.get(record.storage.as_str()) else { continue };
        let version = |json: Vec<u8>| {
            decode_object(shelf.name, record.key.clone(), json, index)
                .map(std::sync::Arc::new)
                .ok_or_else(|| bad(format!("log {revision}")))
        };
        let old = if record.old.is_empty() { None } else { Some(version(record.old)?) };
        tails.entry(shelf.name).or_default().push(Event::new(record.action, version(record.object)?, old));
    }
    for (storage, shelf) in shelves.iter_mut() {
        let objects = objects.remove(storage).unwrap_or_default();
        shelf.load(objects, tails.remove(storage).unwrap_or_default(), loaded.compacted);
    }
    Ok(loaded.revision)
}

fn decode_object(storage: &'static str, key: Key, json: Vec<u8>, index: &Index) -> Option<Object> {
    let value: serde_json::Value = serde_json::from_slice(&json).ok()?;
    let revision = value["metadata"]["resourceVersion"].as_str()?.parse().ok()?;
    Some(Object::indexed(storage, key, &value, json.into(), revision, index))
}

fn place(storage: &str, key: &Key) -> String {
    format!("{storage}\0{}\0{}", key.namespace, key.name)
}

/// One record of the log: time (8 bytes), action (1), then storage, namespace, name, object and old version, each with
/// its length in 4 bytes before it. All numbers are little endian.
fn encode(change: &Change, now: u64) -> Vec<u8> {
    let old: &[u8] = change.old.as_ref().map_or(&[], |old| &old.json);
    let key = &change.object.key;
    let mut record = Vec::with_capacity(64 + change.object.json.len() + old.len());
    record.extend(now.to_le_bytes());
    record.push(match change.action {
        Action::Added => 0,
        Action::Modified => 1,
        Action::Deleted => 2,
    });
    for part in [change.storage.as_bytes(), key.namespace.as_bytes(), key.name.as_bytes(), &change.object.json, old] {
        // Bodies are limited to a few MiB, far below 4 GiB.
        record.extend((part.len() as u32).to_le_bytes());
        record.extend(part);
    }
    record
}

struct Record {
    action: Action,
    storage: String,
    key: Key,
    object: Vec<u8>,
    old: Vec<u8>,
}

fn decode(record: &[u8]) -> Option<Record> {
    let action = match record.get(8)? {
        0 => Action::Added,
        1 => Action::Modified,
        2 => Action::Deleted,
        _ => return None,
    };
    let mut rest = record.get(9..)?;
    let mut part = || {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let (part, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = tail;
        Some(part.to_vec())
    };
    let mut text = || String::from_utf8(part()?).ok();
    let (storage, namespace, name) = (text()?, text()?, text()?);
    Some(Record { action, storage, key: Key { namespace, name }, object: part()?, old: part()? })
}

fn written_at(record: &[u8]) -> u64 {
    record.first_chunk::<8>().map_or(0, |time| u64::from_le_bytes(*time))
}

fn now_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
