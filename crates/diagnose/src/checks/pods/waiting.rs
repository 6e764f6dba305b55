//! Containers that wait, end again and again, or keep the pod from going on.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};
use portolan_objects::pod;

use super::super::trouble::Trouble;
use crate::{
    Evidence,
    history::{age, evidence, message},
    view::{View, containers, name, pod_object},
    words::words,
};

/// A container that ended less than this many seconds ago and was started again counts as ending again and again.
const RECENT: i64 = 600;

/// The status of one container, and where it stands.
struct Seen<'a> {
    status: &'a ContainerStatus,
    list: &'static str,
}

impl Seen<'_> {
    fn field(&self, rest: &str) -> String {
        format!("status.{}[{}].{rest}", self.list, self.status.name)
    }

    fn waiting(&self) -> Option<&str> {
        self.status.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
    }
}

fn seen(pod: &Pod) -> impl Iterator<Item = Seen<'_>> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let main = status.and_then(|status| status.container_statuses.as_ref());
    let init = init.into_iter().flatten().map(|status| Seen { status, list: "initContainerStatuses" });
    init.chain(main.into_iter().flatten().map(|status| Seen { status, list: "containerStatuses" }))
}

/// A container that waits for a reason, or has ended.
pub(super) fn of(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let held = seen(pod).find(|seen| seen.waiting().is_some_and(|reason| !harmless(reason)));
    if let Some(held) = held {
        let reason = held.waiting().unwrap_or_default().to_owned();
        return Some(match reason.as_str() {
            "CrashLoopBackOff" => crashing(view, pod, &held),
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "RegistryUnavailable"
            | "ImageInspectError"
            | "SignatureValidationFailed" => no_image(view, pod, &held, &reason),
            _ => other(view, pod, &held, &reason),
        });
    }
    // Between its end and the next start it is neither waiting nor running.
    let ended = |seen: &Seen<'_>| {
        let failed = terminated(seen.status.state.as_ref()).is_some_and(|ended| ended.exit_code != 0);
        failed || (seen.list == "containerStatuses" && terminated(seen.status.state.as_ref()).is_some())
    };
    let ended = seen(pod).find(ended)?;
    Some(crashing(view, pod, &ended))
}

/// Waits that end by themselves.
fn harmless(reason: &str) -> bool {
    matches!(reason, "ContainerCreating" | "PodInitializing")
}

fn terminated(state: Option<&ContainerState>) -> Option<&ContainerStateTerminated> {
    state?.terminated.as_ref()
}

/// How it ended the last time.
pub(in super::super) fn ended_before(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    terminated(status.state.as_ref()).or_else(|| terminated(status.last_state.as_ref()))
}

/// A container that runs just now, is not ready, and ended shortly before: it is between two crashes.
pub(in super::super) fn restarting(pod: &Pod, now: Timestamp) -> Option<&ContainerStatus> {
    let recently = |status: &ContainerStatus| {
        let finished = ended_before(status).and_then(|ended| ended.finished_at.as_ref());
        finished.is_none_or(|time| crate::history::seconds_between(time.0, now) < RECENT)
    };
    containers(pod).find(|status| {
        let failed = ended_before(status).is_some_and(|ended| ended.exit_code != 0);
        !status.ready && status.restart_count > 1 && failed && recently(status)
    })
}

fn crashing(view: &View<'_>, pod: &Pod, seen: &Seen<'_>) -> Trouble {
    let (object, pod_name, container) = (pod_object(pod), name(pod), &seen.status.name);
    let (ended, restarts) = (ended_before(seen.status), seen.status.restart_count);
    let exit = ended.map_or_else(|| "?".to_owned(), |ended| ended.exit_code.to_string());
    let why =
        ended.and_then(|ended| ended.reason.as_deref()).filter(|reason| !matches!(*reason, "Error" | "Completed"));
    let why = why.map(|reason| format!(", {reason}")).unwrap_or_default();
    let mut proof = Vec::new();
    if let Some(reason) = seen.waiting() {
        proof.push(Evidence::new(&object, seen.field("state.waiting.reason"), reason));
    }
    let field = if terminated(seen.status.state.as_ref()).is_some() { "state" } else { "lastState" };
    proof.push(Evidence::new(&object, seen.field(&format!("{field}.terminated.exitCode")), format!("{exit}{why}")));
    proof.push(Evidence::new(&object, seen.field("restartCount"), restarts.to_string()));
    let history = view.pod_history(pod);
    proof.extend(history.newest_saying("Liveness probe failed").map(|event| evidence(event, view.now)));
    let killed = history.newest_saying("Liveness probe failed").map(message).unwrap_or_default().trim().to_owned();
    let what = words!(
        "container {container} ends again and again (exit code {exit}{why}, {restarts} restarts)",
        "容器 {container} 反复退出（退出码 {exit}{why}，已重启 {restarts} 次）"
    );
    let mut trouble = Trouble::new("pods-crash-looping", what, proof);
    if !killed.is_empty() {
        trouble =
            trouble.because(words!("it is killed because of its probe: {killed}", "它因探针失败而被终止：{killed}"));
    } else if why.contains("OOMKilled") {
        trouble = trouble.because(words!("it needs more memory than its limit", "它需要的内存超过了 limit"));
    }
    trouble
        .remedy(
            words!("Read why it ended.", "查看它退出的原因。"),
            vec![view.kubectl(&format!("logs {pod_name} -c {container} --previous"))],
        )
        .reason("BackOff")
}

