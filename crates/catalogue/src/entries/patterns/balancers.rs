//! Causes told by the texts of load balancer events.

use crate::Pattern;
use crate::lang::text;
use crate::vendor::Trouble;

pub(in super::super) const SYNC_LOAD_BALANCER_FAILED: &[Pattern] = &[
    Pattern {
        template: "failed to delete load balancer: {error}",
        trouble: None,
        cause: text(
            "The provider refuses to let the balancer go; the Service stays Terminating until it does.",
            "提供方不肯释放负载均衡器；在此之前 Service 停在 Terminating。",
        ),
        code: Some("load-balancer-delete-failed"),
        samples: &["Error syncing load balancer: failed to delete load balancer: DependencyViolation: resource sg-1 \
             has a dependent object"],
    },
    Pattern {
        template: "failed to check if load balancer exists before cleanup: {error}",
        trouble: None,
        cause: text(
            "The provider could not even say whether the balancer exists; the Service stays \
             Terminating until it can.",
            "提供方连负载均衡器是否存在都答不上来；在此之前 Service 停在 Terminating。",
        ),
        code: Some("load-balancer-delete-failed"),
        samples: &["Error syncing load balancer: failed to check if load balancer exists before cleanup: \
             AuthFailure: the credentials could not be validated"],
    },
    Pattern {
        template: "failed to add load balancer cleanup finalizer: {error}",
        trouble: None,
        cause: text(
            "The API refused the cleanup finalizer, so the provider has not been asked yet: rights of \
             the controller, a webhook, or a conflict.",
            "API 拒绝添加清理 finalizer，因此还没有请求提供方：控制器的权限、webhook，或写入冲突。",
        ),
        code: Some("load-balancer-sync-failed"),
        samples: &["Error syncing load balancer: failed to add load balancer cleanup finalizer: services \"web\" is \
             forbidden: User \"system:serviceaccount:kube-system:service-controller\" cannot patch resource \
             \"services/status\""],
    },
    Pattern {
        template: "failed to remove load balancer cleanup finalizer: {error}",
        trouble: None,
        cause: text(
            "The balancer is gone, but the API refused to take the finalizer off; the Service stays \
             Terminating.",
            "负载均衡器已删除，但 API 拒绝移除 finalizer；Service 停在 Terminating。",
        ),
        code: Some("load-balancer-delete-failed"),
        samples: &["Error syncing load balancer: failed to remove load balancer cleanup finalizer: Operation cannot \
             be fulfilled on services \"web\": the object has been modified"],
    },
    Pattern {
        template: "failed to update load balancer status: {error}",
        trouble: None,
        cause: text(
            "The balancer works, but its address could not be written into the Service.",
            "负载均衡器已可用，但地址没能写入 Service。",
        ),
        code: Some("load-balancer-sync-failed"),
        samples: &["Error syncing load balancer: failed to update load balancer status: etcdserver: request timed out"],
    },
    Pattern {
        template: "service status returned by EnsureLoadBalancer is nil",
        trouble: None,
        cause: text(
            "The provider reported success without an address: a fault of the provider's code.",
            "提供方报告成功却没有给出地址：这是其代码的缺陷。",
        ),
        code: Some("load-balancer-sync-failed"),
        samples: &["Error syncing load balancer: service status returned by EnsureLoadBalancer is nil"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Throttled),
        cause: text(
            "The provider limits the number of calls; the attempts that wait make it worse while they \
             run.",
            "提供方限制调用次数；还在等待的重试会加重它。",
        ),
        code: Some("load-balancer-throttled"),
        samples: &[
            "Error syncing load balancer: failed to ensure load balancer: RequestLimitExceeded: Request \
             limit exceeded.",
            "Error syncing load balancer: failed to ensure load balancer: googleapi: Error 403: Rate Limit \
             Exceeded, rateLimitExceeded",
        ],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Auth),
        cause: text(
            "The controller's identity at the provider has expired or lacks a right.",
            "控制器在提供方的身份已过期，或缺少权限。",
        ),
        code: Some("load-balancer-forbidden"),
        samples: &[
            "Error syncing load balancer: failed to ensure load balancer: UnauthorizedOperation: You are not \
             authorized to perform this operation",
            "Error syncing load balancer: failed to ensure load balancer: AuthFailure: AWS was not able to \
             validate the provided access credentials",
            "Error syncing load balancer: failed to ensure load balancer: Code=\"AuthorizationFailed\" \
             Message=\"The client does not have authorization\"",
        ],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Quota),
        cause: text("A limit of the account at the provider is used up.", "提供方账户的某项配额已用尽。"),
        code: Some("load-balancer-quota"),
        samples: &[
            "Error syncing load balancer: failed to ensure load balancer: TooManyLoadBalancers: Exceeded \
             quota of account",
            "Error syncing load balancer: failed to ensure load balancer: googleapi: Error 403: Quota \
             'FORWARDING_RULES' exceeded, QuotaExceeded",
        ],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Pool),
        cause: text("No address is left in the pool or subnet.", "地址池或子网中已没有空闲地址。"),
        code: Some("load-balancer-pool-exhausted"),
        samples: &[
            "Error syncing load balancer: failed to ensure load balancer: AddressPoolExhausted: no address \
             is left in 10.0.0.0/28",
            "Error syncing load balancer: failed to ensure load balancer: InsufficientFreeAddressesInSubnet: \
             subnet-1 has no free addresses",
        ],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Conflict),
        cause: text("The wanted address belongs to another load balancer.", "想要的地址属于另一个负载均衡器。"),
        code: Some("load-balancer-address-conflict"),
        samples: &["Error syncing load balancer: failed to ensure load balancer: AddressInUse: 10.0.0.9 belongs to \
             default/other"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Timeout),
        cause: text(
            "The provider did not answer in time; whether it did what was asked is not known.",
            "提供方没有及时应答；请求是否已执行无从得知。",
        ),
        code: Some("load-balancer-timeout"),
        samples: &["Error syncing load balancer: failed to ensure load balancer: context deadline exceeded"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Unreachable),
        cause: text(
            "The provider's API cannot be reached: its name is not resolved, or nobody answers at its \
             address.",
            "连不上提供方的 API：名称解析不到，或该地址无人应答。",
        ),
        code: Some("load-balancer-provider-unreachable"),
        samples: &[
            "Error syncing load balancer: failed to ensure load balancer: dial tcp: lookup \
             elasticloadbalancing.example: no such host",
            "Error syncing load balancer: failed to ensure load balancer: unable to resolve endpoint",
            "Error syncing load balancer: failed to ensure load balancer: Post \"https://api.example\": dial \
             tcp 192.0.2.1:443: connect: connection refused",
        ],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Invalid),
        cause: text(
            "The Service asks for something that the provider refuses: an annotation, a field, a \
             subnet or an address.",
            "Service 要求的某项内容被提供方拒绝：注解、字段、子网或地址。",
        ),
        code: Some("load-balancer-invalid-parameter"),
        samples: &["Error syncing load balancer: failed to ensure load balancer: InvalidParameterValue: the value \
             of annotation x is not valid"],
    },
    Pattern {
        template: "failed to ensure load balancer: {error}",
        trouble: None,
        cause: text(
            "The provider refused for a reason of its own, which the text names.",
            "提供方因自身原因拒绝，具体见文字。",
        ),
        code: Some("load-balancer-sync-failed"),
        samples: &["Error syncing load balancer: failed to ensure load balancer: InternalError: an internal error \
             has occurred"],
    },
];

