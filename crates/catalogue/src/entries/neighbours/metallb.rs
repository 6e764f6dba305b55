//! MetalLB: a controller that gives addresses, and a speaker on each node that announces them.
//!
//! Source: `controller/service.go`, `controller/main.go`, `speaker/main.go` and `speaker/layer2_controller.go` of MetalLB 0.16.

use super::super::{BLANK, DESCRIBE_SERVICE, DIAGNOSE, alias, frequency, message, remedy};
use crate::lang::text;
use crate::{Category, Chain, Entry, Harm, Impact, Pattern, Portolan, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[
    ALLOCATION_FAILED,
    NODE_ASSIGNED,
    ANNOUNCE_FAILED,
    LOAD_BALANCER_FAILED,
    CLEAR_ASSIGNMENT,
    ADDITIONAL_ASSIGN_FAILED,
    DEPRECATED_ANNOTATION,
    INTERNAL_ERROR,
];

/// What they have in common; each fills in the rest.
const COMMON: Entry = Entry {
    category: Category::LoadBalancer,
    status: Status::ThirdParty { by: "MetalLB" },
    portolan: Portolan {
        emits: false,
        when: text(
            "Portolan's own addresses are told by IPAllocated and IPNotAllocated.",
            "Portolan 自己的地址由 IPAllocated 和 IPNotAllocated 报告。",
        ),
    },
    emitter: "metallb-controller",
    object: "Service",
    versions: Versions::NEVER,
    checks: &[DESCRIBE_SERVICE, DIAGNOSE],
    ..BLANK
};

const ALLOCATION_FAILED: Entry = Entry {
    name: "AllocationFailed",
    severity: Severity::Warning,
    summary: text("MetalLB has no address for the Service", "MetalLB 没有地址可分给该 Service"),
    messages: &[message("MetalLB", "Failed to allocate IP for \"{namespace}/{name}\": {error}")],
    patterns: &[
        Pattern {
            template: "no available IPs",
            trouble: None,
            cause: text(
                "Every address of the pools that this Service may use is given away.",
                "该 Service 可用的地址池都已分完。",
            ),
            code: Some("load-balancer-pool-exhausted"),
            samples: &["Failed to allocate IP for \"default/web\": no available IPs"],
        },
        Pattern {
            template: "{addresses} is not allowed in config",
            trouble: None,
            cause: text("The address that was asked for is in no pool.", "指定的地址不在任何地址池中。"),
            code: Some("load-balancer-invalid-parameter"),
            samples: &["Failed to allocate IP for \"default/web\": \"192.0.2.9\" is not allowed in config"],
        },
        Pattern {
            template: "unknown pool {pool}",
            trouble: None,
            cause: text("The pool that the Service asks for does not exist.", "Service 要求的地址池不存在。"),
            code: Some("load-balancer-invalid-parameter"),
            samples: &["Failed to allocate IP for \"default/web\": unknown pool \"gold\""],
        },
        Pattern {
            template: "not compatible for ip assignment",
            trouble: None,
            cause: text(
                "The pool exists, and its selectors leave this Service or namespace out.",
                "地址池存在，但其选择条件不含该 Service 或命名空间。",
            ),
            code: Some("load-balancer-invalid-parameter"),
            samples: &["Failed to allocate IP for \"default/web\": pool gold not compatible for ip assignment"],
        },
        Pattern {
            template: "no suitable pool for {family} IPFamily",
            trouble: None,
            cause: text("No pool has addresses of the family that the Service needs.", "没有地址池含有所需的地址族。"),
            code: Some("load-balancer-invalid-parameter"),
            samples: &["Failed to allocate IP for \"default/web\": no suitable pool for ipv6 IPFamily"],
        },
        Pattern {
            template: "port {port} is already in use on {address}",
            trouble: None,
            cause: text(
                "The shared address already serves this port for another Service.",
                "共用的地址上，该端口已用于另一个 Service。",
            ),
            code: Some("load-balancer-address-conflict"),
            samples: &["Failed to allocate IP for \"default/web\": port TCP/80 is already in use on \"192.0.2.9\""],
        },
        Pattern {
            template: "does not match existing sharing key",
            trouble: None,
            cause: text(
                "The address is shared under another key, or the pods differ though the policy is Local.",
                "该地址以另一个 key 共用，或策略为 Local 而 Pod 不同。",
            ),
            code: Some("load-balancer-address-conflict"),
            samples: &["Failed to allocate IP for \"default/web\": sharing key \"a\" does not match existing \
                 sharing key \"b\""],
        },
        Pattern {
            template: "does not allow sharing",
            trouble: None,
            cause: text(
                "The address belongs to a Service that does not share it, or this one does not.",
                "该地址属于不共用的 Service，或本 Service 没有声明共用。",
            ),
            code: Some("load-balancer-address-conflict"),
            samples: &["Failed to allocate IP for \"default/web\": existing service does not allow sharing"],
        },
    ],
    meaning: text(
        "The controller of MetalLB looked through its pools and gave none. The text says whether they \
         are used up, do not fit, or a wish could not be met.",
        "MetalLB 的控制器查遍地址池，一个也没给出。文字说明是已用尽、不相配，还是指定的要求无法满足。",
    ),
    frequency: frequency::OTHER_RETRY,
    impact: Impact {
        harm: Harm::High,
        who: text("Users outside the cluster: the Service has no address.", "集群外的使用者：Service 没有地址。"),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text(
            "IPAllocated as soon as an address is free: it is tried again when another Service goes.",
            "一有空闲地址就出现 IPAllocated：其他 Service 释放地址时会重试。",
        ),
    },
    remedies: Remedies::Steps(&[
        remedy(
            text("The text has `no available IPs`.", "文字中有 `no available IPs`。"),
            text(
                "Add addresses to the pool, or free some: delete or share.",
                "给地址池增加地址，或腾出一些：删除或共用。",
            ),
            &["kubectl get ipaddresspools.metallb.io -A"],
        ),
        remedy(
            text(
                "The text has `is not allowed in config`, `unknown pool` or `not compatible`.",
                "文字中有 `is not allowed in config`、`unknown pool` 或 `not compatible`。",
            ),
            text(
                "Correct the wish on the Service: address, pool name or family; or the selectors of \
                 the pool.",
                "改正 Service 上的要求：地址、地址池名称或地址族；或地址池的选择条件。",
            ),
            &["kubectl get service NAME -n NAMESPACE -o yaml"],
        ),
        remedy(
            text(
                "The text has `sharing key` or `does not allow sharing`.",
                "文字中有 `sharing key` 或 `does not allow sharing`。",
            ),
            text(
                "Services share an address only with the same sharing key, different ports, and either \
                 policy Cluster or the same pods.",
                "只有 sharing key 相同、端口不同，且策略为 Cluster 或 Pod 相同，才能共用地址。",
            ),
            &[],
        ),
    ]),
    see_also: &["IPAllocated", "IPNotAllocated"],
    ..COMMON
};

const NODE_ASSIGNED: Entry = Entry {
    name: "nodeAssigned",
    severity: Severity::Normal,
    emitter: "metallb-speaker",
    summary: text("A node announces the address", "某个节点在通告该地址"),
    messages: &[message("MetalLB", "announcing from node \"{node}\" with protocol \"{protocol}\"")],
    meaning: text(
        "The speaker of that node has begun to answer for the address: by ARP or NDP in layer 2, where \
         one node does it, or by BGP, where each eligible node does.",
        "该节点的 speaker 开始为此地址应答：二层模式用 ARP 或 NDP，只有一个节点；BGP 模式下每个可用节点\
         都会通告。",
    ),
    frequency: frequency::ANNOUNCE,
    impact: Impact {
        harm: Harm::None,
        who: text(
            "Nobody; when it moves to another node, open connections break.",
            "无人受影响；改由另一节点通告时，已有连接会中断。",
        ),
    },
    chain: Chain {
        before: text(
            "IPAllocated, or the loss of the node that announced before.",
            "IPAllocated，或之前通告的节点丢失。",
        ),
        after: text("Traffic arrives at that node.", "流量到达该节点。"),
    },
    remedies: Remedies::Steps(&[
        remedy(
            text("It comes again and again with changing nodes.", "节点不断变换，反复出现。"),
            text(
                "The speakers do not see each other, or nodes flap: look at their logs and at port \
                 7946 between nodes.",
                "speaker 之间互相看不到，或节点在抖动：查看日志，以及节点间的 7946 端口。",
            ),
            &["kubectl get pods -n metallb-system -o wide"],
        ),
        remedy(
            text("It comes once.", "只出现一次。"),
            text("Nothing to do: this is routine.", "无需处理，这是正常流程。"),
            &[],
        ),
    ]),
    see_also: &["IPAllocated", "announceFailed"],
    ..COMMON
};

const ANNOUNCE_FAILED: Entry = Entry {
    name: "announceFailed",
    severity: Severity::Warning,
    emitter: "metallb-speaker",
    summary: text("A node cannot announce the address", "节点无法通告该地址"),
    messages: &[message(
        "MetalLB",
        "the interfaces specified by LB IP \"{address}\" doesn't exist in assigned node \"{node}\" \
             with protocol \"{protocol}\"",
    )],
    patterns: &[Pattern {
        template: "the interfaces specified by LB IP {address} doesn't exist in assigned node {node}",
        trouble: None,
        cause: text(
            "The interfaces named in the L2Advertisement are not on that node.",
            "L2Advertisement 指定的网卡不在该节点上。",
        ),
        code: None,
        samples: &["the interfaces specified by LB IP \"192.0.2.9\" doesn't exist in assigned node \"node1\" \
                 with protocol \"layer2\""],
    }],
    meaning: text(
        "The L2Advertisement names interfaces that this node does not have, so nobody answers for the \
         address there.",
        "L2Advertisement 指定的网卡在该节点上不存在，因此没有人为此地址应答。",
    ),
    frequency: frequency::OTHER_RETRY,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Users outside: the address does not answer, though it is shown.",
            "集群外的使用者：地址虽已显示，却没有应答。",
        ),
    },
    chain: Chain {
        before: text("IPAllocated.", "IPAllocated。"),
        after: text("nodeAssigned once another node can.", "改由其他节点时出现 nodeAssigned。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Correct the interfaces of the L2Advertisement, or limit it to nodes that have them.",
            "改正 L2Advertisement 的网卡，或限定到拥有该网卡的节点。",
        ),
        &["kubectl get l2advertisements.metallb.io -n metallb-system -o yaml"],
    )]),
    see_also: &["nodeAssigned"],
    ..COMMON
};

