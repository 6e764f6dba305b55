#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::graph::{FOREGROUND, Graph, Item, ORPHAN, Plan, Policy};
use super::*;

fn item(uid: &str, owners: &[&str]) -> Item {
    let owners: Vec<Value> = owners
        .iter()
        .map(|owner| json!({"apiVersion": "v1", "kind": "K", "name": owner, "uid": owner, "blockOwnerDeletion": true}))
        .collect();
    let metadata = serde_json::from_value(json!({"name": uid, "uid": uid, "ownerReferences": owners})).unwrap();
    Item::new(0, &metadata).unwrap()
}

fn leaving(uid: &str, finalizer: &str) -> Item {
    Item { deleting: true, finalizers: vec![finalizer.into()], ..item(uid, &[]) }
}

fn graph(items: impl IntoIterator<Item = Item>) -> Graph {
    let mut graph = Graph::default();
    graph.reset(0, items.into_iter().collect(), &mut Vec::new());
    graph
}

#[test]
fn dependents_of_an_owner_that_goes_are_looked_at_and_collected_after_asking() {
    let mut graph = graph([item("owner", &[]), item("child", &["owner"]), item("free", &[])]);
    for uid in ["owner", "child", "free"] {
        assert_eq!(graph.plan(uid), None, "{uid}");
    }
    let mut dirty = Vec::new();
    graph.remove("owner", &mut dirty);
    assert_eq!(dirty, ["child"]);
    let Some(Plan::Collect { item, verify, policy }) = graph.plan("child") else { panic!("collect") };
    assert_eq!((item.uid.as_str(), verify.len(), policy), ("child", 1, Policy::Background));
    // The API knew the owner after all: the watch was behind.
    graph.verify(vec!["owner".into()]);
    assert_eq!(graph.plan("child"), None);
}

#[test]
fn one_living_owner_is_enough() {
    let graph = graph([item("owner", &[]), item("child", &["owner", "gone"])]);
    let Some(Plan::Detach { verify, waiting, .. }) = graph.plan("child") else { panic!("detach") };
    assert_eq!((verify[0].uid.as_str(), waiting.len()), ("gone", 0));
}

#[test]
fn foreground_goes_from_the_leaves_to_the_root() {
    let mut graph = graph([leaving("root", FOREGROUND), item("branch", &["root"]), item("leaf", &["branch"])]);
    assert_eq!(graph.plan("root"), None, "it waits");
    let Some(Plan::Collect { policy, verify, .. }) = graph.plan("branch") else { panic!("collect") };
    assert_eq!((policy, verify.len()), (Policy::Foreground, 0));
    let mut dirty = Vec::new();
    graph.put(Item { owners: item("branch", &["root"]).owners, ..leaving("branch", FOREGROUND) }, &mut dirty);
    assert!(dirty.contains(&"leaf".to_string()), "{dirty:?}");
    let Some(Plan::Collect { policy, .. }) = graph.plan("leaf") else { panic!("collect") };
    assert_eq!(policy, Policy::Background);
    graph.remove("leaf", &mut dirty);
    assert!(matches!(graph.plan("branch"), Some(Plan::Release { .. })));
    graph.remove("branch", &mut dirty);
    assert!(matches!(graph.plan("root"), Some(Plan::Release { .. })));
}

#[test]
fn orphaned_dependents_are_told_before_the_owner_goes() {
    let graph = graph([leaving("owner", ORPHAN), item("child", &["owner"])]);
    let Some(Plan::Orphan { dependents, .. }) = graph.plan("owner") else { panic!("orphan") };
    assert_eq!(dependents.len(), 1);
    assert_eq!(graph.plan("child"), None, "its owner is still there");
}

#[test]
fn a_new_listing_takes_away_what_is_not_in_it() {
    let mut graph = graph([item("owner", &[]), item("child", &["owner"])]);
    let mut dirty = Vec::new();
    graph.reset(0, vec![item("child", &["owner"])], &mut dirty);
    assert_eq!(dirty, ["child"]);
    assert_eq!(graph.sizes()[&0], 1);
}
