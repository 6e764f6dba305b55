//! The kubelet about the surroundings and the end of a pod.
//!
//! Source: `pkg/kubelet/kubelet.go`, `pkg/kubelet/pod_workers.go`, `pkg/kubelet/eviction` of Kubernetes 1.36.

use super::super::{BLANK, DESCRIBE_POD, frequency, message, remedy};
use crate::lang::text;
use crate::{Bound, Category, Chain, Entry, Harm, Impact, Pattern, Portolan, Remedies, Severity, Versions};

pub(super) const ENTRIES: &[Entry] = &[
    NETWORK_NOT_READY,
    SANDBOX_CHANGED,
    FAILED_POD_SAND_BOX_STATUS,
    FAILED_KILL_POD,
    FAILED_CREATE_POD_CONTAINER,
    EXCEEDED_GRACE_PERIOD,
    PREEMPTING,
    EVICTED,
    HOST_I_PS_IP_FAMILY_MISMATCH,
];

/// What they have in common; each fills in the rest.
const COMMON: Entry = Entry {
    category: Category::Workloads,
    portolan: Portolan {
        emits: false,
        when: text(
            "Its node agent has no such moment, or says it in other words.",
            "它的节点代理没有这种情形，或以别的方式说明。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    versions: Versions::since("1.36"),
    checks: &[DESCRIBE_POD],
    ..BLANK
};

const NETWORK_NOT_READY: Entry = Entry {
    name: "NetworkNotReady",
    severity: Severity::Warning,
    summary: text("The network of the node is not ready", "节点的网络尚未就绪"),
    messages: &[message("Kubernetes", "network is not ready: {error}")],
    patterns: &[Pattern {
        template: "network is not ready: {error}",
        trouble: None,
        cause: text("The node has no working network plugin.", "节点没有可用的网络插件。"),
        code: Some("pod-network-failed"),
        samples: &["network is not ready: container runtime network not ready: NetworkReady=false \
                 reason:NetworkPluginNotReady message:cni plugin not initialized"],
    }],
    meaning: text(
        "The network plugin of the node has not been set up or has failed, so pods wait; those on the \
         host network do not.",
        "节点的网络插件没有装好或已失效，Pod 因此等待；使用主机网络的 Pod 不受影响。",
    ),
    frequency: frequency::POD_WORKER,
    impact: Impact { harm: Harm::High, who: text("New pods of the node.", "该节点上的新 Pod。") },
    chain: Chain {
        before: text("Scheduled.", "Scheduled。"),
        after: text("Created once the plugin is there.", "插件就绪后出现 Created。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Look at the plugin's pod on that node, and at /etc/cni/net.d.",
            "检查该节点上插件的 Pod，以及 /etc/cni/net.d。",
        ),
        &["kubectl get pods -n kube-system -o wide --field-selector spec.nodeName=NODE"],
    )]),
    see_also: &["FailedCreatePodSandBox"],
    ..COMMON
};

const SANDBOX_CHANGED: Entry = Entry {
    name: "SandboxChanged",
    severity: Severity::Normal,
    summary: text("The pod's sandbox is gone and is made anew", "Pod 的沙箱消失，正在重建"),
    messages: &[message("Kubernetes", "Pod sandbox changed, it will be killed and re-created.")],
    meaning: text(
        "The runtime lost the sandbox, as after a restart of the node. The pod gets another address, \
         and all its containers start again.",
        "运行时丢失了沙箱，例如节点重启之后。Pod 会换地址，所有容器重新启动。",
    ),
    frequency: frequency::POD_STEP,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "The pod's connections; the slices follow its new address.",
            "该 Pod 的连接；EndpointSlice 随后更新为新地址。",
        ),
    },
    chain: Chain {
        before: text("A restart of the node or of its runtime.", "节点或运行时重启。"),
        after: text("Created and Started.", "Created 和 Started。"),
    },
    remedies: Remedies::Steps(&[
        remedy(
            text("It comes again and again.", "反复出现。"),
            text(
                "The sandbox dies each time: look for FailedCreatePodSandBox and at the log of the \
                 runtime.",
                "沙箱每次都失效：查找 FailedCreatePodSandBox 和运行时日志。",
            ),
            &["journalctl -u containerd --since -1h"],
        ),
        remedy(
            text("It comes once.", "只出现一次。"),
            text("Nothing to do: this is routine.", "无需处理，这是正常流程。"),
            &[],
        ),
    ]),
    see_also: &["FailedCreatePodSandBox", "Created"],
    ..COMMON
};

