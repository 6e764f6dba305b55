//! What an Endpoints object says, as endpoints of slices: by address family and by ports.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::api::{
    core::v1::{EndpointAddress, Endpoints},
    discovery::v1::{Endpoint, EndpointConditions},
};
use portolan_objects::{Family, ports::PortSet};

use crate::endpoints::repack;

/// The slices that an Endpoints asks for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Desired {
    /// One slice each; none of them is empty.
    pub(crate) slices: BTreeMap<(Family, PortSet), Members>,
    /// Addresses that are none.
    pub(crate) invalid: usize,
    /// Addresses left out, because they are invalid or too many.
    pub(crate) skipped: usize,
}

/// The endpoints of one slice.
pub(crate) type Members = BTreeMap<Identity, Endpoint>;

/// Which endpoint it is, whatever its conditions: as in the slices made from selectors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    addresses: Vec<String>,
    hostname: String,
    namespace: String,
    target: String,
}

impl Identity {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        let mut addresses = endpoint.addresses.clone();
        addresses.sort();
        let target = endpoint.target_ref.clone().unwrap_or_default();
        Self {
            addresses,
            hostname: endpoint.hostname.clone().unwrap_or_default(),
            namespace: target.namespace.unwrap_or_default(),
            target: target.name.unwrap_or_default(),
        }
    }
}

/// Spreads out the subsets, at most `max` addresses of each: ready ones come first.
pub(crate) fn desired(endpoints: &Endpoints, max: usize) -> Desired {
    let mut desired = Desired::default();
    for subset in repack::repack(endpoints.subsets.as_deref().unwrap_or_default()) {
        let ports = PortSet::of_subset(&subset);
        let ready = subset.addresses.into_iter().flatten().map(|address| (address, true));
        let rest = subset.not_ready_addresses.into_iter().flatten().map(|address| (address, false));
        let mut room = max;
        for (address, ready) in ready.chain(rest) {
            match parse(&address.ip).filter(|_| room > 0) {
                Some(ip) => {
                    room -= 1;
                    let endpoint = endpoint(ip, address, ready);
                    let slice = desired.slices.entry((Family::of(ip), ports.clone())).or_default();
                    slice.insert(Identity::of(&endpoint), endpoint);
                }
                None => {
                    // What comes after the last that fits is not even looked at.
                    desired.invalid += usize::from(room > 0);
                    desired.skipped += 1;
                }
            }
        }
    }
    desired
}

fn endpoint(ip: IpAddr, address: EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![ip.to_string()],
        // The author of an Endpoints says nothing about the others.
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.filter(|hostname| !hostname.is_empty()),
        node_name: address.node_name,
        target_ref: address.target_ref,
        ..Endpoint::default()
    }
}

/// As the API reads an address in a field from before it became strict: leading zeros count for nothing, and an IPv4
/// address may be dressed as an IPv6 one.
fn parse(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let bare = |octet: &str| match octet.trim_start_matches('0') {
        "" if !octet.is_empty() => "0".to_owned(),
        rest => rest.to_owned(),
    };
    let octets: Vec<String> = text.split('.').map(bare).collect();
    octets.join(".").parse().ok().filter(IpAddr::is_ipv4)
}

#[cfg(test)]
mod tests;
