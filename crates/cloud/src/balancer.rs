//! What a Service needs from a provider, and what it gets. The JSON form of these types is the wire protocol of
//! [`crate::remote`].

use std::net::IpAddr;

use ipnet::IpNet;
use portolan_objects::{ObjectKey, Protocol};
use serde::{Deserialize, Serialize};

/// Whose balancer it is. Two Services that had the same name one after the other differ in `uid`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BalancerId {
    /// The Service; on the wire `namespace` and `name`.
    #[serde(flatten, with = "KeyFields")]
    pub service: ObjectKey,
    /// Its UID.
    pub uid: String,
}

/// One port of a balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Name in the Service, may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Transport protocol.
    #[serde(with = "ProtocolWord")]
    pub protocol: Protocol,
    /// Port that clients connect to.
    pub port: u16,
    /// Port on every node; `None` if the Service opted out of node ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<u16>,
}

/// A node that may carry traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its internal address; a node that has not published one yet cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The vendor's name of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

/// What a Service needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// Whose it is.
    pub id: BalancerId,
    /// Its ports.
    pub ports: Vec<Port>,
    /// The address that the user asks for (`spec.loadBalancerIP`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<IpAddr>,
    /// The addresses that the Service publishes now. A balancer that has to be made again gets them again if they are
    /// still to be had: clients know them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<IpAddr>,
    /// Clients that may connect; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_ranges: Vec<IpNet>,
    /// Health checks go to this port (`externalTrafficPolicy: Local`), else to the proxies' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_port: Option<u16>,
    /// The nodes, in a fixed order.
    pub nodes: Vec<Node>,
}

/// Where clients reach a balancer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Addresses, if the provider has fixed ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Names, if the provider works with names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
}

/// A balancer that exists, or an address that a Service publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Whose it is.
    pub id: BalancerId,
    /// Where clients reach it.
    pub status: Status,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ObjectKey")]
struct KeyFields {
    namespace: String,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Protocol", rename_all = "UPPERCASE")]
enum ProtocolWord {
    Tcp,
    Udp,
    Sctp,
}
