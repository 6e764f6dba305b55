//! The pods listen where the endpoints say: on the port, with the protocol, on an address that others can reach.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::{ObjectKey, Protocol, service};

use super::{
    Outcome,
    ways::{Way, port_of, ready_endpoints, ways},
};
use crate::{
    Evidence, Finding, LinkId, Words,
    evidence::{Listening, NodeEvidence, Outcome as Met, Owner, Sockets},
    history::seconds_between,
    view::{View, join_some, name, pod_object},
    words::words,
};

/// A pod that has been ready for less than this may still be opening its sockets: without a readiness probe it counts
/// as ready at once.
const STARTING: i64 = 10;
/// Pods and sockets that are shown.
const SHOWN: usize = 3;

/// An endpoint where nobody takes connections.
struct Deaf<'a> {
    pod: &'a Pod,
    address: SocketAddr,
    protocol: Protocol,
    way: &'a Way,
    /// What the pod listens on instead.
    listening: &'a [Listening],
}

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if service::is_external_name(view.service) {
        return Outcome::Skipped(words!("an alias has no pods", "别名没有 Pod"));
    }
    let ways: Vec<Way> = ways(view).into_iter().filter(|way| way.address.is_some()).collect();
    let (mut deaf, mut looked) = (Vec::new(), 0usize);
    for way in &ways {
        // The kernel lists no listeners of SCTP where we look.
        if way.protocol == Protocol::Sctp {
            continue;
        }
        for (_, address) in ready_endpoints(view, way) {
            let pods = view
                .index
                .pods_at(address.ip())
                .iter()
                .filter(|pod| view.selected.iter().any(|own| std::ptr::eq(*own, **pod)));
            for pod in pods {
                let Some((evidence, sockets)) = sockets(view, pod) else { continue };
                looked += 1;
                if is_starting(pod, evidence)
                    || hears(&sockets.listening, address, way.protocol)
                    || reached(view, address)
                {
                    continue;
                }
                deaf.push(Deaf { pod, address, protocol: way.protocol, way, listening: &sockets.listening });
            }
        }
    }
    hints.extend(not_ready(view, &ways));
    if !deaf.is_empty() {
        let mut by_code: BTreeMap<&str, Vec<Deaf<'_>>> = BTreeMap::new();
        deaf.into_iter().for_each(|one| by_code.entry(code(&one)).or_default().push(one));
        return Outcome::Broken(by_code.iter().map(|(code, deaf)| finding(view, code, deaf)).collect());
    }
    match looked {
        0 => Outcome::Skipped(words!(
            "no evidence of the pods' sockets; `portolan node-evidence` collects it",
            "没有 Pod 套接字的证据；可用 `portolan node-evidence` 采集"
        )),
        _ => Outcome::ok(words!("the pods listen on their ports", "Pod 在其端口上监听")),
    }
}

/// The sockets of the network that the pod is in.
fn sockets<'a>(view: &View<'a>, pod: &'a Pod) -> Option<(&'a NodeEvidence, &'a Sockets)> {
    let kernel = view.index.kernel();
    let spec = pod.spec.as_ref()?;
    if spec.host_network == Some(true) {
        let node = spec.node_name.as_deref()?;
        return Some((view.index.evidence(node)?, kernel.node_sockets(node)?));
    }
    let key = ObjectKey::of(pod);
    let named = Owner::Pod { namespace: key.namespace, name: key.name };
    let by_uid = || kernel.sockets(&Owner::PodUid(pod.metadata.uid.clone()?));
    kernel.sockets(&named).or_else(by_uid)
}

fn is_starting(pod: &Pod, evidence: &NodeEvidence) -> bool {
    let changed = portolan_objects::pod::ready_changed(pod);
    changed.is_some_and(|time| seconds_between(time.0, evidence.taken_at.0) < STARTING)
}

/// A real connection got through all the same: something on the way answers for the program, as meshes do.
fn reached(view: &View<'_>, address: SocketAddr) -> bool {
    let attempts = view.index.kernel().probes(address);
    attempts.iter().any(|attempt| matches!(attempt.probe.outcome, Met::Connected | Met::Answered { .. }))
}

fn hears(listening: &[Listening], address: SocketAddr, protocol: Protocol) -> bool {
    listening.iter().any(|socket| {
        socket.port == address.port() && socket.protocol == protocol.as_str() && takes(socket.address, address.ip())
    })
}

/// A socket bound to `bound` takes what is sent to `address`. The unspecified address of IPv6 stands for both families.
fn takes(bound: IpAddr, address: IpAddr) -> bool {
    bound == address || bound.is_unspecified() && (bound.is_ipv6() || address.is_ipv4())
}

fn on_port<'a>(deaf: &Deaf<'a>) -> impl Iterator<Item = &'a Listening> {
    let port = deaf.address.port();
    deaf.listening.iter().filter(move |socket| socket.port == port)
}

