use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{value::Kind, *};

#[test]
fn tables_are_unique_owned_and_readable() {
    let mut names = BTreeSet::new();
    for tables in TABLES {
        for annotation in tables.known {
            assert!(names.insert(annotation.name), "{} stands twice", annotation.name);
            let written = annotation.name.replace("{port}", "80").replace("{listener}", "TCP-80");
            assert!((tables.owns)(&written), "{written} belongs to no vendor");
            assert!(fits(annotation.name, &written), "{written} does not fit its own pattern");
            assert!(!annotation.readers.is_empty(), "nobody reads {written}");
            let (en, zh) = annotation.value.describe();
            assert!(en.is_ascii() && !zh.is_empty(), "{written}: {en}");
            assert!(annotation.deprecated.is_none_or(|text| text.en.is_ascii() && text.zh.ends_with('\u{3002}')));
        }
        for unread in tables.unread {
            assert!(names.insert(unread.name), "{} stands twice", unread.name);
            assert!((tables.owns)(unread.name), "{} would not be looked at", unread.name);
            assert!(unread.instead.en.is_ascii() && unread.instead.zh.ends_with('\u{3002}'), "{}", unread.name);
        }
    }
    assert!(names.len() > 110, "{}", names.len());
}

#[test]
fn every_vendor_owns_names_alone() {
    let names = TABLES.iter().flat_map(|tables| tables.known).map(|annotation| annotation.name);
    for name in names {
        let name = name.replace("{port}", "80").replace("{listener}", "TCP-80");
        assert_eq!(TABLES.iter().filter(|tables| (tables.owns)(&name)).count(), 1, "{name}");
    }
    for name in
        ["service.beta.kubernetes.io/do-loadbalancer-protocol", "example.com/a", "cloud.google.com/gke-nodepool"]
    {
        assert!(TABLES.iter().all(|tables| !(tables.owns)(name)), "{name}");
    }
}

#[test]
fn values_that_readers_take_are_no_findings() {
    let good = [
        (Kind::Bool, "True"),
        (Kind::GoBool, "1"),
        (Kind::Int(5, 10), " 7 "),
        (Kind::Ranges, "10.0.0.1/8, 2001:db8::/32"),
        (Kind::Pairs, "Key1=Val1,KeyNoVal1=,KeyNoVal2"),
        (Kind::Ids("pl-"), "pl-1, pl-2"),
        (Kind::Codes, "200,300-399"),
        (Kind::Json, "{\"80\": {}}"),
        (Kind::PortOrName, "http"),
        (Kind::Arns, "arn:aws:acm:eu-west-1:1:certificate/a,arn:aws-cn:iam::1:server-certificate/b"),
        (Kind::SpacedAddresses, "10.0.0.1 10.0.0.2"),
        (Kind::AzureLabel, ""),
        (Kind::AzureId, "/SUBSCRIPTIONS/a"),
        (Kind::Any, ""),
    ];
    for (kind, value) in good {
        assert_eq!(kind.refuses(value), None, "{kind:?} {value:?}");
    }
    let bad = [
        (Kind::Bool, "yes"),
        (Kind::GoBool, "tRUE"),
        (Kind::Int(5, 10), "11"),
        (Kind::Int(5, 10), "5.5"),
        (Kind::Ranges, "10.0.0.0"),
        (Kind::Ranges, ""),
        (Kind::Pairs, "=a"),
        (Kind::Ids("pl-"), "pl-"),
        (Kind::Codes, "200-"),
        (Kind::Codes, "99"),
        (Kind::Json, "[]"),
        (Kind::PortOr("traffic-port"), "0"),
        (Kind::V6, "10.0.0.1"),
        (Kind::Name(3), "a-"),
        (Kind::AzureLabel, "1a"),
        (Kind::Some, " "),
    ];
    for (kind, value) in bad {
        assert!(kind.refuses(value).is_some(), "{kind:?} {value:?}");
    }
}

#[test]
fn slips_are_told_from_other_names() {
    let known = aws::aws!("healthcheck-interval");
    for slip in [
        "aws-load-balancer-health-check-interval",
        "aws-load-balancer-healthcheck-intervall",
        "aws-load-balancer-healthCheck-Interval",
    ] {
        assert!(misspelt(&format!("service.beta.kubernetes.io/{slip}"), known), "{slip}");
    }
    for other in ["aws-load-balancer-healthcheck-port", "aws-load-balancer-interval"] {
        assert!(!misspelt(&format!("service.beta.kubernetes.io/{other}"), known), "{other}");
    }
}

proptest! {
    #[test]
    fn no_value_makes_it_panic(value in "\\PC{0,80}") {
        for annotation in TABLES.iter().flat_map(|tables| tables.known) {
            annotation.value.refuses(&value);
        }
    }
}
