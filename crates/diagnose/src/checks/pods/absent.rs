//! No pod is left to answer, or all are on their way out: what should make new ones, and why it does not.

use k8s_openapi::api::core::v1::{Event, Pod};
use portolan_objects::{pod, service};

use super::{held_up::lost_node, host_port, phase};
use crate::{
    Evidence, Finding, LinkId, Words, Workload,
    checks::{Outcome, maker},
    history::{History, age, evidence, message, seconds_between},
    view::{View, counted, join_some, pod_object},
    words::words,
};

/// A pod that should have been gone for this many seconds is stuck.
const OVERDUE: i64 = 30;
/// A deletion younger than this may simply not have been answered yet.
const SETTLING: i64 = 10;

/// The selector fits a workload that has made no pod, or the selector itself is the broken link.
pub(super) fn nothing_selected(view: &View<'_>) -> Outcome {
    let fitting = maker::fitting(view);
    let Some(first) = fitting.first() else {
        return Outcome::Skipped(words!("no pod is selected", "没有选中任何 Pod"));
    };
    match fitting.iter().find(|workload| workload.replicas != Some(0)) {
        None => Outcome::broken(scaled_to_zero(view, first)),
        Some(wanting) => Outcome::broken(not_created(view, &fitting, wanting)),
    }
}

