//! Alerts on what goes wrong with Services without anybody being told: data, and its forms for Prometheus.
//!
//! `portolan alerts` prints them, docs/alerts.md is made from them. Pure: expressions are chosen by the version of
//! kube-state-metrics, because its metrics come and go (`version`), and a rule whose metric is not there is left out with the
//! reason. An expression that reads a metric that does not exist would be silent for ever, which is the very thing these
//! rules are against.
//!
//! Three habits hold for all expressions:
//! - They aggregate away what does not identify the trouble: an alert that carried `instance` or `pod` of its exporter
//!   would begin anew whenever that is restarted.
//! - They match on `cluster` too, so that one Prometheus may hold several clusters; where there is no such label, it is empty on
//!   both sides and does no harm.
//! - What is normal while things change is left to `for`.

mod docs;
mod form;
mod list;
mod unit;
mod version;
mod yaml;

use portolan_catalogue::{Lang, Text};

pub use docs::markdown;
pub use form::{Format, Output, print};
pub use unit::unit_tests;
pub use version::{NotAVersion, Version};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Traffic is lost now.
    Critical,
    /// Traffic is lost for some, or will be with the next change.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// The value of the label `severity`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// Alerts that read the metrics of the same components.
#[derive(Debug)]
pub struct Group {
    /// Of the rule group.
    pub name: &'static str,
    /// What is scraped for it.
    pub reads: Text,
    /// Its alerts.
    pub alerts: &'static [Alert],
}

/// One alert.
#[derive(Debug)]
pub struct Alert {
    /// In CamelCase, as is the custom.
    pub name: &'static str,
    /// Its label.
    pub severity: Severity,
    /// How long it has to be so.
    pub hold: &'static str,
    /// Expressions; the first that fits the version is used.
    pub variants: &'static [Variant],
    /// One line; may name labels as `{{ $labels.x }}`.
    pub summary: Text,
    /// What it means for the one who is called.
    pub description: Text,
    /// Why the expression says just this, and what it is not disturbed by.
    pub reasoning: Text,
    /// The command that tells more.
    pub runbook: &'static str,
}

/// One expression.
#[derive(Debug)]
pub struct Variant {
    /// Preferred from this version of kube-state-metrics on.
    pub from: Version,
    /// PromQL.
    pub expression: &'static str,
    /// The proof.
    pub cases: &'static [Case],
}

/// One case of a unit test.
#[derive(Debug)]
pub struct Case {
    /// What the case is.
    pub title: &'static str,
    /// `name{labels} values`, as promtool understands them; the interval is a minute.
    pub series: &'static [&'static str],
    /// When to look.
    pub at: &'static str,
    /// The labels of the alerts that fire then, without severity: none if it has to be quiet.
    pub fires: &'static [Labels],
}

/// Labels of one alert.
pub type Labels = &'static [(&'static str, &'static str)];

/// An alert with the expression for one version.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The alert.
    pub alert: &'static Alert,
    /// Its expression.
    pub variant: &'static Variant,
}

/// An alert that a version of kube-state-metrics cannot give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The alert's name.
    pub alert: &'static str,
    /// What is missing.
    pub why: String,
}

/// The rules for one version of kube-state-metrics.
#[derive(Debug)]
pub struct Rules {
    /// For which.
    pub version: Version,
    /// Groups that have rules, with them.
    pub groups: Vec<(&'static Group, Vec<Rule>)>,
    /// What could not be given.
    pub left_out: Vec<LeftOut>,
    /// Resources that have to be named in `--resources`, since they are not watched by default.
    pub resources: Vec<&'static str>,
    /// Whether `--metric-labels-allowlist` is needed.
    pub labels: bool,
}

/// What has to be given to `--metric-labels-allowlist` of kube-state-metrics.
pub const ALLOWED_LABELS: &str = "services=[portolan.dev/may-be-empty],\
    endpointslices=[endpointslice.kubernetes.io/managed-by,kubernetes.io/service-name]";

/// All alerts.
pub fn groups() -> &'static [Group] {
    list::GROUPS
}

/// Chooses the expressions for a version.
pub fn rules(version: Version) -> Rules {
    let mut rules = Rules { version, groups: Vec::new(), left_out: Vec::new(), resources: Vec::new(), labels: false };
    for group in groups() {
        let mut chosen = Vec::new();
        for alert in group.alerts {
            match alert.choose(version) {
                Ok(variant) => chosen.push(Rule { alert, variant }),
                Err(why) => rules.left_out.push(LeftOut { alert: alert.name, why }),
            }
        }
        for metric in chosen.iter().flat_map(|rule| version::read_by(rule.variant.expression)) {
            rules.labels |= metric.allowed;
            if !version::is_default(metric.resource, version) && !rules.resources.contains(&metric.resource) {
                rules.resources.push(metric.resource);
            }
        }
        if !chosen.is_empty() {
            rules.groups.push((group, chosen));
        }
    }
    rules
}

impl Alert {
    /// The expression for a version, or what that lacks.
    fn choose(&'static self, version: Version) -> Result<&'static Variant, String> {
        let mut why = String::new();
        for variant in self.variants.iter().filter(|variant| version >= variant.from) {
            let lacking = version::lacks(variant.expression, version);
            if lacking.is_empty() {
                return Ok(variant);
            }
            why = lacking.join(", ");
        }
        if why.is_empty() {
            // No variant is meant for it; the least that any asks for says what is missing.
            why = self
                .variants
                .iter()
                .map(|variant| version::lacks(variant.expression, version).join(", "))
                .next_back()
                .unwrap_or_default();
        }
        Err(why)
    }

    /// The annotations, by name.
    fn annotations(&self, lang: Lang) -> [(&'static str, &'static str); 3] {
        [("summary", self.summary.get(lang)), ("description", self.description.get(lang)), ("runbook", self.runbook)]
    }
}

#[cfg(test)]
mod tests;
