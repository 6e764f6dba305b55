//! Addresses of the pods of one node.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::bitmap::Bitmap;

/// The pod CIDR of a node. The network address, the one after it (the node's own, by convention) and the broadcast
/// address are never given out. An address that was freed comes back last: peers may still hold connections to it.
#[derive(Clone, Debug)]
pub struct PodAddresses {
    net: Ipv4Net,
    taken: Bitmap,
    cursor: usize,
}

/// Addresses left out at the start of the range.
const RESERVED: u32 = 2;

impl PodAddresses {
    /// All free.
    pub fn new(net: Ipv4Net) -> PodAddresses {
        let net = net.trunc();
        let size = 1usize << (32 - u32::from(net.prefix_len())).min(usize::BITS - 1);
        PodAddresses { net, taken: Bitmap::new(size.saturating_sub(3)), cursor: 0 }
    }

    /// How many can still be given out.
    pub fn free(&self) -> usize {
        self.taken.free()
    }

    /// Takes the next free address, none if all are taken.
    pub fn allocate(&mut self) -> Option<Ipv4Addr> {
        let index =
            self.taken.next_free(self.cursor, self.taken.len()).or_else(|| self.taken.next_free(0, self.cursor))?;
        self.taken.take(index);
        self.cursor = index + 1;
        Some(Ipv4Addr::from_bits(self.net.network().to_bits() + RESERVED + u32::try_from(index).ok()?))
    }

    /// Takes a given address (a pod that was there before); false if it is taken or outside.
    pub fn reserve(&mut self, address: Ipv4Addr) -> bool {
        self.index(address).is_some_and(|index| self.taken.take(index))
    }

    /// Frees an address; false if it was not taken.
    pub fn release(&mut self, address: Ipv4Addr) -> bool {
        self.index(address).is_some_and(|index| self.taken.release(index))
    }

    fn index(&self, address: Ipv4Addr) -> Option<usize> {
        let offset = address.to_bits().checked_sub(self.net.network().to_bits())?;
        let index = usize::try_from(offset.checked_sub(RESERVED)?).ok()?;
        (index < self.taken.len()).then_some(index)
    }
}