fn scaled_to_zero(view: &View<'_>, maker: &Workload) -> Finding {
    let object = maker.object();
    let title = words!("{object} is scaled to 0", "{object} 的副本数为 0");
    Finding::new("scaled-to-zero", LinkId::Pods, title)
        .subject(maker::subject(view, &object))
        .proven_by([Evidence::new(&object, "spec.replicas", "0")])
        .leads_to(words!("there is no pod to answer", "没有可以响应的 Pod"))
        .leads_to(words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"))
        .remedy(words!("Scale it up.", "扩容。"), [view.kubectl(&format!("scale {object} --replicas=1"))])
        .remedy(
            words!(
                "If an autoscaler put it to sleep, callers have to come through what wakes it, not through this Service; or raise \
                 its lowest count.",
                "如果是自动伸缩器把它缩到 0，调用方应经过能唤醒它的入口，而不是直接访问该 Service；或提高其最小副本数。"
            ),
            [view.kubectl("get horizontalpodautoscalers,scaledobjects")],
        )
}

fn not_created(view: &View<'_>, fitting: &[&Workload], wanting: &Workload) -> Finding {
    let object = wanting.object();
    let failure = refusal(view, fitting);
    let wanted = wanting.replicas.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let title = match (failure.map(message), wanting.replicas) {
        (Some(text), _) => words!("{object} cannot create its pods: {text}", "{object} 无法创建 Pod：{text}"),
        (None, Some(_)) => {
            words!("{object} wants {wanted} pods and has made none", "{object} 需要 {wanted} 个 Pod，但一个也没有创建")
        }
        (None, None) => {
            words!("{object} has made no pod: no node fits it", "{object} 没有创建任何 Pod：没有符合要求的节点")
        }
    };
    let mut finding = Finding::new("pods-not-created", LinkId::Pods, title)
        .subject(maker::subject(view, &object))
        .proven_by([Evidence::new(&object, "spec.replicas", wanted), Evidence::new(&object, "pods", "0")])
        .proven_by(failure.map(|event| evidence(event, view.now)))
        .leads_to(words!("there is no pod to answer", "没有可以响应的 Pod"))
        .leads_to(words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"));
    finding = match failure.map(message).map(refused_by) {
        Some((what, command)) => finding.remedy(what, [view.kubectl(&command)]),
        None => finding.remedy(
            words!(
                "Nobody says why: see that the workload's controller runs and leads, and that no rollout is paused.",
                "没有事件说明原因：确认其控制器在运行并担任 leader，且发布没有被暂停。"
            ),
            [view.kubectl(&format!("describe {object}")), "kubectl -n kube-system get leases".to_owned()],
        ),
    };
    finding.reason = failure.and_then(|event| event.reason.clone());
    finding.remedy(
        words!("Clear what the controller's events name.", "解决控制器事件中指出的问题。"),
        [view.kubectl(&format!("describe {object}")), view.kubectl("get replicasets,resourcequotas")],
    )
}

/// Who refuses the pods, by the text of the API's answer, and where to look.
fn refused_by(text: &str) -> (Words, String) {
    if text.contains("exceeded quota") || text.contains("failed quota") {
        return (
            words!(
                "Raise the quota that the message names, or free what counts against it.",
                "提高消息中指出的配额，或释放占用配额的对象。"
            ),
            "describe resourcequotas".to_owned(),
        );
    }
    if text.contains("webhook") {
        return (
            words!(
                "Satisfy the admission webhook that the message names, or bring it back.",
                "满足消息中指出的准入 webhook 的要求，或恢复该 webhook。"
            ),
            "get mutatingwebhookconfigurations,validatingwebhookconfigurations".to_owned(),
        );
    }
    if text.contains("is being terminated") {
        return (
            words!(
                "The namespace is being deleted: nothing new can be made in it. Deploy to another one, or wait until it is gone and make it again.",
                "命名空间正在删除，无法在其中创建任何对象。请部署到其他命名空间，或等它消失后重新创建。"
            ),
            "get all".to_owned(),
        );
    }
    if text.contains("PodSecurity") {
        return (
            words!(
                "Make the pod template fit the namespace's PodSecurity level.",
                "让 Pod 模板符合命名空间的 PodSecurity 级别。"
            ),
            "get namespace --show-labels".to_owned(),
        );
    }
    if text.contains("serviceaccount") {
        return (
            words!("Create the service account that the pods name.", "创建 Pod 所引用的 ServiceAccount。"),
            "get serviceaccounts".to_owned(),
        );
    }
    (
        words!("Clear what the message names.", "解决消息中指出的问题。"),
        "get events --field-selector reason=FailedCreate".to_owned(),
    )
}

/// The newest refusal to create a pod for one of these, or for the ReplicaSet of a Deployment among them.
fn refusal<'a>(view: &View<'a>, fitting: &[&Workload]) -> Option<&'a Event> {
    let own = fitting.iter().find_map(|workload| {
        History::of(view.index, event_kind(workload), view.namespace(), &workload.name, None).newest(&["FailedCreate"])
    });
    // A whole cluster is read without its ReplicaSets, but their events are there.
    own.or_else(|| {
        let deployments = fitting.iter().filter(|workload| workload.kind == "deployment");
        let of_set = |event: &&&Event| {
            let object = &event.involved_object;
            let name = object.name.as_deref().unwrap_or_default();
            let hash = |prefix: &str| name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
            object.kind.as_deref() == Some("ReplicaSet")
                && deployments.clone().any(|workload| hash(&workload.name).is_some_and(|hash| !hash.contains('-')))
        };
        view.index
            .refused_pods(view.namespace())
            .iter()
            .filter(of_set)
            .copied()
            .max_by_key(|event| crate::history::last_seen(event))
    })
}

/// Kinds as Events spell them.
fn event_kind(workload: &Workload) -> &'static str {
    match workload.kind.as_str() {
        "deployment" => "Deployment",
        "statefulset" => "StatefulSet",
        "daemonset" => "DaemonSet",
        "job" => "Job",
        _ => "ReplicaSet",
    }
}