fn no_image(view: &View<'_>, pod: &Pod, seen: &Seen<'_>, reason: &str) -> Trouble {
    let (object, container) = (pod_object(pod), &seen.status.name);
    let image = &seen.status.image;
    let detail = seen.status.state.as_ref().and_then(|state| state.waiting.as_ref()?.message.clone());
    let value = format!("{reason}: {}", detail.unwrap_or_default());
    let event = view.pod_history(pod).newest_saying("pull image");
    let mut proof = vec![
        Evidence::new(&object, seen.field("state.waiting.reason"), value.trim_end_matches([':', ' '])),
        Evidence::new(&object, format!("spec.containers[{container}].image"), image),
    ];
    proof.extend(event.map(|event| evidence(event, view.now)));
    let what = words!("image {image} is not available ({reason})", "镜像 {image} 不可用（{reason}）");
    let trouble = Trouble::new("image-not-available", what, proof).remedy(
        words!("Correct the image name, or make it available.", "修正镜像名，或提供该镜像。"),
        vec![view.kubectl(&format!("describe {object}"))],
    );
    match event.and_then(|event| event.reason.clone()) {
        Some(reason) => trouble.reason(reason),
        None => trouble,
    }
}

fn other(view: &View<'_>, pod: &Pod, seen: &Seen<'_>, reason: &str) -> Trouble {
    let (object, container) = (pod_object(pod), &seen.status.name);
    let detail = seen.status.state.as_ref().and_then(|state| state.waiting.as_ref()?.message.clone());
    let detail = detail.unwrap_or_default();
    let value = format!("{reason}: {detail}");
    let proof = vec![Evidence::new(&object, seen.field("state.waiting.reason"), value.trim_end_matches([':', ' ']))];
    let what = words!("container {container} waits: {reason} {detail}", "容器 {container} 等待中：{reason} {detail}");
    Trouble::new("container-waiting", what, proof).remedy(
        words!("Clear what the reason names.", "解决该原因所指出的问题。"),
        vec![view.kubectl(&format!("describe {object}"))],
    )
}

/// An init container that has not finished: the others wait for it.
pub(super) fn initializing(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let declared = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_ref());
    let is_sidecar = |name: &str| {
        declared.into_iter().flatten().any(|container| container.name == name && pod::is_sidecar(container))
    };
    // A sidecar goes on running; the others wait only for its start.
    let holds = |status: &ContainerStatus| !is_sidecar(&status.name) || status.started == Some(false);
    let running = |seen: &Seen<'_>| {
        let running = seen.status.state.as_ref().is_some_and(|state| state.running.is_some());
        seen.list == "initContainerStatuses" && running && holds(seen.status)
    };
    let first = seen(pod).find(running)?;
    let (object, container) = (pod_object(pod), &first.status.name);
    let started = first.status.state.as_ref().and_then(|state| state.running.as_ref()?.started_at.as_ref());
    let since = started.map_or_else(|| "?".to_owned(), |time| age(view.now, time.0));
    let what = match is_sidecar(container) {
        true => words!(
            "sidecar {container} has not passed its startup probe ({since}), and the others wait for it",
            "sidecar 容器 {container} 尚未通过启动探针（{since}），其他容器在等待它"
        ),
        false => words!(
            "init container {container} has not finished ({since}), and the others wait for it",
            "初始化容器 {container} 尚未结束（{since}），其他容器在等待它"
        ),
    };
    let mut proof = vec![Evidence::new(&object, first.field("state.running.startedAt"), since)];
    if is_sidecar(container) {
        proof.push(Evidence::new(&object, first.field("started"), "false"));
        proof.extend(view.pod_history(pod).newest_saying("Startup probe").map(|event| evidence(event, view.now)));
    }
    let trouble = Trouble::new("container-waiting", what, proof).remedy(
        words!("Read what it waits for.", "查看它在等待什么。"),
        vec![view.kubectl(&format!("logs {} -c {container}", name(pod)))],
    );
    Some(trouble)
}
