//! The two ranges behind Services: ClusterIPs and node ports.
//!
//! Upstream: `pkg/registry/core/service/ipallocator` and `portallocator`.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;

use crate::bitmap::Bitmap;

/// Ranges no larger than this have no static band.
const SMALLEST_BANDED_RANGE: usize = 16;

/// Length of the static band of a range of `size`: a share of it, at least 16, at most `most`.
fn static_band(size: usize, share: usize, most: usize) -> usize {
    if size <= SMALLEST_BANDED_RANGE {
        return 0;
    }
    (size / share).max(16).min(most)
}

/// Why an explicit request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// Someone holds it.
    #[error("already allocated")]
    Taken,
    /// It is not in the range.
    #[error("not in the valid range")]
    OutOfRange,
}

/// The ClusterIPs of one service CIDR. The network and the broadcast address are never given out.
#[derive(Clone, Debug)]
pub struct ServiceAddresses {
    net: Ipv4Net,
    band: usize,
    taken: Bitmap,
}

impl ServiceAddresses {
    /// All free.
    pub fn new(net: Ipv4Net) -> ServiceAddresses {
        let net = net.trunc();
        let size = 1usize << (32 - u32::from(net.prefix_len())).min(usize::BITS - 1);
        ServiceAddresses { net, band: static_band(size, 16, 256), taken: Bitmap::new(size.saturating_sub(2)) }
    }

    /// The CIDR.
    pub fn range(&self) -> Ipv4Net {
        self.net
    }

    /// How many can still be given out.
    pub fn free(&self) -> usize {
        self.taken.free()
    }

    /// Whether the address is taken.
    pub fn is_taken(&self, address: Ipv4Addr) -> bool {
        self.index(address).is_some_and(|index| self.taken.contains(index))
    }

    /// Takes a given address, from either band.
    pub fn reserve(&mut self, address: Ipv4Addr) -> Result<(), ReserveError> {
        let index = self.index(address).ok_or(ReserveError::OutOfRange)?;
        self.taken.take(index).then_some(()).ok_or(ReserveError::Taken)
    }

    /// Takes any address: from the dynamic band while it lasts, starting at a place that `seed` decides.
    pub fn allocate(&mut self, seed: u64) -> Option<Ipv4Addr> {
        let index = self.taken.take_dynamic(self.band, seed)?;
        // The range holds at most 2^32 addresses, so the index fits.
        Some(Ipv4Addr::from_bits(self.net.network().to_bits() + 1 + u32::try_from(index).ok()?))
    }

    /// Frees an address; false if it was not taken.
    pub fn release(&mut self, address: Ipv4Addr) -> bool {
        self.index(address).is_some_and(|index| self.taken.release(index))
    }

    fn index(&self, address: Ipv4Addr) -> Option<usize> {
        let offset = address.to_bits().checked_sub(self.net.network().to_bits())?;
        let index = usize::try_from(offset).ok()?.checked_sub(1)?;
        (index < self.taken.len()).then_some(index)
    }
}

/// The node ports of a cluster.
#[derive(Clone, Debug)]
pub struct ServicePorts {
    first: u16,
    last: u16,
    band: usize,
    taken: Bitmap,
}

impl ServicePorts {
    /// All free.
    pub fn new(range: RangeInclusive<u16>) -> ServicePorts {
        let (first, last) = (*range.start(), *range.end());
        let size = (usize::from(last) + 1).saturating_sub(usize::from(first));
        ServicePorts { first, last, band: static_band(size, 32, 128), taken: Bitmap::new(size) }
    }

    /// How many can still be given out.
    pub fn free(&self) -> usize {
        self.taken.free()
    }

    /// Whether the port is taken.
    pub fn is_taken(&self, port: u16) -> bool {
        self.index(port).is_some_and(|index| self.taken.contains(index))
    }

    /// Takes a given port, from either band.
    pub fn reserve(&mut self, port: u16) -> Result<(), ReserveError> {
        let index = self.index(port).ok_or(ReserveError::OutOfRange)?;
        self.taken.take(index).then_some(()).ok_or(ReserveError::Taken)
    }

    /// Takes any port: from the dynamic band while it lasts, starting at a place that `seed` decides.
    pub fn allocate(&mut self, seed: u64) -> Option<u16> {
        let index = self.taken.take_dynamic(self.band, seed)?;
        self.first.checked_add(u16::try_from(index).ok()?)
    }

    /// Frees a port; false if it was not taken.
    pub fn release(&mut self, port: u16) -> bool {
        self.index(port).is_some_and(|index| self.taken.release(index))
    }

    fn index(&self, port: u16) -> Option<usize> {
        let index = usize::from(port.checked_sub(self.first)?);
        (index < self.taken.len()).then_some(index)
    }
}

impl fmt::Display for ServicePorts {
    /// `30000-32767`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}