/// Every pod has ended.
pub(super) fn all_ended(view: &View<'_>) -> Finding {
    let fitting = maker::fitting(view);
    if !fitting.is_empty() && fitting.iter().all(|workload| workload.replicas == Some(0)) {
        return scaled_to_zero(view, fitting[0]);
    }
    let rejected = view.selected.iter().find_map(|pod| host_port::of(view, pod).map(|trouble| (*pod, trouble)));
    let (pods, have) = counted(view.selected.len());
    let count = view.selected.len();
    if let Some((pod, trouble)) = rejected {
        return super::held_up(count, trouble, pod, maker::of_all(&view.selected));
    }
    let wanting = fitting.iter().find(|workload| workload.replicas != Some(0));
    if let Some(wanting) = wanting.filter(|_| refusal(view, &fitting).is_some()) {
        return not_created(view, &fitting, wanting);
    }
    let status = |pod: &Pod| pod.status.clone().unwrap_or_default();
    let reasons = view.selected.iter().filter_map(|pod| status(pod).reason);
    let mut reasons: Vec<String> = reasons.collect();
    reasons.sort();
    reasons.dedup();
    let why = join_some(&reasons, 2);
    let their = if count == 1 { "its" } else { "their" };
    let title = match why.is_empty() {
        true => {
            words!(
                "{pods} {have} ended and nothing takes {their} place",
                "{count} 个 Pod 都已结束，且没有新的 Pod 替代"
            )
        }
        false => words!(
            "{pods} {have} ended ({why}) and nothing takes {their} place",
            "{count} 个 Pod 都已结束（{why}），且没有新的 Pod 替代"
        ),
    };
    let proof = view.selected.iter().take(3).map(|pod| {
        let status = status(pod);
        let parts = [status.reason, status.message];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let why = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(": ")) };
        Evidence::new(pod_object(pod), "status.phase", format!("{}{why}", phase(pod)))
    });
    let finding = Finding::new("pods-ended", LinkId::Pods, title)
        .proven_by(proof)
        .leads_to(words!("ended pods are no endpoints", "已结束的 Pod 不会成为端点"))
        .leads_to(words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"));
    if let Some(wanting) = wanting.filter(|wanting| wanting.kind != "job") {
        let object = wanting.object();
        return finding.subject(maker::subject(view, &object)).remedy(
            words!(
                "{object} should have replaced them, and nobody says why it has not: see that its controller runs and leads.",
                "{object} 本应补充新的 Pod，但没有事件说明原因：确认其控制器在运行并担任 leader。"
            ),
            [view.kubectl(&format!("describe {object}")), "kubectl -n kube-system get leases".to_owned()],
        );
    }
    finding.remedy(
        words!("Use a workload that replaces its pods (Deployment).", "使用会自动补充 Pod 的工作负载（Deployment）。"),
        [view.kubectl(&format!("get pods -l {}", view.selector_text()))],
    )
}

/// Every pod that has not ended is being stopped. `None`: their successors are on the way, and until then they answer.
pub(super) fn leaving(view: &View<'_>, live: &[&Pod], hints: &mut Vec<Words>) -> Option<Outcome> {
    let lost: Vec<Finding> = lost_nodes(view, live);
    if !lost.is_empty() {
        return Some(Outcome::Broken(lost));
    }
    let fitting = maker::fitting(view);
    let wanting = fitting.iter().find(|workload| workload.replicas != Some(0));
    let Some(wanting) = wanting else {
        return Some(Outcome::broken(match fitting.first() {
            Some(maker) => scaled_to_zero(view, maker).proven_by(live.iter().take(2).map(|pod| deleted(pod))),
            None => not_replaced(view, live),
        }));
    };
    if refusal(view, &fitting).is_some() {
        let finding = not_created(view, &fitting, wanting);
        return Some(Outcome::broken(finding.proven_by(live.iter().take(2).map(|pod| deleted(pod)))));
    }
    let answering = still_answer(view, live);
    let (end, begun) = live.iter().fold((i64::MAX, i64::MAX), |(end, begun), pod| {
        let since = pod.metadata.deletion_timestamp.as_ref().map_or(0, |time| seconds_between(time.0, view.now));
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
        (end.min(since), begun.min(since + grace))
    });
    if end > OVERDUE || (!answering && begun >= SETTLING) {
        return Some(Outcome::broken(not_replaced(view, live)));
    }
    let object = wanting.object();
    hints.push(words!(
        "every pod is being stopped; {object} has still to make the next ones",
        "所有 Pod 都在停止；{object} 尚未创建新的 Pod"
    ));
    None
}

