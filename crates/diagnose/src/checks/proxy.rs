//! The nodes' kernels have the Service's rules, and they lead to the endpoints that the slices name.
//!
//! Rules are compared only where a proxy is known that writes them: other data planes, such as those of eBPF, leave none
//! and are not at fault. Upstream: `pkg/proxy`, `pkg/proxy/healthcheck`.

use std::{collections::BTreeMap, net::SocketAddr};

use k8s_openapi::serde_json::{self, Value};

use super::{
    Outcome,
    ways::{SETTLING, Way, expected, settled, ways},
};
use crate::{
    Evidence, Finding, LinkId, Words,
    evidence::{NodeEvidence, ProxyEvidence, Rule, Verdict},
    view::{View, join_some},
    words::words,
};

/// Rules that are shown of one node.
const SHOWN: usize = 3;

/// What is wrong with the rule of one way on one node.
struct Fault<'a> {
    way: &'a Way,
    rule: Option<&'a Rule>,
    /// In the rule, and nowhere in the slices.
    extra: Vec<SocketAddr>,
    /// Ready, and not in the rule.
    lacking: Vec<SocketAddr>,
}

/// How a proxy is doing by its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    Well,
    /// Changes wait and do not get through.
    Stuck,
    /// Its port is closed.
    Silent,
    Unknown,
}

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    let ways = ways(view);
    if ways.is_empty() {
        return Outcome::Skipped(words!("no virtual address: no rules", "没有虚拟地址：不需要规则"));
    }
    let nodes = &view.index.kernel().nodes;
    if nodes.is_empty() {
        return Outcome::Skipped(words!(
            "no evidence of a node's kernel; `portolan node-evidence` collects it",
            "没有节点内核的证据；可用 `portolan node-evidence` 采集"
        ));
    }
    if !nodes.iter().any(|node| is_proxied(&node.proxy)) {
        return Outcome::Skipped(words!(
            "no rules of a known proxy on any node: another data plane serves Services here",
            "各节点都没有已知代理的规则：此处由其他数据面处理 Service"
        ));
    }
    let (mut faulty, mut compared, mut unsettled) = (BTreeMap::<&str, Vec<_>>::new(), 0, 0);
    for node in nodes {
        if node.proxy.rules.is_none() {
            continue;
        }
        if !settled(view, node) {
            unsettled += 1;
            continue;
        }
        compared += 1;
        let faults: Vec<Fault<'_>> = ways.iter().filter_map(|way| fault(view, node, way)).collect();
        if let Some(code) = code(node, &faults) {
            faulty.entry(code).or_default().push((*node, faults));
        } else if matches!(account(&node.proxy), Account::Stuck | Account::Silent) {
            hints.push(unwell(node));
        }
    }
    if !faulty.is_empty() {
        return Outcome::Broken(faulty.iter().map(|(code, nodes)| finding(code, nodes, view)).collect());
    }
    if compared == 0 && unsettled > 0 {
        return Outcome::Skipped(words!(
            "something changed less than {SETTLING} s before the evidence was taken, or it is of another time",
            "采集证据前 {SETTLING} 秒内发生过变化，或证据与快照的时间不一致"
        ));
    }
    if compared == 0 {
        return Outcome::Skipped(words!("the rules could not be read", "无法读取规则"));
    }
    let count = ways.len();
    Outcome::Ok(
        words!(
            "the kernels of {compared} nodes have the rules ({count} each)",
            "{compared} 个节点的内核都有规则（每个节点 {count} 条）"
        ),
        Vec::new(),
    )
}

/// A proxy that writes rules is known to work here: it left some, or it answers as kube-proxy and Portolan's proxy do.
fn is_proxied(proxy: &ProxyEvidence) -> bool {
    proxy.mode.is_some() || proxy.health.as_deref().is_some_and(|text| text.contains("nodeEligible"))
}

