//! Which nodes the balancer may send to.
//! Upstream: cloud-provider `controllers/service`: not being deleted, not excluded by label, not about to be removed by the
//! autoscaler. Readiness does not count since 1.27.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use portolan_objects::{labels, service};

use super::deletion::FINALIZER;
use crate::{
    Evidence, Finding, LinkId, Words,
    history::evidence,
    view::{View, join_some, name},
    words::words,
};

/// The cluster autoscaler is about to remove the node.
const AUTOSCALER_TAINT: &str = "ToBeDeletedByClusterAutoscaler";
/// Until then the mere presence of the label excluded; since then its value is read as a boolean.
const VALUE_COUNTS_SINCE: u32 = 34;

/// Whether the service controller, whose rules these are, makes this Service's balancer.
pub(super) fn in_charge(view: &View<'_>) -> bool {
    let finalizers = view.service.metadata.finalizers.as_ref();
    let took_it = finalizers.is_some_and(|list| list.iter().any(|finalizer| finalizer == FINALIZER));
    let spoke = || view.history.newest(&["EnsuringLoadBalancer", "EnsuredLoadBalancer", "UnAvailableLoadBalancer"]);
    service::wants_external(view.service) && view.snapshot.has_read("nodes") && (took_it || spoke().is_some())
}

/// Nodes that the balancer may send to.
pub(super) fn eligible<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Node> {
    let value_counts = value_counts(view);
    view.snapshot.nodes.iter().filter(move |node| excluded(node, value_counts).is_none())
}

fn value_counts(view: &View<'_>) -> bool {
    view.snapshot.minor().is_none_or(|minor| minor >= VALUE_COUNTS_SINCE)
}

/// Why a node is left out.
struct Exclusion {
    why: Words,
    field: String,
    value: String,
}

fn excluded(node: &Node, value_counts: bool) -> Option<Exclusion> {
    if let Some(deleted) = &node.metadata.deletion_timestamp {
        let why = words!("being deleted", "正在删除");
        return Some(Exclusion { why, field: "metadata.deletionTimestamp".into(), value: deleted.0.to_string() });
    }
    let label = node.metadata.labels.as_ref().and_then(|labels| labels.get(labels::EXCLUDE_BALANCERS));
    // What is no boolean excludes, the empty value too.
    let included = |value: &str| value_counts && matches!(value, "0" | "f" | "F" | "false" | "FALSE" | "False");
    if let Some(value) = label.filter(|value| !included(value)) {
        let field = format!("metadata.labels[{}]", labels::EXCLUDE_BALANCERS);
        return Some(Exclusion {
            why: words!("excluded by label", "被标签排除"), field, value: format!("{value:?}")
        });
    }
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    let leaving = taints.into_iter().flatten().find(|taint| taint.key == AUTOSCALER_TAINT)?;
    let why = words!("about to be removed by the autoscaler", "即将被自动伸缩器移除");
    Some(Exclusion { why, field: "spec.taints".into(), value: leaving.key.clone() })
}

/// Nodes that are left out, and why.
fn all_excluded<'a>(view: &View<'a>) -> Vec<(&'a str, Exclusion)> {
    let value_counts = value_counts(view);
    let nodes = view.snapshot.nodes.iter();
    nodes.filter_map(|node| Some((name(node), excluded(node, value_counts)?))).collect()
}

/// There is no node that the balancer may send to.
pub(super) fn none_eligible(view: &View<'_>) -> Option<Finding> {
    if !in_charge(view) || eligible(view).next().is_some() {
        return None;
    }
    let reasons = all_excluded(view);
    let each = |lang: fn(&Words) -> &String| -> Vec<String> {
        reasons.iter().map(|(node, exclusion)| format!("{node}: {}", lang(&exclusion.why))).collect()
    };
    let (en, zh) = (join_some(&each(|why| &why.en), 3), join_some(&each(|why| &why.zh), 3));
    let title = match reasons.is_empty() {
        true => words!("the cluster has no nodes for the balancer", "集群中没有可供负载均衡器使用的节点"),
        false => words!("no node is eligible for the balancer ({en})", "没有节点可供负载均衡器使用（{zh}）"),
    };
    let finding = Finding::new("load-balancer-without-nodes", LinkId::LoadBalancer, title)
        .subject("node/*")
        .proven_by(proof(&reasons))
        .proven_by(reasons.is_empty().then(|| Evidence::new("nodes", "-", "none")))
        .proven_by(view.history.newest(&["UnAvailableLoadBalancer"]).map(|event| evidence(event, view.now)))
        .leads_to(words!("the balancer has nowhere to send traffic", "负载均衡器没有可转发的目标"))
        .leads_to(words!("clients outside are refused or time out", "外部客户端会被拒绝或超时"));
    Some(include(finding, &reasons).explained_by("UnAvailableLoadBalancer"))
}

