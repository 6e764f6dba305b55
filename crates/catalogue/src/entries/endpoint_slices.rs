//! Failures of the EndpointSlice controller, which keeps the lists that proxies follow.
//!
//! Upstream: `syncService` in `pkg/controller/endpointslice/endpointslice_controller.go`, and the errors of
//! `reconciler.go` in `k8s.io/endpointslice`.

use super::{DESCRIBE_SERVICE, DIAGNOSE, check, frequency, message, misreading, noted, patterns, remedy, risk, risky};
use crate::lang::{Text, text};
use crate::{Api, Category, Chain, Check, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[UPDATE_FAILED_PLURAL, CREATE_FAILED, UPDATE_FAILED, DELETE_FAILED];

/// The one real name of the three that follow it.
const PLURAL: &[&str] = &["FailedToUpdateEndpointSlices"];

const SLICES: Check = check(
    "The slices of the Service, with their addresses and ports.",
    "该 Service 的 EndpointSlice，以及其中的地址和端口。",
    "kubectl get endpointslices -n NAMESPACE -l kubernetes.io/service-name=NAME",
);

const RETRIES: Text = text(
    "Another try after 1 s, 2 s, 4 s and so on, 15 of them; then none until the Service, a pod \
     or a slice of it changes.",
    "按 1 秒、2 秒、4 秒……的间隔重试，共 15 次；之后要等 Service、Pod 或 EndpointSlice 再有变\
     化。",
);

const UPDATE_FAILED_PLURAL: Entry = Entry {
    name: "FailedToUpdateEndpointSlices",
    reason: Some(Reason::FailedToUpdateEndpointSlices),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a sync of a Service's slices failed for a reason other than one refused write, \
             for instance because the Node of a pod is missing; in the upstream vocabulary for \
             every failed sync.",
            "一次 EndpointSlice 同步失败，而原因并非某一次写入被拒（例如 Pod 所在的 Node 对象缺\
             失）时；在 upstream 词表下，则用于所有失败的同步。",
        ),
    },
    emitter: "endpoint-slice-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.28"),
    summary: text("A sync of the slices of a Service failed", "Service 的 EndpointSlice 同步失败"),
    messages: &[
        noted(
            "Kubernetes, Portolan",
            "Error updating Endpoint Slices for Service {namespace}/{name}: {error}",
            text(
                "Several errors of one sync are joined as `[first, second]`. The error is one of \
                 the following.",
                "一次同步中的多个错误会合并为 `[A, B]`。错误是下列之一。",
            ),
        ),
        message("{error} =", "failed to create EndpointSlice for Service {namespace}/{name}: {cause}"),
        message("{error} =", "failed to update {slice} EndpointSlice for Service {namespace}/{name}: {cause}"),
        message("{error} =", "failed to delete {slice} EndpointSlice for Service {namespace}/{name}: {cause}"),
        noted(
            "{error} =",
            "error deleting {slice} EndpointSlice for Service {namespace}/{name}: {cause}",
            text(
                "A slice of an address family that the Service no longer has.",
                "该 EndpointSlice 的地址族已不属于这个 Service。",
            ),
        ),
        noted(
            "{error} =",
            "skipping Pod {pod} for Service {namespace}/{name}: Node {node} Not Found",
            text("Everything else has been written all the same.", "其余内容照常写入。"),
        ),
    ],
    patterns: patterns::SLICES_REFUSED,
    meaning: text(
        "The controller could not bring the slices of a Service in line with its pods, wholly or \
         in part. This is the real name for every failed create, update and delete of slices; \
         the verb is in the text. Slices decide where traffic goes, so proxies keep following \
         the old ones meanwhile.",
        "控制器未能让某个 Service 的 EndpointSlice 与其 Pod 完全一致，可能是全部，也可能是一部\
         分。创建、更新、删除失败，真实的名称都是这一个，具体动作写在文字里。流量走向由 \
         EndpointSlice 决定，在此期间代理仍按旧内容转发。",
    ),
    frequency: frequency::SLICES_RETRY,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Users of the Service, once pods change: new pods get no traffic, and connections to \
             pods that have gone fail. As long as the pods stay as they were, nobody.",
            "一旦 Pod 有变化，该 Service 的使用者就会受影响：新 Pod 分不到流量，发往已消失 Pod 的\
             连接会失败。只要 Pod 没变，就无人受影响。",
        ),
    },
    chain: Chain {
        before: text("A pod, the Service or a node changed.", "Pod、Service 或节点发生变化。"),
        after: RETRIES,
    },
    checks: &[
        DESCRIBE_SERVICE,
        SLICES,
        check(
            "The pods and the nodes they are on; a pod on a node without a Node object is \
             skipped.",
            "Pod 及其所在节点；所在节点没有 Node 对象的 Pod 会被跳过。",
            "kubectl get pods -n NAMESPACE -o wide",
        ),
        check(
            "Whether a quota counts slices.",
            "配额是否限制了 EndpointSlice 的数量。",
            "kubectl describe resourcequota -n NAMESPACE",
        ),
        DIAGNOSE,
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("It came once, with a conflict.", "只出现一次，且是冲突。"),
            text("Nothing to do: the retry a second later succeeds.", "无需处理，一秒后的重试就会成功。"),
            &[],
        ),
        risky(
            text("The text has `Not Found` after a node's name.", "文字中节点名之后是 `Not Found`。"),
            text(
                "The Node object was deleted while pods still run there, or the pod was bound to \
                 a name that does not exist. Let the node register again, or delete the pod.",
                "Node 对象被删除而 Pod 还在上面运行，或者 Pod 绑定到了不存在的节点名。让节点重新\
                 注册，或删除该 Pod。",
            ),
            &["kubectl get nodes", "kubectl delete pod POD -n NAMESPACE"],
            risk::POD_LOST,
        ),
        remedy(
            text(
                "The text has `forbidden`, `exceeded quota` or names a webhook.",
                "文字中有 `forbidden`、`exceeded quota`，或点名某个 webhook。",
            ),
            text(
                "Raise the quota, or repair the webhook or exempt EndpointSlices from it. Rights \
                 come from the built-in role `system:controller:endpointslice-controller`.",
                "提高配额；或修复 webhook，或让它不再拦截 EndpointSlice。权限来自内置角色 \
                 `system:controller:endpointslice-controller`。",
            ),
            &["kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"],
        ),
        risky(
            text("The retries are used up and the slices are still wrong.", "重试已用尽，EndpointSlice 仍不正确。"),
            text(
                "Delete the wrong slice: an unexpected deletion makes the controller sync the \
                 Service again, and it writes a correct one.",
                "删除错误的那个 EndpointSlice：意外的删除会让控制器重新同步，写出正确的内容。",
            ),
            &["kubectl delete endpointslice SLICE -n NAMESPACE"],
            risk::SLICE_GAP,
        ),
    ]),
    misreadings: &[
        misreading(
            text("A conflict is not retried.", "遇到冲突不会重试。"),
            text(
                "Every failure is retried, 15 times, with pauses from one second up.",
                "任何失败都会重试，共 15 次，间隔从一秒起逐次加长。",
            ),
        ),
        misreading(
            text("Annotating a slice forces a sync.", "给 EndpointSlice 加个注解，就能强制同步。"),
            text(
                "It does nothing: metadata does not raise the generation, and the controller \
                 looks at that. Deleting the slice does.",
                "没有用：修改元数据不会增加 generation，而控制器看的正是它。删除 EndpointSlice 才\
                 有用。",
            ),
        ),
        misreading(
            text("A stale slice always leaves an event.", "EndpointSlice 陈旧，必定留有事件。"),
            text(
                "When the controller finds its own cache out of date it retries in silence; only \
                 the metric `endpoint_slice_controller_syncs{result=\"stale\"}` counts it. And a \
                 pod that is still terminating stays in its slice by design, with ready false.",
                "控制器发现自己的缓存过期时会默默重试，只体现在指标 \
                 `endpoint_slice_controller_syncs{result=\"stale\"}` 中。此外，仍在终止中的 Pod \
                 本来就会留在 EndpointSlice 里，只是 ready 为 false。",
            ),
        ),
    ],
    aliases: &[],
    scenario: None,
    see_also: &[
        "FailedToCreateEndpointSlice",
        "FailedToUpdateEndpointSlice",
        "FailedToDeleteEndpointSlice",
        "FailedToUpdateEndpoint",
    ],
};

