#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::endpointslice::tests::{Fixture, changed, node, not_ready, on, pod, service};

const MODE: &str = "service.kubernetes.io/topology-mode";

fn shares(of: &[(&str, f64)]) -> Shares {
    of.iter().map(|(zone, share)| ((*zone).into(), *share)).collect()
}

fn allocated(of: &[(&str, i64)]) -> Allocated {
    of.iter().map(|(zone, count)| ((*zone).into(), *count)).collect()
}

#[test]
fn each_zone_is_allocated_its_share() {
    type Row = (&'static [(&'static str, f64)], i64, &'static [(i64, i64, f64)]);
    // Minimum, maximum and desired number of each zone.
    let rows: &[Row] = &[
        (&[("a", 0.5), ("b", 0.5)], 2, &[(1, 1, 1.0), (1, 1, 1.0)]),
        (&[("a", 0.5), ("b", 0.5)], 4, &[(2, 2, 2.0), (2, 2, 2.0)]),
        (&[("a", 0.5), ("b", 0.5)], 12, &[(5, 7, 6.0), (5, 7, 6.0)]),
        (&[("a", 0.25), ("b", 0.75)], 8, &[(2, 3, 2.0), (5, 6, 6.0)]),
        (&[("a", 0.1), ("b", 0.9)], 5, &[(1, 1, 1.0), (4, 4, 4.5)]),
        (&[("a", 0.2), ("b", 0.3), ("c", 0.5)], 30, &[(5, 9, 6.0), (8, 12, 9.0), (13, 17, 15.0)]),
    ];
    for (of, endpoints, expected) in rows {
        let shares = shares(of);
        let found = allocations(Some(&shares), *endpoints).unwrap();
        let found: Vec<_> = found.values().map(|a| (a.minimum, a.maximum, a.desired)).collect();
        assert_eq!(found, *expected, "{of:?} of {endpoints}");
    }
}

#[test]
fn there_are_reasons_not_to_give_hints() {
    let even = shares(&[("a", 0.5), ("b", 0.5)]);
    let uneven = shares(&[("a", 0.34), ("b", 0.33), ("c", 0.33)]);
    let rows = [
        (None, 5, "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"),
        (Some(&even), 1, "Insufficient number of endpoints (1 endpoints, 2 zones)"),
        (Some(&even), 0, "Insufficient number of endpoints (0 endpoints, 2 zones)"),
        (
            Some(&even),
            3,
            "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold \
             (3 endpoints, 2 zones)",
        ),
        (
            Some(&uneven),
            4,
            "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold \
             (4 endpoints, 3 zones)",
        ),
    ];
    for (shares, endpoints, expected) in rows {
        assert_eq!(allocations(shares, endpoints).unwrap_err().to_string(), expected);
    }
}

#[test]
fn zones_with_too_many_give_to_zones_with_too_few() {
    type Row = (
        &'static str,
        &'static [(&'static str, f64)],
        &'static [(&'static str, i64)],
        [&'static [(&'static str, i64)]; 2],
    );
    // What is desired, what there is, who gives and who gets how many.
    let rows: &[Row] = &[
        ("as it should be", &[("a", 3.0), ("b", 3.0)], &[("a", 3), ("b", 3)], [&[], &[]]),
        ("one too many", &[("a", 2.0), ("b", 2.0)], &[("a", 3), ("b", 1)], [&[("a", 1)], &[("b", 1)]]),
        ("all in one zone", &[("a", 2.0), ("b", 2.0)], &[("a", 4)], [&[("a", 2)], &[("b", 2)]]),
        ("less than half", &[("a", 2.6), ("b", 2.4)], &[("a", 3), ("b", 2)], [&[], &[]]),
        ("halves", &[("a", 2.5), ("b", 2.5)], &[("a", 3), ("b", 2)], [&[], &[]]),
        ("a half of a whole", &[("a", 2.5), ("b", 1.3), ("c", 1.2)], &[("a", 3), ("b", 2)], [&[("b", 1)], &[("c", 1)]]),
        (
            "the greatest first",
            &[("a", 1.0), ("b", 1.0), ("c", 4.0), ("d", 3.0)],
            &[("a", 3), ("b", 5), ("c", 1)],
            [&[("a", 2), ("b", 4)], &[("c", 3), ("d", 3)]],
        ),
    ];
    for (story, desired, has, [giving, receiving]) in rows {
        let of = |desired: &f64| Allocation { minimum: 0, maximum: 0, desired: *desired };
        let allocations = desired.iter().map(|(zone, count)| (*zone, of(count))).collect();
        let expected = Moves { giving: allocated(giving), receiving: allocated(receiving) };
        assert_eq!(Moves::between(&allocations, &allocated(has)), expected, "{story}");
    }
}

