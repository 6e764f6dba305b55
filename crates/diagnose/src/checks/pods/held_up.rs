//! What holds one pod up, the deepest cause first: its node, its place, its network, its volumes, its containers.

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::pod;

use super::{super::trouble::Trouble, host_port, network, phase, waiting};
use crate::{
    Evidence,
    history::{evidence, message, seconds_between},
    view::{View, condition, containers, name, node_ready, pod_object},
    words::words,
};

/// Pods younger than this many seconds may still be waiting for their turn.
const YOUNG: i64 = 15;

pub(super) fn of(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    lost_node(view, pod)
        .or_else(|| host_port::of(view, pod))
        .or_else(|| unscheduled(view, pod))
        .or_else(|| waiting::of(view, pod))
        .or_else(|| network::of(view, pod))
        .or_else(|| unmounted(view, pod))
        .or_else(|| waiting::initializing(view, pod))
        .or_else(|| unreadable(view, pod))
}

/// Its node does not report, so nothing that the pod's status says is news.
pub(in super::super) fn lost_node(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let node_name = pod::node(pod)?;
    let object = format!("node/{node_name}");
    let Some(node) = view.index.node(node_name) else {
        let known = view.snapshot.has_read("nodes") && !view.snapshot.nodes.is_empty();
        // Without a node there is no kubelet; a pod that is ready all the same is somebody's who plays one.
        return (known && !pod::is_ready(pod)).then(|| {
            let what = words!("its node {node_name} does not exist", "所在节点 {node_name} 不存在");
            let proof = Evidence::new(pod_object(pod), "spec.nodeName", format!("{node_name} (no such Node)"));
            Trouble::new("node-not-ready", what, vec![proof]).subject(object).remedy(
                words!("Register the node again, or delete its pods.", "重新注册该节点，或删除其上的 Pod。"),
                vec!["kubectl get nodes".to_owned(), delete(view, pod)],
            )
        });
    };
    if node_ready(node) {
        return None;
    }
    let ready = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = ready.into_iter().flatten().find(|condition| condition.type_ == "Ready");
    let value = ready.map_or_else(
        || "(absent)".to_owned(),
        |condition| {
            let parts = [condition.reason.as_deref(), condition.message.as_deref()];
            let text: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
            format!("{} {}", condition.status, text.join(": ")).trim_end().to_owned()
        },
    );
    let what = words!("its node {node_name} is not ready", "所在节点 {node_name} 未就绪");
    let proof = vec![
        Evidence::new(&object, "status.conditions[Ready]", value),
        Evidence::new(pod_object(pod), "spec.nodeName", node_name),
    ];
    let trouble = Trouble::new("node-not-ready", what, proof)
        .because(words!(
            "a node that does not report has its pods marked not ready",
            "节点不上报状态时，其上的 Pod 会被标记为未就绪"
        ))
        .subject(&object)
        .remedy(
            words!("Bring the node back: its machine, its kubelet, its network.", "恢复该节点：机器、kubelet、网络。"),
            vec![format!("kubectl describe {object}")],
        )
        .remedy(
            words!(
                "If the machine is gone for good, delete the Node, so that its pods are made elsewhere. Risk: if it only \
                 lost contact, pods of a StatefulSet may then run twice.",
                "如果机器已永久丢失，删除该 Node，其 Pod 会在别处重建。风险：若它只是失联，StatefulSet 的 Pod 可能同时运行两份。"
            ),
            vec![format!("kubectl delete {object}")],
        )
        .reason("NodeNotReady");
    Some(trouble)
}

fn delete(view: &View<'_>, pod: &Pod) -> String {
    view.kubectl(&format!("delete {}", pod_object(pod)))
}

/// No node has been found for it.
fn unscheduled(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    if pod::node(pod).is_some() {
        return None;
    }
    let scheduled = condition(pod, "PodScheduled").filter(|condition| condition.status == "False");
    let event = view.pod_history(pod).newest(&["FailedScheduling"]);
    let object = pod_object(pod);
    if scheduled.is_none() && event.is_none() {
        return unseen(view, pod);
    }
    let text = scheduled
        .and_then(|condition| condition.message.clone())
        .or_else(|| event.map(|event| message(event).to_owned()))
        .unwrap_or_default();
    let proof = scheduled.map(|_| Evidence::new(&object, "status.conditions[PodScheduled]", format!("False: {text}")));
    let proof = proof.into_iter().chain(event.map(|event| evidence(event, view.now))).collect();
    if scheduled.and_then(|condition| condition.reason.as_deref()) == Some("SchedulingGated") {
        let what = words!("scheduling gates hold it back: {text}", "调度门控仍未解除：{text}");
        let trouble = Trouble::new("pods-unschedulable", what, proof).remedy(
            words!("Ask the controller that owns the gate to take it away.", "请设置该门控的控制器解除它。"),
            vec![view.kubectl(&format!("get {object} -o jsonpath='{{.spec.schedulingGates}}'"))],
        );
        return Some(trouble);
    }
    let what = words!("no node takes it: {text}", "没有节点能接纳它：{text}");
    let trouble = Trouble::new("pods-unschedulable", what, proof)
        .remedy(
            words!("Make room, or loosen what the pod asks for.", "腾出资源，或放宽 Pod 的要求。"),
            vec![view.kubectl(&format!("describe {object}")), "kubectl get nodes".to_owned()],
        )
        .reason("FailedScheduling");
    Some(trouble)
}

