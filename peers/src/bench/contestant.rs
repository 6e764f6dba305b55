//! Who takes part: kube-controller-manager with its own client rates, the same with rates that do not matter, and Portolan.

use anyhow::{Context, Result};
use serde::Serialize;

use super::Case;
use crate::{
    oracle::{ControlPlane, Options, controller},
    process::{self, Process, Usage},
    side::{Places, controllers_arguments},
};

/// A contestant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Contestant {
    /// `portolan controllers`.
    Portolan,
    /// kube-controller-manager with `--kube-api-qps=5000 --kube-api-burst=10000`.
    KcmRaised,
    /// kube-controller-manager as it comes: 20 requests a second.
    KcmDefault,
}

/// Which controllers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Set {
    /// The EndpointSlice controller alone.
    Slices,
    /// The EndpointSlice and the endpoints controller.
    SlicesAndEndpoints,
}

impl Contestant {
    /// What a table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portolan => "portolan",
            Self::KcmRaised => "kcm, rates raised",
            Self::KcmDefault => "kcm, default rates",
        }
    }
}

impl Set {
    /// What a table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slices => "endpointslice",
            Self::SlicesAndEndpoints => "endpointslice + endpoints",
        }
    }
}

/// A running contestant.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    ours: Option<Process>,
}

impl Running {
    /// Starts the controllers of a contestant on a control plane.
    pub async fn start(case: Case, plane: &mut ControlPlane, places: &Places) -> Result<Self> {
        let Case { contestant, set, batch } = case;
        let batch = format!("{batch}ms");
        let mut flags =
            ["endpoint", "endpointslice"].map(|kind| format!("--{kind}-updates-batch-period={batch}")).to_vec();
        if contestant == Contestant::Portolan {
            let controllers = match set {
                Set::Slices => "endpointslice",
                Set::SlicesAndEndpoints => "endpointslice,endpoints",
            };
            let log = places.out.join("bench-portolan.log");
            let mut arguments = controllers_arguments(&plane.kubeconfig(), controllers);
            arguments.append(&mut flags);
            let process = Process::start(&places.portolan, &arguments, &log)?;
            return Ok(Self { pid: process.pid(), ours: Some(process) });
        }
        let controllers = match set {
            Set::Slices => vec![controller::SLICES],
            Set::SlicesAndEndpoints => vec![controller::SLICES, controller::ENDPOINTS],
        };
        if contestant == Contestant::KcmRaised {
            flags.extend(["--kube-api-qps=5000", "--kube-api-burst=10000"].map(str::to_owned));
        }
        plane.add(&Options { controllers, controller_flags: flags, ..Options::default() }).await?;
        let pid = plane.pid("kube-controller-manager").context("kube-controller-manager did not start")?;
        Ok(Self { pid, ours: None })
    }

    /// What it has used so far.
    pub fn usage(&self) -> Result<Usage> {
        process::usage(self.pid)
    }

    /// Ends it.
    pub async fn stop(self) -> Result<()> {
        match self.ours {
            Some(process) => {
                process.stop().await;
                Ok(())
            }
            None => process::end(self.pid).await,
        }
    }
}
