//! What the edge's nftables table looks like, and which elements one balancer has in it. Pure.
//!
//! The chains are the same for any number of balancers; all that is theirs are elements:
//!
//! | set | kind | filled with |
//! |---|---|---|
//! | `svc` | map K -> verdict | every port: `goto pick-n` for n healthy nodes, `goto refuse` for none |
//! | `slots` | map K . slot -> address . port | the healthy nodes and their node port, slots 0..n-1 |
//! | `guarded` | set K | ports with source ranges |
//! | `allow` | set K . source range | those ranges |
//!
//! K is address . protocol . port. There is no source translation: the edge is the nodes' gateway, so answers come back
//! through it and the pods see the client's own address.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;
use portolan_nftables::{
    Batch, Chain, ChainType, Counting, Element, Expr, Family, Field, Hook, Meta, Nat, Reg, Reject, Rule, Set, TableId,
    Value, Verdict,
};
use portolan_objects::Protocol;

use crate::{LoadBalancer, Port};

/// Slot counts whose chains are made with the table; larger ones are made when first needed.
pub(super) const READY_CHAINS: u32 = 16;

const K: [Field; 3] = [Field::Ipv4, Field::Protocol, Field::Port];
/// Registers of K, and the one behind it.
const R: [Reg; 4] = [Reg(0), Reg(1), Reg(2), Reg(3)];
const DNAT_PRIORITY: i32 = -100;

/// The elements of one balancer, each with its set.
pub(super) type Elements = BTreeSet<(&'static str, Element)>;

pub(super) fn table() -> TableId {
    TableId::new(Family::Ip, "portolan-edge")
}

/// The whole table without elements; whatever had its name before is gone afterwards.
pub(super) fn base() -> Batch {
    let mut batch = Batch::new();
    let mut table = batch.table(&table());
    table.add_table().delete_table().add_table();
    table
        .add_set(Set::verdicts("svc", &K))
        .add_set(Set::map("slots", &[K[0], K[1], K[2], Field::Number], &[Field::Ipv4, Field::Port]))
        .add_set(Set::new("guarded", &K))
        .add_set(Set::new("allow", &[K[0], K[1], K[2], Field::Ipv4]).interval());
    table.add_chain(Chain::new("refuse").comment("no healthy node"));
    table.add_rule(
        "refuse",
        vec![
            Expr::Meta(Meta::L4Proto, R[0]),
            Expr::Cmp(portolan_nftables::Compare::Equal, R[0], Value::new().protocol(6)),
            Expr::Reject(Reject::TcpReset),
        ],
    );
    table.add_rule("refuse", vec![Expr::Reject(Reject::PortUnreachable(Family::Ip))]);
    table.add_chain(Chain::new("balancers").comment("first packet of every connection"));
    table.add_rule("balancers", guard());
    // Twice: some kernels can miss an element while it is being replaced, and a missed balancer would be a refusal.
    table.add_rule("balancers", dispatch());
    table.add_rule("balancers", dispatch());
    table
        .add_chain(Chain::base("prerouting", ChainType::Nat, Hook::Prerouting, DNAT_PRIORITY))
        .add_rule("prerouting", vec![Expr::jump("balancers")])
        .add_chain(Chain::base("output", ChainType::Nat, Hook::Output, DNAT_PRIORITY))
        .add_rule("output", vec![Expr::jump("balancers")]);
    (1..=READY_CHAINS).for_each(|count| add_pick(&mut batch, count));
    batch
}

/// The chain that chooses among `count` slots.
pub(super) fn add_pick(batch: &mut Batch, count: u32) {
    let name = pick(count);
    let mut choose = key();
    choose.extend([
        Expr::Numgen { to: R[3], modulus: count, offset: 0, counting: Counting::Random },
        Expr::load("slots", R[0], R[0]),
        Expr::Nat { nat: Nat::Destination, family: Family::Ip, address: Some(R[0]), port: Some(R[1]), flags: 0 },
    ]);
    // A packet may have read `svc` before and `slots` after a change. Slot 0 exists as long as any does; failing that,
    // the sender's retransmission starts clean.
    let missed = if count == 1 { Expr::Verdict(Verdict::Drop) } else { Expr::goto(pick(1)) };
    batch
        .table(&table())
        .add_chain(Chain::new(name.as_str()))
        .add_rule(name.as_str(), choose)
        .add_rule(name.as_str(), vec![Expr::Counter, missed]);
}

fn pick(count: u32) -> String {
    format!("pick-{count}")
}

fn key() -> Rule {
    vec![Expr::daddr(Family::Ip, R[0]), Expr::Meta(Meta::L4Proto, R[1]), Expr::dport(R[2])]
}

fn dispatch() -> Rule {
    let mut rule = key();
    rule.push(Expr::follow("svc", R[0]));
    rule
}

fn guard() -> Rule {
    let mut rule = key();
    rule.extend([
        Expr::is_in("guarded", R[0]),
        Expr::saddr(Family::Ip, R[3]),
        Expr::not_in("allow", R[0]),
        Expr::Verdict(Verdict::Drop),
    ]);
    rule
}

/// How many of a balancer's nodes are in its slots: the chain that its elements need.
pub(super) fn slots(wanted: &LoadBalancer, healthy: &impl Fn(Ipv4Addr) -> bool) -> u32 {
    targets(wanted, healthy).count() as u32
}

fn targets<'a>(
    wanted: &'a LoadBalancer,
    healthy: &'a impl Fn(Ipv4Addr) -> bool,
) -> impl Iterator<Item = Ipv4Addr> + 'a {
    let addresses = wanted.nodes.iter().filter_map(|node| match node.address {
        Some(IpAddr::V4(address)) => Some(address),
        _ => None,
    });
    addresses.filter(|address| healthy(*address))
}