pub(in super::super) const UPDATE_LOAD_BALANCER_FAILED: &[Pattern] = &[
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Throttled),
        cause: text(
            "The provider limits the number of calls; the attempts that wait make it worse while they \
             run.",
            "提供方限制调用次数；还在等待的重试会加重它。",
        ),
        code: Some("load-balancer-update-failed"),
        samples: &["Error updating load balancer with new hosts [node1 node2] [node names limited, total number of \
             nodes: 2], error: RequestLimitExceeded: Request limit exceeded."],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Auth),
        cause: text(
            "The controller's identity at the provider has expired or lacks a right.",
            "控制器在提供方的身份已过期，或缺少权限。",
        ),
        code: Some("load-balancer-update-failed"),
        samples: &["Error updating load balancer with new hosts [node1 node2] [node names limited, total number of \
             nodes: 2], error: UnauthorizedOperation: You are not authorized to perform this operation"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Quota),
        cause: text("A limit of the account at the provider is used up.", "提供方账户的某项配额已用尽。"),
        code: Some("load-balancer-update-failed"),
        samples: &["Error updating load balancer with new hosts [node1 node2] [node names limited, total number of \
             nodes: 2], error: QuotaExceeded: too many backends"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Timeout),
        cause: text(
            "The provider did not answer in time; whether it did what was asked is not known.",
            "提供方没有及时应答；请求是否已执行无从得知。",
        ),
        code: Some("load-balancer-update-failed"),
        samples: &["Error updating load balancer with new hosts [node1 node2] [node names limited, total number of \
             nodes: 2], error: context deadline exceeded"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Unreachable),
        cause: text(
            "The provider's API cannot be reached: its name is not resolved, or nobody answers at its \
             address.",
            "连不上提供方的 API：名称解析不到，或该地址无人应答。",
        ),
        code: Some("load-balancer-update-failed"),
        samples: &["Error updating load balancer with new hosts [node1 node2] [node names limited, total number of \
             nodes: 2], error: dial tcp: lookup api.example: no such host"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Invalid),
        cause: text(
            "The Service asks for something that the provider refuses: an annotation, a field, a \
             subnet or an address.",
            "Service 要求的某项内容被提供方拒绝：注解、字段、子网或地址。",
        ),
        code: Some("load-balancer-update-failed"),
        samples: &["Error updating load balancer with new hosts [node1 node2] [node names limited, total number of \
             nodes: 2], error: InvalidParameterValue: no such instance"],
    },
    Pattern {
        template: "with new hosts {nodes} [node names limited, total number of nodes: {count}], error: {error}",
        trouble: None,
        cause: text(
            "The provider did not take the new list of nodes; it keeps sending to the old ones.",
            "提供方没有接受新的节点列表，仍向旧节点转发。",
        ),
        code: Some("load-balancer-update-failed"),
        samples: &["Error updating load balancer with new hosts [node1 node2] [node names limited, total number of \
             nodes: 2], error: something new"],
    },
    Pattern {
        template: "with new hosts {nodes}: {error}",
        trouble: None,
        cause: text(
            "The provider did not take the new list of nodes; it keeps sending to the old ones.",
            "提供方没有接受新的节点列表，仍向旧节点转发。",
        ),
        code: Some("load-balancer-update-failed"),
        samples: &["Error updating load balancer with new hosts map[node1:{}]: failed to describe: something new"],
    },
];

