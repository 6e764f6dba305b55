//! Sets of endpoint ports as comparable data: how slices and subsets are grouped.
//!
//! Upstream groups by a hash of the sorted list (`k8s.io/endpointslice/util`); here the sorted set itself is the key,
//! so two different sets can never meet. An absent list and an empty one are the same set.

use k8s_openapi::api::{core::v1 as core, discovery::v1 as discovery};

use crate::{Protocol, pod, service};

/// One port that endpoints serve. Ordered by name, then protocol, then number.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// Name of the Service port, empty if it has none.
    pub name: String,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Number on the endpoint; absent means every port (hand-written slices only).
    pub number: Option<u16>,
    /// `appProtocol`.
    pub app_protocol: Option<String>,
}

/// The ports that every endpoint of one slice (or subset) has: sorted, without repetition.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSet(Vec<Port>);

impl FromIterator<Port> for PortSet {
    fn from_iter<I: IntoIterator<Item = Port>>(ports: I) -> Self {
        let mut ports: Vec<Port> = ports.into_iter().collect();
        ports.sort();
        ports.dedup();
        Self(ports)
    }
}

impl PortSet {
    /// The Service's ports as this pod has them. A named port that the pod does not declare is left out.
    pub fn resolve(service: &core::Service, pod: &core::Pod) -> Self {
        let resolve = |port: &core::ServicePort| {
            let protocol = Protocol::of(port.protocol.as_deref());
            Some(Port {
                name: port.name.clone().unwrap_or_default(),
                protocol,
                number: Some(pod::resolve_port(pod, &service::target_port(port), protocol)?),
                app_protocol: port.app_protocol.clone(),
            })
        };
        service::ports(service).iter().filter_map(resolve).collect()
    }

    /// The ports of a slice.
    pub fn of_slice(slice: &discovery::EndpointSlice) -> Self {
        slice
            .ports
            .iter()
            .flatten()
            .map(|port| Port {
                name: port.name.clone().unwrap_or_default(),
                protocol: Protocol::of(port.protocol.as_deref()),
                number: port.port.and_then(number),
                app_protocol: port.app_protocol.clone(),
            })
            .collect()
    }

    /// The ports of a subset.
    pub fn of_subset(subset: &core::EndpointSubset) -> Self {
        subset
            .ports
            .iter()
            .flatten()
            .map(|port| Port {
                name: port.name.clone().unwrap_or_default(),
                protocol: Protocol::of(port.protocol.as_deref()),
                number: number(port.port),
                app_protocol: port.app_protocol.clone(),
            })
            .collect()
    }

    /// As a slice's `ports`. The name is always written, even when empty, as upstream does.
    pub fn to_slice(&self) -> Vec<discovery::EndpointPort> {
        self.0
            .iter()
            .map(|port| discovery::EndpointPort {
                name: Some(port.name.clone()),
                protocol: Some(port.protocol.to_string()),
                port: port.number.map(i32::from),
                app_protocol: port.app_protocol.clone(),
            })
            .collect()
    }

    /// As a subset's `ports`; a port without a number cannot be said there and is left out.
    pub fn to_subset(&self) -> Vec<core::EndpointPort> {
        self.0
            .iter()
            .filter_map(|port| {
                Some(core::EndpointPort {
                    name: (!port.name.is_empty()).then(|| port.name.clone()),
                    protocol: Some(port.protocol.to_string()),
                    port: port.number?.into(),
                    app_protocol: port.app_protocol.clone(),
                })
            })
            .collect()
    }

    /// The ports, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Port> {
        self.0.iter()
    }

    /// No port at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A port number of the API, if it is one. Zero is none.
pub fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use k8s_openapi::serde_json::{self, json};

    use super::*;

    fn port(name: &str, number: u16) -> Port {
        Port { name: name.into(), number: Some(number), ..Port::default() }
    }

    #[test]
    fn order_and_repetition_make_no_difference() {
        let one: PortSet = [port("b", 2), port("a", 1), port("b", 2)].into_iter().collect();
        let two: PortSet = [port("a", 1), port("b", 2)].into_iter().collect();
        assert_eq!(one, two);
        assert_ne!(one, [port("a", 1)].into_iter().collect());
    }

    #[test]
    fn slices_and_subsets_round_trip() {
        let set: PortSet = [port("", 80), port("dns", 53)].into_iter().collect();
        let slice = discovery::EndpointSlice { ports: Some(set.to_slice()), ..Default::default() };
        assert_eq!(PortSet::of_slice(&slice), set);
        let subset = core::EndpointSubset { ports: Some(set.to_subset()), ..Default::default() };
        assert_eq!(PortSet::of_subset(&subset), set);
        assert_eq!(PortSet::of_slice(&discovery::EndpointSlice::default()), PortSet::default());
    }

    #[test]
    fn a_pod_has_those_ports_of_the_service_that_it_declares() {
        let service: core::Service = serde_json::from_value(json!({"spec": {"ports": [
            {"name": "web", "port": 80, "targetPort": "http"}, {"name": "metrics", "port": 9090, "targetPort": "none"},
            {"name": "dns", "port": 53, "protocol": "UDP"},
        ]}}))
        .unwrap();
        let pod: core::Pod = serde_json::from_value(json!({"spec": {"containers": [
            {"name": "a", "ports": [{"name": "http", "containerPort": 8080}]},
        ]}}))
        .unwrap();
        let dns = Port { protocol: Protocol::Udp, ..port("dns", 53) };
        assert_eq!(PortSet::resolve(&service, &pod), [port("web", 8080), dns].into_iter().collect());
    }

    #[test]
    fn only_real_port_numbers_count() {
        assert_eq!([-1, 0, 1, 65_535, 65_536].map(number), [None, None, Some(1), Some(65_535), None]);
    }
}
