//! What runs is ready: at least one selected pod takes new connections.

use k8s_openapi::api::core::v1::{Pod, Probe};
use portolan_objects::{pod, service};

use super::{Outcome, pods};
use crate::{
    Evidence, Finding, LinkId, Words,
    history::{age, evidence, message},
    view::{View, condition, containers, counted, join_some, name, node_ready, pod_object},
    words::words,
};

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if view.selector.is_empty() {
        return Outcome::Skipped(words!("no selector", "没有 selector"));
    }
    let live: Vec<&Pod> = view.live().filter(|pod| !pod::ips(pod).is_empty()).collect();
    if live.is_empty() {
        return Outcome::Skipped(words!("no pod runs", "没有运行中的 Pod"));
    }
    let (total, ready) = (live.len(), view.ready().count());
    let (all, _) = counted(total);
    if service::publishes_not_ready(view.service) {
        let summary = words!(
            "publishNotReadyAddresses: {all} count as ready",
            "publishNotReadyAddresses：{total} 个 Pod 均视为就绪"
        );
        return Outcome::Ok(summary, vec![view.field("spec.publishNotReadyAddresses", "true")]);
    }
    let unready: Vec<&Pod> =
        live.iter().copied().filter(|pod| !pod::is_ready(pod) || pod::is_terminating(pod)).collect();
    if ready > 0 {
        // Those that do not run have had their hint already.
        for pod in unready.iter().filter(|pod| pods::runs(pod)) {
            let (pod_name, why) = (name(*pod), why(view, pod));
            hints.push(Words {
                en: format!("pod {pod_name} is not ready: {}", why.what.en),
                zh: format!("Pod {pod_name} 未就绪：{}", why.what.zh),
            });
        }
        return Outcome::ok(words!("{ready} of {all} ready", "{total} 个 Pod 中有 {ready} 个就绪"));
    }
    Outcome::broken(none_ready(view, &unready))
}

