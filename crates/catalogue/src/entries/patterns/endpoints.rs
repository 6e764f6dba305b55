//! Causes told by the texts of the endpoint controllers; most are answers of the API.

use crate::Pattern;
use crate::lang::text;

pub(in super::super) const ENDPOINTS_REFUSED: &[Pattern] = &[
    Pattern {
        template: "already exists",
        trouble: None,
        cause: text(
            "An Endpoints object of that name is there already, and the controller's cache did not \
             know it yet; the next try updates it.",
            "同名的 Endpoints 已经存在，只是控制器的缓存还不知道；下一次重试会改为更新。",
        ),
        code: None,
        samples: &["Failed to create endpoint for service default/web: endpoints \"web\" already exists"],
    },
    Pattern {
        template: "endpoints \"{name}\" not found",
        trouble: None,
        cause: text(
            "It is gone already: a deletion has what it wanted, and an update makes it anew.",
            "它已经不在了：要删除的正合所愿，要更新的会重新创建。",
        ),
        code: None,
        samples: &["Failed to delete endpoint default/web: endpoints \"web\" not found"],
    },
    Pattern {
        template: "exceeded quota: {quota}",
        trouble: None,
        cause: text("A quota on the number of objects of the namespace is used up.", "命名空间的对象数量配额已用尽。"),
        code: Some("endpoints-disagree"),
        samples: &["Failed to update endpoint default/web: endpoints \"web\" is forbidden: exceeded quota: tiny, \
             requested: count/x=1, used: 1, limited: 1"],
    },
    Pattern {
        template: "admission webhook \"{webhook}\" denied the request: {why}",
        trouble: None,
        cause: text("An admission webhook refuses the write.", "某个准入 webhook 拒绝写入。"),
        code: Some("endpoints-disagree"),
        samples: &["Failed to update endpoint default/web: admission webhook \"guard.example.com\" denied the \
             request: no"],
    },
    Pattern {
        template: "failed calling webhook \"{webhook}\": {why}",
        trouble: None,
        cause: text(
            "An admission webhook does not answer, and its policy is to refuse then.",
            "某个准入 webhook 没有应答，而它的策略是此时拒绝。",
        ),
        code: Some("endpoints-disagree"),
        samples: &["Failed to update endpoint default/web: Internal error occurred: failed calling webhook \
             \"guard.example.com\": failed to call webhook: context deadline exceeded"],
    },
    Pattern {
        template: "is forbidden: {why}",
        trouble: None,
        cause: text(
            "The controller lacks the right to write: its built-in role was changed or its binding \
             removed.",
            "控制器没有写入权限：内置角色被改动，或其绑定被删除。",
        ),
        code: Some("endpoints-disagree"),
        samples: &["Failed to update endpoint default/web: endpoints is forbidden: User \
             \"system:serviceaccount:kube-system:endpoint-controller\" cannot create resource \"endpoints\""],
    },
    Pattern {
        template: "Unauthorized",
        trouble: None,
        cause: text("The API no longer accepts the controller's token.", "API 不再接受控制器的令牌。"),
        code: Some("endpoints-disagree"),
        samples: &["Failed to update endpoint default/web: Unauthorized"],
    },
    Pattern {
        template: "the object has been modified",
        trouble: None,
        cause: text(
            "A conflict: somebody wrote in between. The next try settles it; only without end does it \
             matter, and then somebody else keeps writing.",
            "冲突：中间有别人写过。下一次重试即可化解；只有没完没了才需要处理，那说明另有程序在不断写入。",
        ),
        code: None,
        samples: &["Failed to update endpoint default/web: Operation cannot be fulfilled on endpoints \"web\": the \
             object has been modified; please apply your changes to the latest version and try again"],
    },
    Pattern {
        template: "etcdserver: request is too large",
        trouble: None,
        cause: text(
            "The object is larger than the store accepts: usually annotations or labels, for addresses \
             are cut at 1000.",
            "对象超过存储的上限：多半是注解或标签过大，因为地址在 1000 个处截断。",
        ),
        code: Some("endpoints-disagree"),
        samples: &["Failed to update endpoint default/web: etcdserver: request is too large"],
    },
    Pattern {
        template: "etcdserver: request timed out",
        trouble: None,
        cause: text("The store behind the API is slow or without a leader.", "API 背后的存储缓慢，或没有 leader。"),
        code: Some("endpoints-disagree"),
        samples: &["Failed to update endpoint default/web: etcdserver: request timed out"],
    },
    Pattern {
        template: "Too many requests",
        trouble: None,
        cause: text(
            "The API server sheds load (priority and fairness); it is tried again.",
            "API Server 在限流（优先级与公平性）；会重试。",
        ),
        code: Some("endpoints-disagree"),
        samples: &["Failed to update endpoint default/web: Too many requests, please try again later."],
    },
    Pattern {
        template: "rate limit",
        trouble: None,
        cause: text(
            "The controller's own limit of calls, or that of the API server, makes it wait; it is \
             tried again.",
            "控制器自身或 API Server 的调用限额让它等待；会重试。",
        ),
        code: Some("endpoints-disagree"),
        samples: &["Failed to update endpoint default/web: client rate limiter Wait returned an error: rate limited"],
    },
    Pattern {
        template: "connection refused",
        trouble: None,
        cause: text("The API server was not there at that moment.", "当时 API Server 不可达。"),
        code: Some("endpoints-disagree"),
        samples: &["Failed to update endpoint default/web: Post \"https://127.0.0.1:6443\": dial tcp \
             127.0.0.1:6443: connect: connection refused"],
    },
];

