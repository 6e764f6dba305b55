//! A pod's resolver settings were cut to what a resolver can take.
//!
//! Upstream: `pkg/kubelet/network/dns`: at most 3 name servers and 32 search domains; what is over is left out, the pod
//! starts, and DNSConfigForming shows what was applied. Only what the pod asked for itself and did not get is a fault of it:
//! a long list on the node is cut for every pod there, and what comes first stays.

use k8s_openapi::api::core::v1::Pod;

use super::caller::own_servers;
use crate::{
    Evidence, Finding, LinkId, Words,
    history::{History, evidence, message},
    view::{View, counted, join_some, name, pod_object},
    words::words,
};

/// Before the list that was applied.
const APPLIED: [&str; 2] = ["the applied nameserver line is: ", "the applied search line is: "];

/// What was cut from one pod.
struct Cut<'a> {
    pod: &'a Pod,
    field: &'static str,
    asked: Vec<String>,
    left_out: Vec<String>,
    proof: Evidence,
}

pub(super) fn truncated<'a>(view: &View<'a>, caller: Option<&'a Pod>, hints: &mut Vec<Words>) -> Option<Finding> {
    let mut cuts = Vec::new();
    let mut by_node = Vec::new();
    for pod in super::clients(view, caller) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let history = History::of(view.index, "Pod", namespace, name(pod), pod.metadata.uid.as_deref());
        let Some(event) = history.newest(&["DNSConfigForming"]) else { continue };
        let found = cut(pod, message(event), evidence(event, view.now));
        match found {
            Some(cut) => cuts.push(cut),
            None => by_node.push(name(pod).to_owned()),
        }
    }
    if cuts.is_empty() && !by_node.is_empty() {
        let list = join_some(&by_node, 3);
        hints.push(words!(
            "the node's resolv.conf is longer than pods can take, and was cut for {list}; the cluster's DNS and domains come first and stay",
            "节点的 resolv.conf 超出 Pod 的上限，{list} 的列表被截断；集群 DNS 和搜索域排在最前，不受影响"
        ));
    }
    let first = cuts.first()?;
    let (count, left_out) = (cuts.len(), join_some(&first.left_out, 3));
    let (pods, have) = counted(count);
    let field = first.field;
    let title = words!(
        "{pods} {have} more in {field} than a resolver takes: {left_out} was left out",
        "{count} 个 Pod 的 {field} 超出解析器上限：{left_out} 被丢弃"
    );
    let object = pod_object(first.pod);
    let finding = Finding::new("pod-dns-truncated", LinkId::Name, title)
        .proven_by([Evidence::new(&object, field, first.asked.join(", ")), first.proof.clone()])
        .leads_to(words!(
            "the cluster's DNS comes first and stays; names that only {left_out} knows do not resolve there",
            "集群 DNS 排在最前并保留；只有 {left_out} 才认识的名字在那里无法解析"
        ))
        .remedy(
            words!(
                "Keep the list short in the template that makes the pods: the cluster's DNS counts as one of 3 name servers. Names of other servers can be passed on by the cluster's DNS (stub domains).",
                "在创建 Pod 的模板中精简列表：集群 DNS 占 3 个名字服务器中的一个。其他服务器的域名可由集群 DNS 转发（stub domain）。"
            ),
            [
                view.kubectl(&format!("get {object} -o jsonpath='{{.spec.dnsConfig}}'")),
                "kubectl -n kube-system edit configmap coredns".to_owned(),
            ],
        )
        .explained_by("DNSConfigForming");
    Some(finding)
}

/// What the pod asked for and did not get.
fn cut<'a>(pod: &'a Pod, text: &str, proof: Evidence) -> Option<Cut<'a>> {
    let applied = |mark: &str| text.split_once(mark).map(|(_, list)| list.split_whitespace().collect::<Vec<_>>());
    let searches = || {
        let config = pod.spec.as_ref().and_then(|spec| spec.dns_config.as_ref());
        config.and_then(|config| config.searches.clone()).unwrap_or_default()
    };
    let (field, asked, applied) = match (applied(APPLIED[0]), applied(APPLIED[1])) {
        (Some(applied), _) => ("spec.dnsConfig.nameservers", own_servers(pod), applied),
        (None, Some(applied)) => ("spec.dnsConfig.searches", searches(), applied),
        (None, None) => return None,
    };
    let left_out: Vec<String> = asked.iter().filter(|one| !applied.contains(&one.as_str())).cloned().collect();
    (!left_out.is_empty()).then_some(Cut { pod, field, asked, left_out, proof })
}