pub(in super::super) const DELETE_LOAD_BALANCER_FAILED: &[Pattern] = &[
    Pattern {
        template: "LoadBalancerNotFound",
        trouble: None,
        cause: text(
            "The balancer is gone already; a provider that reports this as an error keeps the deletion \
             from ending.",
            "负载均衡器早已不在；提供方把它当作错误报告，删除因此无法结束。",
        ),
        code: Some("load-balancer-delete-failed"),
        samples: &["Error deleting load balancer: LoadBalancerNotFound: The specified load balancer does not exist"],
    },
    Pattern {
        template: "DependencyViolation",
        trouble: None,
        cause: text(
            "Something at the provider still hangs on the balancer: targets, security group rules, \
             reserved addresses.",
            "提供方那里还有东西依附着它：后端目标、安全组规则或预留地址。",
        ),
        code: Some("load-balancer-delete-failed"),
        samples: &[
            "Error deleting load balancer: DependencyViolation: Cannot delete load balancer with active targets",
        ],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Throttled),
        cause: text(
            "The provider limits the number of calls; the attempts that wait make it worse while they \
             run.",
            "提供方限制调用次数；还在等待的重试会加重它。",
        ),
        code: Some("load-balancer-delete-failed"),
        samples: &["Error deleting load balancer: RequestLimitExceeded: Request limit exceeded"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Auth),
        cause: text(
            "The controller's identity at the provider has expired or lacks a right.",
            "控制器在提供方的身份已过期，或缺少权限。",
        ),
        code: Some("load-balancer-delete-failed"),
        samples: &["Error deleting load balancer: UnauthorizedOperation: You are not authorized to perform this \
             operation"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Timeout),
        cause: text(
            "The provider did not answer in time; whether it did what was asked is not known.",
            "提供方没有及时应答；请求是否已执行无从得知。",
        ),
        code: Some("load-balancer-delete-failed"),
        samples: &["Error deleting load balancer: context deadline exceeded"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Unreachable),
        cause: text(
            "The provider's API cannot be reached: its name is not resolved, or nobody answers at its \
             address.",
            "连不上提供方的 API：名称解析不到，或该地址无人应答。",
        ),
        code: Some("load-balancer-delete-failed"),
        samples: &["Error deleting load balancer: dial tcp 192.0.2.1:443: connect: connection refused"],
    },
];

