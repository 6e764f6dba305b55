//! The slices say what the pods say. Proxies and DNS read only slices.
//! Upstream: `k8s.io/endpointslice` reconciler for what belongs into them.

use std::{collections::BTreeSet, net::IpAddr};

use k8s_openapi::api::core::v1::Endpoints;
use portolan_objects::{Family, endpoint, labels, pod, service};

use super::{Outcome, existence::forgotten};
use crate::{
    Evidence, Finding, LinkId, Words,
    history::{evidence, message, seconds_between},
    view::{View, join_some, name},
    words::words,
};

/// Pods that changed less than this many seconds ago may not have reached the slices yet.
const SETTLING: i64 = 10;

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if service::is_external_name(view.service) {
        return Outcome::Skipped(words!("an alias has no endpoints", "别名没有端点"));
    }
    if !view.snapshot.has_read("endpointslices") {
        return Outcome::Skipped(words!("the slices could not be read", "无法读取 EndpointSlice"));
    }
    let count = view.slices.len();
    let ready: BTreeSet<IpAddr> = view.ready_endpoints().filter_map(|(_, address)| address.parse().ok()).collect();
    let ready_count = ready.len();
    let proof: Vec<Evidence> = view.slices.iter().take(3).map(|slice| slice_evidence(slice)).collect();
    if view.selector.is_empty() {
        return by_hand(view, count, ready_count, proof);
    }
    if !view.snapshot.has_read("pods") {
        return Outcome::Skipped(words!("the pods could not be read", "无法读取 Pod"));
    }
    let on_its_way = || {
        Outcome::Skipped(words!(
            "pods or the Service changed less than {SETTLING} s ago; the slices may be on their way",
            "Pod 或 Service 在 {SETTLING} 秒内发生过变化，EndpointSlice 可能尚未更新"
        ))
    };
    if count == 0 {
        return if settling(view) { on_its_way() } else { Outcome::broken(missing(view, hints)) };
    }
    let families = service::families(view.service);
    let addresses = |pod: &k8s_openapi::api::core::v1::Pod| -> Vec<IpAddr> {
        pod::ips(pod).into_iter().filter(|address| families.contains(&Family::of(*address))).collect()
    };
    let wanted: BTreeSet<IpAddr> = view.ready().flat_map(addresses).collect();
    let known: BTreeSet<IpAddr> = view.live().flat_map(addresses).collect();
    let absent: Vec<String> = wanted.difference(&ready).map(ToString::to_string).collect();
    let stale: Vec<String> = controlled(view).difference(&known).map(ToString::to_string).collect();
    if !absent.is_empty() || !stale.is_empty() {
        if settling(view) {
            return on_its_way();
        }
        return Outcome::broken(disagree(view, &absent, &stale, hints).proven_by(proof));
    }
    if ready.is_empty() {
        let summary = words!("no ready endpoint, as the pods say", "没有就绪端点，与 Pod 状态一致");
        return Outcome::Mirror(summary, proof);
    }
    Outcome::Ok(
        words!("ready endpoints: {ready_count}, as the pods say", "{ready_count} 个就绪端点，与 Pod 状态一致"),
        proof,
    )
}

fn slice_evidence(slice: &k8s_openapi::api::discovery::v1::EndpointSlice) -> Evidence {
    let endpoints = slice.endpoints.iter().flatten();
    let ready = endpoints.clone().filter(|endpoint| endpoint::is_ready(endpoint)).count();
    let value = format!("{} ({ready} ready)", endpoints.count());
    Evidence::new(format!("endpointslice/{}", name(slice)), "endpoints", value)
}

/// Addresses in the slices that the slice controller writes; others may hold what their writers like.
fn controlled(view: &View<'_>) -> BTreeSet<IpAddr> {
    let ours = view.slices.iter().filter(|slice| {
        let managers = slice.metadata.labels.as_ref();
        managers.and_then(|labels| labels.get(labels::SLICE_MANAGED_BY)).map(String::as_str)
            == Some(labels::SLICE_CONTROLLER)
    });
    let endpoints = ours.flat_map(|slice| slice.endpoints.iter().flatten());
    let addresses = endpoints.flat_map(|endpoint| &endpoint.addresses);
    addresses.filter_map(|address| address.parse().ok()).collect()
}

fn settling(view: &View<'_>) -> bool {
    let changed = view.selected.iter().filter_map(|pod| pod::ready_changed(pod));
    let newest = changed.map(|time| seconds_between(time.0, view.now)).min();
    let edited = view.service.metadata.managed_fields.iter().flatten().filter_map(|entry| entry.time.as_ref());
    let edited = edited.map(|time| seconds_between(time.0, view.now)).min();
    [newest, edited, Some(view.age())].into_iter().flatten().any(|seconds| seconds < SETTLING)
}

