use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use proptest::prelude::*;

use crate::runs::Runs;
use crate::{Family, PickError, ReserveError, ServiceAddresses, ServiceRange};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn of(ranges: &[&str]) -> ServiceAddresses {
    let mut addresses = ServiceAddresses::default();
    for range in ranges {
        addresses.set_source(range, &[net(range)], true);
    }
    addresses
}

fn free(addresses: &ServiceAddresses, range: &str) -> u128 {
    addresses.free(&ServiceRange::new(net(range)).unwrap())
}

#[test]
fn cluster_ips_leave_the_static_band_to_requests() {
    // (range, usable, last static, first dynamic)
    for (range, usable, last_static, first_dynamic) in [
        ("10.0.0.0/24", 254, "10.0.0.16", "10.0.0.17"),
        ("10.0.0.0/20", 4094, "10.0.1.0", "10.0.1.1"),
        ("10.96.0.0/16", 65534, "10.96.1.0", "10.96.1.1"),
        ("10.0.0.0/27", 30, "10.0.0.16", "10.0.0.17"),
        ("fd00::/120", 255, "fd00::10", "fd00::11"),
        ("fd00::/112", 65535, "fd00::100", "fd00::101"),
    ] {
        let mut addresses = of(&[range]);
        let family = Family::of_net(net(range));
        assert_eq!(free(&addresses, range), usable, "{range}");
        assert_eq!(addresses.allocate(family, 0), Ok(ip(first_dynamic)), "{range}");
        let mut last = None;
        let mut seen_static = false;
        for _ in 1..usable {
            let next = addresses.allocate(family, 0).unwrap();
            seen_static |= next <= ip(last_static);
            assert!(!seen_static || next <= ip(last_static), "static only when dynamic is full");
            last = Some(next);
        }
        assert_eq!(last.unwrap(), ip(last_static));
        assert_eq!(addresses.allocate(family, 0), Err(PickError::Full));
        assert_eq!(free(&addresses, range), 0);
    }
}

#[test]
fn small_ranges_have_no_band() {
    let mut addresses = of(&["10.0.0.0/28"]);
    assert_eq!(addresses.allocate(Family::V4, 0), Ok(ip("10.0.0.1")));
    assert_eq!(free(&addresses, "10.0.0.0/28"), 13);
    for tiny in ["10.0.0.0/31", "10.0.0.0/32", "255.255.255.255/32", "fd00::/128"] {
        let family = Family::of_net(net(tiny));
        assert_eq!(of(&[tiny]).allocate(family, 7), Err(PickError::Full), "{tiny}");
        assert_eq!(free(&of(&[tiny]), tiny), 0, "{tiny}");
    }
    assert_eq!(of(&["fd00::/127"]).allocate(Family::V6, 7), Ok(ip("fd00::1")));
}

#[test]
fn the_edges_are_out_of_range() {
    let mut addresses = of(&["10.0.0.0/24", "fd00::/64"]);
    for address in ["10.0.0.0", "10.0.0.255", "10.0.1.1", "9.255.255.255", "fd00::", "fd00:0:0:1::1"] {
        assert_eq!(addresses.reserve(ip(address)), Err(ReserveError::OutOfRange), "{address}");
    }
    for address in ["10.0.0.10", "fd00::ffff:ffff:ffff:ffff"] {
        assert_eq!(addresses.reserve(ip(address)), Ok(()));
        assert_eq!(addresses.reserve(ip(address)), Err(ReserveError::Taken));
        assert!(addresses.release(ip(address)));
        assert!(!addresses.release(ip(address)));
    }
    assert_eq!(ServiceRange::new(net("fd00::/63")), None);
}

#[test]
fn a_range_of_2_to_the_64_is_spread_over() {
    let mut addresses = of(&["fd00::/64"]);
    let picked: BTreeSet<IpAddr> =
        [0, 1 << 40, 3 << 62].into_iter().map(|seed| addresses.allocate(Family::V6, seed).unwrap()).collect();
    assert_eq!(picked.len(), 3);
    assert!(picked.contains(&ip("fd00::101")));
    assert!(picked.iter().any(|address| *address > ip("fd00:0:0:0:8000::")), "{picked:?}");
}

#[test]
fn only_ready_sources_give_and_all_take_back() {
    let mut addresses = ServiceAddresses::default();
    assert_eq!(addresses.allocate(Family::V4, 0), Err(PickError::NotReady));
    addresses.set_source("a", &[net("10.0.0.0/30"), net("fd00::/126")], false);
    assert_eq!(addresses.allocate(Family::V4, 0), Err(PickError::NotReady));
    assert_eq!(addresses.reserve(ip("10.0.0.1")), Err(ReserveError::OutOfRange));
    addresses.set_source("a", &[net("10.0.0.0/30"), net("fd00::/126")], true);
    assert_eq!(addresses.reserve(ip("10.0.0.1")), Ok(()));
    assert_eq!(addresses.allocate(Family::V4, 0), Ok(ip("10.0.0.2")));
    assert_eq!(addresses.allocate(Family::V4, 0), Err(PickError::Full));
    addresses.set_source("b", &[net("10.0.0.0/29")], true);
    assert_eq!(addresses.reserve(ip("10.0.0.1")), Err(ReserveError::Taken), "one set for all ranges");
    let rest: BTreeSet<IpAddr> = std::iter::from_fn(|| addresses.allocate(Family::V4, 0).ok()).collect();
    assert_eq!(rest, BTreeSet::from(["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"].map(ip)));
    addresses.remove_source("b");
    assert!(addresses.release(ip("10.0.0.5")), "although no range has it any more");
    assert_eq!(addresses.reserve(ip("10.0.0.5")), Err(ReserveError::OutOfRange));
}