const CREATE_FAILED: Entry = Entry {
    name: "FailedToCreateEndpointSlice",
    reason: Some(Reason::FailedToCreateEndpointSlice),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::NeverUpstream { instead: PLURAL },
    portolan: Portolan {
        emits: true,
        when: text(
            "When the API refused a new slice. Kubernetes says FailedToUpdateEndpointSlices for \
             it.",
            "API 拒绝新建 EndpointSlice 时。Kubernetes 对此使用 FailedToUpdateEndpointSlices。",
        ),
    },
    emitter: "endpoint-slice-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::NEVER,
    summary: text("A new slice was refused", "新建 EndpointSlice 被拒绝"),
    messages: &[noted(
        "Portolan",
        "Error updating Endpoint Slices for Service {namespace}/{name}: failed to create \
         EndpointSlice for Service {namespace}/{name}: {cause}",
        text(
            "The text is upstream's, so that searches for it find both.",
            "沿用上游的文字，按文字搜索时两边都能找到。",
        ),
    )],
    patterns: patterns::SLICES_REFUSED,
    meaning: text(
        "The Service needs a slice that does not exist yet (its first one, one for another \
         address family, or one more because the others are full at 100 endpoints), and the API \
         refused to store it.",
        "Service 需要一个尚不存在的 EndpointSlice（第一个、另一地址族的，或者原有的都已装满 100 \
         个端点而需要再加一个），而 API 拒绝保存。",
    ),
    frequency: frequency::SLICES_RETRY,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "A new Service refuses every connection, for proxies know no endpoint of it. On a \
             Service that is growing, only the pods beyond the full slices get nothing.",
            "新建的 Service 会拒绝所有连接，因为代理不知道它有任何端点。正在扩容的 Service，则只\
             有装不下的那些 Pod 分不到流量。",
        ),
    },
    chain: Chain {
        before: text("The Service was created, or it has grown.", "Service 刚创建，或正在扩容。"),
        after: RETRIES,
    },
    checks: &[
        DESCRIBE_SERVICE,
        SLICES,
        check(
            "Whether a quota on the number of objects is used up.",
            "对象数量的配额是否用尽。",
            "kubectl describe resourcequota -n NAMESPACE",
        ),
        check(
            "Whether the controller may create.",
            "控制器是否有创建权限。",
            "kubectl auth can-i create endpointslices.discovery.k8s.io -n NAMESPACE \
             --as=system:serviceaccount:kube-system:endpointslice-controller",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The text has `exceeded quota`.", "文字中有 `exceeded quota`。"),
            text(
                "Raise the quota of `count/endpointslices.discovery.k8s.io`, or better, do not \
                 count objects that controllers make.",
                "提高 `count/endpointslices.discovery.k8s.io` 的配额；更好的做法是不限制由控制器\
                 创建的对象。",
            ),
            &["kubectl edit resourcequota QUOTA -n NAMESPACE"],
        ),
        remedy(
            text("The text names a webhook.", "文字中点名某个 webhook。"),
            text(
                "Repair its backend, or narrow its rules so that it leaves EndpointSlices alone.",
                "修复它的后端，或收窄它的规则，不再拦截 EndpointSlice。",
            ),
            &["kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"],
        ),
        remedy(
            text("The namespace is being deleted.", "命名空间正在删除。"),
            text("Nothing to do: nothing can be created there any more.", "无需处理：那里已经不能再创建任何对象。"),
            &["kubectl get namespace NAMESPACE"],
        ),
    ]),
    misreadings: &[misreading(
        text("It comes from `endpointslice-controller`.", "来源是 `endpointslice-controller`。"),
        text(
            "The component in From is `endpoint-slice-controller`; the other spelling is the \
             value of the managed-by label, `endpointslice-controller.k8s.io`. A search by \
             source with the wrong one finds nothing.",
            "From 列里的组件名是 `endpoint-slice-controller`；另一种拼法是 managed-by 标签的值 \
             `endpointslice-controller.k8s.io`。按来源搜索时拼错，就什么也找不到。",
        ),
    )],
    aliases: &[],
    scenario: Some("slices-create-refused"),
    see_also: &["FailedToUpdateEndpointSlices", "FailedToCreateEndpoint"],
};

