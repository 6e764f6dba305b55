//! Cilium LB-IPAM: it emits no Events. What it has to say is the condition `cilium.io/IPAMRequestSatisfied` of the Service,
//! and its reasons are the names here.
//!
//! Source: `operator/pkg/lbipam/lbipam.go` of Cilium.

use super::super::{BLANK, DIAGNOSE, alias, check, frequency, message, place, remedy};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Pattern, Portolan, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] =
    &[NO_POOL, OUT_OF_IPS, ALREADY_ALLOCATED, ALREADY_ALLOCATED_INCOMPATIBLE_SERVICE, POOL_SELECTOR_MISMATCH];

/// What they have in common; each fills in the rest.
const COMMON: Entry = Entry {
    category: Category::LoadBalancer,
    status: Status::ThirdParty { by: "Cilium" },
    portolan: Portolan {
        emits: false,
        when: text(
            "Portolan's own addresses are told by IPAllocated and IPNotAllocated.",
            "Portolan 自己的地址由 IPAllocated 和 IPNotAllocated 报告。",
        ),
    },
    emitter: "cilium-operator-lb-ipam",
    object: "Service",
    api: Api::Condition,
    versions: Versions::NEVER,
    checks: &[
        check(
            "The condition, with its reason and text.",
            "该状态及其原因和文字。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.status.conditions}'",
        ),
        DIAGNOSE,
    ],
    ..BLANK
};

const NO_POOL: Entry = Entry {
    name: "no_pool",
    severity: Severity::Warning,
    summary: text("No pool of Cilium fits the Service", "Cilium 没有适用于该 Service 的地址池"),
    messages: &[message("Cilium LB-IPAM", "There are no enabled CiliumLoadBalancerIPPools that match this service")],
    patterns: &[Pattern {
        template: "There are no enabled CiliumLoadBalancerIPPools that match this service",
        trouble: None,
        cause: text("No pool of Cilium fits the Service.", "Cilium 没有适用于该 Service 的地址池。"),
        code: Some("load-balancer-pool-exhausted"),
        samples: &["There are no enabled CiliumLoadBalancerIPPools that match this service"],
    }],
    meaning: text(
        "Every pool is disabled or its serviceSelector leaves this Service out; or the wished address \
         is in no pool. Without any pool at all LB-IPAM says nothing.",
        "所有地址池都已停用，或其 serviceSelector 不含该 Service；也可能是指定的地址不在任何地址池中。\
         如果一个地址池都没有，LB-IPAM 什么也不说。",
    ),
    frequency: frequency::CONDITION,
    place: Some(place::IN_STATUS),
    impact: Impact {
        harm: Harm::High,
        who: text("Users outside the cluster: the Service has no address.", "集群外的使用者：Service 没有地址。"),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("The condition becomes True when an address is there.", "有了地址之后该状态变为 True。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Make the labels of the Service and the serviceSelector of a pool agree, or correct \
                 the wished address.",
            "让 Service 的标签与某个地址池的 serviceSelector 相符，或改正指定的地址。",
        ),
        &["kubectl get ciliumloadbalancerippools"],
    )]),
    aliases: &[alias(
        "IPAMRequestSatisfied",
        "The type of the condition, in full `cilium.io/IPAMRequestSatisfied`; the entries of \
             Cilium are its reasons.",
        "该状态的类型，完整写法是 `cilium.io/IPAMRequestSatisfied`；Cilium 的各条目就是它的原因。",
    )],
    see_also: &["out_of_ips"],
    ..COMMON
};

const OUT_OF_IPS: Entry = Entry {
    name: "out_of_ips",
    severity: Severity::Warning,
    summary: text("The pools of Cilium are used up", "Cilium 的地址池已用尽"),
    messages: &[message(
        "Cilium LB-IPAM",
        "All enabled CiliumLoadBalancerIPPools that match this service ran out of allocatable IPs",
    )],
    patterns: &[Pattern {
        template: "All enabled CiliumLoadBalancerIPPools that match this service ran out of allocatable IPs",
        trouble: None,
        cause: text("The pools of Cilium are used up.", "Cilium 的地址池已用尽。"),
        code: Some("load-balancer-pool-exhausted"),
        samples: &["All enabled CiliumLoadBalancerIPPools that match this service ran out of allocatable IPs"],
    }],
    meaning: text(
        "Every address of the fitting pools is given away. It is also said when a shared address \
         cannot be shared because ports collide.",
        "适用的地址池都已分完。端口冲突导致无法共用地址时，也会这样说。",
    ),
    frequency: frequency::CONDITION,
    place: Some(place::IN_STATUS),
    impact: Impact {
        harm: Harm::High,
        who: text("Users outside the cluster: the Service has no address.", "集群外的使用者：Service 没有地址。"),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("The condition becomes True when an address is there.", "有了地址之后该状态变为 True。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Add a pool or widen one, or free addresses.", "增加或扩大地址池，或释放地址。"),
        &["kubectl get ciliumloadbalancerippools"],
    )]),
    see_also: &["no_pool"],
    ..COMMON
};

