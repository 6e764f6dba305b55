//! A port of the node that somebody else has.
//!
//! Upstream: the scheduler's `NodePorts` filter (the pod stays Pending), the same rule in the kubelet (the pod is
//! rejected: Failed, reason `NodePorts`). Portolan's node agent names the holder in HostPortConflict.

use k8s_openapi::api::core::v1::{ContainerPort, Event, Pod};
use portolan_objects::{Protocol, pod};

use super::super::trouble::Trouble;
use crate::{
    Evidence,
    history::{evidence, message},
    view::{View, condition, join_some, name, pod_object},
    words::words,
};

/// What scheduler and kubelet say.
const NO_FREE_PORTS: &str = "didn't have free ports";

/// A port of the node that a pod asks for.
struct Wanted {
    address: Option<String>,
    port: u16,
    protocol: Protocol,
}

impl Wanted {
    fn text(&self) -> String {
        format!("{}/{}", self.port, self.protocol)
    }

    /// Two pods cannot have these on one node: no address means every address.
    fn conflicts(&self, other: &Wanted) -> bool {
        let address = self.address.is_none() || other.address.is_none() || self.address == other.address;
        self.port == other.port && self.protocol == other.protocol && address
    }
}

fn wanted(port: &ContainerPort) -> Option<Wanted> {
    let number = port.host_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)?;
    let address = port.host_ip.clone().filter(|address| !matches!(address.as_str(), "" | "0.0.0.0" | "::"));
    Some(Wanted { address, port: number, protocol: Protocol::of(port.protocol.as_deref()) })
}

fn wants(pod: &Pod) -> Vec<Wanted> {
    let containers = pod.spec.as_ref().map(|spec| &spec.containers);
    let ports = containers.into_iter().flatten().flat_map(|container| container.ports.iter().flatten());
    ports.filter_map(wanted).collect()
}

/// The pod waits for a port, or was rejected for one.
pub(super) fn of(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let history = view.pod_history(pod);
    if let Some(event) = history.newest(&["HostPortConflict"]) {
        let text = message(event).to_owned();
        let what = words!("{text}", "{text}");
        return Some(conflict(view, pod, what, vec![evidence(event, view.now)], Some(event)));
    }
    let rejected = pod.status.as_ref().filter(|status| status.reason.as_deref() == Some("NodePorts"));
    if let Some(status) = rejected {
        let text = status.message.clone().unwrap_or_default();
        let node = pod::node(pod).unwrap_or("?");
        let proof = Evidence::new(pod_object(pod), "status.reason", format!("NodePorts: {text}"));
        let what = words!("node {node} rejected it: {text}", "节点 {node} 拒绝了它：{text}");
        let event = history.newest(&["NodePorts"]);
        let proof = std::iter::once(proof).chain(event.map(|event| evidence(event, view.now))).collect();
        return Some(conflict(view, pod, what, proof, event));
    }
    if pod::node(pod).is_some() {
        return None;
    }
    let scheduled = condition(pod, "PodScheduled").filter(|condition| condition.status == "False");
    let event = history.newest(&["FailedScheduling"]);
    let text = scheduled.and_then(|condition| condition.message.as_deref()).or_else(|| event.map(message))?;
    if !text.contains(NO_FREE_PORTS) {
        return None;
    }
    let what = words!("no node has its host ports free: {text}", "没有节点的主机端口空闲：{text}");
    let proof =
        scheduled.map(|_| Evidence::new(pod_object(pod), "status.conditions[PodScheduled]", format!("False: {text}")));
    let proof = proof.into_iter().chain(event.map(|event| evidence(event, view.now))).collect();
    Some(conflict(view, pod, what, proof, event))
}

fn conflict(
    view: &View<'_>,
    pod: &Pod,
    what: crate::Words,
    mut proof: Vec<Evidence>,
    event: Option<&Event>,
) -> Trouble {
    let wants = wants(pod);
    let ports: Vec<String> = wants.iter().map(Wanted::text).collect();
    let object = pod_object(pod);
    if !ports.is_empty() {
        proof.push(Evidence::new(&object, "spec.containers[*].ports[*].hostPort", join_some(&ports, 4)));
    }
    let holders = holders(view, pod, &wants);
    proof.extend(holders.iter().take(3).map(|(holder, port)| {
        let node = pod::node(holder).unwrap_or("?");
        let namespace = holder.metadata.namespace.as_deref().unwrap_or_default();
        let value = format!("{port} on {node} (namespace {namespace})");
        Evidence::new(pod_object(holder), "spec.containers[*].ports[*].hostPort", value)
    }));
    let trouble = Trouble::new("host-port-conflict", what, proof)
        .because(words!(
            "one port of a node can belong to one pod only",
            "节点的一个端口只能属于一个 Pod"
        ))
        .remedy(
            words!(
                "Do without hostPort: the Service reaches the pods without it. Else choose a free port, or run at most one such \
                 pod on each node.",
                "不使用 hostPort：Service 不需要它也能到达 Pod。否则换一个空闲端口，或每个节点最多运行一个这样的 Pod。"
            ),
            vec![view.kubectl(&format!("get {object} -o jsonpath='{{.spec.containers[*].ports}}'"))],
        )
        .reason(event.and_then(|event| event.reason.clone()).unwrap_or_else(|| "FailedScheduling".to_owned()));
    match holders.first() {
        Some((holder, _)) => {
            let (namespace, name) = (holder.metadata.namespace.as_deref().unwrap_or_default(), name(*holder));
            trouble.remedy(
                words!(
                    "Or move the pod that has it. Risk: whoever uses that pod through this port is cut off.",
                    "或迁走占用它的 Pod。风险：通过该端口使用它的客户端会中断。"
                ),
                vec![format!("kubectl -n {namespace} delete pod {name}")],
            )
        }
        None => trouble,
    }
}

/// Pods that have one of the ports: on the pod's own node, or anywhere if it has none.
fn holders<'a>(view: &View<'a>, pod: &Pod, wants: &[Wanted]) -> Vec<(&'a Pod, String)> {
    let mut holders: Vec<(&Pod, String)> = Vec::new();
    for want in wants {
        let users = view.index.host_port_users(want.port, want.protocol).iter().copied();
        let others = users.filter(|other| other.metadata.uid != pod.metadata.uid || name(*other) != name(pod));
        let placed = others.filter(|other| match pod::node(pod) {
            Some(node) => pod::node(other) == Some(node),
            None => pod::node(other).is_some(),
        });
        let real = placed.filter(|other| self::wants(other).iter().any(|theirs| theirs.conflicts(want)));
        holders.extend(real.map(|other| (other, want.text())));
    }
    holders.sort_by_key(|(holder, _)| name(*holder));
    holders
}
