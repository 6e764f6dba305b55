//! No NetworkPolicy keeps callers from the pods.
//!
//! Evaluated as the API describes it (`rules`): a pod that some policy selects admits only what some rule of those
//! policies admits, by the pods' own ports, not the Service's. Whether anybody enforces that is another question
//! (`enforcer`): without a sign of it a policy proves nothing and is a hint.

mod blocked;
mod enforcer;
mod rules;

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod, ServicePort};
use portolan_objects::{Protocol, pod, service};

use self::rules::{Direction, Policies, Port, Side};
use super::{Outcome, caller};
use crate::{
    Words,
    view::{From, View, join_some, name},
    words::words,
};

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if service::is_external_name(view.service) {
        return Outcome::Skipped(words!("an alias has no pods", "别名没有 Pod"));
    }
    if !view.snapshot.has_read("networkpolicies") {
        return Outcome::Skipped(words!("the policies could not be read", "无法读取 NetworkPolicy"));
    }
    let targets = targets(view);
    if targets.is_empty() {
        return Outcome::Skipped(words!("no ready pod that policies apply to", "没有适用 NetworkPolicy 的就绪 Pod"));
    }
    if let From::Pod(key) = &view.ask.from {
        let Some(caller) = caller::pod(view) else {
            return Outcome::Skipped(words!("pod {key} is not here", "没有 Pod {key}"));
        };
        if on_host(caller) {
            return Outcome::Skipped(words!(
                "the caller is in its node's network, to which policies hardly apply",
                "调用方使用节点网络，策略基本不适用"
            ));
        }
        return between(view, caller, &targets, hints);
    }
    inbound(view, &targets, hints)
}

/// Where connections end: a pod, unless somebody wrote another address.
struct Target<'a> {
    pod: Option<&'a Pod>,
    address: IpAddr,
}

/// Pods in their node's network are not what policies speak of.
fn on_host(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or(false)
}

fn targets<'a>(view: &View<'a>) -> Vec<Target<'a>> {
    if view.selector.is_empty() {
        let written = view.ready_endpoints().filter_map(|(_, address)| address.parse().ok());
        let found = written.map(|address| Target { pod: view.index.pods_at(address).first().copied(), address });
        return found.filter(|target| !target.pod.is_some_and(on_host)).collect();
    }
    let pods = view.ready().filter(|pod| !on_host(pod));
    pods.filter_map(|pod| Some(Target { pod: Some(pod), address: pod::ips(pod).first().copied()? })).collect()
}

/// The port of a target behind a port of the Service; without a pod only a number can be known.
fn port<'a>(target: &Target<'a>, port: &ServicePort) -> Option<Port<'a>> {
    let protocol = Protocol::of(port.protocol.as_deref());
    let wanted = service::target_port(port);
    let number = match target.pod {
        Some(pod) => pod::resolve_port(pod, &wanted, protocol),
        None => pod::resolve_port(&Pod::default(), &wanted, protocol),
    };
    Some(Port { number: number?, protocol, pod: target.pod })
}

/// From anybody, or from outside: only the target's policies count.
fn inbound(view: &View<'_>, targets: &[Target<'_>], hints: &mut Vec<Words>) -> Outcome {
    let policies = Policies::of(view.index, view.namespace());
    if policies.is_empty() {
        return Outcome::ok(words!("no policy in this namespace", "此命名空间没有 NetworkPolicy"));
    }
    let nodes = node_addresses(view);
    let from = match view.ask.from {
        // The source may be exchanged for a node's address on the way.
        From::Outside(Some(address)) => Side::Addresses(std::iter::once(address).chain(nodes).collect()),
        From::Outside(None) => Side::Outside,
        From::Anywhere | From::Pod(_) => Side::Anybody,
    };
    let refused = refused_ports(view, targets, |target, port| {
        target.pod.is_some_and(|pod| !policies.admit(Direction::Ingress, pod, &from, port))
    });
    let look = blocked::Look { from: &from, caller: None, targets, policies: &policies, own: None };
    conclude(view, &look, Direction::Ingress, &refused, hints)
}

