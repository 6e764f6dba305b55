//! Leads the host ports of the node to its pods: one nftables table in the node's network.
//!
//! ```text
//! prerouting, output   address . protocol . port, or (on any address of the node) protocol . port -> pod . port
//! postrouting          a pod that reached itself, or 127.0.0.1 on its way to a pod, takes the node's address
//! guard                127.0.0.0/8 is nobody's business but the node's own
//! ```
//!
//! The guard is there because the interface of such a pod may carry packets from 127.0.0.1 (`route_localnet`), which would
//! open the node's loopback services to the pod. The chains never change; pods are elements. Upstream: the nftables half of
//! the `portmap` plugin of CNI.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, PoisonError},
};

use portolan_netns::Namespace;
use portolan_nftables::{
    Batch, Chain, ChainType, CommitError, Compare, DumpError, Element, Expr, FIB_LOCAL, FULLY_RANDOM, Family, FibOf,
    Field, Flow, Hook, Meta, Nat, Reg, Rule, Set, Socket, SocketError, Table, TableId, Value, Verdict,
};
use portolan_objects::Protocol;

use super::HostPort;

/// The table's name.
const TABLE: &str = "portolan-host-ports";
/// address . protocol . port -> address . port.
const BY_ADDRESS: &str = "by-address";
/// protocol . port -> address . port.
const BY_PORT: &str = "by-port";
/// Pod . the same pod.
const HAIRPIN: &str = "hairpin";
/// The pods that have a host port.
const PODS: &str = "pods";

const R0: Reg = Reg(0);
const R1: Reg = Reg(1);
const R2: Reg = Reg(2);

