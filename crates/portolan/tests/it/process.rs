//! The program as a process of its own, and `portolan apiserver` as one.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{PORTOLAN, until};

/// A process that ends with the test, and whose temporary files do.
pub struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
    errors: File,
    _home: TempDir,
}

impl Process {
    pub fn start(arguments: &[&str]) -> Self {
        let home = TempDir::new().unwrap();
        let errors = tempfile::tempfile_in(home.path()).unwrap();
        let mut command = Command::new(PORTOLAN);
        // A killed process cannot remove its temporary directory.
        command.args(arguments).env_remove("KUBECONFIG").env("TMPDIR", home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, errors, _home: home }
    }

    /// The next line of its output, which says `word` and then something.
    pub fn line(&mut self, word: &str) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let Some(rest) = line.strip_prefix(word) else { panic!("{line:?}, {}", self.complaint()) };
        rest.trim().to_owned()
    }

    /// All the rest of its output; it has to end for that.
    pub fn rest(&mut self) -> String {
        let mut text = String::new();
        self.out.read_to_string(&mut text).unwrap();
        text
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub fn ended(&mut self, seconds: u64) -> ExitStatus {
        until("the process to end", seconds, || self.child.try_wait().unwrap().ok_or_else(|| "it runs".to_owned()))
    }

    /// With SIGKILL, and no sooner back than it is dead.
    pub fn kill(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }

    /// What it said on standard error; ends it.
    pub fn complaint(&mut self) -> String {
        self.kill();
        let mut text = String::new();
        self.errors.rewind().unwrap();
        self.errors.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `portolan apiserver`, in memory and on a free port.
pub struct ApiServer {
    pub process: Process,
    pub kubeconfig: PathBuf,
    directory: TempDir,
}

impl ApiServer {
    /// Returns when it answers.
    pub fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        let out = format!("--kubeconfig-out={}", kubeconfig.display());
        let mut process = Process::start(&["apiserver", "--ephemeral", "--listen=127.0.0.1:0", &out]);
        process.line("api");
        process.line("kubeconfig");
        Self { process, kubeconfig, directory }
    }

    /// A directory of the test's own.
    pub fn home(&self) -> &Path {
        self.directory.path()
    }

    /// `portolan controllers` for it, alone and without a page of metrics.
    pub fn controllers(&self, options: &[&str]) -> Process {
        let kubeconfig = self.kubeconfig.to_str().unwrap();
        let common = ["controllers", "--kubeconfig", kubeconfig, "--leader-elect=false", "--metrics-bind-address=0"];
        Process::start(&[&common, options].concat())
    }
}
