//! What a Service asks for, with the API's meaning of what is left out.
//! Upstream: `k8s.io/cloud-provider/service/helpers`, `pkg/apis/core/v1/helper`.

use std::net::IpAddr;

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::{Family, ObjectKey, Protocol, ServicePortKey, ports, selector::Selector};

fn spec(service: &Service) -> Option<&ServiceSpec> {
    service.spec.as_ref()
}

fn type_of(service: &Service) -> &str {
    spec(service).and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP")
}

/// `type: LoadBalancer`.
pub fn is_load_balancer(service: &Service) -> bool {
    type_of(service) == "LoadBalancer"
}

/// `type: LoadBalancer` without a class: the default balancer controller is responsible, nobody else.
pub fn wants_external(service: &Service) -> bool {
    is_load_balancer(service) && spec(service).is_some_and(|spec| spec.load_balancer_class.is_none())
}

/// `type: ExternalName`: a DNS alias, with neither address nor endpoints.
pub fn is_external_name(service: &Service) -> bool {
    type_of(service) == "ExternalName"
}

/// `type: NodePort` or `LoadBalancer`: reachable on node ports, if they were allocated.
pub fn has_node_ports(service: &Service) -> bool {
    matches!(type_of(service), "NodePort" | "LoadBalancer")
}

/// Without a virtual address: `clusterIP: None`, or none at all.
pub fn is_headless(service: &Service) -> bool {
    match spec(service).and_then(|spec| spec.cluster_ip.as_deref()) {
        None | Some("" | "None") => true,
        Some(_) => false,
    }
}

/// Its virtual addresses, the primary one first; none if headless.
pub fn cluster_ips(service: &Service) -> Vec<IpAddr> {
    let Some(spec) = spec(service) else { return Vec::new() };
    let mut addresses = Vec::new();
    for text in spec.cluster_ip.iter().chain(spec.cluster_ips.iter().flatten()) {
        if let Ok(address) = text.parse()
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    addresses
}

/// `spec.externalIPs` that parse.
pub fn external_ips(service: &Service) -> Vec<IpAddr> {
    let listed = spec(service).and_then(|spec| spec.external_ips.as_ref());
    listed.into_iter().flatten().filter_map(|text| text.parse().ok()).collect()
}

/// The load balancer's addresses that proxies answer for: those whose mode is `VIP` or absent.
pub fn load_balancer_ips(service: &Service) -> Vec<IpAddr> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|balancer| balancer.ingress.as_ref());
    ingress
        .into_iter()
        .flatten()
        .filter(|entry| entry.ip_mode.as_deref().unwrap_or("VIP") == "VIP")
        .filter_map(|entry| entry.ip.as_ref()?.parse().ok())
        .collect()
}

/// The families that its endpoints are published in. Services from before dual stack have none listed: then the
/// cluster address decides, and a headless one is published in both.
pub fn families(service: &Service) -> Vec<Family> {
    let listed = spec(service).and_then(|spec| spec.ip_families.as_ref());
    let listed: Vec<Family> = listed.into_iter().flatten().filter_map(|text| text.parse().ok()).collect();
    if !listed.is_empty() {
        return listed;
    }
    match cluster_ips(service).first() {
        Some(address) => vec![Family::of(*address)],
        None => vec![Family::V4, Family::V6],
    }
}

/// `externalTrafficPolicy: Local`: traffic from outside goes only to endpoints on the node it arrives at.
pub fn external_local(service: &Service) -> bool {
    has_node_ports(service) && spec(service).and_then(|spec| spec.external_traffic_policy.as_deref()) == Some("Local")
}

/// `internalTrafficPolicy: Local`: traffic to the cluster address stays on the client's node.
pub fn internal_local(service: &Service) -> bool {
    spec(service).and_then(|spec| spec.internal_traffic_policy.as_deref()) == Some("Local")
}

/// The port on which every node answers a balancer's health checks, if the Service has one.
pub fn health_check_node_port(service: &Service) -> Option<u16> {
    if !(is_load_balancer(service) && external_local(service)) {
        return None;
    }
    spec(service)?.health_check_node_port.and_then(ports::number)
}

/// How long a client stays with its endpoint in seconds, under `sessionAffinity: ClientIP`.
pub fn client_ip_affinity(service: &Service) -> Option<u32> {
    /// `v1.DefaultClientIPServiceAffinitySeconds`.
    const DEFAULT: u32 = 10_800;
    let spec = spec(service)?;
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = config.and_then(|client| client.timeout_seconds);
    Some(seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(DEFAULT))
}

/// Its endpoints count as ready whatever their pods say.
pub fn publishes_not_ready(service: &Service) -> bool {
    spec(service).and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false)
}

/// Which pods are its endpoints. `None` when nobody should choose them: no selector, or an alias. An empty selector
/// is treated as none, because the API stores it that way.
pub fn selector(service: &Service) -> Option<Selector> {
    if is_external_name(service) {
        return None;
    }
    let labels = spec(service)?.selector.as_ref().filter(|labels| !labels.is_empty())?;
    Some(Selector::from_map(labels))
}

