//! Whether anybody enforces NetworkPolicies here. The API server only keeps them; a network plugin may enforce them, or not.

use std::net::SocketAddr;

use k8s_openapi::api::core::v1::{Pod, ServicePort};
use portolan_objects::{Protocol, pod, service};

use super::{Target, port};
use crate::{
    Evidence, Finding, Index, Words,
    checks::{Outcome, pods},
    evidence::{Outcome as Met, Owner, Verdict},
    view::{View, name, pod_object},
    words::words,
};

/// Where network plugins live.
const NAMESPACES: &[&str] =
    &["kube-system", "calico-system", "cilium", "openshift-ovn-kubernetes", "ovn-kubernetes", "kube-router", "weave"];
/// Labels by which their pods are known.
const KEYS: &[&str] = &["k8s-app", "app", "name", "app.kubernetes.io/name", "component"];
/// Values of those labels: plugins that enforce unless they are told not to.
const PLUGINS: &[&str] = &[
    "calico-node",
    "canal",
    "cilium",
    "cilium-agent",
    "antrea",
    "antrea-agent",
    "kube-router",
    "weave-net",
    "azure-npm",
    "ovnkube-node",
    "kube-ovn-cni",
    "kube-network-policies",
    "romana-agent",
];
/// Distributions whose node program enforces by itself.
const BUILT_IN: &[&str] = &["+k3s"];

/// What shows that somebody does.
fn search(index: &Index<'_>) -> Option<Evidence> {
    let known = |pod: &&&Pod| {
        let labels = pod.metadata.labels.as_ref();
        let value = |key: &&str| labels.and_then(|labels| labels.get(*key)).map(String::as_str);
        KEYS.iter().filter_map(value).any(|value| PLUGINS.contains(&value)) && pods::runs(pod)
    };
    let plugin = NAMESPACES.iter().find_map(|namespace| {
        let pod = index.pods_of(namespace).iter().find(known)?;
        Some(Evidence::new(
            pod_object(pod),
            "status.phase",
            format!("Running (namespace {namespace}, enforces policies)"),
        ))
    });
    plugin.or_else(|| {
        index.snapshot.nodes.iter().find_map(|node| {
            let version = &node.status.as_ref()?.node_info.as_ref()?.kubelet_version;
            let built_in = BUILT_IN.iter().any(|mark| version.contains(mark));
            built_in.then(|| Evidence::new(format!("node/{}", name(node)), "status.nodeInfo.kubeletVersion", version))
        })
    })
}

/// What became of the caller's own attempts to reach the targets.
enum Tried {
    Silence(Evidence),
    Answer(Evidence),
}

fn tried(view: &View<'_>, caller: &Pod, targets: &[Target<'_>], refused: &[(&ServicePort, u16)]) -> Option<Tried> {
    let evidence = view.index.evidence(pod::node(caller)?)?;
    let owner =
        Owner::Pod { namespace: caller.metadata.namespace.clone().unwrap_or_default(), name: name(caller).to_owned() };
    let direct = targets.iter().flat_map(|target| {
        let ports = refused.iter().filter_map(|(service_port, _)| port(target, service_port));
        ports.map(|port| SocketAddr::new(target.address, port.number))
    });
    let mut ends = direct.chain(translated(view, &evidence.node, refused));
    ends.find_map(|end| {
        let end = end.to_string();
        let probe = evidence.probes.iter().find(|probe| {
            let (_, address) = probe.target.split_once("://").unwrap_or_default();
            probe.from == owner && address.split('/').next() == Some(end.as_str())
        })?;
        let fact = |text: &str| Evidence::new(pod_object(caller), format!("probe {}", probe.target), text);
        match probe.outcome {
            Met::TimedOut => Some(Tried::Silence(fact("no answer"))),
            Met::Connected | Met::Answered { .. } => Some(Tried::Answer(fact("answered"))),
            _ => None,
        }
    })
}

/// The Service's own addresses that the node translates: what is lost behind them is lost on the way to the pods.
fn translated(view: &View<'_>, node: &str, refused: &[(&ServicePort, u16)]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for (port, _) in refused {
        let Some(number) = u16::try_from(port.port).ok() else { continue };
        let protocol = Protocol::of(port.protocol.as_deref());
        for address in service::cluster_ips(view.service) {
            let rule = view.index.kernel().rule(node, Some(address), number, protocol.as_str());
            if rule.is_some_and(|rule| rule.verdict == Verdict::Balance) {
                found.push(SocketAddr::new(address, number));
            }
        }
    }
    found
}

/// A finding where policies are enforced, a hint where nothing shows that they are.
pub(super) fn judge(
    view: &View<'_>,
    caller: Option<&Pod>,
    targets: &[Target<'_>],
    refused: &[(&ServicePort, u16)],
    finding: Finding,
    hints: &mut Vec<Words>,
) -> Outcome {
    let proof = match caller.and_then(|caller| tried(view, caller, targets, refused)) {
        Some(Tried::Answer(fact)) => {
            let (en, zh) = (&finding.title.en, &finding.title.zh);
            hints.push(words!(
                "{en}; yet a real connection was answered, so nobody enforces it",
                "{zh}；但实际连接得到了响应，说明没有组件执行该策略"
            ));
            return Outcome::Ok(words!("a real connection went through", "实际连接已通过"), vec![fact]);
        }
        Some(Tried::Silence(fact)) => Some(fact),
        None => None,
    };
    let proof = proof.or_else(|| view.index.enforcer(|| search(view.index)).cloned());
    if let Some(proof) = proof {
        return Outcome::broken(finding.proven_by([proof]));
    }
    let (en, zh) = (&finding.title.en, &finding.title.zh);
    hints.push(words!(
        "{en}; nothing seen here is known to enforce NetworkPolicies, so it may have no effect",
        "{zh}；此处未发现会执行 NetworkPolicy 的组件，因此它可能不起作用"
    ));
    Outcome::Skipped(words!(
        "a policy keeps callers out, but nothing seen here is known to enforce policies",
        "有策略拒绝访问，但此处未发现会执行 NetworkPolicy 的组件"
    ))
}
