//! The Service has the addresses and ports that its type promises, has them alone, and they are recorded as its own.
//!
//! Upstream: `pkg/registry/core/service` (allocation) and its repair loops, which say in events what they find. Where an
//! object says the same (ServiceCIDR, IPAddress, another Service), the object decides.

mod cluster_ip;
mod family;
mod headless;
mod node_port;

use k8s_openapi::api::core::v1::{Event, Service};
use portolan_objects::{ObjectKey, service};

use super::Outcome;
use crate::{
    Scope, Words,
    history::{count, last_seen, message, seconds_between},
    view::{View, join_some},
    words::words,
};

/// The repair loops come by every 3 minutes, and their recorder writes a series again after 30 at the latest: what has not
/// been said for so many seconds has been repaired.
const SAID_RECENTLY: i64 = 2400;

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if service::is_external_name(view.service) {
        return Outcome::Skipped(words!("an alias has no address of its own", "别名没有自己的地址"));
    }
    if let Some(finding) = headless::refused(view) {
        return Outcome::broken(finding);
    }
    if view.service.spec.as_ref().is_none_or(|spec| spec.cluster_ip.as_deref().unwrap_or_default().is_empty()) {
        return match view.snapshot.is_live() {
            true => Outcome::broken(cluster_ip::none(view)),
            false => Outcome::Skipped(words!("allocated when it is applied", "应用时才会分配")),
        };
    }
    let mut findings = Vec::new();
    findings.extend(cluster_ip::check(view, hints));
    findings.extend(node_port::check(view, hints));
    findings.extend(family::missing(view, hints));
    findings.extend(headless::port_ignored(view, hints));
    if !findings.is_empty() {
        return Outcome::Broken(findings);
    }
    let inside: Vec<String> = service::cluster_ips(view.service).iter().map(ToString::to_string).collect();
    let inside = inside.join(", ");
    let proof = vec![view.field("spec.clusterIP", if inside.is_empty() { "None" } else { &inside })];
    let summary = match inside.is_empty() {
        true => words!("headless: DNS answers with the pods' addresses", "headless：DNS 直接返回 Pod 地址"),
        false => words!("cluster IP {inside}", "集群 IP {inside}"),
    };
    Outcome::Ok(summary, proof)
}

/// The other Services that hold what this one holds, and how to call them; `None` if nobody else does. The repair loop's event
/// alone counts where the others may be out of sight.
fn rivals(view: &View<'_>, owners: &[&Service], event: Option<&Event>) -> Option<(Vec<ObjectKey>, Words)> {
    let others: Vec<ObjectKey> =
        owners.iter().map(|owner| ObjectKey::of(*owner)).filter(|other| *other != view.key).collect();
    let names: Vec<String> = others.iter().map(ToString::to_string).collect();
    let called = match (names.is_empty(), event.is_some() && view.snapshot.scope != Scope::Cluster) {
        (false, _) => Words { en: join_some(&names, 3), zh: join_some(&names, 3) },
        (true, true) => words!("another Service", "另一个 Service"),
        (true, false) => return None,
    };
    Some((others, called))
}

/// The newest event of a repair loop with this reason that names `what`, if it was said a short time ago.
fn repair_event<'a>(view: &View<'a>, reason: &str, what: &str) -> Option<&'a Event> {
    let names = |event: &&&Event| {
        event.reason.as_deref() == Some(reason)
            && message(event).split(|c: char| !(c.is_ascii_alphanumeric() || ".:".contains(c))).any(|word| {
                word == what || word.trim_start_matches(':') == what || word.trim_end_matches([':', '.']) == what
            })
    };
    let newest = view.history.all().iter().rev().find(names).copied()?;
    (seconds_between(last_seen(newest)?, view.now) <= SAID_RECENTLY).then_some(newest)
}

/// A repair that is done again and again does not hold.
fn repeats(event: &Event) -> bool {
    count(event) > 1
}
