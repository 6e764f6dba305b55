//! The load balancer has an address, nodes to send to, and is up to date.
//!
//! Upstream: cloud-provider `controllers/service`. Its finalizer on the Service, its events and, from Portolan's
//! controller, the condition `Why` say how far it came; other controllers have words of their own (`others`).

mod backends;
mod cause;
pub(super) mod deletion;
mod nodes;
mod others;
mod pending;
mod update;

pub(crate) use backends::questions as health_questions;

use portolan_objects::service;

use super::Outcome;
use crate::{Words, view::View, words::words};

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if !service::is_load_balancer(view.service) {
        return deletion::leftover(view);
    }
    if !view.snapshot.is_live() {
        return Outcome::Skipped(words!("nothing has been applied yet", "尚未应用到集群"));
    }
    if view.service.metadata.deletion_timestamp.is_some() {
        return Outcome::Skipped(words!("the Service is being deleted", "Service 正在删除"));
    }
    let addresses = external_addresses(view);
    if addresses.is_empty() {
        return pending::check(view, hints);
    }
    let broken = nodes::none_eligible(view)
        .or_else(|| update::failed(view, hints))
        .or_else(|| nodes::endpoints_excluded(view))
        .or_else(|| backends::unhealthy(view));
    if let Some(finding) = broken {
        return Outcome::broken(finding);
    }
    nodes::exclusion_hint(view, hints);
    let addresses = addresses.join(", ");
    let proof = vec![view.field("status.loadBalancer.ingress", addresses.clone())];
    let summary = match nodes::in_charge(view).then(|| nodes::eligible(view).count()) {
        Some(count) => {
            words!("external {addresses}, eligible nodes: {count}", "外部地址 {addresses}，{count} 个可用节点")
        }
        None => words!("external {addresses}", "外部地址 {addresses}"),
    };
    Outcome::Ok(summary, proof)
}

/// Addresses and host names of the balancer, as kubectl shows them under EXTERNAL-IP.
fn external_addresses(view: &View<'_>) -> Vec<String> {
    let status = view.service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|status| status.ingress.as_ref()).into_iter().flatten();
    ingress.filter_map(|entry| entry.ip.clone().or_else(|| entry.hostname.clone())).collect()
}