/// No scheduler has even said no.
fn unseen(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    if phase(pod) != "Pending" || view.seconds_since(&pod.metadata) < YOUNG {
        return None;
    }
    let scheduler = pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or("default-scheduler");
    let what = words!("scheduler {scheduler} has not looked at it", "调度器 {scheduler} 尚未处理它");
    let proof = vec![
        Evidence::new(pod_object(pod), "spec.nodeName", "(none)"),
        Evidence::new(pod_object(pod), "status.conditions[PodScheduled]", "(absent)"),
    ];
    let trouble = Trouble::new("pods-unschedulable", what, proof).vague().remedy(
        words!("See that this scheduler runs and leads.", "确认该调度器在运行并担任 leader。"),
        vec!["kubectl -n kube-system get leases".to_owned()],
    );
    Some(trouble)
}

/// It waits for its volumes: no container is started before.
fn unmounted(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    if containers(pod).any(|status| status.state.as_ref().is_some_and(|state| state.running.is_some())) {
        return None;
    }
    let event = view.pod_history(pod).newest(&["FailedMount", "FailedAttachVolume"])?;
    let text = message(event).to_owned();
    let what = words!("its volumes are not there: {text}", "存储卷未就绪：{text}");
    let trouble = Trouble::new("container-waiting", what, vec![evidence(event, view.now)])
        .remedy(
            words!("Make what the message names.", "提供消息中指出的对象。"),
            vec![view.kubectl(&format!("describe {}", pod_object(pod)))],
        )
        .reason(event.reason.clone().unwrap_or_default());
    Some(trouble)
}

/// Its node cannot tell what became of it.
fn unreadable(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let event = view.pod_history(pod).newest(&["FailedSync"]);
    if event.is_none() && phase(pod) != "Unknown" {
        return silent_kubelet(view, pod);
    }
    let node = pod::node(pod).unwrap_or("?").to_owned();
    let text = event.map(|event| message(event).to_owned()).unwrap_or_default();
    let what = words!("node {node} cannot tell its state: {text}", "节点 {node} 无法得知它的状态：{text}");
    let proof = vec![Evidence::new(pod_object(pod), "status.phase", phase(pod))];
    let proof = proof.into_iter().chain(event.map(|event| evidence(event, view.now))).collect();
    let trouble = Trouble::new("pods-status-unknown", what, proof).remedy(
        words!(
            "See whether the container runtime of that node answers, and whether its disk is full.",
            "检查该节点的容器运行时是否应答、磁盘是否已满。"
        ),
        vec![format!("kubectl describe node {node}"), view.kubectl(&format!("describe {}", pod_object(pod)))],
    );
    Some(match event.and_then(|event| event.reason.clone()) {
        Some(reason) => trouble.reason(reason),
        None => trouble,
    })
}

/// Placed on a node whose kubelet has not said a word about it, although the node reports.
fn silent_kubelet(view: &View<'_>, pod: &Pod) -> Option<Trouble> {
    let node = pod::node(pod)?;
    let untouched = phase(pod) == "Pending" && containers(pod).next().is_none();
    let waits = |changed: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time| seconds_between(changed.0, view.now);
    let placed = condition(pod, "PodScheduled").and_then(|condition| condition.last_transition_time.as_ref());
    let since = placed.map_or_else(|| view.seconds_since(&pod.metadata), waits);
    if !untouched || since < YOUNG {
        return None;
    }
    let pod_name = name(pod);
    let what = words!(
        "it was placed on node {node} {since} s ago, and its kubelet has not begun",
        "{since} 秒前已调度到节点 {node}，但 kubelet 尚未开始处理"
    );
    let proof = vec![
        Evidence::new(pod_object(pod), "spec.nodeName", node),
        Evidence::new(pod_object(pod), "status.containerStatuses", "(none)"),
    ];
    let trouble = Trouble::new("pods-not-running", what, proof).vague().remedy(
        words!("Look at the pod's events and at the kubelet of its node.", "查看 Pod 的事件和所在节点的 kubelet。"),
        vec![view.kubectl(&format!("describe pod {pod_name}")), format!("kubectl describe node {node}")],
    );
    Some(trouble)
}
