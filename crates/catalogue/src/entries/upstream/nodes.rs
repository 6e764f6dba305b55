//! The state of nodes, and their ranges and routes.
//!
//! Source: `pkg/kubelet/kubelet_node_status.go`, `pkg/controller/nodeipam` of Kubernetes 1.36, `k8s.io/cloud-provider/controllers/route`.

use super::super::{BLANK, check, frequency, message, place, remedy, risk, risky};
use crate::lang::text;
use crate::{Category, Chain, Entry, Harm, Impact, Pattern, Portolan, Remedies, Severity, Versions};

pub(super) const ENTRIES: &[Entry] =
    &[NODE_NOT_SCHEDULABLE, NODE_SCHEDULABLE, REBOOTED, SHUTDOWN, FAILED_TO_CREATE_ROUTE, CIDR_ASSIGNMENT_FAILED];

/// What they have in common; each fills in the rest.
const COMMON: Entry = Entry {
    category: Category::Node,
    portolan: Portolan {
        emits: false,
        when: text("Its nodes come and go with its own agents.", "它的节点随自己的代理而来去。"),
    },
    emitter: "node-controller",
    object: "Node",
    versions: Versions::since("1.36"),
    checks: &[check(
        "The node, its conditions, taints and Events.",
        "节点、其各项状态、污点和事件。",
        "kubectl describe node NODE",
    )],
    ..BLANK
};

const NODE_NOT_SCHEDULABLE: Entry = Entry {
    name: "NodeNotSchedulable",
    severity: Severity::Normal,
    emitter: "kubelet",
    summary: text("The node takes no new pods", "节点不再接收新 Pod"),
    messages: &[message("Kubernetes", "Node {node} status is now: NodeNotSchedulable")],
    meaning: text(
        "Somebody has cordoned the node. Pods that run there go on, and it stays behind balancers.",
        "有人对节点执行了 cordon。已运行的 Pod 不受影响，节点仍在负载均衡器后面。",
    ),
    frequency: frequency::NODE_CHANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("`kubectl cordon` or `drain`.", "`kubectl cordon` 或 `drain`。"),
        after: text("NodeSchedulable.", "NodeSchedulable。"),
    },
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    see_also: &["NodeSchedulable", "FailedScheduling"],
    ..COMMON
};

const NODE_SCHEDULABLE: Entry = Entry {
    name: "NodeSchedulable",
    severity: Severity::Normal,
    emitter: "kubelet",
    summary: text("The node takes new pods again", "节点恢复接收新 Pod"),
    messages: &[message("Kubernetes", "Node {node} status is now: NodeSchedulable")],
    meaning: text("The node has been uncordoned.", "节点已被 uncordon。"),
    frequency: frequency::NODE_CHANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("NodeNotSchedulable.", "NodeNotSchedulable。"),
        after: text("Scheduled, for pods that waited.", "等待中的 Pod 出现 Scheduled。"),
    },
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    see_also: &["NodeNotSchedulable"],
    ..COMMON
};

const REBOOTED: Entry = Entry {
    name: "Rebooted",
    severity: Severity::Warning,
    emitter: "kubelet",
    summary: text("The node has been rebooted", "节点重启过"),
    messages: &[message("Kubernetes", "Node {node} has been rebooted, boot id: {id}")],
    meaning: text(
        "All pods on it started again, and its rules were written anew.",
        "其上所有 Pod 重新启动，规则也重新写入。",
    ),
    frequency: frequency::NODE_CHANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact {
        harm: Harm::Medium,
        who: text("Users of pods on that node, for the time of the reboot.", "重启期间该节点上 Pod 的使用者。"),
    },
    chain: Chain {
        before: text("NodeNotReady, mostly.", "多半先有 NodeNotReady。"),
        after: text("SandboxChanged on its pods.", "其 Pod 上的 SandboxChanged。"),
    },
    remedies: Remedies::Steps(&[
        remedy(
            text("Nobody rebooted it.", "没有人重启它。"),
            text("Look at the machine's log from before.", "查看机器重启前的日志。"),
            &["journalctl -b -1 -n 200"],
        ),
        risky(
            text("It was planned.", "是计划内的。"),
            text("Drain nodes before such work.", "此类操作前先 drain 节点。"),
            &["kubectl drain NODE --ignore-daemonsets"],
            risk::POD_LOST,
        ),
    ]),
    see_also: &["SandboxChanged", "NodeNotReady"],
    ..COMMON
};

