//! The node ports of Services. Upstream: `pkg/registry/core/service/portallocator`.

use std::fmt;
use std::ops::RangeInclusive;

use crate::ReserveError;
use crate::bitmap::Bitmap;
use crate::service::static_band;

/// The node ports of a cluster. Like an address, a port may have several holders: a store can hold two Services with
/// the same one.
#[derive(Clone, Debug)]
pub struct ServicePorts {
    first: u16,
    last: u16,
    band: usize,
    taken: Bitmap,
    holders: Vec<u32>,
}

impl ServicePorts {
    /// All free.
    pub fn new(range: RangeInclusive<u16>) -> ServicePorts {
        let (first, last) = (*range.start(), *range.end());
        let size = (usize::from(last) + 1).saturating_sub(usize::from(first));
        // The band is at most 128.
        let band = usize::try_from(static_band(size as u128, 32, 128)).unwrap_or(0);
        ServicePorts { first, last, band, taken: Bitmap::new(size), holders: vec![0; size] }
    }

    /// How many can still be given out.
    pub fn free(&self) -> usize {
        self.taken.free()
    }

    /// Whether the port has a holder.
    pub fn is_taken(&self, port: u16) -> bool {
        self.index(port).is_some_and(|index| self.taken.contains(index))
    }

    /// One holder more: for what is stored already. A port outside the range is not ours to count.
    pub fn hold(&mut self, port: u16) {
        if let Some(index) = self.index(port) {
            self.holders[index] = self.holders[index].saturating_add(1);
            self.taken.take(index);
        }
    }

    /// One holder less; true if that was the last.
    pub fn release(&mut self, port: u16) -> bool {
        let Some(index) = self.index(port).filter(|index| self.holders[*index] > 0) else { return false };
        self.holders[index] -= 1;
        self.holders[index] == 0 && self.taken.release(index)
    }

    /// Takes a given port, from either band.
    pub fn reserve(&mut self, port: u16) -> Result<(), ReserveError> {
        let index = self.index(port).ok_or(ReserveError::OutOfRange)?;
        if self.taken.contains(index) {
            return Err(ReserveError::Taken);
        }
        self.hold(port);
        Ok(())
    }

    /// Takes any port: from the dynamic band while it lasts, starting at a place that `seed` decides.
    pub fn allocate(&mut self, seed: u64) -> Option<u16> {
        let index = self.taken.take_dynamic(self.band, seed)?;
        let port = self.first.checked_add(u16::try_from(index).ok()?)?;
        self.hold(port);
        Some(port)
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
