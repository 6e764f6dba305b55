use std::{collections::BTreeSet, fmt::Write, time::Instant};

use proptest::prelude::*;

use super::*;
use crate::render::sarif;

mod rows;

fn lint_text(text: &str) -> Report {
    lint(&[Source::text("a.yaml", text)], &Options::default())
}

fn codes(report: &Report) -> BTreeSet<&'static str> {
    report.problems.iter().map(|problem| problem.code).collect()
}

fn examples() -> Vec<Source> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    read(&[folder.into()], || Ok(Vec::new())).expect("the examples are there")
}

#[test]
fn every_rule_fires_on_the_bad_and_is_silent_on_the_good() {
    let mut wrong = String::new();
    for row in rows::rows() {
        let (bad, good) = (lint_text(&row.bad), lint_text(&row.good));
        if !codes(&bad).contains(row.code) {
            let _ = writeln!(wrong, "{} should fire on\n{}\n{:?}", row.code, row.bad, codes(&bad));
        }
        if codes(&good).contains(row.code) {
            let _ = writeln!(wrong, "{} should be silent on\n{}\n{:#?}", row.code, row.good, good.problems);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_rule_has_a_row_and_every_code_a_rule() {
    let rows: BTreeSet<&str> = rows::rows().iter().map(|row| row.code).collect();
    let without: BTreeSet<&str> = rules::codes().filter(|code| !rows.contains(code)).collect();
    assert_eq!(without, BTreeSet::from(rows::ELSEWHERE), "rules without a row");
    for row in rows::rows() {
        for problem in lint_text(&row.bad).problems {
            assert!(rule(problem.code).is_some(), "{} has no rule", problem.code);
            assert!(problem.line > 0, "{problem:?}");
        }
    }
}

#[test]
fn codes_are_unique_and_texts_are_whole() {
    let all: Vec<&str> = rules::codes().collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "a code stands twice");
    for rule in RULES.iter().flat_map(|group| group.iter()) {
        let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        assert!(rule.code.chars().all(letters), "{}", rule.code);
        for text in [rule.title, rule.why] {
            assert!(text.en.is_ascii() && text.en.ends_with('.'), "{}: {}", rule.code, text.en);
            assert!(text.zh.ends_with('\u{3002}'), "{}: {}", rule.code, text.zh);
        }
    }
}

#[test]
fn what_is_shared_with_the_doctor_is_explained_by_the_catalogue() {
    let shared = rules::codes().filter(|code| rules::is_of_the_chain(code));
    let unexplained: Vec<&str> = shared.filter(|code| portolan_catalogue::codes::find(code).is_none()).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
}

#[test]
fn the_examples_are_clean() {
    let sources = examples();
    assert!(sources.len() >= 7, "{}", sources.len());
    for source in &sources {
        let report = lint(std::slice::from_ref(source), &Options::default());
        assert_eq!(report.exit_code(), 0, "{}: {:#?}", source.name, report.problems);
        assert!(report.objects > 0, "{}", source.name);
    }
    let together = lint(&sources, &Options::default());
    assert_eq!(together.exit_code(), 0, "{:#?}", together.problems);
}

#[test]
fn what_another_file_would_settle_is_unknown_and_silent() {
    let service = rows::service("{selector: {app: web}, ports: [{port: 80, targetPort: http}]}");
    let report = lint_text(&service);
    assert_eq!(report.problems.len(), 0, "{:#?}", report.problems);
    assert_eq!(report.unknown, BTreeSet::from([Unknown::PodsOf("default/web".into())]));
    let ingress = rows::ingress("web", "number: 80");
    let report = lint_text(&ingress);
    assert_eq!(report.problems.len(), 0, "{:#?}", report.problems);
    assert_eq!(report.unknown, BTreeSet::from([Unknown::Service("default/web".into())]));
}

#[test]
fn files_are_one_world() {
    let service = rows::service("{selector: {app: wbe}, ports: [{port: 80}]}");
    let sources =
        [Source::text("service.yaml", service), Source::text("pods.yaml", rows::deployment("other", "{app: web}", ""))];
    let report = lint(&sources, &Options::default());
    let found = report.problems.iter().find(|problem| problem.code == "selector-matches-no-pod").expect("a finding");
    assert_eq!(found.file, "service.yaml");
    assert!(found.message.en.contains("deployment/other"), "{}", found.message);
    assert!(found.remedy.as_ref().is_some_and(|remedy| remedy.en.contains("app=web")), "{found:?}");
}

#[test]
fn where_folders_are_environments_each_is_judged_by_itself() {
    let pods = |port: &str| {
        rows::deployment("web", "{app: web}", "")
            .replace("name: http,", &format!("name: {port},"))
            .replace("port: http}", &format!("port: {port}}}"))
    };
    let service = rows::service("{selector: {app: web}, ports: [{port: 80, targetPort: http}]}");
    let sources = |other: &str| {
        [
            Source::text("dev/pods.yaml", pods("http")),
            Source::text("dev/service.yaml", service.as_str()),
            Source::text("prod/pods.yaml", pods(other)),
            Source::text("prod/service.yaml", service.as_str()),
        ]
    };
    let report = lint(&sources("http"), &Options::default());
    assert_eq!(report.exit_code(), 0, "{:#?}", report.problems);
    let report = lint(&sources("web"), &Options::default());
    let found: Vec<_> = report.problems.iter().filter(|problem| problem.level == Level::Error).collect();
    assert!(
        matches!(found[..], [one] if one.file == "prod/service.yaml" && one.code == "target-port-not-declared"),
        "{found:#?}"
    );
}

#[test]
fn findings_name_the_line() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations:\n    service.beta.kubernetes.io/aws-load-balancer-scheme: public\nspec:\n  type: LoadBalancer\n  selector: {app: web}\n  ports:\n  - name: a\n    port: 80\n  - name: b\n    port: 99999\n";
    let report = lint_text(text);
    let lines: Vec<(&str, u32)> = report
        .problems
        .iter()
        .filter(|problem| problem.level > Level::Note)
        .map(|problem| (problem.code, problem.line))
        .collect();
    assert!(lines.contains(&("annotation-value", 6)), "{lines:?}");
    assert!(lines.contains(&("manifest-invalid", 14)), "{lines:?}");
}

#[test]
fn findings_of_a_chart_name_the_template() {
    let text = format!(
        "---\n# Source: web/templates/service.yaml\n{}",
        rows::service("{type: LoadBalancer, loadBalancerIP: 192.0.2.1, selector: {app: web}, ports: [{port: 80}]}")
    );
    let report = lint_text(&text);
    assert!(report.problems.iter().all(|problem| problem.source.as_deref() == Some("web/templates/service.yaml")));
    assert!(codes(&report).contains("practice-load-balancer-ip"));
}

#[test]
fn lists_are_flattened_with_their_lines() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spec:\n    externalName: 10.0.0.1\n    type: ExternalName\n";
    let report = lint_text(text);
    assert_eq!(report.objects, 1);
    let found = report.problems.iter().find(|problem| problem.code == "external-name-is-address").expect("a finding");
    assert_eq!(found.line, 8);
}

