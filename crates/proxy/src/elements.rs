//! The elements of one Service: what section by section of the ruleset's maps should hold for it. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use portolan_nftables::{Data, Value};
use portolan_objects::{Family, Protocol};

use crate::{
    choose::Lists,
    facts::{NodeFacts, PortFacts, ServiceFacts},
    rules::LOCAL_SLOTS,
    sets::SetId,
    targets::Target,
};

/// Names one element in one set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ElementKey {
    pub(crate) set: SetId,
    pub(crate) key: Value,
    /// Last key of a range.
    pub(crate) end: Option<Value>,
}

/// Elements and what maps hold for them.
pub(crate) type Elements = BTreeMap<ElementKey, Option<Data>>;

/// The endpoints of one port in their slots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) main: Vec<SocketAddr>,
    pub(crate) local: Vec<SocketAddr>,
}

/// One port of a Service with its endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) facts: PortFacts,
    pub(crate) lists: Lists,
    pub(crate) slots: Slots,
}

/// The elements of one Service in one family.
pub(crate) fn elements(service: &ServiceFacts, ports: &[Port], family: Family, node: &NodeFacts) -> Elements {
    let mut writer = Writer { service, node, family, elements: Elements::new() };
    for port in ports {
        writer.port(port);
    }
    writer.elements
}

struct Writer<'a> {
    service: &'a ServiceFacts,
    node: &'a NodeFacts,
    family: Family,
    elements: Elements,
}

impl Writer<'_> {
    fn set(&mut self, set: SetId, key: Value, data: Option<Value>) {
        self.elements.insert(ElementKey { set, key, end: None }, data.map(Data::Value));
    }

    fn ours<'b>(&self, addresses: &'b [IpAddr]) -> impl Iterator<Item = IpAddr> + use<'b> {
        let family = self.family;
        addresses.iter().copied().filter(move |address| Family::of(*address) == family)
    }

    fn port(&mut self, port: &Port) {
        let service = self.service;
        let protocol = protocol_number(port.facts.protocol);
        let key = |address: IpAddr, number: u16| Value::new().address(address).protocol(protocol).port(number);
        for address in self.ours(&service.cluster_ips) {
            self.set(SetId::ClusterIps, Value::new().address(address), None);
            self.internal(key(address, port.facts.port), port);
        }
        // A Service without an address in this family has no way in either.
        if self.ours(&service.cluster_ips).next().is_none() {
            return;
        }
        for address in self.ours(&service.external_ips) {
            self.external(key(address, port.facts.port), port, None);
        }
        for address in self.ours(&service.load_balancer_ips) {
            let ranges = service.source_ranges.as_deref();
            self.external(key(address, port.facts.port), port, ranges.map(|ranges| (address, ranges)));
        }
        if let Some(number) = port.facts.node_port {
            self.external(key(zero(self.family), number), port, None);
        }
        for endpoint in &port.lists.here {
            let address = Value::new().address(endpoint.ip()).address(endpoint.ip());
            self.set(SetId::Hairpin, address.protocol(protocol).port(endpoint.port()), None);
        }
    }

    /// The way in through the cluster address. Under policy Local its only list is the local one.
    fn internal(&mut self, key: Value, port: &Port) {
        let list = if self.service.internal_local { &port.slots.local } else { &port.slots.main };
        let target = match self.target(list.len(), false) {
            Some(target) => target,
            None if has_endpoints(port) => Target::Drop,
            None => Target::Refuse,
        };
        self.set(SetId::Svc, key.clone(), Some(target.value()));
        self.list(&key, list, false);
    }

    /// A way in from outside, with the source ranges of a load balancer's address.
    fn external(&mut self, key: Value, port: &Port, ranges: Option<(IpAddr, &[IpNet])>) {
        let local = self.service.external_local;
        self.set(if local { SetId::MasqHost } else { SetId::MasqAlways }, key.clone(), None);
        let Some(main) = self.target(port.slots.main.len(), false) else {
            self.set(SetId::Svc, key, Some(Target::Refuse.value()));
            return;
        };
        self.list(&key, &port.slots.main, false);
        if local {
            let outside = self.target(port.slots.local.len(), true).unwrap_or(Target::Drop);
            self.set(SetId::SvcOut, key.clone(), Some(outside.value()));
            self.list(&key, &port.slots.local, true);
        }
        let first = match ranges {
            Some(_) => Target::Guard,
            None if local => Target::Etp,
            None => main,
        };
        if first != main {
            self.set(SetId::SvcIn, key.clone(), Some(main.value()));
        }
        self.set(SetId::Svc, key.clone(), Some(first.value()));
        if let Some((address, ranges)) = ranges {
            self.allow(&key, address, ranges);
        }
    }

    /// `None` for an empty list.
    fn target(&self, endpoints: usize, local: bool) -> Option<Target> {
        let count = u16::try_from(endpoints).unwrap_or(u16::MAX);
        match (count, self.service.affinity) {
            (0, _) => None,
            (count, None) => Some(Target::Pick { count, local }),
            (count, Some(seconds)) => Some(Target::Stick { seconds, count, local }),
        }
    }

    fn list(&mut self, key: &Value, list: &[SocketAddr], local: bool) {
        let ids = self.service.affinity.is_some().then(|| endpoint_ids(list));
        for (slot, endpoint) in (0u32..).zip(list) {
            let slot = key.clone().number(if local { LOCAL_SLOTS } else { 0 } + slot);
            let target = Value::new().address(endpoint.ip()).port(endpoint.port());
            if let Some(id) = ids.as_ref().and_then(|ids| ids.get(endpoint)) {
                self.set(SetId::AffPick, slot.clone(), Some(Value::new().number(*id)));
                let by_id = if local { SetId::AffEpLocal } else { SetId::AffEp };
                self.set(by_id, key.clone().number(*id), Some(target.clone()));
            }
            self.set(SetId::Ep, slot, Some(target));
        }
    }

    fn allow(&mut self, key: &Value, address: IpAddr, ranges: &[IpNet]) {
        let mut allowed: Vec<IpNet> =
            ranges.iter().filter(|range| range.addr().is_ipv4() == address.is_ipv4()).copied().collect();
        // A node that may use the Service reaches it from the balancer's own address where that is bound here.
        if allowed.iter().any(|range| self.node.addresses.iter().any(|node| range.contains(node))) {
            allowed.push(address.into());
        }
        for range in IpNet::aggregate(&allowed) {
            let first = key.clone().address(range.network());
            let end = Some(key.clone().address(range.broadcast()));
            self.elements.insert(ElementKey { set: SetId::LbAllow, key: first, end }, None);
        }
    }
}

