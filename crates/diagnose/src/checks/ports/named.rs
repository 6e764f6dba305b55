//! A target port that is a name: each pod resolves it by its own containers, by name and protocol. Different numbers in
//! different pods are what names are for. Upstream: `FindPort` of `k8s.io/endpointslice/util`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, ServicePort};
use portolan_objects::{Protocol, pod, service};

use super::declared;
use crate::{
    Evidence, Finding, LinkId, Words,
    checks::maker,
    nearest::nearest_word,
    view::{View, join_some, name, pod_object},
    words::words,
};

/// A port of the Service that leads to a name.
pub(super) struct Wanted<'a> {
    /// Its place in `spec.ports`.
    pub(super) index: usize,
    pub(super) port: &'a ServicePort,
    /// The name.
    pub(super) name: &'a str,
    pub(super) protocol: Protocol,
}

impl Wanted<'_> {
    fn resolves(&self, pod: &Pod) -> bool {
        pod::resolve_port(pod, &service::target_port(self.port), self.protocol).is_some()
    }

    fn field(&self) -> String {
        format!("spec.ports[{}].targetPort", self.index)
    }
}

pub(super) fn finding(view: &View<'_>, wanted: &Wanted<'_>, live: &[&Pod], hints: &mut Vec<Words>) -> Option<Finding> {
    let sample = live.first()?;
    let lacking: Vec<&Pod> = live.iter().copied().filter(|pod| !wanted.resolves(pod)).collect();
    if lacking.is_empty() {
        return None;
    }
    if lacking.len() < live.len() {
        return partly(view, wanted, live, &lacking, hints);
    }
    let finding = match other_protocol(wanted, live) {
        Some((pod, theirs)) => mismatch(view, wanted, pod, theirs),
        None => unknown(view, wanted, sample),
    };
    if service::is_headless(view.service) {
        // Clients get the pods' addresses from DNS and bring the port themselves; only SRV records need the name.
        hints.push(finding.title);
        return None;
    }
    Some(finding)
}

/// The name is there, but for another protocol.
fn other_protocol<'a>(wanted: &Wanted<'_>, live: &[&'a Pod]) -> Option<(&'a Pod, Protocol)> {
    live.iter().find_map(|pod| {
        let same =
            |(_, port): &(_, &k8s_openapi::api::core::v1::ContainerPort)| port.name.as_deref() == Some(wanted.name);
        let (_, port) = declared(pod).find(same)?;
        Some((*pod, Protocol::of(port.protocol.as_deref())))
    })
}

fn mismatch(view: &View<'_>, wanted: &Wanted<'_>, pod: &Pod, theirs: Protocol) -> Finding {
    let (number, name, ours) = (wanted.port.port, wanted.name, wanted.protocol);
    let (index, service) = (wanted.index, view.name());
    let title = words!(
        "port {number} leads to {name} by {ours}, but the containers declare {name} for {theirs} only",
        "端口 {number} 以 {ours} 指向 {name}，但容器只为 {theirs} 声明了 {name}"
    );
    Finding::new("target-port-protocol-mismatch", LinkId::Ports, title)
        .proven_by([
            view.field(&wanted.field(), name),
            view.field(&format!("spec.ports[{index}].protocol"), ours.to_string()),
            Evidence::new(pod_object(pod), format!("spec.containers[*].ports[{name}].protocol"), theirs.to_string()),
        ])
        .leads_to(words!("a name counts together with its protocol", "端口名与协议一起匹配"))
        .leads_to(words!("the slices carry no such port", "EndpointSlice 中没有该端口"))
        .leads_to(words!("connections to port {number} fail", "访问端口 {number} 的连接会失败"))
        .remedy(
            words!("If the program speaks {theirs}, correct the Service.", "如果程序使用 {theirs}，请修正 Service。"),
            [view.kubectl(&format!(
                "patch service {service} --type json -p '[{{\"op\":\"replace\",\"path\":\"/spec/ports/{index}/protocol\",\"value\":\"{theirs}\"}}]'"
            ))],
        )
        .remedy(
            words!(
                "If it speaks {ours}, declare the port for {ours} in the pod template.",
                "如果程序使用 {ours}，请在 Pod 模板中为 {ours} 声明该端口。"
            ),
            [view.kubectl(&format!("get {} -o jsonpath='{{.spec.containers[*].ports}}'", pod_object(pod)))],
        )
}

