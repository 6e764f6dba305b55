//! ClusterIPs and node ports of Services.
//!
//! A write takes what it needs ([`Allocators::service`]) before it is stored, and afterwards says how that went
//! ([`Allocators::commit`] or [`Allocators::roll_back`]): nothing is freed before the new Service is durable, and nothing
//! leaks when it never becomes so. The allocators are rebuilt from the stored Services at start
//! ([`Allocators::observe`]); they have no state of their own to lose.
//!
//! Which free address or port is picked is decided by a hash of the Service's name and uid: spread like a random
//! choice, without a source of randomness here. Upstream: `pkg/registry/core/service/storage/alloc.go`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;
use portolan_alloc::{ReserveError, ServiceAddresses, ServicePorts};
use serde_json::{Value, json};

use crate::error::{FieldError, FieldErrorKind};
use crate::json::{at, int, items_mut, list, object, same, text};
use crate::prepare::service::{has_cluster_ip, has_health_port, has_node_ports, is_headless, needs_node_ports};

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
#[derive(Clone, Debug)]
pub struct Allocators {
    addresses: ServiceAddresses,
    ports: ServicePorts,
}

impl Allocators {
    /// Nothing taken.
    pub fn new(service_cidr: Ipv4Net, node_ports: RangeInclusive<u16>) -> Allocators {
        Allocators { addresses: ServiceAddresses::new(service_cidr), ports: ServicePorts::new(node_ports) }
    }

    /// Marks what a stored Service holds; called for each at start. Numbers outside the ranges (the ranges were
    /// changed between two runs) and numbers held twice are left as they are.
    pub fn observe(&mut self, service: &Value) {
        for address in addresses(service) {
            if let IpAddr::V4(address) = address {
                let _ = self.addresses.reserve(address);
            }
        }
        for port in ports(service) {
            let _ = self.ports.reserve(port);
        }
    }

    /// Allocates what `new` needs and does not have, in place: `clusterIP` and `clusterIPs`, node ports, the health
    /// check node port. `old` is the stored Service of an update. On error nothing is taken.
    pub fn service(&mut self, new: &mut Value, old: Option<&Value>) -> Result<Reservation, AllocateError> {
        check_families(new, old)?;
        let mut reservation = Reservation::default();
        let result = self
            .cluster_ips(new, old, &mut reservation)
            .and_then(|()| self.node_ports(new, old, &mut reservation))
            .and_then(|()| self.health_port(new, old, &mut reservation));
        if let Err(error) = result {
            self.roll_back(reservation);
            return Err(error);
        }
        if let Some(old) = old {
            let (kept, held) = (addresses(new), addresses(old));
            reservation.addresses_released = held.into_iter().filter(|ip| !kept.contains(ip)).collect();
            let (kept, held) = (ports(new), ports(old));
            reservation.ports_released = held.into_iter().filter(|port| !kept.contains(port)).collect();
        }
        Ok(reservation)
    }

    /// The write failed (or was a dry run): gives back what it took.
    pub fn roll_back(&mut self, reservation: Reservation) {
        self.free(&reservation.addresses_added, &reservation.ports_added);
    }

    /// The write is stored: frees what it gave up.
    pub fn commit(&mut self, reservation: Reservation) {
        self.free(&reservation.addresses_released, &reservation.ports_released);
    }

    /// The Service is deleted: frees all it held.
    pub fn release(&mut self, old: &Value) {
        self.free(&addresses(old), &ports(old));
    }

    fn free(&mut self, addresses: &[IpAddr], ports: &[u16]) {
        for address in addresses {
            if let IpAddr::V4(address) = address {
                self.addresses.release(*address);
            }
        }
        for port in ports {
            self.ports.release(*port);
        }
    }

    fn cluster_ips(
        &mut self,
        new: &mut Value,
        old: Option<&Value>,
        reservation: &mut Reservation,
    ) -> Result<(), AllocateError> {
        let seed = seed(new, "clusterIP");
        let name = text(new, "metadata.name").to_string();
        let spec = object(new, "spec");
        if !has_cluster_ip(spec) {
            return Ok(());
        }
        if is_headless(spec) {
            spec["clusterIP"] = "None".into();
            spec["clusterIPs"] = json!(["None"]);
            return Ok(());
        }
        let held = old.map(addresses).unwrap_or_default();
        if list(spec, "clusterIPs").is_empty() {
            let address = self.addresses.allocate(seed).ok_or_else(|| {
                AllocateError::Internal(format!("failed to allocate a serviceIP for Service {name:?}: range is full"))
            })?;
            reservation.addresses_added.push(address.into());
            spec["clusterIPs"] = json!([address.to_string()]);
        } else {
            for address in list(spec, "clusterIPs").iter().filter_map(|ip| ip.as_str()?.parse().ok()) {
                if !held.contains(&address) {
                    self.reserve_address(address).map_err(|why| refused_address(&spec["clusterIPs"], address, &why))?;
                    reservation.addresses_added.push(address);
                }
            }
        }
        spec["clusterIP"] = spec["clusterIPs"][0].clone();
        Ok(())
    }

    fn reserve_address(&mut self, address: IpAddr) -> Result<(), String> {
        let result = match address {
            IpAddr::V4(address) => self.addresses.reserve(address),
            IpAddr::V6(_) => Err(ReserveError::OutOfRange),
        };
        result.map_err(|error| match error {
            ReserveError::Taken => "provided IP is already allocated".to_string(),
            ReserveError::OutOfRange => format!(
                "the provided IP ({address}) is not in the valid range. The range of valid IPs is {}",
                self.addresses.range()
            ),
        })
    }