#[test]
fn a_service_is_overloaded_where_a_zone_has_too_few() {
    let even = shares(&[("a", 0.5), ("b", 0.5)]);
    let rows = [
        ("no hints", allocated(&[]), Some(&even), false),
        ("even", allocated(&[("a", 2), ("b", 2)]), Some(&even), false),
        ("within the threshold", allocated(&[("a", 7), ("b", 5)]), Some(&even), false),
        ("beyond it", allocated(&[("a", 8), ("b", 4)]), Some(&even), true),
        ("a zone has none", allocated(&[("a", 4)]), Some(&even), true),
        ("a zone that is no more does not count", allocated(&[("a", 2), ("b", 2), ("c", 0)]), Some(&even), false),
        ("no shares", allocated(&[("a", 2), ("b", 2)]), None, true),
    ];
    for (story, held, shares, expected) in rows {
        assert_eq!(is_overloaded(&held, shares), expected, "{story}");
    }
}

fn auto() -> (&'static str, Value) {
    ("/metadata/annotations", json!({MODE: "Auto"}))
}

/// Six pods of which so many are on node-1, in zone a, and the rest on node-2, in zone b.
fn pods(first: u8) -> Vec<Value> {
    (1..=6).map(|number| pod(number, &[on(if number <= first { "node-1" } else { "node-2" })])).collect()
}

/// The plan's Events, and how many hints each zone has afterwards.
fn sync(fixture: &mut Fixture) -> (Vec<String>, Vec<(String, usize)>) {
    let plan = fixture.plan();
    let events = plan.iter().flat_map(|plan| &plan.events).map(|(reason, text)| format!("{reason}: {text}")).collect();
    plan.iter().for_each(|plan| fixture.apply(plan));
    let mut hints = BTreeMap::new();
    for endpoint in [Family::V4, Family::V6].into_iter().flat_map(|family| fixture.of(family)).flat_map(|s| s.endpoints)
    {
        for zone in endpoint.hints.into_iter().flat_map(|hints| hints.zones) {
            *hints.entry(zone.to_string()).or_default() += 1;
        }
    }
    (events, hints.into_iter().collect())
}

fn counts(of: &[(&str, usize)]) -> Vec<(String, usize)> {
    of.iter().map(|(zone, count)| ((*zone).to_owned(), *count)).collect()
}

const ENABLED: &str = "TopologyAwareHintsEnabled: Topology Aware Hints has been enabled, addressType: IPv4";
const DISABLED: &str = "TopologyAwareHintsDisabled: Topology Aware Hints has been disabled, addressType: IPv4";
const NODES: &str = "TopologyAwareHintsDisabled: Insufficient Node information: allocatable CPU or zone not specified on one or more nodes, addressType: IPv4";

