//! IPAddress objects without their Service, and the ranges that addresses come from.
//!
//! Upstream: `repairip.go` in `pkg/registry/core/service/ipallocator/controller`, `pkg/controller/servicecidrs` and
//! `pkg/controller/nodeipam/ipam`.

use super::cluster_ips::{IP_OBJECTS, RANGES};
use super::{check, frequency, message, misreading, noted, patterns, place, remedy, risk, risky};
use crate::lang::text;
use crate::{
    Api, Bound, Category, Chain, Check, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions,
};

pub(super) const ENTRIES: &[Entry] = &[ADDRESS_LEAKED, ADDRESS_WRONG, RANGE_ERROR, NO_POD_RANGE];

const ADDRESS_EVENTS: Check = check(
    "These Events; they are in `default`, since the object has no namespace.",
    "查找这类事件；该对象没有命名空间，事件在 `default` 中。",
    "kubectl get events -n default --field-selector involvedObject.kind=IPAddress",
);

/// IPAddress objects came, as an alpha, with 1.27; the first release of the event was not looked up.
const ADDRESS_ERA: Versions = Versions { since: Bound::Unverified("1.27"), until: Bound::Present };

const ADDRESS_LEAKED: Entry = Entry {
    name: "IPAddressNotAllocated",
    reason: Some(Reason::IPAddressNotAllocated),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the repair loop deletes an IPAddress object whose Service has not existed for a \
             minute, or that names no Service.",
            "修复循环删除 IPAddress 对象时：其 Service 不存在已满一分钟，或它根本不指向 Service。",
        ),
    },
    emitter: "ipallocator-repair-controller",
    object: "IPAddress",
    api: Api::Events,
    versions: ADDRESS_ERA,
    summary: text("A booked address has no Service and is freed", "已登记的地址没有对应的 Service，予以释放"),
    messages: &[
        message(
            "Kubernetes, Portolan",
            "IPAddress: {address} for Service {namespace}/{name} appears to have leaked: \
             cleaning up",
        ),
        noted(
            "Kubernetes, Portolan",
            "IPAddress {address} appears to have been modified, not referencing a Service \
             {reference}: cleaning up",
            text("Somebody changed what the object refers to.", "有人改动了该对象的引用。"),
        ),
    ],
    patterns: patterns::IP_ADDRESS_NOT_ALLOCATED,
    meaning: text(
        "The API server books an address before it stores the Service. When the second step \
         fails, the booking is left over. After a minute the repair loop deletes it, and the \
         address is free again.",
        "API server 先登记地址，再保存 Service。第二步失败时，登记会遗留下来。一分钟后修复循环将其删除，地\
         址重新可用。",
    ),
    frequency: frequency::REPAIR_ONCE,
    place: Some(place::CLUSTER_SCOPED),
    impact: Impact {
        harm: Harm::Low, who: text("Nobody: the address was unused.", "无人受影响：该地址没有人在用。")
    },
    chain: Chain {
        before: text(
            "An API server that stopped in the middle of a request, or an IPAddress that was \
             made or changed by hand.",
            "API server 在处理请求途中停止，或有人手工创建、改动了 IPAddress。",
        ),
        after: text("The object is gone.", "该对象消失。"),
    },
    checks: &[IP_OBJECTS, ADDRESS_EVENTS],
    remedies: Remedies::Steps(&[
        remedy(
            text("It comes now and then.", "偶尔出现。"),
            text("Nothing to do: it is cleaned up.", "无需处理，会自行清理。"),
            &[],
        ),
        remedy(
            text("Somebody wants to keep an address free by hand.", "有人想手工保留某个地址。"),
            text(
                "Do not use the label `ipaddress.kubernetes.io/managed-by` of the API server on \
                 such objects: only objects with it are cleaned up.",
                "这样的对象不要带 API server 的标签 `ipaddress.kubernetes.io/managed-by`：只有带该标签的\
                 才会被清理。",
            ),
            &["kubectl get ipaddresses.networking.k8s.io ADDRESS -o yaml"],
        ),
    ]),
    misreadings: &[misreading(
        text("A Service could not get an address.", "某个 Service 分不到地址。"),
        text("The opposite: an address had no Service.", "恰好相反：是地址没有 Service。"),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["IPAddressWrongReference", "ClusterIPNotAllocated"],
};

const ADDRESS_WRONG: Entry = Entry {
    name: "IPAddressWrongReference",
    reason: Some(Reason::IPAddressWrongReference),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the repair loop deletes an IPAddress object whose Service does not have the \
             address.",
            "修复循环删除 IPAddress 对象时：其 Service 并不持有该地址。",
        ),
    },
    emitter: "ipallocator-repair-controller",
    object: "IPAddress",
    api: Api::Events,
    versions: ADDRESS_ERA,
    summary: text("A booked address names a Service that does not have it", "已登记的地址指向并不持有它的 Service"),
    messages: &[message(
        "Kubernetes, Portolan",
        "IPAddress: {address} for Service {namespace}/{name} has a wrong reference; cleaning up",
    )],
    patterns: &[],
    meaning: text(
        "The Service that the booking names exists, but has other addresses: it was deleted and \
         made again, or became an ExternalName. The booking is deleted and the address is free \
         again.",
        "登记所指的 Service 存在，但地址不同：它被删掉重建过，或改成了 ExternalName。登记会被删除，地址重\
         新可用。",
    ),
    frequency: frequency::REPAIR_ONCE,
    place: Some(place::CLUSTER_SCOPED),
    impact: Impact {
        harm: Harm::Low, who: text("Nobody: the address was unused.", "无人受影响：该地址没有人在用。")
    },
    chain: Chain {
        before: text(
            "A Service of the same name was made again, or a create that was rolled back.",
            "同名 Service 被重建，或一次创建被回滚。",
        ),
        after: text("The object is gone.", "该对象消失。"),
    },
    checks: &[IP_OBJECTS, ADDRESS_EVENTS],
    remedies: Remedies::Steps(&[remedy(
        text("It comes again for the same address.", "同一地址反复出现。"),
        text(
            "Something else makes IPAddress objects with the label of the API server; find it by \
             the field managers.",
            "有别的程序带着 API server 的标签在创建 IPAddress；看字段管理者就能查到。",
        ),
        &["kubectl get ipaddresses.networking.k8s.io ADDRESS -o yaml --show-managed-fields"],
    )]),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["IPAddressNotAllocated", "ClusterIPNotAllocated"],
};

