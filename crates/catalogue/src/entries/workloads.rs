//! Deployments and ReplicaSets: the Events that tell why pods came and went.
//!
//! Upstream: `pkg/controller/deployment/sync.go` and `pkg/controller/controller_utils.go`.

use super::{check, frequency, message, misreading, patterns, place, remedy, risk, risky};
use crate::lang::text;
use crate::{
    Api, Bound, Category, Chain, Check, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions,
};

pub(super) const ENTRIES: &[Entry] = &[SCALING, SUCCESSFUL_CREATE, SUCCESSFUL_DELETE, FAILED_CREATE, FAILED_DELETE];

const REPLICA_SETS: Check = check(
    "The ReplicaSets of the namespace: wanted, existing and ready pods.",
    "命名空间中的 ReplicaSet：期望、现有和就绪的 Pod 数。",
    "kubectl get replicasets -n NAMESPACE",
);

/// ReplicaSets came with 1.2; the first release was not looked up.
const REPLICA_SET_ERA: Versions = Versions { since: Bound::Unverified("1.2"), until: Bound::Present };

const SCALING: Entry = Entry {
    name: "ScalingReplicaSet",
    reason: Some(Reason::ScalingReplicaSet),
    severity: Severity::Normal,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a Deployment has changed the size of one of its ReplicaSets.",
            "Deployment 调整了某个 ReplicaSet 的规模之后。",
        ),
    },
    emitter: "deployment-controller",
    object: "Deployment",
    api: Api::Core,
    versions: REPLICA_SET_ERA,
    summary: text("A Deployment resized a ReplicaSet", "Deployment 调整了 ReplicaSet 的规模"),
    messages: &[
        message("Kubernetes, recent releases; Portolan", "Scaled up replica set {name} from {old} to {new}"),
        message("Kubernetes, recent releases; Portolan", "Scaled down replica set {name} from {old} to {new}"),
        message("Kubernetes, older releases", "Scaled up replica set {name} to {new}"),
    ],
    patterns: &[],
    meaning: text(
        "The replica count was changed, or a rollout moves pods from the old ReplicaSet to the \
         new one, step by step.",
        "副本数有变更，或者正在滚动更新，把 Pod 从旧 ReplicaSet 逐步换到新的。",
    ),
    frequency: frequency::ROLLOUT,
    place: None,
    impact: Impact {
        harm: Harm::None,
        who: text(
            "Nobody, unless it says down to 0: then the Service has nobody behind it.",
            "无人受影响；除非缩到 0，那样 Service 背后就没有 Pod 了。",
        ),
    },
    chain: Chain {
        before: text("The Deployment was changed.", "Deployment 发生变更。"),
        after: text(
            "SuccessfulCreate or SuccessfulDelete for each pod, on the ReplicaSet.",
            "ReplicaSet 上每个 Pod 一条 SuccessfulCreate 或 SuccessfulDelete。",
        ),
    },
    checks: &[
        check("How far the rollout is.", "滚动更新的进度。", "kubectl rollout status deployment/NAME -n NAMESPACE"),
        REPLICA_SETS,
    ],
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["SuccessfulCreate", "SuccessfulDelete"],
};

const SUCCESSFUL_CREATE: Entry = Entry {
    name: "SuccessfulCreate",
    reason: Some(Reason::SuccessfulCreate),
    severity: Severity::Normal,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text("For each pod that a ReplicaSet has made.", "ReplicaSet 每创建一个 Pod。"),
    },
    emitter: "replicaset-controller",
    object: "ReplicaSet",
    api: Api::Core,
    versions: REPLICA_SET_ERA,
    summary: text("A ReplicaSet made a pod", "ReplicaSet 创建了 Pod"),
    messages: &[message("Kubernetes, Portolan", "Created pod: {pod}")],
    patterns: &[],
    meaning: text(
        "The pod object exists; it is not placed or started yet.",
        "Pod 对象已经存在，但还没有分配节点，也没有启动。",
    ),
    frequency: frequency::ROLLOUT,
    place: None,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("ScalingReplicaSet, or the loss of a pod.", "ScalingReplicaSet，或有 Pod 丢失。"),
        after: text("Scheduled, on the pod.", "Pod 上的 Scheduled。"),
    },
    checks: &[REPLICA_SETS],
    remedies: Remedies::NoneNeeded(text(
        "Nothing to do. If it repeats without a change of scale, pods are being lost: look at \
         their Events.",
        "无需处理。如果规模没变却反复出现，说明 Pod 在不断丢失，请查看 Pod 的事件。",
    )),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["ScalingReplicaSet", "FailedCreate", "Scheduled"],
};

const SUCCESSFUL_DELETE: Entry = Entry {
    name: "SuccessfulDelete",
    reason: Some(Reason::SuccessfulDelete),
    severity: Severity::Normal,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text("For each pod that a ReplicaSet has deleted.", "ReplicaSet 每删除一个 Pod。"),
    },
    emitter: "replicaset-controller",
    object: "ReplicaSet",
    api: Api::Core,
    versions: REPLICA_SET_ERA,
    summary: text("A ReplicaSet deleted a pod", "ReplicaSet 删除了 Pod"),
    messages: &[message("Kubernetes, Portolan", "Deleted pod: {pod}")],
    patterns: &[],
    meaning: text(
        "The pod was told to go because there were more than wanted. It has its grace period and \
         stays in the slices as terminating until it is gone.",
        "Pod 多于期望，因此被要求离开。它仍有宽限期，在消失之前以 terminating 状态留在 \
         EndpointSlice 中。",
    ),
    frequency: frequency::ROLLOUT,
    place: None,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("ScalingReplicaSet.", "ScalingReplicaSet。"),
        after: text("Killing, on the pod.", "Pod 上的 Killing。"),
    },
    checks: &[REPLICA_SETS],
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["ScalingReplicaSet", "Killing", "FailedDelete"],
};

