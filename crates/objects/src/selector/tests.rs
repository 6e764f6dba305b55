#![allow(clippy::unwrap_used)]

use k8s_openapi::serde_json::{self, json};
use proptest::prelude::*;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn text_selects_as_kubectl_documents() {
    let web = labels(&[("app", "web"), ("tier", "front"), ("example.com/rank", "7"), ("empty", "")]);
    let cases = [
        ("", true),
        ("app=web", true),
        ("app==web", true),
        (" app = web , tier = front ", true),
        ("app=web,tier=back", false),
        ("app!=db", true),
        ("missing!=x", true),
        ("app!=web", false),
        ("app", true),
        ("!app", false),
        ("!missing", true),
        ("missing", false),
        ("app in (web,db)", true),
        ("app in (db)", false),
        ("missing in (web)", false),
        ("app notin (web, db)", false),
        ("missing notin (web)", true),
        ("empty=", true),
        ("app=,tier", false),
        ("empty in ()", true),
        ("empty in (a,)", true),
        ("example.com/rank>6", true),
        ("example.com/rank<6", false),
        ("app>1", false),
        ("in in (in)", false),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).unwrap().matches(&web), expected, "{text}");
    }
    assert!(parse("in in (in)").unwrap().matches(&labels(&[("in", "in")])));
}

#[test]
fn broken_text_says_what_is_wrong() {
    let cases = [
        ("app=web,", "found '', expected: a label key or '!'"),
        (",app", "found ',', expected: a label key or '!'"),
        ("app web", "found 'web', expected: in, notin, =, ==, !=, >, <"),
        ("app=web db", "found 'db', expected: ',' or end of text"),
        ("app in web", "found 'web', expected: '('"),
        ("app in (web", "found '', expected: ',' or ')'"),
        ("app=(web)", "found '(', expected: a value"),
        ("!", "found '', expected: a label key behind '!'"),
        ("app>x", "found 'x', expected: a whole number behind '>' or '<'"),
        ("a@b", "key \"a@b\" is not a label key"),
        ("/x", "the prefix must be a lower-case DNS name"),
        ("example.com/", "the name must not be empty"),
        ("app=-x", "value \"-x\" of \"app\" is not a label value"),
    ];
    for (text, expected) in cases {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.starts_with("unable to parse requirement: "), "{text}: {message}");
        assert!(message.contains(expected), "{text}: {message}");
    }
    let long = format!("app={}", "x".repeat(64));
    assert!(parse(&long).unwrap_err().to_string().contains("no more than 63 characters"));
}

#[test]
fn structures_of_workloads() {
    let structure = |body: serde_json::Value| {
        Selector::from_label_selector(&serde_json::from_value(body).unwrap()).map(|selector| selector.to_string())
    };
    let full = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
        {"key": "tier", "operator": "In", "values": ["front", "back"]},
        {"key": "old", "operator": "DoesNotExist"},
    ]});
    assert_eq!(structure(full).unwrap(), "app=web,tier in (back,front),!old");
    assert_eq!(structure(json!({})).unwrap(), "");
    for (operator, values, why) in [
        ("In", vec![], "needs at least one value"),
        ("Exists", vec!["x"], "takes no values"),
        ("Near", vec![], "is not an operator"),
    ] {
        let body = json!({"matchExpressions": [{"key": "k", "operator": operator, "values": values}]});
        assert!(structure(body).unwrap_err().to_string().contains(why));
    }
}

#[test]
fn a_map_asks_for_every_pair() {
    let selector = Selector::from_map(&labels(&[("app", "web")]));
    assert!(selector.matches(&labels(&[("app", "web"), ("x", "y")])));
    assert!(!selector.matches(&labels(&[("x", "y")])));
    assert!(Selector::from_map(&BTreeMap::new()).is_everything());
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let value = "([a-z0-9]([-a-z0-9_.]{0,5}[a-z0-9])?)?";
    let values = prop::collection::btree_set(value, 1..4);
    let operator = prop_oneof![
        values.clone().prop_map(Operator::In),
        values.prop_map(Operator::NotIn),
        Just(Operator::Exists),
        Just(Operator::Missing),
        (0_i64..100).prop_map(Operator::Above),
        (0_i64..100).prop_map(Operator::Below),
    ];
    ("([a-z]{1,4}\\.[a-z]{1,3}/)?[a-zA-Z0-9]{1,6}", operator).prop_map(|(key, operator)| Requirement { key, operator })
}

proptest! {
    #[test]
    fn printing_and_parsing_round_trip(mut requirements in prop::collection::vec(requirement(), 0..5)) {
        requirements.sort();
        let selector = Selector { requirements };
        prop_assert_eq!(parse(&selector.to_string()).unwrap(), selector);
    }

    #[test]
    fn no_text_panics(text in "[ab!=,()<> in/.-]{0,20}") {
        let _ = parse(&text);
    }
}
