//! ClusterIPs and node ports of Services.
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;
use serde_json::{Value, json};

use crate::error::FieldError;

/// Why nothing was allocated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllocateError {
    /// The user asked for what cannot be had; 422.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Invalid(Vec<FieldError>),
    /// Nothing is left to give; 500.
    #[error("{0}")]
    Internal(String),
}

/// What one write of a Service took and will give back: neither is final before [`Allocators::commit`].
#[must_use = "commit or roll back, or addresses leak"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// ClusterIPs taken by this write: create an IPAddress object for each.
    pub addresses_added: Vec<IpAddr>,
    /// ClusterIPs the Service gives up: delete their IPAddress objects.
    pub addresses_released: Vec<IpAddr>,
    /// Node ports taken by this write.
    pub ports_added: Vec<u16>,
    /// Node ports the Service gives up.
    pub ports_released: Vec<u16>,
}

/// The allocators behind Services: one address range and one port range.
#[derive(Debug)]
pub struct Allocators {
    #[allow(unused)]
    cidr: Ipv4Net,
}

impl Allocators {
    /// Empty allocators.
    pub fn new(service_cidr: Ipv4Net, _node_ports: RangeInclusive<u16>) -> Allocators {
        Allocators { cidr: service_cidr }
    }

    /// Marks what a stored Service holds; called for each at start.
    pub fn observe(&mut self, _service: &Value) {}

    /// Allocates what `new` needs and does not have, in place.
    pub fn service(&mut self, _new: &mut Value, _old: Option<&Value>) -> Result<Reservation, AllocateError> {
        Ok(Reservation::default())
    }

    /// The write failed (or was a dry run): gives back what it took.
    pub fn roll_back(&mut self, _reservation: Reservation) {}

    /// The write is stored: frees what it gave up.
    pub fn commit(&mut self, _reservation: Reservation) {}

    /// The Service is deleted: frees all it held.
    pub fn release(&mut self, _old: &Value) {}
}

/// The IPAddress object that records who holds an address.
pub fn ip_address_object(ip: IpAddr, namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {
            "name": ip.to_string(),
            "labels": {
                "ipaddress.kubernetes.io/ip-family": if ip.is_ipv4() { "IPv4" } else { "IPv6" },
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": name}},
    })
}

/// The addresses a stored Service holds (`None` and nothing are no addresses).
pub fn addresses(service: &Value) -> Vec<IpAddr> {
    crate::json::list(service, "spec.clusterIPs").iter().filter_map(|ip| ip.as_str()?.parse().ok()).collect()
}