const LOAD_BALANCER_FAILED: Entry = Entry {
    name: "LoadBalancerFailed",
    severity: Severity::Warning,
    summary: text("The address that the Service asks for cannot be understood", "Service 指定的地址无法识别"),
    messages: &[message("MetalLB", "invalid requested loadbalancer IPs: {error}")],
    patterns: &[Pattern {
        template: "invalid requested loadbalancer IPs: {error}",
        trouble: None,
        cause: text(
            "The wished address is not an address, or it is given twice in different ways.",
            "指定的内容不是地址，或以两种方式重复指定。",
        ),
        code: Some("load-balancer-invalid-parameter"),
        samples: &["invalid requested loadbalancer IPs: invalid spec.loadBalancerIP \"abc\""],
    }],
    meaning: text(
        "The annotation or spec.loadBalancerIP holds no address, or both are set.",
        "注解或 spec.loadBalancerIP 的内容不是地址，或两者同时设置。",
    ),
    frequency: frequency::EACH_RECONCILE,
    impact: Impact {
        harm: Harm::High,
        who: text("Users outside the cluster: the Service has no address.", "集群外的使用者：Service 没有地址。"),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("Nothing until the Service is corrected.", "改正之前不会再有动作。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Correct the annotation `metallb.io/loadBalancerIPs`, and use it or \
                 spec.loadBalancerIP, not both.",
            "改正注解 `metallb.io/loadBalancerIPs`，它与 spec.loadBalancerIP 只用其一。",
        ),
        &["kubectl edit service NAME -n NAMESPACE"],
    )]),
    see_also: &["AllocationFailed"],
    ..COMMON
};

