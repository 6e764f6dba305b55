//! Where a network keeps what it has: its owner's directory, or a temporary one.

use std::{
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
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

/// A new directory for one run. Give it to [`Temporary`], which removes it.
pub fn temporary() -> Result<PathBuf> {
    let name = format!("portolan-{}-{:x}", std::process::id(), jiff::Timestamp::now().as_nanosecond());
    let path = std::env::temp_dir().join(name);
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&path)
        .with_context(|| format!("cannot create the temporary directory {}; set TMPDIR", path.display()))?;
    Ok(path)
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
