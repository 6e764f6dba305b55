//! The addresses of a Service's pods, as subsets of an Endpoints object.
//! Upstream: `pkg/controller/endpoint/endpoints_controller.go`.

use std::{net::IpAddr, sync::Arc};

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Service};
use portolan_objects::service;

use super::repack::{self, Spread};
use crate::backends::{Pod, pod, target_ref};

/// Addresses in one Endpoints, ready and not ready together.
pub(crate) const CAPACITY: usize = 1000;

/// What the pods ask for.
#[derive(Debug, PartialEq)]
pub(crate) struct Desired {
    /// At most [`CAPACITY`] addresses.
    pub(crate) subsets: Vec<EndpointSubset>,
    /// Some were left out.
    pub(crate) truncated: bool,
    /// [`repack::fingerprint`] of the subsets in canonical form.
    pub(crate) fingerprint: u128,
}

pub(crate) fn desired(service: &Service, pods: &[Arc<Pod>]) -> Desired {
    let mut subsets = subsets(service, pods);
    let truncated = truncate(&mut subsets, CAPACITY);
    // Leaving out changes the canonical order, but not what is written: upstream's is the order from before.
    let fingerprint =
        if truncated { repack::fingerprint(&repack::repack(&subsets)) } else { repack::fingerprint(&subsets) };
    Desired { subsets, truncated, fingerprint }
}

/// All addresses, in canonical form.
fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let not_ready_too = service::publishes_not_ready(service);
    // Only a headless Service that declares no port publishes bare addresses.
    let bare = service::ports(service).is_empty() && is_none(service);
    let mut spread = Spread::default();
    for pod in pods {
        if pod::is_terminal(pod) || (pod::is_terminating(pod) && !not_ready_too) {
            continue;
        }
        let ports = pod::resolve_ports(service, pod);
        if ports.is_empty() && !bare {
            continue;
        }
        if let Some(ip) = ip(service, pod) {
            spread.add(address(service, pod, ip), not_ready_too || pod::is_ready(pod), &ports);
        }
    }
    spread.pack()
}

/// `clusterIP: None`. One that has no address at all is on its way to or from being an alias.
fn is_none(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| spec.cluster_ip.as_deref() == Some("None"))
}

/// The address that is published: an Endpoints has one family, the first of its Service. Where a Service from before
/// dual stack names none and has no address that would say it, any of the pod's will do.
fn ip(service: &Service, pod: &Pod) -> Option<IpAddr> {
    let families = service::families(service);
    let is_said = service.spec.as_ref().is_some_and(|spec| spec.ip_families.is_some());
    let open = if is_said { 1 } else { families.len() };
    families.into_iter().take(open).find_map(|family| pod::ip(pod, family))
}

fn address(service: &Service, pod: &Pod, ip: IpAddr) -> EndpointAddress {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    EndpointAddress {
        ip: ip.to_string(),
        hostname: pod::endpoint_hostname(pod, name).map(str::to_owned),
        node_name: pod::node(pod).map(str::to_owned),
        target_ref: Some(target_ref(pod)),
    }
}

/// Leaves out what is above `capacity`: not-ready addresses first, then ready ones, from each subset in proportion to
/// its size. `true` if anything was left out.
fn truncate(subsets: &mut Vec<EndpointSubset>, capacity: usize) -> bool {
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
        let share = share(len(list), total, room).min(left);
        left -= share;
        if let Some(addresses) = list {
            addresses.truncate(share);
        }
        *list = list.take().filter(|addresses| !addresses.is_empty());
    }
    // The API takes no subset without addresses. Upstream tries, and fails until there are fewer.
    subsets.retain(|subset| subset.addresses.is_some() || subset.not_ready_addresses.is_some());
    true
}

/// Rounded up, so that the last subset is the one that gets less. In floating point like upstream, whose rounding
/// errors decide now and then who is in.
fn share(of: usize, total: usize, room: usize) -> usize {
    let part = of as f64 / total as f64 * room as f64;
    part.ceil() as usize
}

#[cfg(test)]
mod tests;
