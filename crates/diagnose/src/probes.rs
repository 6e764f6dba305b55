//! Which real connections are worth trying for a Service, and from where. Pure: a list for the nodes' agents.
//!
//! Each question has a reason: the Service's address from every node (is the proxy there at work?), each endpoint from its
//! own pod and node (does anybody listen?), some from other nodes (does the network between them carry it?), the name at the
//! cluster DNS, the health check of its load balancer from one node to the next, and all of it from the caller's pod if
//! there is one. Connections are opened and closed again. HTTP is
//! spoken only where the Service says so: other servers may take offence at a request that they cannot read. UDP is tried
//! only beside the endpoint, where the kernel that refuses is near; silence says nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointPort};
use portolan_objects::{ObjectKey, Protocol, endpoint, pod, service};

use crate::{
    Ask, From, Index,
    checks::{balancer::health_questions, ways::says_http},
    evidence::{Owner, Target},
    view::{View, name, node_ready},
};

/// Most nodes that are asked.
const NODES: usize = 8;
/// Most endpoints that are tried.
const ENDPOINTS: usize = 8;
/// Most endpoints on other nodes that one node tries.
const FAR: usize = 4;
/// Most ports of the Service that are tried.
const PORTS: usize = 4;

/// What one node is asked: from where, and which target.
pub type Questions = BTreeSet<(Owner, String)>;

/// Per node, what to ask it; empty if there is no such Service or nothing to try.
pub fn wanted(index: &Index<'_>, key: &ObjectKey, ask: &Ask) -> BTreeMap<String, Questions> {
    let mut wanted: BTreeMap<String, Questions> = BTreeMap::new();
    let Some(service) = index.service(key) else { return wanted };
    let view = View::new(index, key.clone(), service, ask);
    let ends = endpoints(&view);
    let caller = caller(&view);
    let nodes = nodes(&view, &ends, caller.as_ref().map(|(node, _)| *node));
    let addresses = addresses(service);
    let dns =
        cluster_dns(index).map(|server| format!("dns://{}.{}.svc.cluster.local@{server}:53", key.name, key.namespace));
    for node in &nodes {
        let questions = wanted.entry((*node).to_owned()).or_default();
        questions.extend(addresses.iter().map(|target| (Owner::Node, target.clone())));
        questions.extend(dns.iter().map(|target| (Owner::Node, target.clone())));
        // The ones that live here, and some that do not.
        let (here, there): (Vec<_>, Vec<_>) = ends.iter().partition(|(of, _)| *of == Some(*node));
        let far = there.into_iter().filter(|(_, target)| !matches!(target, Target::Udp(_))).take(FAR);
        // From inside its own pod nothing is on the way: what fails there is the program.
        let inside = here.iter().filter_map(|(_, target)| Some((owner(index, target)?, target.to_string())));
        questions.extend(inside);
        questions.extend(here.into_iter().chain(far).map(|(_, target)| (Owner::Node, target.to_string())));
    }
    for (node, target) in health_questions(&view) {
        wanted.entry(node.to_owned()).or_default().insert((Owner::Node, target));
    }
    if let Some((node, owner)) = caller {
        let questions = wanted.entry(node.to_owned()).or_default();
        questions.extend(addresses.iter().chain(&dns).map(|target| (owner.clone(), target.clone())));
    }
    wanted
}

/// The Service's own addresses with its TCP ports.
fn addresses(service: &Service) -> Vec<String> {
    let ports = service::ports(service).iter().filter(|port| Protocol::of(port.protocol.as_deref()) == Protocol::Tcp);
    let ports: Vec<u16> = ports.filter_map(|port| u16::try_from(port.port).ok()).take(PORTS).collect();
    let targets = |address: IpAddr| ports.iter().map(move |port| format!("tcp://{}", SocketAddr::new(address, *port)));
    service::cluster_ips(service).into_iter().flat_map(targets).collect()
}

/// The pod behind an endpoint; none if there is no such pod, or it shares the node's network.
fn owner(index: &Index<'_>, target: &Target) -> Option<Owner> {
    let [pod] = index.pods_at(target.address().ip()) else { return None };
    let key = ObjectKey::of(*pod);
    Some(Owner::Pod { namespace: key.namespace, name: key.name })
}

/// What to try of an endpoint's port.
fn target(address: SocketAddr, port: &EndpointPort) -> Option<Target> {
    let (name, app) = (port.name.as_deref().unwrap_or_default(), port.app_protocol.as_deref());
    match Protocol::of(port.protocol.as_deref()) {
        Protocol::Tcp if says_http(name, app) => Some(Target::Http { address, path: "/".to_owned() }),
        Protocol::Tcp => Some(Target::Tcp(address)),
        Protocol::Udp => Some(Target::Udp(address)),
        Protocol::Sctp => None,
    }
}

