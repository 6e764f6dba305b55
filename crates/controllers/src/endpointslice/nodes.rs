//! The nodes: which exist, in which zone, and how the cluster's CPU is spread over the zones.
//!
//! Upstream: `endpointslice/topologycache/topologycache.go` (`SetNodes`) and `endpointslice_controller.go`
//! (`updateNode`), whose rule it is that the shares are only computed anew when a node comes, goes, becomes ready or
//! not, or moves to another zone.

use std::collections::{BTreeMap, HashMap, HashSet};

use k8s_openapi::{
    api::core::v1 as core,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use portolan_objects::{labels, quantity};
use portolan_runtime::Change;
use serde::Deserialize;

use crate::backends::{
    Watched,
    watched::{Facts, Metadata},
};

/// Nodes with one of these labels run the control plane; their CPU does not count.
const EXCLUDED: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// Each zone's share of the CPU of the nodes that count.
pub(crate) type Shares = BTreeMap<Box<str>, f64>;

/// What this controller reads of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    name: Box<str>,
    zone: Option<Box<str>>,
    ready: bool,
    excluded: bool,
    /// Allocatable, in thousandths.
    cpu: u64,
}

/// All nodes.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    nodes: HashMap<Box<str>, Node>,
    shares: Option<Shares>,
}

/// What a change of nodes means for Services.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Names of nodes that did not exist before.
    pub(crate) appeared: Vec<Box<str>>,
    /// The shares may have changed.
    pub(crate) shares: bool,
}

impl Nodes {
    pub(crate) fn changed(&mut self, change: Change<Watched<Node>>) -> News {
        let mut news = News::default();
        match change {
            Change::Apply(node) => self.put(node.facts, &mut news),
            Change::Delete(node) => news.shares = self.nodes.remove(&node.facts.name).is_some(),
            Change::Reset(nodes) => {
                let names: HashSet<Box<str>> = nodes.iter().map(|node| node.facts.name.clone()).collect();
                let before = self.nodes.len();
                self.nodes.retain(|name, _| names.contains(name));
                news.shares = self.nodes.len() < before;
                nodes.into_iter().for_each(|node| self.put(node.facts, &mut news));
            }
        }
        if news.shares {
            self.shares = shares(self.nodes.values());
        }
        news
    }

    /// The zone of a node, if it has one; `None` if there is no such node.
    pub(crate) fn zone(&self, node: &str) -> Option<Option<&str>> {
        self.nodes.get(node).map(|node| node.zone.as_deref())
    }

    /// Each zone's share of the CPU; `None` if the nodes do not say enough.
    pub(crate) fn shares(&self) -> Option<&Shares> {
        self.shares.as_ref()
    }

    fn put(&mut self, node: Node, news: &mut News) {
        match self.nodes.get(&node.name) {
            None => {
                news.appeared.push(node.name.clone());
                news.shares = true;
            }
            Some(before) => news.shares |= (before.ready, &before.zone) != (node.ready, &node.zone),
        }
        self.nodes.insert(node.name.clone(), node);
    }
}

/// One node that counts and does not say its zone or its CPU makes all shares worthless.
fn shares<'a>(nodes: impl Iterator<Item = &'a Node>) -> Option<Shares> {
    let mut zones: BTreeMap<Box<str>, u64> = BTreeMap::new();
    let mut total = 0_u64;
    for node in nodes.filter(|node| !node.excluded && node.ready) {
        let zone = node.zone.as_ref().filter(|_| node.cpu > 0)?;
        let sum = zones.entry(zone.clone()).or_default();
        *sum = sum.saturating_add(node.cpu);
        total = total.saturating_add(node.cpu);
    }
    // Amounts of CPU are far below what a float holds exactly.
    #[expect(clippy::cast_precision_loss)]
    let share = |cpu: u64| cpu as f64 / total as f64;
    (zones.len() >= 2).then(|| zones.into_iter().map(|(zone, cpu)| (zone, share(cpu))).collect())
}

/// The fields of a Node that are parsed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawNode {
    metadata: Metadata,
    status: Option<RawStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawStatus {
    allocatable: Option<Allocatable>,
    conditions: Option<Vec<RawCondition>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Allocatable {
    cpu: Option<Quantity>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl Facts for Node {
    type Kind = core::Node;
    type Raw = RawNode;

    fn split(raw: RawNode) -> (ObjectMeta, Self) {
        let revision = raw.metadata.revision();
        let status = raw.status.unwrap_or_default();
        let set = raw.metadata.labels.unwrap_or_default();
        let ready = status.conditions.into_iter().flatten().find(|condition| condition.kind == "Ready");
        let cpu = status.allocatable.and_then(|allocatable| allocatable.cpu);
        let node = Self {
            name: raw.metadata.name.unwrap_or_default().into(),
            zone: set.get(labels::ZONE).filter(|zone| !zone.is_empty()).map(|zone| zone.as_str().into()),
            ready: ready.is_some_and(|condition| condition.status == "True"),
            excluded: EXCLUDED.iter().any(|label| set.contains_key(*label)),
            cpu: cpu.and_then(|Quantity(text)| quantity::milli(&text)).unwrap_or_default(),
        };
        (revision, node)
    }
}

#[cfg(test)]
mod tests;
