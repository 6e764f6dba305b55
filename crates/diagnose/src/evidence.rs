//! Kernel facts of one node: what its proxy wrote, which flows it translates, who listens, and what a real connection
//! attempt met.
//!
//! Collected by `portolan-evidence` (inside `up` by each agent, on a real node by `portolan node-evidence`), kept in a
//! snapshot, read by the checks of the data plane. JSON, in camel case; a reader ignores fields that it does not know.
//!
//! Invariant: absent is not empty. What could not be collected is `None`, and [`NodeEvidence::problems`] says why.

mod fetch;
mod index;
mod target;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

pub use fetch::of_nodes;
pub(crate) use index::{Attempt, Kernel};
pub use target::{Target, TargetError};

/// What was seen on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeEvidence {
    /// Name of the Node object.
    pub node: String,
    /// When it was collected.
    pub taken_at: Time,
    /// The Service proxy and its rules.
    #[serde(default)]
    pub proxy: ProxyEvidence,
    /// Tracked connections whose destination was translated; `None` if they could not be read.
    #[serde(default)]
    pub flows: Option<Vec<Flow>>,
    /// Listening sockets: of the node and of its pods, as far as they could be entered.
    #[serde(default)]
    pub sockets: Vec<Sockets>,
    /// The node's `/etc/resolv.conf`.
    #[serde(default)]
    pub resolv_conf: Option<String>,
    /// Connection attempts that were asked for.
    #[serde(default)]
    pub probes: Vec<Probe>,
    /// What could not be collected, and why.
    #[serde(default)]
    pub problems: Vec<String>,
}

impl NodeEvidence {
    /// Nothing seen yet.
    pub fn new(node: impl Into<String>, taken_at: Time) -> Self {
        Self {
            node: node.into(),
            taken_at,
            proxy: ProxyEvidence::default(),
            flows: None,
            sockets: Vec::new(),
            resolv_conf: None,
            probes: Vec::new(),
            problems: Vec::new(),
        }
    }
}

/// The Service proxy of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyEvidence {
    /// Whose rules there are: `nftables` and `iptables` and `ipvs` (kube-proxy), `portolan`; `None` if there are none.
    #[serde(default)]
    pub mode: Option<String>,
    /// Whether the health check answers that all is well; `None` if nobody answers.
    #[serde(default)]
    pub healthy: Option<bool>,
    /// What the health check answered, or what became of the attempt to ask.
    #[serde(default)]
    pub health: Option<String>,
    /// The rules, one per address and port; `None` if they could not be read.
    #[serde(default)]
    pub rules: Option<Vec<Rule>>,
}

/// How [`ProxyEvidence::health`] begins if the port of the health check is closed.
pub const NOBODY_ANSWERS: &str = "nobody listens";

impl ProxyEvidence {
    /// The port of the health check is closed: a proxy that runs has it open, unless that was switched off.
    pub(crate) fn is_silent(&self) -> bool {
        self.healthy.is_none() && self.health.as_deref().is_some_and(|text| text.starts_with(NOBODY_ANSWERS))
    }
}

/// What happens to packets for one address and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The address; `None` for a node port, which holds for the node's addresses.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// `NAMESPACE/NAME:PORT`, if the ruleset says so.
    #[serde(default)]
    pub service: Option<String>,
    /// Where packets go: of every traffic policy together.
    #[serde(default)]
    pub endpoints: Vec<SocketAddr>,
    /// What becomes of them.
    pub verdict: Verdict,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Picks an endpoint.
    Balance,
    /// Answers with a refusal.
    Refuse,
    /// Drops without an answer.
    Drop,
}

/// A tracked connection whose destination was translated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Who began it.
    pub source: SocketAddr,
    /// Where it was sent, before translation.
    pub destination: SocketAddr,
    /// Where it goes: the endpoint.
    pub translated: SocketAddr,
    /// State of the connection, such as `ESTABLISHED`; only TCP and SCTP have one.
    #[serde(default)]
    pub state: Option<String>,
    /// Whether a packet ever came back.
    pub answered: bool,
}