fn proof(reasons: &[(&str, Exclusion)]) -> Vec<Evidence> {
    let shown = reasons.iter().take(3);
    shown.map(|(node, why)| Evidence::new(format!("node/{node}"), &why.field, &why.value)).collect()
}

/// How a node comes back in.
fn include(finding: Finding, reasons: &[(&str, Exclusion)]) -> Finding {
    let label = labels::EXCLUDE_BALANCERS;
    let labelled = reasons.iter().find(|(_, exclusion)| exclusion.field.contains(label));
    let finding = match labelled {
        Some((node, _)) => finding.remedy(
            words!("Take the label off a node.", "去掉节点上的排除标签。"),
            [format!("kubectl label node {node} {label}-"), format!("kubectl get nodes -l {label}")],
        ),
        None => finding,
    };
    finding.remedy(words!("Or add nodes.", "或增加节点。"), ["kubectl get nodes".to_owned()])
}

/// With `externalTrafficPolicy: Local` a balancer uses only nodes with an endpoint: all of those are left out.
pub(super) fn endpoints_excluded(view: &View<'_>) -> Option<Finding> {
    if !service::external_local(view.service) || !in_charge(view) {
        return None;
    }
    let with: BTreeSet<&str> = view.ready_endpoints().filter_map(|(node, _)| node).collect();
    let reasons = all_excluded(view);
    let reasons: Vec<_> = reasons.into_iter().filter(|(node, _)| with.contains(node)).collect();
    if with.is_empty() || reasons.len() < with.len() {
        return None;
    }
    let nodes = reasons.iter().map(|(node, _)| (*node).to_owned()).collect::<Vec<_>>();
    let list = join_some(&nodes, 3);
    let (en, zh) = reasons.first().map(|(_, first)| (first.why.en.clone(), first.why.zh.clone()))?;
    let title = words!(
        "externalTrafficPolicy Local: all endpoints are on {list}, which the balancer leaves out ({en})",
        "externalTrafficPolicy Local：所有端点都在 {list} 上，而负载均衡器不使用它（{zh}）"
    );
    let name = view.name();
    let finding = Finding::new("load-balancer-node-excluded", LinkId::LoadBalancer, title)
        .proven_by([view.field("spec.externalTrafficPolicy", "Local")])
        .proven_by(proof(&reasons))
        .proven_by([Evidence::new("endpointslices", "endpoints[*].nodeName", list.clone())])
        .leads_to(words!(
            "the nodes that the balancer uses have no endpoint and fail its health check",
            "负载均衡器使用的节点上没有端点，健康检查失败"
        ))
        .leads_to(words!("clients outside are refused or time out", "外部客户端会被拒绝或超时"));
    let finding = match nodes.as_slice() {
        [node] => finding.subject(format!("node/{node}")),
        _ => finding,
    };
    let policy =
        format!("patch service {name} --type merge -p '{{\"spec\":{{\"externalTrafficPolicy\":\"Cluster\"}}}}'");
    let finding = include(finding, &reasons).remedy(
        words!(
            "Or let every node pass traffic on. Risk: pods then see a node's address instead of the client's.",
            "或让每个节点都可转发流量。风险：Pod 看到的将是节点地址而不是客户端地址。"
        ),
        [view.kubectl(&policy)],
    );
    Some(finding)
}

/// Some nodes are left out, which is somebody's wish.
pub(super) fn exclusion_hint(view: &View<'_>, hints: &mut Vec<Words>) {
    let reasons = if in_charge(view) { all_excluded(view) } else { Vec::new() };
    if reasons.is_empty() {
        return;
    }
    let nodes: Vec<String> = reasons.iter().map(|(node, _)| (*node).to_owned()).collect();
    let list = join_some(&nodes, 3);
    hints.push(words!("the balancer leaves out these nodes: {list}", "负载均衡器不使用这些节点：{list}"));
}
