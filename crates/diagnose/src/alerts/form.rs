//! Rules as Prometheus and its operator read them.

use std::fmt::Write;

use portolan_catalogue::Lang;
use serde::Serialize;

use super::{ALLOWED_LABELS, Rule, Rules, Version, yaml};

/// What the rules are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A file for `rule_files` of Prometheus.
    Rules,
    /// An object for the Prometheus operator.
    PrometheusRule,
}

/// How they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// With comments.
    Yaml,
    /// Without.
    Json,
}

#[derive(Serialize)]
struct File<'a> {
    groups: Vec<GroupOut<'a>>,
}

#[derive(Serialize)]
struct GroupOut<'a> {
    name: &'a str,
    rules: Vec<RuleOut<'a>>,
}

#[derive(Serialize)]
struct RuleOut<'a> {
    alert: &'a str,
    expr: &'a str,
    #[serde(rename = "for")]
    hold: &'a str,
    labels: LabelsOut<'a>,
    annotations: Annotations<'a>,
}

#[derive(Serialize)]
struct LabelsOut<'a> {
    severity: &'a str,
}

#[derive(Serialize)]
struct Annotations<'a> {
    summary: &'a str,
    description: &'a str,
    runbook: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata<'a>,
    spec: File<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
}

const OBJECT: (&str, &str, &str) = ("monitoring.coreos.com/v1", "PrometheusRule", "portolan-services");

/// The rules as text.
pub fn print(rules: &Rules, format: Format, output: Output, lang: Lang) -> String {
    let file = file(rules, lang);
    match (output, format) {
        (Output::Yaml, Format::Rules) => head(rules, lang) + &groups(&file, 0),
        (Output::Yaml, Format::PrometheusRule) => {
            let (version, kind, name) = OBJECT;
            let object = format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n");
            head(rules, lang) + &object + &groups(&file, 2)
        }
        (Output::Json, Format::Rules) => json(&file),
        (Output::Json, Format::PrometheusRule) => {
            let (api_version, kind, name) = OBJECT;
            json(&Object { api_version, kind, metadata: Metadata { name }, spec: file })
        }
    }
}

fn json(value: &impl Serialize) -> String {
    // Strings in structures cannot fail to be written.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn file(rules: &Rules, lang: Lang) -> File<'static> {
    let one = |rule: &Rule| RuleOut {
        alert: rule.alert.name,
        expr: rule.variant.expression,
        hold: rule.alert.hold,
        labels: LabelsOut { severity: rule.alert.severity.name() },
        annotations: Annotations {
            summary: rule.alert.summary.get(lang),
            description: rule.alert.description.get(lang),
            runbook: rule.alert.runbook,
        },
    };
    let groups = rules.groups.iter();
    File {
        groups: groups
            .map(|(group, rules)| GroupOut { name: group.name, rules: rules.iter().map(one).collect() })
            .collect(),
    }
}

fn groups(file: &File<'_>, indent: usize) -> String {
    let mut text = String::new();
    let pad = " ".repeat(indent);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{pad}groups:");
    for group in &file.groups {
        let _ = writeln!(text, "{pad}  - name: {}\n{pad}    rules:", group.name);
        for rule in &group.rules {
            let expression = yaml::text(rule.expr, indent + 10);
            let _ = writeln!(text, "{pad}      - alert: {}\n{pad}        expr: {expression}", rule.alert);
            let _ = writeln!(text, "{pad}        for: {}\n{pad}        labels:", rule.hold);
            let _ = writeln!(text, "{pad}          severity: {}\n{pad}        annotations:", rule.labels.severity);
            let RuleOut { annotations, .. } = rule;
            for (name, value) in [
                ("summary", annotations.summary),
                ("description", annotations.description),
                ("runbook", annotations.runbook),
            ] {
                let _ = writeln!(text, "{pad}          {name}: {}", yaml::quoted(value));
            }
        }
    }
    text
}

/// What has to be known before the rules are of use, as comments.
fn head(rules: &Rules, lang: Lang) -> String {
    yaml::comments(notes(rules, lang))
}

/// The same as lines.
pub(super) fn notes(rules: &Rules, lang: Lang) -> Vec<String> {
    let zh = lang == Lang::Zh;
    let version = rules.version;
    let mut lines = vec![match zh {
        true => format!("Service 告警规则，适用于 kube-state-metrics {version}，由 portolan alerts 生成。"),
        false => format!("Alerts on Services for kube-state-metrics {version}, made by portolan alerts."),
    }];
    if version > Version::NEWEST {
        let newest = Version::NEWEST;
        lines.push(match zh {
            true => format!("已核对的最新版本是 {newest}；更新的版本按与它相同处理。"),
            false => format!("The newest version that was checked is {newest}; later ones are taken to be the same."),
        });
    }
    lines.push(match zh {
        true => "抓取 kube-state-metrics 时需要 honor_labels: true。它需要以下参数：".to_owned(),
        false => "Scrape kube-state-metrics with honor_labels: true. It needs these options:".to_owned(),
    });
    if !rules.resources.is_empty() {
        let names = rules.resources.join(", ");
        lines.push(match zh {
            true => format!("  --resources=...（在原有列表中加上 {names}）"),
            false => format!("  --resources=... (with {names} added to the list)"),
        });
    }
    if rules.labels {
        lines.push(format!("  --metric-labels-allowlist={ALLOWED_LABELS}"));
    }
    if !rules.left_out.is_empty() {
        lines.push(match zh {
            true => "此版本无法提供的告警：".to_owned(),
            false => "Left out, because this version does not have the metrics:".to_owned(),
        });
        lines.extend(rules.left_out.iter().map(|left| format!("  {}: {}", left.alert, left.why)));
    }
    lines
}
