//! The proof: unit tests of the rules, for `promtool test rules`.

use std::fmt::Write;

use portolan_catalogue::Lang;

use super::{Alert, Case, Rules, yaml};

/// A test file for the rules in `rules_file`, which has to be beside it.
pub fn unit_tests(rules: &Rules, rules_file: &str, lang: Lang) -> String {
    let mut text = format!(
        "# promtool test rules THIS_FILE\nrule_files:\n  - {}\nevaluation_interval: 1m\ntests:\n",
        yaml::quoted(rules_file)
    );
    for rule in rules.groups.iter().flat_map(|(_, rules)| rules) {
        for case in rule.variant.cases {
            one(&mut text, rule.alert, case, lang);
        }
    }
    text
}

fn one(text: &mut String, alert: &Alert, case: &Case, lang: Lang) {
    let word = if case.fires.is_empty() { "quiet" } else { "fires" };
    let name = yaml::quoted(&format!("{}, {word}: {}", alert.name, case.title));
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "  - name: {name}\n    interval: 1m\n    input_series:{}",
        if case.series.is_empty() { " []" } else { "" }
    );
    for series in case.series {
        let (series, values) = split(series);
        let (series, values) = (yaml::quoted(series), yaml::quoted(values));
        let _ = writeln!(text, "      - series: {series}\n        values: {values}");
    }
    let _ = writeln!(text, "    alert_rule_test:\n      - eval_time: {}\n        alertname: {}", case.at, alert.name);
    let _ = writeln!(text, "        exp_alerts:{}", if case.fires.is_empty() { " []" } else { "" });
    for labels in case.fires {
        let _ = writeln!(text, "          - exp_labels:\n              severity: {}", alert.severity.name());
        for (label, value) in *labels {
            let _ = writeln!(text, "              {label}: {}", yaml::quoted(value));
        }
        let _ = writeln!(text, "            exp_annotations:");
        for (annotation, template) in alert.annotations(lang) {
            let _ = writeln!(text, "              {annotation}: {}", yaml::quoted(&filled(template, labels)));
        }
    }
}

/// `name{labels} values` as its two parts.
pub(super) fn split(series: &str) -> (&str, &str) {
    let end = series.find("} ").map(|at| at + 1).or_else(|| series.find(' ')).unwrap_or(series.len());
    let (series, values) = series.split_at(end);
    (series, values.trim_start())
}

/// A template with its labels, as Prometheus fills it in: nothing but `{{ $labels.x }}` is used here.
fn filled(template: &str, labels: &[(&str, &str)]) -> String {
    let mut text = template.to_owned();
    for (label, value) in labels {
        text = text.replace(&format!("{{{{ $labels.{label} }}}}"), value);
    }
    text
}
