//! `portolan apiserver`: the Kubernetes API alone, for other parts to join.

use std::{
    net::{SocketAddr, TcpListener},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result};
use clap::Args;
use ipnet::IpNet;
use portolan_apiserver::{Config, Server, pki::Authority};
use tokio_util::sync::CancellationToken;

use crate::{
    data::{Place, Temporary},
    kubeconfig, output,
    signals::Signals,
    up::parse_range,
};

/// Runs the API server alone: no controllers, no nodes
///
/// For those who bring the rest themselves, and for tests of other programs against a real API. Prints where the API is,
/// then stays until Ctrl-C. Access is by client certificate; the kubeconfig holds an administrator's.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan apiserver --ephemeral --kubeconfig-out ./kubeconfig
  portolan controllers --kubeconfig ./kubeconfig --leader-elect=false")]
pub struct Options {
    #[command(flatten)]
    place: Place,
    /// Where the API listens; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:6443", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The endpoint of the Service default/kubernetes; without it that Service has none.
    #[arg(long, value_name = "ADDRESS")]
    advertise: Option<SocketAddr>,
    /// Addresses for Services: one range, or one of each family for a dual-stack API.
    #[arg(long, default_value = "10.96.0.0/16", value_name = "CIDR[,CIDR]", value_delimiter = ',')]
    service_cidr: Vec<IpNet>,
    /// Ports for Services of type NodePort and LoadBalancer.
    #[arg(long, default_value = "30000-32767", value_name = "FROM-TO", value_parser = parse_range)]
    node_port_range: RangeInclusive<u16>,
    /// Where to write the kubeconfig [default: kubeconfig in the data directory].
    #[arg(long, value_name = "FILE", required_if_eq("ephemeral", "true"))]
    kubeconfig_out: Option<PathBuf>,
}

/// Serves until Ctrl-C or SIGTERM.
pub fn run(options: Options) -> Result<ExitCode> {
    let directory = options.place.directory()?;
    let _temporary = options.place.ephemeral.then(|| Temporary(&directory));
    let listener = TcpListener::bind(options.listen).with_context(|| {
        format!("cannot listen on {}: choose another address with --listen, or end what uses it", options.listen)
    })?;
    let authority = Authority::load_or_create(&directory)
        .with_context(|| format!("cannot load or create the certificates in {}", directory.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(options, &directory, &authority, listener))
}

async fn serve(options: Options, directory: &Path, authority: &Authority, listener: TcpListener) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    let api = listener.local_addr()?;
    let kubeconfig = options.kubeconfig_out.map(std::path::absolute).transpose()?;
    let kubeconfig = kubeconfig.unwrap_or_else(|| directory.join("kubeconfig"));
    let config = Config {
        data: (!options.place.ephemeral).then(|| directory.to_owned()),
        service_cidrs: options.service_cidr,
        node_port_range: options.node_port_range,
        advertise: options.advertise,
        ..Config::default()
    };
    let server = Server::open(config).await.context("cannot start the API server")?;
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into_iter();
    let names: Vec<String> = names.chain(std::iter::once(api.ip().to_string())).collect();
    let tls = Arc::new(authority.server_config(&names).context("cannot make the API's certificate")?);
    kubeconfig::write(authority, &kubeconfig, api)?;
    output::say(format_args!("api        https://{api}\nkubeconfig {}", kubeconfig.display()));
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        stopping.cancel();
    });
    server.serve(listener, tls, stop).await.context("the API's listener failed")?;
    server.close().await;
    Ok(ExitCode::SUCCESS)
}
