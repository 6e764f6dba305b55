//! What the pods of a Service ask for: endpoints, by address family and by the ports they really have.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::{Endpoint, EndpointConditions},
};
use portolan_objects::{Family, pod, ports::PortSet, service};

use crate::backends::target_ref;

/// Zone of each node that exists.
pub(crate) type Zones = HashMap<String, Option<String>>;

/// The endpoints that should be published.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Desired {
    /// Each family of the Service, with its endpoints by port set, in the order of the pods' names.
    pub(crate) families: BTreeMap<Family, BTreeMap<PortSet, Vec<Endpoint>>>,
    /// Pods left out because their node does not exist.
    pub(crate) skipped: Vec<Skipped>,
}

/// A pod whose node is missing: published by nobody until the node or the pod's end shows up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) pod: String,
    pub(crate) node: String,
}

/// Sorts the pods into endpoints. Terminating pods stay until they are gone; only their conditions change.
pub(crate) fn desired(service: &Service, pods: &[Arc<Pod>], zones: &Zones) -> Desired {
    let families = service::families(service).into_iter().map(|family| (family, BTreeMap::new()));
    let mut desired = Desired { families: families.collect(), skipped: Vec::new() };
    for pod in pods {
        let addresses = pod::ips(pod);
        if pod::is_terminal(pod) || addresses.is_empty() {
            continue;
        }
        let node = pod::node(pod).unwrap_or_default();
        if !zones.contains_key(node) && !service::publishes_not_ready(service) {
            let name = pod.metadata.name.clone().unwrap_or_default();
            desired.skipped.push(Skipped { pod: name, node: node.to_owned() });
            continue;
        }
        let ports = PortSet::resolve(service, pod);
        for (family, sets) in &mut desired.families {
            if let Some(address) = addresses.iter().find(|address| Family::of(**address) == *family) {
                sets.entry(ports.clone()).or_default().push(endpoint(service, pod, *address, zones));
            }
        }
    }
    desired
}

fn endpoint(service: &Service, pod: &Pod, address: IpAddr, zones: &Zones) -> Endpoint {
    let serving = pod::is_ready(pod);
    let terminating = pod::is_terminating(pod);
    let name = service.metadata.name.as_deref().unwrap_or_default();
    Endpoint {
        addresses: vec![address.to_string()],
        conditions: Some(EndpointConditions {
            ready: Some(service::publishes_not_ready(service) || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: pod::endpoint_hostname(pod, name).map(str::to_owned),
        node_name: pod::node(pod).map(str::to_owned),
        zone: pod::node(pod).and_then(|node| zones.get(node).cloned().flatten()),
        target_ref: Some(target_ref(pod)),
        ..Endpoint::default()
    }
}

#[cfg(test)]
mod tests;
