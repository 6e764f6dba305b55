//! Failures of the Endpoints controller, which keeps the older of the two lists of pods behind a Service.
//!
//! Upstream: `syncService` in `pkg/controller/endpoint/endpoints_controller.go`.

use super::{DIAGNOSE, check, frequency, message, misreading, noted, patterns, place, remedy, risk, risky};
use crate::lang::text;
use crate::{Api, Category, Chain, Check, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[CREATE_FAILED, UPDATE_FAILED, DELETE_FAILED];

/// Whether the API server itself is well.
const API_HEALTH: Check = check(
    "Whether the API server and its storage are well.",
    "API server 及其存储是否健康。",
    "kubectl get --raw '/readyz?verbose'",
);

const CREATE_FAILED: Entry = Entry {
    name: "FailedToCreateEndpoint",
    reason: Some(Reason::FailedToCreateEndpoint),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the first Endpoints object of a Service could not be written, for each failed \
             try; on the Service, where describe shows it. A namespace that is going away is no \
             reason: then nothing is said.",
            "Service 的第一个 Endpoints 对象写入失败时，每次失败发一条，挂在 Service 上，\
             describe 可以看到。如果是因为命名空间正在终止，则不发。",
        ),
    },
    emitter: "endpoint-controller",
    object: "Endpoints",
    api: Api::Core,
    versions: Versions::since("1.27"),
    summary: text("The Endpoints object could not be created", "Endpoints 对象创建失败"),
    messages: &[message("Kubernetes, Portolan", "Failed to create endpoint for service {namespace}/{name}: {error}")],
    patterns: patterns::ENDPOINTS_REFUSED,
    meaning: text(
        "The controller worked out which pods stand behind a Service that had no Endpoints \
         object yet, and the API refused the new object. Endpoints are the older list and \
         deprecated since 1.33; kube-proxy reads EndpointSlices, which another controller \
         writes, so the traffic of a cluster of today does not hang on this one.",
        "控制器已经算出一个尚无 Endpoints 对象的 Service 背后有哪些 Pod，但 API 拒绝了新对象。\
         Endpoints 是较老的那份列表，1.33 起已弃用；kube-proxy 读取的是由另一个控制器维护的 \
         EndpointSlice，所以现今集群的流量并不取决于它。",
    ),
    frequency: frequency::ENDPOINTS_RETRY,
    place: Some(place::DEFAULT_NAMESPACE),
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "Programs that still read Endpoints: some ingress controllers, monitoring, `kubectl \
             get endpoints`. Traffic through the ClusterIP works as long as the EndpointSlices \
             are right. If the API or its storage is the cause, every Service is concerned.",
            "仍在读取 Endpoints 的程序：某些 Ingress 控制器、监控、`kubectl get endpoints`。只要 \
             EndpointSlice 正确，经 ClusterIP 的流量不受影响。但如果原因在 API 或其存储，则所有 \
             Service 都会波及。",
        ),
    },
    chain: Chain {
        before: text("A Service with a selector was created.", "创建了一个带 selector 的 Service。"),
        after: text(
            "Another try after 5 ms, 10 ms, 20 ms and so on, 15 of them; then silence until the \
             Service or a pod of it changes again.",
            "按 5 毫秒、10 毫秒、20 毫秒……的间隔重试，共 15 次；之后不再出声，直到该 Service 或\
             它的 Pod 再次变化。",
        ),
    },
    checks: &[
        check(
            "The events. Upstream files this one under namespace default whatever the Service's \
             namespace, so describe does not show it; the message has the right namespace.",
            "查找事件。上游不论 Service 在哪个命名空间，都把这条事件记在 default 下，因此 \
             describe 看不到；文字里的命名空间才是对的。",
            "kubectl get events -n default --field-selector reason=FailedToCreateEndpoint",
        ),
        check("Whether the object exists by now.", "对象现在是否已经存在。", "kubectl get endpoints NAME -n NAMESPACE"),
        check(
            "The list that matters for traffic.",
            "真正决定流量的列表。",
            "kubectl get endpointslices -n NAMESPACE -l kubernetes.io/service-name=NAME",
        ),
        check(
            "Whether the controller may write.",
            "控制器是否有写入权限。",
            "kubectl auth can-i create endpoints -n NAMESPACE \
             --as=system:serviceaccount:kube-system:endpoint-controller",
        ),
        API_HEALTH,
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The object exists by now.", "对象现在已经存在。"),
            text("Nothing to do: a later try succeeded.", "无需处理，后面的重试已经成功。"),
            &[],
        ),
        remedy(
            text("The text has `already exists`.", "文字中有 `already exists`。"),
            text(
                "Somebody else made an object of this name at the same moment, or keeps making \
                 it. The controller takes it over on its next try. If it keeps coming back with \
                 other contents, find the other writer in metadata.managedFields.",
                "同一时刻有别人创建了同名对象，或者一直在创建。控制器下一次会接管它。如果内容反复\
                 被改成别的，请在 metadata.managedFields 里找出另一个写入者。",
            ),
            &["kubectl get endpoints NAME -n NAMESPACE -o yaml --show-managed-fields"],
        ),
        remedy(
            text("The text has `forbidden`.", "文字中有 `forbidden`。"),
            text(
                "A quota, an admission webhook or missing rights: the text says which. For \
                 rights, restore the built-in role `system:controller:endpoint-controller`; the \
                 API server recreates it when it starts. Give no wider role.",
                "配额、准入 webhook 或缺少权限：文字里会写明是哪一种。如果是权限，请恢复内置角色 \
                 `system:controller:endpoint-controller`，API server 启动时会自动重建；不要授予更\
                 大的角色。",
            ),
            &["kubectl get clusterrole system:controller:endpoint-controller -o yaml"],
        ),
        remedy(
            text("The text has a timeout, or names etcd.", "文字中有超时，或提到 etcd。"),
            text(
                "The storage is slow or out of space; repair that first, all other controllers \
                 suffer too.",
                "存储过慢或空间不足；先修好它，其他控制器同样受累。",
            ),
            &["kubectl get --raw '/readyz?verbose'"],
        ),
    ]),
    misreadings: &[
        misreading(
            text("`kubectl describe service` shows it.", "`kubectl describe service` 能看到它。"),
            text(
                "In Kubernetes the event is on the Endpoints object, and because that object has \
                 no namespace yet it lands in default. Only a search by reason finds it.",
                "在 Kubernetes 中，事件挂在 Endpoints 对象上；又因为该对象此时还没有命名空间，事\
                 件落在了 default。只有按 reason 搜索才找得到。",
            ),
        ),
        misreading(
            text("Without Endpoints the Service is down.", "没有 Endpoints，Service 就不可用。"),
            text(
                "kube-proxy has not read Endpoints for years. The two lists are written by \
                 different controllers and fail on their own.",
                "kube-proxy 早已不读 Endpoints。两份列表由不同的控制器维护，各自成败。",
            ),
        ),
        misreading(
            text(
                "Binding cluster-admin to the controller's account cures missing rights.",
                "权限不足时，给控制器的账号绑定 cluster-admin 即可。",
            ),
            text(
                "Never. It hands the whole cluster to one controller; the built-in role has all \
                 that it needs.",
                "绝不可以。那等于把整个集群交给一个控制器；内置角色已经够用。",
            ),
        ),
    ],
    aliases: &[],
    scenario: Some("endpoints-create-refused"),
    see_also: &["FailedToUpdateEndpoint", "FailedToUpdateEndpointSlices"],
};

