//! NetworkPolicies beside Services. Policies add up, so another file may open what these leave shut; but a rule that names
//! the Service's port where the pods' port is meant opens nothing, and that is proven.

use k8s_openapi::{
    api::{
        core::v1::ServicePort,
        networking::v1::{NetworkPolicy, NetworkPolicyPort},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use portolan_objects::{Protocol, pod, selector::Selector, service};

use super::{
    Sink,
    objects::Object,
    world::{Maker, Served, World},
};
use crate::words::words;

pub(super) fn check(world: &World<'_>, sink: &mut Sink) {
    let policies: Vec<(&Object, NetworkPolicy, Selector)> = world
        .objects
        .iter()
        .filter(|object| (object.group(), object.kind.as_str()) == ("networking.k8s.io", "NetworkPolicy"))
        .filter_map(|object| {
            let policy: NetworkPolicy = serde_json::from_value(object.value.clone()).ok()?;
            let pods = policy.spec.as_ref()?.pod_selector.clone().unwrap_or_default();
            let selector = Selector::from_label_selector(&pods).ok()?;
            Some((object, policy, selector))
        })
        .collect();
    if policies.is_empty() {
        return;
    }
    for served in &world.services {
        let makers = world.behind(served);
        let here = policies.iter().filter(|(object, ..)| object.key.namespace == served.object.key.namespace);
        for (object, policy, selector) in here {
            let selected = makers.iter().find(|maker| maker.labels().is_some_and(|labels| selector.matches(labels)));
            if let Some(maker) = selected {
                ports(object, policy, served, maker, sink);
            }
        }
    }
}

/// Rules of one policy that name a port of the Service.
fn ports(object: &Object, policy: &NetworkPolicy, served: &Served<'_>, maker: &Maker<'_>, sink: &mut Sink) {
    let rules = policy.spec.iter().flat_map(|spec| spec.ingress.iter().flatten()).enumerate();
    let named: Vec<(usize, usize, &NetworkPolicyPort)> = rules
        .flat_map(|(rule, ingress)| {
            ingress.ports.iter().flatten().enumerate().map(move |(place, port)| (rule, place, port))
        })
        .collect();
    let declares = |number: u16, protocol: Protocol| {
        let containers = maker.spec().into_iter().flat_map(|spec| &spec.containers);
        let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
        ports.any(|port| i32::from(number) == port.container_port && Protocol::of(port.protocol.as_deref()) == protocol)
    };
    for port in service::ports(&served.service) {
        let protocol = Protocol::of(port.protocol.as_deref());
        let Some((from, to)) = translated(port, maker, protocol) else { continue };
        let opens = |number: u16, rule: &NetworkPolicyPort| {
            Protocol::of(rule.protocol.as_deref()) == protocol && covers(rule, number, maker, protocol)
        };
        let right = named.iter().any(|(_, _, rule)| opens(to, rule));
        let wrong = named.iter().find(|(_, _, rule)| rule.end_port.is_none() && opens(from, rule));
        let Some((rule, place, _)) = wrong.filter(|_| !right && !declares(from, protocol)) else { continue };
        let (service, pods) = (served.object, maker.object);
        let message = words!(
            "port {from} is the port of {service}, and policies see the pods' port: the pods of {pods} listen on {to}",
            "端口 {from} 是 {service} 的端口，而策略看到的是 Pod 的端口：{pods} 的 Pod 监听 {to}"
        );
        let remedy = words!("Write {to}.", "改为 {to}。");
        let field = format!("spec.ingress[{rule}].ports[{place}].port");
        sink.about("network-policy-names-service-port", object, &field, message, Some(remedy));
    }
}

/// The Service's port and the pods' port, where they differ.
fn translated(port: &ServicePort, maker: &Maker<'_>, protocol: Protocol) -> Option<(u16, u16)> {
    let from = u16::try_from(port.port).ok()?;
    let to = pod::resolve_port(&maker.pod, &service::target_port(port), protocol)?;
    (from != to).then_some((from, to))
}

/// Whether a rule's port is this one.
fn covers(rule: &NetworkPolicyPort, number: u16, maker: &Maker<'_>, protocol: Protocol) -> bool {
    match &rule.port {
        None => true,
        Some(IntOrString::Int(low)) => {
            let high = rule.end_port.unwrap_or(*low);
            (*low..=high).contains(&i32::from(number))
        }
        Some(name) => pod::resolve_port(&maker.pod, name, protocol) == Some(number),
    }
}
