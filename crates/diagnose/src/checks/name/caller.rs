//! Whom a pod asks for names.
//! Upstream: `pkg/kubelet/network/dns`: `Default`, and `ClusterFirst` with the node's network, take the node's resolvers;
//! `None` takes those of the pod's `dnsConfig`.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use portolan_objects::{pod, service};

use super::{node, server::Server};
use crate::{
    Evidence, Finding, LinkId, Words,
    view::{View, name, pod_object},
    words::words,
};

/// Where a pod's resolver leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolver {
    /// To the cluster's DNS.
    Cluster,
    /// To the node's.
    Node,
    /// To servers of its own.
    Own,
}

pub(super) fn resolver(pod: &Pod) -> Resolver {
    let spec = pod.spec.as_ref();
    let host = spec.and_then(|spec| spec.host_network).unwrap_or(false);
    match (policy(spec), host) {
        ("None", _) => Resolver::Own,
        ("Default", _) | ("ClusterFirst", true) => Resolver::Node,
        _ => Resolver::Cluster,
    }
}

fn policy(spec: Option<&PodSpec>) -> &str {
    spec.and_then(|spec| spec.dns_policy.as_deref()).unwrap_or("ClusterFirst")
}

/// Name servers of the pod's own `dnsConfig`.
pub(super) fn own_servers(pod: &Pod) -> Vec<String> {
    let config = pod.spec.as_ref().and_then(|spec| spec.dns_config.as_ref());
    config.and_then(|config| config.nameservers.clone()).unwrap_or_default()
}

/// The caller does not ask the cluster's DNS.
pub(super) fn bypasses(view: &View<'_>, caller: &Pod, server: &Server<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    let cluster = server.addresses();
    let is_cluster = |address: IpAddr| cluster.contains(&address) || is_node_cache(address);
    match resolver(caller) {
        Resolver::Cluster => None,
        Resolver::Own => {
            let servers = own_servers(caller);
            let asks_cluster = servers.iter().filter_map(|text| text.parse().ok()).any(is_cluster);
            if !asks_cluster && !cluster.is_empty() {
                let list = servers.join(", ");
                let pod = name(caller);
                // Such a server may well pass the cluster's domain on.
                hints.push(words!(
                    "pod {pod} asks {list} for names (dnsPolicy None), not the cluster's DNS; Service names work only if that server knows them",
                    "Pod {pod} 使用 {list} 解析域名（dnsPolicy None），而不是集群 DNS；只有该服务器认识 Service 名字时才可用"
                ));
            }
            None
        }
        Resolver::Node => {
            let servers = node::servers(view, caller);
            if servers.iter().any(|address| is_cluster(*address)) {
                return None;
            }
            Some(finding(view, caller, &cluster, &servers))
        }
    }
}

/// A cache of the cluster's DNS on each node has a link-local address.
fn is_node_cache(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_link_local())
}

fn finding(view: &View<'_>, caller: &Pod, cluster: &[IpAddr], servers: &[IpAddr]) -> Finding {
    let spec = caller.spec.as_ref();
    let (object, policy) = (pod_object(caller), policy(spec));
    let host = spec.and_then(|spec| spec.host_network).unwrap_or(false);
    let title = match host && policy == "ClusterFirst" {
        true => words!(
            "{object} uses the node's network with dnsPolicy ClusterFirst, which there means the node's DNS",
            "{object} 使用主机网络且 dnsPolicy 为 ClusterFirst，此时实际使用节点的 DNS"
        ),
        false => words!(
            "{object} has dnsPolicy {policy}: it asks the node's DNS, which knows no Services",
            "{object} 的 dnsPolicy 为 {policy}：它使用节点的 DNS，而节点 DNS 不认识 Service"
        ),
    };
    let wanted = if host { "ClusterFirstWithHostNet" } else { "ClusterFirst" };
    let namespace = caller.metadata.namespace.clone().unwrap_or_default();
    let list = |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let node = pod::node(caller).unwrap_or("?");
    let node_proof = (!servers.is_empty()).then(|| Evidence::new(format!("node/{node}"), "resolv.conf", list(servers)));
    let mut finding = Finding::new("pod-bypasses-cluster-dns", LinkId::Name, title)
        .subject(object.clone())
        .proven_by([
            Evidence::new(&object, "spec.dnsPolicy", policy),
            Evidence::new(&object, "spec.hostNetwork", host.to_string()),
        ])
        .proven_by(node_proof)
        .leads_to(words!("the names of Services do not resolve in that pod", "该 Pod 中无法解析 Service 名字"))
        .leads_to(words!("its calls by name fail; calls by address work", "它按名字的访问会失败；按地址的访问正常"))
        .remedy(
            words!(
                "Set dnsPolicy {wanted} in the template that makes the pod; the field of a running pod cannot be changed.",
                "在创建该 Pod 的模板中设置 dnsPolicy {wanted}；运行中 Pod 的该字段不可修改。"
            ),
            owner_patch(caller, &namespace, wanted),
        );
    let addresses = service::cluster_ips(view.service);
    if let (Some(address), false) = (addresses.first(), cluster.is_empty()) {
        finding = finding.remedy(
            words!("Or ask the cluster's DNS explicitly, or call the address.", "或显式查询集群 DNS，或直接使用地址。"),
            [format!(
                "nslookup {}.{}.svc.cluster.local {}   # {address}",
                view.name(),
                view.namespace(),
                cluster.first().map(ToString::to_string).unwrap_or_default()
            )],
        );
    }
    finding
}

/// The patch of the Deployment behind the pod, as far as its name tells; else how to look at the pod.
fn owner_patch(caller: &Pod, namespace: &str, policy: &str) -> Vec<String> {
    let owner = caller.metadata.owner_references.as_ref().and_then(|owners| owners.first());
    let target = owner.and_then(|owner| match owner.kind.as_str() {
        "ReplicaSet" => owner.name.rsplit_once('-').map(|(deployment, _)| format!("deployment {deployment}")),
        "StatefulSet" | "DaemonSet" => Some(format!("{} {}", owner.kind.to_ascii_lowercase(), owner.name)),
        _ => None,
    });
    match target {
        Some(target) => vec![format!(
            "kubectl -n {namespace} patch {target} --type merge -p '{{\"spec\":{{\"template\":{{\"spec\":{{\"dnsPolicy\":\"{policy}\"}}}}}}}}'"
        )],
        None => vec![format!("kubectl -n {namespace} get pod {} -o yaml", name(caller))],
    }
}