pub(in super::super) const SLICES_REFUSED: &[Pattern] = &[
    Pattern {
        template: "skipping Pod {pod} for Service {service}: Node {node} Not Found",
        trouble: None,
        cause: text(
            "A pod is on a node that has no Node object; it is left out, everything else is written.",
            "某个 Pod 所在的节点没有 Node 对象；它被略去，其余照常写入。",
        ),
        code: Some("slices-lack-ready-pods"),
        samples: &["Error updating Endpoint Slices for Service default/web: skipping Pod web-1 for Service \
             default/web: Node gone Not Found"],
    },
    Pattern {
        template: "exceeded quota: {quota}",
        trouble: None,
        cause: text("A quota on the number of objects of the namespace is used up.", "命名空间的对象数量配额已用尽。"),
        code: Some("slices-write-refused"),
        samples: &["Error updating Endpoint Slices for Service default/web: failed to update web-abcde \
             EndpointSlice for Service default/web: endpoints \"web\" is forbidden: exceeded quota: tiny, \
             requested: count/x=1, used: 1, limited: 1"],
    },
    Pattern {
        template: "admission webhook \"{webhook}\" denied the request: {why}",
        trouble: None,
        cause: text("An admission webhook refuses the write.", "某个准入 webhook 拒绝写入。"),
        code: Some("slices-write-refused"),
        samples: &["Error updating Endpoint Slices for Service default/web: failed to update web-abcde \
             EndpointSlice for Service default/web: admission webhook \"guard.example.com\" denied the \
             request: no"],
    },
    Pattern {
        template: "failed calling webhook \"{webhook}\": {why}",
        trouble: None,
        cause: text(
            "An admission webhook does not answer, and its policy is to refuse then.",
            "某个准入 webhook 没有应答，而它的策略是此时拒绝。",
        ),
        code: Some("slices-write-refused"),
        samples: &["Error updating Endpoint Slices for Service default/web: failed to update web-abcde \
             EndpointSlice for Service default/web: Internal error occurred: failed calling webhook \
             \"guard.example.com\": failed to call webhook: context deadline exceeded"],
    },
    Pattern {
        template: "is forbidden: {why}",
        trouble: None,
        cause: text(
            "The controller lacks the right to write: its built-in role was changed or its binding \
             removed.",
            "控制器没有写入权限：内置角色被改动，或其绑定被删除。",
        ),
        code: Some("slices-write-refused"),
        samples: &["Error updating Endpoint Slices for Service default/web: failed to update web-abcde \
             EndpointSlice for Service default/web: endpoints is forbidden: User \
             \"system:serviceaccount:kube-system:endpoint-controller\" cannot create resource \"endpoints\""],
    },
    Pattern {
        template: "Unauthorized",
        trouble: None,
        cause: text("The API no longer accepts the controller's token.", "API 不再接受控制器的令牌。"),
        code: Some("slices-write-refused"),
        samples: &["Error updating Endpoint Slices for Service default/web: failed to update web-abcde \
             EndpointSlice for Service default/web: Unauthorized"],
    },
    Pattern {
        template: "the object has been modified",
        trouble: None,
        cause: text(
            "A conflict: somebody wrote in between. The next try settles it; only without end does it \
             matter, and then somebody else keeps writing.",
            "冲突：中间有别人写过。下一次重试即可化解；只有没完没了才需要处理，那说明另有程序在不断写入。",
        ),
        code: None,
        samples: &["Error updating Endpoint Slices for Service default/web: failed to update web-abcde \
             EndpointSlice for Service default/web: Operation cannot be fulfilled on endpoints \"web\": the \
             object has been modified; please apply your changes to the latest version and try again"],
    },
    Pattern {
        template: "etcdserver: request is too large",
        trouble: None,
        cause: text(
            "The object is larger than the store accepts: usually annotations or labels, for addresses \
             are cut at 1000.",
            "对象超过存储的上限：多半是注解或标签过大，因为地址在 1000 个处截断。",
        ),
        code: Some("slices-write-refused"),
        samples: &["Error updating Endpoint Slices for Service default/web: failed to update web-abcde \
             EndpointSlice for Service default/web: etcdserver: request is too large"],
    },
    Pattern {
        template: "etcdserver: request timed out",
        trouble: None,
        cause: text("The store behind the API is slow or without a leader.", "API 背后的存储缓慢，或没有 leader。"),
        code: Some("slices-write-refused"),
        samples: &["Error updating Endpoint Slices for Service default/web: failed to update web-abcde \
             EndpointSlice for Service default/web: etcdserver: request timed out"],
    },
    Pattern {
        template: "Too many requests",
        trouble: None,
        cause: text(
            "The API server sheds load (priority and fairness); it is tried again.",
            "API Server 在限流（优先级与公平性）；会重试。",
        ),
        code: Some("slices-write-refused"),
        samples: &["Error updating Endpoint Slices for Service default/web: failed to update web-abcde \
             EndpointSlice for Service default/web: Too many requests, please try again later."],
    },
    Pattern {
        template: "rate limit",
        trouble: None,
        cause: text(
            "The controller's own limit of calls, or that of the API server, makes it wait; it is \
             tried again.",
            "控制器自身或 API Server 的调用限额让它等待；会重试。",
        ),
        code: Some("slices-write-refused"),
        samples: &["Error updating Endpoint Slices for Service default/web: failed to update web-abcde \
             EndpointSlice for Service default/web: client rate limiter Wait returned an error: rate limited"],
    },
    Pattern {
        template: "connection refused",
        trouble: None,
        cause: text("The API server was not there at that moment.", "当时 API Server 不可达。"),
        code: Some("slices-write-refused"),
        samples: &["Error updating Endpoint Slices for Service default/web: failed to update web-abcde \
             EndpointSlice for Service default/web: Post \"https://127.0.0.1:6443\": dial tcp \
             127.0.0.1:6443: connect: connection refused"],
    },
];

