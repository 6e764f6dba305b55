//! The kubelet about images, probes, hooks and volumes of a pod.
//!
//! Source: `pkg/kubelet/images`, `pkg/kubelet/prober` and `pkg/kubelet/kuberuntime` of Kubernetes 1.36.

use super::super::{BLANK, DESCRIBE_POD, frequency, message, remedy};
use crate::lang::text;
use crate::{Category, Chain, Entry, Harm, Impact, Pattern, Portolan, Remedies, Severity, Versions};

pub(super) const ENTRIES: &[Entry] = &[
    PULLING,
    PULLED,
    INSPECT_FAILED,
    ERR_IMAGE_NEVER_PULL,
    PROBE_WARNING,
    FAILED_POST_START_HOOK,
    FAILED_PRE_STOP_HOOK,
    FAILED_ATTACH_VOLUME,
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

const PULLING: Entry = Entry {
    name: "Pulling",
    severity: Severity::Normal,
    summary: text("The image is being pulled", "正在拉取镜像"),
    messages: &[message("Kubernetes", "Pulling image \"{image}\"")],
    meaning: text(
        "The node does not have the image, or is told to ask the registry each time.",
        "节点上没有该镜像，或被要求每次都询问仓库。",
    ),
    frequency: frequency::POD_STEP,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("Scheduled.", "Scheduled。"), after: text("Pulled, or Failed.", "Pulled 或 Failed。")
    },
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    see_also: &["Pulled", "Failed"],
    ..COMMON
};

const PULLED: Entry = Entry {
    name: "Pulled",
    severity: Severity::Normal,
    summary: text("The image is on the node", "镜像已在节点上"),
    messages: &[
        message(
            "Kubernetes",
            "Successfully pulled image \"{image}\" in {time} ({total} including waiting). Image size: \
             {size} bytes.",
        ),
        message("Kubernetes", "Container image \"{image}\" already present on machine"),
    ],
    meaning: text(
        "The container can be made now. A long time in the text explains a slow start.",
        "现在可以创建容器。文字里的耗时很长，就说明为何启动慢。",
    ),
    frequency: frequency::POD_STEP,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("Pulling, or Scheduled.", "Pulling 或 Scheduled。"),
        after: text("Created and Started.", "Created 和 Started。"),
    },
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    see_also: &["Pulling", "Created"],
    ..COMMON
};

const INSPECT_FAILED: Entry = Entry {
    name: "InspectFailed",
    severity: Severity::Warning,
    summary: text("The image name or the image cannot be read", "镜像名称或镜像无法识别"),
    messages: &[message("Kubernetes", "Failed to inspect image \"{image}\": {error}")],
    patterns: &[Pattern {
        template: "Failed to inspect image {image}: {error}",
        trouble: None,
        cause: text(
            "The reference is not valid, or the store of the runtime is broken.",
            "镜像引用不合法，或运行时的存储损坏。",
        ),
        code: Some("image-not-available"),
        samples: &["Failed to inspect image \"Web:1\": rpc error: invalid reference format: repository name \
                 must be lowercase"],
    }],
    meaning: text(
        "The reference is not a valid one, or the runtime failed to look at its own store.",
        "镜像引用不合法，或运行时读取自己的存储失败。",
    ),
    frequency: frequency::POD_WORKER,
    impact: Impact { harm: Harm::High, who: text("The pod does not start.", "Pod 无法启动。") },
    chain: Chain {
        before: text("Scheduled.", "Scheduled。"),
        after: text(
            "Failed with `Error: InvalidImageName` or `ImageInspectError`.",
            "Failed，文字是 `Error: InvalidImageName` 或 `ImageInspectError`。",
        ),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Correct the image in the template: lower case, no spaces, one tag.",
            "改正模板中的镜像：小写、无空格、只有一个标签。",
        ),
        &["kubectl edit deployment NAME -n NAMESPACE"],
    )]),
    see_also: &["Failed"],
    ..COMMON
};

const ERR_IMAGE_NEVER_PULL: Entry = Entry {
    name: "ErrImageNeverPull",
    severity: Severity::Warning,
    summary: text("The image is not on the node and may not be pulled", "镜像不在节点上，又不允许拉取"),
    messages: &[message("Kubernetes", "Container image \"{image}\" is not present with pull policy of Never")],
    patterns: &[Pattern {
        template: "is not present with pull policy of Never",
        trouble: None,
        cause: text(
            "The policy forbids pulling, and the image is not on the node.",
            "策略禁止拉取，而节点上没有该镜像。",
        ),
        code: Some("image-not-available"),
        samples: &["Container image \"web:1\" is not present with pull policy of Never"],
    }],
    meaning: text(
        "imagePullPolicy is Never, and nobody has put the image there.",
        "imagePullPolicy 为 Never，而没有人预先放好镜像。",
    ),
    frequency: frequency::POD_WORKER,
    impact: Impact { harm: Harm::High, who: text("The pod does not start.", "Pod 无法启动。") },
    chain: Chain { before: text("Scheduled.", "Scheduled。"), after: text("The same again.", "反复出现。") },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Use IfNotPresent, or load the image on every node.", "改用 IfNotPresent，或在每个节点上载入镜像。"),
        &["crictl images"],
    )]),
    see_also: &["Failed"],
    ..COMMON
};

