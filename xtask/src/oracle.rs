//! Real Kubernetes on this machine: scripts that build its binaries and run whole clusters of them.
//!
//! Not part of this repository. Found by `--oracle DIR`, by `PORTOLAN_ORACLE`, or beside the repository.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// The scripts and what they have built.
#[derive(Debug, Clone)]
pub struct Oracle {
    directory: PathBuf,
}

impl Oracle {
    /// Finds the scripts.
    pub fn find(given: Option<&Path>) -> Result<Self> {
        let named = given.map(Path::to_owned).or_else(|| env::var_os("PORTOLAN_ORACLE").map(PathBuf::from));
        let Some(directory) = named.or_else(beside) else {
            bail!("the scripts that run real Kubernetes are not here; say --oracle DIR or set PORTOLAN_ORACLE")
        };
        if !directory.join("cluster").exists() {
            bail!("{} has no `cluster` script; say --oracle DIR", directory.display());
        }
        Ok(Self { directory: directory.canonicalize()? })
    }

    /// Where the scripts are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs a script to its end.
    pub fn run(&self, name: &str) -> Result<()> {
        let status = Command::new(self.directory.join(name)).status().with_context(|| format!("cannot run {name}"))?;
        if !status.success() {
            bail!("the oracle's script {name} failed: {status}");
        }
        Ok(())
    }
}

/// A directory `oracle` in the repository, beside it, or in a directory beside it.
fn beside() -> Option<PathBuf> {
    let root = crate::root();
    let parent = root.parent()?.to_owned();
    let siblings = parent.read_dir().ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let places = [root, parent.clone()].into_iter().chain(siblings);
    places.map(|place| place.join("oracle")).find(|place| place.join("cluster").exists())
}
