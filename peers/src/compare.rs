//! The differences between two canonical states.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::{canonical::State, mirror::Objects};

/// One value that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The object, or the group of slices.
    pub subject: String,
    /// The way to the value below the subject.
    pub path: String,
    /// What the first peer has; null if nothing.
    pub first: Value,
    /// What the second peer has; null if nothing.
    pub second: Value,
}

/// All differences, sorted by subject.
pub fn differences(first: &State, second: &State) -> Vec<Difference> {
    let subjects: BTreeSet<&String> = first.subjects.keys().chain(second.subjects.keys()).collect();
    let mut found = Vec::new();
    for subject in subjects {
        let (one, other) = (first.subjects.get(subject), second.subjects.get(subject));
        let null = Value::Null;
        walk(subject, "", one.unwrap_or(&null), other.unwrap_or(&null), &mut found);
    }
    found
}

fn walk(subject: &str, path: &str, first: &Value, second: &Value, found: &mut Vec<Difference>) {
    if first == second {
        return;
    }
    if let (Value::Object(one), Value::Object(other)) = (first, second) {
        let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        for key in keys {
            let null = Value::Null;
            let below = if path.is_empty() { key.clone() } else { format!("{path} > {key}") };
            walk(subject, &below, one.get(key).unwrap_or(&null), other.get(key).unwrap_or(&null), found);
        }
        return;
    }
    found.push(Difference {
        subject: subject.to_owned(),
        path: path.to_owned(),
        first: first.clone(),
        second: second.clone(),
    });
}

/// How the division into slices compares: not required to be equal, but neither may one side waste slices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Packing {
    /// Groups of slices that both have.
    pub groups: usize,
    /// Of these, how many are divided alike.
    pub alike: usize,
    /// The number of slices of the first peer.
    pub first: usize,
    /// The number of slices of the second peer.
    pub second: usize,
}

/// Counts slices, group by group.
pub fn packing(first: &State, second: &State) -> Packing {
    let mut counted = Packing::default();
    for (group, one) in &first.packing {
        let Some(other) = second.packing.get(group) else { continue };
        counted.groups += 1;
        counted.alike += usize::from(one == other);
        counted.first += one.len();
        counted.second += other.len();
    }
    counted
}

/// The groups in which the second peer has more slices than its endpoints and the first peer explain: a group of `n`
/// endpoints needs `n / 100` slices, rounded up, and coalescing of changes may double that.
pub fn wasteful(first: &State, second: &State) -> Vec<String> {
    let bound = |sizes: &[usize], theirs: usize| {
        let needed = sizes.iter().sum::<usize>().div_ceil(100).max(1);
        2 * needed.max(theirs) + 1
    };
    let theirs = |group: &String| first.packing.get(group).map_or(0, Vec::len);
    let too_many = second.packing.iter().filter(|(group, sizes)| sizes.len() > bound(sizes, theirs(group)));
    too_many.map(|(group, sizes)| format!("{group}: {} slices for sizes {sizes:?}", sizes.len())).collect()
}

/// Whether a difference is only about what nodes say of endpoints: the zone, hints, or an endpoint on a node that is not there.
pub fn about_nodes(difference: &Difference, nodes: &Objects) -> bool {
    fn missing(value: &Value, nodes: &Objects) -> bool {
        match value {
            Value::Null => true,
            Value::Object(map) if map.contains_key("addresses") => map
                .get("nodeName")
                .and_then(Value::as_str)
                .is_none_or(|node| !nodes.contains_key(&(String::new(), node.to_owned()))),
            Value::Object(map) => map.values().all(|value| missing(value, nodes)),
            _ => false,
        }
    }
    let last = difference.path.split(" > ").filter(|part| ["zone", "hints"].contains(part)).count();
    difference.subject.starts_with("slices of ")
        && (last > 0 || (missing(&difference.first, nodes) && missing(&difference.second, nodes)))
}

/// Groups the differences by subject, for printing.
pub fn by_subject(differences: &[Difference]) -> BTreeMap<&str, Vec<&Difference>> {
    let mut grouped: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    for difference in differences {
        grouped.entry(&difference.subject).or_default().push(difference);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(value: Value) -> State {
        State { subjects: BTreeMap::from([("s".to_owned(), value)]), ..State::default() }
    }

    #[test]
    fn a_difference_names_the_smallest_part_that_differs() {
        let one = state(json!({"a": {"b": 1, "c": 2}}));
        let other = state(json!({"a": {"b": 1, "c": 3}}));
        let found = differences(&one, &other);
        assert_eq!(
            found,
            [Difference { subject: "s".into(), path: "a > c".into(), first: json!(2), second: json!(3) }]
        );
        assert!(differences(&one, &one).is_empty());
    }

    #[test]
    fn only_zones_hints_and_missing_nodes_are_about_nodes() {
        let nodes = Objects::from([((String::new(), "n1".to_owned()), std::sync::Arc::default())]);
        let about = |path: &str, second: Value| {
            let (subject, path) = ("slices of one/s by x".to_owned(), path.to_owned());
            about_nodes(&Difference { subject, path, first: Value::Null, second }, &nodes)
        };
        assert!(about("IPv4 [] > [1] p > zone", json!("east")));
        assert!(about("IPv4 [] > [1] p > hints > forZones", json!([])));
        assert!(about("IPv4 [] > [1] p", json!({"addresses": ["1"], "nodeName": "n2"})));
        assert!(about("IPv4 []", json!({"[1] p": {"addresses": ["1"], "nodeName": "n2"}})));
        assert!(!about("IPv4 [] > [1] p", json!({"addresses": ["1"], "nodeName": "n1"})));
        assert!(!about("IPv4 [] > [1] p > conditions > ready", json!(true)));
    }

    #[test]
    fn what_only_one_peer_has_is_a_difference() {
        assert_eq!(differences(&state(json!({})), &State::default()).len(), 1);
        assert_eq!(differences(&State::default(), &state(json!({}))).len(), 1);
    }

    #[test]
    fn a_peer_may_divide_differently_but_not_wastefully() {
        let with = |sizes: Vec<usize>| State { packing: BTreeMap::from([("g".to_owned(), sizes)]), ..State::default() };
        assert!(wasteful(&with(vec![100, 50]), &with(vec![50, 50, 50])).is_empty());
        assert_eq!(wasteful(&with(vec![3]), &with(vec![1, 1, 1, 0])).len(), 1);
    }
}
