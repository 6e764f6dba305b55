//! Real connections are answered: to each endpoint from its own node, from others, and to the Service's address.
//!
//! What comes from the endpoint's own node passes no other machine and no rule of the Service: it shows the program.
//! What differs between nodes shows the network.

use std::{collections::BTreeSet, net::SocketAddr};

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::{Protocol, service};

use super::{
    Outcome,
    ways::{SETTLING, Way, http_port, ready_endpoints, ways},
};
use crate::{
    Evidence, Finding, LinkId, Words,
    evidence::{Attempt, Outcome as Met, Owner, Target},
    history::seconds_between,
    view::{View, join_some, name},
    words::words,
};

/// Attempts and endpoints that are shown.
const SHOWN: usize = 4;

/// An endpoint and what attempts to reach it met.
struct Tried<'a> {
    address: SocketAddr,
    pod: Option<&'a Pod>,
    way: &'a Way,
    /// From its own node.
    near: Vec<&'a Attempt<'a>>,
    /// From elsewhere.
    far: Vec<&'a Attempt<'a>>,
}

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    let ways: Vec<Way> = ways(view).into_iter().filter(|way| way.address.is_some()).collect();
    let tried: Vec<Tried<'_>> = ways.iter().flat_map(|way| tried(view, way)).collect();
    let to_address = ways.iter().flat_map(|way| to_service(view, way));
    let attempts = tried.iter().map(|one| one.near.len() + one.far.len()).sum::<usize>() + to_address.count();
    if attempts == 0 {
        return Outcome::Skipped(words!(
            "no connection was tried; `portolan node-evidence --probe` does",
            "没有尝试连接；可用 `portolan node-evidence --probe`"
        ));
    }
    let mut findings = Vec::new();
    let near = |met: fn(&Met) -> bool| -> Vec<&Tried<'_>> {
        tried.iter().filter(|one| one.near.iter().any(|attempt| met(&attempt.probe.outcome))).collect()
    };
    let refusing = near(|met| matches!(met, Met::Refused));
    if !refusing.is_empty() {
        findings.push(refuses(view, &refusing));
    }
    let silent: Vec<&Tried<'_>> = tried.iter().filter(|one| is_silent(one)).collect();
    if !silent.is_empty() {
        findings.push(stays_silent(view, &silent));
    }
    let strange: Vec<&Tried<'_>> = tried.iter().filter(|one| other_protocol(view, one).is_some()).collect();
    if !strange.is_empty() {
        findings.push(speaks_otherwise(view, &strange));
    }
    findings.extend(lost(view, &tried, &ways, hints));
    if findings.is_empty() {
        return Outcome::ok(words!("connections tried: {attempts}, answered", "尝试了 {attempts} 次连接，均有应答"));
    }
    Outcome::Broken(findings)
}

fn tried<'a>(view: &'a View<'a>, way: &'a Way) -> Vec<Tried<'a>> {
    let endpoints = ready_endpoints(view, way);
    let kernel = view.index.kernel();
    let all = endpoints.into_iter().filter_map(|(node, address)| {
        let attempts =
            kernel.probes(address).iter().filter(|attempt| speaks(attempt, way) && is_settled(view, attempt));
        let (near, far): (Vec<_>, Vec<_>) = attempts.partition(|attempt| node == Some(attempt.node));
        let pod = view.index.pods_at(address.ip()).first().copied();
        let tried = Tried { address, pod, way, near, far };
        (!tried.near.is_empty() || !tried.far.is_empty()).then_some(tried)
    });
    all.collect()
}

/// Attempts to the Service's own address, by node.
fn to_service<'a>(view: &'a View<'a>, way: &'a Way) -> impl Iterator<Item = &'a Attempt<'a>> {
    let address = way.address.map(|address| SocketAddr::new(address, way.port));
    let all = address.map_or(&[][..], |address| view.index.kernel().probes(address));
    all.iter().filter(move |attempt| speaks(attempt, way) && is_settled(view, attempt))
}

fn speaks(attempt: &Attempt<'_>, way: &Way) -> bool {
    match attempt.target {
        Target::Tcp(_) | Target::Http { .. } => way.protocol == Protocol::Tcp,
        Target::Udp(_) => way.protocol == Protocol::Udp,
        Target::Dns { .. } => false,
    }
}

/// The pod behind has not become ready just now: then it may have begun to listen a moment after the attempt.
fn is_settled(view: &View<'_>, attempt: &Attempt<'_>) -> bool {
    let Some(evidence) = view.index.evidence(attempt.node) else { return false };
    let at = evidence.taken_at.0;
    let changes = view.selected.iter().filter_map(|pod| portolan_objects::pod::ready_changed(pod)).map(|time| time.0);
    changes.into_iter().all(|time| seconds_between(time, at) >= SETTLING)
}

fn is_lost(met: &Met) -> bool {
    matches!(met, Met::TimedOut | Met::Unreachable { .. })
}

fn answered(met: &Met) -> bool {
    matches!(met, Met::Connected | Met::Answered { .. })
}