/// Its ports, in the order of the manifest.
pub fn ports(service: &Service) -> &[ServicePort] {
    spec(service).and_then(|spec| spec.ports.as_deref()).unwrap_or_default()
}

/// The key of one of its ports.
pub fn port_key(service: &Service, port: &ServicePort) -> ServicePortKey {
    ServicePortKey {
        service: ObjectKey::of(service),
        port: port.name.clone().unwrap_or_default(),
        protocol: Protocol::of(port.protocol.as_deref()),
    }
}

/// Where a port leads on the pod: `targetPort`, or the same number as `port` if it is absent, zero or empty.
pub fn target_port(port: &ServicePort) -> IntOrString {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => IntOrString::Int(port.port),
        Some(IntOrString::String(name)) if name.is_empty() => IntOrString::Int(port.port),
        Some(target) => target.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use k8s_openapi::serde_json::{self, json};

    use super::*;

    fn service(spec: serde_json::Value) -> Service {
        serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": "web"}, "spec": spec})).unwrap()
    }

    #[test]
    fn types_and_classes() {
        let plain = service(json!({"type": "LoadBalancer"}));
        assert!(is_load_balancer(&plain) && wants_external(&plain) && has_node_ports(&plain));
        let classed = service(json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/x"}));
        assert!(is_load_balancer(&classed) && !wants_external(&classed));
        assert!(!has_node_ports(&service(json!({}))));
        assert!(is_external_name(&service(json!({"type": "ExternalName"}))));
    }

    #[test]
    fn headless_is_none_or_no_address() {
        assert!(is_headless(&service(json!({"clusterIP": "None"}))));
        assert!(is_headless(&service(json!({}))));
        assert!(!is_headless(&service(json!({"clusterIP": "10.96.0.1"}))));
        assert!(cluster_ips(&service(json!({"clusterIP": "None", "clusterIPs": ["None"]}))).is_empty());
        let dual = service(json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"]}));
        assert_eq!(cluster_ips(&dual).len(), 2);
    }

    #[test]
    fn families_fall_back_to_the_address_and_then_to_both() {
        assert_eq!(families(&service(json!({"ipFamilies": ["IPv6"]}))), [Family::V6]);
        assert_eq!(families(&service(json!({"clusterIP": "10.96.0.1"}))), [Family::V4]);
        assert_eq!(families(&service(json!({"clusterIP": "None"}))), [Family::V4, Family::V6]);
    }

    #[test]
    fn policies_count_only_where_they_apply() {
        assert!(external_local(&service(json!({"type": "NodePort", "externalTrafficPolicy": "Local"}))));
        assert!(!external_local(&service(json!({"externalTrafficPolicy": "Local"}))));
        assert!(internal_local(&service(json!({"internalTrafficPolicy": "Local"}))));
        let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000});
        assert_eq!(health_check_node_port(&service(local)), Some(31000));
        let cluster = json!({"type": "LoadBalancer", "healthCheckNodePort": 31000});
        assert_eq!(health_check_node_port(&service(cluster)), None);
    }

    #[test]
    fn balancer_addresses_in_proxy_mode_are_left_to_the_balancer() {
        let mut balanced = service(json!({"type": "LoadBalancer"}));
        balanced.status = serde_json::from_value(json!({"loadBalancer": {"ingress": [
            {"ip": "203.0.113.1"}, {"ip": "203.0.113.2", "ipMode": "VIP"}, {"ip": "203.0.113.3", "ipMode": "Proxy"},
            {"hostname": "lb.example.com"},
        ]}}))
        .unwrap();
        let expected: Vec<IpAddr> = ["203.0.113.1", "203.0.113.2"].map(|ip| ip.parse().unwrap()).to_vec();
        assert_eq!(load_balancer_ips(&balanced), expected);
    }

    #[test]
    fn affinity_has_three_hours_by_default() {
        assert_eq!(client_ip_affinity(&service(json!({"sessionAffinity": "None"}))), None);
        assert_eq!(client_ip_affinity(&service(json!({"sessionAffinity": "ClientIP"}))), Some(10_800));
        let short =
            json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}});
        assert_eq!(client_ip_affinity(&service(short)), Some(5));
    }

    #[test]
    fn nobody_selects_for_aliases_and_services_without_selector() {
        assert!(selector(&service(json!({"selector": {"app": "web"}}))).is_some());
        assert!(selector(&service(json!({"selector": {}}))).is_none());
        assert!(selector(&service(json!({"type": "ExternalName", "selector": {"app": "web"}}))).is_none());
    }

    #[test]
    fn the_target_defaults_to_the_port() {
        let port = |target| ServicePort { port: 80, target_port: target, ..Default::default() };
        assert_eq!(target_port(&port(None)), IntOrString::Int(80));
        assert_eq!(target_port(&port(Some(IntOrString::Int(0)))), IntOrString::Int(80));
        assert_eq!(target_port(&port(Some(IntOrString::String("http".into())))), IntOrString::String("http".into()));
        assert_eq!(port_key(&service(json!({})), &port(None)).to_string(), "shop/web/TCP");
    }
}
