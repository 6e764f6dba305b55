//! What the pods of a Service ask for: endpoints, by address family and by the ports they really have.
//! Upstream: `endpointslice/utils.go`, `reconciler.go`.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use k8s_openapi::api::core::v1::Service;
use portolan_objects::{Family, ports::PortSet, service};

use super::{
    nodes::Nodes,
    slice::{Conditions, Endpoint},
};
use crate::backends::{Pod, pod};

/// The endpoints that should be published.
#[derive(Debug, Default)]
pub(crate) struct Desired<'a> {
    /// Each family of the Service. A set of ports is there as soon as a pod has it, even if nothing is published of
    /// that pod: slices with these ports are then not superfluous, only empty.
    pub(crate) families: BTreeMap<Family, BTreeMap<PortSet, Vec<Wanted<'a>>>>,
    /// Pods left out because their node does not exist.
    pub(crate) skipped: Vec<Skipped>,
}

/// One endpoint that should be published. It borrows from the index: most of them only have to be compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) pod: &'a Pod,
    address: IpAddr,
    hostname: Option<&'a str>,
    zone: Option<&'a str>,
    conditions: Conditions,
}

/// A pod whose node is missing: published by nobody until the node or the pod's end shows up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) pod: String,
    pub(crate) node: String,
}

impl Wanted<'_> {
    /// It is the same endpoint, whatever else is said of it.
    pub(crate) fn is(&self, held: &Endpoint) -> bool {
        *self.pod.name == *held.pod && self.address == held.address && self.hostname == held.hostname.as_deref()
    }

    /// Nothing that is said of it differs. Hints are not of the pod's making and do not count.
    pub(crate) fn is_same(&self, held: &Endpoint) -> bool {
        !held.foreign
            && self.conditions == held.conditions
            && pod::node(self.pod) == held.node.as_deref()
            && self.zone == held.zone.as_deref()
            && *self.pod.uid == *held.uid
    }

    /// As it is written, without hints.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            address: self.address,
            pod: self.pod.name.clone(),
            uid: self.pod.uid.clone(),
            hostname: self.hostname.map(Into::into),
            node: pod::node(self.pod).map(Into::into),
            zone: self.zone.map(Into::into),
            conditions: self.conditions,
            hints: None,
            foreign: false,
        }
    }
}

/// Sorts the pods into endpoints, in the order in which they come. Terminating pods stay until they are gone; only
/// their conditions change.
pub(crate) fn desired<'a>(service: &'a Service, pods: &'a [Arc<Pod>], nodes: &'a Nodes) -> Desired<'a> {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let not_ready_too = service::publishes_not_ready(service);
    let mut resolved = Resolved { service, of: HashMap::new() };
    let mut groups: Vec<(PortSet, Vec<(Wanted<'a>, Family)>)> = Vec::new();
    let mut skipped = Vec::new();
    for pod in pods {
        if pod::is_terminal(pod) || pod::ips(pod).next().is_none() {
            continue;
        }
        let group = resolved.group(pod, &mut groups);
        let node = pod::node(pod).unwrap_or_default();
        let zone = nodes.zone(node);
        if zone.is_none() && !not_ready_too {
            skipped.push(Skipped { pod: pod.name.to_string(), node: node.to_owned() });
            continue;
        }
        let (serving, terminating) = (pod::is_ready(pod), pod::is_terminating(pod));
        let conditions = Conditions {
            ready: Some(not_ready_too || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        };
        let (hostname, zone) = (pod::endpoint_hostname(pod, name), zone.flatten());
        groups[group].1.extend(
            pod::ips(pod).map(|address| (Wanted { pod, address, hostname, zone, conditions }, Family::of(address))),
        );
    }
    let of_family = |family: Family| {
        let wanted = |list: &[(Wanted<'a>, Family)]| {
            list.iter().filter(|(_, of)| *of == family).map(|(wanted, _)| *wanted).collect()
        };
        groups.iter().map(|(ports, list)| (ports.clone(), wanted(list))).collect()
    };
    let families = service::families(service).into_iter().map(|family| (family, of_family(family))).collect();
    Desired { families, skipped }
}

/// The ports of pods, resolved once for all pods that declare the same ones.
struct Resolved<'a> {
    service: &'a Service,
    of: HashMap<*const pod::NamedPort, usize>,
}

impl Resolved<'_> {
    /// The place in `groups` of the pods that have the same ports as this one.
    fn group<T>(&mut self, pod: &Pod, groups: &mut Vec<(PortSet, Vec<T>)>) -> usize {
        // The pods are held for as long as this is, so an address means one list of ports.
        let declared = pod.ports.as_ptr();
        if let Some(group) = self.of.get(&declared) {
            return *group;
        }
        let ports = pod::resolve_ports(self.service, pod);
        let group = groups.iter().position(|(set, _)| *set == ports).unwrap_or_else(|| {
            groups.push((ports, Vec::new()));
            groups.len() - 1
        });
        self.of.insert(declared, group);
        group
    }
}

#[cfg(test)]
mod tests;