fn unknown(view: &View<'_>, wanted: &Wanted<'_>, sample: &Pod) -> Finding {
    let (protocol, name, index, number) = (wanted.protocol, wanted.name, wanted.index, wanted.port.port);
    let names: Vec<(&str, Protocol, i32)> = declared(sample)
        .filter_map(|(_, port)| {
            Some((port.name.as_deref()?, Protocol::of(port.protocol.as_deref()), port.container_port))
        })
        .collect();
    let list: Vec<String> = names.iter().map(|(name, of, number)| format!("{name} ({number}/{of})")).collect();
    let list = join_some(&list, 4);
    let title = match list.is_empty() {
        true => words!(
            "port {number} leads to targetPort {name}, but no container declares a named port",
            "端口 {number} 指向 targetPort {name}，但没有容器声明命名端口"
        ),
        false => words!(
            "port {number} leads to targetPort {name}/{protocol}, but the containers declare {list}",
            "端口 {number} 指向 targetPort {name}/{protocol}，但容器声明的是 {list}"
        ),
    };
    let declared = if list.is_empty() { "(none)" } else { &list };
    let finding = Finding::new("target-port-not-declared", LinkId::Ports, title)
        .proven_by([
            view.field(&wanted.field(), name),
            Evidence::new(pod_object(sample), "spec.containers[*].ports", declared),
        ])
        .leads_to(words!("the slices carry no such port", "EndpointSlice 中没有该端口"))
        .leads_to(words!("connections to port {number} are refused", "访问端口 {number} 的连接被拒绝"));
    let same_protocol = names.iter().filter(|(_, of, _)| *of == protocol);
    let near = nearest_word(name, same_protocol.clone().map(|(name, _, _)| *name));
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
                "Name the port {name} ({protocol}) in the container, or give targetPort a number.",
                "在容器中把端口命名为 {name}（{protocol}），或把 targetPort 写成数字。"
            ),
            [view.kubectl(&format!("edit service {service}"))],
        ),
    }
}

/// Some pods have the name and some do not. In the middle of a rollout that passes; a whole workload without it, or no
/// ready pod with it, stays.
fn partly(
    view: &View<'_>,
    wanted: &Wanted<'_>,
    live: &[&Pod],
    lacking: &[&Pod],
    hints: &mut Vec<Words>,
) -> Option<Finding> {
    let (name_of, some, all) = (wanted.name, lacking.len(), live.len());
    let mut ready = view.ready().peekable();
    let none_ready = ready.peek().is_some() && !ready.any(|pod| wanted.resolves(pod));
    let left_out = left_out(wanted, live, lacking);
    if !none_ready && left_out.is_none() {
        hints.push(words!(
            "targetPort {name_of} is not declared by {some} of {all} pods; they get no traffic for it",
            "{all} 个 Pod 中有 {some} 个未声明 targetPort {name_of}，它们收不到该端口的流量"
        ));
        return None;
    }
    let title = match (none_ready, &left_out) {
        (false, Some(maker)) => words!(
            "targetPort {name_of} is not declared by the pods of {maker} ({some} of {all}), which get no traffic for it",
            "{maker} 的 Pod（{all} 个中的 {some} 个）未声明 targetPort {name_of}，收不到该端口的流量"
        ),
        _ => words!(
            "targetPort {name_of} is declared only by pods that are not ready; {some} of {all} lack it",
            "只有未就绪的 Pod 声明了 targetPort {name_of}；{all} 个中有 {some} 个未声明"
        ),
    };
    let (number, index, service) = (wanted.port.port, wanted.index, view.name());
    let ports = |pod: &Pod| {
        let list: Vec<String> = declared(pod).filter_map(|(_, port)| port.name.clone()).collect();
        if list.is_empty() { "(no names)".to_owned() } else { join_some(&list, 4) }
    };
    let having = live.iter().find(|pod| wanted.resolves(pod));
    let consequence = match none_ready {
        true => words!("connections to port {number} are refused", "访问端口 {number} 的连接被拒绝"),
        false => words!("the other pods carry all of port {number}", "端口 {number} 的全部流量由其余 Pod 承担"),
    };
    let finding = Finding::new("target-port-partly-declared", LinkId::Ports, title)
        .proven_by([view.field(&wanted.field(), name_of)])
        .proven_by(
            lacking
                .iter()
                .take(2)
                .chain(having)
                .map(|pod| Evidence::new(pod_object(pod), "spec.containers[*].ports[*].name", ports(pod))),
        )
        .leads_to(words!(
            "in the slices those pods are there without this port",
            "这些 Pod 在 EndpointSlice 中没有该端口"
        ))
        .leads_to(consequence)
        .remedy(
            words!(
                "Declare the name {name_of} in the pod template that lacks it; its number may differ.",
                "在缺少它的 Pod 模板中声明端口名 {name_of}；端口号可以不同。"
            ),
            [view.kubectl(&format!("get {} -o jsonpath='{{.spec.containers[*].ports}}'", pod_object(lacking[0])))],
        )
        .remedy(
            words!(
                "Or give targetPort a number, if all pods listen on the same one.",
                "如果所有 Pod 监听同一端口，也可以把 targetPort 写成数字。"
            ),
            [view.kubectl(&format!("get service {service} -o jsonpath='{{.spec.ports[{index}]}}'"))],
        );
    Some(finding)
}

/// A workload none of whose pods has the name, beside others that have it.
fn left_out(wanted: &Wanted<'_>, live: &[&Pod], lacking: &[&Pod]) -> Option<String> {
    let mut makers: BTreeMap<String, bool> = BTreeMap::new();
    for pod in live {
        let maker = maker::of(pod).unwrap_or_else(|| format!("pod/{}", name(*pod)));
        *makers.entry(maker).or_default() |= wanted.resolves(pod);
    }
    let of_lacking = lacking.iter().filter_map(|pod| maker::of(pod));
    of_lacking.into_iter().find(|maker| makers.get(maker) == Some(&false))
}