fn has_endpoints(port: &Port) -> bool {
    !port.slots.main.is_empty() || !port.slots.local.is_empty()
}

/// IP protocol number.
pub(crate) fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// The zero address, which stands for "this node" in keys.
pub(crate) fn zero(family: Family) -> IpAddr {
    match family {
        Family::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Ids by which clients are remembered. They come from the address alone, so that an endpoint has the same one after
/// a restart and when it returns; two with one hash are told apart in the order of their addresses.
fn endpoint_ids(list: &[SocketAddr]) -> BTreeMap<SocketAddr, u32> {
    let sorted: BTreeSet<SocketAddr> = list.iter().copied().collect();
    let mut taken = BTreeSet::from([0]);
    let mut ids = BTreeMap::new();
    for endpoint in sorted {
        let mut hash = Fnv32(0x811c_9dc5);
        match endpoint.ip() {
            IpAddr::V4(address) => address.octets().hash(&mut hash),
            IpAddr::V6(address) => address.octets().hash(&mut hash),
        }
        hash.write(&endpoint.port().to_be_bytes());
        let mut id = hash.0;
        while !taken.insert(id) {
            id = id.wrapping_add(1);
        }
        ids.insert(endpoint, id);
    }
    ids
}

/// FNV-1a in 32 bits.
struct Fnv32(u32);

impl Hasher for Fnv32 {
    fn finish(&self) -> u64 {
        self.0.into()
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}

#[cfg(test)]
mod tests;
