//! Examples from the allocators' documentation, and properties against a `BTreeSet`.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use proptest::prelude::*;

use crate::bitmap::Bitmap;
use crate::{LoadBalancerPool, PodAddresses, PoolError, ReserveError, ServicePorts};

mod service;
mod subnets;

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

#[test]
fn node_ports_start_above_their_band() {
    let mut ports = ServicePorts::new(30000..=32767);
    assert_eq!(ports.free(), 2768);
    assert_eq!(ports.to_string(), "30000-32767");
    assert_eq!(ports.allocate(0), Some(30086));
    assert_eq!(ports.reserve(30085), Ok(()));
    assert_eq!(ports.reserve(29999), Err(ReserveError::OutOfRange));
    assert_eq!(ports.reserve(32768), Err(ReserveError::OutOfRange));
    assert_eq!(ServicePorts::new(1..=65535).free(), 65535);
    #[allow(clippy::reversed_empty_ranges)]
    let mut none = ServicePorts::new(2..=1);
    assert_eq!(none.allocate(3), None);
}

#[test]
fn a_port_is_free_when_its_last_holder_lets_go() {
    let mut ports = ServicePorts::new(30000..=30001);
    ports.hold(30000);
    ports.hold(30000);
    ports.hold(29999);
    assert_eq!(ports.reserve(30000), Err(ReserveError::Taken));
    assert!(!ports.release(30000));
    assert!(ports.is_taken(30000));
    assert!(ports.release(30000));
    assert!(!ports.release(30000) && !ports.release(29999));
    assert_eq!((ports.free(), ports.reserve(30000)), (2, Ok(())));
}

#[test]
fn pod_addresses_come_back_last() {
    let mut pods = PodAddresses::new(net("10.244.1.0/29"));
    let all: Vec<Ipv4Addr> = std::iter::from_fn(|| pods.allocate()).collect();
    let expected: Vec<Ipv4Addr> = (2..7).map(|n| Ipv4Addr::new(10, 244, 1, n)).collect();
    assert_eq!(all, expected);
    assert!(pods.release(ip("10.244.1.3")));
    assert!(pods.release(ip("10.244.1.2")));
    assert_eq!(pods.allocate(), Some(ip("10.244.1.2")));
    assert!(pods.release(ip("10.244.1.2")));
    assert_eq!(pods.allocate(), Some(ip("10.244.1.3")));
    assert!(!pods.reserve(ip("10.244.1.3")));
    assert!(!pods.reserve(ip("10.244.1.1")));
    assert!(pods.reserve(ip("10.244.1.2")));
}

#[test]
fn a_single_address_is_a_pool_of_one() {
    let address = Ipv4Addr::new(203, 0, 113, 7);
    let mut pool = LoadBalancerPool::new(net("203.0.113.7/32"));
    assert_eq!(pool.assign(&"a", None), Ok(address));
    assert_eq!(pool.assign(&"b", None), Err(PoolError::Exhausted(net("203.0.113.7/32"))));
    assert_eq!(pool.holder(address), Some(&"a"));
    assert_eq!(LoadBalancerPool::<&str>::new(net("203.0.113.6/31")).free(), 2);
}

#[test]
fn a_pool_keeps_each_owner_at_its_address() {
    let mut pool = LoadBalancerPool::new(net("203.0.113.0/30"));
    assert_eq!(pool.assign(&"a", None), Ok(ip("203.0.113.1")));
    assert_eq!(pool.assign(&"a", None), Ok(ip("203.0.113.1")));
    assert_eq!(pool.assign(&"b", Some(ip("203.0.113.1"))), Err(PoolError::Taken(ip("203.0.113.1"))));
    assert!(matches!(pool.assign(&"b", Some(ip("203.0.113.3"))), Err(PoolError::OutOfRange { .. })));
    assert_eq!(pool.assign(&"b", Some(ip("203.0.113.2"))), Ok(ip("203.0.113.2")));
    assert_eq!(pool.assign(&"c", None), Err(PoolError::Exhausted(net("203.0.113.0/30"))));
    assert_eq!(pool.release(&"a"), Some(ip("203.0.113.1")));
    assert_eq!(pool.assign(&"b", Some(ip("203.0.113.1"))), Ok(ip("203.0.113.1")));
    assert_eq!(pool.assign(&"c", None), Ok(ip("203.0.113.2")));
}

/// One step against an allocator of indices.
#[derive(Clone, Debug)]
enum Step {
    Allocate(u64),
    Reserve(usize),
    Release(usize),
}

fn steps(len: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        any::<u64>().prop_map(Step::Allocate),
        (0..len + 2).prop_map(Step::Reserve),
        (0..len + 2).prop_map(Step::Release),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn the_bitmap_is_a_set(len in 1usize..200, band in 0usize..200, steps in steps(200)) {
        let mut bitmap = Bitmap::new(len);
        let mut model = BTreeSet::new();
        for step in steps {
            match step {
                Step::Allocate(seed) => match bitmap.take_dynamic(band, seed) {
                    Some(index) => {
                        prop_assert!(index < len);
                        prop_assert!(index >= band || (band.min(len)..len).all(|i| model.contains(&i)));
                        prop_assert!(model.insert(index));
                    }
                    None => prop_assert_eq!(model.len(), len),
                },
                Step::Reserve(index) => prop_assert_eq!(bitmap.take(index), index < len && model.insert(index)),
                Step::Release(index) => prop_assert_eq!(bitmap.release(index), model.remove(&index)),
            }
            prop_assert_eq!(bitmap.free(), len - model.len());
            prop_assert!((0..len).all(|i| bitmap.contains(i) == model.contains(&i)));
        }
    }

    #[test]
    fn no_port_is_given_twice(first in 1u16..=65000, size in 0u16..400, seeds in proptest::collection::vec(any::<u64>(), 0..300)) {
        let range = first..=first.saturating_add(size);
        let mut ports = ServicePorts::new(range.clone());
        let mut model = BTreeSet::new();
        for seed in seeds {
            match ports.allocate(seed) {
                Some(port) => prop_assert!(range.contains(&port) && model.insert(port)),
                None => prop_assert_eq!(model.len(), range.clone().count()),
            }
        }
    }

    #[test]
    fn owners_never_share(requests in proptest::collection::vec((0u8..8, proptest::option::of(0u8..16), any::<bool>()), 0..200)) {
        let mut pool = LoadBalancerPool::new(net("203.0.113.0/29"));
        let mut model: BTreeMap<u8, Ipv4Addr> = BTreeMap::new();
        for (owner, request, release) in requests {
            if release {
                prop_assert_eq!(pool.release(&owner), model.remove(&owner));
            } else if let Ok(address) = pool.assign(&owner, request.map(|n| Ipv4Addr::new(203, 0, 113, n))) {
                prop_assert!(model.iter().all(|(other, held)| *other == owner || *held != address));
                model.insert(owner, address);
            }
            prop_assert_eq!(pool.get(&owner), model.get(&owner).copied());
            prop_assert_eq!(pool.free(), 6 - model.len());
        }
    }
}
