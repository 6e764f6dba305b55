//! Packets that do not get through: a table of its own in the network of a node or of the edge.
//!
//! Its chains hang where a filter's do, so they see packets as they are behind the proxy's translation of the destination.
//! The table is replaced as a whole, and gone when nothing is wrong.

use anyhow::{Context, Result};
use portolan_lab::fault::{NetworkFault, PacketAction, Transport};
use portolan_netns::Namespace;
use portolan_nftables::{
    Batch, Chain, ChainType, Compare, Expr, Family, Hook, Meta, Reg, Reject, Rule, Socket, Table, TableId, Value,
    Verdict,
};

const TABLE: &str = "portolan-lab";
const HOOKS: [(&str, Hook); 3] = [("input", Hook::Input), ("forward", Hook::Forward), ("output", Hook::Output)];

/// Makes these faults, and no others, true in the network. Blocking: a transaction.
pub fn apply(namespace: &Namespace, faults: &[NetworkFault]) -> Result<()> {
    let mut socket = namespace.run(Socket::open).context("cannot enter the network")??;
    socket.commit(&table(faults)).context("cannot change the rules")
}

fn table(faults: &[NetworkFault]) -> Batch {
    let mut batch = Batch::new();
    let id = TableId::new(Family::Ip, TABLE);
    let mut table = batch.table(&id);
    // It can only be deleted if it is there.
    table.add_table().delete_table();
    if !faults.is_empty() {
        table.declare(Table::new(id.clone()).comment("faults of the network, switched by a list"));
        for (chain, hook) in HOOKS {
            table.add_chain(Chain::base(chain, ChainType::Filter, hook, 0));
            for rule in faults.iter().flat_map(rules) {
                table.add_rule(chain, rule);
            }
        }
    }
    batch
}

/// The rules of one fault.
fn rules(fault: &NetworkFault) -> Vec<Rule> {
    let protocols = match (fault.protocol, fault.to_port, fault.action) {
        (Some(protocol), ..) => vec![Some(protocol)],
        // Ports are of these two.
        (None, Some(_), _) => vec![Some(Transport::Tcp), Some(Transport::Udp)],
        // TCP is refused in its own way, everything else by ICMP.
        (None, None, PacketAction::Reject) => vec![Some(Transport::Tcp), None],
        (None, None, PacketAction::Drop) => vec![None],
    };
    let rule = |protocol: Option<Transport>| {
        let mut rule = Rule::new();
        if let Some(protocol) = protocol {
            rule.push(Expr::Meta(Meta::L4Proto, Reg(0)));
            rule.push(Expr::Cmp(Compare::Equal, Reg(0), Value::new().protocol(number(protocol))));
        }
        if let Some(address) = fault.to_address {
            rule.push(Expr::daddr(Family::Ip, Reg(0)));
            rule.push(Expr::Cmp(Compare::Equal, Reg(0), Value::new().address(address)));
        }
        if let Some(port) = fault.to_port {
            rule.push(Expr::dport(Reg(0)));
            rule.push(Expr::Cmp(Compare::Equal, Reg(0), Value::new().port(port)));
        }
        rule.push(Expr::Counter);
        rule.push(match (fault.action, protocol) {
            (PacketAction::Drop, _) => Expr::Verdict(Verdict::Drop),
            (PacketAction::Reject, Some(Transport::Tcp)) => Expr::Reject(Reject::TcpReset),
            (PacketAction::Reject, _) => Expr::Reject(Reject::PortUnreachable(Family::Ip)),
        });
        rule
    };
    protocols.into_iter().map(rule).collect()
}

/// The protocol's number in an IP header.
const fn number(protocol: Transport) -> u8 {
    match protocol {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    }
}
