//! Balancer controllers of other projects, and how each of them says what is wrong.
//!
//! Upstream: MetalLB `controller/service.go`; AWS Load Balancer Controller `controllers/service`; Cilium
//! `operator/pkg/lbipam` (a condition and no event); k3s `pkg/cloudprovider/servicelb.go` (pods that carry host ports).

use k8s_openapi::api::core::v1::{Event, Pod};
use portolan_catalogue::vendor::Trouble;
use portolan_objects::pod;

use super::cause;
use crate::{
    Evidence, Finding, SYSTEM_NAMESPACE,
    history::{History, evidence, message},
    view::{View, condition, name, pod_object},
    words::words,
};

/// Cilium's verdict on a Service's wish for an address.
const SATISFIED: &str = "cilium.io/IPAMRequestSatisfied";
/// k3s: the Service that a pod carries ports for.
const CARRIES: [&str; 2] = ["svccontroller.k3s.cattle.io/svcname", "svccontroller.k3s.cattle.io/svcnamespace"];
/// (beginning of a class, namespace and beginning of the name of its controller's pods).
const CLASSES: [(&str, &str, &str); 4] = [
    ("service.k8s.aws/", SYSTEM_NAMESPACE, "aws-load-balancer-controller"),
    ("io.cilium/", SYSTEM_NAMESPACE, "cilium-operator"),
    ("tailscale", "tailscale", "operator"),
    ("metallb", "metallb-system", "controller"),
];
/// (namespace, part of the name) of the pods of controllers that serve Services without a class.
const DEFAULTS: [(&str, &str); 3] = [
    (SYSTEM_NAMESPACE, "cloud-controller-manager"),
    ("metallb-system", "controller"),
    (SYSTEM_NAMESPACE, "aws-load-balancer-controller"),
];

/// A controller's pod, as far as it can be seen.
pub(super) struct Controller<'a> {
    namespace: &'static str,
    prefix: &'static str,
    pod: Option<&'a Pod>,
}

impl Controller<'_> {
    /// `pod/NAME`, if it is ready.
    pub(super) fn running(&self) -> Option<String> {
        self.pod.filter(|pod| pod::is_ready(pod)).map(pod_object)
    }

    pub(super) fn evidence(&self) -> Evidence {
        let Self { namespace, prefix, pod } = self;
        let Some(pod) = pod else {
            return Evidence::new(format!("namespace/{namespace}"), "pods", format!("none is called {prefix}..."));
        };
        let ready = condition(pod, "Ready").map_or_else(|| "Unknown".to_owned(), |ready| ready.status.clone());
        Evidence::new(pod_object(pod), "status.conditions[Ready]", ready)
    }
}

fn look<'a>(view: &View<'a>, namespace: &'static str, prefix: &'static str) -> Option<Controller<'a>> {
    let visible = view.snapshot.covers(namespace)
        && view.snapshot.has_read("pods")
        && view.snapshot.has_read("pods of kube-system");
    let fits = |pod: &&&Pod| name(**pod).contains(prefix) && !pod::is_terminal(pod);
    let pods = view.index.pods_of(namespace).iter().filter(fits);
    let pod = pods.copied().max_by_key(|pod| pod::is_ready(pod));
    (pod.is_some() || visible).then_some(Controller { namespace, prefix, pod })
}

/// The controller of a known class; `None` if the class is unknown or its pods cannot be seen.
pub(super) fn of_class<'a>(view: &View<'a>, class: &str) -> Option<Controller<'a>> {
    let (_, namespace, prefix) = CLASSES.iter().find(|(known, ..)| class.starts_with(known))?;
    look(view, namespace, prefix)
}

/// A controller that would serve a Service without a class, the ready one first; `None` if there is no trace of any.
pub(super) fn default_controller<'a>(view: &View<'a>) -> Option<Controller<'a>> {
    let found = DEFAULTS.iter().filter_map(|(namespace, prefix)| look(view, namespace, prefix));
    found.filter(|controller| controller.pod.is_some()).max_by_key(|controller| controller.running().is_some())
}