const ALREADY_ALLOCATED: Entry = Entry {
    name: "already_allocated",
    severity: Severity::Warning,
    summary: text("The wished address belongs to another Service", "指定的地址属于另一个 Service"),
    messages: &[message("Cilium LB-IPAM", "The IP '{address}' is already allocated to another service")],
    patterns: &[Pattern {
        template: "The IP '{address}' is already allocated to another service",
        trouble: None,
        cause: text("The wished address belongs to another Service.", "指定的地址属于另一个 Service。"),
        code: Some("load-balancer-address-conflict"),
        samples: &["The IP '192.0.2.9' is already allocated to another service"],
    }],
    meaning: text(
        "A certain address was asked for, another Service has it, and there is no sharing key.",
        "指定了某个地址，另一个 Service 已占用，且没有 sharing key。",
    ),
    frequency: frequency::CONDITION,
    place: Some(place::IN_STATUS),
    impact: Impact {
        harm: Harm::High,
        who: text("Users outside the cluster: the Service has no address.", "集群外的使用者：Service 没有地址。"),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("The condition becomes True when an address is there.", "有了地址之后该状态变为 True。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Ask for another address, or give both Services the same `lbipam.cilium.io/sharing-key`.",
            "换一个地址，或给两个 Service 设置相同的 `lbipam.cilium.io/sharing-key`。",
        ),
        &["kubectl get services -A --field-selector spec.type=LoadBalancer"],
    )]),
    see_also: &["no_pool", "out_of_ips"],
    ..COMMON
};

const ALREADY_ALLOCATED_INCOMPATIBLE_SERVICE: Entry = Entry {
    name: "already_allocated_incompatible_service",
    severity: Severity::Warning,
    summary: text("The wished address cannot be shared with this Service", "指定的地址无法与该 Service 共用"),
    messages: &[message(
        "Cilium LB-IPAM",
        "The IP '{address}' is already allocated to an incompatible service. Reason: {why}",
    )],
    patterns: &[Pattern {
        template: "The IP '{address}' is already allocated to an incompatible service. Reason: {why}",
        trouble: None,
        cause: text("The wished address cannot be shared with this Service.", "指定的地址无法与该 Service 共用。"),
        code: Some("load-balancer-address-conflict"),
        samples: &["The IP '192.0.2.9' is already allocated to an incompatible service. Reason: different \
                 sharing key"],
    }],
    meaning: text(
        "The address may be shared, but not so: another key, the same port, or policies that do not go \
         together.",
        "该地址可以共用，但条件不符：key 不同、端口相同，或策略不相容。",
    ),
    frequency: frequency::CONDITION,
    place: Some(place::IN_STATUS),
    impact: Impact {
        harm: Harm::High,
        who: text("Users outside the cluster: the Service has no address.", "集群外的使用者：Service 没有地址。"),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("The condition becomes True when an address is there.", "有了地址之后该状态变为 True。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Make key, ports and policy agree, or ask for another address.", "使 key、端口和策略相符，或换一个地址。"),
        &["kubectl get services -A --field-selector spec.type=LoadBalancer"],
    )]),
    see_also: &["no_pool", "out_of_ips"],
    ..COMMON
};

const POOL_SELECTOR_MISMATCH: Entry = Entry {
    name: "pool_selector_mismatch",
    severity: Severity::Warning,
    summary: text("The pool of the wished address leaves the Service out", "指定地址所在的地址池不含该 Service"),
    messages: &[message(
        "Cilium LB-IPAM",
        "The pool with the CIDR containing '{address}', doesn't select this service",
    )],
    patterns: &[Pattern {
        template: "The pool with the CIDR containing '{address}', doesn't select this service",
        trouble: None,
        cause: text("The pool of the wished address leaves the Service out.", "指定地址所在的地址池不含该 Service。"),
        code: Some("load-balancer-invalid-parameter"),
        samples: &["The pool with the CIDR containing '192.0.2.9', doesn't select this service"],
    }],
    meaning: text(
        "The address exists in a pool whose serviceSelector does not match the Service.",
        "该地址在某个地址池中，但其 serviceSelector 与 Service 不符。",
    ),
    frequency: frequency::CONDITION,
    place: Some(place::IN_STATUS),
    impact: Impact {
        harm: Harm::High,
        who: text("Users outside the cluster: the Service has no address.", "集群外的使用者：Service 没有地址。"),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("The condition becomes True when an address is there.", "有了地址之后该状态变为 True。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Change the labels of the Service or the selector of the pool.",
            "修改 Service 的标签或地址池的选择条件。",
        ),
        &["kubectl get ciliumloadbalancerippools"],
    )]),
    see_also: &["no_pool", "out_of_ips"],
    ..COMMON
};
