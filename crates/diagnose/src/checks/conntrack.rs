//! No tracked connection leads to an endpoint that is gone.
//!
//! TCP ends with its pod; only attempts to open a connection count. UDP flows stay for as long as the client keeps
//! sending, and proxies delete them only while the Service has other endpoints: so does this check.
//! Upstream: `pkg/proxy/conntrack`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use portolan_objects::{Protocol, service};

use super::{
    Outcome,
    ways::{SETTLING, Way, expected, settled, ways},
};
use crate::{
    Evidence, Finding, LinkId, Words,
    evidence::{Flow, NodeEvidence},
    view::{View, join_some},
    words::words,
};

/// Flows that are shown.
const SHOWN: usize = 3;

pub(super) fn check(view: &View<'_>, _: &mut Vec<Words>) -> Outcome {
    let ways = ways(view);
    if ways.is_empty() {
        return Outcome::Skipped(words!("no virtual address: nothing is translated", "没有虚拟地址：不做转换"));
    }
    let read = view.index.kernel().nodes.iter().filter(|node| node.flows.is_some());
    if read.clone().next().is_none() {
        return Outcome::Skipped(words!(
            "no evidence of tracked connections; `portolan node-evidence` collects it",
            "没有连接跟踪的证据；可用 `portolan node-evidence` 采集"
        ));
    }
    if !read.clone().any(|node| settled(view, node)) {
        return Outcome::Skipped(words!(
            "something changed less than {SETTLING} s before the evidence was taken, or it is of another time",
            "采集证据前 {SETTLING} 秒内发生过变化，或证据与快照的时间不一致"
        ));
    }
    let (mut stale, mut stuck, mut seen) = (BTreeMap::new(), BTreeMap::new(), 0usize);
    for way in &ways {
        for (node, flow) in flows(view, way) {
            seen += 1;
            let expected = expected(view, way, &node.node);
            // Without another endpoint there is nothing better to do with a flow.
            if expected.must.is_empty() && expected.may.is_empty() || expected.may.contains(&flow.translated) {
                continue;
            }
            match way.protocol {
                Protocol::Udp if !expected.known.contains(&flow.translated) => {
                    stale.entry(&node.node).or_insert_with(Vec::new).push(flow);
                }
                Protocol::Tcp if is_opening(flow) && remembers(view, node, way, flow) => {
                    stuck.entry(&node.node).or_insert_with(Vec::new).push(flow);
                }
                _ => {}
            }
        }
    }
    let mut findings = Vec::new();
    if !stale.is_empty() {
        findings.push(stale_finding(&stale));
    }
    if !stuck.is_empty() {
        findings.push(stuck_finding(view, &stuck));
    }
    if findings.is_empty() {
        return Outcome::ok(words!(
            "tracked connections: {seen}, none to an endpoint that is gone",
            "跟踪到 {seen} 个连接，没有指向已不存在的端点"
        ));
    }
    Outcome::Broken(findings)
}

/// The flows of a way, of nodes whose evidence can be compared with the slices.
fn flows<'a>(view: &'a View<'a>, way: &'a Way) -> impl Iterator<Item = (&'a NodeEvidence, &'a Flow)> {
    let kernel = view.index.kernel();
    let all = match way.address {
        Some(address) => kernel.flows(SocketAddr::new(address, way.port)),
        None => kernel.flows_to_port(way.port),
    };
    let ours = move |node: &NodeEvidence, flow: &Flow| match way.address {
        Some(_) => true,
        None => node_addresses(view, &node.node).contains(&flow.destination.ip()),
    };
    let same = all.iter().filter(move |(node, flow)| flow.protocol == way.protocol.as_str() && ours(node, flow));
    same.filter(|(node, _)| settled(view, node)).copied()
}

fn node_addresses(view: &View<'_>, node: &str) -> BTreeSet<IpAddr> {
    let status = view.index.node(node).and_then(|node| node.status.as_ref());
    let addresses = status.and_then(|status| status.addresses.as_ref()).into_iter().flatten();
    addresses.filter_map(|address| address.address.parse().ok()).collect()
}

fn is_opening(flow: &Flow) -> bool {
    !flow.answered && flow.state.as_deref() == Some("SYN_SENT")
}

/// The Service binds clients to endpoints, and the rules themselves do not lead to this one any more: so it is memory
/// that sends the client there.
fn remembers(view: &View<'_>, node: &NodeEvidence, way: &Way, flow: &Flow) -> bool {
    let rule = view.index.kernel().rule(&node.node, way.address, way.port, way.protocol.as_str());
    let in_rule = rule.is_some_and(|rule| rule.endpoints.contains(&flow.translated));
    service::client_ip_affinity(view.service).is_some() && !in_rule
}

