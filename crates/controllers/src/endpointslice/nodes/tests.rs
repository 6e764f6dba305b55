#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::endpointslice::tests::{changed, node, seen};

fn reset(nodes: &mut Nodes, all: &[Value]) -> News {
    nodes.changed(Change::Reset(all.iter().map(seen).collect()))
}

/// The shares, as `zone percent`.
fn percent(nodes: &Nodes) -> Option<Vec<String>> {
    let text = |zone: &str, share: f64| format!("{zone} {:.0}", share * 100.0);
    nodes.shares().map(|shares| shares.iter().map(|(zone, share)| text(zone, *share)).collect())
}

#[test]
fn zones_share_the_cpu_of_the_nodes_that_count() {
    const ZONE: &str = "/metadata/labels/topology.kubernetes.io~1zone";
    let not_ready = ("/status/conditions", json!([{"type": "Ready", "status": "False"}]));
    let control = ("/metadata/labels/node-role.kubernetes.io~1control-plane", json!(""));
    let master = ("/metadata/labels/node-role.kubernetes.io~1master", json!("x"));
    let both = || vec![node("a1", "a", "3"), node("b1", "b", "1000m")];
    let with = |more: Value| [both(), vec![more]].concat();
    type Row = (&'static str, Vec<Value>, Option<&'static [&'static str]>);
    let rows: Vec<Row> = vec![
        ("two zones", both(), Some(&["a 75", "b 25"])),
        ("more of one zone", with(node("b2", "b", "2")), Some(&["a 50", "b 50"])),
        ("three zones", with(node("c1", "c", "4")), Some(&["a 38", "b 12", "c 50"])),
        ("one that is not ready", with(changed(node("c1", "c", "4"), &[not_ready])), Some(&["a 75", "b 25"])),
        ("a control plane", with(changed(node("c1", "c", "4"), &[control])), Some(&["a 75", "b 25"])),
        ("of an older name", with(changed(node("c1", "c", "4"), &[master])), Some(&["a 75", "b 25"])),
        ("one without zone", with(changed(node("c1", "c", "4"), &[(ZONE, Value::Null)])), None),
        ("one with an empty zone", with(changed(node("c1", "c", "4"), &[(ZONE, json!(""))])), None),
        ("one without CPU", with(node("c1", "c", "0")), None),
        ("one that says nothing", with(json!({"metadata": {"name": "c1"}, "status": ready_and_nothing_else()})), None),
        ("one zone", vec![node("a1", "a", "3"), node("a2", "a", "3")], None),
        ("no node", vec![], None),
    ];
    for (story, all, expected) in rows {
        let mut nodes = Nodes::default();
        reset(&mut nodes, &all);
        let expected = expected.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(percent(&nodes), expected, "{story}");
    }
}

/// Ready, and nothing else.
fn ready_and_nothing_else() -> Value {
    json!({"conditions": [{"type": "Ready", "status": "True"}]})
}

#[test]
fn shares_are_computed_anew_only_when_upstream_does() {
    let mut nodes = Nodes::default();
    let (a, b) = (node("a1", "a", "1"), node("b1", "b", "1"));
    let news =
        |appeared: &[&str], shares| News { appeared: appeared.iter().map(|name| (*name).into()).collect(), shares };
    assert_eq!(reset(&mut nodes, &[a.clone(), b.clone()]), news(&["a1", "b1"], true));
    let mut apply = |body: Value| {
        let news = nodes.changed(Change::Apply(seen(&body)));
        (news, percent(&nodes).unwrap_or_default().join(" "))
    };
    assert_eq!(apply(a.clone()), (news(&[], false), "a 50 b 50".into()), "a heartbeat");
    assert_eq!(apply(node("a1", "a", "3")), (news(&[], false), "a 50 b 50".into()), "CPU alone is not looked at");
    assert_eq!(
        apply(node("c1", "c", "4")),
        (news(&["c1"], true), "a 38 b 12 c 50".into()),
        "but is with the next node"
    );
    let not_ready = ("/status/conditions", json!([{"type": "Ready", "status": "Unknown"}]));
    assert_eq!(apply(changed(node("c1", "c", "4"), &[not_ready])), (news(&[], true), "a 75 b 25".into()));
    assert_eq!(apply(node("a1", "b", "3")), (news(&[], true), String::new()), "one zone is none");
    assert_eq!(nodes.zone("a1"), Some(Some("b")));
    assert_eq!(nodes.changed(Change::Delete(seen(&a))), news(&[], true));
    assert_eq!(nodes.changed(Change::Delete(seen(&a))), news(&[], false));
    assert_eq!((nodes.zone("a1"), nodes.zone("b1")), (None, Some(Some("b"))));
    assert_eq!(reset(&mut nodes, std::slice::from_ref(&b)), news(&[], true), "c1 is gone");
    assert_eq!(reset(&mut nodes, &[b]), news(&[], false));
}