const CLEAR_ASSIGNMENT: Entry = Entry {
    name: "ClearAssignment",
    severity: Severity::Normal,
    summary: text("The Service loses its address, for the pools have changed", "地址池有变，Service 失去原地址"),
    messages: &[message(
        "MetalLB",
        "current IP for \"{namespace}/{name}\" not allowed by config, will attempt for new IP \
             assignment: {error}",
    )],
    meaning: text(
        "The address is in no pool any more, or no longer allowed for this Service; another one is \
         looked for.",
        "该地址已不在任何地址池中，或不再允许此 Service 使用；将另找一个。",
    ),
    frequency: frequency::ONCE_IN_A_LIFE,
    impact: Impact {
        harm: Harm::High,
        who: text("Users outside who have the old address.", "仍使用旧地址的外部使用者。"),
    },
    chain: Chain {
        before: text("A pool was changed or deleted.", "地址池被修改或删除。"),
        after: text(
            "IPAllocated with another address, or AllocationFailed.",
            "IPAllocated（新地址）或 AllocationFailed。",
        ),
    },
    remedies: Remedies::Steps(&[remedy(
        text("The change of the pool was a mistake.", "地址池是误改的。"),
        text(
            "Put the range back; the Service keeps its new address until it asks for the old one.",
            "恢复原范围；Service 会保留新地址，除非指定要旧的。",
        ),
        &["kubectl get ipaddresspools.metallb.io -A"],
    )]),
    see_also: &["IPAllocated", "AllocationFailed"],
    ..COMMON
};

