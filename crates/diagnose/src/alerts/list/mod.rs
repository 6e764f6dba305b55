//! The alerts, one file for each source of metrics.

mod addresses;
mod controllers;
mod nodes;
mod proxy;
mod services;
mod watch;

use portolan_catalogue::Text;

use super::{Alert, Case, Group, Labels, Severity, Variant, Version};

/// All groups, in the order of the output.
pub(super) const GROUPS: &[Group] =
    &[services::GROUP, watch::GROUP, controllers::GROUP, proxy::GROUP, addresses::GROUP, nodes::GROUP];

/// Short form for the data.
const fn text(en: &'static str, zh: &'static str) -> Text {
    Text { en, zh }
}

/// An expression that needs no particular version.
const fn any(expression: &'static str, cases: &'static [Case]) -> Variant {
    Variant { from: Version::OLDEST, expression, cases }
}

const fn fires(
    title: &'static str,
    series: &'static [&'static str],
    at: &'static str,
    labels: &'static [Labels],
) -> Case {
    Case { title, series, at, fires: labels }
}

const fn quiet(title: &'static str, series: &'static [&'static str], at: &'static str) -> Case {
    Case { title, series, at, fires: &[] }
}

/// What the alerts on one Service name in their cases.
const SHOP_WEB: &[Labels] = &[&[("namespace", "shop"), ("service", "web")]];

/// The command that looks at one Service.
const DIAGNOSE: &str = "portolan diagnose svc/{{ $labels.service }} -n {{ $labels.namespace }}";
