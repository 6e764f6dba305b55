//! Logs of containers: written as lines with time and stream, bounded in size, read back and followed.
//!
//! `<root>/pods/<namespace>_<pod>_<uid>/<container>/<restart>.log`, each line
//! `2026-05-06T07:08:09.123456789Z stdout F text`: the format of the container runtimes (CRI), so that usual tools read
//! it. A file that grows beyond [`MAX_BYTES`] becomes `<restart>.log.1`, and only the last two runs are kept.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use tokio::{io::AsyncReadExt, net::unix::pipe, sync::watch};

mod read;

pub use read::{Query, tail};

/// Size at which a log file is put aside.
const MAX_BYTES: u64 = 10 << 20;
/// Longest line that is kept in one piece.
const MAX_LINE: usize = 16 << 10;

/// The running logs of one node: who follows one is woken by each write.
#[derive(Debug, Clone, Default)]
pub struct Hub {
    running: Arc<Mutex<HashMap<PathBuf, watch::Sender<u64>>>>,
}

impl Hub {
    /// A signal that changes with each write to the log, and ends when its container does. `None` if no container
    /// writes to it.
    pub fn follow(&self, path: &Path) -> Option<watch::Receiver<u64>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(path).map(watch::Sender::subscribe)
    }

    /// Opens the log of one run of a container.
    ///
    /// # Errors
    /// If the directory or the file cannot be made.
    pub fn create(&self, directory: &Path, restart: i32) -> io::Result<Log> {
        create_directory(directory)?;
        for old in [restart - 2, restart - 3] {
            for suffix in ["", ".1"] {
                // There is usually no such file.
                drop(fs::remove_file(directory.join(format!("{old}.log{suffix}"))));
            }
        }
        let path = directory.join(format!("{restart}.log"));
        let file = open(&path)?;
        let written = file.metadata()?.len();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(path.clone(), watch::Sender::new(0));
        drop(running);
        Ok(Log { hub: self.clone(), path, open: Mutex::new(Open { file, written }) })
    }
}

/// The log of one running container. Dropping it ends those who follow it.
#[derive(Debug)]
pub struct Log {
    hub: Hub,
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    written: u64,
}

impl Log {
    /// Copies what comes out of `pipe` until it is closed.
    pub async fn copy(&self, mut pipe: pipe::Receiver, stream: &str) {
        let mut buffer = Vec::with_capacity(4096);
        let mut reported = false;
        loop {
            let end = !matches!(pipe.read_buf(&mut buffer).await, Ok(n) if n > 0);
            let text = take_lines(&mut buffer, stream, Timestamp::now(), end);
            if let Err(error) = self.append(text.as_bytes())
                && !std::mem::replace(&mut reported, true)
            {
                tracing::warn!(path = %self.path.display(), %error, "a container's log cannot be written");
            }
            if end {
                return;
            }
        }
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut open_log = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open_log.written > MAX_BYTES {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            *open_log = Open { file: open(&self.path)?, written: 0 };
        }
        open_log.file.write_all(bytes)?;
        open_log.written += bytes.len() as u64;
        drop(open_log);
        let running = self.hub.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writes) = running.get(&self.path) {
            writes.send_modify(|count| *count += 1);
        }
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.hub.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

/// Makes a directory for what only the node and its group may read: what pods print, and what they are given.
pub fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(path)
}

/// Takes the complete lines out of the buffer, and at the `end` or beyond [`MAX_LINE`] the incomplete one too
/// (marked `P`, as a part).
fn take_lines(buffer: &mut Vec<u8>, stream: &str, now: Timestamp, end: bool) -> String {
    let mut text = String::new();
    let mut taken = 0;
    while let Some(length) = buffer[taken..].iter().position(|byte| *byte == b'\n') {
        line(&mut text, now, stream, 'F', &buffer[taken..taken + length]);
        taken += length + 1;
    }
    let rest = buffer.len() - taken;
    if rest > MAX_LINE || end && rest > 0 {
        line(&mut text, now, stream, if end { 'F' } else { 'P' }, &buffer[taken..]);
        taken = buffer.len();
    }
    buffer.drain(..taken);
    text
}

fn line(text: &mut String, now: Timestamp, stream: &str, tag: char, bytes: &[u8]) {
    let bytes = String::from_utf8_lossy(bytes);
    text.push_str(&format!("{now:.9} {stream} {tag} {bytes}\n"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn others_may_not_read_what_pods_print() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("pods/default_web_1/main");
        drop(Hub::default().create(&directory, 0).unwrap());
        let others = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o007;
        for path in [directory.join("0.log"), directory.clone(), home.path().join("pods")] {
            assert_eq!(others(&path), 0, "{}", path.display());
        }
    }

    #[test]
    fn lines_carry_time_stream_and_whether_they_are_whole() {
        let now = "2026-05-06T07:08:09.5Z".parse().unwrap();
        let mut buffer = b"one\ntwo\nthr".to_vec();
        let text = take_lines(&mut buffer, "stdout", now, false);
        assert_eq!(text, "2026-05-06T07:08:09.500000000Z stdout F one\n2026-05-06T07:08:09.500000000Z stdout F two\n");
        assert_eq!(buffer, b"thr");
        assert!(take_lines(&mut buffer, "stderr", now, true).ends_with("Z stderr F thr\n"));
        let mut long = vec![b'x'; MAX_LINE + 1];
        assert!(take_lines(&mut long, "stdout", now, false).contains(" stdout P xxx"));
        assert!(long.is_empty());
    }
}
