//! `portolan world`: the inside of `up`. One process with every part as a task, in namespaces of its own.

use std::{
    net::TcpListener,
    os::{
        fd::{FromRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use kube::Client;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use portolan_netns::broker::BrokerClient;
use tokio::{io::AsyncReadExt, net::unix::pipe};

use super::{
    Purpose, Settings,
    fabric::Fabric,
    parts::{self, Parts},
};
use crate::{demo, output};

/// What the host's side hands over.
#[derive(Debug, Args)]
pub struct Options {
    /// The API's listener, opened in the host's namespace.
    #[arg(long)]
    listener: RawFd,
    /// The socket to the broker.
    #[arg(long)]
    broker: RawFd,
    /// What for.
    #[arg(long, value_parser = json::<Purpose>)]
    purpose: Purpose,
    /// The settled options of `up`.
    #[arg(long, value_parser = json::<Settings>)]
    settings: Settings,
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// A running world.
pub struct World {
    /// What it was started with.
    pub settings: Settings,
    /// Its network.
    pub fabric: Fabric,
    /// The API's address on the host.
    pub api: std::net::SocketAddr,
    /// When this process began.
    pub started: Instant,
    /// How long it took until the API answered.
    pub api_up: Duration,
    /// Everything that runs.
    pub parts: Parts,
}

impl World {
    /// An administrator's client.
    pub fn admin(&self) -> Client {
        self.parts.admin()
    }
}

/// Boots, does what it is for, and shuts down in order.
pub fn run(options: Options) -> Result<ExitCode> {
    // SAFETY: the host's side passed these two descriptors to this process and nobody else in it knows their numbers.
    let (listener, broker) = unsafe { (OwnedFd::from_raw_fd(options.listener), OwnedFd::from_raw_fd(options.broker)) };
    // They came through an exec; no pod may inherit them in turn.
    for fd in [&listener, &broker] {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).context("cannot keep a descriptor from pods")?;
    }
    let broker = Arc::new(BrokerClient::new(UnixStream::from(broker)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(live(options.settings, options.purpose, listener.into(), broker));
    // Blocking tasks that are still under way must not hold up the end; the process takes them with it.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn live(
    settings: Settings,
    purpose: Purpose,
    listener: TcpListener,
    broker: Arc<BrokerClient>,
) -> Result<ExitCode> {
    let told = told_to_stop()?;
    tokio::pin!(told);
    let world = boot(settings, listener, broker).await?;
    let result = match purpose {
        Purpose::Serve => {
            output::say(summary(&world));
            told.await;
            output::say("stopping   pods get their grace period, a second Ctrl-C ends them at once");
            Ok(ExitCode::SUCCESS)
        }
        Purpose::Demo => tokio::select! {
            result = demo::play(&world) => result,
            () = told => Err(anyhow::anyhow!("the demo was interrupted; everything it made is being removed")),
        },
    };
    world.parts.shut_down().await.context("cannot shut down in order")?;
    result
}

async fn boot(settings: Settings, listener: TcpListener, broker: Arc<BrokerClient>) -> Result<World> {
    let started = Instant::now();
    let api = listener.local_addr()?;
    let for_fabric = settings.clone();
    let fabric = tokio::task::spawn_blocking(move || Fabric::build(&for_fabric));
    let authority = parts::authority(&settings)?;
    let server = parts::open_server(&settings, &authority).await?;
    let fabric = fabric.await.context("the network's builder panicked")??;
    let parts = parts::start(server, &authority, &settings, &fabric, listener, broker).await?;
    let api_up = started.elapsed();
    Ok(World { settings, fabric, api, started, api_up, parts })
}

/// Ends when the host's side closes our standard input: its wish, or its death.
fn told_to_stop() -> Result<impl Future<Output = ()>> {
    let stdin = std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned()?;
    let mut pipe = match pipe::Receiver::from_owned_fd(stdin) {
        Ok(pipe) => pipe,
        Err(error) => bail!("standard input must be the pipe of `portolan up` ({error}); run `portolan up` instead"),
    };
    Ok(async move {
        let mut byte = [0];
        while matches!(pipe.read(&mut byte).await, Ok(1)) {}
    })
}

fn summary(world: &World) -> String {
    let settings = &world.settings;
    let kubeconfig = settings.kubeconfig.display();
    let mut lines = vec![format!("api        https://{}", world.api), format!("kubeconfig {kubeconfig}")];
    for node in &world.fabric.nodes {
        lines.push(format!("node       {} {}, pods {}", node.name, node.address, node.pod_cidr));
    }
    let (first, last) = settings.node_ports;
    let (services, dns) = (settings.service_cidr, settings.dns_address());
    lines.push(format!("services   {services}, node ports {first}-{last}, DNS {dns}"));
    lines.push(format!("balancers  {}", settings.lb_pool));
    lines.extend(
        world.parts.state_metrics.map(|address| format!("metrics    http://{address}/metrics, as kube-state-metrics")),
    );
    lines.push(match settings.ephemeral {
        true => "data       nothing is kept".to_owned(),
        false => format!("data       {}", settings.data.display()),
    });
    lines.push(format!("try        export KUBECONFIG={kubeconfig}; kubectl get nodes"));
    lines.join("\n")
}
