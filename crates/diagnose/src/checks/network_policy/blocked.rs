//! What is said of a way that policies close: which policies, what they let through instead, and the rule that opens it.

use k8s_openapi::{
    api::{
        core::v1::{Pod, ServicePort},
        networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use portolan_objects::{Protocol, pod, service};
use serde_json::{Value, json};

use super::{
    Target, enforcer,
    rules::{Direction, Policies, Port, Side, admits, rules},
    side,
};
use crate::{
    Evidence, Finding, LinkId, Words,
    checks::Outcome,
    nearest::Labels,
    view::{View, join_some, labels_text, name},
    words::words,
};

/// Labels that a rollout changes: no rule should name them.
const PASSING: &[&str] = &["pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name"];
/// The label that every namespace has: its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Who wants to reach whom.
pub(super) struct Look<'a> {
    pub(super) from: &'a Side<'a>,
    pub(super) caller: Option<&'a Pod>,
    pub(super) targets: &'a [Target<'a>],
    /// Of the Service's namespace.
    pub(super) policies: &'a Policies<'a>,
    /// Of the caller's namespace.
    pub(super) own: Option<&'a Policies<'a>>,
}

/// The policies that close the way, and the pod that they select.
fn closing<'a>(look: &Look<'a>, direction: Direction) -> (Vec<&'a NetworkPolicy>, Option<&'a Pod>) {
    let (policies, pod) = match direction {
        Direction::Ingress => (Some(look.policies), look.targets.iter().find_map(|target| target.pod)),
        Direction::Egress => (look.own, look.caller),
    };
    let found = policies.zip(pod).map(|(policies, pod)| policies.isolating(direction, pod));
    (found.unwrap_or_default(), pod)
}

pub(super) fn finding(
    view: &View<'_>,
    look: &Look<'_>,
    direction: Direction,
    refused: &[(&ServicePort, u16)],
) -> Finding {
    let (policies, _) = closing(look, direction);
    let list: Vec<String> = policies.iter().map(|policy| name(*policy).to_owned()).collect();
    let list = join_some(&list, 3);
    let ports: Vec<String> = refused.iter().map(|(port, number)| format!("{}/{}", number, protocol(port))).collect();
    let ports_text = join_some(&ports, 3);
    let (who, whom) = (who(view, look), view.name());
    // A rule for the right peer and the wrong port is a mistake that people make: policies see the pods' ports.
    let other_port = match direction {
        Direction::Ingress => policies.iter().any(|policy| admits(policy, direction, look.from, None)),
        Direction::Egress => look
            .targets
            .first()
            .is_some_and(|target| policies.iter().any(|policy| admits(policy, direction, &side(view, target), None))),
    };
    let (who_en, who_zh) = (&who.en, &who.zh);
    let title = match (direction, other_port) {
        (Direction::Ingress, false) => words!(
            "NetworkPolicy {list} lets {who_en} not in to the pods' port {ports_text}",
            "NetworkPolicy {list} 不允许{who_zh}访问 Pod 的端口 {ports_text}"
        ),
        (Direction::Ingress, true) => words!(
            "NetworkPolicy {list} lets {who_en} in to other ports only, not to the pods' port {ports_text}",
            "NetworkPolicy {list} 只允许{who_zh}访问其他端口，不包括 Pod 的端口 {ports_text}"
        ),
        (Direction::Egress, false) => words!(
            "NetworkPolicy {list} does not let {who_en} out to the pods of {whom}, port {ports_text}",
            "NetworkPolicy {list} 不允许{who_zh}访问 {whom} 的 Pod，端口 {ports_text}"
        ),
        (Direction::Egress, true) => words!(
            "NetworkPolicy {list} lets {who_en} out to the pods of {whom} on other ports only, not {ports_text}",
            "NetworkPolicy {list} 只允许{who_zh}访问 {whom} 的其他端口，不包括 {ports_text}"
        ),
    };
    let wanted = ports_of(refused);
    let peer = match direction {
        Direction::Ingress => look.caller.map(|pod| peer(pod, view.namespace())),
        Direction::Egress => {
            let home = look.caller.and_then(|pod| pod.metadata.namespace.as_deref()).unwrap_or_default();
            look.targets.first().and_then(|target| target.pod).map(|pod| peer(pod, home))
        }
    };
    told(title, &policies, direction, wanted, peer)
        .leads_to(words!("packets are dropped, so callers time out", "数据包被丢弃，调用方超时"))
}

