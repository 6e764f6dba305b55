//! The Service's ports lead to ports of the pods. A name must be declared by some container. A number need not be,
//! because the declaration is only information; but a number that the declarations leave out is not taken for proven.
//! Without a selector the slices say which ports there are, and a proxy matches them by name (`written`).

mod named;
mod written;

use k8s_openapi::{
    api::core::v1::{Container, ContainerPort, Pod, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use portolan_objects::{Protocol, pod, service};

use super::Outcome;
use crate::{
    Words,
    view::{View, join_some, name},
    words::words,
};

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if service::is_external_name(view.service) {
        return Outcome::Skipped(words!("an alias has no ports", "别名没有端口"));
    }
    if service::ports(view.service).is_empty() {
        return Outcome::Skipped(words!("no ports: DNS only", "没有端口：仅用于 DNS"));
    }
    if view.selector.is_empty() {
        return written::check(view);
    }
    // Pods on their way out have the ports of the past.
    let (leaving, mut live): (Vec<&Pod>, Vec<&Pod>) = view.live().partition(|pod| pod::is_terminating(pod));
    if live.is_empty() {
        live = leaving;
    }
    let Some(sample) = live.first() else {
        return Outcome::Skipped(words!("no pod to compare with", "没有可比较的 Pod"));
    };
    by_pods(view, &live, sample, hints)
}

fn by_pods(view: &View<'_>, live: &[&Pod], sample: &Pod, hints: &mut Vec<Words>) -> Outcome {
    let ports = service::ports(view.service);
    let (mut unproven, mut findings) = (Vec::new(), Vec::new());
    for (index, port) in ports.iter().enumerate() {
        let target = service::target_port(port);
        let protocol = Protocol::of(port.protocol.as_deref());
        match &target {
            IntOrString::String(wanted) => {
                let wanted = named::Wanted { index, port, name: wanted, protocol };
                findings.extend(named::finding(view, &wanted, live, hints));
            }
            IntOrString::Int(number) => {
                if let Some(hint) = undeclared(*number, protocol, live) {
                    hints.push(hint);
                    unproven.push(describe(port, sample));
                }
            }
        }
    }
    if !findings.is_empty() {
        return Outcome::Broken(findings);
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

/// The ports that the pod's containers declare, those of init containers last.
fn declared(pod: &Pod) -> impl Iterator<Item = (&Container, &ContainerPort)> {
    let spec = pod.spec.as_ref();
    let main = spec.map(|spec| &spec.containers).into_iter().flatten();
    let init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
    main.chain(init).flat_map(|container| container.ports.iter().flatten().map(move |port| (container, port)))
}

/// Every pod declares ports, and none of them is this one: a hint, not a fault.
fn undeclared(number: i32, protocol: Protocol, live: &[&Pod]) -> Option<Words> {
    let of = |port: &ContainerPort| Protocol::of(port.protocol.as_deref());
    let fits = |pod: &&Pod| declared(pod).any(|(_, port)| port.container_port == number && of(port) == protocol);
    let silent = live.iter().any(|pod| declared(pod).next().is_none());
    if silent || live.iter().any(fits) {
        return None;
    }
    let sample = live.first()?;
    let ports: Vec<String> =
        declared(sample).map(|(_, port)| format!("{}/{}", port.container_port, of(port))).collect();
    let (ports, pod) = (join_some(&ports, 4), name(*sample));
    Some(words!(
        "targetPort {number}/{protocol} is not among the ports that the containers declare ({ports}); if pod {pod} does not listen there, connections are refused",
        "targetPort {number}/{protocol} 不在容器声明的端口（{ports}）之中；如果 Pod {pod} 没有监听该端口，连接会被拒绝"
    ))
}
