#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::endpointslice::tests::{Fixture, changed, node, not_ready, on, pod, seen, service};

const DISTRIBUTION: &str = "/spec/trafficDistribution";

fn annotations(set: Value) -> (&'static str, Value) {
    ("/metadata/annotations", set)
}

#[test]
fn the_annotation_beats_the_field() {
    let near = |text: &str| (DISTRIBUTION, json!(text));
    type Row = (&'static str, Vec<(&'static str, Value)>, Mode);
    let rows: Vec<Row> = vec![
        ("nothing", vec![], Mode::None),
        ("PreferClose", vec![near("PreferClose")], Mode::Near(Near::Close)),
        ("PreferSameZone", vec![near("PreferSameZone")], Mode::Near(Near::SameZone)),
        ("PreferSameNode", vec![near("PreferSameNode")], Mode::Near(Near::SameNode)),
        ("another word", vec![near("PreferFar")], Mode::None),
        ("Auto", vec![annotations(json!({MODE: "Auto"}))], Mode::Auto),
        ("auto", vec![annotations(json!({MODE: "auto"}))], Mode::Auto),
        ("AUTO is no word", vec![annotations(json!({MODE: "AUTO"}))], Mode::None),
        ("the old name", vec![annotations(json!({DEPRECATED: "Auto"}))], Mode::Auto),
        ("which wins", vec![annotations(json!({DEPRECATED: "Disabled", MODE: "Auto"}))], Mode::None),
        ("both ways", vec![annotations(json!({DEPRECATED: "auto", MODE: "Disabled"}))], Mode::Auto),
        ("over the field", vec![annotations(json!({MODE: "Auto"})), near("PreferClose")], Mode::Auto),
        (
            "but not when it is off",
            vec![annotations(json!({MODE: "Disabled"})), near("PreferClose")],
            Mode::Near(Near::Close),
        ),
    ];
    for (story, changes, expected) in rows {
        assert_eq!(mode(&serde_json::from_value(service(&changes)).unwrap()), expected, "{story}");
    }
}

/// The lines of the slices of four pods: ready in zone a, not ready there, ready in zone b, on a node without zone.
fn hints(changes: &[(&str, Value)]) -> Vec<String> {
    let mut fixture = Fixture::new();
    fixture.nodes(&[node("node-1", "a", "1"), node("node-2", "b", "1"), node("node-3", "", "1")]);
    fixture.service(&service(changes));
    fixture.pods(&[pod(1, &[]), pod(2, &[not_ready()]), pod(3, &[on("node-2")]), pod(4, &[on("node-3")])]);
    fixture.sync();
    assert_eq!(fixture.sync(), "nothing");
    fixture.lines()
}

#[test]
fn ready_endpoints_are_for_their_own_zone_and_node() {
    let publish = ("/spec/publishNotReadyAddresses", json!(true));
    assert_eq!(hints(&[]), ["IPv4 [8080] 1rs- 2--- 3rs- 4rs-"]);
    for word in ["PreferClose", "PreferSameZone"] {
        assert_eq!(hints(&[(DISTRIBUTION, json!(word))]), ["IPv4 [8080] 1rs-:a 2--- 3rs-:b 4rs-"]);
    }
    let node = (DISTRIBUTION, json!("PreferSameNode"));
    let expected = "IPv4 [8080] 1rs-:a/node-1 2--- 3rs-:b/node-2 4rs-:/node-3";
    assert_eq!(hints(std::slice::from_ref(&node)), [expected]);
    let expected = "IPv4 [8080] 1rs-:a/node-1 2r--:a/node-1 3rs-:b/node-2 4rs-:/node-3";
    assert_eq!(hints(&[node, publish]), [expected], "what is published counts as ready");
}

#[test]
fn hints_come_change_and_go_with_the_field() {
    let mut fixture = Fixture::new();
    fixture.pods(&[pod(1, &[])]);
    let steps = [
        (json!("PreferSameNode"), "+1 ~0 -0", "1rs-:a/node-1"),
        (json!("PreferClose"), "+0 ~1 -0", "1rs-:a"),
        (json!("PreferSameZone"), "nothing", "1rs-:a"),
        (json!("PreferSameNode"), "+0 ~1 -0", "1rs-:a/node-1"),
        (Value::Null, "+0 ~1 -0", "1rs-"),
        (json!("PreferClose"), "+0 ~1 -0", "1rs-:a"),
    ];
    for (word, done, line) in steps {
        fixture.service(&service(&[(DISTRIBUTION, word.clone())]));
        assert_eq!((fixture.sync().as_str(), fixture.lines()), (done, vec![format!("IPv4 [8080] {line}")]), "{word}");
        assert_eq!(fixture.sync(), "nothing", "{word}");
    }
}

#[test]
fn a_hint_that_somebody_else_sets_is_taken_away() {
    for (word, line) in [(Value::Null, "1rs-"), (json!("PreferClose"), "1rs-:a")] {
        let mut fixture = Fixture::new();
        fixture.pods(&[pod(1, &[])]);
        fixture.service(&service(&[(DISTRIBUTION, word)]));
        fixture.sync();
        let hints = json!({"forZones": [{"name": "x"}]});
        fixture.write(changed(fixture.only(), &[("/endpoints/0/hints", hints)]));
        assert_eq!(fixture.sync(), "+0 ~1 -0");
        assert_eq!(fixture.lines(), [format!("IPv4 [8080] {line}")]);
    }
}

#[test]
fn a_stale_hint_stays_on_an_endpoint_that_is_not_ready_until_its_slice_is_written() {
    let mut fixture = Fixture::new();
    fixture.pods(&[pod(1, &[not_ready()]), pod(2, &[])]);
    fixture.service(&service(&[(DISTRIBUTION, json!("PreferClose"))]));
    fixture.sync();
    let mut slice = fixture.only();
    slice["endpoints"].as_array_mut().unwrap().sort_by_key(|endpoint| endpoint["addresses"][0].to_string());
    fixture.write(changed(slice, &[("/endpoints/0/hints", json!({"forZones": [{"name": "x"}]}))]));
    assert_eq!(fixture.sync(), "nothing");
    assert_eq!(fixture.lines(), ["IPv4 [8080] 1---:x 2rs-:a"]);
    fixture.pods(&[pod(1, &[not_ready()]), pod(2, &[not_ready()])]);
    assert_eq!(fixture.sync(), "+0 ~1 -0");
    assert_eq!(fixture.lines(), ["IPv4 [8080] 1--- 2---"], "the slice begins without hints");
}

#[test]
fn an_endpoint_without_word_of_readiness_gets_none() {
    let body = json!({
        "metadata": {"namespace": "shop", "name": "one"}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "zone": "a"}],
    });
    let mut packed = Packed { kept: vec![std::sync::Arc::new(seen(&body).facts)], ..Packed::default() };
    give_hints(Near::Close, &mut packed);
    assert!(packed.updates.is_empty());
}
