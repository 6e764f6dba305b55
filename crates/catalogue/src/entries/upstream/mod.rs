//! What Kubernetes says and Portolan does not: neighbours of the Service network that operators meet beside it.

mod allocation;
mod containers;
mod node_life;
mod nodes;
mod proxies;
mod sandboxes;
mod workloads;

use crate::Entry;

/// All of them.
pub(super) const GROUPS: &[&[Entry]] = &[
    containers::ENTRIES,
    sandboxes::ENTRIES,
    node_life::ENTRIES,
    nodes::ENTRIES,
    proxies::ENTRIES,
    allocation::ENTRIES,
    workloads::ENTRIES,
];