const PROBE_WARNING: Entry = Entry {
    name: "ProbeWarning",
    severity: Severity::Warning,
    summary: text("A probe succeeded in an odd way", "探测以异常的方式成功"),
    messages: &[message("Kubernetes", "{probe} probe warning: {output}")],
    meaning: text(
        "The probe counts as passed, and its answer is not what it should be, such as a redirect to \
         another host.",
        "探测算通过，但应答不正常，例如重定向到别的主机。",
    ),
    frequency: frequency::PROBE,
    impact: Impact {
        harm: Harm::Low,
        who: text("Nobody; but the probe may not test what it should.", "无人受影响；但探测可能没有测到该测的东西。"),
    },
    chain: Chain {
        before: text("Started.", "Started。"),
        after: text("The same with each probe.", "每次探测都会出现。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Probe a path that answers by itself.", "改为探测由程序自己应答的路径。"),
        &["kubectl edit deployment NAME -n NAMESPACE"],
    )]),
    see_also: &["Unhealthy"],
    ..COMMON
};

const FAILED_POST_START_HOOK: Entry = Entry {
    name: "FailedPostStartHook",
    severity: Severity::Warning,
    summary: text("The hook after the start failed", "启动后的钩子失败"),
    messages: &[message("Kubernetes", "PostStartHook failed")],
    meaning: text("The container is killed, for its postStart hook failed.", "postStart 钩子失败，容器因此被杀掉。"),
    frequency: frequency::CRASH_LOOP,
    impact: Impact { harm: Harm::High, who: text("The pod does not become ready.", "Pod 不会就绪。") },
    chain: Chain {
        before: text("Started.", "Started。"), after: text("Killing and BackOff.", "Killing 和 BackOff。")
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Run the command of the hook by hand in the container.", "在容器里手工执行钩子命令。"),
        &["kubectl logs POD -n NAMESPACE --previous"],
    )]),
    see_also: &["BackOff", "FailedPreStopHook"],
    ..COMMON
};

const FAILED_PRE_STOP_HOOK: Entry = Entry {
    name: "FailedPreStopHook",
    severity: Severity::Warning,
    summary: text("The hook before the stop failed", "停止前的钩子失败"),
    messages: &[message("Kubernetes", "PreStopHook failed")],
    meaning: text(
        "The container is stopped all the same, without what the hook should have done: often the \
         pause that lets traffic drain.",
        "容器照样停止，只是没有执行钩子该做的事：多半是等待流量排空。",
    ),
    frequency: frequency::POD_STEP,
    impact: Impact {
        harm: Harm::Low, who: text("Connections that were open at that moment.", "当时仍打开的连接。")
    },
    chain: Chain { before: text("Killing.", "Killing。"), after: text("The pod goes.", "Pod 消失。") },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Use `sleep` of the lifecycle instead of a command, or make sure that the command is \
                 in the image.",
            "用 lifecycle 的 `sleep` 代替命令，或确认镜像中有该命令。",
        ),
        &["kubectl edit deployment NAME -n NAMESPACE"],
    )]),
    see_also: &["Killing"],
    ..COMMON
};

const FAILED_ATTACH_VOLUME: Entry = Entry {
    name: "FailedAttachVolume",
    severity: Severity::Warning,
    emitter: "attachdetach-controller",
    summary: text("A volume could not be attached", "未能挂接存储卷"),
    messages: &[
        message("Kubernetes, from attachdetach-controller", "Multi-Attach error for volume \"{volume}\" {more}"),
        message(
            "Kubernetes, from attachdetach-controller",
            "AttachVolume.Attach failed for volume \"{volume}\" : {error}",
        ),
    ],
    patterns: &[Pattern {
        template: "Multi-Attach error for volume {volume} {more}",
        trouble: None,
        cause: text("The disk is still attached to another node.", "该盘仍挂在另一个节点上。"),
        code: Some("container-waiting"),
        samples: &["Multi-Attach error for volume \"pvc-1\" Volume is already exclusively attached to one node \
                 and can't be attached to another"],
    }],
    meaning: text(
        "The pod waits for a disk that is still attached elsewhere or that the cloud refuses.",
        "Pod 在等待一块仍挂在别处、或被云端拒绝的盘。",
    ),
    frequency: frequency::POD_WORKER,
    impact: Impact { harm: Harm::High, who: text("The pod does not start.", "Pod 无法启动。") },
    chain: Chain {
        before: text("Scheduled.", "Scheduled。"),
        after: text("Started once it is attached.", "挂接后出现 Started。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("The text has `Multi-Attach`.", "文字中有 `Multi-Attach`。"),
        text(
            "Wait until the old pod is gone; on a dead node give it the out-of-service taint.",
            "等旧 Pod 消失；节点已死时，为它加上 out-of-service 污点。",
        ),
        &["kubectl get volumeattachments"],
    )]),
    see_also: &["FailedMount"],
    ..COMMON
};