type ByNode<'a> = BTreeMap<&'a String, Vec<&'a Flow>>;

fn names(flows: &ByNode<'_>) -> (Vec<String>, String) {
    let names: Vec<String> = flows.keys().map(|node| (*node).clone()).collect();
    let list = join_some(&names, 4);
    (names, list)
}

fn proof(flows: &ByNode<'_>) -> Vec<Evidence> {
    let all = flows.iter().flat_map(|(node, flows)| flows.iter().map(move |flow| (node, flow)));
    let told = all.take(SHOWN).map(|(node, flow)| {
        let (from, to, endpoint) = (flow.source, flow.destination, flow.translated);
        let answered = if flow.answered { "answered before" } else { "never answered" };
        let field = format!("tracked {} connection", flow.protocol);
        Evidence::new(format!("node/{node}"), field, format!("{from} -> {to} = {endpoint}, {answered}"))
    });
    told.collect()
}

fn stale_finding(flows: &ByNode<'_>) -> Finding {
    let (names, list) = names(flows);
    let gone: BTreeSet<String> = flows.values().flatten().map(|flow| flow.translated.to_string()).collect();
    let gone = join_some(&gone.into_iter().collect::<Vec<_>>(), SHOWN);
    let count: usize = flows.values().map(Vec::len).sum();
    let title = words!(
        "on {list} the kernel keeps sending UDP flows ({count}) to {gone}, which no endpoint has any more",
        "{list} 的内核仍把 {count} 条 UDP 流送往 {gone}，而该地址已不属于任何端点"
    );
    let commands = flows.values().flatten().map(|flow| {
        let (destination, endpoint) = (flow.destination, flow.translated);
        format!(
            "conntrack -D -p udp --orig-dst {} --orig-port-dst {} --reply-src {}",
            destination.ip(),
            destination.port(),
            endpoint.ip()
        )
    });
    let commands: BTreeSet<String> = commands.collect();
    Finding::new("conntrack-stale", LinkId::Conntrack, title)
        .subject(format!("node/{}", names.join(",")))
        .proven_by(proof(flows))
        .leads_to(words!(
            "clients that keep their source port get no answer; new flows are fine",
            "沿用同一源端口的客户端得不到应答，新的流正常"
        ))
        .remedy(
            words!("Delete the entries on the node, as root.", "在该节点上以 root 删除这些条目。"),
            commands.into_iter().take(SHOWN),
        )
        .remedy(
            words!(
                "The proxy deletes them after a change of the endpoints: see why it did not.",
                "端点变化后代理会删除它们：查明它为何没有删除。"
            ),
            ["kubectl -n kube-system logs -l k8s-app=kube-proxy --tail=50 --prefix".to_owned()],
        )
}

fn stuck_finding(view: &View<'_>, flows: &ByNode<'_>) -> Finding {
    let (names, list) = names(flows);
    let clients: BTreeSet<String> = flows.values().flatten().map(|flow| flow.source.ip().to_string()).collect();
    let clients = join_some(&clients.into_iter().collect::<Vec<_>>(), SHOWN);
    let seconds = service::client_ip_affinity(view.service).unwrap_or_default();
    let title = words!(
        "session affinity on {list} binds {clients} to an endpoint that is gone",
        "{list} 上的会话保持把 {clients} 固定在已不存在的端点"
    );
    let service = view.name();
    Finding::new("affinity-to-dead-pod", LinkId::Conntrack, title)
        .subject(format!("node/{}", names.join(",")))
        .proven_by([view.field("spec.sessionAffinity", format!("ClientIP, {seconds} s"))])
        .proven_by(proof(flows))
        .leads_to(words!(
            "these clients time out, everybody else is served",
            "这些客户端会超时，其他客户端正常"
        ))
        .remedy(
            words!("Let the memory be shorter.", "缩短会话保持的时间。"),
            [view.kubectl(&format!(
                "patch service {service} --type merge -p '{{\"spec\":{{\"sessionAffinityConfig\":{{\"clientIP\":{{\"timeoutSeconds\":60}}}}}}}}'"
            ))],
        )
        .remedy(
            words!("Restart the proxy of the node: it forgets.", "重启该节点的代理，使其忘记。"),
            ["kubectl -n kube-system get pods -l k8s-app=kube-proxy -o wide".to_owned()],
        )
}
