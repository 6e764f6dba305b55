//! The traffic policies leave an endpoint where the traffic arrives.
//! Upstream: `Local` drops instead of refusing when a node has no endpoint of its own (kube-proxy).

use std::collections::BTreeSet;

use portolan_objects::service;

use super::Outcome;
use crate::{
    Evidence, Finding, LinkId, Words,
    view::{View, join_some, name, node_ready},
    words::words,
};

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    let (internal, external) = (service::internal_local(view.service), service::external_local(view.service));
    if service::is_external_name(view.service) || service::is_headless(view.service) {
        return Outcome::Skipped(words!("no virtual address: policies do not apply", "没有虚拟地址：流量策略不适用"));
    }
    if !internal && !external {
        return Outcome::Ok(
            words!("Cluster: every node reaches every endpoint", "Cluster：每个节点都可到达所有端点"),
            Vec::new(),
        );
    }
    let with: BTreeSet<&str> = view.ready_endpoints().filter_map(|(node, _)| node).collect();
    if with.is_empty() {
        return Outcome::Skipped(words!("no ready endpoint with a node", "没有带节点信息的就绪端点"));
    }
    if view.snapshot.nodes.is_empty() {
        return Outcome::Skipped(words!("the nodes could not be read", "无法读取节点"));
    }
    let nodes = view.snapshot.nodes.iter().filter(|node| node_ready(node));
    let without: Vec<String> = nodes.map(name).filter(|node| !with.contains(node)).map(str::to_owned).collect();
    let list = join_some(&without, 5);
    if without.is_empty() {
        return Outcome::ok(words!("Local: every ready node has an endpoint", "Local：每个就绪节点都有端点"));
    }
    if internal {
        return Outcome::broken(internal_drops(view, &list, &with));
    }
    hints.push(words!(
        "externalTrafficPolicy Local: the node ports of {list} drop traffic, because no endpoint runs there; a load balancer with health checks avoids them",
        "externalTrafficPolicy Local：{list} 上没有端点，其 NodePort 会丢弃流量；带健康检查的负载均衡器会避开它们"
    ));
    let some = with.len();
    Outcome::Ok(
        words!("Local: nodes with an endpoint: {some}", "Local：{some} 个节点有端点"),
        vec![view.field("spec.externalTrafficPolicy", "Local")],
    )
}

fn internal_drops(view: &View<'_>, list: &str, with: &BTreeSet<&str>) -> Finding {
    let service = view.name();
    let have = with.iter().copied().collect::<Vec<_>>().join(", ");
    let title = words!(
        "internalTrafficPolicy Local: traffic from pods on {list} is dropped, because no endpoint runs there",
        "internalTrafficPolicy Local：{list} 上没有端点，来自这些节点上 Pod 的流量会被丢弃"
    );
    Finding::new("internal-policy-without-local-endpoint", LinkId::Policy, title)
        .proven_by([
            view.field("spec.internalTrafficPolicy", "Local"),
            Evidence::new("endpointslices", "endpoints[*].nodeName", have),
        ])
        .leads_to(words!("clients there time out instead of being refused", "那里的客户端会超时，而不是被拒绝"))
        .remedy(
            words!("Let every node reach every endpoint.", "让每个节点都可到达所有端点。"),
            [view.kubectl(&format!(
                "patch service {service} --type merge -p '{{\"spec\":{{\"internalTrafficPolicy\":\"Cluster\"}}}}'"
            ))],
        )
        .remedy(
            words!("Or run the pods on every node, as a DaemonSet.", "或用 DaemonSet 在每个节点上运行这些 Pod。"),
            [view.kubectl(&format!("get pods -l {} -o wide", view.selector_text()))],
        )
}
