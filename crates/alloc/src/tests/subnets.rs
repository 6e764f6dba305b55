use std::collections::BTreeMap;

use ipnet::IpNet;
use proptest::prelude::*;

use crate::{Subnets, SubnetsError};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn a_range_is_given_out_part_by_part() {
    let rows = [
        ("10.244.0.0/16", 24, 256, "10.244.0.0/24", "10.244.255.0/24"),
        ("10.244.0.0/23", 24, 2, "10.244.0.0/24", "10.244.1.0/24"),
        ("fd00:244::/48", 64, 65536, "fd00:244::/64", "fd00:244:0:ffff::/64"),
        ("fd00::/112", 120, 256, "fd00::/120", "fd00::ff00/120"),
        ("10.0.0.0/8", 8, 1, "10.0.0.0/8", "10.0.0.0/8"),
        ("::/0", 0, 1, "::/0", "::/0"),
    ];
    for (range, prefix, count, first, last) in rows {
        let mut parts = Subnets::new(net(range), prefix).unwrap();
        assert_eq!(parts.free(), count, "{range}");
        let all: Vec<IpNet> = std::iter::from_fn(|| parts.allocate()).collect();
        assert_eq!((all.len(), all[0], all[count - 1]), (count, net(first), net(last)), "{range}");
    }
}

#[test]
fn what_was_freed_comes_back_last() {
    let mut parts = Subnets::new(net("10.244.0.0/22"), 24).unwrap();
    parts.hold(net("10.244.1.0/24"));
    assert_eq!(parts.allocate(), Some(net("10.244.0.0/24")));
    parts.release(net("10.244.0.0/24"));
    assert_eq!(parts.allocate(), Some(net("10.244.2.0/24")));
    assert_eq!(parts.allocate(), Some(net("10.244.3.0/24")));
    assert_eq!(parts.allocate(), Some(net("10.244.0.0/24")));
    assert_eq!(parts.allocate(), None);
}

#[test]
fn ranges_that_cannot_be_divided_say_why() {
    let too_large = SubnetsError::TooLarge { net: net("10.244.0.0/24"), prefix: 16 };
    assert_eq!(Subnets::new(net("10.244.0.0/24"), 16).unwrap_err(), too_large);
    assert!(Subnets::new(net("10.244.0.0/24"), 33).is_err());
    let too_many = SubnetsError::TooMany { net: net("fd00::/32"), prefix: 64 };
    assert_eq!(Subnets::new(net("fd00::/32"), 64).unwrap_err(), too_many);
}

/// Inside, around, beside, and of another family.
const HELD: [&str; 7] =
    ["10.0.0.0/28", "10.0.0.16/28", "10.0.0.32/27", "10.0.0.65/32", "10.0.0.0/24", "10.0.1.0/24", "fd00::/64"];

proptest! {
    #[test]
    fn parts_are_held_by_whom_they_touch(steps in proptest::collection::vec((0usize..HELD.len(), 0u8..3), 0..80)) {
        let mut parts = Subnets::new(net("10.0.0.0/25"), 28).unwrap();
        let mut held: BTreeMap<IpNet, u32> = BTreeMap::new();
        for (index, what) in steps {
            let other = net(HELD[index]);
            match what {
                0 => {
                    parts.hold(other);
                    *held.entry(other).or_default() += 1;
                }
                1 if held.get(&other).is_some_and(|count| *count > 0) => {
                    parts.release(other);
                    *held.entry(other).or_default() -= 1;
                }
                2 => {
                    if let Some(part) = parts.allocate() {
                        let touches = |(other, count): (&IpNet, &u32)| *count > 0 && (other.contains(&part) || part.contains(other));
                        prop_assert!(!held.iter().any(touches), "{part}");
                        *held.entry(part).or_default() += 1;
                    }
                }
                _ => {}
            }
            let touches = |part: IpNet| held.iter().any(|(other, count)| *count > 0 && (other.contains(&part) || part.contains(other)));
            let free = net("10.0.0.0/25").subnets(28).unwrap().filter(|part| !touches(*part)).count();
            prop_assert_eq!(parts.free(), free);
        }
    }
}