/// Endpoints with the nodes that they live on, ready ones first.
fn endpoints<'a>(view: &View<'a>) -> Vec<(Option<&'a str>, Target)> {
    let mut found = Vec::new();
    for slice in view.slices {
        let ports = || slice.ports.iter().flatten().take(PORTS);
        for end in slice.endpoints.iter().flatten() {
            let parsed = end.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
            for address in parsed {
                let targets = ports().filter_map(|port| {
                    let number = u16::try_from(port.port?).ok()?;
                    target(SocketAddr::new(address, number), port)
                });
                found.extend(targets.map(|target| (!endpoint::is_ready(end), (end.node_name.as_deref(), target))));
            }
        }
    }
    found.sort_by_key(|(unready, (node, target))| (*unready, *node, target.address(), target.to_string()));
    found.dedup();
    found.into_iter().map(|(_, end)| end).take(ENDPOINTS).collect()
}

/// Nodes to ask: the caller's, those of the endpoints, then others. A node that is lost answers nothing.
fn nodes<'a>(view: &View<'a>, ends: &[(Option<&'a str>, Target)], caller: Option<&'a str>) -> Vec<&'a str> {
    let answering = view.snapshot.nodes.iter().filter(|node| node_ready(node)).map(name);
    let answering: BTreeSet<&str> = answering.collect();
    let first = caller.into_iter().chain(ends.iter().filter_map(|(node, _)| *node));
    let mut nodes: Vec<&str> = Vec::new();
    for node in first.chain(answering.iter().copied()) {
        if answering.contains(node) && !nodes.contains(&node) && nodes.len() < NODES {
            nodes.push(node);
        }
    }
    nodes
}

/// The caller's pod, and its node.
fn caller<'a>(view: &View<'a>) -> Option<(&'a str, Owner)> {
    let From::Pod(key) = &view.ask.from else { return None };
    let caller = view.index.pod(key)?;
    let owner = Owner::Pod { namespace: key.namespace.clone(), name: key.name.clone() };
    Some((pod::node(caller)?, owner))
}

/// The address of the cluster DNS.
fn cluster_dns(index: &Index<'_>) -> Option<IpAddr> {
    service::cluster_ips(index.dns()?).into_iter().next()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tests::fixture::Cluster;

    #[test]
    fn every_node_is_asked_for_the_address_and_for_its_own_endpoints() {
        let snapshot = Cluster::healthy().snapshot();
        let index = Index::new(&snapshot);
        let wanted = wanted(&index, &ObjectKey::new("default", "web"), &Ask::default());
        assert_eq!(wanted.keys().collect::<Vec<_>>(), ["node-0", "node-1"]);
        let from_node = |node: &str| wanted[node].iter().filter(|(owner, _)| *owner == Owner::Node);
        let of = |node: &str| -> Vec<&str> { from_node(node).map(|(_, target)| target.as_str()).collect() };
        // web-1 lives on node-1; the others are tried across the network.
        let all = ["tcp://10.244.1.0:8080", "tcp://10.244.1.1:8080", "tcp://10.244.1.2:8080", "tcp://10.96.1.1:80"];
        assert_eq!(of("node-1"), all);
        assert_eq!(of("node-0").len(), 4);
        let inside = Owner::Pod { namespace: "default".into(), name: "web-1".into() };
        assert!(wanted["node-1"].contains(&(inside, "tcp://10.244.1.1:8080".to_owned())));
    }

    #[test]
    fn a_caller_in_a_pod_is_asked_on_its_node() {
        let snapshot = Cluster::healthy().snapshot();
        let index = Index::new(&snapshot);
        let ask = Ask { from: From::Pod(ObjectKey::new("default", "web-1")) };
        let wanted = wanted(&index, &ObjectKey::new("default", "web"), &ask);
        let from_pod = wanted["node-1"].iter().filter(|(owner, _)| matches!(owner, Owner::Pod { .. }));
        let targets: Vec<_> = from_pod.map(|(_, target)| target.as_str()).collect();
        assert_eq!(targets, ["tcp://10.244.1.1:8080", "tcp://10.96.1.1:80"]);
    }

    #[test]
    fn a_service_that_is_not_there_or_has_no_address_is_not_tried() {
        let snapshot = Cluster::healthy().no_slices().no_pods().snapshot();
        let index = Index::new(&snapshot);
        assert!(wanted(&index, &ObjectKey::new("default", "none"), &Ask::default()).is_empty());
    }
}
