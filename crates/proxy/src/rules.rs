//! The rules of the constant-chain ruleset as expressions. Pure; one [`Shape`] per address family.
//!
//! Notation of `docs/`: `K` is address . protocol . port of a packet, `Z` the same with the zero address (node ports),
//! `GO` looks a number up in a map and follows the verdict that another map has for it. The number passes through the
//! packet priority, because the `nft` program cannot list a rule that uses one map's result as another map's key.

use std::{net::IpAddr, time::Duration};

use portolan_nftables::{
    Compare, Counting, Ct, Expr, FIB_LOCAL, FULLY_RANDOM, Family, FibOf, Meta, Nat, Reg, Reject, Rule, STATUS_DNAT,
    SetOp, Value, Verdict,
};

use crate::sets::SetId;

/// First slot of a local list.
pub(crate) const LOCAL_SLOTS: u32 = 32_768;

/// Which key a chain is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// The packet's own destination address.
    Address,
    /// The zero address: a node port.
    NodePort,
}

/// Register layout of one address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) family: Family,
}

const R0: Reg = Reg(0);

impl Shape {
    /// Registers that an address takes.
    fn words(self) -> u8 {
        if self.family == Family::Ip6 { 4 } else { 1 }
    }

    fn zero(self) -> Value {
        Value::from_bytes(vec![0; usize::from(self.words()) * 4])
    }

    /// Loads `K` or `Z` from register `at` on; the next free register is `at + words + 2`.
    fn key(self, flavour: Flavour, at: u8) -> Vec<Expr> {
        let address = match flavour {
            Flavour::Address => Expr::daddr(self.family, Reg(at)),
            Flavour::NodePort => Expr::Immediate(Reg(at), self.zero()),
        };
        vec![address, Expr::Meta(Meta::L4Proto, Reg(at + self.words())), Expr::dport(Reg(at + self.words() + 1))]
    }

    /// `meta priority set K map @map meta priority vmap @verdicts`.
    pub(crate) fn go(self, flavour: Flavour, map: SetId, verdicts: SetId) -> Rule {
        let mut rule = self.key(flavour, 0);
        rule.extend([
            Expr::load(map.name(), R0, R0),
            Expr::SetMeta(Meta::Priority, R0),
            Expr::Meta(Meta::Priority, R0),
            Expr::follow(verdicts.name(), R0),
        ]);
        rule
    }

    /// Goes on only for packets whose source is neither a pod nor this node.
    pub(crate) fn outside(self, detector: bool) -> Rule {
        let mut rule = if detector { self.not_a_pod() } else { Vec::new() };
        rule.extend([Expr::Fib(FibOf::Source, R0), local(Compare::NotEqual)]);
        rule
    }

    fn not_a_pod(self) -> Rule {
        vec![Expr::saddr(self.family, R0), Expr::not_in(SetId::PodCidrs.name(), R0)]
    }

    /// Node ports: any address of this node except loopback.
    pub(crate) fn to_node(self) -> Rule {
        let mut rule = vec![Expr::Fib(FibOf::Destination, R0), local(Compare::Equal), Expr::daddr(self.family, R0)];
        if self.family == Family::Ip6 {
            let loopback = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
            rule.push(Expr::Cmp(Compare::NotEqual, R0, Value::new().address(loopback)));
        } else {
            let mask = Value::from_bytes([255, 0, 0, 0]);
            rule.push(Expr::Bitwise { from: R0, to: R0, mask, xor: self.zero() });
            rule.push(Expr::Cmp(Compare::NotEqual, R0, Value::from_bytes([127, 0, 0, 0])));
        }
        rule
    }

    /// Node ports, where only some addresses were asked for.
    pub(crate) fn to_listed_node_address(self) -> Rule {
        vec![
            Expr::daddr(self.family, R0),
            Expr::is_in(SetId::NodePortIps.name(), R0),
            Expr::Fib(FibOf::Destination, R0),
            local(Compare::Equal),
        ]
    }