/// Nothing came back from the endpoint although the attempt was made beside it; a datagram need not be answered.
fn is_silent(one: &Tried<'_>) -> bool {
    let mute = |attempt: &&&Attempt<'_>| match (&attempt.target, &attempt.probe.outcome) {
        (Target::Udp(_), _) => false,
        (Target::Http { .. }, Met::Connected) => true,
        (_, met) => is_lost(met),
    };
    let heard = |attempt: &&&Attempt<'_>| matches!(attempt.probe.outcome, Met::Answered { .. });
    one.near.iter().any(|attempt| mute(&attempt)) && !one.near.iter().chain(&one.far).any(|attempt| heard(&attempt))
}

/// The answer, if it is not HTTP and HTTP was asked.
fn other_protocol<'a>(view: &View<'_>, one: &'a Tried<'_>) -> Option<&'a str> {
    let text = one.near.iter().chain(&one.far).find_map(|attempt| match (&attempt.target, &attempt.probe.outcome) {
        (Target::Http { .. }, Met::Answered { text }) if !text.starts_with("HTTP/") => Some(text.as_str()),
        _ => None,
    });
    text.filter(|_| http_port(view, one.way))
}

fn met(outcome: &Met) -> String {
    match outcome {
        Met::Connected => "connected".to_owned(),
        Met::Answered { text } => format!("answered {text:?}"),
        Met::Refused => "refused".to_owned(),
        Met::TimedOut => "no answer within 2 s".to_owned(),
        Met::Unreachable { why } => format!("unreachable: {why}"),
        Met::Addresses(_) | Met::NoSuchName => String::new(),
    }
}

fn proof<'a>(attempts: impl IntoIterator<Item = &'a Attempt<'a>>) -> Vec<Evidence> {
    let told = attempts.into_iter().take(SHOWN).map(|attempt| {
        let object = match &attempt.probe.from {
            Owner::Pod { namespace, name } => format!("pod/{name} -n {namespace}"),
            _ => format!("node/{}", attempt.node),
        };
        Evidence::new(object, format!("connect {}", attempt.target), met(&attempt.probe.outcome))
    });
    told.collect()
}

/// Names of the pods, or addresses of endpoints that are no pods.
fn endpoints_text(tried: &[&Tried<'_>]) -> String {
    let named = tried.iter().map(|one| match one.pod {
        Some(pod) => format!("{} ({})", name(pod), one.address),
        None => one.address.to_string(),
    });
    join_some(&named.collect::<Vec<_>>(), SHOWN)
}

/// One pod of several at fault is the object at fault.
fn blame(view: &View<'_>, finding: Finding, tried: &[&Tried<'_>]) -> Finding {
    match tried {
        [one] if view.ready().count() > 1 => match one.pod {
            Some(pod) => finding.subject(format!("pod/{}", name(pod))),
            None => finding,
        },
        _ => finding,
    }
}

fn logs(view: &View<'_>, tried: &[&Tried<'_>]) -> String {
    match tried.iter().find_map(|one| one.pod) {
        Some(pod) => view.kubectl(&format!("logs {} --all-containers --tail=50", name(pod))),
        None => view.kubectl(&format!("get endpointslices -l kubernetes.io/service-name={}", view.name())),
    }
}

fn refuses(view: &View<'_>, tried: &[&Tried<'_>]) -> Finding {
    let list = endpoints_text(tried);
    let title = words!(
        "a ready endpoint refuses connections even from its own node: {list}",
        "就绪的端点拒绝连接，即使从其所在节点发起：{list}"
    );
    let finding = Finding::new("endpoint-refuses", LinkId::Probe, title)
        .proven_by(proof(tried.iter().flat_map(|one| one.near.iter().copied())))
        .leads_to(words!("connections that are sent there are refused", "被分到那里的连接被拒绝"))
        .remedy(
            words!(
                "See whether the program listens on this port, or a firewall in the pod or node refuses.",
                "查看程序是否监听该端口，或 Pod、节点上的防火墙是否拒绝。"
            ),
            [logs(view, tried)],
        )
        .remedy(
            words!(
                "Give the container a readiness probe on this port: it would not count as ready.",
                "为容器加上针对该端口的就绪探测：这样它就不会算作就绪。"
            ),
            [view.kubectl(&format!("get pods -l {} -o wide", view.selector_text()))],
        );
    blame(view, finding, tried)
}

fn stays_silent(view: &View<'_>, tried: &[&Tried<'_>]) -> Finding {
    let list = endpoints_text(tried);
    let accepted = tried.iter().all(|one| one.near.iter().any(|attempt| attempt.probe.outcome == Met::Connected));
    let title = match accepted {
        true => words!(
            "a ready endpoint accepts connections and answers nothing within 2 s: {list}",
            "就绪的端点接受连接，但 2 秒内没有任何应答：{list}"
        ),
        false => words!(
            "a ready endpoint does not answer even on its own node: {list}",
            "就绪的端点即使在其所在节点上也没有应答：{list}"
        ),
    };
    let finding = Finding::new("endpoint-silent", LinkId::Probe, title)
        .proven_by(proof(tried.iter().flat_map(|one| one.near.iter().copied())))
        .leads_to(words!("connections that are sent there time out", "被分到那里的连接会超时"))
        .remedy(
            words!("See what the program is busy with or waits for.", "查看程序在忙什么或等待什么。"),
            [logs(view, tried)],
        );
    blame(view, finding, tried)
}

