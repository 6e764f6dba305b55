//! Trouble one pod is not ready, the deepest cause first.

use k8s_openapi::{
    api::core::v1::{Container, ContainerStatus, Pod, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use portolan_objects::pod;

use super::{super::trouble::Trouble, pods};
use crate::{
    Evidence, Words,
    history::{age, evidence, message},
    view::{View, condition, containers, join_some, name, pod_object},
    words::words,
};

pub(super) fn why(view: &View<'_>, pod: &Pod) -> Trouble {
    lost_node(view, pod)
        .or_else(|| terminating(view, pod))
        .or_else(|| restarting(view, pod))
        .or_else(|| starting(view, pod))
        .or_else(|| failing_probe(view, pod))
        .or_else(|| unmet_gate(view, pod))
        .unwrap_or_else(|| containers_not_ready(view, pod))
}

fn ready_evidence(pod: &Pod) -> Evidence {
    let value = condition(pod, "Ready").map_or_else(
        || "(absent)".to_owned(),
        |condition| {
            let parts = [condition.reason.as_deref(), condition.message.as_deref()];
            let parts: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
            format!("{} {}", condition.status, parts.join(": ")).trim_end().to_owned()
        },
    );
    Evidence::new(pod_object(pod), "status.conditions[Ready]", value)
}

fn lost_node(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let mut why = pods::lost_node(view, pod)?;
    why.evidence.insert(0, ready_evidence(pod));
    Some(why)
}

fn terminating(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let deleted = pod.metadata.deletion_timestamp.as_ref()?;
    // The timestamp is when the grace period ends, so it may lie ahead.
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
    let proof = vec![Evidence::new(pod_object(pod), "metadata.deletionTimestamp", deleted.0.to_string())];
    let what = words!("it is being stopped (grace period {grace} s)", "正在停止（宽限期 {grace} 秒）");
    let why = Trouble::new("pods-terminating", what, proof).remedy(
        words!(
            "Wait for the pods that take their place, or see why there are none.",
            "等待替代的 Pod，或查看为何没有。"
        ),
        [view.kubectl(&format!("get pods -l {}", view.selector_text()))],
    );
    Some(why)
}

/// It runs for a moment between two crashes.
fn restarting(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let status = pods::restarting(pod, view.now)?;
    let ended = pods::ended_before(status)?;
    let (container, restarts, exit) = (&status.name, status.restart_count, ended.exit_code);
    let reason = ended.reason.as_deref().filter(|reason| *reason != "Error");
    let reason = reason.map(|reason| format!(", {reason}")).unwrap_or_default();
    let object = pod_object(pod);
    let history = view.pod_history(pod);
    let killed =
        history.newest_saying("Liveness probe failed").or_else(|| history.newest_saying("Startup probe failed"));
    let mut proof = vec![
        Evidence::new(&object, format!("status.containerStatuses[{container}].restartCount"), restarts.to_string()),
        Evidence::new(
            &object,
            format!("status.containerStatuses[{container}].lastState.terminated.exitCode"),
            format!("{exit}{reason}"),
        ),
    ];
    proof.extend(killed.map(|event| evidence(event, view.now)));
    let what = words!(
        "container {container} ends again and again (exit code {exit}{reason}, {restarts} restarts)",
        "容器 {container} 反复退出（退出码 {exit}{reason}，已重启 {restarts} 次）"
    );
    let mut why = Trouble::new("pods-crash-looping", what, proof).remedy(
        words!("Read why it ended.", "查看它退出的原因。"),
        [view.kubectl(&format!("logs {} -c {container} --previous", name(pod)))],
    );
    if let Some(text) = killed.map(|event| message(event).trim().to_owned()) {
        why.because = Some(words!("it is killed because of its probe: {text}", "它因探针失败而被终止：{text}"));
    }
    why.reason = Some("BackOff".to_owned());
    Some(why)
}

/// A container that runs and is not ready, with the probe that holds it.
fn unready(pod: &Pod, probe: impl Fn(&Container) -> bool) -> Option<&Container> {
    let spec = pod.spec.as_ref()?;
    // Those that keep running beside the others are probed like them.
    let sidecars = spec.init_containers.iter().flatten().filter(|container| pod::is_sidecar(container));
    spec.containers.iter().chain(sidecars).find(|container| {
        let held = |status: &ContainerStatus| {
            let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
            status.name == container.name && !status.ready && running
        };
        probe(container) && containers(pod).any(held)
    })
}

/// The field of a container that the pod keeps running: sidecars stand among the init containers.
fn field(container: &Container, what: &str) -> String {
    let list = if pod::is_sidecar(container) { "initContainers" } else { "containers" };
    format!("spec.{list}[{}].{what}", container.name)
}

/// Its startup probe has not passed; the readiness probe waits for that.
fn starting(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let container = unready(pod, |container| container.startup_probe.is_some())?;
    let name_of = &container.name;
    let waits = |status: &ContainerStatus| status.name == *name_of && status.started == Some(false);
    if !containers(pod).any(waits) {
        return None;
    }
    let probe = container.startup_probe.as_ref().map(describe).unwrap_or_default();
    let event = view.pod_history(pod).newest_saying("Startup probe");
    let object = pod_object(pod);
    let mut proof = vec![
        ready_evidence(pod),
        Evidence::new(&object, field(container, "startupProbe"), probe.clone()),
        Evidence::new(&object, format!("status.containerStatuses[{name_of}].started"), "false"),
    ];
    proof.extend(event.map(|event| evidence(event, view.now)));
    let text = event.map(|event| outcome(message(event)).to_owned()).unwrap_or_default();
    let detail = if text.is_empty() { String::new() } else { format!(": {text}") };
    let what = words!(
        "container {name_of} has not passed its startup probe {probe}{detail}",
        "容器 {name_of} 尚未通过启动探针 {probe}{detail}"
    );
    let mut why = Trouble::new("readiness-probe-not-passed", what, proof).remedy(
        words!("See how far the start has come.", "查看启动进行到哪一步。"),
        [view.kubectl(&format!("logs {} -c {name_of}", name(pod)))],
    );
    why.reason = event.and_then(|event| event.reason.clone());
    Some(why)
}

fn failing_probe(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let probed = unready(pod, |container| container.readiness_probe.is_some())?;
    let (container, object) = (&probed.name, pod_object(pod));
    let probe = probed.readiness_probe.as_ref();
    let shown = probe.map(describe).unwrap_or_default();
    let mut proof = vec![ready_evidence(pod), Evidence::new(&object, field(probed, "readinessProbe"), shown.clone())];
    let Some(event) = view.pod_history(pod).newest_saying("Readiness probe") else {
        let since = condition(pod, "Ready").and_then(|condition| condition.last_transition_time.as_ref());
        let since = since.map_or_else(|| "?".to_owned(), |time| age(view.now, time.0));
        let what = words!(
            "container {container} has not passed its readiness probe {shown} ({since})",
            "容器 {container} 尚未通过就绪探针 {shown}（{since}）"
        );
        let mut why = Trouble::new("readiness-probe-not-passed", what, proof).remedy(
            words!("See what the probe meets.", "查看探针的实际结果。"),
            [view.kubectl(&format!("describe {object}"))],
        );
        why.vague = true;
        return Some(why);
    };
    proof.push(evidence(event, view.now));
    let text = outcome(message(event));
    let what = words!("readiness probe {shown} fails: {text}", "就绪探针 {shown} 失败：{text}");
    let mut why = Trouble::new("readiness-probe-failing", what, proof);
    let undeclared = probe.and_then(|probe| undeclared(probed, probe));
    if let Some(ports) = &undeclared {
        why.evidence.push(Evidence::new(&object, field(probed, "ports"), ports));
    }
    why.because = Some(meaning(text, undeclared.as_deref()));
    why.reason = event.reason.clone();
    let why = why
        .remedy(
            words!("See why the container fails the probe.", "查看容器为何未通过探针。"),
            [view.kubectl(&format!("logs {} -c {container}", name(pod)))],
        )
        .remedy(
            words!(
                "If the probe asks the wrong path or port, correct it in the workload's pod template.",
                "如果探针的路径或端口写错，请在工作负载的 Pod 模板中修正。"
            ),
            [view.kubectl(&format!("get {object} -o yaml"))],
        );
    Some(why)
}

/// The text behind `Readiness probe failed: `.
fn outcome(message: &str) -> &str {
    let (kind, text) = message.split_once(" probe ").unwrap_or(("", message));
    match kind {
        "Readiness" | "Startup" | "Liveness" => text.trim_start_matches("failed: ").trim(),
        _ => message.trim(),
    }
}

/// What the outcome tells of the program.
fn meaning(text: &str, undeclared: Option<&str>) -> Words {
    let lower = text.to_ascii_lowercase();
    if lower.contains("couldn't find port") || lower.contains("invalid port") {
        return words!(
            "no port of that name is declared, so it cannot even be asked",
            "没有声明该名称的端口，因此根本无法探测"
        );
    }
    if lower.contains("connection refused") {
        return match undeclared {
            Some(ports) => words!(
                "nothing listens on the probed port, which the container does not declare ({ports})",
                "被探测的端口没有程序监听，容器也没有声明它（{ports}）"
            ),
            None => words!(
                "nothing listens on the probed port of the pod's address: not started, another port, or loopback only",
                "Pod 地址的被探测端口上没有程序监听：尚未启动、端口不同，或只监听回环地址"
            ),
        };
    }
    if lower.contains("statuscode: 404") {
        return words!("the program answers, but has nothing under that path", "程序有响应，但该路径不存在");
    }
    if lower.contains("statuscode") {
        return words!("the program answers and says that it is not well", "程序有响应，但表示自己不正常");
    }
    if lower.contains("deadline exceeded") || lower.contains("timeout") || lower.contains("timed out") {
        return words!(
            "no answer within the probe's timeout: the program is too slow, or packets are dropped",
            "在探针超时内没有响应：程序太慢，或数据包被丢弃"
        );
    }
    if lower.contains("no route to host") || lower.contains("unreachable") {
        return words!("the node cannot reach the pod's address", "节点无法到达 Pod 的地址");
    }
    words!("the probe decides whether the pod gets traffic", "探针决定 Pod 是否接收流量")
}

/// What the container declares, if it declares ports and the probed one is not among them.
fn undeclared(container: &Container, probe: &Probe) -> Option<String> {
    let port = match (&probe.http_get, &probe.tcp_socket, &probe.grpc) {
        (Some(get), ..) => get.port.clone(),
        (_, Some(socket), _) => socket.port.clone(),
        (.., Some(grpc)) => IntOrString::Int(grpc.port),
        _ => return None,
    };
    let declared = container.ports.as_ref().filter(|ports| !ports.is_empty())?;
    let found = declared.iter().any(|declared| match &port {
        IntOrString::Int(number) => declared.container_port == *number,
        IntOrString::String(name) => declared.name.as_ref() == Some(name),
    });
    let list: Vec<String> = declared.iter().map(|port| port.container_port.to_string()).collect();
    (!found).then(|| join_some(&list, 4))
}

/// `GET :8080/healthz`, `tcp :5432`, `exec [cat /ready]`, `grpc :9000`.
fn describe(probe: &Probe) -> String {
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
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

fn unmet_gate(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
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
    let why = Trouble::new("readiness-gate-unmet", what, proof).remedy(
        words!("Ask the controller that sets this condition.", "检查设置该条件的控制器。"),
        [view.kubectl(&format!("describe {object}"))],
    );
    Some(why)
}

fn containers_not_ready(view: &View<'_>, pod: &Pod) -> Trouble {
    let unready: Vec<String> =
        containers(pod).filter(|status| !status.ready).map(|status| status.name.clone()).collect();
    let what = match unready.is_empty() {
        true => words!("its condition Ready is not True", "Ready 条件不为 True"),
        false => {
            let list = join_some(&unready, 3);
            words!("container {list} is not ready", "容器 {list} 未就绪")
        }
    };
    let mut why = Trouble::new("pods-not-ready", what, vec![ready_evidence(pod)]).remedy(
        words!("Look at the pod's own events.", "查看 Pod 自身的事件。"),
        [view.kubectl(&format!("describe {}", pod_object(pod)))],
    );
    why.vague = true;
    why
}