    fn reserve_port(&mut self, port: i64) -> Result<u16, String> {
        let reserved = u16::try_from(port)
            .map_err(|_| ReserveError::OutOfRange)
            .and_then(|port| self.ports.reserve(port).map(|()| port));
        reserved.map_err(|error| match error {
            ReserveError::Taken => "provided port is already allocated".to_string(),
            ReserveError::OutOfRange => {
                format!("provided port is not in the valid range. The range of valid ports is {}", self.ports)
            }
        })
    }

    /// Ports of one number and different protocols (DNS over UDP and TCP) share a node port.
    fn node_ports(
        &mut self,
        new: &mut Value,
        old: Option<&Value>,
        reservation: &mut Reservation,
    ) -> Result<(), AllocateError> {
        let seed = seed(new, "nodePort");
        let spec = object(new, "spec");
        if !has_node_ports(spec) {
            return Ok(());
        }
        let mut ours: Vec<i64> = old.map(ports).unwrap_or_default().into_iter().map(i64::from).collect();
        let mut by_port: BTreeMap<i64, i64> = BTreeMap::new();
        let mut errors = Vec::new();
        for (index, port) in list(spec, "ports").iter().enumerate() {
            let Some(requested) = int(port, "nodePort").filter(|n| *n != 0) else {
                continue;
            };
            by_port.entry(int(port, "port").unwrap_or(0)).or_insert(requested);
            if ours.contains(&requested) {
                continue;
            }
            match self.reserve_port(requested) {
                Ok(taken) => reservation.ports_added.push(taken),
                Err(why) => errors.push(invalid(
                    format!("spec.ports[{index}].nodePort"),
                    format!("Invalid value: {requested}: {why}"),
                )),
            }
            ours.push(requested);
        }
        if !errors.is_empty() {
            return Err(AllocateError::Invalid(errors));
        }
        if !needs_node_ports(spec) {
            return Ok(());
        }
        for (index, port) in items_mut(spec, "ports").enumerate() {
            if int(port, "nodePort").is_some_and(|n| n != 0) {
                continue;
            }
            let number = int(port, "port").unwrap_or(0);
            let node_port = match by_port.get(&number) {
                Some(shared) => *shared,
                None => {
                    let taken = self.ports.allocate(seed.wrapping_add(index as u64)).ok_or_else(|| {
                        AllocateError::Internal("failed to allocate a nodePort: range is full".to_string())
                    })?;
                    reservation.ports_added.push(taken);
                    by_port.insert(number, taken.into());
                    taken.into()
                }
            };
            port["nodePort"] = node_port.into();
        }
        Ok(())
    }

    fn health_port(
        &mut self,
        new: &mut Value,
        old: Option<&Value>,
        reservation: &mut Reservation,
    ) -> Result<(), AllocateError> {
        let seed = seed(new, "healthCheckNodePort");
        let spec = object(new, "spec");
        if !has_health_port(spec) {
            return Ok(());
        }
        let held = old.and_then(|old| int(old, "spec.healthCheckNodePort"));
        let port = match int(spec, "healthCheckNodePort").filter(|port| *port != 0) {
            Some(port) if Some(port) == held => return Ok(()),
            Some(port) => self.reserve_port(port).map_err(|why| {
                AllocateError::Internal(format!("failed to allocate requested HealthCheck NodePort {port}: {why}"))
            })?,
            None => self.ports.allocate(seed).ok_or_else(|| {
                AllocateError::Internal("failed to allocate a HealthCheck NodePort 0: range is full".to_string())
            })?,
        };
        reservation.ports_added.push(port);
        spec["healthCheckNodePort"] = port.into();
        Ok(())
    }
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
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": name}},
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

fn invalid(field: String, detail: String) -> FieldError {
    FieldError { field, kind: FieldErrorKind::Invalid, detail }
}

fn refused_address(cluster_ips: &Value, address: IpAddr, why: &str) -> AllocateError {
    let detail = format!("Invalid value: {cluster_ips}: failed to allocate IP {address}: {why}");
    AllocateError::Invalid(vec![invalid("spec.clusterIPs".to_string(), detail)])
}

/// The cluster has IPv4 only. A headless Service without selector may name any family: others fill it.
fn check_families(new: &Value, old: Option<&Value>) -> Result<(), AllocateError> {
    let unchanged = |path: &str| old.is_some_and(|old| same(at(old, path), at(new, path)));
    let for_others = is_headless(&new["spec"]) && same(at(new, "spec.selector"), None);
    if for_others || (unchanged("spec.ipFamilies") && unchanged("spec.ipFamilyPolicy")) {
        return Ok(());
    }
    let mut errors = Vec::new();
    if text(new, "spec.ipFamilyPolicy") == "RequireDualStack" {
        errors.push(invalid(
            "spec.ipFamilyPolicy".to_string(),
            "Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services".to_string(),
        ));
    }
    for (index, family) in list(new, "spec.ipFamilies").iter().enumerate() {
        if family != "IPv4" {
            errors.push(invalid(
                format!("spec.ipFamilies[{index}]"),
                format!("Invalid value: {family}: not configured on this cluster"),
            ));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(AllocateError::Invalid(errors)) }
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