    /// Remembers the destination as one of this node's addresses, for masquerading.
    pub(crate) fn learn(self) -> Rule {
        let set = SetId::NodePortIps.name().to_owned();
        vec![Expr::daddr(self.family, R0), Expr::Dynset { op: SetOp::Update, set, key: R0, data: None, timeout: None }]
    }

    /// Goes on for a destination in the set.
    pub(crate) fn to_any_of(self, set: SetId) -> Rule {
        vec![Expr::daddr(self.family, R0), Expr::is_in(set.name(), R0)]
    }

    /// Drops sources that the Service does not allow.
    pub(crate) fn not_allowed(self) -> Rule {
        let mut rule = self.key(Flavour::Address, 0);
        rule.extend([
            Expr::saddr(self.family, Reg(self.words() + 2)),
            Expr::not_in(SetId::LbAllow.name(), R0),
            Expr::Verdict(Verdict::Drop),
        ]);
        rule
    }

    /// A TCP reset; a second rule handles the other protocols.
    pub(crate) fn reset() -> Rule {
        const TCP: u8 = 6;
        vec![
            Expr::Meta(Meta::L4Proto, R0),
            Expr::Cmp(Compare::Equal, R0, Value::from_bytes([TCP])),
            Expr::Reject(Reject::TcpReset),
        ]
    }

    /// ICMP port unreachable.
    pub(crate) fn unreachable(self) -> Rule {
        vec![Expr::Reject(Reject::PortUnreachable(self.family))]
    }

    /// Only packets whose destination was translated.
    pub(crate) fn translated() -> Rule {
        let number = |n| Value::new().number(n);
        vec![
            Expr::Ct(Ct::Status, R0),
            Expr::Bitwise { from: R0, to: R0, mask: number(STATUS_DNAT), xor: number(0) },
            Expr::Cmp(Compare::NotEqual, R0, number(0)),
        ]
    }

    /// An endpoint that talks to itself.
    pub(crate) fn hairpin(self) -> Rule {
        let words = self.words();
        vec![
            Expr::saddr(self.family, R0),
            Expr::daddr(self.family, Reg(words)),
            Expr::Meta(Meta::L4Proto, Reg(2 * words)),
            Expr::dport(Reg(2 * words + 1)),
            Expr::is_in(SetId::Hairpin.name(), R0),
            MASQUERADE,
        ]
    }

    /// Anything to a cluster address, or only what does not come from a pod.
    pub(crate) fn masquerade_cluster(self, all: bool) -> Rule {
        let mut rule = if all { Vec::new() } else { self.not_a_pod() };
        rule.extend([self.original_address(), Expr::is_in(SetId::ClusterIps.name(), R0), MASQUERADE]);
        rule
    }

    /// Connections to an external key in `set`; `host` limits it to those that this node began.
    pub(crate) fn masquerade_external(self, flavour: Flavour, set: SetId, host: bool) -> Rule {
        let mut rule = Vec::new();
        if host {
            rule.extend([Expr::Fib(FibOf::Source, R0), local(Compare::Equal)]);
        }
        rule.push(self.original_address());
        if flavour == Flavour::NodePort {
            rule.push(Expr::is_in(SetId::NodePortIps.name(), R0));
            rule.push(Expr::Immediate(R0, self.zero()));
        }
        rule.extend([
            Expr::Meta(Meta::L4Proto, Reg(self.words())),
            Expr::Ct(Ct::OriginalPort, Reg(self.words() + 1)),
            Expr::is_in(set.name(), R0),
            MASQUERADE,
        ]);
        rule
    }

    fn original_address(self) -> Expr {
        let key = if self.family == Family::Ip6 { Ct::OriginalDestination6 } else { Ct::OriginalDestination };
        Expr::Ct(key, R0)
    }

