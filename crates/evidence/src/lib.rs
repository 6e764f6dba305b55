//! Collects the kernel facts of one node: the rules of its Service proxy, translated flows, who listens, and what
//! connection attempts meet. Nothing is changed: rules are dumped, `/proc` is read, and the attempts are the only
//! packets sent.
//!
//! Called by each node agent for `GET /evidence`, and by `portolan node-evidence` on a node of a real cluster.
//! The checks of `portolan-diagnose` read what comes out; its types are there.
//!
//! Invariant: what cannot be looked at is a sentence in `problems`, never an empty list and never an error: evidence of
//! half a node is still evidence. Everything has a limit: of time for attempts and programs, of number for flows.
#![cfg(target_os = "linux")]

mod dns;
mod flows;
mod health;
mod http;
mod probe;
mod processes;
mod rules;
mod sockets;

use std::{net::IpAddr, path::PathBuf};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use nix::ifaddrs::getifaddrs;
use portolan_diagnose::evidence::{NodeEvidence, Owner, Sockets};
use portolan_netns::Namespace;

use processes::Processes;

/// Most connection attempts of one collection; those beyond are told as a problem.
pub const MOST_PROBES: usize = 64;

/// What to look at.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Name of the Node object.
    pub node: String,
    /// The node's network.
    pub namespace: Namespace,
    /// Addresses of the node, where its proxy may answer besides loopback.
    pub addresses: Vec<IpAddr>,
    /// The node's resolv.conf; none with an empty path.
    pub resolv_conf: PathBuf,
    /// Which pods there are.
    pub pods: Pods,
    /// Connection attempts to make: from where, and to what.
    pub probes: Vec<(Owner, String)>,
}

/// Where the pods of the node come from.
#[derive(Debug, Clone)]
pub enum Pods {
    /// Whoever asks knows their networks.
    Known(Vec<(Owner, Namespace)>),
    /// Found by their processes, whose control groups name the pod's uid.
    Searched,
}

/// A network that can be entered, and whose it is.
#[derive(Debug, Clone)]
struct Place {
    owner: Owner,
    namespace: Namespace,
}

/// Collects. Takes as long as its slowest attempt, a little over two seconds at most, and some milliseconds otherwise.
pub async fn collect(asked: Asked) -> NodeEvidence {
    let mut evidence = NodeEvidence::new(asked.node.clone(), Time(Timestamp::now()));
    let looked = {
        let asked = asked.clone();
        tokio::task::spawn_blocking(move || look(&asked))
    };
    let health = health::ask(&asked.namespace, &asked.addresses);
    let (looked, health) = futures::join!(looked, health);
    let looked =
        looked.unwrap_or_else(|_| Looked { problems: vec!["the collection broke off".into()], ..Looked::default() });

    let (probes, problems) = probe::all(&looked.places, &asked.probes).await;
    evidence.proxy.mode = looked.mode.or(health.mode);
    evidence.proxy.rules = looked.rules;
    evidence.proxy.healthy = health.healthy;
    evidence.proxy.health = health.text;
    evidence.flows = looked.flows;
    evidence.sockets = looked.sockets;
    evidence.resolv_conf = looked.resolv_conf;
    evidence.probes = probes;
    evidence.problems = looked.problems;
    evidence.problems.extend(problems);
    evidence
}

/// Addresses of the calling thread's network that others may reach it by.
pub fn addresses() -> Vec<IpAddr> {
    let usable = |address: &IpAddr| match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    };
    interfaces().into_iter().map(|(_, address)| address).filter(usable).collect()
}

/// Names and addresses of the interfaces of the calling thread's network.
fn interfaces() -> Vec<(String, IpAddr)> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let named = all.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let address = v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))?;
        Some((interface.interface_name, address))
    });
    named.collect()
}

/// What the kernel and the file system say.
#[derive(Debug, Default)]
struct Looked {
    mode: Option<String>,
    rules: Option<Vec<portolan_diagnose::evidence::Rule>>,
    flows: Option<Vec<portolan_diagnose::evidence::Flow>>,
    sockets: Vec<Sockets>,
    resolv_conf: Option<String>,
    places: Vec<Place>,
    problems: Vec<String>,
}

/// Blocking.
fn look(asked: &Asked) -> Looked {
    let mut looked = Looked::default();
    let processes = Processes::read(&mut looked.problems);
    looked.places = places(asked, &processes, &mut looked.problems);

    let mut problems = Vec::new();
    let entered = asked.namespace.run(|| (rules::read(&mut problems), flows::read(&mut problems)));
    looked.problems.append(&mut problems);
    match entered {
        Ok(((mode, rules), flows)) => {
            (looked.mode, looked.rules, looked.flows) = (mode.map(Into::into), rules, flows);
        }
        Err(error) => looked.problems.push(format!("cannot enter the node's network: {error}")),
    }
    // Pods in the node's own network can be tried from, but their sockets are the node's.
    let own = |place: &&Place| place.owner == Owner::Node || !place.namespace.is_same(&asked.namespace);
    for place in looked.places.iter().filter(own) {
        match sockets::read(&place.namespace, &processes) {
            Ok(listening) => looked.sockets.push(Sockets { owner: place.owner.clone(), listening }),
            Err(error) => looked.problems.push(format!("cannot list the sockets of {}: {error}", place.owner)),
        }
    }
    if !asked.resolv_conf.as_os_str().is_empty() {
        match std::fs::read_to_string(&asked.resolv_conf) {
            Ok(text) => looked.resolv_conf = Some(text),
            Err(error) => looked.problems.push(format!("cannot read {}: {error}", asked.resolv_conf.display())),
        }
    }
    looked
}

/// The node, then its pods.
fn places(asked: &Asked, processes: &Processes, problems: &mut Vec<String>) -> Vec<Place> {
    let node = Place { owner: Owner::Node, namespace: asked.namespace.clone() };
    let pods = match &asked.pods {
        Pods::Known(pods) => pods.iter().cloned().map(|(owner, namespace)| Place { owner, namespace }).collect(),
        Pods::Searched => processes.pods(&asked.namespace, problems),
    };
    std::iter::once(node).chain(pods).collect()
}
