//! What is selected runs: at least one pod has an address and a running container.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use portolan_objects::{pod, selector::Selector};

use super::Outcome;
use crate::{
    Evidence, Finding, LinkId, Words, Workload,
    history::{History, evidence, message},
    view::{View, condition, containers, counted, name, pod_object},
    words::words,
};

/// Why one pod does not run.
struct Trouble {
    code: &'static str,
    /// What happened to the pod, without its name.
    what: Words,
    evidence: Vec<Evidence>,
    remedy: (Words, Vec<String>),
    reason: Option<String>,
}

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if view.selector.is_empty() {
        return Outcome::Skipped(words!("no selector", "没有 selector"));
    }
    if view.selected.is_empty() {
        return nothing_selected(view);
    }
    let live: Vec<&Pod> = view.live().collect();
    let running: Vec<&Pod> = live.iter().copied().filter(|pod| runs(pod)).collect();
    let (total, up) = (live.len(), running.len());
    if up == 0 {
        return Outcome::broken(match live.first() {
            Some(first) => none_runs(view, &live, first),
            None => all_ended(view),
        });
    }
    for pod in live.iter().filter(|pod| !runs(pod)) {
        let pod_name = name(*pod);
        if let Some(trouble) = trouble(view, pod) {
            let what = trouble.what;
            hints.push(Words {
                en: format!("pod {pod_name} does not run: {}", what.en),
                zh: format!("Pod {pod_name} 未运行：{}", what.zh),
            });
        }
    }
    let (pods, _) = counted(total);
    let proof = running.iter().take(3).map(|pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        Evidence::new(pod_object(pod), "status.phase", phase)
    });
    Outcome::Ok(words!("{up} of {pods} running", "{total} 个 Pod 中有 {up} 个在运行"), proof.collect())
}

/// Has an address and at least one running container.
pub(super) fn runs(pod: &Pod) -> bool {
    let is_running = |status: &ContainerStatus| status.state.as_ref().is_some_and(|state| state.running.is_some());
    let main = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let known = main.is_some_and(|statuses| !statuses.is_empty());
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !pod::ips(pod).is_empty()
        && match known {
            true => main.into_iter().flatten().any(is_running),
            false => phase == Some("Running"),
        }
}

/// The selector fits a workload that has made no pod, or the selector itself is the broken link.
fn nothing_selected(view: &View<'_>) -> Outcome {
    let selector = Selector::from_map(&view.selector);
    let fitting = view.workloads().iter().copied().filter(|workload| selector.matches(&workload.labels));
    let mut fitting: Vec<&Workload> = fitting.collect();
    fitting.sort_by_key(|workload| (workload.owned, workload.object()));
    let Some(maker) = fitting.first() else {
        return Outcome::Skipped(words!("no pod is selected", "没有选中任何 Pod"));
    };
    let object = maker.object();
    if maker.replicas == Some(0) {
        let title = words!("{object} is scaled to 0", "{object} 的副本数为 0");
        let finding = Finding::new("scaled-to-zero", LinkId::Pods, title)
            .proven_by([Evidence::new(&object, "spec.replicas", "0")])
            .leads_to(words!("there is no pod to answer", "没有可以响应的 Pod"))
            .leads_to(words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"))
            .remedy(words!("Scale it up.", "扩容。"), [view.kubectl(&format!("scale {object} --replicas=1"))]);
        return Outcome::broken(finding);
    }
    let wanted = maker.replicas.map(|count| count.to_string()).unwrap_or_else(|| "?".to_owned());
    let failure = fitting.iter().find_map(|workload| failed_create(view, event_kind(workload), &workload.name));
    let title = match failure.map(message) {
        Some(text) => words!("{object} cannot create its pods: {text}", "{object} 无法创建 Pod：{text}"),
        None => {
            words!("{object} wants {wanted} pods and has made none", "{object} 需要 {wanted} 个 Pod，但一个也没有创建")
        }
    };
    let finding = Finding::new("pods-not-created", LinkId::Pods, title)
        .proven_by([Evidence::new(&object, "spec.replicas", wanted)])
        .proven_by(failure.map(|event| evidence(event, view.now)))
        .leads_to(words!("there is no pod to answer", "没有可以响应的 Pod"))
        .remedy(
            words!("Clear what the controller's events name.", "解决控制器事件中指出的问题。"),
            [view.kubectl(&format!("describe {object}")), view.kubectl("get replicasets,resourcequotas")],
        );
    Outcome::broken(finding)
}

/// The newest refusal to create a pod for this owner.
fn failed_create<'a>(view: &View<'a>, kind: &str, owner: &str) -> Option<&'a k8s_openapi::api::core::v1::Event> {
    History::of(view.index, kind, view.namespace(), owner, None).newest(&["FailedCreate"])
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