/// Addresses of the nodes, but only for a Service whose traffic from outside may get one.
fn node_addresses(view: &View<'_>) -> Vec<IpAddr> {
    if !matches!(view.ask.from, From::Outside(Some(_))) || service::external_local(view.service) {
        return Vec::new();
    }
    let status = view.snapshot.nodes.iter().filter_map(|node| node.status.as_ref()?.addresses.as_ref());
    status.flatten().filter_map(|address| address.address.parse().ok()).collect()
}

/// From one pod: what leaves it, and what the targets take.
fn between(view: &View<'_>, caller: &Pod, targets: &[Target<'_>], hints: &mut Vec<Words>) -> Outcome {
    let namespace = caller.metadata.namespace.as_deref().unwrap_or_default();
    let theirs = Policies::of(view.index, view.namespace());
    let own = Policies::of(view.index, namespace);
    let from = Side::pod(view.index, caller);
    let look = blocked::Look { from: &from, caller: Some(caller), targets, policies: &theirs, own: Some(&own) };
    let leaves = |target: &Target<'_>, port: &Port<'_>| own.admit(Direction::Egress, caller, &side(view, target), port);
    let kept_in = refused_ports(view, targets, |target, port| !leaves(target, port));
    if !kept_in.is_empty() {
        return conclude(view, &look, Direction::Egress, &kept_in, hints);
    }
    let kept_out = refused_ports(view, targets, |target, port| {
        target.pod.is_some_and(|pod| !theirs.admit(Direction::Ingress, pod, &from, port))
    });
    if !kept_out.is_empty() {
        return conclude(view, &look, Direction::Ingress, &kept_out, hints);
    }
    if let Some(outcome) = blocked::names(view, caller, &own, hints) {
        return outcome;
    }
    if theirs.is_empty() && own.is_empty() {
        return Outcome::ok(words!("no policy on the way", "途中没有 NetworkPolicy"));
    }
    let caller = name(caller);
    Outcome::ok(words!("the policies let {caller} through", "NetworkPolicy 允许 {caller} 通过"))
}

/// The target as the other side of what leaves the caller.
fn side<'a>(view: &View<'a>, target: &Target<'a>) -> Side<'a> {
    match target.pod {
        Some(pod) => Side::pod(view.index, pod),
        None => Side::Addresses(vec![target.address]),
    }
}

/// Ports of the Service that no target lets through, with their places.
fn refused_ports<'a>(
    view: &View<'a>,
    targets: &[Target<'a>],
    refuses: impl Fn(&Target<'a>, &Port<'a>) -> bool,
) -> Vec<(&'a ServicePort, u16)> {
    let refused = |service_port: &'a ServicePort| {
        let mut ends = targets.iter().filter_map(|target| Some((target, port(target, service_port)?))).peekable();
        let (_, first) = ends.peek()?;
        let number = first.number;
        ends.all(|(target, port)| refuses(target, &port)).then_some((service_port, number))
    };
    service::ports(view.service).iter().filter_map(refused).collect()
}

/// All ports closed is a finding where policies are enforced; some closed is what policies are for.
fn conclude(
    view: &View<'_>,
    look: &blocked::Look<'_>,
    direction: Direction,
    refused: &[(&ServicePort, u16)],
    hints: &mut Vec<Words>,
) -> Outcome {
    if refused.is_empty() {
        return Outcome::ok(words!("the policies let callers in", "NetworkPolicy 允许访问"));
    }
    let all = service::ports(view.service).len();
    let finding = blocked::finding(view, look, direction, refused);
    if refused.len() < all {
        let list: Vec<String> = refused.iter().map(|(port, _)| port.port.to_string()).collect();
        let list = join_some(&list, 4);
        hints.push(words!("NetworkPolicies close port {list}", "NetworkPolicy 关闭了端口 {list}"));
        return Outcome::ok(words!("the policies let callers in to other ports", "NetworkPolicy 允许访问其他端口"));
    }
    enforcer::judge(view, look.caller, look.targets, refused, finding, hints)
}
