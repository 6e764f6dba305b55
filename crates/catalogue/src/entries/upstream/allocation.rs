//! The repair loops and the ranges of the API server.
//!
//! Source: `pkg/registry/core/service/ipallocator`, `portallocator` and `pkg/controlplane/controller/defaultservicecidr` of Kubernetes 1.36.

use super::super::{BLANK, DESCRIBE_SERVICE, check, frequency, message, place, remedy};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Pattern, Portolan, Remedies, Severity, Versions};

pub(super) const ENTRIES: &[Entry] = &[
    SERVICE_CIDR_FULL,
    PORT_RANGE_FULL,
    UNKNOWN_ERROR,
    KUBERNETES_DEFAULT_SERVICE_CIDR_ERROR,
    KUBERNETES_DEFAULT_SERVICE_CIDR_INCONSISTENT,
];

/// What they have in common; each fills in the rest.
const COMMON: Entry = Entry {
    category: Category::Network,
    portolan: Portolan {
        emits: false,
        when: text("Its record of addresses and ports cannot come to this.", "它的地址和端口登记不会出现这种情况。"),
    },
    object: "Service",
    versions: Versions::since("1.36"),
    checks: &[DESCRIBE_SERVICE],
    ..BLANK
};

const SERVICE_CIDR_FULL: Entry = Entry {
    name: "ServiceCIDRFull",
    severity: Severity::Warning,
    emitter: "ipallocator-repair-controller",
    api: Api::Events,
    summary: text("The range of ClusterIPs has no room", "ClusterIP 范围已满"),
    messages: &[message(
        "Kubernetes, older repair loop",
        "Service CIDR {range} is full; you must widen the CIDR in order to create new services for \
             Cluster IP [{family}]:{address}",
    )],
    patterns: &[Pattern {
        template: "Service CIDR {range} is full",
        trouble: None,
        cause: text(
            "No address is left in the range; the repair loop cannot record more.",
            "范围内没有空闲地址；修复循环无法再登记。",
        ),
        code: None,
        samples: &["Service CIDR 10.96.0.0/28 is full; you must widen the CIDR in order to create new services \
                 for Cluster IP [IPv4]:10.96.0.9"],
    }],
    meaning: text(
        "The repair loop could not record an address that is in use, for the record is full. From 1.33 \
         on ranges are objects, and another is added without a restart.",
        "修复循环无法登记正在使用的地址，因为登记已满。1.33 起范围是对象，添加一个即可，无需重启。",
    ),
    frequency: frequency::REPAIR,
    impact: Impact {
        harm: Harm::Medium, who: text("Whoever wants to create a Service.", "想创建 Service 的人。")
    },
    chain: Chain {
        before: text("Many Services.", "Service 很多。"),
        after: text("`range is full` for every new Service.", "每个新 Service 都会得到 `range is full`。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Add a ServiceCIDR (1.33 and later), or delete Services.",
            "添加 ServiceCIDR（1.33 及以后），或删除 Service。",
        ),
        &["kubectl get servicecidrs"],
    )]),
    see_also: &["IPNotAllocated", "ClusterIPOutOfRange"],
    ..COMMON
};

const PORT_RANGE_FULL: Entry = Entry {
    name: "PortRangeFull",
    severity: Severity::Warning,
    emitter: "portallocator-repair-controller",
    api: Api::Events,
    summary: text("The range of node ports has no room", "节点端口范围已满"),
    messages: &[message(
        "Kubernetes",
        "Port range {range} is full; you must widen the port range in order to create new services",
    )],
    meaning: text("The repair loop could not record a port that is in use.", "修复循环无法登记正在使用的端口。"),
    frequency: frequency::REPAIR,
    impact: Impact {
        harm: Harm::Medium,
        who: text("Whoever wants to create a Service with node ports.", "想创建带节点端口的 Service 的人。"),
    },
    chain: Chain {
        before: text("Many Services with node ports.", "带节点端口的 Service 很多。"),
        after: text("`range is full` for every new one.", "每个新的都会得到 `range is full`。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Set allocateLoadBalancerNodePorts to false where the balancer does not need them, or \
                 widen the range.",
            "负载均衡器不需要时把 allocateLoadBalancerNodePorts 设为 false，或扩大范围。",
        ),
        &["kubectl get services -A -o wide"],
    )]),
    see_also: &["PortOutOfRange"],
    ..COMMON
};

