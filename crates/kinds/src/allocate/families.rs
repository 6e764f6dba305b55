//! IP families: what a Service wants (`ipFamilyPolicy`, `ipFamilies`, `clusterIPs`) against what the cluster has.
//!
//! Runs after preparation and before validation, as it needs to know the cluster. Upstream: `initIPFamilyFields` in
//! `pkg/registry/core/service/storage/alloc.go`.

use ipnet::IpNet;
use portolan_alloc::{Family, ServiceRange};
use serde_json::{Value, json};

use crate::error::FieldError;
use crate::json::{at, list, object, put, same, text};
use crate::prepare::service::{has_cluster_ip, is_headless};
use crate::validate::{report::Report, service as rules};

/// Why ranges cannot be those of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrsError {
    /// None, or more than two.
    #[error("a cluster has one or two service CIDRs, not {0}")]
    Count(usize),
    /// Two of one family.
    #[error("two service CIDRs must be one IPv4 and one IPv6, not {0} and {1}")]
    SameFamily(IpNet, IpNet),
    /// An IPv6 range that is too large.
    #[error("the service CIDR {0} is too large: the shortest IPv6 prefix is /64")]
    TooLarge(IpNet),
}

/// The IP families of a cluster: the first is what a Service gets that asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    first: Family,
    dual: bool,
}

impl Families {
    /// The families of the service CIDRs that a cluster is set up with, one or two.
    pub fn of(cidrs: &[IpNet]) -> Result<Families, CidrsError> {
        if let Some(large) = cidrs.iter().find(|cidr| ServiceRange::new(**cidr).is_none()) {
            return Err(CidrsError::TooLarge(*large));
        }
        match cidrs {
            [one] => Ok(Families { first: Family::of_net(*one), dual: false }),
            [one, two] if Family::of_net(*one) == Family::of_net(*two) => Err(CidrsError::SameFamily(*one, *two)),
            [one, _] => Ok(Families { first: Family::of_net(*one), dual: true }),
            _ => Err(CidrsError::Count(cidrs.len())),
        }
    }

    fn has(self, family: &str) -> bool {
        family == self.first.as_str() || (self.dual && family == self.first.other().as_str())
    }

    /// Fills in the policy and the families of a new or changed Service, or says why they cannot be had. A policy of
    /// SingleStack takes the second address and family from a Service that had them.
    pub fn fill(self, new: &mut Value, old: Option<&Value>) -> Result<(), Vec<FieldError>> {
        if !has_cluster_ip(&new["spec"]) || old.is_some_and(|old| is_untouched_preference(new, old)) {
            return Ok(());
        }
        let before = old.map(|old| &old["spec"]);
        let spec = object(new, "spec");
        default_policy(spec, before);
        finish(|report| rules::address_fields(report, spec, before))?;
        finish(|report| {
            if let Some(before) = before {
                release(report, spec, before);
            }
            single_has_one(report, spec);
            self.infer(report, spec);
        })?;
        if is_for_others(spec) {
            self.fill_for_others(spec);
            return Ok(());
        }
        finish(|report| self.check(report, spec))?;
        let mut families = strings(spec, "ipFamilies");
        if families.is_empty() {
            families.push(self.first.as_str().to_string());
        }
        if text(spec, "ipFamilyPolicy") != "SingleStack" && self.dual {
            add_other(&mut families);
        }
        spec["ipFamilies"] = json!(families);
        Ok(())
    }

    /// Addresses say which families are meant.
    fn infer(self, report: &mut Report, spec: &mut Value) {
        let addresses = strings(spec, "clusterIPs");
        let mut families = strings(spec, "ipFamilies");
        for (index, address) in addresses.iter().enumerate().skip(families.len()) {
            if address == "None" {
                break;
            }
            let family = family_of(address);
            if self.has(family) {
                families.push(family.to_string());
            } else {
                let why = format!("{family} is not configured on this cluster");
                report.invalid(format!("spec.clusterIPs[{index}]"), addresses.clone(), &why);
            }
        }
        if !families.is_empty() {
            spec["ipFamilies"] = json!(families);
        }
    }

