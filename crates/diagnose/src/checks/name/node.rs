//! What a node gives its pods for names: the cluster's DNS from the kubelet's configuration, and its own resolv.conf.
//! Upstream: `pkg/kubelet/network/dns`: without clusterDNS, pods of policy ClusterFirst silently get the node's resolvers; a
//! resolv.conf that cannot be read keeps pods from starting.

use std::{collections::BTreeSet, net::IpAddr};

use k8s_openapi::api::core::v1::{Event, Pod};
use portolan_objects::pod;

use super::caller::{Resolver, resolver};
use crate::{
    Evidence, Finding, LinkId, Words,
    history::{History, evidence, message},
    view::{View, join_some, name, node_ready},
    words::words,
};

/// Name servers in the resolv.conf of the pod's node, as far as it is known.
pub(super) fn servers(view: &View<'_>, pod: &Pod) -> Vec<IpAddr> {
    let file = pod::node(pod).and_then(|node| view.index.evidence(node)).and_then(|node| node.resolv_conf.as_deref());
    let lines = file.unwrap_or_default().lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    lines.filter_map(|rest| rest.split_whitespace().next()?.parse().ok()).collect()
}

/// Whether a resolv.conf keeps a kubelet from making pods: a `nameserver` without a value.
fn cannot_be_parsed(text: &str) -> bool {
    text.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == ["nameserver"])
}

fn of_pod<'a>(view: &View<'a>, pod: &Pod) -> History<'a> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    History::of(view.index, "Pod", namespace, name(pod), pod.metadata.uid.as_deref())
}

fn of_node<'a>(view: &View<'a>, node: &str) -> History<'a> {
    History::of(view.index, "Node", "", node, None)
}

/// A kubelet without clusterDNS.
pub(super) fn not_configured<'a>(view: &View<'a>, caller: Option<&'a Pod>, hints: &mut Vec<Words>) -> Option<Finding> {
    const REASON: &[&str] = &["MissingClusterDNS"];
    let told_by = |pod: &&'a Pod| Some((pod::node(pod)?.to_owned(), of_pod(view, pod).newest(REASON)?));
    let by_pods = super::clients(view, caller).into_iter().filter_map(|pod| told_by(&pod));
    let ready: Vec<&str> = view.snapshot.nodes.iter().filter(|node| node_ready(node)).map(name).collect();
    let by_nodes = ready.iter().filter_map(|node| Some(((*node).to_owned(), of_node(view, node).newest(REASON)?)));
    let mut told: Vec<(String, &Event)> = by_pods.chain(by_nodes).collect();
    if let Some(caller) = caller {
        // Only the caller's node matters to it, and only if it wants the cluster's DNS.
        let own = pod::node(caller);
        told.retain(|(node, _)| Some(node.as_str()) == own && resolver(caller) == Resolver::Cluster);
    }
    let nodes: BTreeSet<&str> = told.iter().map(|(node, _)| node.as_str()).collect();
    let (first, event) = told.first()?;
    let list: Vec<String> = nodes.iter().map(|node| (*node).to_owned()).collect();
    let list = join_some(&list, 3);
    let everywhere = !ready.is_empty() && ready.iter().all(|node| nodes.contains(node));
    if caller.is_none() && !everywhere {
        hints.push(words!(
            "the kubelet on {list} has no clusterDNS: pods there that ask by name find no Service",
            "{list} 上的 kubelet 没有配置 clusterDNS：那里的 Pod 无法按名字找到 Service"
        ));
        return None;
    }
    let title = words!(
        "the kubelet on {list} has no clusterDNS, so pods there get the node's DNS",
        "{list} 上的 kubelet 没有配置 clusterDNS，那里的 Pod 使用的是节点 DNS"
    );
    let finding = Finding::new("cluster-dns-not-configured", LinkId::Name, title)
        .subject(if nodes.len() == 1 { format!("node/{first}") } else { "node/*".to_owned() })
        .proven_by([evidence(event, view.now)])
        .leads_to(words!(
            "pods of policy ClusterFirst fall back to the node's DNS, which knows no Services",
            "ClusterFirst 策略的 Pod 会退回到节点 DNS，而它不认识 Service"
        ))
        .leads_to(words!("calls by name fail; calls by address work", "按名字的访问会失败；按地址的访问正常"))
        .remedy(
            words!(
                "Set clusterDNS and clusterDomain in the kubelet's configuration and start it again; then make the pods anew, because they keep their resolv.conf.",
                "在 kubelet 配置中设置 clusterDNS 和 clusterDomain 并重启；然后重建 Pod，因为它们的 resolv.conf 不会更新。"
            ),
            [
                format!("kubectl get --raw /api/v1/nodes/{first}/proxy/configz"),
                "kubectl -n kube-system get service kube-dns -o jsonpath='{.spec.clusterIP}'".to_owned(),
            ],
        )
        .explained_by("MissingClusterDNS");
    Some(finding)
}