const FAILED_POD_SAND_BOX_STATUS: Entry = Entry {
    name: "FailedPodSandBoxStatus",
    severity: Severity::Warning,
    summary: text("The state of the pod's sandbox cannot be read", "无法读取 Pod 沙箱的状态"),
    messages: &[message("Kubernetes", "Unable to get pod sandbox status: {error}")],
    meaning: text("The runtime did not answer when it was asked for the sandbox.", "查询沙箱时运行时没有应答。"),
    frequency: frequency::POD_WORKER,
    impact: Impact { harm: Harm::Low, who: text("The pod's status is old.", "Pod 的状态不是最新的。") },
    chain: Chain {
        before: text("Trouble of the runtime.", "运行时出现问题。"), after: text("Another try.", "重试。")
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Look at the runtime of that node.", "检查该节点的运行时。"),
        &["journalctl -u containerd --since -1h"],
    )]),
    see_also: &["FailedSync"],
    ..COMMON
};

const FAILED_KILL_POD: Entry = Entry {
    name: "FailedKillPod",
    severity: Severity::Warning,
    summary: text("The pod could not be stopped", "未能停止 Pod"),
    messages: &[message("Kubernetes", "error killing pod: {error}")],
    patterns: &[
        Pattern {
            template: "failed to destroy network for sandbox {sandbox}: {error}",
            trouble: None,
            cause: text("The network plugin cannot take the pod's network down.", "网络插件无法拆除 Pod 的网络。"),
            code: Some("pods-terminating"),
            samples: &["error killing pod: failed to \"KillPodSandbox\" for \"1\" with KillPodSandboxError: \"rpc \
                 error: failed to destroy network for sandbox \\\"2\\\": plugin type=\\\"calico\\\" failed \
                 (delete)\""],
        },
        Pattern {
            template: "error killing pod: {error}",
            trouble: None,
            cause: text("The runtime cannot stop the pod.", "运行时无法停止 Pod。"),
            code: Some("pods-terminating"),
            samples: &["error killing pod: rpc error: code = DeadlineExceeded"],
        },
    ],
    meaning: text(
        "Containers or the sandbox did not go: a hanging runtime, or a network plugin that cannot give \
         the address back.",
        "容器或沙箱无法停止：运行时卡住，或网络插件无法归还地址。",
    ),
    frequency: frequency::POD_WORKER,
    impact: Impact {
        harm: Harm::Medium,
        who: text("The pod stays Terminating, and its address is not free.", "Pod 停在 Terminating，地址也没有释放。"),
    },
    chain: Chain { before: text("Killing.", "Killing。"), after: text("Another try.", "重试。") },
    remedies: Remedies::Steps(&[
        remedy(
            text("The text speaks of the network.", "文字提到网络。"),
            text("Repair the network plugin of that node; the pod then goes.", "修复该节点的网络插件，Pod 随后消失。"),
            &["kubectl get pods -n kube-system -o wide --field-selector spec.nodeName=NODE"],
        ),
        remedy(
            text("The text speaks of the runtime.", "文字提到运行时。"),
            text("Look at its log; restarting it is the last resort.", "查看其日志；最后才考虑重启。"),
            &["journalctl -u containerd --since -1h"],
        ),
    ]),
    see_also: &["Killing"],
    ..COMMON
};

const FAILED_CREATE_POD_CONTAINER: Entry = Entry {
    name: "FailedCreatePodContainer",
    severity: Severity::Warning,
    summary: text("The pod's resource group could not be made", "未能建立 Pod 的资源组"),
    messages: &[message("Kubernetes", "unable to ensure pod container exists: {error}")],
    meaning: text(
        "The kubelet could not make the control group of the pod on that node.",
        "kubelet 没能在该节点上建立 Pod 的 cgroup。",
    ),
    frequency: frequency::POD_WORKER,
    impact: Impact { harm: Harm::High, who: text("The pod does not start.", "Pod 无法启动。") },
    chain: Chain { before: text("Scheduled.", "Scheduled。"), after: text("Another try.", "重试。") },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Look at the log of the kubelet, and whether kubelet and runtime use the same cgroup \
                 driver.",
            "查看 kubelet 日志，以及 kubelet 与运行时的 cgroup 驱动是否一致。",
        ),
        &["journalctl -u kubelet --since -1h"],
    )]),
    see_also: &["FailedCreatePodSandBox"],
    ..COMMON
};

const EXCEEDED_GRACE_PERIOD: Entry = Entry {
    name: "ExceededGracePeriod",
    severity: Severity::Warning,
    summary: text("The runtime did not stop the pod in time", "运行时没有按时停止 Pod"),
    messages: &[message("Kubernetes", "Container runtime did not kill the pod within specified grace period.")],
    meaning: text(
        "The pod outlived its grace period, which points to the runtime, not to the program.",
        "Pod 超过了宽限期，问题在运行时而不在程序。",
    ),
    frequency: frequency::POD_WORKER,
    impact: Impact { harm: Harm::Low, who: text("The pod stays Terminating.", "Pod 停在 Terminating。") },
    chain: Chain { before: text("Killing.", "Killing。"), after: text("Another try.", "重试。") },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Look at the runtime of that node.", "检查该节点的运行时。"),
        &["journalctl -u containerd --since -1h"],
    )]),
    see_also: &["FailedKillPod"],
    ..COMMON
};

