//! What a Service needs from a provider, and what it gets.

use std::net::IpAddr;

use ipnet::IpNet;
use portolan_objects::{ObjectKey, Protocol};

/// Whose balancer it is. Two Services that had the same name one after the other differ in `uid`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BalancerId {
    /// The Service.
    pub service: ObjectKey,
    /// Its UID.
    pub uid: String,
}

/// One port of a balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name in the Service, may be empty.
    pub name: String,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Port that clients connect to.
    pub port: u16,
    /// Port on every node; `None` if the Service opted out of node ports.
    pub node_port: Option<u16>,
}

/// A node that may carry traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its internal address; a node that has not published one yet cannot be used.
    pub address: Option<IpAddr>,
    /// The vendor's name of the machine.
    pub provider_id: Option<String>,
}

/// What a Service needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Whose it is.
    pub id: BalancerId,
    /// Its ports.
    pub ports: Vec<Port>,
    /// The address that the user asks for (`spec.loadBalancerIP`).
    pub requested: Option<IpAddr>,
    /// Clients that may connect; empty means all.
    pub source_ranges: Vec<IpNet>,
    /// Health checks go to this port (`externalTrafficPolicy: Local`), else to the proxies' own.
    pub health_check_port: Option<u16>,
    /// The nodes, in a fixed order.
    pub nodes: Vec<Node>,
}

/// Where clients reach a balancer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Addresses, if the provider has fixed ones.
    pub addresses: Vec<IpAddr>,
    /// Names, if the provider works with names.
    pub hostnames: Vec<String>,
}