fn speaks_otherwise(view: &View<'_>, tried: &[&Tried<'_>]) -> Finding {
    let list = endpoints_text(tried);
    let answer = tried.first().and_then(|one| other_protocol(view, one)).unwrap_or_default();
    let title = words!(
        "the Service says that its port speaks HTTP, but {list} answers {answer:?}",
        "Service 声明该端口使用 HTTP，但 {list} 的应答是 {answer:?}"
    );
    Finding::new("wrong-protocol-answer", LinkId::Probe, title)
        .proven_by(proof(tried.iter().flat_map(|one| one.near.iter().chain(&one.far).copied())))
        .leads_to(words!(
            "HTTP clients, meshes and ingress controllers that believe it fail",
            "依据该声明的 HTTP 客户端、服务网格和 Ingress 控制器会失败"
        ))
        .remedy(
            words!(
                "Correct appProtocol or the port's name, or lead targetPort to the port that speaks HTTP.",
                "改正 appProtocol 或端口名，或把 targetPort 指向使用 HTTP 的端口。"
            ),
            [view.kubectl(&format!("edit service {}", view.name()))],
        )
}

/// What gets lost or is refused on the way although the endpoint answers beside it.
fn lost(view: &View<'_>, tried: &[Tried<'_>], ways: &[Way], hints: &mut Vec<Words>) -> Option<Finding> {
    let fails = |met: &Met| is_lost(met) || *met == Met::Refused;
    let mut proven: Vec<&Attempt<'_>> = Vec::new();
    let mut callers = BTreeSet::new();
    let policies = !view.index.policies_of(view.namespace()).is_empty();
    for one in tried.iter().filter(|one| one.near.iter().any(|attempt| answered(&attempt.probe.outcome))) {
        for attempt in one.far.iter().filter(|attempt| fails(&attempt.probe.outcome)) {
            proven.push(attempt);
            callers.insert(attempt.node);
        }
        if one.far.iter().any(|attempt| fails(&attempt.probe.outcome)) {
            proven.extend(one.near.first());
        }
    }
    let (mut between, mut to_address) = (!proven.is_empty(), false);
    // The address fails where every endpoint behind it is reached: something treats the address itself.
    for way in ways {
        for attempt in to_service(view, way).filter(|attempt| fails(&attempt.probe.outcome)) {
            let behind: Vec<&Attempt<'_>> = tried
                .iter()
                .filter(|one| one.way == way)
                .flat_map(|one| one.near.iter().chain(&one.far).copied())
                .filter(|other| other.node == attempt.node && other.probe.from == attempt.probe.from)
                .collect();
            let all = !behind.is_empty() && behind.iter().all(|other| answered(&other.probe.outcome));
            if all && !service::internal_local(view.service) {
                proven.push(attempt);
                proven.extend(behind.first());
                callers.insert(attempt.node);
                to_address = true;
            }
        }
    }
    if proven.is_empty() {
        return None;
    }
    let names: Vec<String> = callers.iter().map(|node| (*node).to_owned()).collect();
    let list = join_some(&names, SHOWN);
    if policies && between && !to_address {
        hints.push(words!(
            "from {list} some endpoints are not reached; NetworkPolicies of the namespace may want it so for nodes",
            "从 {list} 无法到达部分端点；命名空间中的 NetworkPolicy 可能就是这样要求的"
        ));
        between = false;
    }
    if !between && !to_address {
        return None;
    }
    let title = match between {
        true => words!(
            "packets from {list} do not reach endpoints on other nodes, which answer beside them",
            "来自 {list} 的报文无法到达其他节点上的端点，而这些端点在本节点有应答"
        ),
        false => words!(
            "on {list} the Service's address does not answer, although every endpoint is reached from there",
            "{list} 上 Service 地址没有应答，而从那里可以到达每个端点"
        ),
    };
    let first = names.first().cloned().unwrap_or_default();
    let address = proven.first().map(|attempt| attempt.target.address().ip().to_string()).unwrap_or_default();
    let finding = Finding::new("network-drops", LinkId::Probe, title)
        .subject(format!("node/{}", names.join(",")))
        .proven_by(proof(proven.iter().copied()))
        .leads_to(words!("connections from there time out or are refused", "来自那里的连接超时或被拒绝"))
        .remedy(
            words!(
                "On {first}, look for a firewall rule that drops or rejects, and for the route to the pod.",
                "在 {first} 上查找丢弃或拒绝报文的防火墙规则，以及到该 Pod 的路由。"
            ),
            ["nft list ruleset | grep -nE 'drop|reject'".to_owned(), format!("ip route get {address}")],
        )
        .remedy(
            words!(
                "Check the network plugin's pods, and the packet size on tunnels.",
                "检查网络插件的 Pod 以及隧道的报文大小。"
            ),
            ["kubectl -n kube-system get pods -o wide".to_owned()],
        );
    Some(finding)
}