const UPDATE_FAILED: Entry = Entry {
    name: "FailedToUpdateEndpointSlice",
    reason: Some(Reason::FailedToUpdateEndpointSlice),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::NeverUpstream { instead: PLURAL },
    portolan: Portolan {
        emits: true,
        when: text(
            "When the API refused a change of an existing slice. Kubernetes says \
             FailedToUpdateEndpointSlices (plural) for it.",
            "API 拒绝修改已有的 EndpointSlice 时。Kubernetes 对此使用复数的 \
             FailedToUpdateEndpointSlices。",
        ),
    },
    emitter: "endpoint-slice-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::NEVER,
    summary: text("A change of a slice was refused", "修改 EndpointSlice 被拒绝"),
    messages: &[noted(
        "Portolan",
        "Error updating Endpoint Slices for Service {namespace}/{name}: failed to update {slice} \
         EndpointSlice for Service {namespace}/{name}: {cause}",
        text(
            "The text is upstream's, so that searches for it find both.",
            "沿用上游的文字，按文字搜索时两边都能找到。",
        ),
    )],
    patterns: patterns::SLICES_REFUSED,
    meaning: text(
        "Endpoints came, went or changed their conditions, and the slice that should say so \
         could not be written. The usual cause is a conflict: somebody else wrote the slice in \
         between. It is resolved by the next try.",
        "端点有增减，或状态有变化，而本应反映这些变化的 EndpointSlice 没能写入。通常是冲突：中间\
         有别人写过，下一次重试即可化解。",
    ),
    frequency: frequency::SLICES_RETRY,
    place: None,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "Some users of the Service, for as long as it lasts: proxies send to pods that have \
             gone and not to new ones.",
            "持续期间，该 Service 的一部分使用者：代理会把流量发给已消失的 Pod，却不发给新 Pod。",
        ),
    },
    chain: Chain {
        before: text("A pod became ready or unready, came or went.", "Pod 就绪状态变化，或 Pod 新增、离开。"),
        after: RETRIES,
    },
    checks: &[
        DESCRIBE_SERVICE,
        check(
            "Who else writes the slices.",
            "还有谁在写这些 EndpointSlice。",
            "kubectl get endpointslices -n NAMESPACE -l kubernetes.io/service-name=NAME -o yaml \
             --show-managed-fields",
        ),
        check(
            "The pods, to compare with the addresses in the slices.",
            "Pod 列表，与 EndpointSlice 中的地址对照。",
            "kubectl get pods -n NAMESPACE -o wide",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("It does not come again.", "没有再次出现。"),
            text("Nothing to do: the retry succeeded.", "无需处理，重试已经成功。"),
            &[],
        ),
        remedy(
            text("Conflicts without end.", "冲突不断。"),
            text(
                "Another program edits slices that belong to this controller. It should make its \
                 own, with its own value in the label `endpointslice.kubernetes.io/managed-by`.",
                "有别的程序在修改属于本控制器的 EndpointSlice。它应当自建一份，并在标签 \
                 `endpointslice.kubernetes.io/managed-by` 中写上自己的值。",
            ),
            &["kubectl get endpointslices -n NAMESPACE -L endpointslice.kubernetes.io/managed-by"],
        ),
        risky(
            text("A slice stays wrong after the retries.", "重试之后仍不正确。"),
            text("Delete it; the controller writes a correct one.", "删除它，控制器会写出正确的内容。"),
            &["kubectl delete endpointslice SLICE -n NAMESPACE"],
            risk::SLICE_GAP,
        ),
    ]),
    misreadings: &[misreading(
        text(
            "A slice that still lists a deleted pod proves a failed update.",
            "EndpointSlice 里还有已删除的 Pod，说明更新失败了。",
        ),
        text(
            "A terminating pod stays in the slice, with ready false and terminating true, until \
             it is really gone. Look at the conditions, not at the address.",
            "终止中的 Pod 会一直留在 EndpointSlice 中，ready 为 false、terminating 为 true，直到\
             真正消失。要看状态，不要只看地址。",
        ),
    )],
    aliases: &[],
    scenario: Some("slices-update-refused"),
    see_also: &["FailedToUpdateEndpointSlices", "FailedToUpdateEndpoint"],
};

