//! From a Service and Nodes to what a provider is asked for, and back to a status. Pure.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{LoadBalancerIngress, LoadBalancerStatus, Node, Service, ServicePort};
use portolan_cloud::{self as cloud, BalancerId, Class, CloudError, LoadBalancer};
use portolan_objects::{ObjectKey, Protocol, labels, ports, service};

use crate::workloads::uid;

/// Taint of a node that the cluster autoscaler is about to remove.
const LEAVING: &str = "ToBeDeletedByClusterAutoscaler";
/// The older way to write `spec.loadBalancerSourceRanges`.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

pub(super) fn id(service: &Service) -> BalancerId {
    BalancerId { service: ObjectKey::of(service), uid: uid(service).to_owned() }
}

/// What the provider has to make for `service`.
pub(super) fn balancer(service: &Service, nodes: Vec<cloud::Node>) -> Result<LoadBalancer, CloudError> {
    let spec = service.spec.as_ref();
    let requested = spec.and_then(|spec| spec.load_balancer_ip.as_deref()).filter(|text| !text.is_empty());
    Ok(LoadBalancer {
        id: id(service),
        ports: service::ports(service).iter().filter_map(port).collect(),
        requested: requested.map(|text| parse(text, "spec.loadBalancerIP")).transpose()?,
        published: published(service),
        source_ranges: source_ranges(service)?,
        health_check_port: service::health_check_node_port(service),
        nodes,
    })
}

fn port(port: &ServicePort) -> Option<cloud::Port> {
    Some(cloud::Port {
        name: port.name.clone().unwrap_or_default(),
        protocol: Protocol::of(port.protocol.as_deref()),
        port: ports::number(port.port)?,
        node_port: port.node_port.and_then(ports::number),
    })
}

fn parse<T: std::str::FromStr>(text: &str, field: &str) -> Result<T, CloudError> {
    text.trim().parse().map_err(|_| {
        CloudError::new(
            Class::Invalid,
            "InvalidAddress",
            format!("{field}: {text:?} is not valid; correct the Service"),
        )
    })
}

fn source_ranges(service: &Service) -> Result<Vec<IpNet>, CloudError> {
    let listed = service.spec.as_ref().and_then(|spec| spec.load_balancer_source_ranges.clone()).unwrap_or_default();
    if !listed.is_empty() {
        return listed.iter().map(|text| parse(text, "spec.loadBalancerSourceRanges")).collect();
    }
    let annotations = service.metadata.annotations.as_ref();
    match annotations.and_then(|all| all.get(SOURCE_RANGES)).map(|text| text.trim()).filter(|text| !text.is_empty()) {
        Some(text) => text.split(',').map(|range| parse(range, SOURCE_RANGES)).collect(),
        None => Ok(Vec::new()),
    }
}

/// A node as balancers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub node: cloud::Node,
    /// The exclusion label holds.
    excluded: bool,
    /// It is being deleted, or the cluster autoscaler is about to do so.
    leaving: bool,
}

impl Candidate {
    pub fn of(node: &Node) -> Option<Self> {
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
        let addresses = node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
        let address = addresses.iter().find(|entry| entry.type_ == "InternalIP");
        let provider_id = node.spec.as_ref().and_then(|spec| spec.provider_id.clone());
        Some(Self {
            node: cloud::Node {
                name: node.metadata.name.clone()?,
                address: address.and_then(|entry| entry.address.parse().ok()),
                provider_id: provider_id.filter(|id| !id.is_empty()),
            },
            excluded: is_excluded(node),
            leaving: node.metadata.deletion_timestamp.is_some() || taints.iter().any(|taint| taint.key == LEAVING),
        })
    }

    /// Whether it takes part in balancers. Readiness is not looked at: health checks are the balancer's business, and
    /// connections must survive a flapping node.
    pub fn is_eligible(&self) -> bool {
        !self.excluded && !self.leaving
    }

    /// Whether balancers must hear of the change at once (upstream: `shouldSyncUpdatedNode`). A node that begins to leave
    /// goes out with the next change of another kind, so that its connections can end in peace. Upstream's providers
    /// look addresses up by themselves; ours are told, so a new address counts as well.
    pub fn differs(&self, other: &Self) -> bool {
        self.excluded != other.excluded || self.node != other.node
    }
}

/// The exclusion label counts unless its value is a word for false (Kubernetes 1.34 and later).
fn is_excluded(node: &Node) -> bool {
    let value = node.metadata.labels.as_ref().and_then(|all| all.get(labels::EXCLUDE_BALANCERS));
    value.is_some_and(|value| !matches!(value.as_str(), "0" | "f" | "F" | "false" | "FALSE" | "False"))
}

/// The ingress points that a Service publishes now.
fn ingress(service: &Service) -> &[LoadBalancerIngress] {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default()
}

/// Whether clients can reach it already.
pub(super) fn is_published(service: &Service) -> bool {
    !ingress(service).is_empty()
}

/// The addresses in a Service's status.
fn published(service: &Service) -> Vec<IpAddr> {
    ingress(service).iter().filter_map(|entry| entry.ip.as_ref()?.parse().ok()).collect()
}

/// What a Service publishes, as a provider would have answered it.
pub(super) fn held(service: &Service) -> cloud::Status {
    let hostnames = ingress(service).iter().filter_map(|entry| entry.hostname.clone()).filter(|name| !name.is_empty());
    cloud::Status { addresses: published(service), hostnames: hostnames.collect() }
}

/// The status of the balancer as the Service has it.
pub(super) fn current(service: &Service) -> LoadBalancerStatus {
    LoadBalancerStatus { ingress: Some(ingress(service).to_vec()) }
}

/// Whether the Service's status says what the provider answered.
pub(super) fn says(service: &Service, status: &LoadBalancerStatus) -> bool {
    ingress(service) == status.ingress.as_deref().unwrap_or_default()
}

/// A provider's answer as the Service's status.
pub(super) fn status(status: &cloud::Status) -> LoadBalancerStatus {
    let addresses = status.addresses.iter().map(|address| LoadBalancerIngress {
        ip: Some(address.to_string()),
        // The balancer keeps the destination of a packet from inside the cluster: proxies answer for it themselves.
        ip_mode: Some("VIP".into()),
        ..LoadBalancerIngress::default()
    });
    let hostnames = status
        .hostnames
        .iter()
        .map(|hostname| LoadBalancerIngress { hostname: Some(hostname.clone()), ..LoadBalancerIngress::default() });
    LoadBalancerStatus { ingress: Some(addresses.chain(hostnames).collect()) }
}