fn all_ended(view: &View<'_>) -> Finding {
    let (pods, have) = counted(view.selected.len());
    let count = view.selected.len();
    let title =
        words!("{pods} {have} ended and nothing takes their place", "{count} 个 Pod 都已结束，且没有新的 Pod 替代");
    let proof = view.selected.iter().take(3).map(|pod| {
        let status = pod.status.clone().unwrap_or_default();
        let reason = status.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        Evidence::new(pod_object(pod), "status.phase", format!("{}{reason}", status.phase.unwrap_or_default()))
    });
    Finding::new("pods-ended", LinkId::Pods, title)
        .proven_by(proof)
        .leads_to(words!("ended pods are no endpoints", "已结束的 Pod 不会成为端点"))
        .remedy(
            words!(
                "Use a workload that replaces its pods (Deployment).",
                "使用会自动补充 Pod 的工作负载（Deployment）。"
            ),
            [view.kubectl(&format!("get pods -l {}", view.selector_text()))],
        )
}

fn none_runs(view: &View<'_>, live: &[&Pod], first: &Pod) -> Finding {
    let (pods, _) = counted(live.len());
    let count = live.len();
    let troubles: Vec<(&Pod, Trouble)> = live.iter().filter_map(|pod| Some((*pod, trouble(view, pod)?))).collect();
    let Some((pod, trouble)) = troubles.into_iter().next() else {
        let title = words!("none of {pods} runs yet", "{count} 个 Pod 都还没有运行");
        let phase = first.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        return Finding::new("pods-not-running", LinkId::Pods, title)
            .proven_by([Evidence::new(pod_object(first), "status.phase", phase)])
            .remedy(
                words!("Look at the pod's own events.", "查看 Pod 自身的事件。"),
                [view.kubectl(&format!("describe {}", pod_object(first)))],
            );
    };
    let pod_name = name(pod);
    let (en, zh) = (&trouble.what.en, &trouble.what.zh);
    let title = words!("none of {pods} runs; {pod_name}: {en}", "{count} 个 Pod 都没有运行；{pod_name}：{zh}");
    let mut finding = Finding::new(trouble.code, LinkId::Pods, title)
        .proven_by(trouble.evidence)
        .leads_to(words!("no pod can answer", "没有可以响应的 Pod"))
        .leads_to(words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"))
        .remedy(trouble.remedy.0, trouble.remedy.1);
    finding.reason = trouble.reason;
    finding
}

fn trouble(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    waiting(view, pod).or_else(|| unscheduled(view, pod)).or_else(|| no_sandbox(view, pod))
}

/// A container that waits for a reason, or keeps ending.
fn waiting(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let status = containers(pod).find(|status| waiting_reason(status).is_some_and(|reason| !harmless(reason)))?;
    let reason = waiting_reason(status)?.to_owned();
    let container = &status.name;
    let detail = status.state.as_ref().and_then(|state| state.waiting.as_ref()?.message.clone()).unwrap_or_default();
    let object = pod_object(pod);
    let field = format!("status.containerStatuses[{container}].state.waiting.reason");
    let mut proof = vec![Evidence::new(&object, field, format!("{reason}: {detail}").trim_end_matches(": "))];
    let pod_name = name(pod);
    let (code, what, remedy) = match reason.as_str() {
        "CrashLoopBackOff" => {
            let restarts = status.restart_count;
            let ended = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
            let exit = ended.map_or_else(|| "?".to_owned(), |ended| ended.exit_code.to_string());
            let field = format!("status.containerStatuses[{container}].lastState.terminated.exitCode");
            proof.push(Evidence::new(&object, field, exit.clone()));
            (
                "pods-crash-looping",
                words!(
                    "container {container} ends again and again (exit code {exit}, {restarts} restarts)",
                    "容器 {container} 反复退出（退出码 {exit}，已重启 {restarts} 次）"
                ),
                (
                    words!("Read why it ended.", "查看它退出的原因。"),
                    vec![view.kubectl(&format!("logs {pod_name} -c {container} --previous"))],
                ),
            )
        }
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            let image = status.image.clone();
            proof.push(Evidence::new(&object, format!("spec.containers[{container}].image"), image.clone()));
            (
                "image-not-available",
                words!("image {image} is not available ({reason})", "镜像 {image} 不可用（{reason}）"),
                (
                    words!("Correct the image name, or make it available.", "修正镜像名，或提供该镜像。"),
                    vec![view.kubectl(&format!("describe {object}"))],
                ),
            )
        }
        _ => (
            "container-waiting",
            words!("container {container} waits: {reason} {detail}", "容器 {container} 等待中：{reason} {detail}"),
            (
                words!("Clear what the reason names.", "解决该原因所指出的问题。"),
                vec![view.kubectl(&format!("describe {object}"))],
            ),
        ),
    };
    Some(Trouble { code, what, evidence: proof, remedy, reason: None })
}