fn fault<'a>(view: &View<'a>, node: &'a NodeEvidence, way: &'a Way) -> Option<Fault<'a>> {
    let expected = expected(view, way, &node.node);
    let rule = view.index.kernel().rule(&node.node, way.address, way.port, way.protocol.as_str());
    let in_rule: Vec<SocketAddr> = rule.map(|rule| rule.endpoints.clone()).unwrap_or_default();
    let extra: Vec<_> = in_rule.iter().filter(|endpoint| !expected.may.contains(endpoint)).copied().collect();
    let lacking: Vec<_> = expected.must.iter().filter(|endpoint| !in_rule.contains(endpoint)).copied().collect();
    let wrong = !extra.is_empty() || !lacking.is_empty();
    wrong.then_some(Fault { way, rule, extra, lacking })
}

fn account(proxy: &ProxyEvidence) -> Account {
    match proxy.healthy {
        Some(true) => Account::Well,
        Some(false) => {
            let health = proxy.health.as_deref().unwrap_or_default();
            let body = health.find('{').and_then(|at| serde_json::from_str::<Value>(&health[at..]).ok());
            // Balancers are told to leave a node that is about to go; its proxy works all the same.
            let leaving = body.is_some_and(|body| body["nodeEligible"] == false && body["healthy"] != false);
            if leaving { Account::Well } else { Account::Stuck }
        }
        None if proxy.is_silent() => Account::Silent,
        None => Account::Unknown,
    }
}

