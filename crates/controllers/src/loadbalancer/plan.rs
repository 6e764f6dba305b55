//! What a Service needs next. Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use portolan_cloud::Node;
use portolan_objects::service;

use crate::workloads::uid;

/// Keeps a Service in the API until its balancer is gone.
pub(super) const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

/// What was last given to the provider for one Service.
#[derive(Debug, Clone)]
pub(super) struct Synced {
    /// The Service as it was then.
    pub service: Arc<Service>,
    /// The nodes as they were then.
    pub nodes: Vec<Node>,
    /// The provider has not confirmed it: only a full ensure will do.
    pub in_doubt: bool,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan {
    /// Make or change the balancer, publish its address.
    Ensure { service: Arc<Service>, nodes: Vec<Node> },
    /// Only the nodes are others.
    UpdateNodes { service: Arc<Service>, nodes: Vec<Node> },
    /// The Service wants no balancer any more, or is being deleted: remove it, then the finalizer.
    Cleanup { service: Arc<Service> },
    /// The Service left the API without waiting for us; only the balancer is left.
    Abandoned { service: Arc<Service> },
}

pub(super) fn plan(current: Option<&Arc<Service>>, synced: Option<&Synced>, nodes: &[Node]) -> Option<Plan> {
    let abandoned = |synced: &Synced| Plan::Abandoned { service: synced.service.clone() };
    let Some(current) = current else { return synced.map(abandoned) };
    if let Some(synced) = synced.filter(|synced| uid(&*synced.service) != uid(&**current)) {
        return Some(abandoned(synced));
    }
    let wants = service::wants_external(current);
    if needs_cleanup(current) || (!wants && synced.is_some()) {
        return Some(Plan::Cleanup { service: current.clone() });
    }
    if !wants || current.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let (service, nodes) = (current.clone(), nodes.to_vec());
    match synced {
        Some(synced) if !synced.in_doubt && !needs_update(&synced.service, current) => {
            (synced.nodes != nodes).then_some(Plan::UpdateNodes { service, nodes })
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
        (Some(old), Some(new)) => needs_update(old, new) || needs_cleanup(new),
    }
}

pub(super) fn has_finalizer(service: &Service) -> bool {
    service.metadata.finalizers.as_ref().is_some_and(|all| all.iter().any(|finalizer| finalizer == FINALIZER))
}

/// Ours to clean up: it has the finalizer, and is being deleted or is of another type.
fn needs_cleanup(service: &Service) -> bool {
    let leaving = service.metadata.deletion_timestamp.is_some() || !service::is_load_balancer(service);
    has_finalizer(service) && leaving
}

/// Upstream's list of what matters to a balancer (`controller.go`, `needsUpdate`).
fn needs_update(old: &Service, new: &Service) -> bool {
    let (wanted, wants) = (service::wants_external(old), service::wants_external(new));
    if !wanted && !wants {
        return false;
    }
    let (Some(before), Some(after)) = (&old.spec, &new.spec) else { return old.spec.is_some() != new.spec.is_some() };
    wanted != wants
        || before.load_balancer_source_ranges != after.load_balancer_source_ranges
        || before.ports != after.ports
        || before.session_affinity != after.session_affinity
        || before.session_affinity_config != after.session_affinity_config
        || before.load_balancer_ip != after.load_balancer_ip
        || before.external_ips != after.external_ips
        || old.metadata.annotations != new.metadata.annotations
        || uid(old) != uid(new)
        || before.external_traffic_policy != after.external_traffic_policy
        || before.health_check_node_port != after.health_check_node_port
        || before.ip_families.as_ref().map(Vec::len) != after.ip_families.as_ref().map(Vec::len)
}
