//! The Service's ports lead to ports of the pods. A name must be declared by some container. A number need not be,
//! because the declaration is only information; but a number that the declarations leave out is not taken for proven.

use k8s_openapi::{
    api::core::v1::{Container, Pod, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use portolan_objects::{Protocol, pod, service};

use super::Outcome;
use crate::{
    Evidence, Finding, LinkId, Words,
    nearest::nearest_word,
    view::{View, join_some, name, pod_object},
    words::words,
};

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if service::is_external_name(view.service) {
        return Outcome::Skipped(words!("an alias has no ports", "别名没有端口"));
    }
    let ports = service::ports(view.service);
    if ports.is_empty() {
        return Outcome::Skipped(words!("no ports: DNS only", "没有端口：仅用于 DNS"));
    }
    let live: Vec<&Pod> = view.live().collect();
    if view.selector.is_empty() {
        return Outcome::Skipped(words!(
            "no selector: the slices say which ports",
            "没有 selector：端口由 EndpointSlice 决定"
        ));
    }
    let Some(sample) = live.first() else {
        return Outcome::Skipped(words!("no pod to compare with", "没有可比较的 Pod"));
    };
    let mut unproven = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let target = service::target_port(port);
        let protocol = Protocol::of(port.protocol.as_deref());
        if let IntOrString::String(wanted) = &target {
            let resolved = live.iter().filter(|pod| pod::resolve_port(pod, &target, protocol).is_some()).count();
            if resolved == 0 {
                return Outcome::broken(unknown_name(view, index, port, wanted, sample));
            }
            if resolved < live.len() {
                let (some, all) = (live.len() - resolved, live.len());
                hints.push(words!(
                    "targetPort {wanted} is not declared by {some} of {all} pods; they get no traffic for it",
                    "{all} 个 Pod 中有 {some} 个未声明 targetPort {wanted}，它们收不到该端口的流量"
                ));
            }
        } else if let Some(hint) = undeclared(&target, protocol, &live) {
            hints.push(hint);
            unproven.push(describe(port, sample));
        }
    }
    if !unproven.is_empty() {
        let ports = join_some(&unproven, 4);
        return Outcome::Skipped(words!(
            "{ports}: no container declares that it listens there",
            "{ports}：没有容器声明监听该端口"
        ));
    }
    let list: Vec<String> = ports.iter().map(|port| describe(port, sample)).collect();
    let (ports, proof) = (join_some(&list, 4), vec![view.field("spec.ports", list.join(", "))]);
    Outcome::Ok(words!("{ports}", "{ports}"), proof)
}

/// `80 -> 8080/TCP`, `80 -> http (8080)/TCP`.
fn describe(port: &ServicePort, sample: &Pod) -> String {
    let protocol = Protocol::of(port.protocol.as_deref());
    let target = service::target_port(port);
    let resolved = pod::resolve_port(sample, &target, protocol);
    let target = match (target, resolved) {
        (IntOrString::Int(number), _) => number.to_string(),
        (IntOrString::String(name), Some(number)) => format!("{name} ({number})"),
        (IntOrString::String(name), None) => name,
    };
    format!("{} -> {target}/{protocol}", port.port)
}

fn declared(pod: &Pod) -> impl Iterator<Item = (&Container, &k8s_openapi::api::core::v1::ContainerPort)> {
    let spec = pod.spec.as_ref();
    let main = spec.map(|spec| &spec.containers).into_iter().flatten();
    let init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
    main.chain(init).flat_map(|container| container.ports.iter().flatten().map(move |port| (container, port)))
}

fn unknown_name(view: &View<'_>, index: usize, port: &ServicePort, wanted: &str, sample: &Pod) -> Finding {
    let protocol = Protocol::of(port.protocol.as_deref());
    let names: Vec<(&str, Protocol, i32)> = declared(sample)
        .filter_map(|(_, port)| {
            Some((port.name.as_deref()?, Protocol::of(port.protocol.as_deref()), port.container_port))
        })
        .collect();
    let list: Vec<String> = names.iter().map(|(name, of, number)| format!("{name} ({number}/{of})")).collect();
    let list = join_some(&list, 4);
    let number = port.port;
    let title = match list.is_empty() {
        true => words!(
            "port {number} leads to targetPort {wanted}, but no container declares a named port",
            "端口 {number} 指向 targetPort {wanted}，但没有容器声明命名端口"
        ),
        false => words!(
            "port {number} leads to targetPort {wanted}/{protocol}, but the containers declare {list}",
            "端口 {number} 指向 targetPort {wanted}/{protocol}，但容器声明的是 {list}"
        ),
    };
    let finding = Finding::new("target-port-not-declared", LinkId::Ports, title)
        .proven_by([
            view.field(&format!("spec.ports[{index}].targetPort"), wanted),
            Evidence::new(
                pod_object(sample),
                "spec.containers[*].ports",
                if list.is_empty() { "(none)" } else { &list },
            ),
        ])
        .leads_to(words!("the slices carry no such port", "EndpointSlice 中没有该端口"))
        .leads_to(words!("connections to port {number} are refused", "访问端口 {number} 的连接被拒绝"));
    let same_protocol = names.iter().filter(|(_, of, _)| *of == protocol);
    let near = nearest_word(wanted, same_protocol.clone().map(|(name, _, _)| *name));
    // With a single named port there is nothing else it could mean.
    let only = (same_protocol.clone().count() == 1).then(|| same_protocol.clone().next()).flatten();
    let service = view.name();
    match near.or(only.map(|(name, _, _)| *name)) {
        Some(right) => finding.remedy(
            words!("Lead it to port {right}.", "改为指向端口 {right}。"),
            [view.kubectl(&format!(
                "patch service {service} --type json -p '[{{\"op\":\"replace\",\"path\":\"/spec/ports/{index}/targetPort\",\"value\":\"{right}\"}}]'"
            ))],
        ),
        None => finding.remedy(
            words!(
                "Name the port {wanted} ({protocol}) in the container, or give targetPort a number.",
                "在容器中把端口命名为 {wanted}（{protocol}），或把 targetPort 写成数字。"
            ),
            [view.kubectl(&format!("edit service {service}"))],
        ),
    }
}

/// Every pod declares ports, and none of them is this one: a hint, not a fault.
fn undeclared(target: &IntOrString, protocol: Protocol, live: &[&Pod]) -> Option<Words> {
    let IntOrString::Int(number) = target else { return None };
    let fits = |pod: &&&Pod| {
        declared(pod)
            .any(|(_, port)| port.container_port == *number && Protocol::of(port.protocol.as_deref()) == protocol)
    };
    let silent = live.iter().any(|pod| declared(pod).next().is_none());
    if silent || live.iter().any(|pod| fits(&pod)) {
        return None;
    }
    let sample = live.first()?;
    let ports: Vec<String> = declared(sample)
        .map(|(_, port)| format!("{}/{}", port.container_port, Protocol::of(port.protocol.as_deref())))
        .collect();
    let (ports, pod) = (join_some(&ports, 4), name(*sample));
    Some(words!(
        "targetPort {number}/{protocol} is not among the ports that the containers declare ({ports}); if pod {pod} does not listen there, connections are refused",
        "targetPort {number}/{protocol} 不在容器声明的端口（{ports}）之中；如果 Pod {pod} 没有监听该端口，连接会被拒绝"
    ))
}
