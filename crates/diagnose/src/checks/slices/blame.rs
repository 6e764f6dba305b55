//! Who failed to write the slices: the API refused and an event says so, a Node is missing, or the controller is silent.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use portolan_objects::{labels, pod};

use super::super::existence::forgotten;
use crate::{
    Evidence, Finding, Words,
    history::{evidence, last_seen, message},
    view::{View, name},
    words::words,
};

/// How the slice controller says that it could not, upstream and in Portolan's own words.
const FAILED: &[&str] = &[
    "FailedToUpdateEndpointSlices",
    "FailedToUpdateEndpointSlice",
    "FailedToCreateEndpointSlice",
    "FailedToDeleteEndpointSlice",
    "FailedToListPods",
    "FailedToListEndpointSlices",
];

/// Completes a finding about slices that are not what they should be. `absent` are the pods that they lack.
pub(super) fn blame(view: &View<'_>, finding: Finding, absent: &[&Pod], hints: &mut Vec<Words>) -> Finding {
    let finding = finding.leads_to(words!(
        "proxies and DNS keep sending to what the slices say",
        "代理和 DNS 仍按 EndpointSlice 的内容转发"
    ));
    if let Some((pod, node)) = on_no_node(view, absent) {
        return without_node(finding, pod, node);
    }
    if let Some(event) = refusal(view, absent) {
        return refused(view, finding, event);
    }
    hints.extend(forgotten(view));
    let service = view.name();
    finding
        .leads_to(words!(
            "the slice controller has not caught up and says nothing: it does not run, is not leader, or gave up",
            "slice 控制器没有跟上且没有事件：它未运行、不是 leader，或已放弃重试"
        ))
        .remedy(
            words!(
                "See that the controller runs; deleting the slices makes a running one write them again. Risk: until it has, \
                 the Service has no endpoint.",
                "确认控制器在运行；若在运行，删除这些 EndpointSlice 会促使它重新写入。风险：写入之前 Service 没有端点。"
            ),
            [
                "kubectl -n kube-system get leases".to_owned(),
                view.kubectl(&format!("delete endpointslices -l {}={service}", labels::SERVICE_NAME)),
            ],
        )
}

/// A pod whose Node object does not exist: the controller leaves such pods out.
fn on_no_node<'a>(view: &View<'a>, absent: &[&'a Pod]) -> Option<(&'a str, &'a str)> {
    if !view.snapshot.has_read("nodes") || view.snapshot.nodes.is_empty() {
        return None;
    }
    absent.iter().find_map(|pod| {
        let node = pod::node(pod)?;
        view.index.node(node).is_none().then(|| (name(*pod), node))
    })
}

fn without_node(finding: Finding, pod: &str, node: &str) -> Finding {
    finding
        .subject(format!("node/{node}"))
        .proven_by([Evidence::new(format!("pod/{pod}"), "spec.nodeName", format!("{node} (no such Node)"))])
        .leads_to(words!("pods on a Node that does not exist are skipped", "所在 Node 不存在的 Pod 会被跳过"))
        .remedy(
            words!("Register the node again, or delete its pods.", "重新注册该节点，或删除其上的 Pod。"),
            ["kubectl get nodes".to_owned()],
        )
        .explained_by("FailedToUpdateEndpointSlices")
}

/// The controller's last complaint, if nothing has changed since: it tries again after each change, and would have
/// complained again.
fn refusal<'a>(view: &View<'a>, absent: &[&Pod]) -> Option<&'a Event> {
    let event = view.history.newest(FAILED)?;
    let changed = absent.iter().filter_map(|pod| pod::ready_changed(pod)).map(|time| time.0).max();
    let since = |changed: Timestamp| last_seen(event).is_none_or(|seen| seen >= changed);
    (view.history.suppressed() || changed.is_none_or(since)).then_some(event)
}

fn refused(view: &View<'_>, mut finding: Finding, event: &Event) -> Finding {
    let text = message(event).to_owned();
    let service = view.name();
    finding.code = "slices-write-refused";
    let (cause, command) = cause(view, &text);
    let (en, zh) = (&finding.title.en, &finding.title.zh);
    let (why_en, why_zh) = (&cause.en, &cause.zh);
    finding.title = words!("{en}: {why_en}", "{zh}：{why_zh}");
    finding
        .proven_by([evidence(event, view.now)])
        .leads_to(words!("the slice controller failed: {text}", "slice 控制器失败：{text}"))
        .remedy(
            words!(
                "Clear what the error names; the controller tries again by itself, 15 times with growing pauses.",
                "解决错误中指出的问题；控制器会自动重试，最多 15 次，间隔逐渐变长。"
            ),
            [command, view.kubectl(&format!("describe service {service}"))],
        )
        .remedy(
            words!(
                "If it has given up, any change of the Service makes it try again.",
                "如果它已放弃重试，对 Service 的任何修改都会让它再次尝试。"
            ),
            [view.kubectl(&format!("label service {service} retry=1"))],
        )
        .explained_by(event.reason.clone().unwrap_or_default())
}

/// What the API's answer means, and what to look at.
fn cause(view: &View<'_>, text: &str) -> (Words, String) {
    let lower = text.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    if has("exceeded quota") {
        return (words!("a quota is used up", "配额已用尽"), view.kubectl("describe resourcequotas"));
    }
    if has("webhook") {
        let command = "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations".to_owned();
        return (words!("an admission webhook refuses the write", "准入 webhook 拒绝写入"), command);
    }
    if has("is being terminated") {
        let command = format!("kubectl get namespace {}", view.namespace());
        return (words!("the namespace is being deleted", "命名空间正在删除"), command);
    }
    if has("forbidden") {
        let command = format!(
            "kubectl auth can-i create endpointslices.discovery.k8s.io -n {} --as system:serviceaccount:kube-system:endpointslice-controller",
            view.namespace()
        );
        return (words!("the API forbids the write", "API 禁止写入"), command);
    }
    if has("the object has been modified") || has("conflict") {
        let command = view.kubectl("get endpointslices --show-managed-fields -o yaml");
        return (
            words!("somebody else keeps changing the same slice", "其他组件不断修改同一个 EndpointSlice"),
            command,
        );
    }
    if has("timeout") || has("timed out") || has("deadline exceeded") || has("too many requests") {
        return (
            words!("the API did not answer in time", "API 未及时响应"),
            "kubectl get --raw /readyz?verbose".to_owned(),
        );
    }
    (words!("the API refuses the write", "API 拒绝写入"), view.kubectl("get events --sort-by .lastTimestamp"))
}