const SHUTDOWN: Entry = Entry {
    name: "Shutdown",
    severity: Severity::Normal,
    emitter: "kubelet",
    summary: text("The node is shutting down", "节点正在关机"),
    messages: &[
        message("Kubernetes", "Shutdown manager detected shutdown event"),
        message("Kubernetes", "Shutdown manager detected shutdown cancellation"),
    ],
    meaning: text(
        "The kubelet was told and stops its pods in order, by priority.",
        "kubelet 得到通知，按优先级依次停止 Pod。",
    ),
    frequency: frequency::NODE_CHANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact {
        harm: Harm::Medium,
        who: text("Users of pods on that node, if no others are ready.", "该节点上 Pod 的使用者，如果别处没有就绪的。"),
    },
    chain: Chain {
        before: text("The machine's own shutdown.", "机器自身关机。"),
        after: text("NodeNotReady.", "NodeNotReady。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("It was not wanted.", "并非有意。"),
        text("Ask the cloud's or the machine's log who did it.", "从云端或机器日志查明是谁操作的。"),
        &["journalctl -b -1 -n 200"],
    )]),
    see_also: &["NodeNotReady", "Rebooted"],
    ..COMMON
};

const FAILED_TO_CREATE_ROUTE: Entry = Entry {
    name: "FailedToCreateRoute",
    severity: Severity::Warning,
    emitter: "route_controller",
    summary: text("The cloud has no route to the node's pods", "云端没有通往该节点 Pod 的路由"),
    messages: &[message("Kubernetes", "Could not create route {name} {range} for node {node} after {time}: {error}")],
    patterns: &[Pattern {
        template: "Could not create route {name} {range} for node {node} after {time}: {error}",
        trouble: None,
        cause: text("The cloud refused the route to the node's pods.", "云端拒绝建立通往该节点 Pod 的路由。"),
        code: Some("network-drops"),
        samples: &["Could not create route abc 10.244.1.0/24 for node node1 after 1.2s: RouteLimitExceeded"],
    }],
    meaning: text(
        "Pods of other nodes cannot reach those of this one until the route is there.",
        "在路由建立之前，其他节点的 Pod 访问不到该节点的 Pod。",
    ),
    frequency: frequency::OTHER_RETRY,
    place: Some(place::NODE_EVENTS),
    impact: Impact { harm: Harm::High, who: text("Pods across nodes: time-outs.", "跨节点的 Pod：超时。") },
    chain: Chain { before: text("RegisteredNode.", "RegisteredNode。"), after: text("Another try.", "重试。") },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Raise the limit of routes of the network, or give the controller the right to make them.",
            "提高网络的路由数上限，或授予控制器创建路由的权限。",
        ),
        &["kubectl get node NODE -o jsonpath='{.spec.podCIDRs} {.status.conditions}'"],
    )]),
    see_also: &["CIDRNotAvailable"],
    ..COMMON
};

const CIDR_ASSIGNMENT_FAILED: Entry = Entry {
    name: "CIDRAssignmentFailed",
    severity: Severity::Normal,
    category: Category::Network,
    emitter: "cidrAllocator",
    summary: text("A range for the node's pods could not be written", "未能写入节点的 Pod 地址段"),
    messages: &[message("Kubernetes", "Node {node} status is now: CIDRAssignmentFailed")],
    patterns: &[Pattern {
        template: "status is now: CIDRAssignmentFailed",
        trouble: None,
        cause: text("The range could not be written into the Node.", "地址段没能写入 Node。"),
        code: Some("pod-address-exhausted"),
        samples: &["Node node1 status is now: CIDRAssignmentFailed"],
    }],
    meaning: text(
        "There was a range, and writing it into the Node kept failing. Of type Normal, and yet pods \
         there get no address.",
        "地址段是有的，但一直没能写入 Node。类型为 Normal，但那里的 Pod 得不到地址。",
    ),
    frequency: frequency::POD_RANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact { harm: Harm::High, who: text("New pods of that node.", "该节点上的新 Pod。") },
    chain: Chain { before: text("RegisteredNode.", "RegisteredNode。"), after: text("Another try.", "重试。") },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Look at the log of the controller manager, and at webhooks on nodes.",
            "查看 controller-manager 的日志，以及作用于节点的 webhook。",
        ),
        &["kubectl get node NODE -o jsonpath='{.spec.podCIDRs}'"],
    )]),
    see_also: &["CIDRNotAvailable"],
    ..COMMON
};
