use portolan_nftables::Value;

use super::*;
use crate::sets::SetId;

fn key(n: u32) -> ElementKey {
    ElementKey { set: SetId::Svc, key: Value::new().number(n), end: None }
}

fn want(items: &[(u32, u32)]) -> Elements {
    items.iter().map(|(n, data)| (key(*n), Some(Data::Value(Value::new().number(*data))))).collect()
}

fn owner(name: &str) -> Arc<ObjectKey> {
    Arc::new(ObjectKey::new("default", name))
}

fn summary(steps: &[Step]) -> Vec<(bool, bool)> {
    steps.iter().map(|step| (step.was.is_some(), step.wanted.is_some())).collect()
}

#[test]
fn steps_are_the_differences_and_taking_them_leaves_none() {
    let mut ledger = Ledger::default();
    let (one, two) = (want(&[(1, 1), (2, 2)]), want(&[(2, 3), (3, 3)]));
    ledger.claim(&owner("a"), &Elements::new(), &one);
    let steps = ledger.steps();
    assert_eq!(summary(&steps), [(false, true), (false, true)]);
    assert_eq!(ledger.steps(), steps, "planning changes nothing");
    ledger.took(steps);
    assert!(ledger.steps().is_empty());
    ledger.claim(&owner("a"), &one, &two);
    assert_eq!(summary(&ledger.steps()), [(true, false), (true, true), (false, true)]);
    ledger.claim(&owner("a"), &two, &one);
    assert!(ledger.steps().is_empty(), "there and back again is nothing");
    ledger.claim(&owner("a"), &one, &Elements::new());
    ledger.took(ledger.steps());
    assert!(ledger.entries.is_empty());
}

#[test]
fn the_first_owner_in_order_decides_and_the_next_takes_over() {
    let none = Elements::new();
    for order in [["a", "b"], ["b", "a"]] {
        let mut ledger = Ledger::default();
        for name in order {
            ledger.claim(&owner(name), &none, &want(&[(1, if name == "a" { 10 } else { 20 })]));
        }
        let wanted = |ledger: &Ledger| ledger.wanted().next().map(|(_, data)| data.clone());
        assert_eq!(wanted(&ledger), Some(Some(Data::Value(Value::new().number(10)))));
        ledger.took(ledger.steps());
        ledger.claim(&owner("a"), &want(&[(1, 10)]), &none);
        assert_eq!(wanted(&ledger), Some(Some(Data::Value(Value::new().number(20)))));
        assert_eq!(summary(&ledger.steps()), [(true, true)]);
    }
}

#[test]
fn what_is_observed_replaces_what_was_believed() {
    let mut ledger = Ledger::default();
    ledger.claim(&owner("a"), &Elements::new(), &want(&[(1, 1), (2, 2), (3, 3)]));
    ledger.took(ledger.steps());
    // 1 is still there, 2 holds something else, 3 is gone, 4 is a stranger.
    ledger.observe(want(&[(1, 1), (2, 9), (4, 4)]));
    assert_eq!(summary(&ledger.steps()), [(true, true), (false, true), (true, false)]);
}