pub(in super::super) const UN_AVAILABLE_LOAD_BALANCER: &[Pattern] = &[
    Pattern {
        template: "There are no available nodes for LoadBalancer",
        trouble: None,
        cause: text(
            "Every node is excluded: by the label \
             `node.kubernetes.io/exclude-from-external-load-balancers`, by the taint of the \
             autoscaler, by being deleted, or there is none. Endpoints and readiness have no part in \
             it.",
            "所有节点都被排除：带有 `node.kubernetes.io/exclude-from-external-load-balancers` 标签、带\
             有自动扩缩容的污点、正在删除，或根本没有节点。与端点和就绪状态无关。",
        ),
        code: Some("load-balancer-without-nodes"),
        samples: &["There are no available nodes for LoadBalancer"],
    },
    Pattern {
        template: "All backend nodes are unhealthy",
        trouble: None,
        cause: text(
            "No release says this: the service controller never looks at health checks. Ask the \
             provider for the health of its targets.",
            "没有任何版本会发出这段文字：service-controller 从不看健康检查。请向提供方查询后端的健康状\
             况。",
        ),
        code: Some("load-balancer-backends-unhealthy"),
        samples: &["All backend nodes are unhealthy"],
    },
];

pub(in super::super) const UPDATED_LOAD_BALANCER: &[Pattern] = &[
    Pattern {
        template: "with new hosts",
        trouble: None,
        cause: text(
            "The set of eligible nodes changed, and the balancer follows.",
            "可用节点的集合有变化，负载均衡器已跟上。",
        ),
        code: None,
        samples: &["Updated load balancer with new hosts"],
    },
    Pattern {
        template: "with new IPs: {old} -> {new}",
        trouble: None,
        cause: text(
            "k3s: the balancer pods are ready on other nodes than before.",
            "k3s：负载均衡 Pod 就绪的节点有变化。",
        ),
        code: None,
        samples: &["Updated LoadBalancer with new IPs: [] -> [192.0.2.1]"],
    },
    Pattern {
        template: "with new ports",
        trouble: None,
        cause: text(
            "No release says this: a change of ports shows as EnsuringLoadBalancer and \
             EnsuredLoadBalancer.",
            "没有任何版本会发出这段文字：端口变更显示为 EnsuringLoadBalancer 和 EnsuredLoadBalancer。",
        ),
        code: None,
        samples: &["Updated load balancer with new ports"],
    },
];

