//! The machine and the versions that results belong to.

use std::{fs, process::Command};

use serde::Serialize;

use crate::side::Places;

/// Where something was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The model of the processor.
    pub cpu: String,
    /// How many it has for us.
    pub cores: usize,
    /// Memory, GiB.
    pub memory_gib: u64,
    /// The kernel.
    pub kernel: String,
    /// Ours.
    pub portolan: String,
    /// Theirs.
    pub kubernetes: String,
}

impl Machine {
    /// This machine.
    pub fn this(places: &Places) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let kib: u64 = field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
        let home =
            std::env::var("ORACLE_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.cache/k8s-oracle"));
        let kcm = home.unwrap_or_default() + "/bin/kube-controller-manager";
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (kib + (1 << 19)) >> 20,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            portolan: version(places.portolan.as_os_str()),
            kubernetes: version(kcm.as_ref()),
        }
    }
}

fn version(program: &std::ffi::OsStr) -> String {
    let output = Command::new(program).arg("--version").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
