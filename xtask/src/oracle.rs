//! Real Kubernetes on this machine: scripts that build its binaries and run whole clusters of them.
//!
//! Not part of this repository. Found by `--oracle DIR`, by `PORTOLAN_ORACLE`, or beside the repository.

use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long a program gets to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(20);

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

    /// A script, not yet started. What it says goes to our standard error.
    pub fn script(&self, name: &str) -> Command {
        Command::new(self.directory.join(name))
    }

    /// Runs a script to its end.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let status = self.script(name).args(arguments).status().with_context(|| format!("cannot run {name}"))?;
        if !status.success() {
            bail!("{name} {} failed: {status}", arguments.join(" "));
        }
        Ok(())
    }

    /// A program that the scripts have built.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let home = env::var_os("ORACLE_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache/k8s-oracle")));
        let path = home.context("neither ORACLE_HOME nor HOME is set")?.join("bin").join(name);
        if !path.exists() {
            bail!("{} is not built; run the oracle's build script", path.display());
        }
        Ok(path)
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

/// A whole real cluster; it goes when this does.
#[derive(Debug)]
pub struct Cluster<'a> {
    oracle: &'a Oracle,
    directory: PathBuf,
}

impl<'a> Cluster<'a> {
    /// Starts a dual-stack control plane, three nodes in three zones, kube-proxy and DNS. `without` are controllers that
    /// stay off.
    pub fn up(oracle: &'a Oracle, directory: PathBuf, without: &[&str]) -> Result<Self> {
        let cluster = Self { oracle, directory };
        let off: Vec<String> = without.iter().map(|name| format!("-{name}")).collect();
        let controllers = format!("*{}", off.iter().map(|name| format!(",{name}")).collect::<String>());
        let directory = cluster.directory.to_string_lossy();
        let arguments =
            ["up", "--dir", &directory, "--nodes", "3", "--", "--dual-stack", "--kcm-controllers", &controllers];
        oracle.run("cluster", &arguments)?;
        Ok(cluster)
    }

    /// An administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join("admin.kubeconfig")
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.oracle.run("cluster", &["down", "--dir", &self.directory.to_string_lossy()]) {
            eprintln!("xtask: {error:#}");
        }
    }
}

/// A program of ours in the background; asked to end when this goes, and killed if it does not.
#[derive(Debug)]
pub struct Background {
    child: Child,
}

impl Background {
    /// Starts it with its output in a file.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self { child })
    }

    /// Fails if it has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the program under test has ended by itself: {status}"),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let pid = i32::try_from(self.child.id()).map(Pid::from_raw);
        if matches!(self.child.try_wait(), Ok(None))
            && let Ok(pid) = pid
            && kill(pid, Signal::SIGTERM).is_ok()
        {
            while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(50));
            }
        }
        // Nothing to kill if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