const RANGE_ERROR: Entry = Entry {
    name: "KubernetesServiceCIDRError",
    reason: Some(Reason::KubernetesServiceCIDRError),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the condition Ready of a ServiceCIDR could not be written.",
            "ServiceCIDR 的 Ready 状态写入失败时。",
        ),
    },
    emitter: "service-cidr-controller",
    object: "ServiceCIDR",
    api: Api::Core,
    versions: Versions { since: Bound::Unverified("1.29"), until: Bound::Present },
    summary: text("A ServiceCIDR could not be marked ready", "未能把 ServiceCIDR 标为就绪"),
    messages: &[message("Kubernetes, Portolan", "The ServiceCIDR Status can not be set to Ready=True")],
    patterns: patterns::KUBERNETES_SERVICE_CIDR_ERROR,
    meaning: text(
        "A range for ClusterIPs exists, but its status could not be written. Addresses are given \
         out only from ranges that are ready, so a new range is of no use until a retry \
         succeeds.",
        "ClusterIP 的地址范围已经存在，但状态写不进去。只有就绪的范围才会用于分配，所以重试成功之前，新范\
         围不起作用。",
    ),
    frequency: frequency::RARE_RETRY,
    place: Some(place::CLUSTER_SCOPED),
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "Whoever creates Services while the other ranges are full. Existing Services are not \
             touched.",
            "其他范围已满时，新建 Service 的人。已有的 Service 不受影响。",
        ),
    },
    chain: Chain {
        before: text("A ServiceCIDR was created or changed.", "ServiceCIDR 被创建或变更。"),
        after: text("Another try, with growing pauses.", "以越来越长的间隔重试。"),
    },
    checks: &[
        RANGES,
        check(
            "The conditions of the range and its Events.",
            "该范围的状态条件和事件。",
            "kubectl describe servicecidrs.networking.k8s.io NAME",
        ),
        check(
            "Whether the controller may write the status.",
            "控制器有没有写状态的权限。",
            "kubectl auth can-i patch servicecidrs.networking.k8s.io/status --as \
             system:serviceaccount:kube-system:service-cidrs-controller",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("It came once.", "只出现一次。"),
            text("Nothing to do: a conflict, and the retry succeeded.", "无需处理：是一次冲突，重试已成功。"),
            &[],
        ),
        remedy(
            text("The controller may not write.", "控制器没有写权限。"),
            text(
                "Restore the built-in role `system:controller:service-cidrs-controller`; \
                 restarting the API server reconciles built-in roles.",
                "恢复内置角色 `system:controller:service-cidrs-controller`；重启 API server 会自动校正内\
                 置角色。",
            ),
            &["kubectl get clusterrole system:controller:service-cidrs-controller -o yaml"],
        ),
    ]),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["ClusterIPOutOfRange", "IPNotAllocated"],
};