const UPDATE_FAILED: Entry = Entry {
    name: "FailedToUpdateEndpoint",
    reason: Some(Reason::FailedToUpdateEndpoint),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a changed Endpoints object could not be written, for each failed try, also \
             after a mere conflict, which the next try resolves. It is on the Service, where \
             describe shows it.",
            "Endpoints 对象的变更写入失败时，每次失败发一条；单纯的冲突也会发，下一次重试即可化\
             解。事件挂在 Service 上，describe 可以看到。",
        ),
    },
    emitter: "endpoint-controller",
    object: "Endpoints",
    api: Api::Core,
    versions: Versions::since("1.27"),
    summary: text("The Endpoints object could not be updated", "Endpoints 对象更新失败"),
    messages: &[message("Kubernetes, Portolan", "Failed to update endpoint {namespace}/{name}: {error}")],
    patterns: patterns::ENDPOINTS_REFUSED,
    meaning: text(
        "The pods behind a Service changed, and the API refused the new Endpoints. By far the \
         commonest error is `the object has been modified`: somebody wrote in between, the \
         controller reads again and succeeds milliseconds later.",
        "Service 背后的 Pod 有变化，而 API 拒绝了新的 Endpoints。最常见的错误是 `the object has \
         been modified`：中间有人写过一次，控制器重新读取，几毫秒后便会成功。",
    ),
    frequency: frequency::ENDPOINTS_RETRY,
    place: Some(place::ON_ENDPOINTS),
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "Nobody after a single conflict. If it goes on: programs that read Endpoints see \
             pods that are gone and miss new ones. kube-proxy reads EndpointSlices and is not \
             concerned.",
            "偶发一次冲突，无人受影响。如果持续不断：读取 Endpoints 的程序会看到已经消失的 Pod，\
             看不到新的 Pod。kube-proxy 读的是 EndpointSlice，不受影响。",
        ),
    },
    chain: Chain {
        before: text("A pod became ready or unready, came or went.", "Pod 就绪状态变化，或 Pod 新增、离开。"),
        after: text(
            "Up to 15 more tries, 5 ms to 82 s apart; then none until the next change.",
            "最多再试 15 次，间隔从 5 毫秒到 82 秒；之后要等下一次变化。",
        ),
    },
    checks: &[
        check(
            "Its events: they are on the Endpoints object, not on the Service.",
            "事件挂在 Endpoints 对象上，而不在 Service 上。",
            "kubectl describe endpoints NAME -n NAMESPACE",
        ),
        check(
            "Whether count grows: one conflict is nothing, hundreds are two writers.",
            "次数是否在涨：一次冲突不算什么，几百次就是有两个写入者。",
            "kubectl get events -n NAMESPACE --field-selector reason=FailedToUpdateEndpoint",
        ),
        check(
            "Who writes the object.",
            "谁在写这个对象。",
            "kubectl get endpoints NAME -n NAMESPACE -o yaml --show-managed-fields",
        ),
        check(
            "The list that kube-proxy uses, to compare.",
            "与 kube-proxy 使用的列表对照。",
            "kubectl get endpointslices -n NAMESPACE -l kubernetes.io/service-name=NAME",
        ),
        API_HEALTH,
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("`the object has been modified`, now and then.", "偶尔出现 `the object has been modified`。"),
            text("Nothing to do: the next try succeeds.", "无需处理，下一次重试就会成功。"),
            &[],
        ),
        remedy(
            text("The same, without end.", "同样的错误，没完没了。"),
            text(
                "Two writers fight over the object. If somebody else must own the addresses, \
                 take the selector off the Service: then this controller leaves it alone. \
                 Otherwise stop the other writer.",
                "有两方在争写这个对象。如果地址确实应由别人管理，去掉 Service 的 selector，本控制\
                 器就不再插手；否则请停掉另一方。",
            ),
            &["kubectl get service NAME -n NAMESPACE -o jsonpath='{.spec.selector}'"],
        ),
        remedy(
            text("The text has a timeout, `etcdserver`, or 429.", "文字中有超时、`etcdserver` 或 429。"),
            text(
                "The API server or its storage is overloaded; look there. Many pods flapping \
                 between ready and unready write Endpoints without pause: repair their probes.",
                "API server 或其存储过载，先从那里查起。大量 Pod 在就绪与未就绪之间抖动，会不停\
                 写 Endpoints：请修好它们的探针。",
            ),
            &["kubectl get pods -n NAMESPACE -o wide"],
        ),
    ]),
    misreadings: &[
        misreading(
            text(
                "With more than 1000 pods it fails with `request is too large`.",
                "Pod 超过 1000 个，就会因 `request is too large` 而失败。",
            ),
            text(
                "Since 1.22 Endpoints are cut at 1000 addresses and marked \
                 `endpoints.kubernetes.io/over-capacity: truncated`. EndpointSlices hold them \
                 all.",
                "从 1.22 起，Endpoints 截断在 1000 个地址，并带上标记 \
                 `endpoints.kubernetes.io/over-capacity: truncated`。EndpointSlice 则全部保留。",
            ),
        ),
        misreading(
            text(
                "The cure is to migrate to EndpointSlices and delete the Endpoints.",
                "解决办法是迁移到 EndpointSlice，再删掉 Endpoints。",
            ),
            text(
                "There is nothing to migrate in 1.25 and later: both controllers run, and \
                 kube-proxy reads only slices. A deleted Endpoints object of a Service with a \
                 selector is created again at once.",
                "1.25 及之后没有什么可迁移的：两个控制器都在运行，kube-proxy 只读 EndpointSlice。\
                 带 selector 的 Service，其 Endpoints 删了立刻会重建。",
            ),
        ),
    ],
    aliases: &[],
    scenario: Some("endpoints-update-refused"),
    see_also: &["FailedToUpdateEndpointSlices", "FailedToCreateEndpoint", "Unhealthy"],
};

