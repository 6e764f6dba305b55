//! The edge's kernel: addresses on its loopback interface and the table `portolan-edge`.
//!
//! Called with the provider's lock held: every call is a handful of netlink messages and returns in microseconds.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use ipnet::{IpNet, Ipv4Net};
use portolan_netns::{Links, Namespace};
use portolan_nftables::{Batch, CommitError, Family, Socket};
use tracing::warn;

use super::ruleset::{self, Elements};
use crate::{BalancerId, Class, CloudError};

const UDP: u8 = 17;

/// Sockets into the edge and what is programmed there.
pub(super) struct Edge {
    links: Links,
    socket: Socket,
    programmed: BTreeMap<BalancerId, Elements>,
    /// Slot counts beyond the ready ones whose chain exists.
    chains: BTreeSet<u32>,
}

impl Edge {
    /// Puts the empty table into the edge.
    pub fn open(edge: &Namespace) -> Result<Self, OpenError> {
        let links = edge.links().map_err(OpenError::Enter)?;
        let mut socket = edge.run(Socket::open).map_err(OpenError::Enter)?.map_err(OpenError::Socket)?;
        socket.commit(&ruleset::base()).map_err(OpenError::Table)?;
        Ok(Self { links, socket, programmed: BTreeMap::new(), chains: BTreeSet::new() })
    }

    pub fn add_address(&mut self, address: Ipv4Addr) -> Result<(), CloudError> {
        self.links.add_address("lo", host(address)).map_err(|error| edge_error("put", address, &error))
    }

    pub fn remove_address(&mut self, address: Ipv4Addr) -> Result<(), CloudError> {
        self.links.remove_address("lo", host(address)).map_err(|error| edge_error("remove", address, &error))
    }

    /// Changes the elements of one balancer from what they are to `wanted`, in one transaction; `slots` is how many
    /// nodes it spreads over.
    pub fn program(&mut self, id: &BalancerId, wanted: Elements, slots: u32) -> Result<(), CloudError> {
        let none = Elements::new();
        let current = self.programmed.get(id).unwrap_or(&none);
        let change = ruleset::change(current, &wanted);
        if change.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        let new_chain = slots > ruleset::READY_CHAINS && !self.chains.contains(&slots);
        if new_chain {
            ruleset::add_pick(&mut batch, slots);
        }
        batch.append(change);
        self.socket.commit(&batch).map_err(|error| {
            let message = format!("cannot program the balancer of {} at the edge: {}", id.service, chain_of(&error));
            CloudError::new(Class::Other, "EdgeRuleset", message)
        })?;
        if new_chain {
            self.chains.insert(slots);
        }
        if wanted.is_empty() {
            self.programmed.remove(id);
        } else {
            self.programmed.insert(id.clone(), wanted);
        }
        Ok(())
    }

    /// Makes the kernel forget UDP flows to `address` that go to another node than those in `keep`: unlike TCP they
    /// never end, and a busy client would stay with a dead node.
    pub fn forget_flows(&mut self, address: Ipv4Addr, keep: &BTreeSet<Ipv4Addr>) {
        let flows = match self.socket.flows(Family::Ip, UDP) {
            Ok(flows) => flows,
            Err(error) => {
                warn!(%address, error = %chain_of(&error), "cannot list the edge's UDP flows; stale ones stay");
                return;
            }
        };
        let stale = |destination: SocketAddr, node: SocketAddr| {
            destination.ip() == IpAddr::V4(address) && !matches!(node.ip(), IpAddr::V4(node) if keep.contains(&node))
        };
        for flow in flows.iter().filter(|flow| stale(flow.original.destination, flow.reply.source)) {
            if let Err(error) = self.socket.delete_flow(flow) {
                warn!(%address, %error, "cannot delete a stale UDP flow at the edge");
            }
        }
    }
}

fn host(address: Ipv4Addr) -> IpNet {
    IpNet::V4(Ipv4Net::from(address))
}

fn edge_error(action: &str, address: Ipv4Addr, error: &dyn std::error::Error) -> CloudError {
    let message = format!("cannot {action} {address} on the edge: {}", chain_of(error));
    CloudError::new(Class::Other, "EdgeAddress", message)
}

/// The error and its causes on one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Why the local balancer cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The namespace cannot be worked in.
    #[error("cannot enter the edge's network namespace")]
    Enter(#[source] io::Error),
    /// No netfilter socket.
    #[error("cannot talk to nftables in the edge's network namespace; is the kernel built with nf_tables?")]
    Socket(#[source] portolan_nftables::SocketError),
    /// The table was refused.
    #[error("cannot make the table portolan-edge; Linux 5.13 or later with nf_tables NAT is needed")]
    Table(#[source] CommitError),
}