const UNKNOWN_ERROR: Entry = Entry {
    name: "UnknownError",
    severity: Severity::Warning,
    emitter: "ipallocator-repair-controller",
    api: Api::Events,
    summary: text("An address or port could not be recorded", "未能登记地址或端口"),
    messages: &[
        message("Kubernetes", "Unable to allocate cluster IP [{family}]:{address} due to an unknown error"),
        message("Kubernetes", "Unable to allocate port {port} due to an unknown error"),
    ],
    meaning: text(
        "The repair loop failed for a cause that has no name: mostly the store behind the API.",
        "修复循环因不明原因失败：多半是 API 背后的存储。",
    ),
    frequency: frequency::REPAIR,
    impact: Impact { harm: Harm::Low, who: text("Nobody yet.", "暂时无人受影响。") },
    chain: Chain {
        before: text("Trouble of the API server.", "API Server 出现问题。"),
        after: text("Another try with the next pass.", "下一轮再试。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Look at the log of the API server.", "查看 API Server 的日志。"),
        &["kubectl get --raw /readyz?verbose"],
    )]),
    see_also: &["ClusterIPNotAllocated", "PortNotAllocated"],
    ..COMMON
};

const KUBERNETES_DEFAULT_SERVICE_CIDR_ERROR: Entry = Entry {
    name: "KubernetesDefaultServiceCIDRError",
    severity: Severity::Warning,
    emitter: "kubernetes-service-cidr-controller",
    object: "ServiceCIDR",
    summary: text("The range of the flag could not be stored", "命令行参数中的范围未能保存"),
    messages: &[
        message("Kubernetes", "The default ServiceCIDR can not be created"),
        message("Kubernetes", "The default ServiceCIDR can not be upgraded from {old} to dual stack {new} : {error}"),
        message("Kubernetes", "The default ServiceCIDR Status can not be set to Ready=True"),
    ],
    meaning: text(
        "The API server could not write the ServiceCIDR named kubernetes from its flag.",
        "API Server 没能根据参数写入名为 kubernetes 的 ServiceCIDR。",
    ),
    frequency: frequency::API_START,
    place: Some(place::CLUSTER_SCOPED),
    impact: Impact {
        harm: Harm::Medium,
        who: text("New Services, if there is no other range.", "新的 Service，如果没有其他范围。"),
    },
    chain: Chain {
        before: text("The start of an API server.", "API Server 启动。"),
        after: text("Another try.", "重试。"),
    },
    checks: &[check(
        "The ranges, with their conditions and Events.",
        "各范围及其状态和事件。",
        "kubectl describe servicecidrs",
    )],
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Compare the flag of every API server with the object; look for webhooks on it.",
            "对照各 API Server 的参数与该对象；检查作用于它的 webhook。",
        ),
        &["kubectl get servicecidr kubernetes -o yaml"],
    )]),
    see_also: &["KubernetesServiceCIDRError", "KubernetesDefaultServiceCIDRInconsistent"],
    ..COMMON
};

const KUBERNETES_DEFAULT_SERVICE_CIDR_INCONSISTENT: Entry = Entry {
    name: "KubernetesDefaultServiceCIDRInconsistent",
    severity: Severity::Warning,
    emitter: "kubernetes-service-cidr-controller",
    object: "ServiceCIDR",
    summary: text("The stored range is not that of the flag", "保存的范围与参数不一致"),
    messages: &[message(
        "Kubernetes",
        "The default ServiceCIDR {stored} does not match the controller flag configurations {flag}",
    )],
    meaning: text(
        "An API server was started with another range than the cluster has; the stored one counts.",
        "某个 API Server 启动时的范围与集群不同；以保存的为准。",
    ),
    frequency: frequency::API_START,
    place: Some(place::CLUSTER_SCOPED),
    impact: Impact {
        harm: Harm::Low,
        who: text("Nobody at once; the next restart may surprise.", "暂时无人受影响；下次重启可能有意外。"),
    },
    chain: Chain {
        before: text("The start of an API server.", "API Server 启动。"),
        after: text("Nothing: it is said once.", "没有：只说一次。"),
    },
    checks: &[check(
        "The ranges, with their conditions and Events.",
        "各范围及其状态和事件。",
        "kubectl describe servicecidrs",
    )],
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Give all API servers the same flag.", "让所有 API Server 使用相同的参数。"),
        &["kubectl get servicecidr kubernetes -o yaml"],
    )]),
    see_also: &["KubernetesDefaultServiceCIDRError"],
    ..COMMON
};
