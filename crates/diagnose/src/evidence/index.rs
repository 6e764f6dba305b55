//! Lookups over the evidence of all nodes, built once: a Service asks for its own addresses, not for everything.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use super::{Flow, NodeEvidence, Owner, Probe, Rule, Sockets, Target};

/// What one node has for an address (none: a node port) and port of a protocol.
type RuleKey<'a> = (&'a str, Option<IpAddr>, u16, &'a str);

/// Lookups over the evidence of all nodes.
pub(crate) struct Kernel<'a> {
    pub(crate) nodes: Vec<&'a NodeEvidence>,
    rules: HashMap<RuleKey<'a>, &'a Rule>,
    flows: HashMap<SocketAddr, Vec<(&'a NodeEvidence, &'a Flow)>>,
    flows_by_port: HashMap<u16, Vec<(&'a NodeEvidence, &'a Flow)>>,
    sockets: HashMap<&'a Owner, (&'a NodeEvidence, &'a Sockets)>,
    node_sockets: HashMap<&'a str, &'a Sockets>,
    probes: HashMap<SocketAddr, Vec<Attempt<'a>>>,
}

/// A connection attempt and where it was made.
#[derive(Debug, Clone)]
pub(crate) struct Attempt<'a> {
    pub(crate) node: &'a str,
    pub(crate) probe: &'a Probe,
    pub(crate) target: Target,
}

impl<'a> Kernel<'a> {
    pub(crate) fn new(evidence: &'a [NodeEvidence]) -> Self {
        let mut kernel = Self {
            nodes: evidence.iter().collect(),
            rules: HashMap::new(),
            flows: HashMap::new(),
            flows_by_port: HashMap::new(),
            sockets: HashMap::new(),
            node_sockets: HashMap::new(),
            probes: HashMap::new(),
        };
        for node in evidence {
            for rule in node.proxy.rules.iter().flatten() {
                kernel.rules.insert((&node.node, rule.address, rule.port, &rule.protocol), rule);
            }
            for flow in node.flows.iter().flatten() {
                kernel.flows.entry(flow.destination).or_default().push((node, flow));
                kernel.flows_by_port.entry(flow.destination.port()).or_default().push((node, flow));
            }
            for sockets in &node.sockets {
                match sockets.owner {
                    Owner::Node => drop(kernel.node_sockets.insert(&node.node, sockets)),
                    _ => drop(kernel.sockets.insert(&sockets.owner, (node, sockets))),
                }
            }
            for probe in &node.probes {
                let Ok(target) = probe.target.parse::<Target>() else { continue };
                let attempt = Attempt { node: &node.node, probe, target };
                kernel.probes.entry(attempt.target.address()).or_default().push(attempt);
            }
        }
        kernel
    }

    /// What the node does with packets for an address, or with `None` for a port of its own.
    pub(crate) fn rule(&self, node: &str, address: Option<IpAddr>, port: u16, protocol: &str) -> Option<&'a Rule> {
        self.rules.get(&(node, address, port, protocol)).copied()
    }

    /// Connections that were sent to `destination`.
    pub(crate) fn flows(&self, destination: SocketAddr) -> &[(&'a NodeEvidence, &'a Flow)] {
        self.flows.get(&destination).map_or(&[], Vec::as_slice)
    }

    /// Connections that were sent to this port, of whatever address.
    pub(crate) fn flows_to_port(&self, port: u16) -> &[(&'a NodeEvidence, &'a Flow)] {
        self.flows_by_port.get(&port).map_or(&[], Vec::as_slice)
    }

    /// Who listens in the network of `owner`, a pod.
    pub(crate) fn sockets(&self, owner: &Owner) -> Option<(&'a NodeEvidence, &'a Sockets)> {
        self.sockets.get(owner).copied()
    }

    /// Who listens in the node's own network.
    pub(crate) fn node_sockets(&self, node: &str) -> Option<&'a Sockets> {
        self.node_sockets.get(node).copied()
    }

    /// Attempts to connect to `address`.
    pub(crate) fn probes(&self, address: SocketAddr) -> &[Attempt<'a>] {
        self.probes.get(&address).map_or(&[], Vec::as_slice)
    }
}
