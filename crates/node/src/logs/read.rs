//! Reading logs back: what `kubectl logs` asks for.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::Hub;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// What to read of a log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Go on with what is written until the container ends.
    pub follow: bool,
    /// The run before the current one.
    pub previous: bool,
    /// Begin each line with its time.
    pub timestamps: bool,
    /// Only so many of the last lines.
    pub tail: Option<usize>,
    /// Only lines from this time on.
    pub since: Option<Timestamp>,
    /// At most so many bytes.
    pub limit: Option<usize>,
}

/// The log files of a container, the newest run last.
fn runs(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|n| n.parse::<u32>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers.into_iter().map(|number| directory.join(format!("{number}.log"))).collect())
}

/// Reads the log of the container whose directory this is. The chunks end when all is told or the receiver is dropped.
///
/// # Errors
/// If there is no log of that run.
pub fn tail(hub: &Hub, directory: &Path, query: Query) -> io::Result<mpsc::Receiver<Bytes>> {
    let mut runs = runs(directory)?;
    if query.previous {
        runs.pop();
    }
    let path = runs.pop().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    // Before reading: what is written in between then wakes us.
    let writes = hub.follow(&path).filter(|_| query.follow && !query.previous);
    let file = File::open(&path)?;
    let mut old = Vec::new();
    if let Ok(mut aside) = File::open(path.with_extension("log.1")) {
        aside.read_to_end(&mut old)?;
    }
    let (sender, receiver) = mpsc::channel(8);
    tokio::spawn(send(Reader { path, file, rest: old }, writes, query, sender));
    Ok(receiver)
}

/// Reads a file that grows and may be put aside.
struct Reader {
    path: PathBuf,
    file: File,
    /// Read, but not yet a whole line.
    rest: Vec<u8>,
}

impl Reader {
    /// All whole lines that are there now.
    fn lines(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let mut chunk = vec![0; CHUNK];
            match self.file.read(&mut chunk)? {
                0 if self.was_put_aside()? => self.file = File::open(&self.path)?,
                0 => break,
                n => self.rest.extend_from_slice(&chunk[..n]),
            }
        }
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.rest.split_off(whole);
        Ok(std::mem::replace(&mut self.rest, rest))
    }

    fn was_put_aside(&mut self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let current = match std::fs::metadata(&self.path) {
            Ok(current) => current,
            Err(_) => return Ok(false),
        };
        let position = self.file.stream_position()?;
        let held = self.file.metadata()?;
        Ok(held.ino() != current.ino() && position >= held.len())
    }
}

async fn send(mut reader: Reader, mut writes: Option<watch::Receiver<u64>>, query: Query, sender: mpsc::Sender<Bytes>) {
    let mut left = query.limit.unwrap_or(usize::MAX);
    let mut first = true;
    loop {
        // Cleared before reading, so that a write during it is not missed.
        let over = writes.as_mut().is_none_or(|writes| {
            writes.borrow_and_update();
            writes.has_changed().is_err()
        });
        let Ok(text) = reader.lines() else { return };
        let tail = query.tail.filter(|_| std::mem::take(&mut first));
        let mut out = select(&text, &query, tail);
        out.truncate(left);
        left -= out.len();
        if !out.is_empty() && sender.send(Bytes::from(out)).await.is_err() {
            return;
        }
        let Some(writes) = writes.as_mut().filter(|_| !over && left > 0) else { return };
        tokio::select! {
            // An error means that the container ended: read once more and stop.
            _ = writes.changed() => {}
            () = sender.closed() => return,
        }
    }
}

/// The texts of the lines that are asked for.
fn select(text: &[u8], query: &Query, tail: Option<usize>) -> Vec<u8> {
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let recent = |line: &&[u8]| query.since.is_none_or(|since| time_of(line).is_none_or(|time| time >= since));
    let lines: Vec<&[u8]> = lines.into_iter().filter(recent).collect();
    let skip = tail.map_or(0, |tail| lines.len().saturating_sub(tail));
    let mut out = Vec::new();
    for line in &lines[skip..] {
        // time, stream, tag, text
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let (time, _, tag, text) = (parts.next(), parts.next(), parts.next(), parts.next());
        let Some(text) = text else { continue };
        if query.timestamps {
            out.extend_from_slice(time.unwrap_or_default());
            out.push(b' ');
        }
        let part = tag == Some(b"P");
        out.extend_from_slice(if part { text.strip_suffix(b"\n").unwrap_or(text) } else { text });
    }
    out
}

fn time_of(line: &[u8]) -> Option<Timestamp> {
    let time = line.split(|byte| *byte == b' ').next()?;
    std::str::from_utf8(time).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LOG: &str = "2026-05-06T07:08:01.000000000Z stdout F one\n2026-05-06T07:08:02.000000000Z stderr P tw\n\
                       2026-05-06T07:08:02.000000000Z stderr F o\n2026-05-06T07:08:03.000000000Z stdout F three\n";

    fn selected(query: Query) -> String {
        let tail = query.tail;
        String::from_utf8(select(LOG.as_bytes(), &query, tail)).unwrap()
    }

    #[test]
    fn lines_are_chosen_by_number_and_time() {
        assert_eq!(selected(Query::default()), "one\ntwo\nthree\n");
        assert_eq!(selected(Query { tail: Some(1), ..Query::default() }), "three\n");
        assert_eq!(selected(Query { tail: Some(0), ..Query::default() }), "");
        let since = Some("2026-05-06T07:08:03Z".parse().unwrap());
        let query = Query { since, timestamps: true, ..Query::default() };
        assert_eq!(selected(query), "2026-05-06T07:08:03.000000000Z three\n");
    }

    #[tokio::test]
    async fn followers_see_what_is_written_until_the_container_ends() {
        let directory = tempfile::tempdir().unwrap();
        let hub = Hub::default();
        let log = hub.create(directory.path(), 0).unwrap();
        log.append(b"2026-05-06T07:08:01Z stdout F one\n").unwrap();
        let query = Query { follow: true, limit: Some(9), ..Query::default() };
        let mut chunks = tail(&hub, directory.path(), query).unwrap();
        assert_eq!(chunks.recv().await.unwrap(), "one\n");
        log.append(b"2026-05-06T07:08:01Z stdout F two\n2026-").unwrap();
        assert_eq!(chunks.recv().await.unwrap(), "two\n");
        log.append(b"05-06T07:08:01Z stdout F three\n").unwrap();
        assert_eq!(chunks.recv().await.unwrap(), "t", "the limit");
        assert_eq!(chunks.recv().await, None);

        let query = Query { follow: true, tail: Some(1), ..Query::default() };
        let mut chunks = tail(&hub, directory.path(), query).unwrap();
        assert_eq!(chunks.recv().await.unwrap(), "three\n");
        drop(log);
        assert_eq!(chunks.recv().await, None);
        let previous = tail(&hub, directory.path(), Query { previous: true, ..Query::default() });
        assert_eq!(previous.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
