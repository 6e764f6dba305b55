//! k8sgpt's analyzer of Services: `pkg/analyzer/service.go`.
//!
//! It walks the Endpoints objects, so a Service without one is never looked at, and reads no EndpointSlice.

use k8s_openapi::api::core::v1::Event;
use portolan_diagnose::Snapshot;
use portolan_objects::ObjectKey;

use super::{NO_POD, Statement};

/// Marks a record of a leader election, which has no addresses by design.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

pub(super) fn look(snapshot: &Snapshot, key: &ObjectKey) -> Vec<Statement> {
    let Some(endpoints) = snapshot.endpoints.iter().find(|endpoints| ObjectKey::of(*endpoints) == *key) else {
        return Vec::new();
    };
    let mut said = Vec::new();
    let subsets = endpoints.subsets.as_deref().unwrap_or_default();
    if subsets.is_empty() {
        let leader = endpoints.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(LEADER));
        let Some(found) = snapshot.services.iter().find(|found| ObjectKey::of(*found) == *key) else { return said };
        if leader {
            return said;
        }
        // One statement for each label of the selector: "has no endpoints, expected label k=v".
        let labels = found.spec.iter().flat_map(|spec| spec.selector.iter().flatten());
        said.extend(
            labels.map(|(label, value)| Statement::new(format!("no endpoints; expects {label}={value}"), NO_POD)),
        );
    } else {
        // "has not ready endpoints, pods: ..., expected N": which pods, but not why.
        let waiting = subsets.iter().flat_map(|subset| subset.not_ready_addresses.iter().flatten());
        let pods: Vec<_> = waiting.filter_map(|address| address.target_ref.as_ref()?.name.clone()).collect();
        if !pods.is_empty() {
            said.push(Statement::new(format!("endpoints not ready: {}", pods.join(", ")), &["pods-not-ready"]));
        }
    }
    // Every warning whose object is the Service is quoted.
    said.extend(snapshot.events.iter().filter(|event| is_about(event, key)).map(quote));
    said
}

fn is_about(event: &Event, key: &ObjectKey) -> bool {
    let object = &event.involved_object;
    event.type_.as_deref() != Some("Normal")
        && object.kind.as_deref() == Some("Service")
        && event.metadata.namespace.as_deref() == Some(&key.namespace)
        && object.name.as_deref() == Some(&key.name)
}

/// What a quoted event tells is what its emitter knew. A provider's error is quoted with its code, which names the cause.
fn quote(event: &Event) -> Statement {
    let reason = event.reason.as_deref().unwrap_or_default();
    let message = event.message.as_deref().unwrap_or_default();
    Statement::new(format!("event {reason}: {message}"), causes(reason))
}

fn causes(reason: &str) -> &'static [&'static str] {
    match reason {
        "SyncLoadBalancerFailed" => &[
            "load-balancer-throttled",
            "load-balancer-forbidden",
            "load-balancer-quota",
            "load-balancer-invalid-parameter",
            "load-balancer-timeout",
            "load-balancer-provider-unreachable",
            "load-balancer-pool-exhausted",
            "load-balancer-address-conflict",
            "load-balancer-sync-failed",
            "load-balancer-delete-failed",
        ],
        "IPNotAllocated" => &["load-balancer-pool-exhausted", "load-balancer-address-conflict"],
        "UpdateLoadBalancerFailed" => &["load-balancer-update-failed"],
        "DeleteLoadBalancerFailed" => &["load-balancer-delete-failed"],
        "UnAvailableLoadBalancer" => &["load-balancer-without-nodes"],
        "FailedToCreateEndpointSlice" | "FailedToUpdateEndpointSlice" | "FailedToDeleteEndpointSlice" => {
            &["slices-write-refused"]
        }
        "FailedToCreateEndpoint" | "FailedToUpdateEndpoint" => &["endpoints-disagree"],
        "ClusterIPAlreadyAllocated" => &["cluster-ip-duplicate"],
        "ClusterIPOutOfRange" => &["cluster-ip-out-of-range"],
        "ClusterIPNotAllocated" => &["cluster-ip-not-recorded"],
        "PortAlreadyAllocated" => &["node-port-duplicate"],
        "PortOutOfRange" => &["node-port-out-of-range"],
        _ => &[],
    }
}
