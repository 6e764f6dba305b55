//! Controllers and the scheduler about pods that are in the way.
//!
//! Source: `pkg/controller/daemon`, `pkg/controller/deployment` and `pkg/scheduler/framework/preemption` of Kubernetes 1.36.

use super::super::{BLANK, DESCRIBE_POD, check, frequency, message, remedy};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Pattern, Portolan, Remedies, Severity, Versions};

pub(super) const ENTRIES: &[Entry] = &[FAILED_DAEMON_POD, REPLICA_SET_CREATE_ERROR, PREEMPTED];

/// What they have in common; each fills in the rest.
const COMMON: Entry = Entry {
    category: Category::Workloads,
    portolan: Portolan {
        emits: false,
        when: text("It has no such controller, or says FailedCreate.", "它没有这样的控制器，或以 FailedCreate 说明。"),
    },
    object: "Pod",
    versions: Versions::since("1.36"),
    checks: &[DESCRIBE_POD],
    ..BLANK
};

const FAILED_DAEMON_POD: Entry = Entry {
    name: "FailedDaemonPod",
    severity: Severity::Warning,
    emitter: "daemonset-controller",
    object: "DaemonSet",
    summary: text("A pod of a DaemonSet has failed", "DaemonSet 的某个 Pod 失败"),
    messages: &[message("Kubernetes", "Found failed daemon pod {namespace}/{pod} on node {node}, will try to kill it")],
    patterns: &[Pattern {
        template: "Found failed daemon pod {pod} on node {node}, will try to kill it",
        trouble: None,
        cause: text("The node refused or evicted the pod.", "节点拒绝或驱逐了该 Pod。"),
        code: Some("pods-ended"),
        samples: &["Found failed daemon pod default/agent-1 on node node1, will try to kill it"],
    }],
    meaning: text(
        "A node refused the pod, mostly because a host port is taken, or it was evicted. It is deleted \
         and made anew with growing pauses.",
        "节点拒绝了该 Pod（多半因为主机端口被占用），或它被驱逐。会以越来越长的间隔删除重建。",
    ),
    frequency: frequency::OTHER_RETRY,
    impact: Impact {
        harm: Harm::Medium,
        who: text("Users who need the pod on that very node.", "需要该节点上这个 Pod 的使用者。"),
    },
    chain: Chain {
        before: text("NodePorts or Evicted, on the pod.", "Pod 上的 NodePorts 或 Evicted。"),
        after: text("SuccessfulDelete and SuccessfulCreate.", "SuccessfulDelete 和 SuccessfulCreate。"),
    },
    checks: &[check(
        "The DaemonSet, with its Events.",
        "DaemonSet 及其事件。",
        "kubectl describe daemonset NAME -n NAMESPACE",
    )],
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Look at the pod before it is deleted: status.reason names the cause.",
            "趁 Pod 还没删除时查看：status.reason 说明原因。",
        ),
        &["kubectl get pods -n NAMESPACE -o wide"],
    )]),
    see_also: &["NodePorts", "Evicted", "HostPortConflict"],
    ..COMMON
};

const REPLICA_SET_CREATE_ERROR: Entry = Entry {
    name: "ReplicaSetCreateError",
    severity: Severity::Warning,
    emitter: "deployment-controller",
    object: "Deployment",
    summary: text("A Deployment could not make its ReplicaSet", "Deployment 未能创建 ReplicaSet"),
    messages: &[message("Kubernetes", "Failed to create new replica set \"{name}\": {error}")],
    patterns: &[Pattern {
        template: "Failed to create new replica set {name}: {error}",
        trouble: None,
        cause: text("The API refused the ReplicaSet.", "API 拒绝了 ReplicaSet。"),
        code: Some("pods-not-created"),
        samples: &["Failed to create new replica set \"web-1\": replicasets.apps is forbidden: exceeded quota: \
                 tiny"],
    }],
    meaning: text(
        "The API refused the ReplicaSet itself, so there is nothing that could make pods.",
        "API 拒绝了 ReplicaSet 本身，因此没有东西可以创建 Pod。",
    ),
    frequency: frequency::REPLICA_RETRY,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "A new Deployment has no pods; an old one keeps its old pods.",
            "新 Deployment 没有 Pod；已有的保留旧 Pod。",
        ),
    },
    chain: Chain {
        before: text("The Deployment was created or changed.", "Deployment 创建或变更。"),
        after: text("Another try.", "重试。"),
    },
    checks: &[check(
        "The Deployment, with its Events.",
        "Deployment 及其事件。",
        "kubectl describe deployment NAME -n NAMESPACE",
    )],
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Act on the error: a quota on replicasets, a webhook, or an invalid template.",
            "按错误处理：replicasets 的配额、webhook，或模板不合法。",
        ),
        &["kubectl describe deployment NAME -n NAMESPACE"],
    )]),
    see_also: &["FailedCreate"],
    ..COMMON
};

const PREEMPTED: Entry = Entry {
    name: "Preempted",
    severity: Severity::Normal,
    emitter: "default-scheduler",
    api: Api::Events,
    summary: text("The scheduler sacrificed the pod to a more important one", "调度器为更重要的 Pod 牺牲了该 Pod"),
    messages: &[message("Kubernetes", "Preempted by pod {uid} on node {node}")],
    meaning: text(
        "A pod of higher priority found no other room. The text names the winner by its UID.",
        "优先级更高的 Pod 找不到其他位置。文字用 UID 指出胜出者。",
    ),
    frequency: frequency::EVICTION,
    impact: Impact {
        harm: Harm::Medium,
        who: text("The pod's users, until its workload makes another.", "该 Pod 的使用者，直到工作负载补上新的。"),
    },
    chain: Chain {
        before: text("FailedScheduling of the other pod.", "另一个 Pod 的 FailedScheduling。"),
        after: text("Killing.", "Killing。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Give the pods a priority of their own, a PodDisruptionBudget, or the cluster more room.",
            "为这些 Pod 设置优先级、PodDisruptionBudget，或给集群更多资源。",
        ),
        &["kubectl get priorityclasses"],
    )]),
    see_also: &["FailedScheduling", "Preempting"],
    ..COMMON
};