/// The finding with all that does not depend on who and whom.
fn told(
    title: Words,
    policies: &[&NetworkPolicy],
    direction: Direction,
    ports: Vec<Value>,
    peer: Option<Value>,
) -> Finding {
    let evidence = policies.iter().take(3).flat_map(|policy| {
        let object = format!("networkpolicy/{}", name(*policy));
        let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
        [
            Evidence::new(
                &object,
                "spec.podSelector",
                selector.map(selector_text).unwrap_or_else(|| "(all pods)".into()),
            ),
            Evidence::new(&object, direction.field(), rules_text(policy, direction)),
        ]
    });
    let kind = direction.name();
    let mut finding = Finding::new("network-policy-blocks", LinkId::NetworkPolicy, title)
        .proven_by(evidence)
        .leads_to(words!(
            "a pod that a policy selects for {kind} lets through only what some such policy allows (kinds of policies other \
             than NetworkPolicy were not read)",
            "被策略选中（{kind}）的 Pod 只放行某条此类策略允许的流量（未读取 NetworkPolicy 以外的策略）"
        ));
    if let [policy] = policies {
        let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
        finding = finding.subject(format!("networkpolicy/{namespace}/{}", name(*policy)));
    }
    let Some(first) = policies.first() else { return finding };
    let (namespace, policy) = (first.metadata.namespace.as_deref().unwrap_or_default(), name(*first));
    let patch = opening(first, direction, ports, peer);
    finding.remedy(
        words!(
            "Allow it in one of the policies. Risk: check that nobody else gets in with it.",
            "在其中一条策略中放行。风险：请确认没有同时放行其他来源。"
        ),
        [
            format!("kubectl -n {namespace} get networkpolicy {policy} -o yaml"),
            format!("kubectl -n {namespace} patch networkpolicy {policy} --type json -p '{patch}'"),
        ],
    )
}

/// The patch that adds a rule.
fn opening(policy: &NetworkPolicy, direction: Direction, ports: Vec<Value>, peer: Option<Value>) -> Value {
    let (list, peers) = match direction {
        Direction::Ingress => ("/spec/ingress", "from"),
        Direction::Egress => ("/spec/egress", "to"),
    };
    let mut rule = json!({"ports": ports});
    if let Some(peer) = peer {
        rule[peers] = json!([peer]);
    }
    match rules(policy, direction).is_empty() {
        true => json!([{"op": "add", "path": list, "value": [rule]}]),
        false => json!([{"op": "add", "path": format!("{list}/-"), "value": rule}]),
    }
}

fn ports_of(refused: &[(&ServicePort, u16)]) -> Vec<Value> {
    refused.iter().map(|(port, number)| json!({"protocol": protocol(port).as_str(), "port": number})).collect()
}

fn protocol(port: &ServicePort) -> Protocol {
    Protocol::of(port.protocol.as_deref())
}

/// The pod as a peer in a policy of namespace `home`.
fn peer(pod: &Pod, home: &str) -> Value {
    let labels: Labels = pod.metadata.labels.clone().unwrap_or_default();
    let labels: Labels = labels.into_iter().filter(|(key, _)| !PASSING.contains(&key.as_str())).collect();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut peer = json!({"podSelector": {"matchLabels": labels}});
    if namespace != home {
        peer["namespaceSelector"] = json!({"matchLabels": {NAMESPACE_NAME: namespace}});
    }
    peer
}

fn who(view: &View<'_>, look: &Look<'_>) -> Words {
    match (look.caller, look.from) {
        (Some(pod), _) => {
            let (namespace, pod) = (pod.metadata.namespace.as_deref().unwrap_or_default(), name(pod));
            match namespace == view.namespace() {
                true => words!("pod {pod}", " Pod {pod} "),
                false => words!("pod {namespace}/{pod}", " Pod {namespace}/{pod} "),
            }
        }
        (None, Side::Addresses(addresses)) => {
            let address = addresses.first().map(ToString::to_string).unwrap_or_default();
            words!("{address}", " {address} ")
        }
        (None, Side::Outside) => words!("clients outside", "外部客户端"),
        (None, _) => words!("anybody", "任何人"),
    }
}

fn selector_text(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.as_ref().map(labels_text).unwrap_or_default();
    let expressions = selector.match_expressions.iter().flatten().map(|expression| {
        let values = expression.values.iter().flatten().cloned().collect::<Vec<_>>().join("|");
        format!("{} {} {values}", expression.key, expression.operator).trim_end().to_owned()
    });
    let all: Vec<String> = std::iter::once(labels).filter(|text| !text.is_empty()).chain(expressions).collect();
    if all.is_empty() { "(all pods)".to_owned() } else { all.join(", ") }
}