const NO_POD_RANGE: Entry = Entry {
    name: "CIDRNotAvailable",
    reason: Some(Reason::CIDRNotAvailable),
    severity: Severity::Normal,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a Node has no range and none is left for it, from the controller that hands them \
             out. That one runs only where it is asked for: a node of `portolan up` has its range \
             from the start, and a cluster that Portolan joins has its own allocator.",
            "Node 没有地址段而又无可分配时，由负责分配的控制器发出。该控制器只在要求时运行：`portolan up` 的节点\
             一开始就有地址段，Portolan 所加入的集群也有自己的分配器。",
        ),
    },
    emitter: "cidrAllocator",
    object: "Node",
    api: Api::Core,
    versions: Versions::since("1.36"),
    summary: text("A node gets no range for its pods", "节点分不到 Pod 地址段"),
    messages: &[message("Kubernetes, Portolan", "Node {node} status is now: CIDRNotAvailable")],
    patterns: patterns::CIDR_NOT_AVAILABLE,
    meaning: text(
        "Each node is given a range for its pods, cut from the one of the cluster, and all of \
         them are given out. The type is Normal although it is a failure, so a look at warnings \
         alone misses it.",
        "每个节点都从集群的地址段中分得一段给 Pod 使用，而现在已经分完。它虽是失败，类型却是 Normal，只看 \
         Warning 会漏掉。",
    ),
    frequency: frequency::POD_RANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Pods on that node: network plugins that use the range cannot give them addresses. \
             Other nodes are not touched.",
            "该节点上的 Pod：使用这个地址段的网络插件无法给它们分配地址。其他节点不受影响。",
        ),
    },
    chain: Chain {
        before: text("The node registered.", "节点完成注册。"),
        after: text(
            "FailedCreatePodSandBox on its pods, with a text of the network plugin. The \
             allocation is tried again.",
            "该节点上的 Pod 出现 FailedCreatePodSandBox，文字来自网络插件。分配会重试。",
        ),
    },
    checks: &[
        check(
            "The range of each node; `none` is the problem.",
            "各节点的地址段；`none` 就是问题所在。",
            "kubectl get nodes -o custom-columns=NODE:.metadata.name,RANGES:.spec.podCIDRs",
        ),
        check(
            "These Events.",
            "查找这类事件。",
            "kubectl get events -n default --field-selector \
             involvedObject.kind=Node,reason=CIDRNotAvailable",
        ),
    ],
    remedies: Remedies::Steps(&[
        risky(
            text("There are Nodes that no longer exist.", "有些 Node 其实已经不存在。"),
            text("Delete them: their ranges become free.", "删除它们，地址段随之释放。"),
            &["kubectl delete node NODE"],
            risk::NODE_LOST,
        ),
        remedy(
            text("The cluster has more nodes than its range has parts.", "节点数超过地址段可切分的份数。"),
            text(
                "Restart the controller manager with a wider `--cluster-cidr`, or with a longer \
                 `--node-cidr-mask-size` for new nodes; the old nodes keep theirs.",
                "用更大的 `--cluster-cidr` 重启控制器管理器，或让新节点使用更长的 \
                 `--node-cidr-mask-size`；旧节点保持原样。",
            ),
            &["kubectl get nodes -o wide"],
        ),
        remedy(
            text("The network plugin keeps ranges of its own.", "网络插件自行管理地址段。"),
            text(
                "Then nobody reads spec.podCIDR; switch the allocation off with \
                 `--allocate-node-cidrs=false`.",
                "那样就没有人读取 spec.podCIDR；可用 `--allocate-node-cidrs=false` 关闭分配。",
            ),
            &["kubectl get pods -n kube-system -o wide"],
        ),
    ]),
    misreadings: &[misreading(
        text("IPNotAllocated says this.", "说明这种情况的是 IPNotAllocated。"),
        text(
            "In Portolan it does as well, as a warning beside this one. Kubernetes has no such word.",
            "在 Portolan 中确实也会，作为 Warning 一并发出。Kubernetes 没有这个词。",
        ),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["FailedCreatePodSandBox", "IPNotAllocated", "NodeReady"],
};
