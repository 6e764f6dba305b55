//! k3s servicelb: balancers made of host ports. UpdatedLoadBalancer and UnAvailableLoadBalancer are its words too.
//!
//! Source: `pkg/cloudprovider/servicelb.go` of k3s.

use super::super::{BLANK, DESCRIBE_SERVICE, DIAGNOSE, frequency, message, remedy};
use crate::lang::text;
use crate::{Category, Chain, Entry, Harm, Impact, Portolan, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[APPLIED_DAEMON_SET, DELETED_DAEMON_SET, UPDATED_INGRESS_IP];

/// What they have in common; each fills in the rest.
const COMMON: Entry = Entry {
    category: Category::LoadBalancer,
    status: Status::ThirdParty { by: "k3s" },
    portolan: Portolan { emits: false, when: text("Its balancers are no pods.", "它的负载均衡器不是 Pod。") },
    emitter: "service-controller",
    object: "Service",
    versions: Versions::NEVER,
    checks: &[DESCRIBE_SERVICE, DIAGNOSE],
    ..BLANK
};

const APPLIED_DAEMON_SET: Entry = Entry {
    name: "AppliedDaemonSet",
    severity: Severity::Normal,
    summary: text("k3s has made the pods that serve as balancer", "k3s 已建立充当负载均衡器的 Pod"),
    messages: &[message("k3s servicelb", "Applied LoadBalancer DaemonSet {namespace}/{name}")],
    meaning: text(
        "The built-in balancer of k3s is a DaemonSet whose pods take the ports of the Service as host \
         ports on every node. Its pods must run before there is an address.",
        "k3s 自带的负载均衡器是一个 DaemonSet，其 Pod 在每个节点上以 hostPort 占用 Service 的端口。Pod \
         运行之后才有地址。",
    ),
    frequency: frequency::EACH_RECONCILE,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text(
            "EnsuringLoadBalancer; EnsuredLoadBalancer does not follow, for k3s says that it is \
         implemented elsewhere.",
            "EnsuringLoadBalancer；之后没有 EnsuredLoadBalancer，因为 k3s 表示由别处实现。",
        ),
        after: text(
            "UpdatedLoadBalancer with the addresses of nodes, or UnAvailableLoadBalancer.",
            "带节点地址的 UpdatedLoadBalancer，或 UnAvailableLoadBalancer。",
        ),
    },
    remedies: Remedies::Steps(&[remedy(
        text("The address stays pending.", "地址一直 pending。"),
        text(
            "The pods `svclb-...` are Pending: another Service or program has the port on every \
                 node. Use one balancer with names or paths behind it, or other ports.",
            "`svclb-...` 的 Pod 处于 Pending：每个节点上该端口都被其他 Service 或程序占用。改用一个\
                 负载均衡器按名称或路径分流，或换端口。",
        ),
        &["kubectl get pods -n kube-system -l svccontroller.k3s.cattle.io/svcname=NAME -o wide"],
    )]),
    see_also: &["UpdatedLoadBalancer", "UnAvailableLoadBalancer", "DeletedDaemonSet"],
    ..COMMON
};

const DELETED_DAEMON_SET: Entry = Entry {
    name: "DeletedDaemonSet",
    severity: Severity::Normal,
    summary: text("k3s has removed the pods that served as balancer", "k3s 已删除充当负载均衡器的 Pod"),
    messages: &[message("k3s servicelb", "Deleted LoadBalancer DaemonSet {namespace}/{name}")],
    meaning: text(
        "The Service is gone or no longer of type LoadBalancer.",
        "Service 已删除，或类型不再是 LoadBalancer。",
    ),
    frequency: frequency::ONCE_IN_A_LIFE,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("DeletingLoadBalancer.", "DeletingLoadBalancer。"),
        after: text("DeletedLoadBalancer.", "DeletedLoadBalancer。"),
    },
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    see_also: &["AppliedDaemonSet"],
    ..COMMON
};

const UPDATED_INGRESS_IP: Entry = Entry {
    name: "UpdatedIngressIP",
    severity: Severity::Normal,
    summary: text("k3s has written addresses of nodes into the Service", "k3s 已把节点地址写入 Service"),
    messages: &[message("older k3s servicelb", "LoadBalancer Ingress IP addresses updated: {addresses}")],
    meaning: text(
        "The address of the Service is that of the nodes on which its balancer pods are ready. Newer \
         releases say UpdatedLoadBalancer with `Updated LoadBalancer with new IPs`.",
        "Service 的地址就是其负载均衡 Pod 就绪的那些节点的地址。新版本改为 UpdatedLoadBalancer，文字是 \
         `Updated LoadBalancer with new IPs`。",
    ),
    frequency: frequency::NODE_SET,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("AppliedDaemonSet, or a change of nodes.", "AppliedDaemonSet，或节点变化。"),
        after: text("Traffic to these addresses.", "流量发往这些地址。"),
    },
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    see_also: &["AppliedDaemonSet", "UpdatedLoadBalancer"],
    ..COMMON
};