#[test]
fn an_object_can_ignore_a_code_and_a_wrong_code_is_told() {
    let bad = |ignore: &str| {
        rows::annotated(
            &format!("portolan.dev/lint-ignore: \"{ignore}\""),
            "{type: LoadBalancer, loadBalancerIP: 192.0.2.1, selector: {app: web}, ports: [{port: 80}]}",
        )
    };
    let report = lint_text(&bad("practice-load-balancer-ip, practice-source-ranges-missing"));
    assert_eq!(report.problems, [], "{:#?}", report.problems);
    assert_eq!(report.ignored, 2);
    assert!(lint_text(&bad("all")).problems.is_empty());
    let report = lint_text(&bad("practice-load-balancer-pi"));
    let found = report.problems.iter().find(|problem| problem.code == "lint-ignore-unknown").expect("a finding");
    assert!(found.remedy.as_ref().is_some_and(|remedy| remedy.en.contains("practice-load-balancer-ip")));
    assert!(codes(&report).contains("practice-load-balancer-ip"));
    let flags = Options { ignore: vec!["practice-load-balancer-ip".into(), "nonsense".into()], ..Options::default() };
    let report = lint(&[Source::text("a.yaml", bad(""))], &flags);
    assert!(!codes(&report).contains("practice-load-balancer-ip") && codes(&report).contains("lint-ignore-unknown"));
}

