//! A network of the laboratory's own: `portolan up` as a child, killed with the last handle.
//!
//! Nothing is left behind: everything it writes is below one temporary directory.

mod tamper;

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::scenario::StoreEdit;

const BOOT: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(45);

/// A running network.
#[derive(Debug)]
pub struct Network {
    child: Child,
    home: TempDir,
    program: PathBuf,
    keeps: bool,
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// No temporary directory.
    #[error("cannot make a temporary directory; set TMPDIR")]
    Home(#[source] io::Error),
    /// The program does not start.
    #[error("cannot start {} up", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended at once.
    #[error("portolan up ended before it was up; it said: {0}")]
    Ended(String),
    /// It does not come up.
    #[error("portolan up did not come up in {} s; it said: {said}", BOOT.as_secs())]
    Late {
        /// Its output.
        said: String,
    },
    /// It does not stop.
    #[error("portolan up did not stop in {} s", STOP.as_secs())]
    Stop(#[source] io::Error),
    /// Its store cannot be changed.
    #[error("cannot change the store: {0}")]
    Store(String),
    /// A pod has no such logs on any node.
    #[error("no node keeps logs of {0}")]
    Logs(String),
}

// === impl Network ===

impl Network {
    /// Starts `program up` on a free port. With `keeps`, its objects outlive a [`Network::restart`].
    ///
    /// # Errors
    /// If it cannot be started or does not come up.
    pub async fn start(program: &Path, arguments: &[String], keeps: bool) -> Result<Self, NetworkError> {
        let home = TempDir::with_prefix("portolan-lab-").map_err(NetworkError::Home)?;
        let child = boot(program, arguments, home.path(), keeps).await?;
        Ok(Self { child, home, program: program.to_owned(), keeps })
    }

    /// Kubeconfig of its administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// Stops it, changes what it has stored, and starts it again.
    ///
    /// # Errors
    /// If any of that cannot be done.
    pub async fn restart(&mut self, arguments: &[String], edits: &[StoreEdit]) -> Result<(), NetworkError> {
        self.stop().await?;
        tamper::store(&self.data(), edits).map_err(NetworkError::Store)?;
        self.child = boot(&self.program, arguments, self.home.path(), self.keeps).await?;
        Ok(())
    }

    /// Puts a file in the place of a directory of logs, or takes it away again.
    ///
    /// # Errors
    /// If no node has logs of the container.
    pub fn break_logs(&self, pod: &str, container: &str, broken: bool) -> Result<(), NetworkError> {
        let found = tamper::logs(self.home.path(), pod, container)
            .ok_or_else(|| NetworkError::Logs(format!("{pod}, container {container}")))?;
        tamper::break_directory(&found, broken).map_err(|error| NetworkError::Logs(format!("{pod}: {error}")))
    }

    /// Ends it in order. Without this it is killed.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn stop(&mut self) -> Result<(), NetworkError> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "it still runs");
        let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) else { return Ok(()) };
        let asked = kill(Pid::from_raw(pid), Signal::SIGINT);
        asked.map_err(|error| NetworkError::Stop(error.into()))?;
        let ended = tokio::time::timeout(STOP, self.child.wait()).await;
        ended.map_err(|_| NetworkError::Stop(late()))?.map(drop).map_err(NetworkError::Stop)
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }
}

async fn boot(program: &Path, arguments: &[String], home: &Path, keeps: bool) -> Result<Child, NetworkError> {
    let mut command = Command::new(program);
    command.args(["up", "--listen", "127.0.0.1:0", "--kubeconfig-out"]).arg(home.join("kubeconfig"));
    match keeps {
        true => command.arg("--data").arg(home.join("data")),
        false => command.arg("--ephemeral"),
    };
    // What a killed network cannot remove goes with our own directory.
    command.args(arguments).env("TMPDIR", home);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // A laboratory that is killed leaves no network behind. The thread that starts it is the one that waits for it.
    // SAFETY: between fork and exec only one system call is made; it neither allocates nor touches a lock.
    unsafe {
        command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
    }
    let mut child = command.spawn().map_err(|source| NetworkError::Start { program: program.to_owned(), source })?;
    let mut lines = lines(&mut child);
    let deadline = Instant::now() + BOOT;
    let mut said = Vec::new();
    loop {
        match timeout_at(deadline, lines.recv()).await {
            Err(_) => return Err(NetworkError::Late { said: said.join(" | ") }),
            Ok(None) => return Err(NetworkError::Ended(said.join(" | "))),
            Ok(Some(line)) if line.starts_with("try ") => break,
            Ok(Some(line)) => said.push(line),
        }
    }
    // It goes on talking of forwards; nobody may leave its pipe full.
    tokio::spawn(async move { while lines.recv().await.is_some() {} });
    Ok(child)
}

/// What it prints, on either way. Ends when it has ended.
fn lines(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(64);
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(pass_on(BufReader::new(stdout).lines(), sender.clone()));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(pass_on(BufReader::new(stderr).lines(), sender));
    }
    receiver
}

async fn pass_on<R: tokio::io::AsyncBufRead + Unpin>(mut lines: tokio::io::Lines<R>, to: mpsc::Sender<String>) {
    while let Ok(Some(line)) = lines.next_line().await {
        if to.send(line).await.is_err() {
            return;
        }
    }
}