/// Ready when it was told to stop: proxies fall back to it as long as nothing better is there. DNS does not.
fn still_answer(view: &View<'_>, live: &[&Pod]) -> bool {
    !service::is_headless(view.service) && live.iter().any(|pod| pod::is_ready(pod) && super::runs(pod))
}

fn deleted(pod: &Pod) -> Evidence {
    let time = pod.metadata.deletion_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default();
    Evidence::new(pod_object(pod), "metadata.deletionTimestamp", time)
}

fn lost_nodes(view: &View<'_>, live: &[&Pod]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for pod in live {
        let Some(trouble) = lost_node(view, pod) else { return Vec::new() };
        if !findings.iter().any(|finding| finding.subject == trouble.subject) {
            findings.push(super::held_up(live.len(), trouble, pod, None).proven_by([deleted(pod)]));
        }
    }
    findings
}

fn not_replaced(view: &View<'_>, live: &[&Pod]) -> Finding {
    let count = live.len();
    let (pods, _) = counted(count);
    let first = live.first().map(|pod| pod_object(pod)).unwrap_or_default();
    let finalizers: Vec<String> =
        live.iter().flat_map(|pod| pod.metadata.finalizers.clone().unwrap_or_default()).collect();
    let since = live.iter().filter_map(|pod| pod.metadata.deletion_timestamp.as_ref());
    let since = since.map(|time| age(view.now, time.0)).next().unwrap_or_default();
    let grace = live.iter().filter_map(|pod| pod.metadata.deletion_grace_period_seconds).max().unwrap_or(30);
    let held = join_some(&finalizers, 2);
    let title = match held.is_empty() {
        true => words!(
            "all of {pods} are being stopped (grace period {grace} s), and no other takes their place",
            "{count} 个 Pod 都正在停止（宽限期 {grace} 秒），且没有新的 Pod 替代"
        ),
        false => words!(
            "all of {pods} are being stopped and held by finalizer {held}, and no other takes their place",
            "{count} 个 Pod 都正在停止并被 finalizer {held} 阻止删除，且没有新的 Pod 替代"
        ),
    };
    let mut finding = Finding::new("pods-terminating", LinkId::Pods, title)
        .proven_by(live.iter().take(3).map(|pod| deleted(pod)))
        .proven_by((!held.is_empty()).then(|| Evidence::new(&first, "metadata.finalizers", held)));
    finding = match still_answer(view, live) {
        true => finding.leads_to(words!(
            "until they end, proxies still send to those that answer; then connections are refused",
            "在它们结束之前，代理仍会转发给还能响应的 Pod；之后连接会被拒绝"
        )),
        false => finding
            .leads_to(words!("pods being stopped are not ready endpoints", "正在停止的 Pod 不是就绪端点"))
            .leads_to(words!("connections to the Service are refused", "访问该 Service 的连接被拒绝")),
    };
    finding = finding.remedy(
        words!(
            "Let something make new pods: a Deployment with these labels, or the pods themselves again.",
            "让新的 Pod 出现：创建带有这些标签的 Deployment，或重新创建这些 Pod。"
        ),
        [view.kubectl(&format!("get pods -l {}", view.selector_text())), view.kubectl("get deployments,statefulsets")],
    );
    finding.remedy(
        words!(
            "If they should have gone ({since}), see what holds them. Deleting by force frees the name at once. Risk: the processes \
             may go on running on their node.",
            "如果早该消失（{since}），查看是什么阻止了它们。强制删除会立即释放名称。风险：进程可能仍在节点上运行。"
        ),
        [view.kubectl(&format!("describe {first}")), view.kubectl(&format!("delete {first} --grace-period=0 --force"))],
    )
}
