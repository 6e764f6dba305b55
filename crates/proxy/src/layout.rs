//! The constant part of the ruleset: table, sets, the fixed chains and their rules.
//!
//! A table is recognised after a restart by the fingerprint in its comment: same fingerprint, same rules, so only
//! elements can differ and the table is adopted without touching a packet. Anything else is replaced as a whole.

use std::hash::{Hash, Hasher};

use portolan_nftables::{Batch, Chain, ChainType, Expr, Family, Hook, Op, Table, TableId, Verdict};

use crate::{
    rules::{Flavour, Shape, both, then},
    sets::{self, SetId},
    targets,
};

/// What decides which rules there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) table: TableId,
    /// Sources can be told apart into pods and others.
    pub(crate) detector: bool,
    /// Also masquerade pods on their way to cluster addresses.
    pub(crate) masquerade_all: bool,
    /// Node ports only on listed addresses.
    pub(crate) listed_node_addresses: bool,
    /// The kernel has owned, persistent tables.
    pub(crate) owned: bool,
}

impl Layout {
    pub(crate) fn shape(&self) -> Shape {
        Shape { family: self.table.family }
    }

    fn family(&self) -> Family {
        self.table.family
    }

    /// The declaration that creates or adopts the table.
    pub(crate) fn declaration(&self) -> Table {
        let table = Table::new(self.table.clone()).comment(self.comment());
        if self.owned { table.owned() } else { table }
    }

    /// Comment of the table, with the fingerprint of everything that is constant.
    pub(crate) fn comment(&self) -> String {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        for batch in [self.foundation(), self.hooks()] {
            for (_, op) in batch.ops() {
                format!("{op:?}").hash(&mut hash);
            }
        }
        format!("portolan Service proxy, layout {:016x}", hash.finish())
    }

    /// Everything that no packet meets yet: sets, chains, rules, verdicts of the prepared targets.
    pub(crate) fn foundation(&self) -> Batch {
        let mut batch = Batch::new();
        let mut table = batch.table(&self.table);
        for set in sets::all() {
            table.add_set(set.declaration(self.family(), self.listed_node_addresses));
        }
        for (chain, comment) in [
            ("refuse", "a Service without endpoints"),
            ("etp", "traffic policy Local, or behind guard"),
            ("np-etp", "traffic policy Local, node port"),
            ("guard", "only sources in loadBalancerSourceRanges"),
            ("nodeports", "an address of this node"),
            ("cluster-ip-miss", "unknown port of a cluster address"),
            ("services", "all Service traffic begins here"),
            ("masq", "which translated connections need this node's address"),
        ] {
            table.add_chain(Chain::new(chain).comment(comment));
        }
        self.fixed_rules(&mut batch);
        for target in targets::prepared() {
            targets::add_chains(&mut batch, &self.table, self.shape(), target);
        }
        let mut table = batch.table(&self.table);
        for set in [SetId::Actions, SetId::ActionsNp, SetId::Leaf, SetId::LeafNp] {
            let verdicts = targets::prepared().flat_map(targets::verdicts);
            table.add_elements(set.name(), verdicts.filter(|(id, _)| *id == set).map(|(_, e)| e).collect());
        }
        batch
    }

    fn fixed_rules(&self, batch: &mut Batch) {
        use Flavour::{Address, NodePort};
        let shape = self.shape();
        let mut table = batch.table(&self.table);
        table
            .add_rule("refuse", Shape::reset())
            .add_rule("refuse", shape.unreachable())
            .add_rule("guard", shape.not_allowed())
            .add_rule("guard", vec![Expr::goto("etp")])
            // A second look: with two transactions in between, the first may have missed a key being replaced.
            .add_rule("cluster-ip-miss", shape.go(Address, SetId::Svc, SetId::Actions))
            .add_rule("cluster-ip-miss", vec![Expr::goto("refuse")]);
        for (chain, flavour, verdicts) in [("etp", Address, SetId::Leaf), ("np-etp", NodePort, SetId::LeafNp)] {
            let outside = shape.outside(self.detector);
            table
                .add_rule(chain, both(outside, shape.go(flavour, SetId::SvcOut, verdicts)))
                .add_rule(chain, shape.go(flavour, SetId::SvcIn, verdicts))
                // The Service lost its endpoints since the first look. A packet that went on would never be translated.
                .add_rule(chain, then(vec![Expr::Counter], Verdict::Drop));
        }
        if !self.listed_node_addresses {
            table.add_rule("nodeports", shape.learn());
        }
        let to_node = if self.listed_node_addresses { shape.to_listed_node_address() } else { shape.to_node() };
        table
            .add_rule("nodeports", shape.go(NodePort, SetId::Svc, SetId::ActionsNp))
            .add_rule("services", shape.go(Address, SetId::Svc, SetId::Actions))
            .add_rule("services", then(to_node, Verdict::jump("nodeports")))
            .add_rule("services", then(shape.to_any_of(SetId::ClusterIps), Verdict::goto("cluster-ip-miss")))
            .add_rule("services", then(shape.to_any_of(SetId::ServiceCidrs), Verdict::Drop));
        table.add_rule("masq", shape.hairpin());
        if self.detector || self.masquerade_all {
            table.add_rule("masq", shape.masquerade_cluster(self.masquerade_all));
        }
        for flavour in [Address, NodePort] {
            table
                .add_rule("masq", shape.masquerade_external(flavour, SetId::MasqAlways, false))
                .add_rule("masq", shape.masquerade_external(flavour, SetId::MasqHost, true));
        }
    }

    /// The base chains: from here on packets meet the rules. Last, so that a start in several transactions
    /// never shows them half a ruleset.
    pub(crate) fn hooks(&self) -> Batch {
        const DNAT: i32 = -100;
        const SNAT: i32 = 100;
        let mut batch = Batch::new();
        batch
            .table(&self.table)
            .add_chain(Chain::base("prerouting", ChainType::Nat, Hook::Prerouting, DNAT))
            .add_chain(Chain::base("output", ChainType::Nat, Hook::Output, DNAT))
            .add_chain(Chain::base("postrouting", ChainType::Nat, Hook::Postrouting, SNAT))
            .add_rule("prerouting", vec![Expr::jump("services")])
            .add_rule("output", vec![Expr::jump("services")])
            .add_rule("postrouting", then(Shape::translated(), Verdict::jump("masq")));
        batch
    }

    /// How many rules each fixed or prepared chain has: a cheap check that nobody took rules away.
    pub(crate) fn rule_counts(&self) -> std::collections::HashMap<String, usize> {
        let mut counts = std::collections::HashMap::new();
        for batch in [self.foundation(), self.hooks()] {
            for (_, op) in batch.ops() {
                if let Op::AddRule { chain, .. } = op {
                    *counts.entry(chain.clone()).or_default() += 1;
                }
            }
        }
        counts
    }
}

/// FNV-1a: the standard library does not promise that its hasher stays the same from one version to the next.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
