//! Snapshots in files: JSON, compressed if the name ends with `.gz`. Both are told apart by their first bytes.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    num::NonZero,
    thread,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{FORMAT, Snapshot, slim::Slim};

/// How a gzip stream begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file that is no snapshot for this version.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError {
    /// It could not be uncompressed.
    #[error("the compressed snapshot is damaged")]
    Compressed(#[source] std::io::Error),
    /// It is not JSON, or not that of a snapshot.
    #[error("not a snapshot; `portolan snapshot` writes one")]
    Json(#[source] serde_json::Error),
    /// A newer version wrote it.
    #[error("the snapshot has format {found}, this version reads up to {FORMAT}: use a newer portolan")]
    Newer {
        /// Its format.
        found: u32,
    },
}

/// Reads a stored snapshot.
///
/// # Errors
/// See [`StoredError`].
pub fn read(bytes: &[u8]) -> Result<Snapshot, StoredError> {
    if bytes.starts_with(&GZIP) {
        let mut text = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut text).map_err(StoredError::Compressed)?;
        return parse(&text);
    }
    parse(bytes)
}

/// The long lists are parsed by all processors. Snapshots of other versions may hold more than this one keeps, so objects are
/// slimmed as if they came from the API.
fn parse(text: &[u8]) -> Result<Snapshot, StoredError> {
    let mut fields: BTreeMap<&str, &RawValue> = serde_json::from_slice(text).map_err(StoredError::Json)?;
    let format = fields.get("format").map(|format| serde_json::from_str(format.get()));
    match format.transpose().map_err(StoredError::Json)? {
        Some(found) if found > FORMAT => return Err(StoredError::Newer { found }),
        _ => {}
    }
    let (pods, slices, services) = (fields.remove("pods"), fields.remove("slices"), fields.remove("services"));
    let (events, endpoints) = (fields.remove("events"), fields.remove("endpoints"));
    let rest = serde_json::to_vec(&fields).and_then(|rest| serde_json::from_slice(&rest));
    let mut snapshot: Snapshot = rest.map_err(StoredError::Json)?;
    snapshot.pods = list(pods)?;
    snapshot.slices = list(slices)?;
    snapshot.services = list(services)?;
    snapshot.events = list(events)?;
    snapshot.endpoints = list(endpoints)?;
    Ok(snapshot)
}

fn list<T: DeserializeOwned + Slim + Send>(text: Option<&RawValue>) -> Result<Vec<T>, StoredError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let items: Vec<&RawValue> = serde_json::from_str(text.get()).map_err(StoredError::Json)?;
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let mut all = Vec::with_capacity(items.len());
    // Batch by batch: what the workers have read is moved into place before there is much of it, or it would be there twice.
    for batch in items.chunks(BATCH * workers) {
        thread::scope(|scope| {
            let parts: Vec<_> = batch.chunks(BATCH).map(|items| scope.spawn(move || objects(items))).collect();
            for part in parts {
                // A panic of a worker is a panic of ours.
                let read = part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                all.append(&mut read.map_err(StoredError::Json)?);
            }
            Ok(())
        })?;
    }
    Ok(all)
}

/// So many objects are read by one worker at a time: some milliseconds of work.
const BATCH: usize = 2048;

fn objects<T: DeserializeOwned + Slim>(items: &[&RawValue]) -> serde_json::Result<Vec<T>> {
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        let mut object: T = serde_json::from_str(item.get())?;
        object.slim();
        read.push(object);
    }
    Ok(read)
}

/// Writes a snapshot, compressed on demand.
///
/// # Errors
/// If `out` cannot be written.
pub fn write(snapshot: &Snapshot, compressed: bool, out: impl Write) -> std::io::Result<()> {
    if !compressed {
        serde_json::to_writer(out, snapshot)?;
        return Ok(());
    }
    let mut out = GzEncoder::new(out, Compression::fast());
    serde_json::to_writer(&mut out, snapshot)?;
    out.finish()?.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::tests::fixture::Cluster;

    #[test]
    fn what_is_written_is_read_back_compressed_or_not() {
        let snapshot = Cluster::healthy().event("Service", "web", "Tested", "seen", 60).snapshot();
        for compressed in [false, true] {
            let mut file = Vec::new();
            write(&snapshot, compressed, &mut file).unwrap();
            let mut again = Vec::new();
            write(&read(&file).unwrap(), compressed, &mut again).unwrap();
            assert_eq!(file, again);
        }
    }

    #[test]
    fn other_files_are_refused_with_what_to_do() {
        let newer = br#"{"format": 99, "takenAt": "2026-07-01T12:00:00Z", "scope": "cluster"}"#;
        for (bytes, expected) in [
            (&b"kind: List"[..], "not a snapshot; `portolan snapshot` writes one"),
            (b"{}", "not a snapshot; `portolan snapshot` writes one"),
            (newer, "the snapshot has format 99, this version reads up to 1: use a newer portolan"),
            (b"\x1f\x8bnonsense", "the compressed snapshot is damaged"),
        ] {
            assert_eq!(read(bytes).unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..4000, with in any::<u8>()) {
            let _ = read(&bytes);
            let mut file = Vec::new();
            write(&Cluster::healthy().snapshot(), false, &mut file).unwrap();
            let cut = cut % file.len();
            file[cut] = with;
            let _ = read(&file);
        }
    }
}