const DELETE_FAILED: Entry = Entry {
    name: "FailedToDeleteEndpointSlice",
    reason: Some(Reason::FailedToDeleteEndpointSlice),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::NeverUpstream { instead: PLURAL },
    portolan: Portolan {
        emits: true,
        when: text(
            "When the API refused to delete a slice that the Service no longer needs. Kubernetes \
             says FailedToUpdateEndpointSlices for it.",
            "API 拒绝删除 Service 已不需要的 EndpointSlice 时。Kubernetes 对此使用 \
             FailedToUpdateEndpointSlices。",
        ),
    },
    emitter: "endpoint-slice-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::NEVER,
    summary: text("A slice could not be deleted", "EndpointSlice 删除失败"),
    messages: &[noted(
        "Portolan",
        "Error updating Endpoint Slices for Service {namespace}/{name}: failed to delete {slice} \
         EndpointSlice for Service {namespace}/{name}: {cause}",
        text(
            "The text is upstream's, so that searches for it find both.",
            "沿用上游的文字，按文字搜索时两边都能找到。",
        ),
    )],
    patterns: patterns::SLICES_REFUSED,
    meaning: text(
        "A slice has run empty, belongs to an address family that the Service gave up, or to an \
         earlier Service of the same name, and the API refused to delete it. Slices of a Service \
         that is itself deleted are not meant here: the garbage collector removes those by their \
         owner reference.",
        "某个 EndpointSlice 已空，或属于 Service 已放弃的地址族，或属于从前的同名 Service，而 \
         API 拒绝删除它。Service 本身被删除时，其 EndpointSlice 不在此列：由垃圾回收按属主引用清\
         除。",
    ),
    frequency: frequency::SLICES_RETRY,
    place: None,
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "Usually nobody: an empty slice sends nothing anywhere. One that still lists pods \
             that are gone makes a part of the connections fail.",
            "通常无人受影响：空的 EndpointSlice 不会引导任何流量。如果里面还列着已消失的 Pod，一\
             部分连接会失败。",
        ),
    },
    chain: Chain {
        before: text("The Service was scaled down or changed its IP families.", "Service 缩容，或更改了 IP 地址族。"),
        after: RETRIES,
    },
    checks: &[
        DESCRIBE_SERVICE,
        check(
            "The slices, and what holds them.",
            "EndpointSlice，以及留住它们的东西。",
            "kubectl get endpointslices -n NAMESPACE -l kubernetes.io/service-name=NAME -o \
             custom-columns=NAME:.metadata.name,TYPE:.addressType,FINALIZERS:.metadata.finalizers,OWNER:.metadata.ownerReferences[*].uid",
        ),
        check(
            "The UID of the Service, to compare with the owner.",
            "Service 的 UID，与属主对照。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.metadata.uid}'",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The slice is gone by now.", "EndpointSlice 现在已经不在。"),
            text("Nothing to do: the retry succeeded.", "无需处理，重试已经成功。"),
            &[],
        ),
        risky(
            text("It is still there.", "还在。"),
            text(
                "Delete it by hand and read the error that comes back: it names the right, the \
                 webhook or the finalizer that stands in the way.",
                "手工删除，并看返回的错误：它会写明挡路的是权限、webhook 还是 finalizer。",
            ),
            &["kubectl delete endpointslice SLICE -n NAMESPACE"],
            risk::SLICE_GAP,
        ),
    ]),
    misreadings: &[misreading(
        text("It comes when a Service is deleted.", "删除 Service 时会出现它。"),
        text(
            "Then the controller deletes nothing; the garbage collector does, and it says \
             nothing either.",
            "删除 Service 时，控制器并不删除任何东西；由垃圾回收来做，而它也不发事件。",
        ),
    )],
    aliases: &[],
    scenario: Some("slices-delete-refused"),
    see_also: &["FailedToUpdateEndpointSlices", "FailedToDeleteEndpoint"],
};
