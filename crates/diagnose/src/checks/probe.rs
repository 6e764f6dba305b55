//! Real connections are answered: to each endpoint from its own pod, its node and from others, and to the Service's address.
//!
//! What comes from inside the pod, or else from its own node, shows the program. What differs between places shows the
//! network between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::{ObjectKey, Protocol, selector::Selector, service};

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
    /// From inside the pod.
    inside: Vec<&'a Attempt<'a>>,
    /// From its own node.
    near: Vec<&'a Attempt<'a>>,
    /// From elsewhere.
    far: Vec<&'a Attempt<'a>>,
}

impl<'a> Tried<'a> {
    /// Those that show the program: nothing else is on their way, or at most the node that the pod is on.
    fn witnesses(&self) -> &[&'a Attempt<'a>] {
        if self.inside.is_empty() { &self.near } else { &self.inside }
    }

    fn all(&self) -> impl Iterator<Item = &'a Attempt<'a>> {
        self.inside.iter().chain(&self.near).chain(&self.far).copied()
    }

    /// The program took a connection.
    fn is_alive(&self) -> bool {
        self.witnesses().iter().any(|attempt| answered(&attempt.probe.outcome))
    }

    /// Refused on the node that the pod is on, although the program takes connections inside the pod.
    fn is_refused_beside(&self) -> bool {
        !self.inside.is_empty() && self.is_alive() && self.near.iter().any(|a| a.probe.outcome == Met::Refused)
    }
}

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    let ways: Vec<Way> = ways(view).into_iter().filter(|way| way.address.is_some()).collect();
    let tried: Vec<Tried<'_>> = ways.iter().flat_map(|way| tried(view, way)).collect();
    let to_address = ways.iter().flat_map(|way| to_service(view, way));
    let attempts = tried.iter().map(|one| one.all().count()).sum::<usize>() + to_address.count();
    if attempts == 0 {
        return Outcome::Skipped(words!(
            "no connection was tried; `portolan node-evidence --probe` does",
            "没有尝试连接；可用 `portolan node-evidence --probe`"
        ));
    }
    let impaired = impaired(&tried);
    // A node that reaches nothing says little of the programs on it.
    let shows = |one: &&Tried<'_>| !one.inside.is_empty() || !one.near.iter().any(|a| impaired.contains(a.node));
    let of = |fits: &dyn Fn(&Tried<'_>) -> bool| -> Vec<&Tried<'_>> {
        tried.iter().filter(shows).filter(|one| fits(one)).collect()
    };
    let mut findings = Vec::new();
    let refusing =
        of(&|one| one.witnesses().iter().any(|a| a.probe.outcome == Met::Refused) || one.is_refused_beside());
    if !refusing.is_empty() {
        findings.push(refuses(view, &refusing));
    }
    let silent = of(&is_silent);
    if !silent.is_empty() {
        findings.push(stays_silent(view, &silent));
    }
    let strange = of(&|one| other_protocol(view, one).is_some());
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
    let kernel = view.index.kernel();
    let all = ready_endpoints(view, way).into_iter().filter_map(|(node, address)| {
        let attempts = kernel.probes(address).iter();
        let usable = attempts.filter(|attempt| speaks(attempt, way) && is_settled(view, attempt));
        let pod = match view.index.pods_at(address.ip()) {
            [pod] => Some(*pod),
            _ => None,
        };
        let mut tried = Tried { address, pod, way, inside: Vec::new(), near: Vec::new(), far: Vec::new() };
        for attempt in usable {
            let place = match &attempt.probe.from {
                Owner::Node if node == Some(attempt.node) => &mut tried.near,
                from if pod.is_some_and(|pod| is_of(from, pod)) => &mut tried.inside,
                _ => &mut tried.far,
            };
            place.push(attempt);
        }
        let any = tried.all().next().is_some();
        any.then_some(tried)
    });
    all.collect()
}

fn is_of(owner: &Owner, pod: &Pod) -> bool {
    let metadata = &pod.metadata;
    match owner {
        Owner::Node => false,
        Owner::Pod { namespace, name } => {
            metadata.namespace.as_ref() == Some(namespace) && metadata.name.as_ref() == Some(name)
        }
        Owner::PodUid(uid) => metadata.uid.as_ref() == Some(uid),
    }
}

