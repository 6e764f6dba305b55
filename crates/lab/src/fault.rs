//! Faults as data: what can be broken in a running network, as a YAML list in a ConfigMap.
//!
//! Written by whoever wants something broken (`kubectl`, `portolan up --faults`, the laboratory), read by `portolan up`,
//! which watches the ConfigMap and makes the list true: what is in it is on, what leaves it is off and repaired. It says
//! in annotations of the ConfigMap what it has applied and what it could not read.
//!
//! Invariant: a list that [`parse`] accepts says something in every entry, and [`render`] writes it back without loss.
//! Names (of nodes, of controllers) are not checked here: only the running network knows them.

mod read;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use portolan_cloud::scripted;
use serde::{Deserialize, Serialize};

pub use portolan_cloud::scripted::Addresses;
pub use portolan_kinds::faults::Fault as ApiFault;
pub use read::{ParseError, digest, parse, render};

/// Namespace of the ConfigMap.
pub const NAMESPACE: &str = "kube-system";
/// Its name.
pub const CONFIG_MAP: &str = "portolan-faults";
/// The key of its data that holds the list.
pub const KEY: &str = "faults.yaml";
/// Annotation: the [`digest`] of the list that is in force.
pub const APPLIED: &str = "portolan.dev/faults-applied";
/// Annotation: what is wrong with the list, or what could not be done. Absent when all is done.
pub const ERROR: &str = "portolan.dev/faults-error";

/// One thing that is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// The API refuses, conflicts or is slow.
    Api(ApiFault),
    /// The provider of load balancers fails.
    Cloud(CloudFault),
    /// A node is lost, or something on it is wrong.
    Node(NodeFault),
    /// The Service proxy of some nodes.
    Proxy(ProxyFault),
    /// Controllers.
    Controllers(ControllersFault),
    /// The cluster DNS.
    Dns(DnsFault),
    /// Packets are lost or refused on the way.
    Network(NetworkFault),
}

/// What the provider of load balancers does wrong; several of them add up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudFault {
    /// Most balancers that the account may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<usize>,
    /// Which addresses are to be had: a network, or `exhausted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Addresses>,
    /// What happens to single calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<scripted::Fault>,
}

/// What is wrong with a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeFault {
    /// Its name.
    pub name: String,
    /// It is lost: unplugged, its pods' processes dead, its agent and proxy gone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub down: bool,
    /// A program of the node itself listens on a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_port: Option<HeldPort>,
    /// Its resolv.conf says this instead; pods that start from then on get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolv_conf: Option<String>,
}

/// A port of a node that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeldPort {
    /// The port, not 0.
    pub port: u16,
    /// Its protocol.
    #[serde(default)]
    pub protocol: Transport,
}

/// Protocol of a port, spelled as in the API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// TCP.
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP.
    #[serde(rename = "UDP")]
    Udp,
}

/// What is wrong with the Service proxy of some nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxyFault {
    /// Which nodes; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// It does not run. Its rules stay as they are; its health port is closed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stopped: bool,
    /// Somebody has deleted its rules, and nobody puts them back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delete_rules: bool,
    /// It runs, but its rules no longer follow the objects, and its health check says so.
    #[serde(default, skip_serializing_if = "is_default")]
    pub frozen: bool,
}

/// What is wrong with controllers, by the names of `portolan controllers --controllers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControllersFault {
    /// These do not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopped: Vec<String>,
    /// These run, but their watches stay silent: they work with what they knew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<String>,
}

/// What is wrong with the cluster DNS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsFault {
    /// It does not run: its port is closed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stopped: bool,
    /// It answers every question like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<DnsAnswer>,
}

/// The one answer of a broken DNS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DnsAnswer {
    /// SERVFAIL.
    ServerFailure,
    /// NXDOMAIN.
    NoSuchName,
    /// None: questions are read and forgotten.
    Silent,
}

/// Packets that do not get through a node or the edge: all that match, whoever sends them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkFault {
    /// The node, or `edge`: the router between the nodes and the outside.
    pub node: String,
    /// What happens to them.
    pub action: PacketAction,
    /// Only these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Transport>,
    /// Only those to this address, as it is behind the proxy's translation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_address: Option<IpAddr>,
    /// Only those to this port, of TCP and UDP unless a protocol is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_port: Option<u16>,
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PacketAction {
    /// It vanishes.
    Drop,
    /// The sender hears that the port is unreachable; for TCP, that the connection is reset.
    Reject,
}

/// For serde: what need not be written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