fn rules_text(policy: &NetworkPolicy, direction: Direction) -> String {
    let rules = rules(policy, direction);
    if rules.is_empty() {
        return "(no rule: nothing is allowed)".to_owned();
    }
    let each: Vec<String> = rules
        .into_iter()
        .map(|(peers, ports)| {
            let peers: Vec<String> = peers.into_iter().flatten().map(peer_text).collect();
            let ports: Vec<String> = ports.into_iter().flatten().map(port_text).collect();
            let peers = if peers.is_empty() { "everybody".to_owned() } else { join_some(&peers, 3) };
            let ports = if ports.is_empty() { "all ports".to_owned() } else { join_some(&ports, 3) };
            format!("{peers} on {ports}")
        })
        .collect();
    join_some(&each, 3)
}

fn peer_text(peer: &NetworkPolicyPeer) -> String {
    if let Some(block) = &peer.ip_block {
        let except = block.except.iter().flatten().cloned().collect::<Vec<_>>().join(" ");
        return if except.is_empty() { block.cidr.clone() } else { format!("{} except {except}", block.cidr) };
    }
    let pods = peer.pod_selector.as_ref().map(|selector| format!("pods {}", selector_text(selector)));
    let places = peer.namespace_selector.as_ref().map(|selector| match selector_text(selector) {
        all if all == "(all pods)" => "in all namespaces".to_owned(),
        text => format!("in namespaces {text}"),
    });
    pods.into_iter().chain(places).collect::<Vec<_>>().join(" ")
}

fn port_text(port: &NetworkPolicyPort) -> String {
    let protocol = Protocol::of(port.protocol.as_deref());
    match (&port.port, port.end_port) {
        (None, _) => format!("every {protocol} port"),
        (Some(IntOrString::Int(first)), Some(last)) => format!("{first}-{last}/{protocol}"),
        (Some(IntOrString::Int(number)), None) => format!("{number}/{protocol}"),
        (Some(IntOrString::String(name)), _) => format!("{name}/{protocol}"),
    }
}

/// The caller may reach the Service's pods, but not the cluster's DNS: it does not learn the address. `None` if it does,
/// or asks somebody else.
pub(super) fn names(view: &View<'_>, caller: &Pod, own: &Policies<'_>, hints: &mut Vec<Words>) -> Option<Outcome> {
    let policy = caller.spec.as_ref().and_then(|spec| spec.dns_policy.as_deref()).unwrap_or("ClusterFirst");
    if own.isolating(Direction::Egress, caller).is_empty() || matches!(policy, "Default" | "None") {
        return None;
    }
    let dns = view.index.dns()?;
    let namespace = dns.metadata.namespace.as_deref().unwrap_or_default();
    let selector = dns.spec.as_ref().and_then(|spec| spec.selector.clone()).filter(|labels| !labels.is_empty())?;
    // A cache on each node answers from the node's network, which policies do not cover in the same way.
    let is_cache = |pod: &&Pod| {
        pod.metadata.labels.as_ref().is_some_and(|all| all.get("k8s-app").is_some_and(|app| app == "node-local-dns"))
    };
    let servers = view.index.selected(namespace, &selector);
    if servers.is_empty() || view.index.pods_of(namespace).iter().any(is_cache) {
        return None;
    }
    let wanted = service::ports(dns).iter().find(|port| port.port == 53 && protocol(port) == Protocol::Udp)?;
    let reaches = |server: &Pod| {
        let Some(number) = pod::resolve_port(server, &service::target_port(wanted), Protocol::Udp) else { return true };
        let port = Port { number, protocol: Protocol::Udp, pod: Some(server) };
        // A server in its node's network has a node's address.
        super::on_host(server) || own.admit(Direction::Egress, caller, &Side::pod(view.index, server), &port)
    };
    if servers.iter().any(|server| reaches(server)) {
        return None;
    }
    let policies = own.isolating(Direction::Egress, caller);
    let list: Vec<String> = policies.iter().map(|policy| name(*policy).to_owned()).collect();
    let (list, pod, service) = (join_some(&list, 3), name(caller), name(dns));
    let title = words!(
        "NetworkPolicy {list} does not let pod {pod} out to the cluster's DNS ({service}, port 53)",
        "NetworkPolicy {list} 不允许 Pod {pod} 访问集群 DNS（{service}，端口 53）"
    );
    let number =
        servers.first().and_then(|server| pod::resolve_port(server, &service::target_port(wanted), Protocol::Udp));
    let number = number.unwrap_or(53);
    let ports = vec![json!({"protocol": "UDP", "port": number}), json!({"protocol": "TCP", "port": number})];
    let home = caller.metadata.namespace.as_deref().unwrap_or_default();
    let finding = told(title, &policies, Direction::Egress, ports, servers.first().map(|server| peer(server, home)))
        .leads_to(words!("the name does not resolve, so nothing is even tried", "名字无法解析，因此根本不会发起连接"));
    Some(enforcer::judge(view, None, &[], &[], finding, hints))
}
