//! `portolan node-evidence`: what the kernel of this machine knows about Services, for `diagnose --evidence FILE`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Args;
use portolan_diagnose::evidence::{NodeEvidence, Outcome, Owner, Target, Verdict};
use portolan_evidence::{Asked, Pods};
use portolan_netns::Namespace;

use crate::{cli::Format, output};

/// Collect the kernel facts of this node: rules of the Service proxy, translated connections, listening sockets.
///
/// Run it as root on a node of any cluster, save what it prints, and give that to `portolan diagnose --evidence FILE`
/// anywhere. Nothing is changed, and only `--probe` sends packets. What it may not read it says in `problems`.
#[derive(Debug, Args)]
pub struct Options {
    /// Also try to connect: tcp://IP:PORT, udp://IP:PORT, http://IP:PORT/PATH or dns://NAME@IP:PORT; may be repeated.
    #[arg(long = "probe", value_name = "TARGET")]
    probes: Vec<Target>,
    /// Try from the network of the pod with this uid instead of the node's.
    #[arg(long, value_name = "UID")]
    from_pod_uid: Option<String>,
    /// Name of the Node object; by default the host name, in small letters as the kubelet takes it.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// The node's resolv.conf.
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    resolv_conf: PathBuf,
    /// Output format: JSON is what `diagnose --evidence` reads.
    #[arg(short, long, value_enum, default_value_t = Format::Json)]
    output: Format,
}

/// Collects and prints.
pub fn run(options: &Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the async runtime")?;
    let namespace = Namespace::current().context("cannot look at this machine's network; is /proc mounted?")?;
    let node = match &options.node {
        Some(name) => name.clone(),
        None => {
            let name = nix::unistd::gethostname().context("cannot read the host name; give --node NAME")?;
            name.to_string_lossy().to_lowercase()
        }
    };
    let from = options.from_pod_uid.clone().map_or(Owner::Node, Owner::PodUid);
    let asked = Asked {
        node,
        namespace,
        addresses: portolan_evidence::addresses(),
        resolv_conf: options.resolv_conf.clone(),
        pods: Pods::Searched,
        probes: options.probes.iter().map(|target| (from.clone(), target.to_string())).collect(),
    };
    let evidence = runtime.block_on(portolan_evidence::collect(asked));
    match options.output {
        Format::Json => output::print_json(&evidence)?,
        Format::Text => output::print(&text(&evidence))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(evidence: &NodeEvidence) -> String {
    let mut lines = vec![format!("node      {} at {}", evidence.node, evidence.taken_at.0)];
    let proxy = &evidence.proxy;
    lines.push(format!("proxy     {}", proxy.mode.as_deref().unwrap_or("none that is known")));
    lines.push(format!("health    {}", proxy.health.as_deref().unwrap_or("nobody answers")));
    for rule in proxy.rules.iter().flatten() {
        let address = rule.address.map_or("node port".to_owned(), |address| address.to_string());
        let to = match rule.verdict {
            Verdict::Balance => rule.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            Verdict::Refuse => "refused".to_owned(),
            Verdict::Drop => "dropped".to_owned(),
        };
        let service = rule.service.as_deref().map(|service| format!(" ({service})")).unwrap_or_default();
        lines.push(format!("rule      {address} {}/{} -> {to}{service}", rule.port, rule.protocol));
    }
    for flow in evidence.flows.iter().flatten() {
        let state = flow.state.as_deref().unwrap_or(if flow.answered { "answered" } else { "unanswered" });
        lines.push(format!(
            "flow      {} {} -> {} = {} {state}",
            flow.protocol, flow.source, flow.destination, flow.translated
        ));
    }
    for sockets in &evidence.sockets {
        for socket in &sockets.listening {
            let program = socket.program.as_deref().map(|program| format!(" ({program})")).unwrap_or_default();
            lines.push(format!(
                "listens   {}: {} port {}/{}{program}",
                sockets.owner, socket.address, socket.port, socket.protocol
            ));
        }
    }
    for probe in &evidence.probes {
        let outcome = describe(&probe.outcome);
        lines.push(format!("probe     {} from {}: {outcome}, {} ms", probe.target, probe.from, probe.milliseconds));
    }
    lines.extend(evidence.problems.iter().map(|problem| format!("problem   {problem}")));
    lines.join("\n")
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Connected => "connected".to_owned(),
        Outcome::Answered { text } => format!("answered {text:?}"),
        Outcome::Refused => "refused".to_owned(),
        Outcome::TimedOut => "timed out".to_owned(),
        Outcome::Unreachable { why } => format!("unreachable: {why}"),
        Outcome::Addresses(addresses) if addresses.is_empty() => "the name has no addresses".to_owned(),
        Outcome::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Outcome::NoSuchName => "no such name".to_owned(),
    }
}
