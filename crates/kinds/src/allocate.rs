//! ClusterIPs and node ports of Services.
//!
//! A write takes what it needs ([`Allocators::service`]) before it is stored, and lets go of its reservation when it is
//! stored or has failed ([`Allocators::settle`]). What is stored the allocators are told as it happens
//! ([`Allocators::service_stored`] and its like): Services hold their addresses and ports, IPAddress objects hold their
//! address whoever made them, ServiceCIDRs say where addresses may be taken from. So the allocators are a view of the
//! store plus the writes under way: they have no state of their own to lose, nothing is free before its last holder is
//! gone from the store, and nothing leaks when a write never becomes durable.
//!
//! Which free address or port is picked is decided by a hash of the Service's name and uid: spread like a random
//! choice, without a source of randomness here. Upstream: `pkg/registry/core/service/storage/alloc.go`.

mod addresses;
mod families;
mod ports;

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use portolan_alloc::{ServiceAddresses, ServicePorts};
use serde_json::{Value, json};

pub use self::families::{CidrsError, Families};
use crate::error::{FieldError, FieldErrorKind};
use crate::json::{at, int, list, text};

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

/// What one write of a Service has taken, until [`Allocators::settle`], and what it gives up by being stored.
#[must_use = "settle it, or what it holds is never free again"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// ClusterIPs taken by this write: create an IPAddress object for each.
    pub addresses_added: Vec<IpAddr>,
    /// ClusterIPs the Service gives up: delete their IPAddress objects.
    pub addresses_released: Vec<IpAddr>,
    /// Node ports taken by this write.
    pub ports_added: Vec<u16>,
}

/// The allocators behind Services: ranges of addresses and one range of ports.
#[derive(Clone, Debug)]
pub struct Allocators {
    families: Families,
    node_ports: RangeInclusive<u16>,
    addresses: ServiceAddresses,
    ports: ServicePorts,
    /// What the writes under way hold.
    pending_addresses: Vec<IpAddr>,
    pending_ports: Vec<u16>,
}

impl Allocators {
    /// Nothing is stored. Addresses cannot be given out before a ServiceCIDR is.
    pub fn new(families: Families, node_ports: RangeInclusive<u16>) -> Allocators {
        Allocators {
            families,
            addresses: ServiceAddresses::default(),
            ports: ServicePorts::new(node_ports.clone()),
            node_ports,
            pending_addresses: Vec::new(),
            pending_ports: Vec::new(),
        }
    }

    /// The families that Services can have.
    pub fn families(&self) -> Families {
        self.families
    }

    /// Forgets all that is stored, to be told it anew. Writes under way keep what they have taken.
    pub fn forget_stored(&mut self) {
        self.addresses = ServiceAddresses::default();
        self.ports = ServicePorts::new(self.node_ports.clone());
        self.pending_addresses.iter().for_each(|address| self.addresses.hold(*address));
        self.pending_ports.iter().for_each(|port| self.ports.hold(*port));
    }

    /// A version of a Service is stored. Two Services may hold the same: a store can be restored from anything.
    pub fn service_stored(&mut self, service: &Value) {
        addresses(service).into_iter().for_each(|address| self.addresses.hold(address));
        ports(service).into_iter().for_each(|port| self.ports.hold(port));
    }

    /// That version is stored no more: replaced or deleted.
    pub fn service_gone(&mut self, service: &Value) {
        for address in addresses(service) {
            self.addresses.release(address);
        }
        for port in ports(service) {
            self.ports.release(port);
        }
    }

    /// An IPAddress object of this name is there.
    pub fn address_stored(&mut self, name: &str) {
        if let Ok(address) = name.parse() {
            self.addresses.hold(address);
        }
    }

    /// It was deleted.
    pub fn address_gone(&mut self, name: &str) {
        if let Ok(address) = name.parse() {
            self.addresses.release(address);
        }
    }

