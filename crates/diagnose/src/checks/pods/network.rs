//! A pod's own network: no address is left, or the plugin failed.

use k8s_openapi::api::core::v1::{Event, Node, Pod};
use portolan_objects::pod;

use super::super::trouble::Trouble;
use crate::{
    Evidence,
    checks::name::node as resolv_conf,
    history::{History, evidence, message},
    view::{View, containers, pod_object},
    words::words,
};

/// How network plugins say that no address is left, in lower case.
const EXHAUSTED: &[&str] = &[
    "no ip addresses available", // host-local
    "no address is free in",     // Portolan
    "no addresses left",
    "no address is left",
    "no more ips available", // Cilium
    "no available ip",
    "no available addresses",         // Azure
    "range is full",                  // Cilium, multi-pool
    "failed to assign an ip address", // AWS
    "insufficientcidrblocks",
    "failed to request 1 ipv4", // Calico
    "failed to request ipv4 addresses",
    "noavailableaddress", // Kube-OVN
    "failed to allocate ip",
];

/// Whether the text tells of a range that is used up.
fn exhausted(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    EXHAUSTED.iter().any(|part| text.contains(part))
}

/// Nothing of it has started because it has no network.
pub(super) fn of(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    if containers(pod).any(|status| status.state.as_ref().is_some_and(|state| state.running.is_some())) {
        return None;
    }
    if let Some(event) = resolv_conf::sandbox_event(view, pod) {
        return Some(no_resolv_conf(view, pod, event));
    }
    let history = view.pod_history(pod);
    let event = history.newest(&["FailedCreatePodSandBox", "IPNotAllocated", "NetworkNotReady"])?;
    let text = message(event).to_owned();
    let object = pod_object(pod);
    let mut proof = vec![evidence(event, view.now)];
    let node = pod::node(pod).and_then(|node| view.index.node(node));
    let rangeless = node.and_then(|node| without_range(view, node));
    let full = exhausted(&text) || event.reason.as_deref() == Some("IPNotAllocated");
    if !full && rangeless.is_none() {
        let what = words!("its network could not be set up: {text}", "网络配置失败：{text}");
        let trouble = Trouble::new("pod-network-failed", what, proof)
            .remedy(
                words!("Look at the network plugin on the pod's node.", "检查 Pod 所在节点的网络插件。"),
                vec![view.kubectl(&format!("describe {object}")), plugins(pod)],
            )
            .reason(event.reason.clone().unwrap_or_default());
        return Some(trouble);
    }
    let node_name = pod::node(pod).unwrap_or("?");
    let range = node.and_then(|node| node.spec.as_ref()?.pod_cidr.clone());
    let what = match (&rangeless, range) {
        (Some(_), _) => {
            words!("node {node_name} has no range of pod addresses", "节点 {node_name} 没有分到 Pod 地址段")
        }
        (None, Some(range)) => {
            proof.push(Evidence::new(format!("node/{node_name}"), "spec.podCIDR", range));
            words!("node {node_name} has no pod address left: {text}", "节点 {node_name} 的 Pod 地址已用尽：{text}")
        }
        (None, None) => words!("no pod address is left: {text}", "Pod 地址已用尽：{text}"),
    };
    proof.extend(rangeless.into_iter().flatten());
    let trouble = Trouble::new("pod-address-exhausted", what, proof)
        .subject(format!("node/{node_name}"))
        .remedy(
            words!(
                "Free addresses: delete pods that have ended or are not needed, or move pods to another node.",
                "释放地址：删除已结束或不需要的 Pod，或把 Pod 迁到其他节点。"
            ),
            vec![
                format!("kubectl get pods -A --field-selector spec.nodeName={node_name}"),
                format!("kubectl get node {node_name} -o jsonpath='{{.spec.podCIDRs}}'"),
            ],
        )
        .remedy(
            words!(
                "Or give the nodes larger ranges. Risk: a node's range cannot be changed; the node has to be made anew.",
                "或为节点分配更大的地址段。风险：节点的地址段不能修改，只能重建节点。"
            ),
            vec![format!("kubectl drain {node_name} --ignore-daemonsets")],
        )
        .reason(event.reason.clone().unwrap_or_default());
    Some(trouble)
}

/// The kubelet cannot make the pod's resolver settings from the node's file.
fn no_resolv_conf(view: &View<'_>, pod: &Pod, event: &Event) -> Trouble {
    let node = pod::node(pod).unwrap_or("?");
    let what = words!("the resolv.conf of its node {node} cannot be read", "所在节点 {node} 的 resolv.conf 无法读取");
    let proof = std::iter::once(evidence(event, view.now)).chain(resolv_conf::file_evidence(view, node));
    Trouble::new("node-resolv-conf-broken", what, proof.collect())
        .because(words!("no new pod starts on that node", "该节点无法启动新的 Pod"))
        .subject(format!("node/{node}"))
        .remedy(resolv_conf::repair(), resolv_conf::repair_commands(node))
        .reason("FailedCreatePodSandBox")
}

fn plugins(pod: &Pod) -> String {
    format!(
        "kubectl -n kube-system get pods -o wide --field-selector spec.nodeName={}",
        pod::node(pod).unwrap_or("NODE")
    )
}

/// The node got no range although ranges are handed out here: what shows it.
fn without_range(view: &View<'_>, node: &Node) -> Option<Vec<Evidence>> {
    let has_range = |node: &Node| node.spec.as_ref().is_some_and(|spec| spec.pod_cidr.is_some());
    if has_range(node) {
        return None;
    }
    let name = crate::view::name(node);
    let told = History::of(view.index, "Node", "", name, None).newest(&["CIDRNotAvailable", "CIDRAssignmentFailed"]);
    // Plugins with their own allocation leave the field empty on every node.
    if told.is_none() && !view.snapshot.nodes.iter().any(has_range) {
        return None;
    }
    let mut proof = vec![Evidence::new(format!("node/{name}"), "spec.podCIDR", "(none)")];
    proof.extend(told.map(|event| evidence(event, view.now)));
    Some(proof)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_say_in_their_own_words_that_nothing_is_left() {
        let full = [
            "failed to allocate for range 0: no IP addresses available in range set: 10.244.1.1-10.244.1.254",
            "no address is free in the node's pod range 10.244.1.0/24; delete pods or use a larger range",
            "Unable to create endpoint: [POST /ipam][502] postIpamFailure No more IPs available",
            "plugin type=\"aws-cni\" failed (add): add cmd: failed to assign an IP address to container",
        ];
        let other = ["cni plugin not initialized", "plugin type=\"calico\" failed (add): connection is unauthorized"];
        assert!(full.iter().all(|text| exhausted(text)));
        assert!(!other.iter().any(|text| exhausted(text)));
    }
}
