//! The cluster's DNS server: its Service, its endpoints, its answers.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use portolan_objects::{ObjectKey, endpoint, pod, service};

use crate::{
    Evidence, Finding, From, LinkId, SYSTEM_NAMESPACE, Words,
    evidence::{NodeEvidence, Outcome, Owner, Probe, Target},
    view::{View, join_some, name, pod_object},
    words::words,
};

/// The port of DNS.
const PORT: u16 = 53;
/// Seconds that a server may keep an answer that has become wrong.
const CACHED: i64 = 60;
/// What many Services suffer from together.
const SUBJECT: &str = "service/kube-dns";
/// Beginnings of the names of a DNS cache's pods on each node: pods may ask it alone, without a Service.
const NODE_CACHES: [&str; 2] = ["node-local-dns", "nodelocaldns"];
/// Labels of the server's own pods.
const SERVERS: [(&str, &str); 3] =
    [("k8s-app", "kube-dns"), ("k8s-app", "coredns"), ("app.kubernetes.io/name", "coredns")];
/// On nodes of EKS: who runs what belongs to the node. `auto` runs the DNS server there, too.
const COMPUTE_TYPE: &str = "eks.amazonaws.com/compute-type";

/// The cluster's DNS, as far as it can be seen.
pub(super) enum Server<'a> {
    /// Its Service.
    Found(&'a Service),
    /// Everything was looked at, and there is none.
    Missing,
    /// It cannot be told.
    Unknown(Words),
}

impl<'a> Server<'a> {
    pub(super) fn find(view: &View<'a>) -> Self {
        if let Some(platform) = platform(view) {
            return Self::Unknown(words!(
                "no pod of the cluster answers names here; {platform} may do it by itself",
                "此集群没有 Pod 解析域名；{platform} 可能自行解析"
            ));
        }
        if let Some(service) = view.index.dns() {
            return Self::Found(service);
        }
        let snapshot = view.snapshot;
        let readable = snapshot.has_read("services of kube-system") && snapshot.has_read("namespaces");
        if !readable || view.index.namespace(SYSTEM_NAMESPACE).is_none() {
            return Self::Unknown(words!("the cluster's own namespace could not be read", "无法读取集群系统命名空间"));
        }
        // Some distributions keep it in a namespace of its own.
        let own = snapshot.namespaces.iter().map(name).find(|namespace| namespace.contains("dns"));
        if let Some(namespace) = own {
            return Self::Unknown(words!("DNS may live in namespace {namespace}", "DNS 可能位于命名空间 {namespace}"));
        }
        let is_cache = |pod: &&&Pod| NODE_CACHES.iter().any(|cache| name(**pod).starts_with(cache));
        if let Some(cache) = view.index.pods_of(SYSTEM_NAMESPACE).iter().find(is_cache) {
            let cache = pod_object(cache);
            return Self::Unknown(words!("DNS is answered on each node ({cache})", "DNS 由各节点应答（{cache}）"));
        }
        Self::Missing
    }

    pub(super) fn service(&self) -> Option<&'a Service> {
        match self {
            Self::Found(service) => Some(service),
            Self::Missing | Self::Unknown(_) => None,
        }
    }

    /// The addresses at which pods ask it.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.service().map(service::cluster_ips).unwrap_or_default()
    }
}

/// A platform that answers names outside the cluster's pods (EKS Auto Mode in the node, GKE by Cloud DNS), where no pod of
/// the cluster does: a DNS Service without endpoints, or none at all, is no fault there.
fn platform(view: &View<'_>) -> Option<&'static str> {
    let of_node = |node: &Node| {
        let kind = node.metadata.labels.as_ref().and_then(|labels| labels.get(COMPUTE_TYPE));
        let version = node.status.as_ref().and_then(|status| Some(status.node_info.as_ref()?.kubelet_version.as_str()));
        match (kind.map(String::as_str), version) {
            (Some("auto"), _) => Some("EKS Auto Mode"),
            (_, Some(version)) if version.contains("-gke.") => Some("GKE (Cloud DNS)"),
            _ => None,
        }
    };
    let platform = view.snapshot.nodes.iter().find_map(of_node)?;
    let labelled = |pod: &Pod| {
        let labels = pod.metadata.labels.as_ref();
        SERVERS.iter().any(|(key, value)| labels.and_then(|labels| labels.get(*key)).is_some_and(|have| have == value))
    };
    let slices = view.index.dns().map(|dns| view.index.slices_of(&ObjectKey::of(dns))).unwrap_or_default();
    let answered = slices.iter().any(|slice| slice.endpoints.as_ref().is_some_and(|list| !list.is_empty()));
    (!answered && !view.index.pods_of(SYSTEM_NAMESPACE).iter().any(|pod| labelled(pod))).then_some(platform)
}

pub(super) fn evidence(service: &Service, field: &str, value: impl Into<String>) -> Evidence {
    Evidence::new(format!("service/{}", name(service)), field, value)
}

/// What is wrong with it: the first that explains the rest.
pub(super) fn broken(view: &View<'_>, server: &Server<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    match server {
        Server::Found(service) => without_endpoints(view, service).or_else(|| not_answering(view, server, hints)),
        Server::Missing => Some(missing(view)),
        Server::Unknown(_) => None,
    }
}

