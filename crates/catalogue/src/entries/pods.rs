//! What a pod goes through when all is well: placed, created, started, stopped.
//!
//! Upstream: the scheduler, and `pkg/kubelet` (`kuberuntime`).

use super::{DESCRIBE_POD, OLD, check, frequency, message, misreading, patterns, remedy};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status};

pub(super) const ENTRIES: &[Entry] = &[SCHEDULED, CREATED, STARTED, KILLING];

const SCHEDULED: Entry = Entry {
    name: "Scheduled",
    reason: Some(Reason::Scheduled),
    severity: Severity::Normal,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true, when: text("When a pod has been bound to a node.", "Pod 绑定到节点之后。")
    },
    emitter: "default-scheduler",
    object: "Pod",
    api: Api::Events,
    versions: OLD,
    summary: text("The pod was given a node", "Pod 已分配到节点"),
    messages: &[message("Kubernetes, Portolan", "Successfully assigned {namespace}/{pod} to {node}")],
    patterns: &[],
    meaning: text(
        "The scheduler chose a node and wrote it into the pod. From here on the agent of that \
         node is responsible.",
        "调度器选定节点并写入 Pod，此后由该节点的代理负责。",
    ),
    frequency: frequency::POD_STEP,
    place: None,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("FailedScheduling, if it had to wait.", "如果曾经等待，前面有 FailedScheduling。"),
        after: text(
            "Created and Started; or FailedCreatePodSandBox, or a refusal by the node such as \
             HostPortConflict.",
            "Created 和 Started；或者 FailedCreatePodSandBox，或者被节点拒绝（如 \
             HostPortConflict）。",
        ),
    },
    checks: &[DESCRIBE_POD],
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["FailedScheduling", "Started"],
};

const CREATED: Entry = Entry {
    name: "Created",
    reason: Some(Reason::Created),
    severity: Severity::Normal,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the process of a container has been made, together with Started.",
            "容器的进程建立时，与 Started 同时发出。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: OLD,
    summary: text("A container was created", "容器已创建"),
    messages: &[
        message("Kubernetes, newest releases (since when: unverified)", "Container created"),
        message("Kubernetes, older releases", "Created container: {container}"),
        message("Kubernetes, still older releases; Portolan", "Created container {container}"),
    ],
    patterns: &[],
    meaning: text("The container exists and has not started yet.", "容器已经存在，但还没有启动。"),
    frequency: frequency::POD_STEP,
    place: None,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("Scheduled.", "Scheduled。"),
        after: text("Started, or Failed.", "Started，或 Failed。"),
    },
    checks: &[DESCRIBE_POD],
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["Started", "Failed"],
};

const STARTED: Entry = Entry {
    name: "Started",
    reason: Some(Reason::Started),
    severity: Severity::Normal,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the process of a container runs, also after a restart.",
            "容器的进程开始运行时，重启之后也会发出。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: OLD,
    summary: text("A container runs", "容器已启动"),
    messages: &[
        message("Kubernetes, newest releases (since when: unverified)", "Container started"),
        message("Kubernetes, older releases; Portolan", "Started container {container}"),
    ],
    patterns: &[],
    meaning: text(
        "The process was started. Whether it serves is another question: a Service sends to the \
         pod only once its readiness probe succeeds.",
        "进程已经启动。能否提供服务是另一回事：就绪探针成功之后，Service 才会把流量发给该 Pod。",
    ),
    frequency: frequency::POD_STEP,
    place: None,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("Created.", "Created。"),
        after: text(
            "Nothing when all is well; Unhealthy while probes fail.",
            "一切正常则没有下文；探针失败时出现 Unhealthy。",
        ),
    },
    checks: &[DESCRIBE_POD, check("Whether it is ready.", "是否就绪。", "kubectl get pod POD -n NAMESPACE -o wide")],
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    misreadings: &[misreading(
        text("A started pod receives traffic.", "Pod 启动了就会收到流量。"),
        text(
            "Only a ready one does, unless the Service sets publishNotReadyAddresses.",
            "只有就绪的 Pod 才会，除非 Service 设置了 publishNotReadyAddresses。",
        ),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["Unhealthy", "BackOff", "Killing"],
};

const KILLING: Entry = Entry {
    name: "Killing",
    reason: Some(Reason::Killing),
    severity: Severity::Normal,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a container is told to stop: the pod is being deleted, or a liveness or \
             startup probe gave up on it.",
            "容器被要求停止时：Pod 正在删除，或存活探针、启动探针判定失败。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: OLD,
    summary: text("A container is being stopped", "正在停止容器"),
    messages: &[
        message("Kubernetes, Portolan", "Stopping container {container}"),
        message("Kubernetes, Portolan", "Container {container} failed liveness probe, will be restarted"),
        message("Kubernetes, Portolan", "Container {container} failed startup probe, will be restarted"),
    ],
    patterns: patterns::KILLING,
    meaning: text(
        "The process gets its termination signal and its grace period. Its endpoint is marked \
         terminating and not ready at about the same time, and proxies stop choosing it within \
         moments; until then a new connection may still arrive.",
        "进程收到终止信号，进入宽限期。差不多同时，它的端点被标为 terminating 且未就绪，代理很快\
         不再选它；在那之前，仍可能有新连接到来。",
    ),
    frequency: frequency::POD_STEP,
    place: None,
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "Clients whose connection reaches the pod in that moment, if it stops accepting at \
             once. A program that keeps serving for a few seconds after the signal loses nobody.",
            "恰在此刻连到该 Pod 的客户端，如果它立即停止接受连接的话。收到信号后再服务几秒的程\
             序，一个连接也不会丢。",
        ),
    },
    chain: Chain {
        before: text(
            "SuccessfulDelete of the ReplicaSet, or Unhealthy.",
            "ReplicaSet 的 SuccessfulDelete，或 Unhealthy。",
        ),
        after: text(
            "The pod disappears; after a failed probe Created and Started follow.",
            "Pod 消失；如果是探针失败，随后是 Created 和 Started。",
        ),
    },
    checks: &[
        DESCRIBE_POD,
        check(
            "Why: a deletion has a timestamp.",
            "原因：如果是删除，会有时间戳。",
            "kubectl get pod POD -n NAMESPACE -o jsonpath='{.metadata.deletionTimestamp}'",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("It was a scale-down, rollout or deletion.", "是缩容、滚动更新或删除。"),
            text("Nothing to do: this is routine.", "无需处理，这是正常流程。"),
            &[],
        ),
        remedy(
            text("Clients see errors at that moment.", "客户端此时出现错误。"),
            text(
                "Let the program go on accepting for some seconds after the signal (a preStop \
                 sleep does it) before it closes.",
                "让程序收到信号后继续接受连接几秒再关闭（用 preStop 等待即可）。",
            ),
            &[],
        ),
    ]),
    misreadings: &[],
    aliases: &[],
    scenario: Some("pods-terminating"),
    see_also: &["Unhealthy", "SuccessfulDelete", "Started"],
};
