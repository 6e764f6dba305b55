//! What a Service needs next. Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use portolan_cloud::{BalancerId, Node, Status};
use portolan_objects::service;

use super::{spec, why};
use crate::workloads::uid;

/// Keeps a Service in the API until its balancer is gone.
pub(super) const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

/// What was last given to the provider for one Service.
#[derive(Debug, Clone)]
pub(super) struct Synced {
    /// The Service as it was then.
    pub service: Arc<Service>,
    /// The nodes as they were then.
    pub nodes: Arc<Vec<Node>>,
    /// What the provider answered; `None` if it has not, if the balancer is gone since, or if another controller makes it.
    pub status: Option<Status>,
    /// The provider has not confirmed it: only a full ensure will do.
    pub in_doubt: bool,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan {
    /// Make or change the balancer, publish its address.
    Ensure { service: Arc<Service>, nodes: Arc<Vec<Node>> },
    /// Only the nodes are others.
    UpdateNodes { service: Arc<Service>, nodes: Arc<Vec<Node>> },
    /// The Service wants no balancer any more, or is being deleted: remove it, then the finalizer.
    Cleanup { service: Arc<Service> },
    /// The Service left the API without waiting for us; only the balancer is left.
    Abandoned { service: Arc<Service> },
    /// A balancer that the provider has and nobody owns.
    Orphan { id: BalancerId },
    /// It has its address but still says why it waits.
    Clear { service: Arc<Service> },
    /// See whether the balancer is still there.
    Check { service: Arc<Service> },
    /// See what the provider has.
    Sweep,
}

/// `renew` says that the nodes have changed in a way that balancers hear of at once.
pub(super) fn plan(
    current: Option<&Arc<Service>>,
    synced: Option<&Synced>,
    nodes: &Arc<Vec<Node>>,
    renew: bool,
) -> Option<Plan> {
    let abandoned = |synced: &Synced| Plan::Abandoned { service: synced.service.clone() };
    let Some(current) = current else { return synced.map(abandoned) };
    if let Some(synced) = synced.filter(|synced| uid(&*synced.service) != uid(&**current)) {
        return Some(abandoned(synced));
    }
    let wants = service::wants_external(current);
    let leaving = current.metadata.deletion_timestamp.is_some();
    if needs_cleanup(current) || ((!wants || leaving) && synced.is_some()) {
        return Some(Plan::Cleanup { service: current.clone() });
    }
    // One that is being deleted takes no finalizer any more, and must not get a balancer that nobody would delete.
    if !wants || leaving {
        return None;
    }
    let (service, nodes) = (current.clone(), nodes.clone());
    match synced {
        Some(synced) if !synced.in_doubt && !needs_update(&synced.service, current) => {
            (renew && synced.nodes != nodes).then_some(Plan::UpdateNodes { service, nodes })
        }
        _ => Some(Plan::Ensure { service, nodes }),
    }
}

/// Whether a change of a Service, or its appearance, is worth a look. Other changes (labels, selector, status) must not
/// cut a back-off short.
pub(super) fn is_news(old: Option<&Service>, new: Option<&Service>) -> bool {
    match (old, new) {
        (_, None) => true,
        (None, Some(new)) => service::wants_external(new) || needs_cleanup(new),
        (Some(old), Some(new)) => needs_update(old, new) || needs_cleanup(new) || is_outdated(new),
    }
}

/// It says why it waits, but does not wait: the last words of a controller that was killed, written after its successor
/// had done the work.
pub(super) fn is_outdated(service: &Service) -> bool {
    service::wants_external(service) && spec::is_published(service) && why::current(service).is_some()
}

pub(super) fn has_finalizer(service: &Service) -> bool {
    service.metadata.finalizers.as_ref().is_some_and(|all| all.iter().any(|finalizer| finalizer == FINALIZER))
}

/// A balancer of this Service may exist, or will.
pub(super) fn owns(service: &Service) -> bool {
    service::wants_external(service) || has_finalizer(service)
}

/// Ours to clean up: it has the finalizer, and is being deleted or is of another type.
fn needs_cleanup(service: &Service) -> bool {
    let leaving = service.metadata.deletion_timestamp.is_some() || !service::is_load_balancer(service);
    has_finalizer(service) && leaving
}

/// Upstream's list of what matters to a balancer (`controller.go`, `needsUpdate`), exactly. Lists are compared in
/// their order, and one that is absent is as one that is empty, as in Go.
pub(super) fn needs_update(old: &Service, new: &Service) -> bool {
    let (wanted, wants) = (service::wants_external(old), service::wants_external(new));
    if !wanted && !wants {
        return false;
    }
    let empty = ServiceSpec::default();
    let (before, after) = (old.spec.as_ref().unwrap_or(&empty), new.spec.as_ref().unwrap_or(&empty));
    wanted != wants
        || list(&before.load_balancer_source_ranges) != list(&after.load_balancer_source_ranges)
        || list(&before.ports) != list(&after.ports)
        || before.session_affinity != after.session_affinity
        || before.session_affinity_config != after.session_affinity_config
        || text(&before.load_balancer_ip) != text(&after.load_balancer_ip)
        || list(&before.external_ips) != list(&after.external_ips)
        || !old.metadata.annotations.iter().flatten().eq(new.metadata.annotations.iter().flatten())
        || uid(old) != uid(new)
        || text(&before.external_traffic_policy) != text(&after.external_traffic_policy)
        || before.health_check_node_port.unwrap_or(0) != after.health_check_node_port.unwrap_or(0)
        || list(&before.ip_families).len() != list(&after.ip_families).len()
}

fn list<T>(field: &Option<Vec<T>>) -> &[T] {
    field.as_deref().unwrap_or_default()
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}
