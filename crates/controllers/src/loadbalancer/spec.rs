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

/// The node for a balancer, or `None` if it takes part in none. Readiness is not looked at: health checks are the
/// balancer's business, and connections must survive a flapping node.
pub(super) fn eligible(node: &Node) -> Option<cloud::Node> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    if node.metadata.deletion_timestamp.is_some() || is_excluded(node) || taints.iter().any(|t| t.key == LEAVING) {
        return None;
    }
    let addresses = node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    Some(cloud::Node {
        name: node.metadata.name.clone()?,
        address: addresses
            .iter()
            .find(|entry| entry.type_ == "InternalIP")
            .and_then(|entry| entry.address.parse().ok()),
        provider_id: node.spec.as_ref().and_then(|spec| spec.provider_id.clone()),
    })
}

/// The exclusion label counts unless its value is a word for false (Kubernetes 1.34 and later).
fn is_excluded(node: &Node) -> bool {
    let value = node.metadata.labels.as_ref().and_then(|all| all.get(labels::EXCLUDE_BALANCERS));
    value.is_some_and(|value| !matches!(value.as_str(), "0" | "f" | "F" | "false" | "FALSE" | "False"))
}

/// The addresses in a Service's status.
pub(super) fn published(service: &Service) -> Vec<IpAddr> {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.and_then(|balancer| balancer.ingress.as_ref());
    ingress.into_iter().flatten().filter_map(|entry| entry.ip.as_ref()?.parse().ok()).collect()
}

/// What the Service's status says about the balancer.
pub(super) fn current(service: &Service) -> LoadBalancerStatus {
    service.status.as_ref().and_then(|status| status.load_balancer.clone()).unwrap_or_default()
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
