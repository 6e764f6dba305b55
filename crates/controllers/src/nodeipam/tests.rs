#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn node(name: &str, ranges: &[&str]) -> Node {
    serde_json::from_value(json!({"metadata": {"name": name, "uid": name}, "spec": {"podCIDRs": ranges}})).unwrap()
}

fn index(ranges: &[(&str, u8)]) -> Index {
    let ranges: Vec<_> = ranges.iter().map(|(range, prefix)| (range.parse().unwrap(), *prefix)).collect();
    Index::new(Pools::new(&ranges).unwrap())
}

fn take(index: &mut Index, change: Change<Node>) -> Vec<String> {
    let mut dirty = Vec::new();
    index.take(change, &mut dirty);
    dirty
}

/// The ranges that a node gets, or the exhausted one.
fn plan(index: &mut Index, name: &str) -> Option<Result<Vec<String>, String>> {
    Some(match index.plan(name)? {
        Plan::Give(_, ranges) => Ok(ranges.iter().map(ToString::to_string).collect()),
        Plan::Nothing(_, range) => Err(range.to_string()),
    })
}

fn given(ranges: &[&str]) -> Option<Result<Vec<String>, String>> {
    Some(Ok(ranges.iter().map(ToString::to_string).collect()))
}

#[test]
fn a_node_without_gets_one_of_each_family() {
    let mut index = index(&[("10.244.0.0/16", 24), ("fd00:244::/56", 64)]);
    let nodes = vec![node("old", &["10.244.0.0/24", "fd00:244::/64"]), node("new", &[])];
    assert_eq!(take(&mut index, Change::Reset(nodes)), ["old", "new"]);
    assert_eq!(plan(&mut index, "old"), None);
    let ranges = ["10.244.1.0/24", "fd00:244:0:1::/64"];
    assert_eq!(plan(&mut index, "new"), given(&ranges));
    assert_eq!(plan(&mut index, "new"), given(&ranges), "until it shows them");
    assert_eq!(take(&mut index, Change::Apply(node("new", &ranges))), ["new"]);
    assert_eq!(plan(&mut index, "new"), None);
    assert_eq!(take(&mut index, Change::Apply(node("new", &ranges))), [""; 0], "a heartbeat is nothing");
    assert_eq!(plan(&mut index, "nobody"), None);
}

#[test]
fn who_gets_nothing_is_first_when_a_node_goes() {
    let mut index = index(&[("10.244.0.0/23", 24), ("fd00:244::/63", 64)]);
    take(&mut index, Change::Reset(vec![node("a", &[]), node("b", &[]), node("c", &[])]));
    plan(&mut index, "a");
    plan(&mut index, "b");
    assert_eq!(plan(&mut index, "c"), Some(Err("10.244.0.0/23".to_owned())));
    assert_eq!(take(&mut index, Change::Apply(node("c", &[]))), [""; 0]);
    assert_eq!(take(&mut index, Change::Delete(node("a", &[]))), ["c"], "although it never showed what it was given");
    assert_eq!(plan(&mut index, "c"), given(&["10.244.0.0/24", "fd00:244::/64"]));
    assert!(index.waiting.is_empty());
}

#[test]
fn half_a_gift_is_taken_back() {
    let mut index = index(&[("10.244.0.0/16", 24), ("fd00:244::/64", 64)]);
    take(&mut index, Change::Reset(vec![node("a", &[]), node("b", &[])]));
    plan(&mut index, "a");
    let free = index.pools[0].free();
    assert_eq!(plan(&mut index, "b"), Some(Err("fd00:244::/64".to_owned())));
    assert_eq!(index.pools[0].free(), free);
}

#[test]
fn a_range_that_was_given_by_somebody_else_wins() {
    let mut index = index(&[("10.244.0.0/23", 24)]);
    take(&mut index, Change::Reset(vec![node("a", &[])]));
    assert_eq!(plan(&mut index, "a"), given(&["10.244.0.0/24"]));
    take(&mut index, Change::Apply(node("a", &["10.244.1.0/24"])));
    take(&mut index, Change::Apply(node("b", &[])));
    assert_eq!(plan(&mut index, "b"), given(&["10.244.0.0/24"]), "what it was given first is free");
}

proptest! {
    /// Nodes come, show what they were given, and go: no two have the same, and nothing is lost.
    #[test]
    fn no_two_nodes_share(steps in proptest::collection::vec((0u8..6, 0u8..3), 0..100)) {
        let mut index = index(&[("10.244.0.0/22", 24)]);
        let mut shown: BTreeMap<u8, Vec<String>> = BTreeMap::new();
        for (name, what) in steps {
            let text = format!("n{name}");
            match what {
                0 => {
                    let ranges = shown.entry(name).or_default().clone();
                    take(&mut index, Change::Apply(node(&text, &ranges.iter().map(String::as_str).collect::<Vec<_>>())));
                }
                1 => {
                    shown.remove(&name);
                    take(&mut index, Change::Delete(node(&text, &[])));
                }
                _ => match plan(&mut index, &text) {
                    Some(Ok(ranges)) => drop(shown.insert(name, ranges)),
                    Some(Err(_)) => prop_assert_eq!(index.pools[0].free(), 0),
                    None => {}
                },
            }
            let all: Vec<&String> = shown.values().flatten().collect();
            prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
            prop_assert_eq!(index.pools[0].free(), 4 - all.len());
        }
    }
}