/// Nodes from which endpoints elsewhere are not reached that work where they are.
fn impaired<'a>(tried: &[Tried<'a>]) -> BTreeSet<&'a str> {
    let alive = tried.iter().filter(|one| one.is_alive());
    let failing = alive.flat_map(|one| one.far.iter().filter(|attempt| fails(attempt)));
    failing.map(|attempt| attempt.node).collect()
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

/// It did not get through; of datagrams only a refusal says so.
fn fails(attempt: &Attempt<'_>) -> bool {
    let met = &attempt.probe.outcome;
    *met == Met::Refused || is_lost(met) && !matches!(attempt.target, Target::Udp(_))
}

/// Nothing came back from the endpoint although the attempt was made beside it; a datagram need not be answered.
fn is_silent(one: &Tried<'_>) -> bool {
    let mute = |attempt: &Attempt<'_>| match (&attempt.target, &attempt.probe.outcome) {
        (Target::Udp(_), _) => false,
        (Target::Http { .. }, Met::Connected) => true,
        (_, met) => is_lost(met),
    };
    let heard = |attempt: &Attempt<'_>| matches!(attempt.probe.outcome, Met::Answered { .. });
    one.witnesses().iter().any(|attempt| mute(attempt)) && !one.all().any(heard)
}

/// The answer, if it is not HTTP and HTTP was asked.
fn other_protocol<'a>(view: &View<'_>, one: &'a Tried<'_>) -> Option<&'a str> {
    let text = one.all().find_map(|attempt| match (&attempt.target, &attempt.probe.outcome) {
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
    let beside = tried.iter().all(|one| one.is_refused_beside());
    let title = match beside {
        true => words!(
            "something on the node refuses connections to a ready endpoint that takes them inside its pod: {list}",
            "就绪的端点在 Pod 内部接受连接，但节点上有东西拒绝了到它的连接：{list}"
        ),
        false => words!(
            "a ready endpoint refuses connections even beside it: {list}",
            "就绪的端点拒绝连接，即使从其近旁发起：{list}"
        ),
    };
    let shown = tried.iter().flat_map(|one| one.inside.iter().chain(&one.near).copied());
    let finding = Finding::new("endpoint-refuses", LinkId::Probe, title)
        .proven_by(proof(shown))
        .leads_to(words!("connections that are sent there are refused", "被分到那里的连接被拒绝"));
    if beside {
        let address = tried.first().map(|one| one.address.ip().to_string()).unwrap_or_default();
        let nodes: BTreeSet<&str> = tried.iter().flat_map(|one| one.near.iter().map(|attempt| attempt.node)).collect();
        let nodes = nodes.into_iter().collect::<Vec<_>>().join(",");
        return finding.subject(format!("node/{nodes}")).remedy(
            words!("Look for the firewall rule on {nodes} that rejects.", "在 {nodes} 上查找拒绝连接的防火墙规则。"),
            ["nft list ruleset | grep -n reject".to_owned(), format!("ip route get {address}")],
        );
    }
    let finding = finding
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
    let accepted =
        tried.iter().all(|one| one.witnesses().iter().any(|attempt| attempt.probe.outcome == Met::Connected));
    let title = match accepted {
        true => words!(
            "a ready endpoint accepts connections and answers nothing within 2 s: {list}",
            "就绪的端点接受连接，但 2 秒内没有任何应答：{list}"
        ),
        false => words!(
            "a ready endpoint does not answer even beside it: {list}",
            "就绪的端点即使从其近旁访问也没有应答：{list}"
        ),
    };
    let finding = Finding::new("endpoint-silent", LinkId::Probe, title)
        .proven_by(proof(tried.iter().flat_map(|one| one.witnesses().iter().copied())))
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
        .proven_by(proof(tried.iter().flat_map(|one| one.all())))
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

/// What gets lost or is refused on the way although the program takes connections.
fn lost(view: &View<'_>, tried: &[Tried<'_>], ways: &[Way], hints: &mut Vec<Words>) -> Option<Finding> {
    let mut losses = between(tried);
    let policed = tried.iter().any(|one| one.pod.is_some_and(|pod| is_policed(view, pod)))
        || losses.iter().any(|(failed, _)| caller(view, failed).is_some_and(|pod| is_policed(view, pod)));
    if policed && !losses.is_empty() {
        let list = callers(&losses).join(", ");
        hints.push(words!(
            "from {list} some endpoints are not reached; the NetworkPolicies that select the pods or the caller may want it so",
            "从 {list} 无法到达部分端点；选中这些 Pod 或调用方的 NetworkPolicy 可能就是这样要求的"
        ));
        losses.clear();
    }
    let pods = !losses.is_empty();
    if !pods {
        losses = at_the_address(view, tried, ways);
    }
    if losses.is_empty() {
        return None;
    }
    let names = callers(&losses);
    let list = join_some(&names, SHOWN);
    let title = match pods {
        true => words!(
            "packets from {list} do not reach endpoints whose programs take connections",
            "来自 {list} 的报文无法到达端点，而其中的程序接受连接"
        ),
        false => words!(
            "on {list} the Service's address does not answer, although every endpoint is reached from there",
            "{list} 上 Service 地址没有应答，而从那里可以到达每个端点"
        ),
    };
    let first = names.first().cloned().unwrap_or_default();
    let address = losses.first().map(|(failed, _)| failed.target.address().ip().to_string()).unwrap_or_default();
    let finding = Finding::new("network-drops", LinkId::Probe, title)
        .subject(format!("node/{}", names.join(",")))
        .proven_by(proof(losses.iter().flat_map(|(failed, fine)| [Some(*failed), *fine]).flatten()))
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

/// An attempt that failed, and one to the same end that did not.
type Loss<'a> = (&'a Attempt<'a>, Option<&'a Attempt<'a>>);

fn callers(losses: &[Loss<'_>]) -> Vec<String> {
    let nodes: BTreeSet<&str> = losses.iter().map(|(failed, _)| failed.node).collect();
    nodes.into_iter().map(str::to_owned).collect()
}

/// Attempts to endpoints that are alive; what is refused on the endpoint's own node is told as that.
fn between<'a>(tried: &[Tried<'a>]) -> Vec<Loss<'a>> {
    let mut losses = Vec::new();
    for one in tried.iter().filter(|one| one.is_alive() && !one.is_refused_beside()) {
        let fine = one.witnesses().iter().find(|attempt| answered(&attempt.probe.outcome)).copied();
        let near = one.near.iter().filter(|_| !one.inside.is_empty());
        let failed = near.chain(&one.far).filter(|attempt| fails(attempt)).copied();
        losses.extend(failed.map(|failed| (failed, fine)));
    }
    losses
}