#[test]
fn hints_are_announced_once_and_their_failure_at_every_sync() {
    let mut fixture = Fixture::new();
    fixture.service(&service(&[auto()]));
    fixture.pods(&pods(5));
    assert_eq!(sync(&mut fixture), (vec![ENABLED.to_owned()], counts(&[("a", 3), ("b", 3)])));
    assert_eq!(fixture.plan(), None);

    // One more in zone a: within the threshold, it keeps its own zone.
    fixture.pods(&[pods(5), vec![pod(7, &[])]].concat());
    assert_eq!(sync(&mut fixture).0, [""; 0], "they are still there");

    let dark = changed(node("node-2", "b", "4"), &[("/status/conditions", json!([]))]);
    assert_eq!(fixture.nodes(&[node("node-1", "a", "4"), dark]).len(), 1, "without a second zone");
    assert_eq!(sync(&mut fixture).0, [NODES]);
    for _ in 0..2 {
        let plan = fixture.plan().unwrap();
        assert_eq!(plan.events.len(), 1, "said again");
        assert!(plan.families.iter().all(|family| family.writes() == 0), "but nothing is left to write");
    }
    assert_eq!(
        fixture.nodes(&[node("node-1", "a", "4"), node("node-2", "b", "4")]),
        [],
        "only those with hints are looked at"
    );
    assert_eq!(sync(&mut fixture).0, [ENABLED]);

    fixture.service(&service(&[]));
    assert_eq!(sync(&mut fixture), (vec![DISABLED.to_owned()], vec![]));
    assert_eq!(fixture.plan(), None);
}

#[test]
fn the_field_takes_over_from_the_annotation() {
    let near = ("/spec/trafficDistribution", json!("PreferClose"));
    let mut fixture = Fixture::new();
    fixture.service(&service(&[auto(), near.clone()]));
    fixture.pods(&pods(5));
    assert_eq!(sync(&mut fixture), (vec![ENABLED.to_owned()], counts(&[("a", 3), ("b", 3)])));
    fixture.service(&service(&[near]));
    assert_eq!(sync(&mut fixture), (vec![DISABLED.to_owned()], counts(&[("a", 5), ("b", 1)])));
}

#[test]
fn every_failure_has_its_own_words_and_leaves_no_hint() {
    let zone = |node: &'static str| on(node);
    let none = ("/metadata/labels/topology.kubernetes.io~1zone", Value::Null);
    let few = "TopologyAwareHintsDisabled: Insufficient number of endpoints (1 endpoints, 2 zones), addressType: IPv4";
    let overload = "TopologyAwareHintsDisabled: Unable to allocate minimum required endpoints to each zone without \
                    exceeding overload threshold (3 endpoints, 2 zones), addressType: IPv4";
    let unzoned = "TopologyAwareHintsDisabled: One or more endpoints do not have a zone specified, addressType: IPv4";
    let dark = changed(node("node-3", "a", "1"), &[none, ("/status/conditions", json!([]))]);
    let rows = [
        ("too few are ready", vec![pod(1, &[]), pod(2, &[not_ready(), zone("node-2")])], few),
        ("too few for the shares", vec![pod(1, &[]), pod(2, &[]), pod(3, &[zone("node-2")])], overload),
        (
            "one has no zone",
            vec![pod(1, &[]), pod(2, &[zone("node-2")]), pod(3, &[]), pod(4, &[zone("node-3")])],
            unzoned,
        ),
    ];
    for (story, pods, expected) in rows {
        let mut fixture = Fixture::new();
        fixture.nodes(&[node("node-1", "a", "4"), node("node-2", "b", "4"), dark.clone()]);
        fixture.service(&service(&[auto()]));
        fixture.pods(&self::pods(3));
        assert_eq!(sync(&mut fixture).0, [ENABLED], "{story}");
        fixture.pods(&pods);
        assert_eq!(sync(&mut fixture), (vec![expected.to_owned()], vec![]), "{story}");
        let again = fixture.plan().unwrap();
        assert_eq!((again.events.len(), again.families[0].writes()), (1, 0), "{story}");
    }
}

