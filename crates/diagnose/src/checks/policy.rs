//! The traffic policies leave an endpoint where the traffic arrives.
//!
//! Upstream: kube-proxy. `Local` drops instead of refusing when a node has no endpoint of its own; endpoints that are being
//! stopped and still serve count where no ready one is. Traffic from inside to an external address does not follow the
//! external policy, and traffic to node ports does not follow the internal one.

use std::collections::BTreeSet;

use k8s_openapi::api::discovery::v1::Endpoint;
use portolan_objects::{endpoint, pod, service};

use super::{Outcome, caller};
use crate::{
    Evidence, Finding, LinkId, Words,
    view::{From, View, join_some, name, node_ready},
    words::words,
};

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    let (internal, external) = (service::internal_local(view.service), service::external_local(view.service));
    if service::is_external_name(view.service) || service::is_headless(view.service) {
        return Outcome::Skipped(words!("no virtual address: policies do not apply", "没有虚拟地址：流量策略不适用"));
    }
    if !internal && !external {
        return Outcome::ok(words!("Cluster: every node reaches every endpoint", "Cluster：每个节点都可到达所有端点"));
    }
    let places = Places::of(view);
    if places.endpoints == 0 {
        return Outcome::Skipped(words!("no ready endpoint", "没有就绪端点"));
    }
    if view.snapshot.nodes.is_empty() {
        return Outcome::Skipped(words!("the nodes could not be read", "无法读取节点"));
    }
    let findings: Vec<Finding> = [
        if internal { inside(view, &places, hints) } else { None },
        if external { outside(view, &places, hints) } else { None },
    ]
    .into_iter()
    .flatten()
    .collect();
    if !findings.is_empty() {
        return Outcome::Broken(findings);
    }
    let some = places.with.len();
    let proof = [
        internal.then(|| view.field("spec.internalTrafficPolicy", "Local")),
        external.then(|| view.field("spec.externalTrafficPolicy", "Local")),
    ];
    let summary = match places.without.is_empty() {
        true => words!("Local: every ready node has an endpoint", "Local：每个就绪节点都有端点"),
        false => words!("Local: nodes with an endpoint: {some}", "Local：{some} 个节点有端点"),
    };
    Outcome::Ok(summary, proof.into_iter().flatten().collect())
}

/// Where endpoints are.
struct Places<'a> {
    /// Endpoints that take connections somewhere.
    endpoints: usize,
    /// Nodes with an endpoint that takes connections, whatever the nodes' own state.
    with: BTreeSet<&'a str>,
    /// Ready nodes without one.
    without: Vec<String>,
}

impl<'a> Places<'a> {
    fn of(view: &View<'a>) -> Self {
        let all = || view.slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
        let ready = all().filter(|endpoint| endpoint::is_ready(endpoint));
        let ending = |endpoint: &&Endpoint| endpoint::is_serving(endpoint) && endpoint::is_terminating(endpoint);
        let ready_on: BTreeSet<&str> = ready.clone().filter_map(|endpoint| endpoint.node_name.as_deref()).collect();
        let ending_on = all().filter(ending).filter_map(|endpoint| endpoint.node_name.as_deref());
        let with: BTreeSet<&str> = ready_on.into_iter().chain(ending_on).collect();
        let nodes = view.snapshot.nodes.iter().filter(|node| node_ready(node));
        let without = nodes.map(name).filter(|node| !with.contains(node)).map(str::to_owned).collect();
        Self { endpoints: ready.count() + all().filter(ending).count(), with, without }
    }

    /// Nodes with an endpoint that have a kubelet to report and so, most likely, a proxy.
    fn live<'b>(&'b self, view: &'b View<'_>) -> impl Iterator<Item = &'b str> {
        self.with.iter().copied().filter(|node| view.index.node(node).is_some_and(node_ready))
    }

    fn text(&self) -> String {
        match self.with.is_empty() {
            true => "(none)".to_owned(),
            false => join_some(&self.with.iter().map(|node| (*node).to_owned()).collect::<Vec<_>>(), 5),
        }
    }
}

fn inside(view: &View<'_>, places: &Places<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    match &view.ask.from {
        // Node ports and balancers do not follow it.
        From::Outside(_) => None,
        From::Pod(_) => {
            let node = pod::node(caller::pod(view)?)?;
            (!places.with.contains(node)).then(|| inside_drops(view, places, Some(node)))
        }
        From::Anywhere => {
            if places.live(view).next().is_none() {
                return Some(inside_drops(view, places, None));
            }
            if !places.without.is_empty() {
                let list = join_some(&places.without, 5);
                hints.push(words!(
                    "internalTrafficPolicy Local: pods on {list} cannot use the cluster IP, because no endpoint runs there",
                    "internalTrafficPolicy Local：{list} 上没有端点，这些节点上的 Pod 无法使用 cluster IP"
                ));
            }
            None
        }
    }
}