fn base(code: &'static str, title: Words) -> Finding {
    Finding::new(code, LinkId::Name, title)
        .subject(SUBJECT)
        .leads_to(words!("no pod can resolve the names of Services", "Pod 无法解析任何 Service 名字"))
        .leads_to(words!(
            "callers fail before they send a packet; by address the Service may work",
            "调用方在发包之前就失败；用地址访问也许仍可用"
        ))
}

fn system(arguments: &str) -> String {
    format!("kubectl -n {SYSTEM_NAMESPACE} {arguments}")
}

fn missing(view: &View<'_>) -> Finding {
    let title = words!("there is no DNS Service in {SYSTEM_NAMESPACE}", "{SYSTEM_NAMESPACE} 中没有 DNS Service");
    let pods = view.index.pods_of(SYSTEM_NAMESPACE).iter().filter(|pod| name(**pod).contains("dns"));
    let pods: Vec<String> = pods.map(|pod| name(*pod).to_owned()).collect();
    let finding = base("dns-service-missing", title)
        .proven_by([Evidence::new(SUBJECT, "-", "NotFound")])
        .proven_by((!pods.is_empty()).then(|| Evidence::new("pods", "metadata.name", join_some(&pods, 3))));
    finding
        .remedy(
            words!(
                "Make it again with the address that the kubelets have as clusterDNS; a running pod's resolv.conf shows it.",
                "用 kubelet 的 clusterDNS 地址重新创建它；运行中的 Pod 的 resolv.conf 里有该地址。"
            ),
            [
                view.kubectl("exec POD -- cat /etc/resolv.conf"),
                system("create service clusterip kube-dns --clusterip=ADDRESS --tcp=53:53"),
            ],
        )
        .remedy(
            words!("Or install the DNS add-on again.", "或重新安装 DNS 组件。"),
            ["kubeadm init phase addon coredns".to_owned()],
        )
}

fn without_endpoints(view: &View<'_>, dns: &Service) -> Option<Finding> {
    let readable = view.snapshot.has_read("endpointslices of kube-system") && view.snapshot.has_read("endpointslices");
    let slices = view.index.slices_of(&ObjectKey::of(dns));
    let endpoints = || slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    if !readable || endpoints().any(endpoint::is_ready) {
        return None;
    }
    let (count, service) = (endpoints().count(), name(dns));
    let title = match count {
        0 => words!("the cluster's DNS ({service}) has no endpoint", "集群 DNS（{service}）没有端点"),
        _ => words!(
            "none of the {count} endpoints of the cluster's DNS ({service}) is ready",
            "集群 DNS（{service}）的 {count} 个端点都未就绪"
        ),
    };
    let selector = dns.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
    let pods = match selector.is_empty() {
        true => Vec::new(),
        false => view.index.selected(SYSTEM_NAMESPACE, &selector),
    };
    let states = pods.iter().take(3).map(|pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        let ready = if pod::is_ready(pod) { "ready" } else { "not ready" };
        Evidence::new(pod_object(pod), "status", format!("{phase}, {ready}"))
    });
    let finding = base("dns-without-endpoints", title)
        .proven_by([Evidence::new("endpointslices", "endpoints[*].conditions.ready", format!("0 of {count}"))])
        .proven_by(states)
        .remedy(
            words!("Diagnose the DNS Service itself.", "先诊断 DNS Service 本身。"),
            [
                format!("portolan diagnose svc/{service} -n {SYSTEM_NAMESPACE}"),
                system(&format!("get endpointslices -l kubernetes.io/service-name={service} -o wide")),
            ],
        );
    Some(finding)
}

/// What asking the server once came to.
struct Asked<'a> {
    node: &'a str,
    probe: &'a Probe,
    /// Why it is no good; `None` if the answer is fine.
    fault: Option<Words>,
}