#[test]
fn families_have_hints_of_their_own_but_share_the_news() {
    let mut fixture = Fixture::new();
    fixture.service(&service(&[auto(), ("/spec/ipFamilies", json!(["IPv4", "IPv6"]))]));
    fixture.pods(&pods(3));
    assert_eq!(sync(&mut fixture), (vec![ENABLED.to_owned()], counts(&[("a", 6), ("b", 6)])));
    let one_family: Vec<Value> = (1..=6)
        .map(|number| {
            let ip = format!("10.244.0.{number}");
            pod(number, &[on(if number <= 3 { "node-1" } else { "node-2" }), ("/status/podIPs", json!([{"ip": ip}]))])
        })
        .collect();
    fixture.pods(&one_family);
    let (events, hints) = sync(&mut fixture);
    let few = "TopologyAwareHintsDisabled: Insufficient number of endpoints (0 endpoints, 2 zones), addressType: IPv6";
    assert_eq!((events, hints), (vec![few.to_owned()], counts(&[("a", 3), ("b", 3)])));
    assert_eq!(sync(&mut fixture).0, [ENABLED, few], "upstream tells of both at every sync");
    fixture.no_service();
    fixture.plan();
    assert_eq!(fixture.nodes(&[]), [], "nothing is remembered of a Service that is gone");
}

#[test]
fn endpoints_that_change_zones_keep_the_balance() {
    let mut fixture = Fixture::with_max(3);
    fixture.service(&service(&[auto()]));
    fixture.pods(&pods(6));
    assert_eq!(sync(&mut fixture).1, counts(&[("a", 3), ("b", 3)]));
    fixture.pods(&pods(1));
    assert_eq!(sync(&mut fixture).1, counts(&[("a", 3), ("b", 3)]));
    assert_eq!(fixture.plan(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Hints are for zones that count, every ready endpoint has exactly one, no zone is left with less than it must
    /// have but for one, and what is once given is not given anew.
    #[test]
    fn hints_keep_what_they_promise(
        cpu in prop::collection::vec(1_u8..20, 2..4),
        placed in prop::collection::vec((0_usize..4, any::<bool>()), 1..40),
        max in 2_usize..12,
    ) {
        let zones = ["a", "b", "c"];
        let mut fixture = Fixture::with_max(max);
        let nodes: Vec<Value> =
            cpu.iter().enumerate().map(|(at, cpu)| node(&format!("node-{at}"), zones[at], &cpu.to_string())).collect();
        fixture.nodes(&nodes);
        fixture.service(&service(&[auto()]));
        let pods: Vec<Value> = placed
            .iter()
            .zip(1_u8..)
            .map(|((at, ready), number)| {
                let mut changes = vec![("/spec/nodeName", json!(format!("node-{}", at % cpu.len())))];
                changes.extend((!ready).then(not_ready));
                pod(number, &changes)
            })
            .collect();
        fixture.pods(&pods);
        let ready = placed.iter().filter(|(_, ready)| *ready).count();
        let (events, hints) = sync(&mut fixture);
        prop_assert_eq!(events.len(), 1);
        let total: usize = hints.iter().map(|(_, count)| count).sum();
        if events[0] == ENABLED {
            prop_assert_eq!(total, ready);
            let held: Allocated =
                hints.iter().map(|(zone, count)| (zone.as_str().into(), i64::try_from(*count).unwrap())).collect();
            let sum: f64 = cpu.iter().map(|cpu| f64::from(*cpu)).sum();
            let shares: Shares =
                cpu.iter().enumerate().map(|(at, cpu)| (zones[at].into(), f64::from(*cpu) / sum)).collect();
            // Half an endpoint is not moved, so a zone can be one short of its minimum.
            let total = float(held.values().sum());
            let has = |zone: &str| held.get(zone).copied().unwrap_or_default();
            let enough = shares.iter().all(|(zone, share)| has(zone) + 1 >= least(total * share));
            prop_assert!(enough, "{held:?} {shares:?}");
            prop_assert_eq!(fixture.plan(), None);
        } else {
            prop_assert_eq!(total, 0);
            let again = fixture.plan().unwrap();
            prop_assert!(again.events.len() == 1 && again.families[0].writes() == 0);
        }
    }
}