/// The address fails where every endpoint behind it is reached: something treats the address itself.
fn at_the_address<'a>(view: &'a View<'a>, tried: &[Tried<'a>], ways: &'a [Way]) -> Vec<Loss<'a>> {
    let mut losses = Vec::new();
    // Under policy Local an address need not answer everywhere.
    for way in ways.iter().filter(|_| !service::internal_local(view.service)) {
        for failed in to_service(view, way).filter(|attempt| fails(attempt)) {
            let behind: Vec<&Attempt<'_>> = tried
                .iter()
                .filter(|one| one.way == way)
                .flat_map(Tried::all)
                .filter(|other| other.node == failed.node && other.probe.from == failed.probe.from)
                .collect();
            if !behind.is_empty() && behind.iter().all(|other| answered(&other.probe.outcome)) {
                losses.push((failed, behind.first().copied()));
            }
        }
    }
    losses
}

/// The pod whose network the attempt was made in.
fn caller<'a>(view: &View<'a>, attempt: &Attempt<'_>) -> Option<&'a Pod> {
    match &attempt.probe.from {
        Owner::Pod { namespace, name } => view.index.pod(&ObjectKey::new(namespace.clone(), name.clone())),
        _ => None,
    }
}

/// Some policy selects the pod. What exactly it allows is the business of another link.
fn is_policed(view: &View<'_>, pod: &Pod) -> bool {
    let none = BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let policies = view.index.policies_of(namespace).iter().filter_map(|policy| policy.spec.as_ref());
    policies.into_iter().any(|spec| {
        let selector = spec.pod_selector.clone().unwrap_or_default();
        Selector::from_label_selector(&selector).is_ok_and(|selector| selector.matches(labels))
    })
}