pub(in super::super) const IP_NOT_ALLOCATED: &[Pattern] = &[
    Pattern {
        template: "failed to allocate a serviceIP{of}: range is full",
        trouble: None,
        cause: text(
            "No ClusterIP is left in any range of the cluster. This is an answer of the API, not an \
             event: the Service does not exist.",
            "集群的所有 ClusterIP 范围都已用尽。这是 API 的应答而不是事件：Service 并未创建。",
        ),
        code: None,
        samples: &[
            "Internal error occurred: failed to allocate a serviceIP for Service \"web\": range is full",
            "Internal error occurred: failed to allocate a serviceIP: range is full",
        ],
    },
    Pattern {
        template: "failed to allocate IP {address}: provided IP is already allocated",
        trouble: None,
        cause: text(
            "The ClusterIP that was asked for belongs to another Service. An answer of the API, not an \
             event.",
            "指定的 ClusterIP 已属于另一个 Service。这是 API 的应答而不是事件。",
        ),
        code: None,
        samples: &["The Service \"web\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: failed to \
             allocate IP 10.96.0.10: provided IP is already allocated"],
    },
    Pattern {
        template: "the provided IP ({address}) is not in the valid range. The range of valid IPs is {range}",
        trouble: None,
        cause: text(
            "The ClusterIP that was asked for lies outside the ranges of the cluster. An answer of the \
             API, not an event.",
            "指定的 ClusterIP 不在集群的范围内。这是 API 的应答而不是事件。",
        ),
        code: None,
        samples: &["The Service \"web\" is invalid: spec.clusterIPs: Invalid value: [\"192.0.2.1\"]: failed to \
             allocate IP 192.0.2.1: the provided IP (192.0.2.1) is not in the valid range. The range of \
             valid IPs is 10.96.0.0/12"],
    },
    Pattern {
        template: "Failed to allocate IP to pod {pod}: {error}",
        trouble: None,
        cause: text("The range of pod addresses of the node is used up.", "该节点的 Pod 地址范围已用尽。"),
        code: Some("pod-address-exhausted"),
        samples: &["Failed to allocate IP to pod web-1: no address is left in 10.244.1.0/24"],
    },
    Pattern {
        template: "no range of pod addresses is left in {range} for node {node}",
        trouble: None,
        cause: text(
            "All ranges for nodes are given away; pods of this node get no address.",
            "可分给节点的地址段已分完；该节点的 Pod 得不到地址。",
        ),
        code: Some("pod-address-exhausted"),
        samples: &["no range of pod addresses is left in 10.244.0.0/16 for node node9"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Pool),
        cause: text("No address is left in the pool or subnet.", "地址池或子网中已没有空闲地址。"),
        code: Some("load-balancer-pool-exhausted"),
        samples: &[
            "Failed to allocate IP for \"default/web\": AddressPoolExhausted: no address is left",
            "Failed to allocate external IP: IP pool exhausted",
        ],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Conflict),
        cause: text("The wanted address belongs to another load balancer.", "想要的地址属于另一个负载均衡器。"),
        code: Some("load-balancer-address-conflict"),
        samples: &["Failed to allocate IP for \"default/web\": AddressInUse: 10.0.0.9 belongs to default/other"],
    },
    Pattern {
        template: "{error}",
        trouble: Some(Trouble::Invalid),
        cause: text(
            "The Service asks for something that the provider refuses: an annotation, a field, a \
             subnet or an address.",
            "Service 要求的某项内容被提供方拒绝：注解、字段、子网或地址。",
        ),
        code: Some("load-balancer-invalid-parameter"),
        samples: &["Failed to allocate IP for \"default/web\": AddressNotInPool: 192.0.2.1 is not in the pool"],
    },
];