#[test]
fn a_provider_that_is_asked_for_silences_the_others() {
    let text = rows::annotated(
        "service.beta.kubernetes.io/azure-load-balancer-sku: standard\n    service.beta.kubernetes.io/aws-load-balancer-type: nbl",
        "{type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}",
    );
    let found = |provider| {
        let options = Options { provider, ..Options::default() };
        codes(&lint(&[Source::text("a.yaml", text.as_str())], &options))
    };
    let all = found(None);
    assert!(all.contains("annotation-unknown") && all.contains("annotation-value"), "{all:?}");
    let azure = found(Some(Provider::Azure));
    assert!(azure.contains("annotation-unknown") && !azure.contains("annotation-value"), "{azure:?}");
    assert!(azure.contains("annotation-other-cloud"), "{azure:?}");
}

/// The guide's own examples: what of them is right and what is not.
#[test]
fn the_annotations_of_the_guide_are_judged_by_the_sources() {
    let aws = "aws-load-balancer-";
    let cases = [
        ("service.beta.kubernetes.io/aws-load-balancer-type", "nlb", None),
        ("service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing-enabled", "true", None),
        ("service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol", "http", None),
        ("service.beta.kubernetes.io/aws-load-balancer-healthcheck-path", "/healthz", None),
        ("service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval", "10", None),
        ("service.beta.kubernetes.io/aws-load-balancer-healthcheck-healthy-threshold", "2", None),
        ("service.beta.kubernetes.io/aws-load-balancer-internal", "true", None),
        ("service.beta.kubernetes.io/aws-load-balancer-subnets", "subnet-abc123,subnet-def456", None),
        ("service.beta.kubernetes.io/azure-load-balancer-internal", "false", None),
        ("service.beta.kubernetes.io/azure-load-balancer-health-probe-interval", "10", None),
        ("service.beta.kubernetes.io/azure-load-balancer-sku", "standard", Some("annotation-unknown")),
        ("service.beta.kubernetes.io/azure-pip-name", "my-public-ip", None),
        ("cloud.google.com/load-balancer-type", "External", Some("annotation-value")),
        ("cloud.google.com/load-balancer-session-affinity", "CLIENT_IP", Some("annotation-unknown")),
        ("cloud.google.com/load-balancer-health-check-path", "/healthz", Some("annotation-unknown")),
        ("cloud.google.com/load-balancer-health-check-interval", "10", Some("annotation-unknown")),
    ];
    for (name, value, expected) in cases {
        let text = rows::annotated(
            &format!("{name}: \"{value}\""),
            "{type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}",
        );
        let found: Vec<&str> = lint_text(&text)
            .problems
            .iter()
            .filter(|problem| problem.level > Level::Note && problem.code != "annotation-deprecated")
            .map(|problem| problem.code)
            .collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{name} {value} {aws}");
    }
}

#[test]
fn sarif_has_what_the_schema_requires() {
    let bad: Vec<Source> = rows::rows()
        .into_iter()
        .enumerate()
        .map(|(number, row)| Source::text(format!("{number}.yaml"), row.bad))
        .collect();
    let report = lint(&bad, &Options::default());
    let log = render::sarif(&report, portolan_catalogue::Lang::En);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert!(run["tool"]["driver"]["name"].is_string());
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), report.problems.len());
    for result in results {
        assert!(!result["message"]["text"].as_str().unwrap_or_default().is_empty());
        assert!(["note", "warning", "error"].contains(&result["level"].as_str().unwrap_or_default()));
        let index = result["ruleIndex"].as_u64().and_then(|index| usize::try_from(index).ok()).expect("an index");
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().is_some_and(|uri| !uri.contains([' ', '\\'])));
        assert!(place["region"]["startLine"].as_u64().is_some_and(|line| line >= 1));
    }
    assert_eq!(sarif::log(&[], &[])["runs"][0]["results"], serde_json::json!([]));
}

/// `UPDATE_DOCS=1` rewrites what stands below the mark.
#[test]
fn the_reference_in_the_docs_is_current() {
    const MARK: &str = "<!-- from here on generated: UPDATE_DOCS=1 cargo test -p portolan-diagnose lint -->\n\n";
    for (name, lang) in [("lint.md", portolan_catalogue::Lang::En), ("lint.zh.md", portolan_catalogue::Lang::Zh)] {
        let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect("the page is there");
        let (head, below) = text.split_once(MARK).expect("the mark is there");
        let current = render::reference(lang);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, format!("{head}{MARK}{current}")).expect("it can be written");
        } else {
            assert!(below == current, "docs/{name} is stale: UPDATE_DOCS=1 rewrites it");
        }
    }
}

