//! The pool of external addresses: who holds which. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use ipnet::Ipv4Net;
use portolan_objects::ObjectKey;

use crate::{Class, CloudError};

/// Addresses of one network, each held by at most one Service, each Service holding at most one.
#[derive(Debug)]
pub(super) struct Pool {
    network: Ipv4Net,
    held: BTreeMap<ObjectKey, Ipv4Addr>,
    taken: BTreeSet<Ipv4Addr>,
}

impl Pool {
    pub fn new(network: Ipv4Net) -> Self {
        Self { network: network.trunc(), held: BTreeMap::new(), taken: BTreeSet::new() }
    }

    pub fn held_by(&self, service: &ObjectKey) -> Option<Ipv4Addr> {
        self.held.get(service).copied()
    }

    /// Notes that `service` already has `address`; nothing happens if it is not ours or not free.
    pub fn adopt(&mut self, service: &ObjectKey, address: Ipv4Addr) {
        if self.usable(address) && !self.taken.contains(&address) && !self.held.contains_key(service) {
            self.hold(service, address);
        }
    }

    /// The address for `service`: the one it holds, unless it asks for another; else the one it asks for; else the
    /// lowest free one. The flag says whether it is newly taken.
    pub fn allocate(
        &mut self,
        service: &ObjectKey,
        requested: Option<Ipv4Addr>,
    ) -> Result<(Ipv4Addr, bool), CloudError> {
        let held = self.held_by(service);
        match (held, requested) {
            (Some(held), None) => return Ok((held, false)),
            (Some(held), Some(requested)) if held == requested => return Ok((held, false)),
            _ => {}
        }
        let address = match requested {
            Some(address) => self.check(address)?,
            None => self.lowest_free().ok_or_else(|| self.exhausted())?,
        };
        self.release(service);
        self.hold(service, address);
        Ok((address, true))
    }

    pub fn release(&mut self, service: &ObjectKey) -> Option<Ipv4Addr> {
        let address = self.held.remove(service)?;
        self.taken.remove(&address);
        Some(address)
    }

    fn hold(&mut self, service: &ObjectKey, address: Ipv4Addr) {
        self.held.insert(service.clone(), address);
        self.taken.insert(address);
    }

    /// Not the network's own address and not its broadcast address, where the network is large enough to have them.
    fn usable(&self, address: Ipv4Addr) -> bool {
        let edges = self.network.prefix_len() < 31
            && (address == self.network.network() || address == self.network.broadcast());
        self.network.contains(&address) && !edges
    }

    fn lowest_free(&self) -> Option<Ipv4Addr> {
        self.network.hosts().find(|address| !self.taken.contains(address))
    }

    fn check(&self, address: Ipv4Addr) -> Result<Ipv4Addr, CloudError> {
        if !self.usable(address) {
            let message = format!("{address} is not in the pool {}; choose an address from it", self.network);
            return Err(CloudError::new(Class::Invalid, "AddressNotInPool", message));
        }
        match self.held.iter().find(|(_, held)| **held == address) {
            Some((owner, _)) => {
                let message = format!("{address} is in use by {owner}; choose another address or leave it open");
                Err(CloudError::new(Class::Invalid, "AddressInUse", message))
            }
            None => Ok(address),
        }
    }

    fn exhausted(&self) -> CloudError {
        let message = format!(
            "all {} addresses of the pool {} are in use; delete a Service of type LoadBalancer or give a larger pool",
            self.taken.len(),
            self.network
        );
        CloudError::new(Class::Quota, "AddressPoolExhausted", message)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("shop", name)
    }

    fn pool(network: &str) -> Pool {
        Pool::new(network.parse().unwrap())
    }

    #[test]
    fn the_lowest_free_address_is_taken_and_kept() {
        let mut pool = pool("203.0.113.0/29");
        assert_eq!(pool.allocate(&key("a"), None), Ok(([203, 0, 113, 1].into(), true)));
        assert_eq!(pool.allocate(&key("b"), None), Ok(([203, 0, 113, 2].into(), true)));
        assert_eq!(pool.allocate(&key("a"), None), Ok(([203, 0, 113, 1].into(), false)));
        pool.release(&key("a"));
        assert_eq!(pool.allocate(&key("c"), None), Ok(([203, 0, 113, 1].into(), true)));
    }

    #[test]
    fn a_requested_address_is_honoured_or_refused_with_its_reason() {
        let mut pool = pool("203.0.113.0/29");
        let wanted = Some([203, 0, 113, 5].into());
        assert_eq!(pool.allocate(&key("a"), wanted), Ok(([203, 0, 113, 5].into(), true)));
        let taken = pool.allocate(&key("b"), wanted).unwrap_err();
        assert_eq!((taken.code.as_str(), taken.class), ("AddressInUse", Class::Invalid));
        assert!(taken.message.contains("shop/a"), "{taken}");
        for outside in [[203, 0, 113, 0], [203, 0, 113, 7], [198, 51, 100, 1]] {
            let refused = pool.allocate(&key("b"), Some(outside.into())).unwrap_err();
            assert_eq!(refused.code, "AddressNotInPool");
        }
        assert_eq!(pool.allocate(&key("a"), Some([203, 0, 113, 6].into())), Ok(([203, 0, 113, 6].into(), true)));
        assert_eq!(pool.allocate(&key("b"), wanted), Ok(([203, 0, 113, 5].into(), true)), "the old one is free again");
    }

    #[test]
    fn adopted_addresses_stay_with_their_service() {
        let mut pool = pool("203.0.113.0/30");
        pool.adopt(&key("old"), [203, 0, 113, 1].into());
        pool.adopt(&key("thief"), [203, 0, 113, 1].into());
        pool.adopt(&key("alien"), [10, 0, 0, 1].into());
        assert_eq!(pool.allocate(&key("new"), None), Ok(([203, 0, 113, 2].into(), true)));
        let exhausted = pool.allocate(&key("thief"), None).unwrap_err();
        assert_eq!((exhausted.code.as_str(), exhausted.class), ("AddressPoolExhausted", Class::Quota));
        assert_eq!(pool.allocate(&key("old"), None), Ok(([203, 0, 113, 1].into(), false)));
    }

    proptest! {
        #[test]
        fn no_two_services_hold_one_address(steps in prop::collection::vec((0..12u8, any::<bool>()), 0..200)) {
            let mut pool = pool("203.0.113.0/29");
            for (number, take) in steps {
                let service = key(&number.to_string());
                if take { let _ = pool.allocate(&service, None); } else { pool.release(&service); }
                let distinct: BTreeSet<_> = pool.held.values().copied().collect();
                prop_assert_eq!(distinct.len(), pool.held.len());
                prop_assert_eq!(&distinct, &pool.taken);
                prop_assert!(pool.held.len() <= 6);
            }
        }
    }
}
