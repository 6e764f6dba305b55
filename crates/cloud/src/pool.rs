//! Addresses for balancers, each held by one: the allocator's answers in a provider's words. Pure.

use std::{collections::BTreeSet, net::Ipv4Addr};

use ipnet::Ipv4Net;
use portolan_alloc::{LoadBalancerPool, PoolError};

use crate::{BalancerId, Class, CloudError};

/// Each balancer holds at most one address of the pool.
#[derive(Debug)]
pub(crate) struct Pool {
    addresses: LoadBalancerPool<BalancerId>,
    owners: BTreeSet<BalancerId>,
}

impl Pool {
    /// All free.
    pub fn new(network: Ipv4Net) -> Self {
        Self { addresses: LoadBalancerPool::new(network), owners: BTreeSet::new() }
    }

    /// What the balancer holds.
    pub fn get(&self, id: &BalancerId) -> Option<Ipv4Addr> {
        self.addresses.get(id)
    }

    /// Who holds what.
    pub fn holders(&self) -> impl Iterator<Item = (&BalancerId, Ipv4Addr)> {
        self.owners.iter().filter_map(|id| Some((id, self.addresses.get(id)?)))
    }

    /// Notes that `id` already has `address`; nothing happens if it is not ours, not free, or the balancer has one.
    pub fn adopt(&mut self, id: &BalancerId, address: Ipv4Addr) {
        // A refusal means that the address is somebody else's: the balancer gets another one when it asks.
        if self.get(id).is_none() && self.addresses.assign(id, Some(address)).is_ok() {
            self.owners.insert(id.clone());
        }
    }

    /// The address for `id`: the requested one, or the one it holds, or the one that it publishes if it is still free,
    /// or the lowest free one. The flag says whether it is newly taken.
    pub fn allocate(
        &mut self,
        id: &BalancerId,
        requested: Option<Ipv4Addr>,
        published: Option<Ipv4Addr>,
    ) -> Result<(Ipv4Addr, bool), CloudError> {
        if let Some(published) = published.filter(|_| requested.is_none()) {
            self.adopt(id, published);
        }
        let held = self.get(id);
        let address = self.addresses.assign(id, requested).map_err(|error| self.refusal(&error))?;
        self.owners.insert(id.clone());
        Ok((address, held != Some(address)))
    }

    /// Takes back what the balancer holds.
    pub fn release(&mut self, id: &BalancerId) {
        self.owners.remove(id);
        self.addresses.release(id);
    }

    fn refusal(&self, error: &PoolError) -> CloudError {
        let network = self.addresses.network();
        match error {
            PoolError::Exhausted(_) => {
                let message = format!(
                    "all addresses of the pool {network} are in use; delete a Service of type LoadBalancer or give a larger pool"
                );
                CloudError::new(Class::Pool, "AddressPoolExhausted", message)
            }
            PoolError::Taken(address) => {
                let holder = self.addresses.holder(*address);
                let owner = holder.map_or_else(|| "another Service".to_owned(), |id| id.service.to_string());
                let message = format!("{address} is in use by {owner}; choose another address or leave it open");
                CloudError::new(Class::Conflict, "AddressInUse", message)
            }
            PoolError::OutOfRange { address, .. } => {
                let message = format!("{address} is not in the pool {network}; choose an address from it");
                CloudError::new(Class::Invalid, "AddressNotInPool", message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use portolan_objects::ObjectKey;

    use super::*;

    fn key(name: &str) -> BalancerId {
        BalancerId { service: ObjectKey::new("shop", name), uid: name.into() }
    }

    fn pool(network: &str) -> Pool {
        Pool::new(network.parse().unwrap())
    }

    #[test]
    fn the_lowest_free_address_is_taken_and_kept() {
        let mut pool = pool("203.0.113.0/29");
        assert_eq!(pool.allocate(&key("a"), None, None), Ok(([203, 0, 113, 1].into(), true)));
        assert_eq!(pool.allocate(&key("b"), None, None), Ok(([203, 0, 113, 2].into(), true)));
        assert_eq!(pool.allocate(&key("a"), None, None), Ok(([203, 0, 113, 1].into(), false)));
        pool.release(&key("a"));
        assert_eq!(pool.allocate(&key("c"), None, None), Ok(([203, 0, 113, 1].into(), true)));
    }

    #[test]
    fn a_requested_address_is_honoured_or_refused_with_its_reason() {
        let mut pool = pool("203.0.113.0/29");
        let wanted = Some([203, 0, 113, 5].into());
        assert_eq!(pool.allocate(&key("a"), wanted, None), Ok(([203, 0, 113, 5].into(), true)));
        let taken = pool.allocate(&key("b"), wanted, None).unwrap_err();
        assert_eq!((taken.code.as_str(), taken.class), ("AddressInUse", Class::Conflict));
        assert!(taken.message.contains("shop/a"), "{taken}");
        for outside in [[203, 0, 113, 0], [203, 0, 113, 7], [198, 51, 100, 1]] {
            let refused = pool.allocate(&key("b"), Some(outside.into()), None).unwrap_err();
            assert_eq!(refused.code, "AddressNotInPool");
        }
        assert_eq!(pool.allocate(&key("a"), Some([203, 0, 113, 6].into()), None), Ok(([203, 0, 113, 6].into(), true)));
        assert_eq!(
            pool.allocate(&key("b"), wanted, None),
            Ok(([203, 0, 113, 5].into(), true)),
            "the old one is free again"
        );
    }

    #[test]
    fn adopted_addresses_stay_with_their_service() {
        let mut pool = pool("203.0.113.0/30");
        pool.adopt(&key("old"), [203, 0, 113, 1].into());
        pool.adopt(&key("thief"), [203, 0, 113, 1].into());
        pool.adopt(&key("alien"), [10, 0, 0, 1].into());
        assert_eq!(pool.allocate(&key("new"), None, None), Ok(([203, 0, 113, 2].into(), true)));
        let exhausted = pool.allocate(&key("thief"), None, None).unwrap_err();
        assert_eq!((exhausted.code.as_str(), exhausted.class), ("AddressPoolExhausted", Class::Pool));
        assert_eq!(pool.allocate(&key("old"), None, None), Ok(([203, 0, 113, 1].into(), false)));
    }
}