fn code(node: &NodeEvidence, faults: &[Fault<'_>]) -> Option<&'static str> {
    let first = faults.first()?;
    Some(match account(&node.proxy) {
        Account::Silent => "proxy-not-running",
        Account::Stuck => "proxy-not-syncing",
        _ if first.rule.is_none() => "proxy-rules-missing",
        _ => "proxy-rules-stale",
    })
}

fn unwell(node: &NodeEvidence) -> Words {
    let (name, health) = (&node.node, node.proxy.health.as_deref().unwrap_or_default());
    words!(
        "the proxy of {name} may not be well ({health}); its rules for this Service are right as long as nothing changes",
        "{name} 的代理可能不正常（{health}）；在没有变化之前，它为该 Service 写入的规则是正确的"
    )
}

type Faulty<'a> = (&'a NodeEvidence, Vec<Fault<'a>>);

fn finding(code: &'static str, nodes: &[Faulty<'_>], view: &View<'_>) -> Finding {
    let names: Vec<String> = nodes.iter().map(|(node, _)| node.node.clone()).collect();
    let list = join_some(&names, 4);
    let empty = nodes.iter().all(|(node, _)| node.proxy.rules.as_ref().is_some_and(Vec::is_empty));
    let missing = nodes.iter().all(|(_, faults)| faults.iter().all(|fault| fault.rule.is_none()));
    let state = match (empty, missing) {
        (true, _) => words!("there are no Service rules at all", "内核中没有任何 Service 规则"),
        (_, true) => words!("the rules of this Service are missing", "缺少该 Service 的规则"),
        _ => words!("its rules are not those of the slices", "其规则与 EndpointSlice 不一致"),
    };
    let Words { en, zh } = state;
    let title = match code {
        "proxy-not-running" => Words {
            en: format!("the Service proxy of {list} does not run, and {en}"),
            zh: format!("{list} 的 Service 代理没有运行，且{zh}"),
        },
        "proxy-not-syncing" => Words {
            en: format!("the Service proxy of {list} runs but writes no rules: {en}"),
            zh: format!("{list} 的 Service 代理在运行，但没有写入规则：{zh}"),
        },
        "proxy-rules-missing" => Words {
            en: format!("on {list} {en}, although the proxy says that it is well"),
            zh: format!("{list} 上{zh}，而代理自称正常"),
        },
        _ => Words {
            en: format!("the kernel of {list} sends to other endpoints than the slices name"),
            zh: format!("{list} 的内核把流量送往 EndpointSlice 之外的端点"),
        },
    };
    let finding = Finding::new(code, LinkId::Proxy, title)
        .subject(format!("node/{}", names.join(",")))
        .proven_by(nodes.iter().take(SHOWN).flat_map(|(node, faults)| proof(node, faults)))
        .leads_to(effect(nodes))
        .leads_to(words!(
            "callers on {list}, and traffic that enters there, are hurt; other nodes are not",
            "受影响的是 {list} 上的调用方以及从那里进入的流量，其他节点不受影响"
        ));
    remedies(finding, code, nodes, view)
}

fn proof(node: &NodeEvidence, faults: &[Fault<'_>]) -> Vec<Evidence> {
    let object = format!("node/{}", node.node);
    let mut proof = Vec::new();
    if let Some(health) = &node.proxy.health {
        proof.push(Evidence::new(&object, "proxy /healthz", health));
    }
    let list =
        |addresses: &[SocketAddr]| join_some(&addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), SHOWN);
    for fault in faults.iter().take(SHOWN) {
        let value = match fault.rule {
            None => "(none)".to_owned(),
            Some(rule) => match (rule.verdict, rule.endpoints.is_empty()) {
                (Verdict::Refuse, _) => "refuses".to_owned(),
                (Verdict::Drop, _) => "drops".to_owned(),
                (Verdict::Balance, true) => "no endpoint".to_owned(),
                (Verdict::Balance, false) => list(&rule.endpoints),
            },
        };
        proof.push(Evidence::new(&object, format!("rule {}", fault.way), value));
        if !fault.extra.is_empty() {
            proof.push(Evidence::new(&object, "endpoints in no slice", list(&fault.extra)));
        }
        if !fault.lacking.is_empty() {
            proof.push(Evidence::new("endpointslices", "ready endpoints without a rule", list(&fault.lacking)));
        }
    }
    let flushed = node.problems.iter().find(|problem| problem.contains("flushed"));
    proof.extend(flushed.map(|problem| Evidence::new(&object, "ruleset", problem)));
    proof
}

fn effect(nodes: &[Faulty<'_>]) -> Words {
    let faults = || nodes.iter().flat_map(|(_, faults)| faults);
    if faults().all(|fault| fault.rule.is_none()) {
        return words!(
            "packets for the Service's address are not translated: they are lost or refused",
            "发往 Service 地址的报文不会被转换：丢失或被拒绝"
        );
    }
    match (faults().any(|fault| !fault.extra.is_empty()), faults().any(|fault| !fault.lacking.is_empty())) {
        (true, _) => words!("a part of the connections goes to pods that are gone", "部分连接被送往已不存在的 Pod"),
        _ => words!("ready pods get no traffic from there", "就绪的 Pod 收不到来自那里的流量"),
    }
}

fn remedies(finding: Finding, code: &'static str, nodes: &[Faulty<'_>], view: &View<'_>) -> Finding {
    let Some((node, _)) = nodes.first() else { return finding };
    let name = &node.node;
    // Portolan's own proxy is no pod.
    let own = nodes.iter().any(|(node, _)| node.proxy.mode.as_deref() == Some("portolan"))
        || view.index.kernel().nodes.iter().any(|node| node.proxy.mode.as_deref() == Some("portolan"));
    let finding = match code {
        "proxy-rules-missing" => finding.remedy(
            words!(
                "Find out who took the rules away: firewall services that write their whole ruleset flush it.",
                "查明是谁清除了规则：会写入整套规则集的防火墙服务会把它清空。"
            ),
            [
                "nft list tables".to_owned(),
                "systemctl list-units --state=running 'firewalld*' 'nftables*' 'ufw*' 'iptables*'".to_owned(),
            ],
        ),
        _ => finding,
    };
    if own {
        return finding.remedy(
            words!(
                "The proxies run inside `portolan up`: see whether a fault is switched on, or start it again.",
                "代理运行在 `portolan up` 中：查看是否启用了故障，或重新启动它。"
            ),
            ["kubectl -n kube-system get configmap portolan-faults -o yaml".to_owned()],
        );
    }
    finding
        .remedy(
            words!("See how the proxy of the node is doing.", "查看该节点上代理的状态。"),
            [
                format!("kubectl -n kube-system get pods -l k8s-app=kube-proxy --field-selector spec.nodeName={name} -o wide"),
                "kubectl -n kube-system logs -l k8s-app=kube-proxy --tail=50 --prefix".to_owned(),
            ],
        )
        .remedy(
            words!("A restart writes all rules anew.", "重启会重新写入全部规则。"),
            [format!("kubectl -n kube-system delete pod -l k8s-app=kube-proxy --field-selector spec.nodeName={name}")],
        )
}
