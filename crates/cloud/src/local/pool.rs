//! Addresses for balancers: the allocator's answers in a provider's words. Pure.

use std::net::Ipv4Addr;

use portolan_alloc::{LoadBalancerPool, PoolError};
use portolan_objects::ObjectKey;

use crate::{Class, CloudError};

/// Each Service holds at most one address of the pool.
pub(super) type Pool = LoadBalancerPool<ObjectKey>;

/// Notes that `service` already has `address`; nothing happens if it is not ours, not free, or the Service has one.
pub(super) fn adopt(pool: &mut Pool, service: &ObjectKey, address: Ipv4Addr) {
    if pool.get(service).is_none() {
        // A refusal means that the address is somebody else's: the Service gets another one when it asks.
        let _ = pool.assign(service, Some(address));
    }
}

/// The address for `service`, as [`LoadBalancerPool::assign`] chooses it. The flag says whether it is newly taken.
pub(super) fn allocate(
    pool: &mut Pool,
    service: &ObjectKey,
    requested: Option<Ipv4Addr>,
) -> Result<(Ipv4Addr, bool), CloudError> {
    let held = pool.get(service);
    match pool.assign(service, requested) {
        Ok(address) => Ok((address, held != Some(address))),
        Err(error) => Err(refusal(pool, &error)),
    }
}

fn refusal(pool: &Pool, error: &PoolError) -> CloudError {
    let network = pool.network();
    match error {
        PoolError::Exhausted(_) => {
            let message = format!(
                "all addresses of the pool {network} are in use; delete a Service of type LoadBalancer or give a larger pool"
            );
            CloudError::new(Class::Quota, "AddressPoolExhausted", message)
        }
        PoolError::Taken(address) => {
            let owner = pool.holder(*address).map_or_else(|| "another Service".to_owned(), ToString::to_string);
            let message = format!("{address} is in use by {owner}; choose another address or leave it open");
            CloudError::new(Class::Invalid, "AddressInUse", message)
        }
        PoolError::OutOfRange { address, .. } => {
            let message = format!("{address} is not in the pool {network}; choose an address from it");
            CloudError::new(Class::Invalid, "AddressNotInPool", message)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
        assert_eq!(allocate(&mut pool, &key("a"), None), Ok(([203, 0, 113, 1].into(), true)));
        assert_eq!(allocate(&mut pool, &key("b"), None), Ok(([203, 0, 113, 2].into(), true)));
        assert_eq!(allocate(&mut pool, &key("a"), None), Ok(([203, 0, 113, 1].into(), false)));
        pool.release(&key("a"));
        assert_eq!(allocate(&mut pool, &key("c"), None), Ok(([203, 0, 113, 1].into(), true)));
    }

    #[test]
    fn a_requested_address_is_honoured_or_refused_with_its_reason() {
        let mut pool = pool("203.0.113.0/29");
        let wanted = Some([203, 0, 113, 5].into());
        assert_eq!(allocate(&mut pool, &key("a"), wanted), Ok(([203, 0, 113, 5].into(), true)));
        let taken = allocate(&mut pool, &key("b"), wanted).unwrap_err();
        assert_eq!((taken.code.as_str(), taken.class), ("AddressInUse", Class::Invalid));
        assert!(taken.message.contains("shop/a"), "{taken}");
        for outside in [[203, 0, 113, 0], [203, 0, 113, 7], [198, 51, 100, 1]] {
            let refused = allocate(&mut pool, &key("b"), Some(outside.into())).unwrap_err();
            assert_eq!(refused.code, "AddressNotInPool");
        }
        assert_eq!(allocate(&mut pool, &key("a"), Some([203, 0, 113, 6].into())), Ok(([203, 0, 113, 6].into(), true)));
        assert_eq!(
            allocate(&mut pool, &key("b"), wanted),
            Ok(([203, 0, 113, 5].into(), true)),
            "the old one is free again"
        );
    }

    #[test]
    fn adopted_addresses_stay_with_their_service() {
        let mut pool = pool("203.0.113.0/30");
        adopt(&mut pool, &key("old"), [203, 0, 113, 1].into());
        adopt(&mut pool, &key("thief"), [203, 0, 113, 1].into());
        adopt(&mut pool, &key("alien"), [10, 0, 0, 1].into());
        assert_eq!(allocate(&mut pool, &key("new"), None), Ok(([203, 0, 113, 2].into(), true)));
        let exhausted = allocate(&mut pool, &key("thief"), None).unwrap_err();
        assert_eq!((exhausted.code.as_str(), exhausted.class), ("AddressPoolExhausted", Class::Quota));
        assert_eq!(allocate(&mut pool, &key("old"), None), Ok(([203, 0, 113, 1].into(), false)));
    }
}
