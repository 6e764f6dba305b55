//! Invariants of the data, the pages in docs/, and the judgement of the real promtool over every form and version.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use super::*;

fn alerts() -> impl Iterator<Item = &'static Alert> {
    groups().iter().flat_map(|group| group.alerts)
}

fn variants() -> impl Iterator<Item = (&'static Alert, &'static Variant)> {
    alerts().flat_map(|alert| alert.variants.iter().map(move |variant| (alert, variant)))
}

#[test]
fn every_alert_is_proven_to_fire_and_to_stay_quiet() {
    for (alert, variant) in variants() {
        let fires = variant.cases.iter().filter(|case| !case.fires.is_empty()).count();
        assert_eq!(variant.expression, variant.expression.trim(), "a block of YAML may not begin with a space");
        assert!(fires > 0 && fires < variant.cases.len(), "{}: {}", alert.name, variant.expression);
        let titles: BTreeSet<_> = variant.cases.iter().map(|case| case.title).collect();
        assert_eq!(titles.len(), variant.cases.len(), "{}", alert.name);
    }
}

#[test]
fn names_are_unique_and_texts_are_whole() {
    let names: BTreeSet<_> = alerts().map(|alert| alert.name).collect();
    assert_eq!(names.len(), alerts().count());
    for guide in ["LoadBalancerStuckPending", "ServiceHasNoEndpoints", "HighEndpointUpdateFailureRate"] {
        assert!(names.contains(guide), "{guide}");
    }
    for alert in alerts() {
        for text in [alert.summary, alert.description, alert.reasoning] {
            assert!(text.en.is_ascii() && !text.en.is_empty(), "{}: {}", alert.name, text.en);
            assert!(!text.zh.is_ascii(), "{}: {}", alert.name, text.zh);
            let labels = |text: &str| {
                let parts = text.split("{{ ").skip(1).filter_map(|part| part.split_once(" }}"));
                parts.map(|(label, _)| label.to_owned()).collect::<BTreeSet<_>>()
            };
            assert_eq!(labels(text.en), labels(text.zh), "{}: the languages name different labels", alert.name);
        }
        assert!(!alert.summary.en.ends_with('.') && alert.description.en.ends_with('.'), "{}", alert.name);
        assert!(!alert.runbook.is_empty());
    }
}

/// Otherwise the choice by version would not know of it.
#[test]
fn every_metric_of_kube_state_metrics_is_in_the_table() {
    for (alert, variant) in variants() {
        let words = variant.expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let prefixes =
            ["kube_service_", "kube_endpoint_", "kube_endpointslice_", "kube_lease_", "kube_node_", "kube_pod_"];
        for word in words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix))) {
            let known = version::METRICS.iter().any(|metric| metric.name == word);
            assert!(known, "{}: {word} is not in the table of metrics", alert.name);
        }
    }
}

/// A rule without its metric is silent for ever: it must never be given.
#[test]
fn no_rule_reads_what_its_version_lacks() {
    for version in Version::known() {
        let rules = rules(version);
        for rule in rules.groups.iter().flat_map(|(_, rules)| rules) {
            assert_eq!(version::lacks(rule.variant.expression, version), Vec::<String>::new(), "{}", rule.alert.name);
        }
        let given = rules.groups.iter().map(|(_, rules)| rules.len()).sum::<usize>();
        assert_eq!(given + rules.left_out.len(), alerts().count(), "{version}");
        assert!(rules.left_out.iter().all(|left| !left.why.is_empty()), "{version}: {:?}", rules.left_out);
    }
}

#[test]
fn what_is_left_out_depends_on_the_version() {
    let left = |version| rules(Version(version)).left_out.iter().map(|left| left.alert).collect::<Vec<_>>();
    assert_eq!(left(19), Vec::<&str>::new());
    assert_eq!(left(16), ["ServiceDeletionStuck"]);
    let slices = ["ServiceEndpointsOnOneNode", "ServicePortsUnresolved", "ServiceDeletionStuck"];
    assert_eq!(left(10), slices);
    assert_eq!(left(5), [&["ServiceEndpointsMostlyNotReady"][..], &slices, &["ServiceControllersNotRunning"]].concat());
    let resources = |version| rules(Version(version)).resources;
    assert_eq!((resources(19), resources(15), resources(10)), (vec![], vec!["endpointslices"], vec![]));
    let head = print(&rules(Version(16)), Format::Rules, Output::Yaml, Lang::En);
    assert!(head.contains("#   ServiceDeletionStuck: kube_service_deletion_timestamp exists since 2.17"), "{head}");
}