fn inside_drops(view: &View<'_>, places: &Places<'_>, node: Option<&str>) -> Finding {
    let (service, have) = (view.name(), places.text());
    let title = match node {
        Some(node) => words!(
            "internalTrafficPolicy Local: traffic from pods on {node} is dropped, because no endpoint runs there",
            "internalTrafficPolicy Local：{node} 上没有端点，来自该节点上 Pod 的流量会被丢弃"
        ),
        None => words!(
            "internalTrafficPolicy Local: no ready node has an endpoint, so the cluster IP drops all traffic",
            "internalTrafficPolicy Local：没有任何就绪节点拥有端点，cluster IP 会丢弃全部流量"
        ),
    };
    Finding::new("internal-policy-without-local-endpoint", LinkId::Policy, title)
        .proven_by([
            view.field("spec.internalTrafficPolicy", "Local"),
            Evidence::new("endpointslices", "endpoints[*].nodeName", have),
        ])
        .proven_by(
            caller::pod(view)
                .zip(node)
                .map(|(pod, node)| Evidence::new(crate::view::pod_object(pod), "spec.nodeName", node)),
        )
        .leads_to(words!("clients there time out instead of being refused", "那里的客户端会超时，而不是被拒绝"))
        .remedy(
            words!("Let every node reach every endpoint.", "让每个节点都可到达所有端点。"),
            [view.kubectl(&format!(
                "patch service {service} --type merge -p '{{\"spec\":{{\"internalTrafficPolicy\":\"Cluster\"}}}}'"
            ))],
        )
        .remedy(
            words!(
                "Or prefer the own node without insisting on it (Kubernetes 1.35 and later).",
                "或优先使用本节点但不强求（Kubernetes 1.35 及以后）。"
            ),
            [view.kubectl(&format!(
                "patch service {service} --type merge -p \
                 '{{\"spec\":{{\"internalTrafficPolicy\":\"Cluster\",\"trafficDistribution\":\"PreferSameNode\"}}}}'"
            ))],
        )
        .remedy(
            words!("Or run the pods on every node, as a DaemonSet.", "或用 DaemonSet 在每个节点上运行这些 Pod。"),
            [view.kubectl(&format!("get pods -l {} -o wide", view.selector_text()))],
        )
}

fn outside(view: &View<'_>, places: &Places<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    if matches!(view.ask.from, From::Pod(_)) {
        return None;
    }
    if places.live(view).next().is_none() {
        return Some(outside_drops(view, places, true));
    }
    if places.without.is_empty() {
        return None;
    }
    // A balancer asks the nodes and leaves those out that have none; whoever uses a node port by hand does not.
    if matches!(view.ask.from, From::Outside(_)) && !service::is_load_balancer(view.service) {
        return Some(outside_drops(view, places, false));
    }
    let list = join_some(&places.without, 5);
    hints.push(words!(
        "externalTrafficPolicy Local: the node ports of {list} drop traffic, because no endpoint runs there; a load balancer with health checks avoids them",
        "externalTrafficPolicy Local：{list} 上没有端点，其 NodePort 会丢弃流量；带健康检查的负载均衡器会避开它们"
    ));
    None
}

fn outside_drops(view: &View<'_>, places: &Places<'_>, all: bool) -> Finding {
    let (service, have, list) = (view.name(), places.text(), join_some(&places.without, 5));
    let title = match all {
        true => words!(
            "externalTrafficPolicy Local: no ready node has an endpoint, so all traffic from outside is dropped",
            "externalTrafficPolicy Local：没有任何就绪节点拥有端点，来自外部的流量全部被丢弃"
        ),
        false => words!(
            "externalTrafficPolicy Local: the node ports of {list} drop traffic, because no endpoint runs there",
            "externalTrafficPolicy Local：{list} 上没有端点，其 NodePort 会丢弃流量"
        ),
    };
    Finding::new("external-policy-without-local-endpoint", LinkId::Policy, title)
        .proven_by([
            view.field("spec.externalTrafficPolicy", "Local"),
            Evidence::new("endpointslices", "endpoints[*].nodeName", have.clone()),
        ])
        .proven_by((!places.without.is_empty()).then(|| Evidence::new("nodes", "without endpoint", list)))
        .leads_to(words!("clients that come to such a node time out", "访问到这些节点的客户端会超时"))
        .remedy(
            words!("Use the nodes that have an endpoint: {have}.", "只使用有端点的节点：{have}。"),
            [view.kubectl(&format!("get endpointslices -l kubernetes.io/service-name={service} -o wide"))],
        )
        .remedy(
            words!(
                "Or let every node pass traffic on. Risk: the pods then see the node's address instead of the client's.",
                "或让每个节点都转发流量。风险：Pod 看到的将是节点地址，而不是客户端地址。"
            ),
            [view.kubectl(&format!(
                "patch service {service} --type merge -p '{{\"spec\":{{\"externalTrafficPolicy\":\"Cluster\"}}}}'"
            ))],
        )
}
