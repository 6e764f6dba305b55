//! External addresses of load balancers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::bitmap::Bitmap;

/// Why a load balancer got no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Every address is held.
    #[error("the pool {0} has no free address; delete a load balancer or choose a larger pool")]
    Exhausted(Ipv4Net),
    /// The requested address belongs to another owner.
    #[error("{0} is in use by another load balancer; request another address or none")]
    Taken(Ipv4Addr),
    /// The requested address is not in the pool.
    #[error("{address} is not in the pool {pool}; request an address in it or none")]
    OutOfRange {
        /// What was requested.
        address: Ipv4Addr,
        /// What there is.
        pool: Ipv4Net,
    },
}

/// A pool of addresses, each held by at most one owner and each owner holding at most one. The network and the broadcast
/// address are never given out (a /31 or /32 has neither); without a request the lowest free address is.
#[derive(Clone, Debug)]
pub struct LoadBalancerPool<O> {
    net: Ipv4Net,
    /// Bit 0 stands for this address.
    first: Ipv4Addr,
    taken: Bitmap,
    holders: BTreeMap<O, Ipv4Addr>,
}

impl<O: Ord + Clone> LoadBalancerPool<O> {
    /// All free.
    pub fn new(net: Ipv4Net) -> LoadBalancerPool<O> {
        let net = net.trunc();
        let size = 1usize << (32 - u32::from(net.prefix_len())).min(usize::BITS - 1);
        let edges = if net.prefix_len() < 31 { 2 } else { 0 };
        let first = Ipv4Addr::from_bits(net.network().to_bits() + edges / 2);
        let taken = Bitmap::new(size - usize::try_from(edges).unwrap_or_default());
        LoadBalancerPool { net, first, taken, holders: BTreeMap::new() }
    }

    /// The pool's network.
    pub fn network(&self) -> Ipv4Net {
        self.net
    }

    /// Who holds the address. Looks through all holders: for messages.
    pub fn holder(&self, address: Ipv4Addr) -> Option<&O> {
        self.holders.iter().find(|(_, held)| **held == address).map(|(owner, _)| owner)
    }

    /// How many can still be given out.
    pub fn free(&self) -> usize {
        self.taken.free()
    }

    /// What the owner holds.
    pub fn get(&self, owner: &O) -> Option<Ipv4Addr> {
        self.holders.get(owner).copied()
    }

    /// Gives the owner an address: the requested one, or the one it holds, or the lowest free one. A request for
    /// another address than the held one moves the owner; on error it keeps what it holds.
    pub fn assign(&mut self, owner: &O, requested: Option<Ipv4Addr>) -> Result<Ipv4Addr, PoolError> {
        let held = self.get(owner);
        match (held, requested) {
            (Some(held), None) => return Ok(held),
            (Some(held), Some(requested)) if held == requested => return Ok(held),
            _ => {}
        }
        let address = match requested {
            Some(address) => {
                let index = self.index(address).ok_or(PoolError::OutOfRange { address, pool: self.net })?;
                if !self.taken.take(index) {
                    return Err(PoolError::Taken(address));
                }
                address
            }
            None => self.lowest().ok_or(PoolError::Exhausted(self.net))?,
        };
        self.release(owner);
        self.holders.insert(owner.clone(), address);
        Ok(address)
    }

    /// Takes back what the owner holds.
    pub fn release(&mut self, owner: &O) -> Option<Ipv4Addr> {
        let address = self.holders.remove(owner)?;
        if let Some(index) = self.index(address) {
            self.taken.release(index);
        }
        Some(address)
    }

    fn lowest(&mut self) -> Option<Ipv4Addr> {
        let index = self.taken.next_free(0, self.taken.len())?;
        self.taken.take(index);
        Some(Ipv4Addr::from_bits(self.first.to_bits() + u32::try_from(index).ok()?))
    }

    fn index(&self, address: Ipv4Addr) -> Option<usize> {
        let index = usize::try_from(address.to_bits().checked_sub(self.first.to_bits())?).ok()?;
        (index < self.taken.len()).then_some(index)
    }
}