    /// One endpoint of `count` at random. Clears the scratch first: `nat` ends the rule.
    pub(crate) fn pick(self, flavour: Flavour, count: u32, local: bool) -> Rule {
        let mut rule = vec![Expr::Immediate(R0, Value::new().number(0)), Expr::SetMeta(Meta::Priority, R0)];
        rule.extend(self.key(flavour, 0));
        rule.extend([self.any_slot(count, local), Expr::load(SetId::Ep.name(), R0, R0), self.translate()]);
        rule
    }

    fn any_slot(self, count: u32, local: bool) -> Expr {
        let offset = if local { LOCAL_SLOTS } else { 0 };
        let to = Reg(self.words() + 2);
        Expr::Numgen { to, modulus: count, offset, counting: Counting::Random }
    }

    fn translate(self) -> Expr {
        Expr::Nat {
            nat: Nat::Destination,
            family: self.family,
            address: Some(R0),
            port: Some(Reg(self.words())),
            flags: 0,
        }
    }

    /// A client that is remembered, with an endpoint that still exists.
    pub(crate) fn stick_again(self, flavour: Flavour, timeout: Duration, local: bool) -> Rule {
        let mut rule = self.client(flavour);
        rule.extend([Expr::load(SetId::Aff.name(), R0, R0), Expr::SetMeta(Meta::Priority, R0)]);
        rule.extend(self.remember(flavour, timeout, false));
        rule.extend(self.to_remembered(flavour, local));
        rule
    }

    /// A new client, or one whose endpoint is gone.
    pub(crate) fn stick_new(self, flavour: Flavour, timeout: Duration, count: u32, local: bool) -> Rule {
        let mut rule = self.key(flavour, 0);
        rule.extend([
            self.any_slot(count, local),
            Expr::load(SetId::AffPick.name(), R0, R0),
            Expr::SetMeta(Meta::Priority, R0),
        ]);
        rule.extend(self.remember(flavour, timeout, true));
        rule.extend(self.to_remembered(flavour, local));
        rule
    }

    /// Client address and key from register 0 on.
    fn client(self, flavour: Flavour) -> Rule {
        let mut rule = vec![Expr::saddr(self.family, R0)];
        rule.extend(self.key(flavour, self.words()));
        rule
    }

    /// Stores the endpoint in the scratch for the client. An update alone would keep a stale endpoint.
    fn remember(self, flavour: Flavour, timeout: Duration, replace: bool) -> Rule {
        let id = Reg(2 * self.words() + 2);
        let change = |op| Expr::Dynset {
            op,
            set: SetId::Aff.name().to_owned(),
            key: R0,
            data: Some(id),
            timeout: Some(timeout),
        };
        let mut rule = self.client(flavour);
        rule.push(Expr::Meta(Meta::Priority, id));
        if replace {
            rule.push(change(SetOp::Delete));
        }
        rule.push(change(SetOp::Update));
        rule
    }

    /// To the endpoint in the scratch, if it is still one.
    fn to_remembered(self, flavour: Flavour, local: bool) -> Rule {
        let map = if local { SetId::AffEpLocal } else { SetId::AffEp };
        let clear = Reg(self.words() + 3);
        let mut rule = self.key(flavour, 0);
        rule.extend([
            Expr::Meta(Meta::Priority, Reg(self.words() + 2)),
            Expr::load(map.name(), R0, R0),
            Expr::Immediate(clear, Value::new().number(0)),
            Expr::SetMeta(Meta::Priority, clear),
            self.translate(),
        ]);
        rule
    }
}

const MASQUERADE: Expr = Expr::Masquerade { flags: FULLY_RANDOM };

fn local(compare: Compare) -> Expr {
    Expr::Cmp(compare, R0, Value::new().number(FIB_LOCAL))
}

/// A rule that continues with a verdict.
pub(crate) fn then(mut rule: Rule, verdict: Verdict) -> Rule {
    rule.push(Expr::Verdict(verdict));
    rule
}

/// One rule after another in one list of expressions.
pub(crate) fn both(mut first: Rule, second: Rule) -> Rule {
    first.extend(second);
    first
}
