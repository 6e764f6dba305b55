//! The ClusterIPs of Services: any number of ranges over one set of taken addresses.
//!
//! As upstream since 1.33, a range belongs to a ServiceCIDR and only says where addresses may be taken from; whether
//! one is taken is known for all ranges together. So ranges may overlap, come and go. An address may have several
//! holders (the Service, its IPAddress object, a write under way) and is free when the last lets go of it.
//!
//! Upstream: `pkg/registry/core/service/ipallocator`, `cidrallocator.go` and `ipallocator.go`.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::ReserveError;
use crate::runs::Runs;

/// Shortest prefix of an IPv6 range.
const SHORTEST_IPV6_PREFIX: u8 = 64;

/// Ranges no larger than this have no static band.
const SMALLEST_BANDED_RANGE: u128 = 16;

/// Length of the static band of a range of `size`: a share of it, at least 16, at most `most`.
pub(crate) fn static_band(size: u128, share: u128, most: u128) -> u128 {
    if size <= SMALLEST_BANDED_RANGE {
        return 0;
    }
    (size / share).max(16).min(most)
}

/// An IP family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// The family of a network.
    pub fn of_net(net: IpNet) -> Family {
        Family::of(net.addr())
    }

    /// `IPv4` or `IPv6`, as the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Family {
        match self {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        }
    }

    fn address(self, number: u128) -> Option<IpAddr> {
        match self {
            Family::V4 => Some(Ipv4Addr::from_bits(u32::try_from(number).ok()?).into()),
            Family::V6 => Some(Ipv6Addr::from_bits(number).into()),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// One range: what is usable of a CIDR. Not the network address and, of IPv4, not the broadcast address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceRange {
    net: IpNet,
    first: u128,
    last: u128,
    band: u128,
}

impl ServiceRange {
    /// None for an IPv6 prefix shorter than /64, which is no service range.
    pub fn new(net: IpNet) -> Option<ServiceRange> {
        if Family::of_net(net) == Family::V6 && net.prefix_len() < SHORTEST_IPV6_PREFIX {
            return None;
        }
        let net = net.trunc();
        let (start, end) = (number(net.network()), number(net.broadcast()));
        let edge = u128::from(Family::of_net(net) == Family::V4);
        // A range without a usable address has its first behind its last.
        let (first, last) = (start.saturating_add(1), end.saturating_sub(edge));
        Some(ServiceRange { net, first, last, band: static_band(end - start + 1, 16, 256) })
    }

    /// The CIDR.
    pub fn net(&self) -> IpNet {
        self.net
    }

    /// Whether the range can give out the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family() && (self.first..=self.last).contains(&number(address))
    }

    fn family(&self) -> Family {
        Family::of_net(self.net)
    }
}

/// Why nothing could be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickError {
    /// Every address of every ready range is taken.
    #[error("range is full")]
    Full,
    /// No range of the family is ready.
    #[error("allocator not ready")]
    NotReady,
}

/// The ranges of one ServiceCIDR.
#[derive(Clone, Debug)]
struct Source {
    ranges: Vec<ServiceRange>,
    ready: bool,
}

/// The ClusterIPs of a cluster.
#[derive(Clone, Debug, Default)]
pub struct ServiceAddresses {
    sources: BTreeMap<String, Source>,
    holders: HashMap<IpAddr, u32>,
    v4: Runs,
    v6: Runs,
}

impl ServiceAddresses {
    /// Adds the ranges of the ServiceCIDR `name`, or brings them up to date. Only a ready one gives out addresses.
    pub fn set_source(&mut self, name: &str, nets: &[IpNet], ready: bool) {
        let ranges = nets.iter().copied().filter_map(ServiceRange::new).collect();
        self.sources.insert(name.to_string(), Source { ranges, ready });
    }

    /// The ServiceCIDR is gone.
    pub fn remove_source(&mut self, name: &str) {
        self.sources.remove(name);
    }

    /// The ready ranges of a family, each once.
    pub fn ranges(&self, family: Family) -> Vec<ServiceRange> {
        let mut ranges: Vec<ServiceRange> = Vec::new();
        for range in self.sources.values().filter(|source| source.ready).flat_map(|source| &source.ranges) {
            if range.family() == family && !ranges.contains(range) {
                ranges.push(*range);
            }
        }
        ranges
    }

    /// How many addresses of a range can still be given out.
    pub fn free(&self, range: &ServiceRange) -> u128 {
        if range.first > range.last {
            return 0;
        }
        range.last - range.first + 1 - self.taken(range.family()).count(range.first, range.last)
    }

    /// Whether the address has a holder.
    pub fn is_taken(&self, address: IpAddr) -> bool {
        self.taken(Family::of(address)).contains(number(address))
    }

    /// One holder more, whatever the ranges say: for what is stored already.
    pub fn hold(&mut self, address: IpAddr) {
        *self.holders.entry(address).or_default() += 1;
        self.taken_mut(Family::of(address)).insert(number(address));
    }

    /// One holder less; true if that was the last.
    pub fn release(&mut self, address: IpAddr) -> bool {
        match self.holders.get_mut(&address) {
            Some(holders) if *holders > 1 => {
                *holders -= 1;
                false
            }
            Some(_) => {
                self.holders.remove(&address);
                self.taken_mut(Family::of(address)).remove(number(address))
            }
            None => false,
        }
    }

    /// Takes a given address, from either band.
    pub fn reserve(&mut self, address: IpAddr) -> Result<(), ReserveError> {
        let ready = self.sources.values().filter(|source| source.ready);
        if !ready.flat_map(|source| &source.ranges).any(|range| range.contains(address)) {
            return Err(ReserveError::OutOfRange);
        }
        if self.is_taken(address) {
            return Err(ReserveError::Taken);
        }
        self.hold(address);
        Ok(())
    }

    /// Takes any address of a family from the first ready range that has one, where `seed` decides which is first: from
    /// its dynamic band while that lasts, starting at a place that `seed` decides too.
    pub fn allocate(&mut self, family: Family, seed: u64) -> Result<IpAddr, PickError> {
        let ranges = self.ranges(family);
        if ranges.is_empty() {
            return Err(PickError::NotReady);
        }
        // The low bits decide the place in a range, so the range is decided by the high ones.
        let start = usize::try_from((seed >> 32) % ranges.len() as u64).unwrap_or(0);
        let taken = self.taken(family);
        let picked = ranges.iter().cycle().skip(start).take(ranges.len()).find_map(|range| {
            let dynamic = range.first.saturating_add(range.band);
            let upper = taken.next_free_around(dynamic, range.last, seed);
            upper.or_else(|| taken.next_free_around(range.first, dynamic.checked_sub(1)?.min(range.last), seed))
        });
        let address = picked.and_then(|number| family.address(number)).ok_or(PickError::Full)?;
        self.hold(address);
        Ok(address)
    }

    fn taken(&self, family: Family) -> &Runs {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    fn taken_mut(&mut self, family: Family) -> &mut Runs {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}
