//! Which endpoints traffic may go to. Pure. Upstream: `pkg/proxy/topology.go`, `CategorizeEndpoints`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use crate::facts::{EndpointFacts, NodeFacts};

/// The choice for one port and family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    /// For traffic policy Cluster.
    pub(crate) main: BTreeSet<SocketAddr>,
    /// For traffic policy Local: on this node.
    pub(crate) local: BTreeSet<SocketAddr>,
    /// Those of both lists that run on this node.
    pub(crate) here: BTreeSet<SocketAddr>,
    /// Everything that answers: flows to anything else are stale.
    pub(crate) serving: BTreeSet<SocketAddr>,
}

/// Both policies take what is ready; only where nothing is ready, what still serves while it terminates.
pub(crate) fn choose<'a>(candidates: impl Iterator<Item = (SocketAddr, &'a EndpointFacts)>, node: &NodeFacts) -> Lists {
    // The same address twice, while a pod moves between slices: the one that is not terminating wins.
    let mut unique: BTreeMap<SocketAddr, &EndpointFacts> = BTreeMap::new();
    for (address, endpoint) in candidates {
        let known = unique.entry(address).or_insert(endpoint);
        if known.terminating && !endpoint.terminating {
            *known = endpoint;
        }
    }
    let is_local = |endpoint: &EndpointFacts| endpoint.node.as_deref() == Some(&node.name);
    let pick = |wanted: &dyn Fn(&EndpointFacts) -> bool| -> BTreeSet<SocketAddr> {
        unique.iter().filter(|(_, endpoint)| wanted(endpoint)).map(|(address, _)| *address).collect()
    };
    let leaving = |endpoint: &EndpointFacts| endpoint.serving && endpoint.terminating;
    let ready: Vec<&EndpointFacts> = unique.values().copied().filter(|endpoint| endpoint.ready).collect();
    let topology = topology(&ready, node);
    let mut main = pick(&|endpoint| endpoint.ready && topology(endpoint));
    if main.is_empty() {
        main = pick(&leaving);
    }
    let mut local = pick(&|endpoint| endpoint.ready && is_local(endpoint));
    if local.is_empty() {
        local = pick(&|endpoint| leaving(endpoint) && is_local(endpoint));
    }
    let here = pick(&is_local);
    let here = here.into_iter().filter(|address| main.contains(address) || local.contains(address)).collect();
    Lists { main, local, here, serving: pick(&|endpoint| endpoint.serving) }
}

/// Hints count only if every ready endpoint has one and one of them means us; node hints before zone hints.
fn topology(ready: &[&EndpointFacts], node: &NodeFacts) -> impl Fn(&EndpointFacts) -> bool + use<> {
    let usable = |hints: &dyn Fn(&EndpointFacts) -> &[String], wanted: &str| {
        !ready.is_empty()
            && ready.iter().all(|endpoint| !hints(endpoint).is_empty())
            && ready.iter().any(|endpoint| hints(endpoint).iter().any(|hint| hint == wanted))
    };
    let by_node = usable(&|endpoint| &endpoint.hinted_nodes, &node.name);
    let zone = node.zone.clone().filter(|zone| !by_node && usable(&|endpoint| &endpoint.hinted_zones, zone));
    let name = node.name.clone();
    move |endpoint| {
        if by_node {
            return endpoint.hinted_nodes.contains(&name);
        }
        zone.as_ref().is_none_or(|zone| endpoint.hinted_zones.contains(zone))
    }
}

/// What a health check of a balancer is told: distinct addresses of ready endpoints on this node. Those that are
/// terminating do not count, so that the balancer turns away while they still serve.
pub(crate) fn ready_here<'a>(endpoints: impl Iterator<Item = &'a EndpointFacts>, node: &NodeFacts) -> usize {
    let here = endpoints.filter(|endpoint| endpoint.ready && endpoint.node.as_deref() == Some(&node.name));
    here.map(|endpoint| endpoint.address).collect::<BTreeSet<IpAddr>>().len()
}

/// Assigns endpoints to slots `0..n`, moving as few as possible: whoever has a slot below `n` keeps it.
pub(crate) fn slots(previous: &[SocketAddr], wanted: &BTreeSet<SocketAddr>, most: usize) -> Vec<SocketAddr> {
    let count = wanted.len().min(most);
    let mut result: Vec<Option<SocketAddr>> = vec![None; count];
    let mut placed = BTreeSet::new();
    for (slot, endpoint) in result.iter_mut().zip(previous) {
        if wanted.contains(endpoint) && placed.insert(*endpoint) {
            *slot = Some(*endpoint);
        }
    }
    let displaced = previous.iter().skip(count).filter(|endpoint| wanted.contains(*endpoint));
    let mut waiting = displaced.chain(wanted.iter()).copied().filter(|endpoint| placed.insert(*endpoint));
    // As many are waiting as there are holes, unless the list is cut off at `most`.
    result.into_iter().filter_map(|slot| slot.or_else(|| waiting.next())).collect()
}

#[cfg(test)]
mod tests;