#[test]
fn an_address_is_free_when_its_last_holder_lets_go() {
    let mut addresses = of(&["10.0.0.0/24"]);
    let address = ip("10.0.0.7");
    addresses.reserve(address).unwrap();
    addresses.hold(address);
    assert!(!addresses.release(address));
    assert_eq!(addresses.reserve(address), Err(ReserveError::Taken));
    assert!(addresses.release(address));
    assert_eq!(addresses.reserve(address), Ok(()));
}

#[derive(Clone, Debug)]
enum Step {
    Source { name: u8, range: u8, ready: bool },
    NoSource { name: u8 },
    Hold(u8),
    Reserve(u8),
    Release(u8),
    Allocate(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..3, 0u8..4, any::<bool>()).prop_map(|(name, range, ready)| Step::Source { name, range, ready }),
        (0u8..3).prop_map(|name| Step::NoSource { name }),
        (0u8..40).prop_map(Step::Hold),
        (0u8..40).prop_map(Step::Reserve),
        (0u8..40).prop_map(Step::Release),
        any::<u64>().prop_map(Step::Allocate),
    ]
}

/// Overlapping, nested, equal and one behind the other.
const RANGES: [&str; 4] = ["fd00::/124", "fd00::8/125", "fd00::20/124", "fd00::/123"];

fn usable(range: &str) -> impl Iterator<Item = u8> {
    let net = net(range);
    (0u8..64).filter(move |n| net.contains(&address(*n)) && address(*n) != net.network())
}

fn address(n: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n.into()).into()
}

proptest! {
    #[test]
    fn runs_are_a_set(steps in proptest::collection::vec((0u128..60, any::<bool>()), 0..200), from in 0u128..60, width in 0u128..60, seed in any::<u64>()) {
        // At the top end of the numbers, where arithmetic could leave them.
        let base = u128::MAX - 59;
        let (mut runs, mut model) = (Runs::default(), BTreeSet::new());
        for (number, add) in steps {
            let number = base + number;
            if add {
                prop_assert_eq!(runs.insert(number), model.insert(number));
            } else {
                prop_assert_eq!(runs.remove(number), model.remove(&number));
            }
            prop_assert!((base..=u128::MAX).all(|n| runs.contains(n) == model.contains(&n)));
        }
        let (from, to) = (base + from, (base + from).saturating_add(width));
        prop_assert_eq!(runs.next_free(from, to), (from..=to).find(|n| !model.contains(n)));
        prop_assert_eq!(runs.count(from, to), model.range(from..=to).count() as u128);
        let around = runs.next_free_around(from, to, seed);
        prop_assert_eq!(around.is_some(), runs.next_free(from, to).is_some());
        prop_assert!(around.is_none_or(|n| (from..=to).contains(&n) && !model.contains(&n)));
    }

    /// Against a map of holders and a list of ranges.
    #[test]
    fn service_addresses_follow_their_model(steps in proptest::collection::vec(step(), 0..120)) {
        let mut addresses = ServiceAddresses::default();
        let mut sources: BTreeMap<u8, (&str, bool)> = BTreeMap::new();
        let mut holders: BTreeMap<u8, u32> = BTreeMap::new();
        for step in steps {
            let ready: BTreeSet<u8> = sources.values().filter(|(_, ready)| *ready).flat_map(|(range, _)| usable(range)).collect();
            match step {
                Step::Source { name, range, ready } => {
                    let range = RANGES[usize::from(range)];
                    addresses.set_source(&name.to_string(), &[net(range)], ready);
                    sources.insert(name, (range, ready));
                }
                Step::NoSource { name } => {
                    addresses.remove_source(&name.to_string());
                    sources.remove(&name);
                }
                Step::Hold(n) => {
                    addresses.hold(address(n));
                    *holders.entry(n).or_default() += 1;
                }
                Step::Reserve(n) => {
                    let expected = match (ready.contains(&n), holders.contains_key(&n)) {
                        (false, _) => Err(ReserveError::OutOfRange),
                        (true, true) => Err(ReserveError::Taken),
                        (true, false) => Ok(()),
                    };
                    if expected.is_ok() {
                        holders.insert(n, 1);
                    }
                    prop_assert_eq!(addresses.reserve(address(n)), expected);
                }
                Step::Release(n) => {
                    let last = holders.get_mut(&n).is_some_and(|count| { *count -= 1; *count == 0 });
                    if last {
                        holders.remove(&n);
                    }
                    prop_assert_eq!(addresses.release(address(n)), last);
                }
                Step::Allocate(seed) => match addresses.allocate(Family::V6, seed) {
                    Ok(picked) => {
                        let n = ready.iter().copied().find(|n| address(*n) == picked);
                        prop_assert!(n.is_some_and(|n| holders.insert(n, 1).is_none()), "{picked}");
                    }
                    Err(PickError::NotReady) => prop_assert!(!sources.values().any(|(_, ready)| *ready)),
                    Err(PickError::Full) => prop_assert!(ready.iter().all(|n| holders.contains_key(n))),
                },
            }
            prop_assert!((0u8..64).all(|n| addresses.is_taken(address(n)) == holders.contains_key(&n)));
        }
    }
}
