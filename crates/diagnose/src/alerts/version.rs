//! Versions of kube-state-metrics, and what each of them has.

use std::{fmt, str::FromStr};

/// A minor version of kube-state-metrics 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16);

impl Version {
    /// The first of version 2.
    pub const OLDEST: Self = Self(0);
    /// The newest whose source was read. Later ones are taken to be the same.
    pub const NEWEST: Self = Self(19);

    /// Every version whose metrics are known.
    pub fn known() -> impl Iterator<Item = Self> {
        (Self::OLDEST.0..=Self::NEWEST.0).map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "2.{}", self.0)
    }
}

/// What was typed is no version of kube-state-metrics 2.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of kube-state-metrics 2: write it as 2.19 or v2.19.1")]
pub struct NotAVersion(String);

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let bad = || NotAVersion(text.to_owned());
        let numbers = text.trim().trim_start_matches('v');
        let numbers = numbers.split(['-', '+']).next().unwrap_or_default();
        let parts: Vec<&str> = numbers.split('.').collect();
        let (["2", minor] | ["2", minor, _]) = parts[..] else { return Err(bad()) };
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !parts.iter().all(digits) {
            return Err(bad());
        }
        minor.parse().map(Self).map_err(|_| bad())
    }
}

/// A metric of kube-state-metrics that some rule reads.
#[derive(Debug)]
pub(super) struct Metric {
    pub name: &'static str,
    /// As in `--resources`.
    pub resource: &'static str,
    pub since: Version,
    /// The last version that has it.
    pub until: Option<Version>,
    /// Labels that came later than the metric, and that some rule reads.
    pub later: &'static [(&'static str, Version)],
    /// Labels of objects that have to be allowed for it to be of use.
    pub allowed: bool,
}

const fn metric(name: &'static str, resource: &'static str, since: u16) -> Metric {
    Metric { name, resource, since: Version(since), until: None, later: &[], allowed: false }
}

/// From the sources of 2.0, 2.1, 2.2, 2.5, 2.6, 2.7, 2.8, 2.10, 2.11, 2.13, 2.15, 2.18 and 2.19, and the changelog between them.
pub(super) const METRICS: &[Metric] = &[
    metric("kube_service_info", "services", 0),
    metric("kube_service_spec_type", "services", 0),
    Metric { allowed: true, ..metric("kube_service_labels", "services", 0) },
    metric("kube_service_status_load_balancer_ingress", "services", 0),
    metric("kube_service_deletion_timestamp", "services", 17),
    metric("kube_endpoint_info", "endpoints", 0),
    Metric { until: Some(Version(13)), ..metric("kube_endpoint_address_available", "endpoints", 0) },
    metric("kube_endpoint_address", "endpoints", 6),
    Metric { later: NAMESPACE_OF_SLICES, ..metric("kube_endpointslice_endpoints", "endpointslices", 8) },
    Metric { later: NAMESPACE_OF_SLICES, ..metric("kube_endpointslice_ports", "endpointslices", 8) },
    Metric { later: NAMESPACE_OF_SLICES, allowed: true, ..metric("kube_endpointslice_labels", "endpointslices", 8) },
    Metric { later: &[("namespace", Version(9))], ..metric("kube_lease_renew_time", "leases", 0) },
];

/// Before, slices of two namespaces could not be told apart.
const NAMESPACE_OF_SLICES: &[(&str, Version)] = &[("namespace", Version(11))];

/// Whether a resource is watched without being asked for.
pub(super) fn is_default(resource: &str, version: Version) -> bool {
    match resource {
        "endpoints" => version < Version(18),
        "endpointslices" => version >= Version(18),
        _ => true,
    }
}

/// The metrics of kube-state-metrics that an expression names.
pub(super) fn read_by(expression: &str) -> Vec<&'static Metric> {
    let words: Vec<&str> =
        expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != ':').collect();
    METRICS.iter().filter(|metric| words.contains(&metric.name)).collect()
}

/// What `version` lacks for an expression, for people; empty if it has all.
pub(super) fn lacks(expression: &str, version: Version) -> Vec<String> {
    let mut lacking = Vec::new();
    for metric in read_by(expression) {
        let name = metric.name;
        if version < metric.since {
            lacking.push(format!("{name} exists since {}", metric.since));
        } else if let Some(until) = metric.until.filter(|until| version > *until) {
            lacking.push(format!("{name} exists until {until}"));
        } else {
            let later = metric.later.iter().filter(|(_, since)| version < *since);
            lacking.extend(later.map(|(label, since)| format!("{name} has the label {label} since {since}")));
        }
    }
    lacking
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_read_as_people_write_them() {
        for (text, expected) in [
            ("2.10", Some(10)),
            ("v2.19.1", Some(19)),
            (" 2.0.0 ", Some(0)),
            ("2.5.0-rc.1", Some(5)),
            ("2.21", Some(21)),
            ("1.9.8", None),
            ("2", None),
            ("2.", None),
            ("2.x", None),
            ("2.10.1.4", None),
            ("2.-1", None),
            ("2.99999999", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Version>().ok(), expected.map(Version), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_a_version_never_panics(text in "\\PC*|v?2?[.0-9-]*") {
            let _ = text.parse::<Version>();
        }
    }

    #[test]
    fn names_are_found_whole() {
        let found = |expression| read_by(expression).iter().map(|metric| metric.name).collect::<Vec<_>>();
        assert_eq!(found("kube_endpoint_address_available > 0"), ["kube_endpoint_address_available"]);
        assert_eq!(found("max(kube_endpoint_address{ready=\"true\"})"), ["kube_endpoint_address"]);
    }

    #[test]
    fn what_is_lacking_is_named() {
        assert!(lacks("kube_endpointslice_ports", Version(11)).is_empty());
        assert_eq!(
            lacks("kube_endpointslice_ports", Version(10)),
            ["kube_endpointslice_ports has the label namespace since 2.11"]
        );
        assert_eq!(lacks("kube_endpointslice_ports", Version(7)), ["kube_endpointslice_ports exists since 2.8"]);
        assert_eq!(
            lacks("kube_endpoint_address_available", Version(14)),
            ["kube_endpoint_address_available exists until 2.13"]
        );
    }
}