const FAILED_CREATE: Entry = Entry {
    name: "FailedCreate",
    reason: Some(Reason::FailedCreate),
    severity: Severity::Warning,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the API refused a pod of a ReplicaSet; also, on the Deployment, when it \
             refused the ReplicaSet itself.",
            "API 拒绝 ReplicaSet 的 Pod 时；拒绝的如果是 ReplicaSet 本身，则挂在 Deployment 上。",
        ),
    },
    emitter: "replicaset-controller",
    object: "ReplicaSet",
    api: Api::Core,
    versions: REPLICA_SET_ERA,
    summary: text("A ReplicaSet could not make a pod", "ReplicaSet 创建 Pod 失败"),
    messages: &[
        message("Kubernetes, Portolan", "Error creating: {error}"),
        message(
            "Portolan, on the Deployment; Kubernetes, reason ReplicaSetCreateError",
            "Failed to create new replica set \"{name}\": {error}",
        ),
    ],
    patterns: patterns::FAILED_CREATE,
    meaning: text(
        "The pod was refused before it existed: a quota, an admission rule, a missing \
         ServiceAccount or an invalid template. That is why there is no pod to describe.",
        "Pod 尚未存在就被拒绝：配额、准入规则、ServiceAccount 缺失，或模板不合法。正因如此，没有 \
         Pod 可供查看。",
    ),
    frequency: frequency::REPLICA_RETRY,
    place: Some(place::ON_REPLICA_SET),
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "The Service has fewer pods than wanted, possibly none.",
            "Service 的 Pod 少于期望，甚至一个都没有。",
        ),
    },
    chain: Chain {
        before: text("ScalingReplicaSet.", "ScalingReplicaSet。"),
        after: text("Another try, with growing pauses.", "以越来越长的间隔重试。"),
    },
    checks: &[
        check(
            "The error, in full. It is on the ReplicaSet, not on the Deployment.",
            "完整的错误。它挂在 ReplicaSet 上，而不是 Deployment 上。",
            "kubectl describe replicasets -n NAMESPACE",
        ),
        check("The quotas.", "配额。", "kubectl describe resourcequota -n NAMESPACE"),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The text has `exceeded quota`.", "文字中有 `exceeded quota`。"),
            text("Raise the quota or lower the replicas.", "提高配额，或减少副本。"),
            &["kubectl edit resourcequota QUOTA -n NAMESPACE"],
        ),
        remedy(
            text("The text names a serviceaccount.", "文字中提到 serviceaccount。"),
            text("Create it, or correct its name in the template.", "创建它，或改正模板中的名称。"),
            &["kubectl create serviceaccount NAME -n NAMESPACE"],
        ),
        remedy(
            text("The text names a field or a webhook.", "文字中点名某个字段或 webhook。"),
            text("Correct the template as the text says.", "按文字所述改正模板。"),
            &["kubectl edit deployment NAME -n NAMESPACE"],
        ),
    ]),
    misreadings: &[misreading(
        text(
            "A Deployment without pods shows why in its own Events.",
            "Deployment 没有 Pod，看它自己的事件就知道原因。",
        ),
        text(
            "The refusal is on the ReplicaSet; the Deployment only shows the condition \
             ReplicaFailure.",
            "拒绝的事件挂在 ReplicaSet 上；Deployment 只有 ReplicaFailure 这一状态。",
        ),
    )],
    aliases: &[],
    scenario: Some("pods-quota"),
    see_also: &["ScalingReplicaSet", "SuccessfulCreate"],
};

const FAILED_DELETE: Entry = Entry {
    name: "FailedDelete",
    reason: Some(Reason::FailedDelete),
    severity: Severity::Warning,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the API refused to delete a pod that a ReplicaSet no longer wants.",
            "API 拒绝删除 ReplicaSet 不再需要的 Pod 时。",
        ),
    },
    emitter: "replicaset-controller",
    object: "ReplicaSet",
    api: Api::Core,
    versions: REPLICA_SET_ERA,
    summary: text("A ReplicaSet could not delete a pod", "ReplicaSet 删除 Pod 失败"),
    messages: &[message("Kubernetes, Portolan", "Error deleting: {error}")],
    patterns: &[],
    meaning: text(
        "There is one pod too many, and it stays for now. It goes on serving.",
        "多出一个 Pod，暂时还留着，并且继续提供服务。",
    ),
    frequency: frequency::REPLICA_RETRY,
    place: None,
    impact: Impact {
        harm: Harm::Low,
        who: text("Nobody at once; the pod uses resources.", "暂时无人受影响；只是该 Pod 占用资源。"),
    },
    chain: Chain {
        before: text("ScalingReplicaSet.", "ScalingReplicaSet。"),
        after: text("Another try, with growing pauses.", "以越来越长的间隔重试。"),
    },
    checks: &[REPLICA_SETS, check("The error, in full.", "完整的错误。", "kubectl describe replicasets -n NAMESPACE")],
    remedies: Remedies::Steps(&[risky(
        text("It goes on.", "持续出现。"),
        text("Delete the pod by hand and read the error that comes back.", "手工删除该 Pod，并看返回的错误。"),
        &["kubectl delete pod POD -n NAMESPACE"],
        risk::POD_LOST,
    )]),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["ScalingReplicaSet", "SuccessfulDelete"],
};
