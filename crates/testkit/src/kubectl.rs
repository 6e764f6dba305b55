//! The real kubectl, in the versions that `cargo xtask clients` fetched.

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// No single command of a test takes longer; kubectl itself might wait for ever.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One kubectl, and the cluster it talks to.
#[derive(Debug, Clone)]
pub struct Kubectl {
    /// Such as `1.36`.
    pub version: String,
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
}

/// What a command gave.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Kubectl {
    /// Every version in target/clients, oldest first; not yet connected.
    pub fn fetched() -> Vec<Self> {
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
        let Ok(folders) = std::fs::read_dir(target.join("clients")) else { return Vec::new() };
        let mut found: Vec<_> = folders
            .filter_map(|folder| {
                let path = folder.ok()?.path();
                let version = path.file_name()?.to_str()?.strip_prefix("kubectl-")?.to_owned();
                let program = path.join("kubectl").canonicalize().ok()?;
                Some(Self { version, program, kubeconfig: PathBuf::new(), home: PathBuf::new() })
            })
            .collect();
        found.sort_by(|a, b| a.version.cmp(&b.version));
        found
    }

    /// The same kubectl, talking to the cluster of `kubeconfig`; caches go to `home`.
    #[must_use]
    pub fn connect(&self, kubeconfig: &Path, home: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), home: home.to_owned(), ..self.clone() }
    }

    /// The command, ready to be given more environment or to be spawned.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .env("KUBECACHEDIR", self.home.join(format!("cache-{}", self.version)));
        command
    }

    /// Runs it with `stdin`; any exit code is fine.
    pub fn run(&self, arguments: &[&str], stdin: &str) -> Result<Output> {
        run(self.command(arguments), stdin).with_context(|| format!("kubectl {}", arguments.join(" ")))
    }

    /// Runs it and insists on exit code 0; gives standard output.
    pub fn ok(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments, "")?;
        if output.code != 0 {
            bail!("kubectl {} {}: exit {}: {}", self.version, arguments.join(" "), output.code, output.stderr);
        }
        Ok(output.stdout)
    }
}

fn run(mut command: Command, stdin: &str) -> Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("no stdin")?;
    let text = stdin.to_owned();
    // A program that does not read its input closes the pipe: not our failure.
    let writer = thread::spawn(move || drop(input.write_all(text.as_bytes())));
    let stdout = read(child.stdout.take().context("no stdout")?);
    let stderr = read(child.stderr.take().context("no stderr")?);
    let deadline = Instant::now() + TIMEOUT;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("took longer than {} s", TIMEOUT.as_secs());
        }
        thread::sleep(Duration::from_millis(5));
    };
    let join = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    drop(writer.join());
    Ok(Output { code: status.code().unwrap_or(-1), stdout: join(stdout), stderr: join(stderr) })
}

fn read(mut from: impl std::io::Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        drop(from.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
