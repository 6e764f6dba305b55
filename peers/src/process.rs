//! One process of ours or of theirs: started with its output in a file, measured through `/proc`, ended by its id.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, SysconfVar, sysconf},
};
use tokio::process::{Child, Command};

/// A child whose output goes to a file; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
}

impl Process {
    /// Starts a program; its output, both streams, goes to `log`.
    pub fn start(program: &Path, arguments: &[String], log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("cannot share the log")?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let pid = child.id().context("the program ended at once")?;
        Ok(Self { child, pid })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Fails if the process has ended by itself.
    pub fn check(&mut self, name: &str, log: &Path) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("cannot ask for the process")? {
            let text = fs::read_to_string(log).unwrap_or_default();
            let tail: Vec<&str> = text.lines().rev().take(5).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            anyhow::bail!("{name} ended ({status}): {}", tail.join(" | "));
        }
        Ok(())
    }

    /// Asks it to end and waits; insists after ten seconds.
    pub async fn stop(mut self) {
        let asked = i32::try_from(self.pid).is_ok_and(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM).is_ok());
        if asked && tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await.is_ok() {
            return;
        }
        if let Err(error) = self.child.kill().await {
            tracing::warn!(pid = self.pid, %error, "cannot end the process");
        }
    }
}

/// Ends a process that is not our child and waits until it is gone.
pub async fn end(pid: u32) -> Result<()> {
    let raw = Pid::from_raw(i32::try_from(pid).context("no process id")?);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        if kill(raw, signal).is_err() {
            return Ok(());
        }
        for _ in 0..100 {
            if !alive(pid) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    anyhow::bail!("process {pid} does not end")
}

fn alive(pid: u32) -> bool {
    stat(pid).is_ok_and(|fields| fields.first().is_some_and(|state| state != "Z"))
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Usage {
    /// User and system time, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory now, in MiB.
    pub resident_mib: f64,
    /// The most that was ever resident, in MiB.
    pub peak_mib: f64,
    /// How long ago it was started, in seconds.
    pub age_seconds: f64,
}

/// Reads what a process has used from `/proc`.
pub fn usage(pid: u32) -> Result<Usage> {
    let ticks = sysconf(SysconfVar::CLK_TCK).context("sysconf")?.context("no clock tick")? as f64;
    let fields = stat(pid)?;
    // Counted from the state, which is the third field of proc_pid_stat(5).
    let number = |index: usize| -> Result<f64> {
        fields.get(index - 3).and_then(|text| text.parse().ok()).with_context(|| format!("field {index} of stat"))
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("no such process")?;
    let kib = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    let uptime = fs::read_to_string("/proc/uptime").context("no uptime")?;
    let uptime: f64 = uptime.split_whitespace().next().unwrap_or_default().parse().context("no uptime")?;
    Ok(Usage {
        cpu_seconds: (number(14)? + number(15)?) / ticks,
        resident_mib: kib("VmRSS:") / 1024.0,
        peak_mib: kib("VmHWM:") / 1024.0,
        age_seconds: uptime - number(22)? / ticks,
    })
}

/// The fields of `/proc/PID/stat` behind the command's name, which may contain anything.
fn stat(pid: u32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).context("no such process")?;
    let (_, rest) = text.rsplit_once(')').context("odd stat")?;
    let fields: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
    ensure!(fields.len() > 20, "odd stat");
    Ok(fields)
}