const DELETE_FAILED: Entry = Entry {
    name: "FailedToDeleteEndpoint",
    reason: Some(Reason::FailedToDeleteEndpoint),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::NeverUpstream { instead: &[] },
    portolan: Portolan {
        emits: true,
        when: text(
            "When the Endpoints of a Service that is gone could not be removed, for any error \
             except that they are gone already. It is on the Endpoints, for the Service no \
             longer exists.",
            "Service 已经不在，而它的 Endpoints 删除失败时；对象本就不存在的情况除外。Service 既\
             已不在，事件便挂在 Endpoints 上。",
        ),
    },
    emitter: "endpoint-controller",
    object: "Endpoints",
    api: Api::Core,
    versions: Versions::NEVER,
    summary: text("The Endpoints of a deleted Service could not be removed", "已删除 Service 的 Endpoints 清理失败"),
    messages: &[noted(
        "Portolan",
        "Failed to delete endpoint {namespace}/{name}: {error}",
        text(
            "Kubernetes retries in silence; only the log of kube-controller-manager shows it.",
            "Kubernetes 只是默默重试，仅在 kube-controller-manager 的日志里可见。",
        ),
    )],
    patterns: patterns::ENDPOINTS_REFUSED,
    meaning: text(
        "A Service was deleted, its Endpoints object is left over, and the API refused to delete \
         it. Kubernetes emits no event for this situation, under this name or another.",
        "Service 已被删除，留下的 Endpoints 对象却被 API 拒绝删除。对这种情况，Kubernetes 不发任\
         何事件，无论叫什么名字。",
    ),
    frequency: frequency::ENDPOINTS_RETRY,
    place: None,
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "Hardly anybody: the name no longer resolves and kube-proxy does not read the \
             object. It takes a little room, and a new Service of the same name takes it over.",
            "几乎没有人：名字已经解析不到，kube-proxy 也不读这个对象。它只是占一点空间，同名的新 \
             Service 会直接接管它。",
        ),
    },
    chain: Chain {
        before: text("The Service was deleted.", "Service 已被删除。"),
        after: text(
            "Up to 15 more tries. When the controller starts anew it goes through all Endpoints \
             once, and removes orphans then.",
            "最多再试 15 次。控制器重新启动时会把所有 Endpoints 过一遍，届时清除孤儿。",
        ),
    },
    checks: &[
        check(
            "Whether the object is still there, and what holds it.",
            "对象是否还在，被什么留住。",
            "kubectl get endpoints NAME -n NAMESPACE -o jsonpath='{.metadata.finalizers}'",
        ),
        check(
            "Whether the controller may delete.",
            "控制器是否有删除权限。",
            "kubectl auth can-i delete endpoints -n NAMESPACE \
             --as=system:serviceaccount:kube-system:endpoint-controller",
        ),
        API_HEALTH,
        DIAGNOSE,
    ],
    remedies: Remedies::Steps(&[
        remedy(text("The object is gone by now.", "对象现在已经不在。"), text("Nothing to do.", "无需处理。"), &[]),
        risky(
            text("It is there and nothing holds it.", "对象还在，也没有东西留住它。"),
            text("Delete it; without a Service nobody makes it again.", "直接删除；没有 Service，就不会再被重建。"),
            &["kubectl delete endpoints NAME -n NAMESPACE"],
            risk::ENDPOINTS_GAP,
        ),
        remedy(
            text("A finalizer of another program holds it.", "有别的程序的 finalizer 留住它。"),
            text(
                "Repair or start that program; it wants to clean up something of its own first.",
                "修复或启动那个程序，它需要先清理自己的东西。",
            ),
            &[],
        ),
    ]),
    misreadings: &[misreading(
        text("`endpoints not found` brings this event.", "`endpoints not found` 会引发这条事件。"),
        text("An object that is not there counts as deleted.", "对象不存在，就视为删除成功。"),
    )],
    aliases: &[],
    scenario: Some("endpoints-delete-refused"),
    see_also: &["FailedToUpdateEndpoint", "FailedToDeleteEndpointSlice"],
};
