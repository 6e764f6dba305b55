//! What the proxy needs to know of the API objects, and nothing else: comparing facts tells whether a change matters.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use k8s_openapi::api::{
    core::v1::{Node, Service},
    discovery::v1::{Endpoint, EndpointSlice},
};
use portolan_objects::{Family, Protocol, endpoint, service};

/// A Service that has an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceFacts {
    pub(crate) uid: String,
    pub(crate) cluster_ips: Vec<IpAddr>,
    pub(crate) external_ips: Vec<IpAddr>,
    pub(crate) load_balancer_ips: Vec<IpAddr>,
    /// `loadBalancerSourceRanges`; `None` is no restriction.
    pub(crate) source_ranges: Option<Vec<IpNet>>,
    pub(crate) external_local: bool,
    pub(crate) internal_local: bool,
    /// Timeout of `ClientIP` affinity in seconds.
    pub(crate) affinity: Option<u32>,
    pub(crate) health_check_port: Option<u16>,
    pub(crate) ports: Vec<PortFacts>,
}

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PortFacts {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) node_port: Option<u16>,
}

impl ServiceFacts {
    /// `None` for Services that no proxy programs: aliases and headless ones.
    pub(crate) fn of(object: &Service) -> Option<Self> {
        if service::is_external_name(object) || service::is_headless(object) {
            return None;
        }
        let has_node_ports = service::has_node_ports(object);
        let ports = service::ports(object).iter().filter_map(|port| {
            Some(PortFacts {
                name: port.name.clone().unwrap_or_default(),
                protocol: Protocol::of(port.protocol.as_deref()),
                port: number(port.port)?,
                node_port: port.node_port.filter(|_| has_node_ports).and_then(number),
            })
        });
        let balanced = service::is_load_balancer(object);
        Some(Self {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            cluster_ips: service::cluster_ips(object),
            external_ips: service::external_ips(object),
            load_balancer_ips: if balanced { service::load_balancer_ips(object) } else { Vec::new() },
            source_ranges: source_ranges(object),
            external_local: has_node_ports_or_external(object) && local_policy(object),
            internal_local: service::internal_local(object),
            affinity: service::client_ip_affinity(object),
            health_check_port: service::health_check_node_port(object),
            ports: ports.collect(),
        })
    }
}

/// External addresses obey the policy too, whatever the type.
fn has_node_ports_or_external(object: &Service) -> bool {
    service::has_node_ports(object) || !service::external_ips(object).is_empty()
}

fn local_policy(object: &Service) -> bool {
    object.spec.as_ref().and_then(|spec| spec.external_traffic_policy.as_deref()) == Some("Local")
}

/// A range that admits everybody is no restriction. Upstream: `pkg/proxy/serviceport.go`.
fn source_ranges(object: &Service) -> Option<Vec<IpNet>> {
    if !service::is_load_balancer(object) {
        return None;
    }
    let listed = object.spec.as_ref()?.load_balancer_source_ranges.as_ref()?;
    let ranges: Vec<IpNet> = listed.iter().filter_map(|text| text.trim().parse().ok()).collect();
    if ranges.is_empty() || ranges.iter().any(|range| range.prefix_len() == 0) {
        return None;
    }
    Some(IpNet::aggregate(&ranges.iter().map(IpNet::trunc).collect()))
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}

/// One slice of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SliceFacts {
    pub(crate) ports: Vec<(String, Protocol, u16)>,
    pub(crate) endpoints: Vec<EndpointFacts>,
    /// When the oldest change that the slice carries happened, as its writer noted it.
    pub(crate) triggered: Option<String>,
}

/// One endpoint of a slice: only its first address counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndpointFacts {
    pub(crate) address: IpAddr,
    pub(crate) ready: bool,
    pub(crate) serving: bool,
    pub(crate) terminating: bool,
    pub(crate) node: Option<String>,
    pub(crate) hinted_nodes: Vec<String>,
    pub(crate) hinted_zones: Vec<String>,
}

impl SliceFacts {
    /// `None` for slices of host names.
    pub(crate) fn of(slice: &EndpointSlice) -> Option<Self> {
        const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";
        let family = endpoint::family(slice)?;
        let ports = slice.ports.iter().flatten().filter_map(|port| {
            let protocol = Protocol::of(port.protocol.as_deref());
            Some((port.name.clone().unwrap_or_default(), protocol, port.port.and_then(number)?))
        });
        let endpoints = slice.endpoints.iter().flatten().filter_map(|endpoint| EndpointFacts::of(endpoint, family));
        let annotations = slice.metadata.annotations.as_ref();
        Some(Self {
            ports: ports.collect(),
            endpoints: endpoints.collect(),
            triggered: annotations.and_then(|annotations| annotations.get(TRIGGER)).cloned(),
        })
    }
}

impl EndpointFacts {
    fn of(object: &Endpoint, family: Family) -> Option<Self> {
        let address: IpAddr = object.addresses.first()?.parse().ok()?;
        if Family::of(address) != family {
            return None;
        }
        let hints = object.hints.as_ref();
        let nodes = hints.and_then(|hints| hints.for_nodes.as_ref()).into_iter().flatten();
        let zones = hints.and_then(|hints| hints.for_zones.as_ref()).into_iter().flatten();
        Some(Self {
            address,
            ready: endpoint::is_ready(object),
            serving: endpoint::is_serving(object),
            terminating: endpoint::is_terminating(object),
            node: object.node_name.clone(),
            hinted_nodes: nodes.map(|hint| hint.name.clone()).collect(),
            hinted_zones: zones.map(|hint| hint.name.clone()).collect(),
        })
    }
}

/// The node that the proxy works for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeFacts {
    pub(crate) name: String,
    pub(crate) zone: Option<String>,
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Not being deleted, and not about to be taken away by the autoscaler.
    pub(crate) eligible: bool,
}

impl NodeFacts {
    /// What is known before the Node object is seen.
    pub(crate) fn unknown(name: &str) -> Self {
        Self { name: name.to_owned(), eligible: true, ..Self::default() }
    }

    pub(crate) fn of(node: &Node) -> Self {
        const ZONE: &str = "topology.kubernetes.io/zone";
        const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";
        let labels = node.metadata.labels.as_ref();
        let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        Self {
            name: node.metadata.name.clone().unwrap_or_default(),
            zone: labels.and_then(|labels| labels.get(ZONE)).cloned(),
            addresses: addresses.filter_map(|address| address.address.parse().ok()).collect(),
            eligible: node.metadata.deletion_timestamp.is_none()
                && !taints.into_iter().any(|taint| taint.key == TO_BE_DELETED),
        }
    }
}

/// The endpoints of one port in all slices of its Service and of one family.
pub(crate) fn endpoints_of<'a>(
    slices: impl Iterator<Item = &'a SliceFacts> + 'a,
    port: &'a PortFacts,
    family: Family,
) -> impl Iterator<Item = (SocketAddr, &'a EndpointFacts)> + 'a {
    slices.flat_map(move |slice| {
        let targets = slice.ports.iter().filter(|(name, protocol, _)| *name == port.name && *protocol == port.protocol);
        targets.flat_map(move |(_, _, target)| {
            let endpoints = slice.endpoints.iter().filter(move |endpoint| Family::of(endpoint.address) == family);
            endpoints.map(move |endpoint| (SocketAddr::new(endpoint.address, *target), endpoint))
        })
    })
}
