//! The balancer has nodes to send to and is up to date.
//! Upstream: cloud-provider `controllers/service` (which nodes are eligible: readiness does not count since 1.27).

use k8s_openapi::api::core::v1::Node;
use portolan_objects::{labels, service};

use super::{Outcome, address::external_addresses};
use crate::{
    Evidence, Finding, LinkId, Words,
    history::{evidence, message},
    view::{View, join_some, name},
    words::words,
};

/// The cluster autoscaler is about to remove the node.
const AUTOSCALER_TAINT: &str = "ToBeDeletedByClusterAutoscaler";

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if !service::is_load_balancer(view.service) {
        return Outcome::Skipped(words!("not a load balancer Service", "不是 LoadBalancer 类型"));
    }
    // A class has its own controller with its own idea of eligible nodes.
    let default_class = service::wants_external(view.service);
    if default_class && view.snapshot.has_read("nodes") {
        let reasons: Vec<(String, Option<Words>)> =
            view.snapshot.nodes.iter().map(|node| (name(node).to_owned(), excluded(node))).collect();
        if reasons.iter().all(|(_, why)| why.is_some()) {
            return Outcome::broken(no_nodes(view, &reasons));
        }
    }
    if external_addresses(view).is_empty() {
        return Outcome::Skipped(words!("no external address yet", "还没有外部地址"));
    }
    let newest = view.history.newest(&[
        "EnsuredLoadBalancer",
        "UpdatedLoadBalancer",
        "UpdateLoadBalancerFailed",
        "SyncLoadBalancerFailed",
    ]);
    let failure = newest.filter(|event| event.reason.as_deref().is_some_and(|reason| reason.ends_with("Failed")));
    if let Some(event) = failure {
        let text = message(event).to_owned();
        let title = words!("the balancer could not be brought up to date: {text}", "负载均衡器未能更新：{text}");
        let finding = Finding::new("load-balancer-update-failed", LinkId::LoadBalancer, title)
            .proven_by([evidence(event, view.now)])
            .leads_to(words!("it may send to nodes or ports that are gone", "它可能仍把流量发往已不存在的节点或端口"))
            .remedy(
                words!(
                    "Clear what the message names; the controller tries again by itself.",
                    "解决消息中指出的问题，控制器会自动重试。"
                ),
                [view.kubectl(&format!("describe service {}", view.name()))],
            )
            .explained_by(event.reason.clone().unwrap_or_default());
        return Outcome::broken(finding);
    }
    restrictions(view, hints);
    let count = view.snapshot.nodes.iter().filter(|node| excluded(node).is_none()).count();
    Outcome::ok(words!("eligible nodes: {count}", "{count} 个可用节点"))
}

/// Why the balancer leaves the node out.
fn excluded(node: &Node) -> Option<Words> {
    if node.metadata.deletion_timestamp.is_some() {
        return Some(words!("being deleted", "正在删除"));
    }
    let labels = node.metadata.labels.as_ref();
    // Since 1.34 the value is read as a boolean and `false` includes; what is no boolean excludes.
    if labels.and_then(|labels| labels.get(labels::EXCLUDE_BALANCERS)).is_some_and(|value| value != "false") {
        return Some(words!("excluded by label", "被标签排除"));
    }
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    let leaving = taints.into_iter().flatten().any(|taint| taint.key == AUTOSCALER_TAINT);
    leaving.then(|| words!("about to be removed by the autoscaler", "即将被自动伸缩器移除"))
}

fn no_nodes(view: &View<'_>, reasons: &[(String, Option<Words>)]) -> Finding {
    let each = |lang: fn(&Words) -> &String| -> Vec<String> {
        reasons.iter().filter_map(|(node, why)| Some(format!("{node}: {}", lang(why.as_ref()?)))).collect()
    };
    let (en, zh) = (join_some(&each(|why| &why.en), 3), join_some(&each(|why| &why.zh), 3));
    let title = match reasons.is_empty() {
        true => words!("the cluster has no nodes for the balancer", "集群中没有可供负载均衡器使用的节点"),
        false => words!("no node is eligible for the balancer ({en})", "没有节点可供负载均衡器使用（{zh}）"),
    };
    let label = labels::EXCLUDE_BALANCERS;
    let proof = reasons.iter().take(3).filter_map(|(node, why)| {
        Some(Evidence::new(format!("node/{node}"), "metadata, spec.taints", why.as_ref()?.en.clone()))
    });
    Finding::new("load-balancer-without-nodes", LinkId::LoadBalancer, title)
        .proven_by(proof)
        .proven_by(view.history.newest(&["UnAvailableLoadBalancer"]).map(|event| evidence(event, view.now)))
        .leads_to(words!("the balancer has nowhere to send traffic", "负载均衡器没有可转发的目标"))
        .remedy(
            words!("Take the label off a node, or add nodes.", "去掉节点上的排除标签，或增加节点。"),
            [format!("kubectl get nodes -l {label}"), format!("kubectl label node NODE {label}-")],
        )
        .explained_by("UnAvailableLoadBalancer")
}

/// Settings that keep some clients out on purpose.
fn restrictions(view: &View<'_>, hints: &mut Vec<Words>) {
    let spec = view.service.spec.as_ref();
    let ranges = spec.and_then(|spec| spec.load_balancer_source_ranges.clone()).unwrap_or_default();
    if !ranges.is_empty() && !ranges.iter().any(|range| range.trim() == "0.0.0.0/0") {
        let ranges = join_some(&ranges, 4);
        hints.push(words!(
            "loadBalancerSourceRanges lets in only {ranges}; other clients time out",
            "loadBalancerSourceRanges 只允许 {ranges}；其他客户端会超时"
        ));
    }
}