/// The elements of a balancer on `address` whose node addresses are healthy or not.
pub(super) fn elements(wanted: &LoadBalancer, address: Ipv4Addr, healthy: &impl Fn(Ipv4Addr) -> bool) -> Elements {
    let mut elements = Elements::new();
    for port in &wanted.ports {
        let Some(protocol) = number(port.protocol) else { continue };
        let key = || Value::new().address(address.into()).protocol(protocol).port(port.port);
        add_slots(&mut elements, wanted, port, &key, healthy);
        add_ranges(&mut elements, &wanted.source_ranges, &key);
    }
    elements
}

fn add_slots(
    elements: &mut Elements,
    wanted: &LoadBalancer,
    port: &Port,
    key: &impl Fn() -> Value,
    healthy: &impl Fn(Ipv4Addr) -> bool,
) {
    let mut count = 0;
    for node in targets(wanted, healthy) {
        let Some(node_port) = port.node_port else { break };
        let target = Value::new().address(node.into()).port(node_port);
        elements.insert(("slots", Element::map(key().number(count), target)));
        count += 1;
    }
    let verdict = if count == 0 { Verdict::goto("refuse") } else { Verdict::goto(pick(count)) };
    elements.insert(("svc", Element::map(key(), verdict)));
}

fn add_ranges(elements: &mut Elements, ranges: &[IpNet], key: &impl Fn() -> Value) {
    if ranges.is_empty() {
        return;
    }
    elements.insert(("guarded", Element::new(key())));
    // The kernel refuses ranges that overlap.
    for range in IpNet::aggregate(&ranges.to_vec()) {
        if range.addr().is_ipv4() {
            let (first, last) = (key().address(range.network()), key().address(range.broadcast()));
            elements.insert(("allow", Element::range(first, last)));
        }
    }
}

/// The transaction from one set of elements to another.
pub(super) fn change(from: &Elements, to: &Elements) -> Batch {
    let mut batch = Batch::new();
    let mut table = batch.table(&table());
    for (set, element) in from.difference(to) {
        let gone = Element { data: None, ..element.clone() };
        table.delete_elements(*set, vec![gone]);
    }
    for (set, element) in to.difference(from) {
        table.add_elements(*set, vec![element.clone()]);
    }
    batch
}

/// The IP protocol number, for the protocols that a local balancer carries.
pub(super) fn number(protocol: Protocol) -> Option<u8> {
    match protocol {
        Protocol::Tcp => Some(6),
        Protocol::Udp => Some(17),
        Protocol::Sctp => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use portolan_objects::ObjectKey;

    use super::*;
    use crate::{BalancerId, Node};

    fn balancer(nodes: u8, ranges: &[&str]) -> LoadBalancer {
        let node = |number| Node {
            name: format!("node-{number}"),
            address: Some(IpAddr::from([172, 30, 0, 10 + number])),
            provider_id: None,
        };
        LoadBalancer {
            id: BalancerId { service: ObjectKey::new("shop", "web"), uid: "1".into() },
            ports: vec![Port { name: String::new(), protocol: Protocol::Tcp, port: 80, node_port: Some(30080) }],
            requested: None,
            published: Vec::new(),
            source_ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
            health_check_port: None,
            nodes: (1..=nodes).map(node).collect(),
        }
    }

    const VIP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

    fn verdict(elements: &Elements) -> Verdict {
        match elements.iter().find(|(set, _)| *set == "svc").unwrap().1.data.clone().unwrap() {
            portolan_nftables::Data::Verdict(verdict) => verdict,
            other => panic!("svc holds {other:?}"),
        }
    }

    #[test]
    fn healthy_nodes_fill_the_slots_and_none_means_refuse() {
        let three = balancer(3, &[]);
        let all = elements(&three, VIP, &|_| true);
        assert_eq!(verdict(&all), Verdict::goto("pick-3"));
        assert_eq!(all.iter().filter(|(set, _)| *set == "slots").count(), 3);
        let one = elements(&three, VIP, &|node| node.octets()[3] == 12);
        assert_eq!(verdict(&one), Verdict::goto("pick-1"));
        let none = elements(&three, VIP, &|_| false);
        assert_eq!(verdict(&none), Verdict::goto("refuse"));
        assert_eq!(none.len(), 1);
    }

    #[test]
    fn a_change_costs_what_changed_and_nothing_costs_nothing() {
        let three = balancer(3, &["198.51.100.0/24", "198.51.100.7/32"]);
        let all = elements(&three, VIP, &|_| true);
        assert!(change(&all, &all).is_empty());
        let two = elements(&three, VIP, &|node| node.octets()[3] != 13);
        // The last slot goes, and the verdict is replaced.
        assert_eq!(change(&all, &two).elements(), 3);
        assert_eq!(change(&all, &Elements::new()).elements(), all.len());
        assert_eq!(all.iter().filter(|(set, _)| *set == "allow").count(), 1, "ranges inside others are joined");
    }

    #[test]
    fn without_node_ports_or_with_another_protocol_nothing_is_balanced() {
        let mut closed = balancer(2, &[]);
        closed.ports[0].node_port = None;
        assert_eq!(verdict(&elements(&closed, VIP, &|_| true)), Verdict::goto("refuse"));
        closed.ports[0].protocol = Protocol::Sctp;
        assert!(elements(&closed, VIP, &|_| true).is_empty());
    }
}