/// Reasons that a runbook names are in the catalogue.
#[test]
fn runbooks_name_what_can_be_explained() {
    for alert in alerts() {
        let Some(reason) = alert.runbook.strip_prefix("portolan explain ").filter(|rest| !rest.starts_with('-')) else {
            continue;
        };
        let known = portolan_catalogue::find(reason).is_some();
        assert!(known, "{}: {reason} is not in the catalogue", alert.name);
    }
}

#[test]
fn forms_hold_the_same_rules() {
    let rules = rules(Version::NEWEST);
    let parse = |format| -> serde_json::Value {
        let json: serde_json::Value = serde_json::from_str(&print(&rules, format, Output::Json, Lang::Zh)).unwrap();
        let yaml: serde_json::Value = serde_saphyr::from_str(&print(&rules, format, Output::Yaml, Lang::Zh)).unwrap();
        assert_eq!(json, yaml);
        json
    };
    assert_eq!(parse(Format::Rules), parse(Format::PrometheusRule)["spec"]);
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// `PORTOLAN_WRITE_DOCS=1 cargo test -p portolan-diagnose alerts` writes the pages.
#[test]
fn the_pages_in_docs_are_up_to_date() {
    for (lang, name) in [(Lang::En, "alerts.md"), (Lang::Zh, "alerts.zh.md")] {
        let (path, text) = (folder().join(name), markdown(lang));
        if std::env::var_os("PORTOLAN_WRITE_DOCS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            stored == text,
            "{} is stale: PORTOLAN_WRITE_DOCS=1 cargo test -p portolan-diagnose alerts",
            path.display()
        );
    }
}

/// The real thing reads every form of every version, and finds every case of the unit tests to be as it says. A case takes it
/// a tenth of a second, so an expression that an earlier version has had is not proven again.
#[test]
fn promtool_agrees_with_every_case_in_every_version() {
    let directory = tempfile::tempdir().unwrap();
    let mut proven = BTreeSet::new();
    for version in Version::known() {
        let mut rules = rules(version);
        let files = write(directory.path(), &rules, Lang::En);
        let Some(output) = promtool(&[&["check", "rules"][..], &files].concat(), directory.path()) else {
            return println!("skipped: promtool_agrees_with_every_case_in_every_version: promtool is not installed");
        };
        output.unwrap_or_else(|words| panic!("{version}: {words}"));
        for (_, rules) in &mut rules.groups {
            rules.retain(|rule| proven.insert(rule.variant.expression));
        }
        prove(directory.path(), &rules, Lang::En);
    }
    assert_eq!(proven.len(), variants().count());

    // In the other language only the texts differ.
    let mut rules = rules(Version::NEWEST);
    rules.groups.retain(|(group, _)| group.name == "portolan-proxy");
    let files = write(directory.path(), &rules, Lang::Zh);
    promtool(&[&["check", "rules"][..], &files].concat(), directory.path()).unwrap().unwrap();
    prove(directory.path(), &rules, Lang::Zh);
}

/// All forms of the rules, as files of plain rules; gives their names.
fn write(directory: &Path, rules: &Rules, lang: Lang) -> [&'static str; 3] {
    let object = print(rules, Format::PrometheusRule, Output::Yaml, lang);
    let object: serde_json::Value = serde_saphyr::from_str(&object).unwrap();
    let texts = [
        ("rules.yaml", print(rules, Format::Rules, Output::Yaml, lang)),
        ("rules.json", print(rules, Format::Rules, Output::Json, lang)),
        ("object.json", object["spec"].to_string()),
    ];
    texts.map(|(name, text)| {
        std::fs::write(directory.join(name), text).unwrap();
        name
    })
}

fn prove(directory: &Path, rules: &Rules, lang: Lang) {
    if rules.groups.iter().all(|(_, rules)| rules.is_empty()) {
        return;
    }
    std::fs::write(directory.join("tests.yaml"), unit_tests(rules, "rules.yaml", lang)).unwrap();
    if let Err(words) = promtool(&["test", "rules", "tests.yaml"], directory).unwrap() {
        panic!("{} {lang:?}: {words}", rules.version);
    }
}

/// `None` without the tool.
fn promtool(arguments: &[&str], directory: &Path) -> Option<Result<(), String>> {
    let output = match Command::new("promtool").args(arguments).current_dir(directory).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let words = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    Some(if output.status.success() { Ok(()) } else { Err(words) })
}
