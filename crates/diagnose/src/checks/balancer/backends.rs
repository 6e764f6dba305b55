//! At least one node passes the balancer's health check.
//!
//! Upstream: kube-proxy answers on the Service's `healthCheckNodePort` (200 only where it has a ready endpoint) with
//! `externalTrafficPolicy: Local`, else on 10256 for the whole node.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::core::v1::Node;
use portolan_objects::service;

use super::nodes;
use crate::{
    Evidence, Finding, LinkId,
    evidence::{Outcome, Owner, Probe, Target},
    view::{View, join_some, name, node_ready},
    words::words,
};

/// Where a proxy answers for its whole node (kube-proxy's `--healthz-bind-address`).
const PROXY_HEALTH: u16 = 10256;

/// In a larger cluster this would ask too much of it, and then nothing is proven.
const MOST_ASKED: usize = 8;
/// So many nodes ask each one.
const ASKERS: usize = 3;

/// No node that the balancer may use passes its health check.
pub(super) fn unhealthy(view: &View<'_>) -> Option<Finding> {
    if !nodes::in_charge(view) || view.ready_endpoints().next().is_none() {
        return None;
    }
    no_local_endpoint(view).or_else(|| nobody_answers(view))
}

/// With `externalTrafficPolicy: Local`, there are ready endpoints, and none of them is on a node of the balancer.
fn no_local_endpoint(view: &View<'_>) -> Option<Finding> {
    if !service::external_local(view.service) {
        return None;
    }
    let with: BTreeSet<&str> = view.ready_endpoints().filter_map(|(node, _)| node).collect();
    if nodes::eligible(view).any(|node| with.contains(name(node))) {
        return None;
    }
    let where_ = match with.is_empty() {
        true => "(none)".to_owned(),
        false => with.iter().copied().collect::<Vec<_>>().join(", "),
    };
    let title = words!(
        "externalTrafficPolicy Local: no node of the balancer has a ready endpoint, so every health check fails",
        "externalTrafficPolicy Local：负载均衡器的节点上都没有就绪端点，健康检查全部失败"
    );
    let finding = base(view, title)
        .proven_by([
            view.field("spec.externalTrafficPolicy", "Local"),
            Evidence::new("endpointslices", "endpoints[*].nodeName", where_),
        ])
        .remedy(
            words!(
                "Run the pods on nodes of the cluster, or let every node pass traffic on. Risk of the latter: pods see a node's address instead of the client's.",
                "让 Pod 运行在集群节点上，或让每个节点都可转发流量。后者的风险：Pod 看到的是节点地址而不是客户端地址。"
            ),
            [view.kubectl(&format!(
                "patch service {} --type merge -p '{{\"spec\":{{\"externalTrafficPolicy\":\"Cluster\"}}}}'",
                view.name()
            ))],
        );
    Some(finding)
}

fn base(_view: &View<'_>, title: crate::Words) -> Finding {
    Finding::new("load-balancer-backends-unhealthy", LinkId::LoadBalancer, title)
        .leads_to(words!("the balancer takes all nodes out of rotation", "负载均衡器会摘除所有节点"))
        .leads_to(words!("clients outside are refused or time out", "外部客户端会被拒绝或超时"))
}

/// The port and the nodes that a balancer's health check is about; the nodes that are lost anyway are left out.
fn health_checks<'a>(view: &View<'a>) -> (u16, Vec<(&'a Node, IpAddr)>) {
    let port = service::health_check_node_port(view.service).unwrap_or(PROXY_HEALTH);
    let ready = nodes::eligible(view).filter(|node| node_ready(node));
    (port, ready.filter_map(|node| Some((node, internal_ip(node)?))).collect())
}

/// Whom to ask for the health check that the balancer makes, and from which node: each from itself and from two others,
/// because the way between machines counts too, and who hears nothing may be cut off itself.
pub(crate) fn questions<'a>(view: &View<'a>) -> Vec<(&'a str, String)> {
    if !service::is_load_balancer(view.service) || super::external_addresses(view).is_empty() {
        return Vec::new();
    }
    let (port, nodes) = health_checks(view);
    let nodes: Vec<_> = nodes.into_iter().take(MOST_ASKED).collect();
    let mut questions = Vec::new();
    for (n, (_, address)) in nodes.iter().enumerate() {
        let target = format!("http://{}/healthz", SocketAddr::new(*address, port));
        let askers = nodes.iter().cycle().skip(n).take(ASKERS.min(nodes.len()));
        questions.extend(askers.map(|(asker, _)| (name(*asker), target.clone())));
    }
    questions
}

