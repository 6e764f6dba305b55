//! What the policies of one namespace admit. Upstream: the API documentation of `networking.k8s.io/v1` NetworkPolicy.
//!
//! Invariant: in doubt a rule admits. What cannot be read (labels of namespaces, a selector of another kind) never proves
//! that somebody is kept out.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use k8s_openapi::{
    api::{
        core::v1::Pod,
        networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use portolan_objects::{Protocol, pod, selector::Selector};

use crate::{Index, nearest::Labels};

/// Which way, seen from the pod that a policy selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    /// As the API spells it in `policyTypes`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Egress => "Egress",
        }
    }

    /// The field with its rules.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Ingress => "spec.ingress",
            Self::Egress => "spec.egress",
        }
    }
}

/// The other end of a connection.
pub(super) enum Side<'a> {
    /// A pod.
    Pod { namespace: &'a str, labels: &'a Labels, namespace_labels: Option<&'a Labels>, addresses: Vec<IpAddr> },
    /// One of these addresses, which are no pods'.
    Addresses(Vec<IpAddr>),
    /// Some address outside.
    Outside,
    /// Whoever can be let in.
    Anybody,
}

static NO_LABELS: Labels = BTreeMap::new();

impl<'a> Side<'a> {
    pub(super) fn pod(index: &Index<'a>, pod: &'a Pod) -> Self {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let known = index.namespace(namespace);
        Self::Pod {
            namespace,
            labels: pod.metadata.labels.as_ref().unwrap_or(&NO_LABELS),
            namespace_labels: known.map(|known| known.metadata.labels.as_ref().unwrap_or(&NO_LABELS)),
            addresses: pod::ips(pod),
        }
    }
}

/// Where a connection ends.
pub(super) struct Port<'a> {
    pub(super) number: u16,
    pub(super) protocol: Protocol,
    /// The pod that it ends in, whose names of ports count.
    pub(super) pod: Option<&'a Pod>,
}

/// The policies of one namespace, read once.
pub(super) struct Policies<'a> {
    policies: Vec<(&'a NetworkPolicy, Option<Selector>)>,
}

impl<'a> Policies<'a> {
    pub(super) fn of(index: &Index<'a>, namespace: &str) -> Self {
        let read = |policy: &&'a NetworkPolicy| {
            let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
            // Absent is empty: every pod of the namespace.
            let selector =
                selector.map_or(Some(Selector::default()), |selector| Selector::from_label_selector(selector).ok());
            (*policy, selector)
        };
        Self { policies: index.policies_of(namespace).iter().map(read).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Those that select the pod for this direction: with one of them it admits only what they admit.
    pub(super) fn isolating(&self, direction: Direction, pod: &Pod) -> Vec<&'a NetworkPolicy> {
        let labels = pod.metadata.labels.as_ref().unwrap_or(&NO_LABELS);
        let selects = |selector: &Option<Selector>| selector.as_ref().is_some_and(|selector| selector.matches(labels));
        let chosen =
            self.policies.iter().filter(|(policy, selector)| selects(selector) && speaks_of(policy, direction));
        chosen.map(|(policy, _)| *policy).collect()
    }

    /// Whether the pod and the other end may talk over this port.
    pub(super) fn admit(&self, direction: Direction, pod: &Pod, side: &Side<'_>, port: &Port<'_>) -> bool {
        let isolating = self.isolating(direction, pod);
        isolating.is_empty() || isolating.iter().any(|policy| admits(policy, direction, side, Some(port)))
    }
}

/// Ingress unless it says otherwise; egress if it says so, or has rules for it and says nothing.
fn speaks_of(policy: &NetworkPolicy, direction: Direction) -> bool {
    let Some(spec) = &policy.spec else { return false };
    match spec.policy_types.as_ref().filter(|types| !types.is_empty()) {
        Some(types) => types.iter().any(|kind| kind == direction.name()),
        None => direction == Direction::Ingress || spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
    }
}

/// Peers and ports of one rule.
type Rule<'a> = (Option<&'a Vec<NetworkPolicyPeer>>, Option<&'a Vec<NetworkPolicyPort>>);

pub(super) fn rules(policy: &NetworkPolicy, direction: Direction) -> Vec<Rule<'_>> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    match direction {
        Direction::Ingress => {
            spec.ingress.iter().flatten().map(|rule| (rule.from.as_ref(), rule.ports.as_ref())).collect()
        }
        Direction::Egress => spec.egress.iter().flatten().map(|rule| (rule.to.as_ref(), rule.ports.as_ref())).collect(),
    }
}

/// Whether some rule admits the other end: over `port`, or over any port at all.
pub(super) fn admits(policy: &NetworkPolicy, direction: Direction, side: &Side<'_>, port: Option<&Port<'_>>) -> bool {
    let home = policy.metadata.namespace.as_deref().unwrap_or_default();
    rules(policy, direction).into_iter().any(|(peers, ports)| {
        let ports = ports.filter(|ports| !ports.is_empty());
        let open = match (ports, port) {
            (None, _) | (_, None) => true,
            (Some(ports), Some(port)) => ports.iter().any(|rule| covers(rule, port)),
        };
        // No peer listed is every peer.
        let peers = peers.filter(|peers| !peers.is_empty());
        open && peers.is_none_or(|peers| peers.iter().any(|peer| fits(home, peer, side)))
    })
}

fn covers(rule: &NetworkPolicyPort, port: &Port<'_>) -> bool {
    if Protocol::of(rule.protocol.as_deref()) != port.protocol {
        return false;
    }
    match &rule.port {
        None => true,
        Some(IntOrString::Int(first)) => {
            let last = rule.end_port.unwrap_or(*first);
            (*first..=last).contains(&i32::from(port.number))
        }
        Some(name @ IntOrString::String(_)) => {
            // Nobody can say what a name means on an address that is no pod.
            port.pod.is_none_or(|pod| pod::resolve_port(pod, name, port.protocol) == Some(port.number))
        }
    }
}

fn fits(home: &str, peer: &NetworkPolicyPeer, side: &Side<'_>) -> bool {
    if let Some(block) = &peer.ip_block {
        return match side {
            Side::Pod { addresses, .. } | Side::Addresses(addresses) => {
                addresses.iter().any(|one| contains(block, *one))
            }
            Side::Outside | Side::Anybody => true,
        };
    }
    match side {
        Side::Anybody => true,
        Side::Outside | Side::Addresses(_) => false,
        Side::Pod { namespace, labels, namespace_labels, .. } => {
            let there = match &peer.namespace_selector {
                None => *namespace == home,
                Some(selector) => namespace_labels.is_none_or(|labels| matches(selector, labels)),
            };
            there && peer.pod_selector.as_ref().is_none_or(|selector| matches(selector, labels))
        }
    }
}

fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    Selector::from_label_selector(selector).map_or(true, |selector| selector.matches(labels))
}

fn contains(block: &IPBlock, address: IpAddr) -> bool {
    let holds = |text: &String| text.parse::<IpNet>().is_ok_and(|range| range.contains(&address));
    holds(&block.cidr) && !block.except.iter().flatten().any(holds)
}