const PREEMPTING: Entry = Entry {
    name: "Preempting",
    severity: Severity::Warning,
    summary: text("The pod is stopped to make room for a critical one", "Pod 被停止，为关键 Pod 腾出资源"),
    messages: &[message("Kubernetes", "Preempted in order to admit critical pod")],
    meaning: text(
        "A critical pod was bound to this node and does not fit beside this one.",
        "有关键 Pod 绑定到该节点，资源容不下两者。",
    ),
    frequency: frequency::EVICTION,
    impact: Impact {
        harm: Harm::Medium,
        who: text("The pod's users, until its workload makes another.", "该 Pod 的使用者，直到工作负载补上新的。"),
    },
    chain: Chain {
        before: text("A critical pod on that node.", "该节点来了关键 Pod。"),
        after: text("The pod is Failed and replaced.", "Pod 变为 Failed 并被替换。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Leave room on the nodes for system pods.", "为系统 Pod 在节点上预留资源。"),
        &["kubectl describe node NODE"],
    )]),
    see_also: &["Preempted", "Evicted"],
    ..COMMON
};

const EVICTED: Entry = Entry {
    name: "Evicted",
    severity: Severity::Warning,
    summary: text("The node threw the pod out", "节点驱逐了 Pod"),
    messages: &[
        message("Kubernetes", "The node was low on resource: {resource}. {more}"),
        message("Kubernetes", "Usage of EmptyDir volume \"{volume}\" exceeds the limit \"{limit}\"."),
    ],
    patterns: &[
        Pattern {
            template: "The node was low on resource: {resource}.",
            trouble: None,
            cause: text(
                "The node was short of a resource, and this pod used more of it than it asked for.",
                "节点的某项资源不足，而该 Pod 用量超过请求。",
            ),
            code: Some("pods-ended"),
            samples: &["The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi."],
        },
        Pattern {
            template: "Usage of EmptyDir volume {volume} exceeds the limit {limit}.",
            trouble: None,
            cause: text("The pod wrote more into its scratch volume than allowed.", "Pod 向临时卷写入的数据超过上限。"),
            code: Some("pods-ended"),
            samples: &["Usage of EmptyDir volume \"cache\" exceeds the limit \"1Gi\"."],
        },
    ],
    meaning: text(
        "Memory, disk or process numbers ran short on the node, or the pod used more disk than it may. \
         It is Failed and in no slice any more.",
        "节点的内存、磁盘或进程数不足，或 Pod 用盘超限。Pod 变为 Failed，不再出现在任何 EndpointSlice \
         中。",
    ),
    frequency: frequency::EVICTION,
    impact: Impact {
        harm: Harm::Medium,
        who: text("The pod's users, until its workload makes another.", "该 Pod 的使用者，直到工作负载补上新的。"),
    },
    chain: Chain {
        before: text("The node has a pressure condition.", "节点出现资源压力状态。"),
        after: text("The pod is replaced, often elsewhere.", "Pod 被替换，多半在别处。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Give the pods requests that match their use, and free or enlarge the resource that \
                 the text names.",
            "让 requests 与实际用量相符，并释放或扩充文字点名的资源。",
        ),
        &["kubectl describe node NODE"],
    )]),
    see_also: &["Preempting"],
    ..COMMON
};

const HOST_I_PS_IP_FAMILY_MISMATCH: Entry = Entry {
    name: "HostIPsIPFamilyMismatch",
    severity: Severity::Warning,
    versions: Versions { since: Bound::OrEarlier("1.28"), until: Bound::Present },
    summary: text("The node's address is of another family than the pods'", "节点地址与 Pod 的地址族不同"),
    messages: &[message(
        "Kubernetes",
        "Kubelet detected an IPv{detected} node IP ({address}), but the cloud provider selected an \
             IPv{selected} node IP ({other}); {advice}",
    )],
    meaning: text(
        "Kubelet and cloud provider do not agree on the first address of the node, and pods on the \
         host network show the wrong one.",
        "kubelet 与云厂商对节点首选地址的看法不同，使用主机网络的 Pod 显示错误的地址。",
    ),
    frequency: frequency::POD_STEP,
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "Host network pods, and Services of one family that select them.",
            "使用主机网络的 Pod，以及选中它们的单栈 Service。",
        ),
    },
    chain: Chain {
        before: text("The start of the node.", "节点启动。"),
        after: text("The same for every such pod.", "每个这样的 Pod 都会出现。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Set --node-ip of the kubelet to the family that is meant.", "用 kubelet 的 --node-ip 指定所需的地址族。"),
        &["kubectl get node NODE -o jsonpath='{.status.addresses}'"],
    )]),
    see_also: &["FailedSync"],
    ..COMMON
};