fn none_ready(view: &View<'_>, unready: &[&Pod]) -> Finding {
    let count = unready.len();
    let (pods, _) = counted(count);
    let mut reasons = unready.iter().map(|pod| (*pod, why(view, pod)));
    let (pod, first) = match reasons.next() {
        Some((pod, first)) => (name(pod), first),
        None => ("", Why::unknown()),
    };
    let (en, zh) = (&first.what.en, &first.what.zh);
    let title = words!("none of {pods} is ready; {pod}: {en}", "{count} 个 Pod 都未就绪；{pod}：{zh}");
    let mut finding = Finding::new(first.code, LinkId::Readiness, title)
        .proven_by(first.evidence)
        .proven_by(reasons.take(2).flat_map(|(_, why)| why.evidence))
        .leads_to(words!("pods that are not ready get no traffic", "未就绪的 Pod 不接收流量"))
        .leads_to(words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"));
    for (what, command) in first.remedies {
        finding = finding.remedy(what, [command]);
    }
    finding.reason = first.reason;
    finding
}

/// Why one pod is not ready.
struct Why {
    code: &'static str,
    what: Words,
    evidence: Vec<Evidence>,
    remedies: Vec<(Words, String)>,
    reason: Option<String>,
}

impl Why {
    fn new(code: &'static str, what: Words, evidence: Vec<Evidence>) -> Self {
        Self { code, what, evidence, remedies: Vec::new(), reason: None }
    }

    fn unknown() -> Self {
        Self::new("pods-not-ready", words!("its condition Ready is not True", "Ready 条件不为 True"), Vec::new())
    }

    fn remedy(mut self, what: Words, command: String) -> Self {
        self.remedies.push((what, command));
        self
    }
}

fn why(view: &View<'_>, pod: &Pod) -> Why {
    terminating(view, pod)
        .or_else(|| lost_node(view, pod))
        .or_else(|| failing_probe(view, pod))
        .or_else(|| unmet_gate(view, pod))
        .unwrap_or_else(|| containers_not_ready(view, pod))
}

fn ready_evidence(pod: &Pod) -> Vec<Evidence> {
    let value = condition(pod, "Ready").map_or_else(
        || "(absent)".to_owned(),
        |condition| {
            let parts = [condition.reason.as_deref(), condition.message.as_deref()];
            let parts: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
            format!("{} {}", condition.status, parts.join(": ")).trim_end().to_owned()
        },
    );
    vec![Evidence::new(pod_object(pod), "status.conditions[Ready]", value)]
}

fn terminating(view: &View<'_>, pod: &Pod) -> Option<Why> {
    let deleted = pod.metadata.deletion_timestamp.as_ref()?;
    // The timestamp is when the grace period ends, so it may lie ahead.
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
    let object = pod_object(pod);
    let proof = vec![Evidence::new(&object, "metadata.deletionTimestamp", deleted.0.to_string())];
    let what = words!("it is being stopped (grace period {grace} s)", "正在停止（宽限期 {grace} 秒）");
    let why = Why::new("pods-terminating", what, proof).remedy(
        words!(
            "Wait for the pods that take their place, or see why there are none.",
            "等待替代的 Pod，或查看为何没有。"
        ),
        view.kubectl(&format!("get pods -l {}", view.selector_text())),
    );
    Some(why)
}

fn lost_node(view: &View<'_>, pod: &Pod) -> Option<Why> {
    let node_name = pod::node(pod)?;
    let node = view.index.node(node_name)?;
    if node_ready(node) {
        return None;
    }
    let mut proof = ready_evidence(pod);
    proof.push(Evidence::new(format!("node/{node_name}"), "status.conditions[Ready]", "not True"));
    let what = words!("its node {node_name} is not ready", "所在节点 {node_name} 未就绪");
    let mut why = Why::new("node-not-ready", what, proof)
        .remedy(words!("Bring the node back.", "恢复该节点。"), format!("kubectl describe node {node_name}"));
    why.reason = Some("NodeNotReady".to_owned());
    Some(why)
}

fn failing_probe(view: &View<'_>, pod: &Pod) -> Option<Why> {
    let probed = pod.spec.as_ref()?.containers.iter().find(|container| {
        let unready = |status: &k8s_openapi::api::core::v1::ContainerStatus| {
            status.name == container.name && !status.ready && status.state.as_ref().is_some_and(|s| s.running.is_some())
        };
        container.readiness_probe.is_some() && containers(pod).any(unready)
    })?;
    let container = &probed.name;
    let object = pod_object(pod);
    let probe = probed.readiness_probe.as_ref().map(describe).unwrap_or_default();
    let mut proof = ready_evidence(pod);
    proof.push(Evidence::new(&object, format!("spec.containers[{container}].readinessProbe"), probe.clone()));
    let event = view.pod_history(pod).newest_saying("Readiness probe");
    let Some(event) = event else {
        let since = condition(pod, "Ready").and_then(|condition| condition.last_transition_time.as_ref());
        let since = since.map_or_else(|| "?".to_owned(), |time| age(view.now, time.0));
        let what = words!(
            "container {container} has not passed its readiness probe {probe} ({since})",
            "容器 {container} 尚未通过就绪探针 {probe}（{since}）"
        );
        let why = Why::new("readiness-probe-not-passed", what, proof).remedy(
            words!("See what the probe meets.", "查看探针的实际结果。"),
            view.kubectl(&format!("describe {object}")),
        );
        return Some(why);
    };
    proof.push(evidence(event, view.now));
    let text = message(event).trim_start_matches("Readiness probe failed: ").trim().to_owned();
    let what = words!("readiness probe {probe} fails: {text}", "就绪探针 {probe} 失败：{text}");
    let mut why = Why::new("readiness-probe-failing", what, proof)
        .remedy(
            words!("See why the container fails the probe.", "查看容器为何未通过探针。"),
            view.kubectl(&format!("logs {} -c {container}", name(pod))),
        )
        .remedy(
            words!(
                "If the probe asks the wrong path or port, correct it in the workload's pod template.",
                "如果探针的路径或端口写错，请在工作负载的 Pod 模板中修正。"
            ),
            view.kubectl(&format!("get {object} -o yaml")),
        );
    why.reason = event.reason.clone();
    Some(why)
}

/// `GET :8080/healthz`, `tcp :5432`, `exec [cat /ready]`, `grpc :9000`.
fn describe(probe: &Probe) -> String {
    let port = |port: &k8s_openapi::apimachinery::pkg::util::intstr::IntOrString| match port {
        k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(number) => number.to_string(),
        k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::String(name) => name.clone(),
    };
    if let Some(get) = &probe.http_get {
        return format!("GET :{}{}", port(&get.port), get.path.as_deref().unwrap_or("/"));
    }
    if let Some(socket) = &probe.tcp_socket {
        return format!("tcp :{}", port(&socket.port));
    }
    if let Some(exec) = &probe.exec {
        return format!("exec [{}]", exec.command.clone().unwrap_or_default().join(" "));
    }
    probe.grpc.as_ref().map(|grpc| format!("grpc :{}", grpc.port)).unwrap_or_default()
}

fn unmet_gate(view: &View<'_>, pod: &Pod) -> Option<Why> {
    let gates = pod.spec.as_ref()?.readiness_gates.as_ref()?;
    let unmet: Vec<String> = gates
        .iter()
        .map(|gate| gate.condition_type.clone())
        .filter(|gate| condition(pod, gate).is_none_or(|condition| condition.status != "True"))
        .collect();
    let gate = unmet.first()?;
    let list = join_some(&unmet, 3);
    let object = pod_object(pod);
    let state = condition(pod, gate).map_or("(absent)", |condition| condition.status.as_str());
    let proof = vec![
        Evidence::new(&object, "spec.readinessGates", list.clone()),
        Evidence::new(&object, format!("status.conditions[{gate}]"), state),
    ];
    let what = words!("its readiness gate {list} is not met", "就绪门控 {list} 未满足");
    let why = Why::new("readiness-gate-unmet", what, proof).remedy(
        words!("Ask the controller that sets this condition.", "检查设置该条件的控制器。"),
        view.kubectl(&format!("describe {object}")),
    );
    Some(why)
}

fn containers_not_ready(view: &View<'_>, pod: &Pod) -> Why {
    let unready: Vec<String> =
        containers(pod).filter(|status| !status.ready).map(|status| status.name.clone()).collect();
    let mut why = Why::unknown();
    if !unready.is_empty() {
        let list = join_some(&unready, 3);
        why.what = words!("container {list} is not ready", "容器 {list} 未就绪");
    }
    why.evidence = ready_evidence(pod);
    why.remedy(
        words!("Look at the pod's own events.", "查看 Pod 自身的事件。"),
        view.kubectl(&format!("describe {}", pod_object(pod))),
    )
}
