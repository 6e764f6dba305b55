//! The page of the alerts, in one language.

use std::fmt::Write;

use portolan_catalogue::Lang;

use super::{ALLOWED_LABELS, Alert, Version, groups};

/// The page as Markdown.
pub fn markdown(lang: Lang) -> String {
    let mut text = head(lang);
    let mut table = match lang {
        Lang::En => "| alert | severity | for | what it says |\n|---|---|---|---|\n".to_owned(),
        Lang::Zh => "| 告警 | 级别 | 持续 | 含义 |\n|---|---|---|---|\n".to_owned(),
    };
    let mut details = String::new();
    // Writing to a String cannot fail.
    for group in groups() {
        let _ = match lang {
            Lang::En => writeln!(details, "\n## {}\n\nReads {}.", group.name, group.reads.en),
            Lang::Zh => writeln!(details, "\n## {}\n\n数据来自 {}。", group.name, group.reads.zh),
        };
        for alert in group.alerts {
            let (name, severity, hold) = (alert.name, alert.severity.name(), alert.hold);
            let summary = plain(alert.summary.get(lang));
            let _ = writeln!(table, "| [{name}](#{}) | {severity} | {hold} | {summary} |", name.to_ascii_lowercase());
            details += &one(alert, lang);
        }
    }
    text += &table;
    text + &details
}

fn head(lang: Lang) -> String {
    let (oldest, newest) = (Version::OLDEST, Version::NEWEST);
    match lang {
        Lang::En => format!(
            "# Alerts\n\n\
            <!-- Made by `PORTOLAN_WRITE_DOCS=1 cargo test -p portolan-diagnose alerts`; do not edit. -->\n\n\
            Rules for Prometheus about what goes wrong with Services without anybody being told. `portolan alerts` prints them for your\n\
            version of kube-state-metrics ({oldest} to {newest}), as a file of rules or as an object for the Prometheus operator:\n\n\
            ```\nportolan alerts --kube-state-metrics 2.15 > portolan-alerts.yaml\n\
            portolan alerts --format prometheusrule | kubectl apply -f -\n\
            portolan alerts --tests > tests.yaml; promtool test rules tests.yaml\n```\n\n\
            What they need:\n\n\
            - kube-state-metrics with `--metric-labels-allowlist={ALLOWED_LABELS}`, and\n  \
            scraped with `honor_labels: true`. Before 2.18, `endpointslices` has to be added to `--resources` for some of them; the head of the\n  \
            printed rules says for which.\n\
            - The other components as far as you can scrape them. A rule whose component is not scraped is silent; for\n  \
            kube-state-metrics itself, ServiceAlertsBlind says so.\n\n\
            A Service that may be without endpoints, because it is scaled to zero at night say, gets the label\n\
            `portolan.dev/may-be-empty: \"true\"`. `portolan up --state-metrics 127.0.0.1:9100` serves the same series for trying rules out.\n\
            [The same in Chinese](alerts.zh.md).\n\n"
        ),
        Lang::Zh => format!(
            "# 告警\n\n\
            <!-- 由 `PORTOLAN_WRITE_DOCS=1 cargo test -p portolan-diagnose alerts` 生成，请勿手工编辑。 -->\n\n\
            针对 Service 静默故障的 Prometheus 规则。`portolan alerts` 按你的 kube-state-metrics 版本（{oldest} 到 {newest}）\n\
            输出规则文件，或 Prometheus Operator 的对象：\n\n\
            ```\nportolan alerts --lang zh --kube-state-metrics 2.15 > portolan-alerts.yaml\n\
            portolan alerts --lang zh --format prometheusrule | kubectl apply -f -\n\
            portolan alerts --lang zh --tests > tests.yaml; promtool test rules tests.yaml\n```\n\n\
            前提：\n\n\
            - kube-state-metrics 使用参数 `--metric-labels-allowlist={ALLOWED_LABELS}`，\n  \
            抓取时设置 `honor_labels: true`。2.18 之前，部分告警还需要在 `--resources` 中加入 `endpointslices`；输出的规则文件开头会说明。\n\
            - 其他组件尽量都抓取。组件没有被抓取时，对应的规则不会触发；对 kube-state-metrics 本身，ServiceAlertsBlind 会提示。\n\n\
            允许没有端点的 Service（例如夜间缩容到零）请加上标签 `portolan.dev/may-be-empty: \"true\"`。\n\
            `portolan up --state-metrics 127.0.0.1:9100` 提供同样的序列，便于试验规则。[英文版](alerts.md)。\n\n"
        ),
    }
}

fn one(alert: &Alert, lang: Lang) -> String {
    let mut text =
        format!("\n### {}\n\n{}\n\n{}\n", alert.name, plain(alert.description.get(lang)), alert.reasoning.get(lang));
    let _ = match lang {
        Lang::En => {
            writeln!(
                text,
                "\nSeverity {}, after {}. Then: `{}`",
                alert.severity.name(),
                alert.hold,
                plain(alert.runbook)
            )
        }
        Lang::Zh => {
            writeln!(
                text,
                "\n级别 {}，持续 {} 后触发。处理：`{}`",
                alert.severity.name(),
                alert.hold,
                plain(alert.runbook)
            )
        }
    };
    for (index, variant) in alert.variants.iter().enumerate() {
        let first = variant.from.max(needs(variant.expression));
        // A variant ends where the one before it begins.
        let next =
            index.checked_sub(1).map(|index| &alert.variants[index]).map(|next| next.from.max(needs(next.expression)));
        let _ = match (lang, first > Version::OLDEST, next) {
            (_, false, None) => writeln!(text),
            (Lang::En, _, None) => writeln!(text, "\nSince kube-state-metrics {first}:\n"),
            (Lang::Zh, _, None) => writeln!(text, "\nkube-state-metrics {first} 起：\n"),
            (Lang::En, true, Some(next)) => writeln!(text, "\nFrom {first} to before {next}:\n"),
            (Lang::Zh, true, Some(next)) => writeln!(text, "\n{first} 起，{next} 之前：\n"),
            (Lang::En, false, Some(next)) => writeln!(text, "\nBefore {next}:\n"),
            (Lang::Zh, false, Some(next)) => writeln!(text, "\n{next} 之前：\n"),
        };
        let _ = writeln!(text, "```promql\n{}\n```", variant.expression);
    }
    text
}

/// The first version that has all that an expression reads.
fn needs(expression: &str) -> Version {
    Version::known().find(|version| super::version::lacks(expression, *version).is_empty()).unwrap_or(Version::NEWEST)
}

/// Templates read badly in a page: `{{ $labels.service }}` becomes SERVICE.
fn plain(text: &str) -> String {
    let mut parts = text.split("{{ $labels.");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (label, rest) = part.split_once(" }}").unwrap_or((part, ""));
        out += &label.to_ascii_uppercase();
        out += rest;
    }
    out
}