const ADDITIONAL_ASSIGN_FAILED: Entry = Entry {
    name: "AdditionalAssignFailed",
    severity: Severity::Normal,
    summary: text("No address of the second family", "没有第二地址族的地址"),
    messages: &[message("MetalLB", "cannot assign additional IP in PreferDualStack: {error}")],
    meaning: text(
        "The Service prefers two families, has an address of one, and the same pool has none of the \
         other.",
        "Service 希望双栈，已有一个地址族的地址，而同一地址池没有另一族的地址。",
    ),
    frequency: frequency::EACH_RECONCILE,
    impact: Impact {
        harm: Harm::Low,
        who: text("Clients of the missing family only.", "只有使用所缺地址族的客户端。"),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("The Service works with one family.", "Service 以单个地址族工作。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Both families are needed.", "两个地址族都需要。"),
        text("Add addresses of the other family to the pool.", "给地址池添加另一地址族的地址。"),
        &["kubectl get ipaddresspools.metallb.io -A"],
    )]),
    see_also: &["AllocationFailed"],
    ..COMMON
};

const DEPRECATED_ANNOTATION: Entry = Entry {
    name: "deprecatedAnnotation",
    severity: Severity::Warning,
    summary: text("The Service uses an old annotation of MetalLB", "Service 使用了 MetalLB 的旧注解"),
    messages: &[message("MetalLB", "Service uses deprecated annotation {annotation}")],
    meaning: text(
        "Annotations beginning with `metallb.universe.tf/` still work and will not for ever.",
        "以 `metallb.universe.tf/` 开头的注解目前仍有效，但不会一直保留。",
    ),
    frequency: frequency::EACH_RECONCILE,
    impact: Impact { harm: Harm::Low, who: text("Nobody today.", "目前无人受影响。") },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("Nothing.", "没有。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Use the same annotation with the prefix `metallb.io/`.", "改用前缀 `metallb.io/` 的同名注解。"),
        &["kubectl edit service NAME -n NAMESPACE"],
    )]),
    see_also: &["IPAllocated"],
    ..COMMON
};

const INTERNAL_ERROR: Entry = Entry {
    name: "InternalError",
    severity: Severity::Warning,
    summary: text("MetalLB contradicts itself", "MetalLB 自相矛盾"),
    messages: &[
        message("MetalLB", "didn't allocate an IP but also did not fail"),
        message("MetalLB", "allocated an IP that has no pool"),
    ],
    meaning: text(
        "A fault of MetalLB: an allocation ended in a way that it should not.",
        "MetalLB 的缺陷：分配以不该有的方式结束。",
    ),
    frequency: frequency::OTHER_RETRY,
    impact: Impact {
        harm: Harm::High,
        who: text("Users outside the cluster: the Service has no address.", "集群外的使用者：Service 没有地址。"),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text(
            "The address is taken away, and it is tried again with the next change.",
            "地址被收回，下次变更时再试。",
        ),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Restart the controller, keep its log, and report it.", "重启控制器，保留日志并上报。"),
        &["kubectl logs -n metallb-system deployment/controller"],
    )]),
    aliases: &[
        alias(
            "nolbIPsIPFamily",
            "MetalLB: the addresses in the status are not of one or two families.",
            "MetalLB：status 中的地址不属于一个或两个地址族。",
        ),
        alias(
            "noclusterIPsIPFamily",
            "MetalLB: the family of the ClusterIPs cannot be told.",
            "MetalLB：无法判断 ClusterIP 的地址族。",
        ),
    ],
    see_also: &["AllocationFailed"],
    ..COMMON
};
