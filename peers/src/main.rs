//! Portolan beside real Kubernetes: both get the same work, and what comes out is compared. Run by `cargo xtask peers`.

mod bench;
mod canonical;
mod compare;
mod conformance;
mod deliberate;
mod differential;
mod events;
mod generate;
mod mirror;
mod oracle;
mod process;
mod request;
mod side;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use side::Places;

/// Portolan beside real Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "portolan-peers", args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// One sequence of changes into two clusters; what comes out has to be equal.
    Differential {
        #[command(flatten)]
        places: PlaceArguments,
        #[command(flatten)]
        options: differential::Options,
    },
    /// The same provocations of upstream's controllers and of ours; both have to say the same events.
    Events {
        #[command(flatten)]
        places: PlaceArguments,
        #[command(flatten)]
        options: events::Options,
    },
    /// The controllers against kube-controller-manager's on the same kind of API server.
    Bench {
        #[command(flatten)]
        places: PlaceArguments,
        #[command(flatten)]
        options: bench::Options,
    },
    /// Upstream's sig-network tests on a real cluster with parts of Portolan in it. Needs root.
    Conformance {
        #[command(flatten)]
        places: PlaceArguments,
        #[command(flatten)]
        options: conformance::Options,
    },
    /// Prints docs/differences.md.
    Differences,
}

#[derive(Debug, Args)]
struct PlaceArguments {
    /// The portolan to test.
    #[arg(long)]
    portolan: Option<PathBuf>,
    /// The directory with the oracle's scripts.
    #[arg(long, env = "PORTOLAN_ORACLE")]
    oracle: PathBuf,
    /// Where results and logs go.
    #[arg(long)]
    out: PathBuf,
    /// Where control planes keep their state while they run [default: a directory of the process in the system's for
    /// temporary files].
    #[arg(long)]
    state: Option<PathBuf>,
}

impl PlaceArguments {
    fn resolve(self) -> Result<Places> {
        let beside = || Some(std::env::current_exe().ok()?.parent()?.join("portolan"));
        let portolan = self.portolan.or_else(beside).context("no portolan")?;
        let state =
            self.state.unwrap_or_else(|| std::env::temp_dir().join(format!("oracle-peers-{}", std::process::id())));
        for dir in [&self.out, &state] {
            std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        Ok(Places { portolan, oracle: self.oracle, out: self.out, state })
    }
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("portolan-peers: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<bool> {
    match cli.task {
        Task::Differences => {
            print!("{}", deliberate::document());
            Ok(true)
        }
        Task::Differential { places, options } => at(places, async |places| differential::run(&options, places).await),
        Task::Events { places, options } => at(places, async |places| events::run(&options, places).await),
        Task::Bench { places, options } => at(places, async |places| bench::run(&options, places).await),
        Task::Conformance { places, options } => at(places, async |places| conformance::run(&options, places).await),
    }
}

/// Runs the work and leaves nothing behind but its results.
fn at(places: PlaceArguments, work: impl AsyncFnOnce(&Places) -> Result<bool>) -> Result<bool> {
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    let places = places.resolve()?;
    let result = runtime.block_on(interruptible(work(&places)));
    clean(&places);
    result
}

/// Ends early, and cleanly, when the user asks for it.
async fn interruptible(work: impl Future<Output = Result<bool>>) -> Result<bool> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).context("signals")?;
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("interrupted"),
    }
}

/// Removes the state directory; every control plane has removed its own before.
fn clean(places: &Places) {
    if let Err(error) = std::fs::remove_dir_all(&places.state) {
        tracing::warn!(dir = %places.state.display(), %error, "cannot remove the state");
    }
}