/// The node's resolv.conf keeps this pod from starting: what the kubelet said.
pub(in crate::checks) fn sandbox_event<'a>(view: &View<'a>, pod: &Pod) -> Option<&'a Event> {
    let event = of_pod(view, pod).newest(&["FailedCreatePodSandBox"])?;
    let text = message(event).to_ascii_lowercase();
    (text.contains("resolv.conf") || text.contains("resolv conf")).then_some(event)
}

/// The node's resolv.conf is broken: a finding for the caller that cannot start by it; else the link of the pods tells it, or
/// nobody is hurt yet.
pub(super) fn resolv_conf<'a>(view: &View<'a>, caller: Option<&'a Pod>, hints: &mut Vec<Words>) -> Option<Finding> {
    if let Some(caller) = caller
        && pod::ips(caller).is_empty()
        && let Some(event) = sandbox_event(view, caller)
    {
        let node = pod::node(caller).unwrap_or("?");
        let title = words!(
            "the caller cannot start: its node {node} has a resolv.conf that cannot be read",
            "调用方无法启动：节点 {node} 的 resolv.conf 无法读取"
        );
        let finding = Finding::new("node-resolv-conf-broken", LinkId::Name, title)
            .subject(format!("node/{node}"))
            .proven_by([evidence(event, view.now)])
            .proven_by(file_evidence(view, node))
            .leads_to(words!("no new pod starts on that node", "该节点无法启动新的 Pod"))
            .remedy(repair(), repair_commands(node))
            .explained_by("FailedCreatePodSandBox");
        return Some(finding);
    }
    for node in &view.snapshot.evidence {
        let broken = node.resolv_conf.as_deref().is_some_and(cannot_be_parsed);
        let said = of_node(view, &node.node).newest(&["CheckLimitsForResolvConf"]);
        if broken || said.is_some_and(|event| !message(event).ends_with('!')) {
            let node = &node.node;
            hints.push(words!(
                "the resolv.conf of {node} cannot be parsed: pods that run keep theirs, new ones do not start there",
                "{node} 的 resolv.conf 无法解析：运行中的 Pod 不受影响，新的 Pod 无法在该节点启动"
            ));
        }
    }
    None
}

/// What to do about a broken resolv.conf.
pub(in crate::checks) fn repair() -> Words {
    words!(
        "Repair the file on the node, or give the kubelet another one (`resolvConf` in its configuration).",
        "在节点上修复该文件，或让 kubelet 使用另一个文件（其配置中的 `resolvConf`）。"
    )
}

/// How to look at it.
pub(in crate::checks) fn repair_commands(node: &str) -> Vec<String> {
    vec![
        format!("kubectl get --raw /api/v1/nodes/{node}/proxy/configz"),
        format!("kubectl debug node/{node} -it --image=busybox -- cat /host/etc/resolv.conf"),
    ]
}

/// A broken resolv.conf as the proof of a pod's trouble.
pub(in crate::checks) fn file_evidence(view: &View<'_>, node: &str) -> Option<Evidence> {
    let text = view.index.evidence(node)?.resolv_conf.as_deref()?;
    cannot_be_parsed(text).then(|| Evidence::new(format!("node/{node}"), "resolv.conf", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::cannot_be_parsed;

    #[test]
    fn a_nameserver_without_a_value_is_what_kubelets_refuse() {
        for (text, expected) in [
            ("nameserver 10.0.0.1\n", false),
            ("# nameserver\nsearch a\noptions ndots:5\n", false),
            ("", false),
            ("search a\nnameserver\n", true),
            ("nameserver   \n", true),
        ] {
            assert_eq!(cannot_be_parsed(text), expected, "{text:?}");
        }
    }
}