pub(in super::super) const INVALID_IP_ADDRESS: &[Pattern] = &[Pattern {
    template: "Skipped {count} invalid IP addresses when mirroring",
    trouble: None,
    cause: text(
        "Addresses in a hand-written Endpoints object are no IP addresses, or of a form that is no \
             longer accepted; the others are mirrored.",
        "手写的 Endpoints 中有些地址不是 IP，或写法已不被接受；其余地址照常镜像。",
    ),
    code: Some("endpoints-not-mirrored"),
    samples: &["Skipped 1 invalid IP addresses when mirroring to EndpointSlices"],
}];

pub(in super::super) const TOO_MANY_ADDRESSES_TO_MIRROR: &[Pattern] = &[Pattern {
    template: "A max of {limit} addresses can be mirrored to EndpointSlices per Endpoints subset. {count} \
             addresses were skipped",
    trouble: None,
    cause: text(
        "More than 1000 addresses are in one subset; the surplus gets no traffic.",
        "一个 subset 中超过 1000 个地址；多出的分不到流量。",
    ),
    code: Some("endpoints-not-mirrored"),
    samples: &["A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 5 addresses \
             were skipped"],
}];

pub(in super::super) const TOPOLOGY_AWARE_HINTS_DISABLED: &[Pattern] = &[
    Pattern {
        template: "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes",
        trouble: None,
        cause: text(
            "A ready node has no zone label or no allocatable CPU, or fewer than two zones have ready \
             nodes.",
            "某个就绪节点缺少可用区标签或可分配 CPU，或有就绪节点的可用区不足两个。",
        ),
        code: None,
        samples: &["Insufficient Node information: allocatable CPU or zone not specified on one or more nodes, \
             addressType: IPv4"],
    },
    Pattern {
        template: "Insufficient number of endpoints ({endpoints} endpoints, {zones} zones)",
        trouble: None,
        cause: text("There are fewer endpoints than zones.", "端点数少于可用区数。"),
        code: None,
        samples: &["Insufficient number of endpoints (1 endpoints, 3 zones), addressType: IPv4"],
    },
    Pattern {
        template: "without exceeding overload threshold ({endpoints} endpoints, {zones} zones)",
        trouble: None,
        cause: text(
            "Some zone would carry more than 20 percent above its share.",
            "必有某个可用区超出其份额 20% 以上。",
        ),
        code: None,
        samples: &["Unable to allocate minimum required endpoints to each zone without exceeding overload threshold \
             (3 endpoints, 3 zones), addressType: IPv4"],
    },
    Pattern {
        template: "One or more endpoints do not have a zone specified",
        trouble: None,
        cause: text("A node under an endpoint has no zone label.", "某个端点所在的节点没有可用区标签。"),
        code: None,
        samples: &["One or more endpoints do not have a zone specified, addressType: IPv4"],
    },
    Pattern {
        template: "No hints allocated for zones",
        trouble: None,
        cause: text("No zone could be given an endpoint.", "没有可用区分得到端点。"),
        code: None,
        samples: &["No hints allocated for zones, addressType: IPv6"],
    },
    Pattern {
        template: "Nodes only ready in one zone",
        trouble: None,
        cause: text(
            "All ready nodes are in one zone; in the sources, but another text comes first.",
            "就绪节点都在同一可用区；源码中有此文字，但总是先走到另一条。",
        ),
        code: None,
        samples: &["Nodes only ready in one zone, addressType: IPv4"],
    },
    Pattern {
        template: "Topology Aware Hints has been disabled",
        trouble: None,
        cause: text("The annotation was taken away while hints were in force.", "提示生效期间，注解被去掉了。"),
        code: None,
        samples: &["Topology Aware Hints has been disabled, addressType: IPv4"],
    },
];