/// The newest failure of a controller that is not the service controller.
pub(super) fn failure<'a>(view: &View<'a>) -> Option<&'a Event> {
    let failed =
        ["AllocationFailed", "FailedBuildModel", "FailedDeployModel", "SyncLoadBalancerFailed", "IPNotAllocated"];
    let better = ["IPAllocated", "SuccessfullyReconciled", "EnsuredLoadBalancer"];
    let all: Vec<&str> = failed.into_iter().chain(better).collect();
    view.history.newest(&all).filter(|event| event.reason.as_deref().is_some_and(|reason| failed.contains(&reason)))
}

/// Cilium's LB-IPAM says nothing in events: its condition is all there is.
pub(super) fn unsatisfied(view: &View<'_>) -> Option<Finding> {
    let conditions = view.service.status.as_ref()?.conditions.as_ref()?;
    let refused = conditions.iter().find(|condition| condition.type_ == SATISFIED && condition.status == "False")?;
    let trouble = match refused.reason.as_str() {
        "out_of_ips" => Trouble::Pool,
        "no_pool" => Trouble::Invalid,
        reason if reason.starts_with("already_allocated") => Trouble::Conflict,
        _ => cause::classify(&refused.message),
    };
    let field = format!("status.conditions[{SATISFIED}]");
    let finding = cause::finding(view, trouble, &refused.message)
        .proven_by([view.field(&field, format!("False, {}: {}", refused.reason, refused.message))])
        .remedy(
            words!(
                "Cilium's pools: does one select this Service, hold the address it asks for, and have free ones?",
                "检查 Cilium 地址池：是否选中该 Service、是否包含所请求的地址、是否还有空闲地址？"
            ),
            ["kubectl get ciliumloadbalancerippools -o yaml".to_owned()],
        );
    Some(finding)
}

/// k3s answers for a Service with pods that take its ports on their nodes: without one of them running, there is no address.
pub(super) fn carriers_pending(view: &View<'_>) -> Option<Finding> {
    let carries = |pod: &&&Pod| {
        let label = |key| pod.metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
        label(CARRIES[0]) == Some(view.name())
            && label(CARRIES[1]).is_none_or(|namespace| namespace == view.namespace())
    };
    let pods: Vec<&Pod> = view.index.pods_of(SYSTEM_NAMESPACE).iter().filter(carries).copied().collect();
    let first = *pods.first()?;
    if pods.iter().any(|pod| pod::is_ready(pod)) {
        return None;
    }
    let history = History::of(view.index, "Pod", SYSTEM_NAMESPACE, name(first), first.metadata.uid.as_deref());
    let event = history.newest(&["FailedScheduling"]);
    let placed = condition(first, "PodScheduled").and_then(|condition| condition.message.clone());
    let why = placed.or_else(|| event.map(|event| message(event).to_owned())).unwrap_or_else(|| "not ready".to_owned());
    let count = pods.len();
    let title = words!(
        "none of the {count} svclb pods that carry this Service's ports runs: {why}",
        "负责该 Service 端口的 {count} 个 svclb Pod 都没有运行：{why}"
    );
    let object = pod_object(first);
    let finding = cause::pending("load-balancer-without-nodes", view, title)
        .proven_by([Evidence::new(&object, "status", why)])
        .proven_by(event.map(|event| evidence(event, view.now)))
        .remedy(
            words!(
                "Free the port on a node, or use another port: svclb takes the Service's port as a host port.",
                "在某个节点上释放该端口，或改用其他端口：svclb 会把 Service 端口作为 hostPort 占用。"
            ),
            [
                format!("kubectl -n {SYSTEM_NAMESPACE} describe {object}"),
                format!("kubectl -n {SYSTEM_NAMESPACE} get pods -l {}={} -o wide", CARRIES[0], view.name()),
            ],
        );
    Some(finding)
}
