//! How fast nodes are given up: the more of a zone fail, the likelier it is that the network failed and not they.
//!
//! All zones lost: nobody is given up. Most of a zone lost: slowly, and in a small zone not at all. Otherwise one node in ten
//! seconds. Pure but for the clock. Upstream: `handleDisruption` and `ComputeZoneState` of the node lifecycle controller.

use std::{collections::HashMap, time::Duration};

use k8s_openapi::api::core::v1::Node;
use tokio::time::Instant;

use super::health::{self, Ready};

/// Time between two nodes (`--node-eviction-rate` 0.1).
const USUAL: Duration = Duration::from_secs(10);
/// The same where most nodes are lost (`--secondary-node-eviction-rate` 0.01).
const SLOW: Duration = Duration::from_secs(100);
/// Above this many nodes it is slow, up to it nobody is given up (`--large-cluster-size-threshold`).
const LARGE: usize = 50;
/// "Most" (`--unhealthy-zone-threshold`), and at least three.
const MOST: f64 = 0.55;
/// Nodes with this label are not counted.
const EXCLUDED: &str = "node.kubernetes.io/exclude-disruption";

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    ready: usize,
    unready: usize,
}

/// The state of all zones.
#[derive(Debug, Default)]
pub(super) struct Zones {
    counts: HashMap<String, Count>,
    /// When each may give up the next node.
    next: HashMap<String, Instant>,
}

impl Zones {
    /// Counts anew. True if all was lost and is not any more.
    pub fn update<'a>(&mut self, nodes: impl Iterator<Item = &'a Node>) -> bool {
        let was_lost = self.is_all_lost();
        self.counts.clear();
        for node in nodes.filter(|node| label(node, EXCLUDED).is_none()) {
            let count = self.counts.entry(zone(node)).or_default();
            match health::ready(node) {
                Ready::True => count.ready += 1,
                _ => count.unready += 1,
            }
        }
        was_lost && !self.is_all_lost()
    }

    /// No node is ready anywhere.
    pub fn is_all_lost(&self) -> bool {
        !self.counts.is_empty() && self.counts.values().all(|count| count.ready == 0 && count.unready > 0)
    }

    /// How long until this node may be given up; zero takes the zone's turn. `None`: not as things are.
    pub fn turn(&mut self, node: &Node) -> Option<Duration> {
        let zone = zone(node);
        let count = self.counts.get(&zone).copied().unwrap_or_default();
        let (unready, all) = (count.unready, count.ready + count.unready);
        let mostly_lost = count.ready > 0 && unready > 2 && unready as f64 / all as f64 >= MOST;
        let pause = match mostly_lost {
            false => USUAL,
            true if all > LARGE => SLOW,
            true => return None,
        };
        let now = Instant::now();
        match self.next.get(&zone).filter(|next| **next > now) {
            Some(next) => Some(*next - now),
            None => {
                self.next.insert(zone, now + pause);
                Some(Duration::ZERO)
            }
        }
    }
}

fn label<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// Region and zone; the beta labels win where there are both, as upstream.
fn zone(node: &Node) -> String {
    let part = |kind: &str| {
        let beta = label(node, &format!("failure-domain.beta.kubernetes.io/{kind}"));
        beta.or_else(|| label(node, &format!("topology.kubernetes.io/{kind}"))).unwrap_or_default()
    };
    format!("{}:{}", part("region"), part("zone"))
}