fn internal_ip(node: &Node) -> Option<IpAddr> {
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    let internal = addresses.iter().filter(|address| address.type_ == "InternalIP");
    internal.filter_map(|address| address.address.parse().ok()).next()
}

/// Probes of the health check port failed on every node.
fn nobody_answers(view: &View<'_>) -> Option<Finding> {
    let (port, nodes) = health_checks(view);
    let answers = answers(view, port);
    let mut proof = Vec::new();
    for (node, address) in &nodes {
        let of_node = answers.get(address)?;
        // A closed port and an answer that is no are the proxy's own: another link tells them.
        if of_node.iter().any(|(_, probe)| !lost(probe)) {
            return None;
        }
        // One other node that hears nothing may be the one that is cut off.
        let others: BTreeSet<&str> =
            of_node.iter().map(|(from, _)| *from).filter(|from| *from != name(*node)).collect();
        let by_itself = of_node.iter().any(|(from, _)| *from == name(*node));
        if !(by_itself || others.len() > 1) {
            return None;
        }
        proof.extend(of_node.iter().take(2).map(|(from, probe)| {
            Evidence::new(format!("node/{from}"), format!("probe {}", probe.target), format!("{:?}", probe.outcome))
        }));
    }
    // A proxy that says that it is ill, or that has no rules, is a fault of its own.
    let proxy_at_fault = |(node, _): &(&Node, IpAddr)| {
        view.index.evidence(name(*node)).is_some_and(|evidence| {
            let knows = |rules: &Vec<crate::evidence::Rule>| {
                let ours = service::cluster_ips(view.service);
                rules.iter().any(|rule| rule.address.is_some_and(|address| ours.contains(&address)))
            };
            evidence.proxy.healthy == Some(false) || !evidence.proxy.rules.as_ref().is_some_and(knows)
        })
    };
    if nodes.is_empty() || nodes.iter().all(proxy_at_fault) {
        return None;
    }
    let names: Vec<String> = nodes.iter().map(|(node, _)| name(*node).to_owned()).collect();
    let list = join_some(&names, 3);
    let title = words!(
        "no node of the balancer answers its health check on port {port} ({list})",
        "负载均衡器的节点都没有应答端口 {port} 上的健康检查（{list}）"
    );
    let finding = base(view, title).proven_by(proof).remedy(
        words!(
            "Let the balancer reach TCP port {port} of the nodes: firewall, security group, host firewall; and check that the proxy answers there.",
            "放行负载均衡器到节点 TCP 端口 {port} 的流量：防火墙、安全组、主机防火墙；并确认代理在该端口应答。"
        ),
        [format!("curl -sS -m 3 http://{}:{port}/healthz", nodes.first()?.1), "nft list ruleset | grep drop".to_owned()],
    );
    Some(finding)
}

/// What came of probes to the port, by the node's address: the node that asked, and the probe.
fn answers<'a>(view: &View<'a>, port: u16) -> BTreeMap<IpAddr, Vec<(&'a str, &'a Probe)>> {
    let mut answers: BTreeMap<IpAddr, Vec<(&str, &Probe)>> = BTreeMap::new();
    for evidence in &view.snapshot.evidence {
        for probe in evidence.probes.iter().filter(|probe| probe.from == Owner::Node) {
            let target = probe.target.parse::<Target>().ok();
            let address = target.filter(|target| matches!(target, Target::Tcp(_) | Target::Http { .. }));
            if let Some(address) = address.map(|target| target.address()).filter(|address| address.port() == port) {
                answers.entry(address.ip()).or_default().push((evidence.node.as_str(), probe));
            }
        }
    }
    answers
}

/// Nothing came back.
fn lost(probe: &Probe) -> bool {
    matches!(probe.outcome, Outcome::TimedOut | Outcome::Unreachable { .. })
}