fn code(deaf: &Deaf<'_>) -> &'static str {
    let same = |socket: &&Listening| socket.protocol == deaf.protocol.as_str();
    if on_port(deaf).any(|socket| same(&socket) && socket.address.is_loopback()) {
        "listens-on-loopback-only"
    } else if on_port(deaf).any(|socket| !same(&socket) && takes(socket.address, deaf.address.ip())) {
        "listens-other-protocol"
    } else {
        "nobody-listens"
    }
}

fn text(socket: &Listening) -> String {
    let program = socket.program.as_deref().map(|program| format!(" ({program})")).unwrap_or_default();
    format!("{}/{}{program}", SocketAddr::new(socket.address, socket.port), socket.protocol)
}

fn finding(view: &View<'_>, code: &str, deaf: &[Deaf<'_>]) -> Finding {
    let mut pods: Vec<String> = deaf.iter().map(|one| name(one.pod).to_owned()).collect();
    pods.dedup();
    let list = join_some(&pods, SHOWN);
    let first = &deaf[0];
    let (port, protocol) = (first.address.port(), first.protocol);
    let other = match protocol {
        Protocol::Tcp => Protocol::Udp,
        _ => Protocol::Tcp,
    };
    let (code, title) = match code {
        "listens-on-loopback-only" => (
            "listens-on-loopback-only",
            words!(
                "pod {list} listens on port {port}/{protocol} of the loopback address only",
                "Pod {list} 只在环回地址上监听端口 {port}/{protocol}"
            ),
        ),
        "listens-other-protocol" => (
            "listens-other-protocol",
            words!(
                "pod {list} listens on port {port} with {other}, but the Service sends {protocol}",
                "Pod {list} 的端口 {port} 使用 {other} 监听，而 Service 发送的是 {protocol}"
            ),
        ),
        _ => (
            "nobody-listens",
            words!(
                "nobody listens on port {port}/{protocol} in pod {list}",
                "Pod {list} 中没有程序监听端口 {port}/{protocol}"
            ),
        ),
    };
    let proof = deaf.iter().take(SHOWN).map(|one| {
        let sockets: Vec<String> = one.listening.iter().map(text).collect();
        let value = if sockets.is_empty() { "(none)".to_owned() } else { join_some(&sockets, 6) };
        Evidence::new(pod_object(one.pod), "listening sockets", value)
    });
    let mut finding = Finding::new(code, LinkId::Socket, title)
        .proven_by(port_of(view, first.way).map(|port| {
            let target = service::target_port(port);
            let target = match target {
                k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(number) => number.to_string(),
                k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::String(name) => name,
            };
            view.field("spec.ports[*].targetPort", target)
        }))
        .proven_by(proof)
        .leads_to(words!("the pod's kernel refuses connections", "Pod 的内核拒绝连接"));
    let total = view.ready().count();
    if pods.len() < total {
        let some = pods.len();
        finding = finding.leads_to(words!(
            "{some} of {total} ready pods: that part of the connections fails",
            "{total} 个就绪 Pod 中的 {some} 个：相应比例的连接失败"
        ));
        if let [pod] = pods.as_slice() {
            finding = finding.subject(format!("pod/{pod}"));
        }
    }
    remedies(view, finding, first)
}

fn remedies(view: &View<'_>, finding: Finding, deaf: &Deaf<'_>) -> Finding {
    let service = view.name();
    let (pod, port) = (name(deaf.pod), deaf.address.port());
    let index = port_of(view, deaf.way)
        .and_then(|port| service::ports(view.service).iter().position(|known| std::ptr::eq(known, port)))
        .unwrap_or_default();
    match finding.code {
        "listens-on-loopback-only" => finding.remedy(
            words!(
                "Let the program listen on 0.0.0.0 or ::, by its flags, environment or configuration.",
                "让程序监听 0.0.0.0 或 ::（通过参数、环境变量或配置）。"
            ),
            [view.kubectl(&format!("describe pod {pod}"))],
        ),
        "listens-other-protocol" => {
            let protocol = if deaf.protocol == Protocol::Tcp { "UDP" } else { "TCP" };
            finding.remedy(
                words!("Correct the protocol of the Service's port.", "改正 Service 端口的协议。"),
                [view.kubectl(&format!(
                    "patch service {service} --type json -p '[{{\"op\":\"replace\",\"path\":\"/spec/ports/{index}/protocol\",\"value\":\"{protocol}\"}}]'"
                ))],
            )
        }
        _ => {
            // With a single open port there is nothing else it could mean.
            let reachable = |socket: &&Listening| {
                socket.protocol == deaf.protocol.as_str() && takes(socket.address, deaf.address.ip())
            };
            let mut others: Vec<u16> = deaf.listening.iter().filter(reachable).map(|socket| socket.port).collect();
            others.dedup();
            let finding = match others.as_slice() {
                [only] => finding.remedy(
                    words!("The pod listens on {only}: lead the port there.", "Pod 监听的是 {only}：把端口指向它。"),
                    [view.kubectl(&format!(
                        "patch service {service} --type json -p '[{{\"op\":\"replace\",\"path\":\"/spec/ports/{index}/targetPort\",\"value\":{only}}}]'"
                    ))],
                ),
                _ => finding,
            };
            finding.remedy(
                words!(
                    "See why the program does not listen on {port}: its log, its configuration.",
                    "查明程序为何不监听 {port}：查看其日志和配置。"
                ),
                [view.kubectl(&format!("logs {pod} --all-containers --tail=50"))],
            )
        }
    }
}

/// Pods that are not ready: why is the business of another link, but an unopened port is worth a word.
fn not_ready(view: &View<'_>, ways: &[Way]) -> Option<Words> {
    let waiting = view.live().filter(|pod| !portolan_objects::pod::is_ready(pod));
    for pod in waiting {
        let Some((_, sockets)) = sockets(view, pod) else { continue };
        for way in ways.iter().filter(|way| way.protocol != Protocol::Sctp) {
            let port = port_of(view, way)?;
            let number = portolan_objects::pod::resolve_port(pod, &service::target_port(port), way.protocol);
            let address = portolan_objects::pod::ips(pod).first().copied();
            let (Some(number), Some(address)) = (number, address) else { continue };
            if !hears(&sockets.listening, SocketAddr::new(address, number), way.protocol) {
                let (pod, protocol) = (name(pod), way.protocol);
                return Some(words!(
                    "pod {pod} is not ready, and nobody in it takes connections on port {number}/{protocol} from outside",
                    "Pod {pod} 未就绪，且其中没有程序在端口 {number}/{protocol} 上接受外部连接"
                ));
            }
        }
    }
    None
}
