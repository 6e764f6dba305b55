//! Snapshots in files: JSON, compressed if the name ends with `.gz`. Both are told apart by their first bytes.

use std::io::{Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use crate::{FORMAT, Snapshot};

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

fn parse(text: &[u8]) -> Result<Snapshot, StoredError> {
    let snapshot: Snapshot = serde_json::from_slice(text).map_err(StoredError::Json)?;
    match snapshot.format {
        found if found > FORMAT => Err(StoredError::Newer { found }),
        _ => Ok(snapshot),
    }
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
