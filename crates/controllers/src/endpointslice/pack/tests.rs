#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use portolan_objects::Family;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    backends::Pod,
    endpointslice::{
        desired,
        nodes::Nodes,
        tests::{Shared, service},
    },
};

/// A pod of one letter, whose address is the letter's number.
fn pod(name: &str, ready: bool) -> Arc<Pod> {
    let number = name.bytes().next().unwrap();
    let status = if ready { "True" } else { "False" };
    let body = json!({
        "metadata": {"namespace": "shop", "name": name, "uid": name},
        "status": {"podIP": format!("10.0.0.{number}"), "conditions": [{"type": "Ready", "status": status}]},
    });
    Arc::new(serde_json::from_value(body).unwrap())
}

/// Does something with the endpoints of these pods. An upper-case letter is the pod of that letter, not ready.
fn with_wanted<T>(names: &str, look: impl FnOnce(&[Wanted<'_>]) -> T) -> T {
    let pods: BTreeMap<_, _> =
        names.split_whitespace().map(|name| (name.to_lowercase(), name == name.to_lowercase())).collect();
    let pods: Vec<_> = pods.iter().map(|(name, ready)| pod(name, *ready)).collect();
    let service: Service =
        serde_json::from_value(service(&[("/spec/publishNotReadyAddresses", json!(true)), ("/spec/ports", json!([]))]))
            .unwrap();
    let nodes = Nodes::default();
    let desired = desired::desired(&service, &pods, &nodes);
    look(desired.families[&Family::V4].values().next().map(Vec::as_slice).unwrap_or_default())
}

fn endpoints(names: &str) -> Vec<Endpoint> {
    let of = |name: &str| with_wanted(name, |wanted| wanted[0].endpoint());
    names.split_whitespace().map(of).collect()
}

fn slice(name: &str, names: &str) -> Shared {
    let mut slice = Slice { endpoints: endpoints(names), ..Slice::default() };
    slice.metadata.name = Some(name.to_owned());
    Arc::new(slice)
}

fn names(endpoints: &[Endpoint]) -> String {
    let name = |endpoint: &Endpoint| match endpoint.conditions.serving {
        Some(false) => endpoint.pod.to_uppercase(),
        _ => endpoint.pod.to_string(),
    };
    endpoints.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// What is packed, as lines: `+ a b` a new slice, `one: a b` an update, `- one` a deletion.
fn lines(packed: &Packed) -> Vec<String> {
    let creates = packed.creates.iter().map(|draft| format!("+ {}", names(&draft.endpoints)));
    let updates = packed.updates.iter().map(|draft| {
        let slice = draft.slice.as_ref().unwrap();
        format!("{}: {}", slice.name(), names(&draft.endpoints))
    });
    let deletes = packed.deletes.iter().map(|slice| format!("- {}", slice.name()));
    creates.chain(updates).chain(deletes).collect()
}

fn packed(existing: &[(&str, &str)], wanted: &str, drifted: &str) -> Packed {
    let existing = existing.iter().map(|(name, names)| slice(name, names)).collect();
    with_wanted(wanted, |wanted| pack(existing, wanted, &PortSet::default(), 4, |slice| slice.name() == drifted))
}

/// Story, slices that exist, endpoints that are wanted, lines that are expected, endpoints added and removed.
type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static [&'static str], [usize; 2]);

#[test]
fn endpoints_are_placed_with_few_writes() {
    let rows: &[Row] = &[
        ("nothing changed", &[("one", "a b")], "b a", &[], [0, 0]),
        ("the first slices", &[], "a b c d e f", &["+ a b c d", "+ e f"], [6, 0]),
        ("one went away", &[("one", "a b"), ("two", "c d")], "a c d", &["one: a"], [0, 1]),
        ("all of a slice went away", &[("one", "a b"), ("two", "c")], "c", &["- one"], [0, 2]),
        ("one changed", &[("one", "a b"), ("two", "c d")], "a B c d", &["one: a B"], [0, 0]),
        (
            "a slice that is written anyway takes the new one",
            &[("one", "a b"), ("two", "c d")],
            "a c d e",
            &["one: a e"],
            [1, 1],
        ),
        (
            "the fullest of those first",
            &[("one", "a b c x"), ("two", "d y")],
            "a b c d e f",
            &["one: a b c e", "two: d f"],
            [2, 2],
        ),
        (
            "else the untouched slice that it fills best",
            &[("one", "a"), ("two", "b c")],
            "a b c d e",
            &["two: b c d e"],
            [2, 0],
        ),
        (
            "what fits in no slice as a whole gets a new one",
            &[("one", "a b c"), ("two", "d e f")],
            "a b c d e f g h",
            &["+ g h"],
            [2, 0],
        ),
        ("full slices are made first", &[("one", "a b")], "a b c d e f g", &["+ c d e f", "one: a b g"], [5, 0]),
        ("a whole new slice is not spread", &[("one", "")], "a b c d", &["+ a b c d"], [4, 0]),
        ("a duplicate is dropped", &[("one", "a"), ("two", "a")], "a", &["- two"], [0, 1]),
        ("half-empty slices are not merged", &[("one", "a"), ("two", "b")], "a b", &[], [0, 0]),
        ("an empty slice with these ports is one to fill", &[("one", "")], "a", &["one: a"], [1, 0]),
        ("and stays if there is nothing to fill in", &[("one", "")], "", &[], [0, 0]),
        ("a slice that is too full stays so", &[("one", "a b c d e f")], "a b c d e f g", &["+ g"], [1, 0]),
        ("until it shrinks", &[("one", "a b c d e f")], "a b c d e g", &["one: a b c d e", "+ g"], [1, 1]),
    ];
    for (story, existing, wanted, expected, [added, removed]) in rows {
        let packed = packed(existing, wanted, "");
        let (mut found, mut expected) = (lines(&packed), expected.to_vec());
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{story}");
        assert_eq!((packed.added, packed.removed), (*added, *removed), "{story}");
        assert_eq!(packed.kept.len() + packed.updates.len() + packed.deletes.len(), existing.len(), "{story}");
    }
}

#[test]
fn a_drifted_slice_is_written_with_the_endpoints_it_has() {
    let packed = packed(&[("one", "a"), ("two", "b"), ("three", "")], "a b", "two");
    assert_eq!(lines(&packed), ["two: b"]);
    assert!(packed.updates[0].relabel);
    let empty = self::packed(&[("one", "a"), ("two", "")], "a", "two");
    assert_eq!(lines(&empty), ["two: "]);
    let filled = self::packed(&[("one", "a"), ("two", "b")], "a b c", "two");
    assert_eq!(lines(&filled), ["two: b c"], "it is written anyway");
    let untouched = self::packed(&[("one", "a"), ("two", "b")], "a b c", "");
    assert!(!untouched.updates[0].relabel, "what is only filled keeps its labels");
}

#[test]
fn an_endpoint_is_known_by_its_pod_and_address() {
    let mut elsewhere = slice("one", "a b").as_ref().clone();
    elsewhere.endpoints[0].address = "10.9.9.9".parse().unwrap();
    elsewhere.endpoints[1].foreign = true;
    let packed = with_wanted("a b", |wanted| {
        pack(vec![Arc::new(elsewhere), slice("two", "c")], wanted, &PortSet::default(), 4, |_| false)
    });
    assert_eq!(lines(&packed), ["one: b a", "- two"], "the other address went, the odd one is put right");
    assert!(packed.updates[0].endpoints.iter().all(|endpoint| !endpoint.foreign));
}

/// The fewest slices that have to be written: those that lose or change an endpoint, and as many more as the new
/// endpoints need beyond the room in those.
fn fewest(existing: &[Shared], wanted: &[Wanted<'_>], max: usize) -> usize {
    let is_right = |held: &Endpoint| wanted.iter().any(|wanted| wanted.is(held) && wanted.is_same(held));
    let stays = |held: &Endpoint| wanted.iter().any(|wanted| wanted.is(held));
    let (mut writes, mut room) = (0, 0);
    for slice in existing.iter().filter(|slice| !slice.endpoints.iter().all(is_right)) {
        let left = slice.endpoints.iter().filter(|held| stays(held)).count();
        writes += 1;
        // A slice that is left empty is deleted; it offers no room of its own.
        room += if left == 0 { 0 } else { max - left };
    }
    let held = |wanted: &&Wanted<'_>| existing.iter().any(|slice| slice.endpoints.iter().any(|held| wanted.is(held)));
    let missing = wanted.len() - wanted.iter().filter(held).count();
    writes + missing.saturating_sub(room).div_ceil(max)
}

/// Some letters, in either case.
fn letters() -> impl Strategy<Value = String> {
    prop::collection::btree_map(b'a'..=b'z', any::<bool>(), 0..20).prop_map(|letters| {
        let one = |(letter, ready): (u8, bool)| {
            let letter = char::from(letter);
            if ready { letter.to_string() } else { letter.to_ascii_uppercase().to_string() }
        };
        letters.into_iter().map(one).collect::<Vec<_>>().join(" ")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// From any state that packing itself has led to: no slice too full, every endpoint once, and no write more than
    /// there has to be.
    #[test]
    fn packing_writes_no_more_than_it_must(history in prop::collection::vec(letters(), 1..8), max in 1_usize..7) {
        let mut existing: Vec<Shared> = Vec::new();
        for (round, names) in history.into_iter().enumerate() {
            with_wanted(&names, |wanted| {
                let fewest = fewest(&existing, wanted, max);
                let packed = pack(existing.clone(), wanted, &PortSet::default(), max, |_| false);
                let writes = packed.creates.len() + packed.updates.len() + packed.deletes.len();
                prop_assert_eq!(writes, fewest);
                existing = packed.kept;
                existing.extend(packed.updates.iter().chain(&packed.creates).enumerate().map(|(at, draft)| {
                    let mut slice = Slice { endpoints: draft.endpoints.clone(), ..Slice::default() };
                    slice.metadata.name = Some(format!("{round}-{at}"));
                    Arc::new(slice)
                }));
                prop_assert!(existing.iter().all(|slice| slice.endpoints.len() <= max && !slice.endpoints.is_empty()));
                let mut found: Vec<_> = existing.iter().flat_map(|slice| &slice.endpoints).map(|e| e.pod.clone()).collect();
                found.sort();
                let expected: Vec<_> = wanted.iter().map(|wanted| wanted.pod.name.clone()).collect();
                prop_assert_eq!(found, expected);
                let again = pack(existing.clone(), wanted, &PortSet::default(), max, |_| false);
                prop_assert!(again.creates.is_empty() && again.updates.is_empty() && again.deletes.is_empty());
                Ok(())
            })?;
        }
    }
}