/// Why ports cannot be led to a pod. Worth trying again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The node's network cannot be entered.
    #[error("cannot enter the node's network")]
    Enter(#[source] std::io::Error),
    /// The kernel has no nftables, or not for us.
    #[error("cannot speak to nftables")]
    Open(#[source] SocketError),
    /// The kernel refused the rules.
    #[error("cannot set the rules of the host ports")]
    Commit(#[source] CommitError),
    /// Tracked connections cannot be looked at.
    #[error("cannot look for connections that came before the rules")]
    Flows(#[source] DumpError),
}

/// The rules of one node. They are made with the first pod that needs them.
#[derive(Debug)]
pub struct Rules {
    namespace: Namespace,
    socket: Mutex<Option<Socket>>,
}

impl Rules {
    /// No rules yet.
    pub fn new(namespace: Namespace) -> Self {
        Self { namespace, socket: Mutex::new(None) }
    }

    /// Removes what an agent that was killed has left. Blocking.
    ///
    /// # Errors
    /// See [`RulesError`]; without nftables there is nothing to remove.
    pub fn clear(&self) -> Result<(), RulesError> {
        let mut socket = self.namespace.run(Socket::open).map_err(RulesError::Enter)?.map_err(RulesError::Open)?;
        let mut batch = Batch::new();
        // It can only be deleted if it is there.
        batch.table(&id()).add_table().delete_table();
        socket.commit(&batch).map_err(RulesError::Commit)
    }

    /// Leads ports to a pod. Blocking: less than a millisecond.
    ///
    /// # Errors
    /// See [`RulesError`]; nothing was changed then, except perhaps that old UDP connections are still tracked.
    pub fn add(&self, pod: Ipv4Addr, ports: &[HostPort]) -> Result<(), RulesError> {
        self.with(|socket| {
            let mut batch = Batch::new();
            let mut table = batch.table(&id());
            for (set, elements) in elements(pod, ports) {
                table.add_elements(set, elements);
            }
            socket.commit(&batch).map_err(RulesError::Commit)?;
            // A client that kept sending while nobody answered is tracked as talking to the node.
            forget(socket, |flow| {
                let (to, answers) = (flow.original.destination, flow.reply.source);
                let here = |port: &HostPort| port.is_everywhere() || port.address == to.ip();
                let udp = ports.iter().filter(|port| port.protocol == Protocol::Udp);
                answers == to && udp.into_iter().any(|port| port.port == to.port() && here(port))
            })
        })
    }

    /// Takes the rules of a pod away, and what is tracked of its UDP connections. Blocking.
    ///
    /// # Errors
    /// See [`RulesError`].
    pub fn remove(&self, pod: Ipv4Addr, ports: &[HostPort]) -> Result<(), RulesError> {
        self.with(|socket| {
            let mut batch = Batch::new();
            let mut table = batch.table(&id());
            for (set, elements) in elements(pod, ports) {
                table.delete_elements(set, elements);
            }
            socket.commit(&batch).map_err(RulesError::Commit)?;
            forget(socket, |flow| {
                flow.reply.source.ip() == IpAddr::V4(pod) && flow.original.destination != flow.reply.source
            })
        })
    }

    fn with(&self, f: impl FnOnce(&mut Socket) -> Result<(), RulesError>) -> Result<(), RulesError> {
        let mut slot = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = match slot.as_mut() {
            Some(socket) => socket,
            None => {
                let opened = self.namespace.run(Socket::open).map_err(RulesError::Enter)?;
                let mut opened = opened.map_err(RulesError::Open)?;
                opened.commit(&layout()).map_err(RulesError::Commit)?;
                slot.insert(opened)
            }
        };
        // A socket belongs to the network that it was opened in, wherever it is used.
        f(socket)
    }
}

fn id() -> TableId {
    TableId::new(Family::Ip, TABLE)
}

/// The protocol's number in an IP header.
fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

fn forget(socket: &mut Socket, which: impl Fn(&Flow) -> bool) -> Result<(), RulesError> {
    let flows = socket.flows(Family::Ip, number(Protocol::Udp)).map_err(RulesError::Flows)?;
    for flow in flows.iter().filter(|flow| which(flow)) {
        if let Err(error) = socket.delete_flow(flow) {
            tracing::warn!(%error, "cannot forget a connection that came before its host port");
        }
    }
    Ok(())
}

/// The pod's elements, by set.
fn elements(pod: Ipv4Addr, ports: &[HostPort]) -> Vec<(&'static str, Vec<Element>)> {
    let address = Value::new().address(pod.into());
    let target = |port: &HostPort| address.clone().port(port.target);
    let key = |value: Value, port: &HostPort| value.protocol(number(port.protocol)).port(port.port);
    let own = |port: &&HostPort| port.address.is_ipv4() && !port.is_everywhere();
    let by_address = ports.iter().filter(own);
    let by_address = by_address.map(|port| Element::map(key(Value::new().address(port.address), port), target(port)));
    let by_port = ports.iter().filter(|port| port.is_everywhere());
    let by_port = by_port.map(|port| Element::map(key(Value::new(), port), target(port)));
    vec![
        (BY_ADDRESS, by_address.collect()),
        (BY_PORT, by_port.collect()),
        (HAIRPIN, vec![Element::new(address.clone().address(pod.into()))]),
        (PODS, vec![Element::new(address)]),
    ]
}

/// Everything but the pods, in place of what an earlier agent left.
fn layout() -> Batch {
    let mut batch = Batch::new();
    let table = Table::new(id()).comment("host ports of Portolan's pods");
    let end = [Field::Ipv4, Field::Port];
    batch
        .table(&id())
        .add_table()
        .delete_table()
        .declare(table)
        .add_set(Set::map(BY_ADDRESS, &[Field::Ipv4, Field::Protocol, Field::Port], &end))
        .add_set(Set::map(BY_PORT, &[Field::Protocol, Field::Port], &end))
        .add_set(Set::new(HAIRPIN, &[Field::Ipv4, Field::Ipv4]))
        .add_set(Set::new(PODS, &[Field::Ipv4]))
        .add_chain(Chain::base("guard", ChainType::Filter, Hook::Prerouting, -300))
        .add_rule("guard", strange_loopback());
    for (chain, hook) in [("prerouting", Hook::Prerouting), ("output", Hook::Output)] {
        batch
            .table(&id())
            .add_chain(Chain::base(chain, ChainType::Nat, hook, -100))
            .add_rule(chain, to_address())
            .add_rule(chain, to_node());
    }
    batch
        .table(&id())
        .add_chain(Chain::base("postrouting", ChainType::Nat, Hook::Postrouting, 100))
        .add_rule("postrouting", to_itself())
        .add_rule("postrouting", from_loopback());
    batch
}

fn to_address() -> Rule {
    vec![
        Expr::daddr(Family::Ip, R0),
        Expr::Meta(Meta::L4Proto, R1),
        Expr::dport(R2),
        Expr::load(BY_ADDRESS, R0, R0),
        TRANSLATE,
    ]
}

fn to_node() -> Rule {
    vec![
        Expr::Fib(FibOf::Destination, R0),
        Expr::Cmp(Compare::Equal, R0, Value::new().number(FIB_LOCAL)),
        Expr::Meta(Meta::L4Proto, R0),
        Expr::dport(R1),
        Expr::load(BY_PORT, R0, R0),
        TRANSLATE,
    ]
}

fn to_itself() -> Rule {
    vec![Expr::saddr(Family::Ip, R0), Expr::daddr(Family::Ip, R1), Expr::is_in(HAIRPIN, R0), MASQUERADE]
}

fn from_loopback() -> Rule {
    let mut rule = vec![Expr::saddr(Family::Ip, R0)];
    rule.extend(is_loopback());
    rule.extend([Expr::daddr(Family::Ip, R0), Expr::is_in(PODS, R0), MASQUERADE]);
    rule
}

fn strange_loopback() -> Rule {
    let mut lo = [0; 16];
    lo[..2].copy_from_slice(b"lo");
    let mut rule = vec![
        Expr::Meta(Meta::InputName, R0),
        Expr::Cmp(Compare::NotEqual, R0, Value::from_bytes(lo)),
        Expr::daddr(Family::Ip, R0),
    ];
    rule.extend(is_loopback());
    rule.push(Expr::Verdict(Verdict::Drop));
    rule
}

/// Goes on if the address in the first register is one of 127.0.0.0/8.
fn is_loopback() -> [Expr; 2] {
    let (mask, xor) = (Value::from_bytes([255, 0, 0, 0]), Value::from_bytes([0; 4]));
    [Expr::Bitwise { from: R0, to: R0, mask, xor }, Expr::Cmp(Compare::Equal, R0, Value::from_bytes([127, 0, 0, 0]))]
}

const TRANSLATE: Expr =
    Expr::Nat { nat: Nat::Destination, family: Family::Ip, address: Some(R0), port: Some(R1), flags: 0 };
const MASQUERADE: Expr = Expr::Masquerade { flags: FULLY_RANDOM };
