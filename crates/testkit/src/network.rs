//! `portolan up` as a process.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::Kubectl;

const BOOT: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(45);

/// A running network. Dropping it kills it; [`Network::stop`] asks politely.
pub struct Network {
    child: Child,
    /// Kubeconfig of the administrator.
    pub kubeconfig: PathBuf,
    home: TempDir,
    output: Arc<Mutex<Vec<String>>>,
    reading: Arc<AtomicBool>,
    started: Instant,
}

impl Network {
    /// Starts `program up` on a free port and waits until it says that it is up. With no `--data` among the
    /// arguments nothing is kept.
    pub fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        let home = TempDir::new()?;
        let kubeconfig = home.path().join("kubeconfig");
        let mut command = Command::new(program);
        command.args(["up", "--listen", "127.0.0.1:0", "--kubeconfig-out"]).arg(&kubeconfig);
        // A killed network cannot remove its temporary directory; ours is removed with the test's.
        command.env("TMPDIR", home.path());
        if !arguments.contains(&"--data") {
            command.arg("--ephemeral");
        }
        let started = Instant::now();
        let mut child =
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start up")?;
        let output = Arc::new(Mutex::new(Vec::new()));
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        let (lines, reading) = (output.clone(), Arc::new(AtomicBool::new(true)));
        let go_on = reading.clone();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                if !go_on.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let mut network = Self { child, kubeconfig, home, output, reading, started };
        network.await_boot()?;
        Ok(network)
    }

    fn await_boot(&mut self) -> Result<()> {
        while !self.lines().iter().any(|line| line.starts_with("try ")) {
            if let Some(status) = self.child.try_wait()? {
                bail!("portolan up ended at once: {status}; it said: {:?}", self.lines());
            }
            if self.started.elapsed() > BOOT {
                bail!("portolan up did not come up in {} s; it said: {:?}", BOOT.as_secs(), self.lines());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// What it printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes its standard output after the next line, as `head` does.
    pub fn stop_reading(&self) {
        self.reading.store(false, Ordering::Relaxed);
    }

    /// The process on the host's side.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// A directory of the test's own, removed with the network.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// `kubectl` connected to this network.
    pub fn connect(&self, kubectl: &Kubectl) -> Kubectl {
        kubectl.connect(&self.kubeconfig, self.home.path())
    }

    /// The loopback address of the host behind which a Service's entrance lies: `inside` such as `203.0.113.0:80/TCP`,
    /// by the lines that `up` prints.
    pub fn forwards(&self, service: &str) -> BTreeMap<String, String> {
        let of = |line: &String| {
            let mut words = line.strip_prefix("forward ")?.split_whitespace();
            let (key, inside, on, outside) = (words.next()?, words.next()?, words.next()?, words.next()?);
            (key == service && on == "on").then(|| (inside.to_owned(), outside.to_owned()))
        };
        self.lines().iter().filter_map(of).collect()
    }

    /// The same by the file that `up` keeps, for a network whose output nobody reads. Only for networks without `--data`.
    pub fn listed_forwards(&self, service: &str) -> BTreeMap<String, String> {
        let folders = std::fs::read_dir(self.home.path()).into_iter().flatten().flatten();
        let lists = folders.filter_map(|folder| std::fs::read_to_string(folder.path().join("forwards")).ok());
        let of = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            let (key, inside, outside) = (words.next()?, words.next()?, words.next()?);
            (key == service).then_some((inside, outside))
        };
        lists.flat_map(|list| list.lines().filter_map(of).collect::<Vec<_>>()).collect()
    }

    /// Stops it as Ctrl-C does, and returns once it has ended.
    pub fn stop(mut self) -> Result<()> {
        self.signal(Signal::SIGINT)?;
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("portolan up ended with {status}");
                }
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("portolan up did not stop in {} s", STOP.as_secs())
    }

    /// Ends it without any warning.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Already ended after `stop` or `kill`; the errors of doing it twice mean just that.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
