//! The world's network: namespaces, links and routes. Everything here vanishes with the process.
//!
//! ```text
//! outside 198.51.100.1 --wan0-- edge 198.51.100.254 | 172.30.0.1 --lan0 bridge-- node1 172.30.0.11 -- pods 10.244.1.0/24
//! (this process's own)          balancers, router                           `-- node2 172.30.0.12 -- pods 10.244.2.0/24
//! ```
//!
//! The edge is the only way in and out. So a balancer can hand a connection to a node without touching the client's
//! address: the answer has to come back through the edge, which undoes the translation.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use anyhow::{Context, Result};
use ipnet::{IpNet, Ipv4Net};
use portolan_netns::Namespace;

use super::settings::{NODE_NETWORK, OUTSIDE_NETWORK, POD_NETWORK, Settings};

/// The edge's address towards the nodes: their gateway, and where the cluster DNS listens.
pub const EDGE_INSIDE: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);
const EDGE_OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);
/// The outside's address: where the API listens for pods, and what Services see as a client from outside.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

const LAN: &str = "lan0";
const WAN: &str = "wan0";
const NODE_LINK: &str = "eth0";

/// One node's place in the network.
#[derive(Clone)]
pub struct NodeSite {
    /// Name of the node.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its pods' addresses.
    pub pod_cidr: Ipv4Net,
    /// Its namespace.
    pub namespace: Namespace,
}

/// All of it; namespaces live as long as this does.
pub struct Fabric {
    /// Router and load balancers.
    pub edge: Namespace,
    /// The nodes.
    pub nodes: Vec<NodeSite>,
}

impl Fabric {
    /// Builds the network. Blocking: some thirty netlink requests, a few milliseconds.
    pub fn build(settings: &Settings) -> Result<Self> {
        let edge = build_edge(settings).context("cannot build the edge of the network")?;
        let nodes = (1..=settings.nodes)
            .map(|index| build_node(index, &edge).with_context(|| format!("cannot build the network of node{index}")))
            .collect::<Result<_>>()?;
        Ok(Self { edge, nodes })
    }
}

fn build_edge(settings: &Settings) -> Result<Namespace> {
    let outside = Namespace::current()?;
    let edge = Namespace::create()?;
    router(&edge)?;
    let mut out = outside.links()?;
    out.veth(WAN, WAN, &edge)?;
    out.add_address(WAN, net(OUTSIDE, OUTSIDE_NETWORK))?;
    out.up(WAN)?;
    let mut inside = edge.links()?;
    inside.add_address(WAN, net(EDGE_OUTSIDE, OUTSIDE_NETWORK))?;
    inside.up(WAN)?;
    inside.bridge(LAN)?;
    inside.add_address(LAN, net(EDGE_INSIDE, NODE_NETWORK))?;
    inside.up(LAN)?;
    for network in [NODE_NETWORK, POD_NETWORK, settings.lb_pool] {
        out.add_route(IpNet::V4(network), Some(EDGE_OUTSIDE.into()), Some(WAN), false)?;
    }
    Ok(edge)
}

fn build_node(index: u8, edge: &Namespace) -> Result<NodeSite> {
    let site = NodeSite {
        name: format!("node{index}"),
        address: Ipv4Addr::new(172, 30, 0, 10 + index),
        pod_cidr: Ipv4Net::new_assert(Ipv4Addr::new(10, 244, index, 0), 24),
        namespace: Namespace::create()?,
    };
    router(&site.namespace)?;
    let mut switch = edge.links()?;
    switch.veth(&site.name, NODE_LINK, &site.namespace)?;
    switch.set_master(&site.name, LAN)?;
    switch.up(&site.name)?;
    let mut links = site.namespace.links()?;
    links.add_address(NODE_LINK, net(site.address, NODE_NETWORK))?;
    links.up(NODE_LINK)?;
    links.add_route(IpNet::V4(Ipv4Net::default()), Some(EDGE_INSIDE.into()), Some(NODE_LINK), false)?;
    // The edge finds every pod; nodes learn each other's routes from the Node objects.
    switch.add_route(IpNet::V4(site.pod_cidr), Some(IpAddr::V4(site.address)), Some(LAN), false)?;
    Ok(site)
}

/// Forwarding on; no reverse-path filter, since an answer may leave by another way than the question came.
fn router(namespace: &Namespace) -> io::Result<()> {
    namespace.sysctl("net/ipv4/ip_forward", "1")?;
    namespace.sysctl("net/ipv4/conf/all/rp_filter", "0")?;
    namespace.sysctl("net/ipv4/conf/default/rp_filter", "0")
}

fn net(address: Ipv4Addr, network: Ipv4Net) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(address, network.prefix_len()))
}