fn waiting_reason(status: &ContainerStatus) -> Option<&str> {
    status.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}

/// Waits that end by themselves.
fn harmless(reason: &str) -> bool {
    matches!(reason, "ContainerCreating" | "PodInitializing")
}

fn unscheduled(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let scheduled = condition(pod, "PodScheduled").filter(|condition| condition.status == "False");
    let event = view.pod_history(pod).newest(&["FailedScheduling"]);
    if pod::node(pod).is_some() || (scheduled.is_none() && event.is_none()) {
        return None;
    }
    let text = scheduled
        .and_then(|condition| condition.message.clone())
        .or_else(|| event.map(|event| message(event).to_owned()))
        .unwrap_or_default();
    let object = pod_object(pod);
    let proof = scheduled.map(|_| Evidence::new(&object, "status.conditions[PodScheduled]", format!("False: {text}")));
    Some(Trouble {
        code: "pods-unschedulable",
        what: words!("no node takes it: {text}", "没有节点能接纳它：{text}"),
        evidence: proof.into_iter().chain(event.map(|event| evidence(event, view.now))).collect(),
        remedy: (
            words!("Make room, or loosen what the pod asks for.", "腾出资源，或放宽 Pod 的要求。"),
            vec![view.kubectl(&format!("describe {object}")), "kubectl get nodes".to_owned()],
        ),
        reason: Some("FailedScheduling".to_owned()),
    })
}

fn no_sandbox(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let event = view.pod_history(pod).newest(&["FailedCreatePodSandBox"])?;
    let text = message(event).to_owned();
    Some(Trouble {
        code: "pod-network-failed",
        what: words!("its network could not be set up: {text}", "网络配置失败：{text}"),
        evidence: vec![evidence(event, view.now)],
        remedy: (
            words!(
                "Look at the node's network: addresses left, resolv.conf, plugin.",
                "检查节点网络：剩余地址、resolv.conf、网络插件。"
            ),
            vec![view.kubectl(&format!("describe {}", pod_object(pod)))],
        ),
        reason: event.reason.clone(),
    })
}