    /// A ServiceCIDR is there, or has changed.
    pub fn range_stored(&mut self, service_cidr: &Value) {
        let nets: Vec<IpNet> =
            list(service_cidr, "spec.cidrs").iter().filter_map(|cidr| cidr.as_str()?.parse().ok()).collect();
        self.addresses.set_source(text(service_cidr, "metadata.name"), &nets, is_ready(service_cidr));
    }

    /// A ServiceCIDR was deleted.
    pub fn range_gone(&mut self, name: &str) {
        self.addresses.remove_source(name);
    }

    /// Allocates what `new` needs and does not have, in place: `clusterIP` and `clusterIPs`, node ports, the health
    /// check node port. `old` is the stored Service of an update. The families must have been filled in
    /// ([`Families::fill`]). On error nothing is taken.
    pub fn service(&mut self, new: &mut Value, old: Option<&Value>) -> Result<Reservation, AllocateError> {
        let mut reservation = Reservation::default();
        let result = self
            .cluster_ips(new, old, &mut reservation)
            .and_then(|()| self.node_ports(new, old, &mut reservation))
            .and_then(|()| self.health_port(new, old, &mut reservation));
        self.pending_addresses.extend(&reservation.addresses_added);
        self.pending_ports.extend(&reservation.ports_added);
        if let Err(error) = result {
            self.settle(reservation);
            return Err(error);
        }
        if let Some(old) = old {
            let kept = addresses(new);
            reservation.addresses_released = addresses(old).into_iter().filter(|held| !kept.contains(held)).collect();
        }
        Ok(reservation)
    }

    /// The write is stored, has failed, or was a dry run: from now on only the store decides what is taken.
    pub fn settle(&mut self, reservation: Reservation) {
        for address in reservation.addresses_added {
            forget(&mut self.pending_addresses, address);
            self.addresses.release(address);
        }
        for port in reservation.ports_added {
            forget(&mut self.pending_ports, port);
            self.ports.release(port);
        }
    }
}

/// Takes one occurrence out.
fn forget<T: PartialEq>(pending: &mut Vec<T>, item: T) {
    if let Some(index) = pending.iter().position(|held| *held == item) {
        pending.swap_remove(index);
    }
}

/// Whether a ServiceCIDR gives out addresses. One that nobody has judged yet does: upstream must work while its
/// controller does not run.
fn is_ready(service_cidr: &Value) -> bool {
    let condition = list(service_cidr, "status.conditions").iter().find(|condition| condition["type"] == "Ready");
    at(service_cidr, "metadata.deletionTimestamp").is_none()
        && condition.is_none_or(|condition| condition["status"] == "True")
}

/// The IPAddress object that records which Service holds an address.
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
        "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": name}},
    })
}

/// The addresses a Service holds (`None` is no address).
pub fn addresses(service: &Value) -> Vec<IpAddr> {
    list(service, "spec.clusterIPs").iter().filter_map(|ip| ip.as_str()?.parse().ok()).collect()
}

/// The node ports a Service holds, each once, the health check port among them.
pub fn ports(service: &Value) -> Vec<u16> {
    let numbers = list(service, "spec.ports")
        .iter()
        .filter_map(|port| int(port, "nodePort"))
        .chain(int(service, "spec.healthCheckNodePort"));
    let mut ports: Vec<u16> = numbers.filter_map(|n| u16::try_from(n).ok()).filter(|port| *port != 0).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// A value that cannot be had.
fn invalid(field: impl Into<String>, value: impl Into<Value>, why: &str) -> AllocateError {
    let detail = format!("Invalid value: {}: {why}", value.into());
    AllocateError::Invalid(vec![FieldError { field: field.into(), kind: FieldErrorKind::Invalid, detail }])
}

/// FNV-1a over what tells this Service and purpose from others.
fn seed(service: &Value, purpose: &str) -> u64 {
    let parts =
        [text(service, "metadata.namespace"), text(service, "metadata.name"), text(service, "metadata.uid"), purpose];
    parts
        .iter()
        .flat_map(|part| part.bytes().chain([0]))
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
