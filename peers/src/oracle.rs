//! Real Kubernetes as a neighbour: etcd, kube-apiserver and kube-controller-manager through the oracle's
//! `control-plane` script. Every control plane has a directory of its own and is taken down when it is dropped.

use std::{
    path::{Path, PathBuf},
    process::{Command as Blocking, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{process::Command, time::timeout};

/// The switch of kube-controller-manager for each controller that has a counterpart here, and of the garbage collector.
pub mod controller {
    /// Writes Endpoints.
    pub const ENDPOINTS: &str = "endpoints-controller";
    /// Writes EndpointSlices for Services with a selector.
    pub const SLICES: &str = "endpointslice-controller";
    /// Writes EndpointSlices for custom Endpoints.
    pub const MIRRORING: &str = "endpointslice-mirroring-controller";
    /// Keeps the state and the finalizer of ServiceCIDRs.
    pub const SERVICE_CIDR: &str = "service-cidr-controller";
    /// Deletes what a deleted object owned. Nobody replaces it.
    pub const GARBAGE: &str = "garbage-collector-controller";
}

/// How long a control plane may take to come up. Without load it takes two seconds.
const START: Duration = Duration::from_secs(120);

/// What a control plane is to be made of.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The controllers of kube-controller-manager that run; it is not started if there are none.
    pub controllers: Vec<&'static str>,
    /// More flags of kube-controller-manager.
    pub controller_flags: Vec<String>,
    /// More flags of kube-apiserver.
    pub server_flags: Vec<String>,
}

/// One running etcd and kube-apiserver, with or without controllers.
#[derive(Debug)]
pub struct ControlPlane {
    script: PathBuf,
    dir: PathBuf,
    running: bool,
}

impl ControlPlane {
    /// Starts a control plane in `dir` and waits until it answers.
    pub async fn up(oracle: &Path, dir: PathBuf, options: &Options) -> Result<Self> {
        let script = oracle.join("control-plane");
        ensure!(script.is_file(), "no oracle in {}: its `control-plane` script is missing", oracle.display());
        let mut plane = Self { script, dir, running: true };
        if let Err(error) = plane.add(options).await {
            plane.down();
            return Err(error);
        }
        Ok(plane)
    }

    /// Starts what `options` asks for and this control plane does not have yet.
    pub async fn add(&mut self, options: &Options) -> Result<()> {
        let mut command = Command::new(&self.script);
        command.arg("up").arg("--dir").arg(&self.dir).arg("--dual-stack");
        for flag in &options.server_flags {
            command.arg("--apiserver-arg").arg(flag);
        }
        if !options.controllers.is_empty() {
            command.args(["--with", "kcm", "--kcm-controllers"]).arg(options.controllers.join(","));
        }
        for flag in &options.controller_flags {
            command.arg("--kcm-arg").arg(flag);
        }
        let output = timeout(START, command.stdin(Stdio::null()).kill_on_drop(true).output())
            .await
            .context("the control plane did not come up in time")?
            .with_context(|| format!("cannot run {}", self.script.display()))?;
        if !output.status.success() {
            bail!("the control plane did not come up: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }

    /// The process that the script started under this name.
    pub fn pid(&self, name: &str) -> Result<u32> {
        let file = self.dir.join("pid").join(name);
        let text = std::fs::read_to_string(&file).with_context(|| format!("no process {name}: {}", file.display()))?;
        let first = text.split_whitespace().next().unwrap_or_default();
        first.parse().with_context(|| format!("{} names no process", file.display()))
    }

    /// Ends every process but keeps the directory, so that a copy of it can be started.
    pub fn stop(&mut self) {
        self.script_down(&[]);
    }

    /// Ends every process of this control plane and removes its directory.
    pub fn down(&mut self) {
        self.script_down(&["--purge"]);
    }

    fn script_down(&mut self, flags: &[&str]) {
        if !std::mem::take(&mut self.running) {
            return;
        }
        let mut command = Blocking::new(&self.script);
        command.arg("down").arg("--dir").arg(&self.dir).args(flags).stdin(Stdio::null()).stdout(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(status) => {
                tracing::warn!(dir = %self.dir.display(), %status, "the control plane did not go down cleanly")
            }
            Err(error) => tracing::warn!(dir = %self.dir.display(), %error, "cannot take the control plane down"),
        }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.down();
    }
}
