//! Findings about the lists of endpoints.

use super::Code;
use crate::lang::text;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "slices-missing",
        link: "slices",
        title: text("The Service has no EndpointSlices", "Service 没有 EndpointSlice"),
        meaning: text(
            "Nobody wrote the list that proxies follow, though pods match.",
            "有匹配的 Pod，却没有人写出代理所依据的列表。",
        ),
        proof: text(
            "No slice carries the Service's name, and the Service has a selector.",
            "没有 EndpointSlice 标有该 Service 的名称，而 Service 有 selector。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "See whether kube-controller-manager runs and leads, and what it logs.",
            "查看 kube-controller-manager 是否在运行并担任 leader，以及它的日志。",
        ),
        reasons: &["FailedToUpdateEndpointSlices"],
        scenario: Some("slices-missing"),
    },
    Code {
        code: "slices-lack-ready-pods",
        link: "slices",
        title: text("Ready pods are missing in the slices", "就绪的 Pod 不在 EndpointSlice 中"),
        meaning: text(
            "Pods are ready and have an address, and the slices do not hold them.",
            "Pod 已就绪且有地址，而 EndpointSlice 中没有。",
        ),
        proof: text(
            "Pods that belong in by the rules of the controller are not there, for longer than it takes.",
            "按控制器规则应当列入的 Pod 不在其中，且已超过正常耗时。",
        ),
        impact: text(
            "The pods that are missing get no traffic; with none there, connections are refused.",
            "缺少的 Pod 分不到流量；一个都没有时连接被拒绝。",
        ),
        remedy: text(
            "Look for FailedToUpdateEndpointSlices and at the controller; delete the slice to force a \
             sync.",
            "查找 FailedToUpdateEndpointSlices 并检查控制器；删除该 EndpointSlice 可触发同步。",
        ),
        reasons: &["FailedToUpdateEndpointSlices"],
        scenario: Some("slices-lack-pods"),
    },
    Code {
        code: "slices-stale",
        link: "slices",
        title: text("The slices hold pods that are gone", "EndpointSlice 中有已不存在的 Pod"),
        meaning: text(
            "Addresses are still listed whose pods no longer exist or have another address.",
            "列有一些地址，其 Pod 已不存在或换了地址。",
        ),
        proof: text(
            "The target of an endpoint is missing, or has another UID or address; pods that are still \
             ending are not counted.",
            "端点的目标不存在，或 UID、地址不同；仍在终止的 Pod 不算。",
        ),
        impact: text("A part of the connections hangs or is refused.", "部分连接挂起或被拒绝。"),
        remedy: text(
            "See whether the controller runs; deleting the slice forces a sync, annotating it does not.",
            "查看控制器是否在运行；删除 EndpointSlice 可触发同步，加注解没有用。",
        ),
        reasons: &["FailedToUpdateEndpointSlices"],
        scenario: Some("slices-stale"),
    },
    Code {
        code: "slices-foreign",
        link: "slices",
        title: text("A slice of the Service is managed by somebody else", "某个 EndpointSlice 由他人管理"),
        meaning: text(
            "Proxies use every slice that carries the Service's name, whoever wrote it; this one is \
             not of the controller.",
            "代理会使用所有标有该 Service 名称的 EndpointSlice，不论谁写的；这一个不是控制器写的。",
        ),
        proof: text(
            "The label `endpointslice.kubernetes.io/managed-by` names another manager or none, though \
             the Service has a selector.",
            "Service 有 selector，而标签 `endpointslice.kubernetes.io/managed-by` 指向其他管理者或缺失。",
        ),
        impact: text("A part of the traffic goes where nobody expects it.", "部分流量去了意料之外的地方。"),
        remedy: text(
            "Delete the slice if it is left over; else teach its manager another Service name.",
            "如果是遗留物就删除；否则让其管理者改用别的 Service 名称。",
        ),
        reasons: &[],
        scenario: Some("slices-foreign"),
    },
    Code {
        code: "slices-orphaned",
        link: "slices",
        title: text("A slice belongs to a Service that is gone", "EndpointSlice 属于已不存在的 Service"),
        meaning: text(
            "The slice carries the name of a Service and the UID of an older one.",
            "EndpointSlice 标有该 Service 的名称，却带着旧 Service 的 UID。",
        ),
        proof: text(
            "Its ownerReference names a UID that no Service has.",
            "其 ownerReference 的 UID 不属于任何 Service。",
        ),
        impact: text(
            "Traffic goes to addresses of the old Service until it is removed.",
            "在删除之前，流量会发往旧 Service 的地址。",
        ),
        remedy: text("Garbage collection removes it; if not, delete it.", "垃圾回收会删除它；否则手工删除。"),
        reasons: &[],
        scenario: Some("slices-orphaned"),
    },
    Code {
        code: "slices-duplicate",
        link: "slices",
        title: text("The same endpoint is in two slices", "同一端点出现在两个 EndpointSlice 中"),
        meaning: text(
            "One address is listed twice for the same port, so it gets a double share, or stays when \
             one of them is corrected.",
            "同一地址和端口列了两次，会分到双份流量，改正其中一处后仍会残留。",
        ),
        proof: text(
            "Two slices of the Service hold the same address and port.",
            "该 Service 的两个 EndpointSlice 含有相同的地址和端口。",
        ),
        impact: text("Load is uneven.", "负载不均。"),
        remedy: text(
            "Delete the younger slice; the controller writes what is missing.",
            "删除较新的那个；缺少的内容控制器会补写。",
        ),
        reasons: &[],
        scenario: Some("slices-duplicate"),
    },
    Code {
        code: "endpoints-disagree",
        link: "slices",
        title: text("Endpoints and EndpointSlices disagree", "Endpoints 与 EndpointSlice 不一致"),
        meaning: text(
            "The old object says something else than the slices. Proxies read only slices; programs \
             that still read Endpoints see another truth.",
            "旧对象与 EndpointSlice 内容不同。代理只看 EndpointSlice；仍读取 Endpoints 的程序看到的是另\
             一回事。",
        ),
        proof: text(
            "The sets of ready addresses differ beyond the limit of 1000 and the first family.",
            "就绪地址的集合不同，且不是因为 1000 个上限或只含第一地址族。",
        ),
        impact: text("Programs that read Endpoints.", "读取 Endpoints 的程序。"),
        remedy: text(
            "See whether the endpoints controller runs; deleting the Endpoints of a Service with \
             selector is harmless, it is made anew.",
            "查看 Endpoints 控制器是否在运行；有 selector 的 Service，其 Endpoints 删掉无妨，会重新创建。",
        ),
        reasons: &["FailedToUpdateEndpoint", "FailedToCreateEndpoint"],
        scenario: Some("endpoints-create-refused"),
    },
    Code {
        code: "no-endpoints-written",
        link: "slices",
        title: text(
            "Nobody has written endpoints for a Service without selector",
            "没有 selector 的 Service 没有人写入端点",
        ),
        meaning: text(
            "Without a selector somebody must write the endpoints, by hand or by a program, and nobody \
             has.",
            "没有 selector，就必须有人手工或用程序写入端点，而目前没有。",
        ),
        proof: text(
            "No selector, no slice with endpoints, no Endpoints object.",
            "没有 selector，没有含端点的 EndpointSlice，也没有 Endpoints。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Write an EndpointSlice with the label `kubernetes.io/service-name`, or add a selector.",
            "写入带 `kubernetes.io/service-name` 标签的 EndpointSlice，或添加 selector。",
        ),
        reasons: &[],
        scenario: Some("nothing-written"),
    },
    Code {
        code: "endpoints-not-mirrored",
        link: "slices",
        title: text("Hand-written Endpoints are not mirrored", "手写的 Endpoints 没有被镜像"),
        meaning: text(
            "Proxies read slices; the controller that copies Endpoints into slices left these out.",
            "代理只看 EndpointSlice；负责复制的控制器略过了它们。",
        ),
        proof: text(
            "Endpoints hold addresses that no slice has; label, annotation or bad addresses say why.",
            "Endpoints 中有 EndpointSlice 没有的地址；标签、注解或地址格式说明原因。",
        ),
        impact: text("Those addresses get no traffic.", "这些地址分不到流量。"),
        remedy: text(
            "Take the skip-mirror label off, correct the addresses, or write EndpointSlices yourself.",
            "去掉 skip-mirror 标签，改正地址，或直接写 EndpointSlice。",
        ),
        reasons: &["InvalidIPAddress", "TooManyAddressesToMirror"],
        scenario: Some("mirroring-stopped"),
    },
    Code {
        code: "slices-write-refused",
        link: "slices",
        title: text("The API refuses the controller's writes", "API 拒绝控制器的写入"),
        meaning: text(
            "The controller knows what the slices should be and may not write it: quota, webhook, rights.",
            "控制器知道应当写什么，却写不进去：配额、webhook 或权限。",
        ),
        proof: text(
            "FailedToUpdateEndpointSlices (or its Portolan forms) with an answer of the API in it, and \
             slices that are behind.",
            "FailedToUpdateEndpointSlices（或 Portolan 的相应名称）中有 API 的应答，且 EndpointSlice 落\
             后。",
        ),
        impact: text(
            "New pods get no traffic; connections to pods that are gone fail.",
            "新 Pod 分不到流量；发往已消失 Pod 的连接失败。",
        ),
        remedy: text(
            "Act on the answer: raise the quota, repair the webhook, restore the built-in role.",
            "按应答处理：提高配额、修复 webhook，或恢复内置角色。",
        ),
        reasons: &[
            "FailedToUpdateEndpointSlices",
            "FailedToCreateEndpointSlice",
            "FailedToUpdateEndpointSlice",
            "FailedToDeleteEndpointSlice",
        ],
        scenario: Some("slices-create-refused"),
    },
];
