//! `portolan controllers`: the controllers of the Service network on any cluster, in place of upstream's.
//!
//! The same parts as in `up`, each with a client of its own over the network instead of a shortcut into the API server.

mod parts;
mod select;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use portolan_events::Vocabulary;
use tokio_util::sync::CancellationToken;

use crate::signals::Signals;
use select::{Part, select};

/// Runs the controllers of the Service network on a cluster
///
/// They take the place of kube-controller-manager's controllers of the same names; switch those off there.
///
/// Examples:
///   portolan controllers --kubeconfig admin.conf --leader-elect=false
///   portolan controllers --controllers='*,-endpoints'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// Kubeconfig to use [default: KUBECONFIG, else the service account of the pod].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: the current one].
    #[arg(long)]
    context: Option<String>,
    /// What to run: `*` is the Service network, `foo` adds a controller, `-foo` leaves it out.
    #[arg(long, value_delimiter = ',', default_value = "*", allow_hyphen_values = true, value_name = "LIST")]
    controllers: Vec<String>,
    /// Whose words Events use.
    #[arg(long, value_enum, default_value_t = Words::Full)]
    vocabulary: Words,
    /// Only run while holding a Lease, so that several can stand by.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    leader_elect: bool,
}

/// [`Vocabulary`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Words {
    /// Every reason of the catalogue where it is true.
    Full,
    /// Exactly what Kubernetes itself says.
    Upstream,
}

impl From<Words> for Vocabulary {
    fn from(words: Words) -> Self {
        match words {
            Words::Full => Self::Full,
            Words::Upstream => Self::Upstream,
        }
    }
}

/// Runs until Ctrl-C or SIGTERM.
pub fn run(options: &Options) -> Result<ExitCode> {
    let parts = select(&options.controllers).map_err(|words| anyhow::anyhow!("--controllers: {words}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(live(options, &parts))
}

async fn live(options: &Options, parts: &[Part]) -> Result<ExitCode> {
    let client =
        portolan_runtime::client::connect(options.kubeconfig.as_deref(), options.context.as_deref(), "portolan")
            .await
            .context("cannot connect to a cluster")?;
    let mut signals = Signals::new()?;
    let stop = CancellationToken::new();
    let running = parts::Wiring { client, vocabulary: options.vocabulary.into() }.start(parts, &stop);
    tokio::select! {
        () = signals.next() => {}
        () = stop.cancelled() => {}
    }
    stop.cancel();
    running.ended().await;
    Ok(ExitCode::SUCCESS)
}