#[test]
fn the_same_object_in_two_files_is_worth_a_note() {
    let text = rows::service("{selector: {app: web}, ports: [{port: 80}]}");
    let sources = [Source::text("dev.yaml", text.as_str()), Source::text("prod.yaml", text.as_str())];
    let report = lint(&sources, &Options::default());
    assert_eq!(codes(&report), BTreeSet::from(["manifest-duplicate-elsewhere"]));
    assert_eq!((report.problems[0].file.as_str(), report.exit_code()), ("prod.yaml", 0));
}

#[test]
fn what_is_too_large_is_not_read() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let inside = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(bomb, "a{level}: &a{level} [{inside}]");
    }
    let huge = Source { name: "b.yaml".into(), content: read::Content::TooLarge(1 << 40), named: true };
    let report = lint(&[Source::text("a.yaml", bomb), huge], &Options::default());
    assert_eq!(report.problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["yaml-too-large"; 2]);
}

#[test]
fn texts_are_in_the_language_that_is_asked_for() {
    for row in rows::rows() {
        for problem in lint_text(&row.bad).problems {
            assert!(
                problem.message.zh.chars().any(|letter| letter > '\u{2e80}'),
                "{}: {}",
                problem.code,
                problem.message.zh
            );
            let english: String = problem.message.en.chars().filter(|letter| *letter > '\u{2e80}').collect();
            assert!(english.is_empty(), "{}: {}", problem.code, problem.message.en);
        }
    }
}

/// Documents with every kind that rules look at, many of which match each other.
fn many(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count / 2 {
        let _ = write!(
            text,
            "---\n{}",
            rows::named_service(
                &format!("web{number}"),
                &format!("{{selector: {{app: web{number}}}, ports: [{{port: 80, targetPort: http}}]}}")
            )
        );
        let _ =
            write!(text, "---\n{}", rows::deployment(&format!("web{number}"), &format!("{{app: web{number}}}"), ""));
    }
    text
}

#[test]
fn time_grows_with_the_documents_and_not_with_their_square() {
    let time = |count| {
        let sources = [Source::text("many.yaml", many(count))];
        let started = Instant::now();
        let report = lint(&sources, &Options::default());
        assert_eq!((report.objects, report.exit_code()), (count, 0), "{:#?}", report.problems.first());
        started.elapsed()
    };
    time(100);
    let (small, large) = (time(1250), time(5000));
    println!("1250 documents: {small:?}, 5000 documents: {large:?}");
    // Linear is 4, quadratic is 16; the bound leaves room for a busy machine.
    assert!(large < small * 10, "{small:?} -> {large:?}");
}

#[test]
fn selectors_that_fit_nothing_do_not_cost_the_square_either() {
    let text = |count: usize| {
        let mut text = String::new();
        for number in 0..count / 2 {
            let _ = write!(
                text,
                "---\n{}",
                rows::named_service(
                    &format!("a{number}"),
                    &format!("{{selector: {{app: front{number}}}, ports: [{{port: 80}}]}}")
                )
            );
            let _ =
                write!(text, "---\n{}", rows::deployment(&format!("b{number}"), &format!("{{app: back{number}}}"), ""));
        }
        text
    };
    let time = |count| {
        let sources = [Source::text("many.yaml", text(count))];
        let started = Instant::now();
        lint(&sources, &Options::default());
        started.elapsed()
    };
    let (small, large) = (time(600), time(2400));
    assert!(large < small * 10, "{small:?} -> {large:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        lint_text(&String::from_utf8_lossy(&bytes));
    }

    /// A manifest with something cut out or put in at any place.
    #[test]
    fn no_damaged_manifest_makes_it_panic(
        row in 0usize..1000, at in 0usize..2000, cut in 0usize..40,
        put in proptest::sample::select(vec!["", ":", "\n", "  ", "- ", "{", "[", "null", "-1", "99999999999", "\"", "*a", "{{ x }}", "\u{4e2d}"]),
    ) {
        let rows = rows::rows();
        let text = &rows[row % rows.len()].bad;
        let letters: Vec<char> = text.chars().collect();
        let at = at % (letters.len() + 1);
        let rest = letters.get(at + cut..).unwrap_or_default();
        let damaged: String = letters[..at].iter().copied().chain(put.chars()).chain(rest.iter().copied()).collect();
        let report = lint_text(&damaged);
        prop_assert!(report.problems.iter().all(|problem| problem.line >= 1));
        render::text(&report, portolan_catalogue::Lang::Zh, true, 0);
    }
}