fn not_answering(view: &View<'_>, server: &Server<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    let asked: Vec<Asked<'_>> = view.snapshot.evidence.iter().flat_map(|node| asked(view, node, server)).collect();
    let (bad, good): (Vec<_>, Vec<_>) = asked.iter().partition(|asked| asked.fault.is_some());
    let first = *bad.first()?;
    let fault = first.fault.as_ref()?;
    let nodes: Vec<String> = bad.iter().map(|asked| asked.node.to_owned()).collect();
    if !good.is_empty() && !matches!(view.ask.from, From::Pod(_)) {
        let (list, en, zh) = (join_some(&nodes, 3), &fault.en, &fault.zh);
        hints.push(words!(
            "the cluster's DNS answers, but not everywhere: from {list} {en}",
            "集群 DNS 可用，但并非处处可用：从 {list} 看，{zh}"
        ));
        return None;
    }
    let dns = server.service()?;
    let (en, zh, service) = (&fault.en, &fault.zh, name(dns));
    let title = words!("the cluster's DNS ({service}) is no help: {en}", "集群 DNS（{service}）无法使用：{zh}");
    let proof = bad.iter().take(3).map(|asked| {
        let outcome =
            format!("{:?} after {} ms, from {}", asked.probe.outcome, asked.probe.milliseconds, asked.probe.from);
        Evidence::new(format!("node/{}", asked.node), format!("probe {}", asked.probe.target), outcome)
    });
    let finding = base("dns-not-answering", title)
        .proven_by(proof)
        .remedy(
            words!(
                "See what the DNS server says, and whether it may list Services and slices.",
                "查看 DNS 服务器日志，以及它是否有权列出 Service 和 EndpointSlice。"
            ),
            [
                system("logs -l k8s-app=kube-dns --tail=50"),
                format!("portolan diagnose svc/{service} -n {SYSTEM_NAMESPACE}"),
            ],
        )
        .remedy(
            words!(
                "Start it again. Risk: names fail for all pods while it starts, if it is the only one.",
                "重启它。风险：如果只有一个实例，重启期间所有 Pod 的域名解析都会失败。"
            ),
            [system("rollout restart deployment coredns")],
        );
    Some(finding)
}

/// What the caller asked the server, or if there is no caller in particular, everybody.
fn asked<'a>(view: &View<'_>, node: &'a NodeEvidence, server: &Server<'_>) -> Vec<Asked<'a>> {
    let wanted = |owner: &Owner| match &view.ask.from {
        From::Pod(key) => *owner == Owner::Pod { namespace: key.namespace.clone(), name: key.name.clone() },
        _ => true,
    };
    let addresses = server.addresses();
    let slices = server.service().map(|service| view.index.slices_of(&ObjectKey::of(service))).unwrap_or_default();
    let behind = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let behind: Vec<IpAddr> = behind.flat_map(|end| &end.addresses).filter_map(|text| text.parse().ok()).collect();
    let probes = node.probes.iter().filter(|probe| wanted(&probe.from));
    let asked = probes.filter_map(|probe| {
        let Ok(Target::Dns { name, server }) = probe.target.parse() else { return None };
        let virtual_ = addresses.contains(&server.ip());
        if !(virtual_ && way_is_open(node, server) || behind.contains(&server.ip())) {
            return None;
        }
        Some(Asked { node: &node.node, probe, fault: fault(view, &name, &probe.outcome) })
    });
    asked.collect()
}

/// Whether the node's rules lead to the server: if not, the proxy is at fault, and that is another link.
fn way_is_open(node: &NodeEvidence, server: SocketAddr) -> bool {
    node.proxy.rules.as_ref().is_none_or(|rules| {
        let ours = |rule: &&crate::evidence::Rule| rule.address == Some(server.ip()) && rule.port == PORT;
        rules.iter().filter(ours).any(|rule| !rule.endpoints.is_empty())
    })
}

fn fault(view: &View<'_>, asked: &str, outcome: &Outcome) -> Option<Words> {
    match outcome {
        Outcome::TimedOut => Some(words!("it does not answer", "没有应答")),
        Outcome::Refused => Some(words!("nobody listens there", "没有程序监听")),
        Outcome::Unreachable { why } => Some(words!("it cannot be reached ({why})", "无法到达（{why}）")),
        Outcome::Answered { text } => Some(words!("it answers {text}", "它返回 {text}")),
        Outcome::Connected => None,
        Outcome::NoSuchName => {
            let named = virtual_service(view, asked)?;
            Some(words!("it does not know {named}, which exists", "它不认识已存在的 {named}"))
        }
        Outcome::Addresses(addresses) => {
            let named = virtual_service(view, asked)?;
            let own = view.index.service(&named).map(service::cluster_ips).unwrap_or_default();
            if addresses.is_empty() || addresses.iter().any(|address| own.contains(address)) {
                return None;
            }
            let list = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Some(words!(
                "it answers {list} for {named}, which is not its address",
                "它对 {named} 返回 {list}，而这不是它的地址"
            ))
        }
    }
}

/// The Service of this name in DNS, if it has had a virtual address for long enough that every answer must know it.
fn virtual_service(view: &View<'_>, asked: &str) -> Option<ObjectKey> {
    let inside = asked.strip_suffix('.').unwrap_or(asked).strip_suffix(".svc.cluster.local")?;
    let (name, namespace) = inside.split_once('.')?;
    let key = ObjectKey::new(namespace, name);
    let service = view.index.service(&key)?;
    let old = view.seconds_since(&service.metadata) > CACHED;
    (old && !service::is_headless(service) && !service::is_external_name(service)).then_some(key)
}
