//! The addresses of a Service's pods, in the canonical form of an Endpoints object.
//! Upstream: `pkg/api/v1/endpoints/util.go` (repacking), `endpoints_controller.go` (truncation).

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Pod, Service};
use portolan_objects::{Family, pod, ports::PortSet, service};

use crate::backends::target_ref;

/// Addresses in one Endpoints, ready and not ready together.
pub(crate) const CAPACITY: usize = 1000;

/// The subsets that the pods ask for: one for each set of ports, everything sorted.
pub(crate) fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let Some(family) = service::families(service).into_iter().next() else { return Vec::new() };
    let not_ready_too = service::publishes_not_ready(service);
    let mut groups: BTreeMap<PortSet, EndpointSubset> = BTreeMap::new();
    for pod in pods {
        if pod::is_terminal(pod) || (pod::is_terminating(pod) && !not_ready_too) {
            continue;
        }
        let Some(address) = address(service, pod, family) else { continue };
        let ports = PortSet::resolve(service, pod);
        // Only a headless Service that declares no port publishes bare addresses.
        if ports.is_empty() && !(service::ports(service).is_empty() && service::is_headless(service)) {
            continue;
        }
        let subset = groups.entry(ports).or_default();
        let list =
            if not_ready_too || pod::is_ready(pod) { &mut subset.addresses } else { &mut subset.not_ready_addresses };
        list.get_or_insert_default().push(address);
    }
    let subsets = groups.into_iter().map(|(ports, subset)| EndpointSubset {
        ports: Some(ports.to_subset()).filter(|ports| !ports.is_empty()),
        ..subset
    });
    canonical(subsets.collect())
}

fn address(service: &Service, pod: &Pod, family: Family) -> Option<EndpointAddress> {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    Some(EndpointAddress {
        ip: pod::ip(pod, family)?.to_string(),
        hostname: pod::endpoint_hostname(pod, name).map(str::to_owned),
        node_name: pod::node(pod).map(str::to_owned),
        target_ref: Some(target_ref(pod)),
    })
}

/// Sorted, without empty lists and without what does not count in a comparison. Applied to both sides of it.
pub(crate) fn canonical(mut subsets: Vec<EndpointSubset>) -> Vec<EndpointSubset> {
    for subset in &mut subsets {
        for list in [&mut subset.addresses, &mut subset.not_ready_addresses] {
            *list = list.take().filter(|list| !list.is_empty());
            for address in list.iter_mut().flatten() {
                if let Some(target) = &mut address.target_ref {
                    target.resource_version = None;
                }
            }
            if let Some(list) = list {
                list.sort_by_cached_key(|address| (address.ip.clone(), uid(address)));
            }
        }
        subset.ports = Some(PortSet::of_subset(subset).to_subset()).filter(|ports| !ports.is_empty());
    }
    subsets.sort_by_cached_key(PortSet::of_subset);
    subsets
}

fn uid(address: &EndpointAddress) -> Option<String> {
    address.target_ref.as_ref().and_then(|target| target.uid.clone())
}

/// Leaves out what is above `capacity`: not-ready addresses first, then ready ones, from each subset in proportion to
/// its size. `true` if anything was left out.
pub(crate) fn truncate(subsets: &mut Vec<EndpointSubset>, capacity: usize) -> bool {
    let len = |list: &Option<Vec<EndpointAddress>>| list.as_ref().map_or(0, Vec::len);
    let ready: usize = subsets.iter().map(|subset| len(&subset.addresses)).sum();
    let not_ready: usize = subsets.iter().map(|subset| len(&subset.not_ready_addresses)).sum();
    if ready + not_ready <= capacity {
        return false;
    }
    let too_many_ready = ready > capacity;
    let (total, room) = if too_many_ready { (ready, capacity) } else { (not_ready, capacity - ready) };
    let mut left = room;
    for subset in subsets.iter_mut() {
        let list = if too_many_ready {
            subset.not_ready_addresses = None;
            &mut subset.addresses
        } else {
            &mut subset.not_ready_addresses
        };
        // Rounded up, so that the last subset is the one that gets less.
        let share = (len(list) * room).div_ceil(total).min(left);
        left -= share;
        if let Some(list) = list {
            list.truncate(share);
        }
    }
    *subsets = canonical(std::mem::take(subsets));
    subsets.retain(|subset| subset.addresses.is_some() || subset.not_ready_addresses.is_some());
    true
}

#[cfg(test)]
mod tests;