/// Listening sockets of one network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sockets {
    /// Whose namespace it is.
    pub owner: Owner,
    /// The sockets.
    #[serde(default)]
    pub listening: Vec<Listening>,
}

/// Whose network namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Owner {
    /// The node's own.
    Node,
    /// A pod's.
    Pod {
        /// Namespace of the pod.
        namespace: String,
        /// Name of the pod.
        name: String,
    },
    /// A pod's, of which only the uid is known: processes of a real node tell no more.
    PodUid(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("node"),
            Self::Pod { namespace, name } => write!(f, "pod {namespace}/{name}"),
            Self::PodUid(uid) => write!(f, "pod with uid {uid}"),
        }
    }
}

/// A socket that takes connections or, with UDP, datagrams of anybody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listening {
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// Where it is bound: the unspecified address stands for all.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// Name of the program, if it could be found.
    #[serde(default)]
    pub program: Option<String>,
}

/// One connection attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Whose network namespace it was made in.
    pub from: Owner,
    /// `tcp://IP:PORT`, `udp://IP:PORT`, `http://IP:PORT/PATH` or `dns://NAME@SERVER:PORT`.
    pub target: String,
    /// What it met.
    pub outcome: Outcome,
    /// How long it took.
    pub milliseconds: u64,
}

/// What a connection attempt met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// TCP: accepted; HTTP: accepted, but no answer came in time.
    Connected,
    /// Something came back.
    Answered {
        /// Its beginning: the status line for HTTP.
        text: String,
    },
    /// A reset, or an ICMP message that the port is closed.
    Refused,
    /// Nothing came in time.
    TimedOut,
    /// The network or the host cannot be reached, or this end could not even try.
    Unreachable {
        /// What the kernel or the parser said.
        why: String,
    },
    /// DNS: the addresses of the name; none if it exists and has none of the kind asked for.
    Addresses(Vec<IpAddr>),
    /// DNS: there is no such name.
    NoSuchName,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn evidence_has_its_written_form_and_readers_ignore_what_they_do_not_know() {
        let text = r#"{
            "node": "node1", "takenAt": "2026-05-06T07:08:09Z", "later": {"version": 2},
            "proxy": {"mode": "portolan", "rules": [
                {"address": "10.96.0.1", "port": 443, "protocol": "TCP", "endpoints": ["172.30.0.1:6443"], "verdict": "balance"}]},
            "flows": [{"protocol": "UDP", "source": "10.244.0.2:9", "destination": "10.96.0.10:53",
                "translated": "10.244.0.3:53", "answered": false}],
            "sockets": [{"owner": {"pod": {"namespace": "default", "name": "web"}}, "listening": []}, {"owner": "node"}],
            "probes": [{"from": "node", "target": "dns://a@10.96.0.10:53", "outcome": {"addresses": ["10.0.0.1"]},
                "milliseconds": 3}]
        }"#;
        let read: NodeEvidence = serde_json::from_str(text).unwrap();
        assert_eq!(read.proxy.rules.as_ref().unwrap()[0].verdict, Verdict::Balance);
        assert_eq!(read.sockets[0].owner.to_string(), "pod default/web");
        assert_eq!(read.resolv_conf, None);
        let again: NodeEvidence = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
        assert_eq!(again, read);
    }

    #[test]
    fn outcomes_have_their_written_form() {
        let written = |outcome: Outcome| serde_json::to_string(&outcome).unwrap();
        assert_eq!(written(Outcome::TimedOut), r#""timedOut""#);
        assert_eq!(
            written(Outcome::Answered { text: "HTTP/1.1 200 OK".into() }),
            r#"{"answered":{"text":"HTTP/1.1 200 OK"}}"#
        );
        assert_eq!(written(Outcome::Unreachable { why: "x".into() }), r#"{"unreachable":{"why":"x"}}"#);
    }
}
