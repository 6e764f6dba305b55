//! `portolan controllers`: the controllers of the Service network on any cluster, in place of upstream's.
//!
//! The same parts as in `up`, with a client over the network instead of a shortcut into the API server. One process of
//! several works, by leader election; each serves metrics and health. The process ends in order on Ctrl-C and SIGTERM
//! (parts, their Events, the Lease) and at once when it has lost the Lease.

mod election;
mod http;
mod memory;
pub mod options;
pub mod parts;
mod process;
pub mod select;
mod settled;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use kube::Client;
use portolan_runtime::Failure;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use options::Options;

use crate::{output, signals::Signals};
use http::{Page, Role};
use parts::{Setup, Site};
use settled::Settled;

/// What the API's log calls this program.
const AGENT: &str = concat!("portolan/", env!("CARGO_PKG_VERSION"), " (controllers)");
/// Blocking tasks that are still under way do not hold up the end.
const LINGER: Duration = Duration::from_millis(200);

/// Runs until Ctrl-C or SIGTERM.
pub fn run(options: &Options) -> Result<ExitCode> {
    let settled = Settled::new(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(live(options, settled));
    runtime.shutdown_timeout(LINGER);
    result
}

async fn live(options: &Options, settled: Settled) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    let client = connect(options).await?;
    let page = Arc::new(Page::new());
    let stop = CancellationToken::new();
    let serving = CancellationToken::new();
    if let Some(address) = options.serving.metrics_bind_address.0 {
        let listener = http::listen(address).await?;
        output::say(format!("metrics    http://{}/metrics", listener.local_addr()?));
        let shown = page.clone();
        let answer = move |path: &str| shown.answer(path);
        tokio::spawn(portolan_runtime::pages::serve(listener, answer, serving.clone()));
    }
    tokio::spawn(memory::give_back(serving.clone()));
    let site = Joined { client, page: page.clone() };
    let setup = settled.setup(options);
    let work = async {
        match options.election.leader_elect {
            true => {
                election::lead(connect(options).await?, options, &page, |told| work(site, setup, told), &stop).await
            }
            false => work(site, setup, stop.clone()).await,
        }
    };
    tokio::pin!(work);
    let result = tokio::select! {
        result = &mut work => result,
        () = signals.next() => {
            info!("stopping");
            stop.cancel();
            tokio::select! {
                result = &mut work => result,
                () = signals.next() => bail!("stopped at once: the next leader has to wait until the lease runs out"),
            }
        }
    };
    serving.cancel();
    result.map(|()| ExitCode::SUCCESS)
}

async fn connect(options: &Options) -> Result<Client> {
    let cluster = &options.cluster;
    portolan_runtime::client::connect(cluster.kubeconfig.as_deref(), cluster.context.as_deref(), AGENT)
        .await
        // kube repeats causes in its own messages; the chain as it is would say them twice.
        .map_err(|error| anyhow::Error::new(Failure::new(&error)).context("cannot connect to a cluster"))
}

/// A real cluster: one identity for all parts, that of the process.
struct Joined {
    client: Client,
    page: Arc<Page>,
}

impl Site for Joined {
    fn client(&self, _: &str) -> Client {
        self.client.clone()
    }

    fn count<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.page.registry.lock())
    }
}

/// What the leader does, from its first list to the last Event.
async fn work(site: Joined, setup: Setup, stop: CancellationToken) -> Result<()> {
    let running = parts::start(&site, &setup, &stop);
    *site.page.role.lock() = Role::Working;
    running.ended().await
}
