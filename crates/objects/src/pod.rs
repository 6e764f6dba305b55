//! What a Pod says about itself as an endpoint. Upstream: `k8s.io/endpointslice/util`, `pkg/api/v1/pod`.

use std::net::IpAddr;

use k8s_openapi::{
    api::core::v1::{Container, Pod, PodCondition},
    apimachinery::pkg::{apis::meta::v1::Time, util::intstr::IntOrString},
};

use crate::{Family, Protocol, ports};

/// The condition Ready is True.
pub fn is_ready(pod: &Pod) -> bool {
    ready_condition(pod).is_some_and(|condition| condition.status == "True")
}

/// When the condition Ready last changed.
pub fn ready_changed(pod: &Pod) -> Option<&Time> {
    ready_condition(pod)?.last_transition_time.as_ref()
}

fn ready_condition(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready")
}

/// Its processes have ended and never come back: phase Succeeded or Failed.
pub fn is_terminal(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Has been told to stop, but is not gone.
pub fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// The node it is placed on.
pub fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// Its addresses, the primary one first. What does not parse is left out.
pub fn ips(pod: &Pod) -> Vec<IpAddr> {
    let Some(status) = &pod.status else { return Vec::new() };
    let listed = status.pod_ips.iter().flatten().map(|entry| &entry.ip);
    let mut addresses = Vec::new();
    for text in status.pod_ip.iter().chain(listed) {
        if let Ok(address) = text.parse()
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    addresses
}

/// Its first address of a family.
pub fn ip(pod: &Pod, family: Family) -> Option<IpAddr> {
    ips(pod).into_iter().find(|address| Family::of(*address) == family)
}

/// The number that a Service's `targetPort` means on this pod. A name is looked up in the containers and in the init
/// containers that keep running (sidecars), by name and protocol; `None` if no container declares it.
pub fn resolve_port(pod: &Pod, target: &IntOrString, protocol: Protocol) -> Option<u16> {
    let name = match target {
        IntOrString::Int(port) => return ports::number(*port),
        IntOrString::String(name) => name,
    };
    let spec = pod.spec.as_ref()?;
    let sidecars = spec.init_containers.iter().flatten().filter(|container| is_sidecar(container));
    spec.containers
        .iter()
        .chain(sidecars)
        .flat_map(|container| container.ports.iter().flatten())
        .find(|port| port.name.as_deref() == Some(name) && Protocol::of(port.protocol.as_deref()) == protocol)
        .and_then(|port| ports::number(port.container_port))
}

/// An init container that keeps running beside the others.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The host name under which DNS answers for this pod in the Service `service`: its `hostname`, if its `subdomain`
/// is that Service.
pub fn endpoint_hostname<'a>(pod: &'a Pod, service: &str) -> Option<&'a str> {
    let spec = pod.spec.as_ref()?;
    let hostname = spec.hostname.as_deref().filter(|hostname| !hostname.is_empty())?;
    (spec.subdomain.as_deref() == Some(service)).then_some(hostname)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use k8s_openapi::serde_json::{self, json};

    use super::*;

    fn pod(body: serde_json::Value) -> Pod {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn readiness_is_the_condition_and_nothing_else() {
        let status =
            |status| pod(json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]}}));
        assert!(is_ready(&status("True")));
        assert!(!is_ready(&status("False")));
        assert!(!is_ready(&status("Unknown")));
        assert!(!is_ready(&Pod::default()));
    }

    #[test]
    fn phases_end_a_pod_and_a_deletion_time_stops_it() {
        for (phase, terminal) in [("Pending", false), ("Running", false), ("Succeeded", true), ("Failed", true)] {
            assert_eq!(is_terminal(&pod(json!({"status": {"phase": phase}}))), terminal, "{phase}");
        }
        assert!(is_terminating(&pod(json!({"metadata": {"deletionTimestamp": "2026-01-02T03:04:05Z"}}))));
    }

    #[test]
    fn addresses_come_once_and_per_family() {
        let dual = pod(json!({"status": {
            "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {"ip": "bad"}],
        }}));
        assert_eq!(ips(&dual).len(), 2);
        assert_eq!(ip(&dual, Family::V6), Some("fd00::1".parse().unwrap()));
        assert_eq!(ip(&pod(json!({"status": {"podIP": "10.0.0.1"}})), Family::V6), None);
    }

    #[test]
    fn named_ports_are_found_in_containers_and_sidecars_by_protocol() {
        let pod = pod(json!({"spec": {
            "containers": [{"name": "a", "ports": [
                {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                {"name": "dns", "containerPort": 5353},
            ]}],
            "initContainers": [
                {"name": "once", "ports": [{"name": "setup", "containerPort": 1}]},
                {"name": "mesh", "restartPolicy": "Always", "ports": [{"name": "mesh", "containerPort": 15000}]},
            ],
        }}));
        let named = |name: &str, protocol| resolve_port(&pod, &IntOrString::String(name.into()), protocol);
        assert_eq!(named("dns", Protocol::Udp), Some(53));
        assert_eq!(named("dns", Protocol::Tcp), Some(5353));
        assert_eq!(named("dns", Protocol::Sctp), None);
        assert_eq!(named("mesh", Protocol::Tcp), Some(15000));
        assert_eq!(named("setup", Protocol::Tcp), None);
        assert_eq!(resolve_port(&pod, &IntOrString::Int(8080), Protocol::Tcp), Some(8080));
        assert_eq!(resolve_port(&pod, &IntOrString::Int(0), Protocol::Tcp), None);
    }

    #[test]
    fn the_host_name_counts_only_under_its_own_service() {
        let pod = pod(json!({"spec": {"hostname": "db-0", "subdomain": "db", "containers": []}}));
        assert_eq!(endpoint_hostname(&pod, "db"), Some("db-0"));
        assert_eq!(endpoint_hostname(&pod, "web"), None);
    }
}
