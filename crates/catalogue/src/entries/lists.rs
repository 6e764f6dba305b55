//! Two reasons that Kubernetes has in its sources and nobody has seen: reading from a cache that is in memory.
//!
//! Upstream: `syncService` in `pkg/controller/endpointslice/endpointslice_controller.go`.

use super::{DESCRIBE_SERVICE, check, frequency, message, remedy};
use crate::lang::{Text, text};
use crate::{Api, Category, Chain, Check, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[LIST_PODS, LIST_SLICES];

const UNREACHABLE: Text =
    text("Its index is in memory, and reading it cannot fail.", "它的索引就在内存里，读取不会失败。");

const MANAGER: Check = check(
    "Which controller manager leads.",
    "当前由哪个控制器管理器担任 leader。",
    "kubectl get lease kube-controller-manager -n kube-system -o yaml",
);

/// The cause is in the program, so there is one cure.
const RESTART: Remedies = Remedies::Steps(&[remedy(
    text("It really appears.", "真的出现了。"),
    text(
        "Keep the log of the controller manager, let another one lead, and report it: this is a \
         fault of the program, not of the cluster.",
        "保留控制器管理器的日志，换一个实例担任 leader，并上报：这是程序的缺陷，而不是集群的问题。",
    ),
    &["kubectl logs -n kube-system POD"],
)]);

const LIST_PODS: Entry = Entry {
    name: "FailedToListPods",
    reason: Some(Reason::FailedToListPods),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::Current,
    portolan: Portolan { emits: false, when: UNREACHABLE },
    emitter: "endpoint-slice-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.28"),
    summary: text("The pods of a Service could not be listed", "未能列出 Service 的 Pod"),
    messages: &[message("Kubernetes", "Error listing Pods for Service {namespace}/{name}: {error}")],
    patterns: &[],
    meaning: text(
        "The controller asked its own cache for the pods that the selector matches, and got an \
         error. The cache is in memory: practically this does not happen. When the API does not \
         answer, the cache is merely old, and nothing is said.",
        "控制器向自己的缓存查询选择算符匹配的 Pod，却得到错误。缓存就在内存里，实际不会发生。API 没\
         有应答时，缓存只是变旧，不会有事件。",
    ),
    frequency: frequency::NEVER_SEEN,
    place: None,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "The slices of that Service stay as they are until a retry succeeds.",
            "该 Service 的 EndpointSlice 保持原样，直到重试成功。",
        ),
    },
    chain: Chain {
        before: text("A sync of the Service.", "对该 Service 的一次同步。"),
        after: text("Another try, 15 at most.", "重试，至多 15 次。"),
    },
    checks: &[DESCRIBE_SERVICE, MANAGER],
    remedies: RESTART,
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["FailedToListEndpointSlices", "FailedToUpdateEndpointSlices"],
};

const LIST_SLICES: Entry = Entry {
    name: "FailedToListEndpointSlices",
    reason: Some(Reason::FailedToListEndpointSlices),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::Current,
    portolan: Portolan { emits: false, when: UNREACHABLE },
    emitter: "endpoint-slice-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.28"),
    summary: text("The slices of a Service could not be listed", "未能列出 Service 的 EndpointSlice"),
    messages: &[message("Kubernetes", "Error listing Endpoint Slices for Service {namespace}/{name}: {error}")],
    patterns: &[],
    meaning: text(
        "The controller asked its own cache for the slices of a Service, and got an error. As \
         with FailedToListPods the cache is in memory, and practically this does not happen. \
         The mirroring controller has the same word in its sources and never says it.",
        "控制器向自己的缓存查询某个 Service 的 EndpointSlice，却得到错误。与 FailedToListPods 一样，\
         缓存就在内存里，实际不会发生。镜像控制器的源码里也有这个词，但从不发出。",
    ),
    frequency: frequency::NEVER_SEEN,
    place: None,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "The slices of that Service stay as they are until a retry succeeds.",
            "该 Service 的 EndpointSlice 保持原样，直到重试成功。",
        ),
    },
    chain: Chain {
        before: text("A sync of the Service.", "对该 Service 的一次同步。"),
        after: text("Another try, 15 at most.", "重试，至多 15 次。"),
    },
    checks: &[DESCRIBE_SERVICE, MANAGER],
    remedies: RESTART,
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["FailedToListPods", "FailedToUpdateEndpointSlices"],
};
