//! Where a network keeps what it has: its owner's directory, or a temporary one.

use std::{
    fs::File,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;

/// The options that say where.
#[derive(Debug, Args)]
pub struct Place {
    /// Where objects, certificates and logs are kept [default: $XDG_STATE_HOME/portolan or ~/.local/state/portolan].
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    pub data: Option<PathBuf>,
    /// Keep nothing: memory only, and a temporary directory that is removed at the end.
    #[arg(long)]
    pub ephemeral: bool,
}

impl Place {
    /// The directory, made if it has to be. An ephemeral one is the caller's to remove: [`Temporary`].
    pub fn directory(&self) -> Result<PathBuf> {
        match (self.ephemeral, &self.data) {
            (true, _) => make_private(&temporary()?),
            (false, Some(data)) => make_private(data),
            (false, None) => make_private(&default()?),
        }
    }
}

/// The data directory, absolute. Made for its owner alone: it holds keys, Secrets and the logs of pods.
fn make_private(data: &Path) -> Result<PathBuf> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("cannot create the data directory {}; choose another with --data", data.display()))?;
    data.canonicalize().with_context(|| format!("cannot resolve {}", data.display()))
}

/// Where people's programs keep their state: `$XDG_STATE_HOME/portolan` or `~/.local/state/portolan`.
fn default() -> Result<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let base = state.or_else(home).context("neither HOME nor XDG_STATE_HOME is set: say --data DIR or --ephemeral")?;
    Ok(base.join("portolan"))
}

/// What the directory of a run is called before its number.
const PREFIX: &str = "portolan-";
/// The file in it that is locked for as long as the run lasts.
const LOCK: &str = "running";
/// How old a directory is before a run that has ended can have left it: one that is being made has no lock yet.
const LEFT_BEHIND: Duration = Duration::from_secs(60);

/// A new directory for one run. Give it to [`Temporary`], which removes it. Those that killed runs have left go now.
pub fn temporary() -> Result<PathBuf> {
    let base = std::env::temp_dir();
    remove_left_behind(&base, LEFT_BEHIND);
    let name = format!("{PREFIX}{}-{:x}", std::process::id(), jiff::Timestamp::now().as_nanosecond());
    let path = base.join(name);
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&path)
        .with_context(|| format!("cannot create the temporary directory {}; set TMPDIR", path.display()))?;
    if let Ok(lock) = File::create(path.join(LOCK)).and_then(|file| file.lock().map(|()| file)) {
        // Held until this process ends, however it ends; the kernel knows before anybody can look.
        std::mem::forget(lock);
    }
    Ok(path)
}

/// Removes the directories of runs that were killed: their locks are free. What cannot be removed stays.
fn remove_left_behind(base: &Path, age: Duration) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let is_old = || entry.metadata().ok()?.modified().ok()?.elapsed().ok().map(|old| old >= age);
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) || is_old() != Some(true) {
            continue;
        }
        // Only a run makes this file, and not opening it as one's own is how other people's runs are left alone.
        let lock = File::options().write(true).open(entry.path().join(LOCK));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

/// A directory that goes when the network does, however it ends.
pub struct Temporary<'a>(pub &'a Path);

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(self.0) {
            tracing::warn!(directory = %self.0.display(), %error, "cannot remove the temporary directory");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_directory_of_a_killed_run_goes_and_that_of_a_running_one_stays() {
        let base = tempfile::tempdir().unwrap();
        let make = |name: &str, lock: bool| {
            let path = base.path().join(name);
            std::fs::create_dir(&path).unwrap();
            lock.then(|| File::create(path.join(LOCK)).unwrap())
        };
        let running = make("portolan-1-a", true).unwrap();
        running.lock().unwrap();
        let killed = make("portolan-2-b", true);
        make("portolan-3-without-lock", false);
        make("somebody-else", true);
        drop(killed);
        remove_left_behind(base.path(), Duration::from_secs(3600));
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 4, "nothing is old enough");
        remove_left_behind(base.path(), Duration::ZERO);
        let left = std::fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = left.map(|name| name.into_string().unwrap()).collect();
        left.sort_unstable();
        assert_eq!(left, ["portolan-1-a", "portolan-3-without-lock", "somebody-else"]);
    }
}