    /// What is asked for has to be there.
    fn check(self, report: &mut Report, spec: &Value) {
        let policy = text(spec, "ipFamilyPolicy");
        if policy == "RequireDualStack" && !self.dual {
            report.invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services");
        }
        for (index, family) in strings(spec, "ipFamilies").iter().enumerate() {
            if !self.has(family) {
                report.invalid(format!("spec.ipFamilies[{index}]"), family.as_str(), "not configured on this cluster");
            }
        }
    }

    /// Others fill such a Service with endpoints of any family, on any cluster.
    fn fill_for_others(self, spec: &mut Value) {
        let mut families = strings(spec, "ipFamilies");
        if families.is_empty() {
            families.push(self.first.as_str().to_string());
        }
        if text(spec, "ipFamilyPolicy") != "SingleStack" {
            add_other(&mut families);
        }
        spec["ipFamilies"] = json!(families);
    }
}

/// An update that keeps PreferDualStack and touches nothing of the addresses changes nothing of them, even if the
/// cluster has become dual-stack meanwhile.
pub(super) fn is_untouched_preference(new: &Value, old: &Value) -> bool {
    let prefers = |service: &Value| text(service, "spec.ipFamilyPolicy") == "PreferDualStack";
    let policy_before = text(old, "spec.ipFamilyPolicy");
    has_cluster_ip(&new["spec"])
        && text(new, "spec.type") == text(old, "spec.type")
        && prefers(new)
        && (prefers(old) || policy_before.is_empty())
        && ["spec.clusterIPs", "spec.ipFamilies"].into_iter().all(|path| same(at(new, path), at(old, path)))
}

/// The strings of a list.
pub(super) fn strings(spec: &Value, key: &str) -> Vec<String> {
    list(spec, key).iter().filter_map(|item| item.as_str().map(str::to_string)).collect()
}

/// Headless and without selector.
fn is_for_others(spec: &Value) -> bool {
    is_headless(spec) && same(spec.get("selector"), None)
}

fn family_of(address: &str) -> &'static str {
    if address.contains(':') { Family::V6.as_str() } else { Family::V4.as_str() }
}

fn add_other(families: &mut Vec<String>) {
    if let [only] = families.as_slice() {
        let other = if only == Family::V4.as_str() { Family::V6 } else { Family::V4 };
        families.push(other.as_str().to_string());
    }
}

fn default_policy(spec: &mut Value, before: Option<&Value>) {
    if !text(spec, "ipFamilyPolicy").is_empty() {
        return;
    }
    let policy = match before.map(|before| text(before, "ipFamilyPolicy")).filter(|policy| !policy.is_empty()) {
        Some(kept) => kept,
        None if is_for_others(spec) => "RequireDualStack",
        None => "SingleStack",
    };
    spec["ipFamilyPolicy"] = policy.into();
}

/// Going back to one family: SingleStack is a clear wish, everything else must not lose addresses by accident.
fn release(report: &mut Report, spec: &mut Value, before: &Value) {
    let policy = text(spec, "ipFamilyPolicy").to_string();
    for (key, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let (now, had) = (strings(spec, key), strings(before, key));
        if policy != "SingleStack" {
            if !now.is_empty() && now.len() < had.len() {
                let why = format!("must be 'SingleStack' to release the secondary {what}");
                report.invalid("spec.ipFamilyPolicy", policy.as_str(), &why);
            }
        } else if now == had && now.len() > 1 {
            put(spec, key, Some(json!([now[0]])));
        }
    }
}

fn single_has_one(report: &mut Report, spec: &Value) {
    let policy = text(spec, "ipFamilyPolicy");
    if policy != "SingleStack" {
        return;
    }
    for (key, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        if list(spec, key).len() == 2 {
            let why = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            report.invalid("spec.ipFamilyPolicy", policy, &why);
        }
    }
}

/// The errors that a step finds end everything: later steps would only make worse of them.
fn finish(step: impl FnOnce(&mut Report)) -> Result<(), Vec<FieldError>> {
    let mut report = Report::default();
    step(&mut report);
    let errors = report.into_errors();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}