/// A Service without selector: whoever it is must have written something.
fn by_hand(view: &View<'_>, slices: usize, ready: usize, proof: Vec<Evidence>) -> Outcome {
    if ready > 0 {
        return Outcome::Ok(
            words!(
                "ready endpoints: {ready}, written by hand or by another controller",
                "{ready} 个就绪端点，由人工或其他控制器写入"
            ),
            proof,
        );
    }
    let name = view.name();
    let in_endpoints = view.index.endpoints(&view.key).map_or(0, addresses_in);
    if slices == 0 && in_endpoints > 0 {
        let title = words!(
            "the Endpoints object has addresses ({in_endpoints}), but no slice mirrors them",
            "Endpoints 对象有 {in_endpoints} 个地址，但没有 EndpointSlice 镜像它们"
        );
        let finding = Finding::new("endpoints-not-mirrored", LinkId::Slices, title)
            .proven_by([Evidence::new(format!("endpoints/{name}"), "subsets", format!("{in_endpoints} addresses"))])
            .leads_to(words!(
                "proxies read only slices and refuse connections",
                "代理只读取 EndpointSlice，因此拒绝连接"
            ))
            .remedy(
                words!("Write an EndpointSlice; Endpoints are deprecated.", "改写 EndpointSlice；Endpoints 已弃用。"),
                [view.kubectl("apply -f endpointslice.yaml")],
            );
        return Outcome::broken(finding);
    }
    let title = words!(
        "the Service has no selector, and nobody has written a ready endpoint for it",
        "Service 没有 selector，也没有人为它写入就绪端点"
    );
    let finding = Finding::new("no-endpoints-written", LinkId::Slices, title)
        .proven_by([view.field("spec.selector", "(none)")])
        .proven_by(proof)
        .leads_to(words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"))
        .remedy(
            words!(
                "Give it a selector, or write an EndpointSlice with the label kubernetes.io/service-name={name}.",
                "为它设置 selector，或写入带有标签 kubernetes.io/service-name={name} 的 EndpointSlice。"
            ),
            [view.kubectl(&format!("get endpointslices -l {}={name}", labels::SERVICE_NAME))],
        );
    Outcome::broken(finding)
}

/// Addresses in an Endpoints object, ready or not.
fn addresses_in(endpoints: &Endpoints) -> usize {
    let count = |addresses: &Option<Vec<_>>| addresses.as_ref().map_or(0, Vec::len);
    let subsets = endpoints.subsets.iter().flatten();
    subsets.map(|subset| count(&subset.addresses) + count(&subset.not_ready_addresses)).sum()
}

fn missing(view: &View<'_>, hints: &mut Vec<Words>) -> Finding {
    let title = words!("the Service has no EndpointSlice", "Service 没有 EndpointSlice");
    let object = view.object();
    let base = Finding::new("slices-missing", LinkId::Slices, title).proven_by([Evidence::new(
        object,
        format!("endpointslices with {}", labels::SERVICE_NAME),
        "0",
    )]);
    blame(view, base, hints)
}

fn disagree(view: &View<'_>, absent: &[String], stale: &[String], hints: &mut Vec<Words>) -> Finding {
    let (missing, extra) = (join_some(absent, 3), join_some(stale, 3));
    let (code, title) = match (absent.is_empty(), stale.is_empty()) {
        (false, true) => (
            "slices-lack-ready-pods",
            words!("ready pods are missing from the slices: {missing}", "EndpointSlice 缺少就绪的 Pod：{missing}"),
        ),
        (true, _) => (
            "slices-stale",
            words!(
                "the slices hold addresses that no selected pod has: {extra}",
                "EndpointSlice 中有不属于任何选中 Pod 的地址：{extra}"
            ),
        ),
        (false, false) => (
            "slices-stale",
            words!(
                "the slices hold {extra}, which no selected pod has, and lack {missing}",
                "EndpointSlice 中有多余的 {extra}，并缺少 {missing}"
            ),
        ),
    };
    blame(view, Finding::new(code, LinkId::Slices, title), hints)
}

/// Who failed to write: the controller says so in an event, a Node is missing, or the controller is silent.
fn blame(view: &View<'_>, finding: Finding, hints: &mut Vec<Words>) -> Finding {
    let finding = finding.leads_to(words!(
        "proxies and DNS keep sending to what the slices say",
        "代理和 DNS 仍按 EndpointSlice 的内容转发"
    ));
    let service = view.name();
    let failed = ["FailedToUpdateEndpointSlices", "FailedToCreateEndpointSlices", "FailedToListPods"];
    if let Some(event) = view.history.newest(&failed) {
        let text = message(event).to_owned();
        return finding
            .proven_by([evidence(event, view.now)])
            .leads_to(words!("the slice controller failed: {text}", "slice 控制器失败：{text}"))
            .remedy(
                words!(
                    "Clear what the error names; the controller tries again by itself.",
                    "解决错误中指出的问题，控制器会自动重试。"
                ),
                [view.kubectl(&format!("describe service {service}"))],
            )
            .explained_by(event.reason.clone().unwrap_or_default());
    }
    let nodes_known = view.snapshot.has_read("nodes") && !view.snapshot.nodes.is_empty();
    let orphan = view.ready().find_map(|pod| {
        let node = pod::node(pod)?;
        let exists = view.index.node(node).is_some();
        (nodes_known && !exists).then(|| (name(pod), node))
    });
    if let Some((pod, node)) = orphan {
        return finding
            .proven_by([Evidence::new(format!("pod/{pod}"), "spec.nodeName", format!("{node} (no such Node)"))])
            .leads_to(words!("pods on a Node that does not exist are skipped", "所在 Node 不存在的 Pod 会被跳过"))
            .remedy(
                words!("Register the node again, or delete its pods.", "重新注册该节点，或删除其上的 Pod。"),
                ["kubectl get nodes".to_owned()],
            );
    }
    hints.extend(forgotten(view));
    finding
        .leads_to(words!(
            "the slice controller has not caught up and says nothing: it does not run, is not leader, or gave up",
            "slice 控制器没有跟上且没有事件：它未运行、不是 leader，或已放弃重试"
        ))
        .remedy(
            words!(
                "See that the controller runs; deleting the slices makes a running one write them again.",
                "确认控制器在运行；若在运行，删除这些 EndpointSlice 会促使它重新写入。"
            ),
            [
                "kubectl -n kube-system get leases".to_owned(),
                view.kubectl(&format!("delete endpointslices -l {}={service}", labels::SERVICE_NAME)),
            ],
        )
}
