#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-01T00:01:00Z";

fn range(name: &str, cidrs: &[&str], more: &Value) -> ServiceCIDR {
    let mut object = json!({"metadata": {"name": name, "uid": name}, "spec": {"cidrs": cidrs}});
    for (key, value) in more.as_object().into_iter().flatten() {
        for (field, value) in value.as_object().into_iter().flatten() {
            object[key][field] = value.clone();
        }
    }
    serde_json::from_value(object).unwrap()
}

fn condition((status, reason, message): Saying) -> Value {
    json!([{"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": NOW}])
}

/// Deleted so many seconds ago, with this controller's finalizer.
fn deleted(name: &str, cidrs: &[&str], seconds: i64) -> ServiceCIDR {
    let at = NOW.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_secs(seconds);
    range(name, cidrs, &json!({"metadata": {"deletionTimestamp": at.to_string(), "finalizers": [FINALIZER]}}))
}

fn address(name: &str, manager: &str) -> IPAddress {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {MANAGER_LABEL: manager}},
        "spec": {"parentRef": {"resource": "services", "namespace": "shop", "name": "web"}},
    }))
    .unwrap()
}

fn index(ranges: Vec<ServiceCIDR>, addresses: &[&str]) -> Index {
    let mut index = Index::default();
    index.take(Input::Range(Box::new(Change::Reset(ranges))), &mut Vec::new());
    let addresses = addresses.iter().map(|name| address(name, ALLOCATOR)).collect();
    index.take(Input::Address(Box::new(Change::Reset(addresses))), &mut Vec::new());
    index
}

fn plan(index: &Index, name: &str) -> Option<Plan> {
    index.plan(name, NOW.parse().unwrap())
}

#[test]
fn a_living_range_has_the_finalizer_and_is_ready() {
    let metadata = json!({"finalizers": ["other", FINALIZER]});
    let rows = [
        (json!({}), Some(Plan::Keep { finalizer: true, condition: true })),
        (json!({"metadata": metadata}), Some(Plan::Keep { finalizer: false, condition: true })),
        (json!({"status": {"conditions": condition(ready())}}), Some(Plan::Keep { finalizer: true, condition: false })),
        (
            json!({"metadata": metadata, "status": {"conditions": condition(("True", "", "Kubernetes default Service CIDR is ready"))}}),
            Some(Plan::Keep { finalizer: false, condition: true }),
        ),
        (json!({"metadata": metadata, "status": {"conditions": condition(ready())}}), None),
    ];
    for (more, expected) in rows {
        assert_eq!(plan(&index(vec![range("a", &["10.0.0.0/24"], &more)], &[]), "a"), expected, "{more}");
    }
    assert_eq!(plan(&Index::default(), "a"), None);
}

#[test]
fn a_deleted_range_stays_while_it_alone_has_an_address() {
    let wide = || range("wide", &["10.0.0.0/16"], &json!({}));
    let narrow = || range("narrow", &["10.0.0.0/28"], &json!({}));
    let own = || deleted("a", &["10.0.0.0/24"], 60);
    let dual = || deleted("a", &["10.0.0.0/24", "fd00::/64"], 60);
    // (what, ranges, addresses, whether it is needed)
    let rows = [
        ("nothing in it", vec![own()], vec![], false),
        ("one in it", vec![own()], vec!["10.0.0.7"], true),
        ("one outside", vec![own()], vec!["10.0.1.7"], false),
        ("its edges are nobody's", vec![own()], vec!["10.0.0.0", "10.0.0.255"], false),
        ("a wider one has all", vec![own(), wide()], vec!["10.0.0.7"], false),
        ("a narrower one has some", vec![own(), narrow()], vec!["10.0.0.7"], false),
        ("a narrower one has not all", vec![own(), narrow()], vec!["10.0.0.7", "10.0.0.15"], true),
        ("one of two families is covered", vec![dual(), wide()], vec!["10.0.0.7", "fd00::7"], true),
        ("one of two families is used", vec![dual(), wide()], vec!["10.0.0.7"], false),
        ("the same again", vec![own(), range("b", &["10.0.0.0/24"], &json!({}))], vec!["10.0.0.7"], false),
    ];
    for (what, ranges, addresses, needed) in rows {
        let expected = if needed { Plan::Block } else { Plan::Release };
        assert_eq!(plan(&index(ranges, &addresses), "a"), Some(expected), "{what}");
    }
    let mut others = index(vec![own()], &[]);
    others.take(Input::Address(Box::new(Change::Apply(address("10.0.0.7", "gateway")))), &mut Vec::new());
    assert_eq!(plan(&others, "a"), Some(Plan::Release), "an address of somebody else's");
    let mut said = own();
    said.status = serde_json::from_value(json!({"conditions": condition(in_use())})).unwrap();
    assert_eq!(plan(&index(vec![said], &["10.0.0.7"]), "a"), None, "it says so already");
}

#[test]
fn a_deleted_range_waits_until_all_know() {
    for (seconds, expected) in [
        (0, Plan::Wait(Duration::from_secs(10))),
        (-5, Plan::Wait(Duration::from_secs(10))),
        (9, Plan::Wait(Duration::from_secs(1))),
        (10, Plan::Release),
    ] {
        assert_eq!(plan(&index(vec![deleted("a", &["10.0.0.0/24"], seconds)], &[]), "a"), Some(expected));
    }
    let mut let_go = deleted("a", &["10.0.0.0/24"], 60);
    let_go.metadata.finalizers = Some(vec!["other".into()]);
    assert_eq!(plan(&index(vec![let_go], &[]), "a"), None, "the rest is another's");
}

#[test]
fn an_address_makes_its_ranges_dirty() {
    let ranges = vec![range("a", &["10.0.0.0/24"], &json!({})), range("b", &["10.0.0.0/16", "fd00::/64"], &json!({}))];
    let mut index = index(ranges, &[]);
    let mut touched = |change: Change<IPAddress>| {
        let mut dirty = Vec::new();
        index.take(Input::Address(Box::new(change)), &mut dirty);
        dirty.sort();
        dirty
    };
    assert_eq!(touched(Change::Apply(address("10.0.0.7", ALLOCATOR))), ["a", "b"]);
    assert_eq!(touched(Change::Apply(address("10.0.0.7", ALLOCATOR))), [""; 0], "known");
    assert_eq!(touched(Change::Apply(address("fd00::7", ALLOCATOR))), ["b"]);
    assert_eq!(touched(Change::Apply(address("10.0.0.8", "gateway"))), [""; 0]);
    assert_eq!(touched(Change::Delete(address("10.0.0.7", ALLOCATOR))), ["a", "b"]);
}
