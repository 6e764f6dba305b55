//! ClusterIPs that do not agree with the book of allocated addresses, as the repair loop finds them.
//!
//! Upstream: `repair.go` and `repairip.go` in `pkg/registry/core/service/ipallocator/controller`.

use super::{DESCRIBE_SERVICE, check, frequency, message, misreading, noted, patterns, remedy, risk, risky};
use crate::lang::{Text, text};
use crate::{Api, Category, Chain, Check, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[NOT_VALID, NOT_ALLOCATED, ALREADY_ALLOCATED, OUT_OF_RANGE];

pub(super) const IP_OBJECTS: Check = check(
    "The booked addresses and the Service that each belongs to (1.33 and later).",
    "已登记的地址，以及各自所属的 Service（1.33 及以后）。",
    "kubectl get ipaddresses.networking.k8s.io",
);

const ALL_SERVICES: Check = check(
    "Every Service with its addresses.",
    "所有 Service 及其地址。",
    "kubectl get services -A -o \
     custom-columns=NS:.metadata.namespace,NAME:.metadata.name,IPS:.spec.clusterIPs",
);

pub(super) const RANGES: Check = check(
    "The ranges that ClusterIPs come from (1.33 and later).",
    "ClusterIP 的各个地址范围（1.33 及以后）。",
    "kubectl get servicecidrs.networking.k8s.io",
);

const RECREATE: Text = text(
    "Save the Service, delete it and create it again without clusterIP and clusterIPs. Its \
     address changes: clients that keep the old one must look the name up again.",
    "把 Service 存下来，删除后重建，去掉 clusterIP 和 clusterIPs。地址会变，仍在使用旧地址的客户端要\
     重新解析名称。",
);

const RECREATE_COMMANDS: &[&str] =
    &["kubectl get service NAME -n NAMESPACE -o yaml", "kubectl delete service NAME -n NAMESPACE"];

const AGAIN: Text = text("The same again at the next pass, every 3 minutes.", "每 3 分钟巡查一次，下次还会再发。");

const NOT_VALID: Entry = Entry {
    name: "ClusterIPNotValid",
    reason: Some(Reason::ClusterIPNotValid),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "For each pass over Services that finds such an address; the repair loop runs beside the \
             API.",
            "修复循环与 API 一同运行，每次巡查 Service 发现这样的地址时发出。",
        ),
    },
    emitter: "ipallocator-repair-controller",
    object: "Service",
    api: Api::Events,
    versions: Versions::since("1.36"),
    summary: text("A ClusterIP is no address of this cluster", "ClusterIP 不是本集群可用的地址"),
    messages: &[
        message("Kubernetes with IPAddress objects", "Cluster IP {address} is not a valid IP; please recreate Service"),
        noted(
            "Kubernetes, older repair loop; Portolan",
            "Cluster IP {address} is not a valid IP; please recreate service",
            text("Only the last word is spelled differently.", "只有最后一个词的大小写不同。"),
        ),
        message(
            "Kubernetes, older repair loop",
            "Cluster IP {address}({family}) is of ip family that is no longer configured on \
             cluster; please recreate service",
        ),
    ],
    patterns: patterns::CLUSTER_IP_NOT_VALID,
    meaning: text(
        "The stored Service has a clusterIP that cannot be read as an address, or, in clusters \
         without IPAddress objects, one of a family that the cluster has given up. The API \
         accepts neither, so it was stored past it or before a change of configuration.",
        "保存的 Service 中，clusterIP 无法读作地址；或者（在没有 IPAddress 对象的集群中）其地址族已不在\
         集群配置里。API 不会接受这样的值，所以它是绕过 API 写入的，或是配置变更之前留下的。",
    ),
    frequency: frequency::REPAIR,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Users of this Service: no proxy can program such an address.",
            "该 Service 的使用者：代理无法为这样的地址配置转发。",
        ),
    },
    chain: Chain {
        before: text(
            "A restored backup, an edit of the database, or a cluster that went from dual stack \
             to one family.",
            "恢复了备份、改写了数据库，或集群由双栈改为单栈。",
        ),
        after: AGAIN,
    },
    checks: &[DESCRIBE_SERVICE, ALL_SERVICES, RANGES],
    remedies: Remedies::Steps(&[risky(
        text("Always: it is not repaired by itself.", "一律如此处理：它不会自行修复。"),
        RECREATE,
        RECREATE_COMMANDS,
        risk::SERVICE_ANEW,
    )]),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["ClusterIPOutOfRange", "ClusterIPNotAllocated"],
};

const NOT_ALLOCATED: Entry = Entry {
    name: "ClusterIPNotAllocated",
    reason: Some(Reason::ClusterIPNotAllocated),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the repair loop finds no IPAddress object for the address, or one that names \
             something else, and makes the right one.",
            "修复循环发现该地址没有 IPAddress 对象，或对象指向别处，并随即改正时。",
        ),
    },
    emitter: "ipallocator-repair-controller",
    object: "Service",
    api: Api::Events,
    versions: Versions::since("1.36"),
    summary: text("A ClusterIP in use was not booked", "使用中的 ClusterIP 没有登记"),
    messages: &[
        message(
            "Kubernetes with IPAddress objects; Portolan",
            "Cluster IP [{family}]: {address} is not allocated; repairing",
        ),
        noted(
            "Kubernetes with IPAddress objects; Portolan",
            "the ClusterIP [{family}]: {address} for Service {namespace}/{name} has a wrong \
             reference; repairing",
            text(
                "There is an IPAddress object, but it names something else or a Service that is \
                 gone.",
                "有 IPAddress 对象，但它指向别的东西，或指向已不存在的 Service。",
            ),
        ),
        message("Kubernetes, older repair loop", "Cluster IP [{family}]:{address} is not allocated; repairing"),
    ],
    patterns: patterns::CLUSTER_IP_NOT_ALLOCATED,
    meaning: text(
        "A Service has an address that the book of allocated addresses does not know, or knows \
         for something else. The repair loop books it anew. Until it has, a second Service could \
         be given the same address.",
        "某个 Service 持有的地址没有登记，或登记在别处。修复循环会重新登记。在此之前，另一个 Service 有\
         可能分到同一地址。",
    ),
    frequency: frequency::REPAIR,
    place: None,
    impact: Impact {
        harm: Harm::Low, who: text("Nobody: traffic is not touched.", "无人受影响：流量不变。")
    },
    chain: Chain {
        before: text(
            "A restored backup, or somebody deleted or edited an IPAddress object.",
            "恢复了备份，或有人删除、改动了 IPAddress 对象。",
        ),
        after: text(
            "The book is right again. If the address was given away meanwhile, \
             ClusterIPAlreadyAllocated.",
            "登记恢复正确。如果地址在此期间已分给别人，则出现 ClusterIPAlreadyAllocated。",
        ),
    },
    checks: &[DESCRIBE_SERVICE, IP_OBJECTS, ALL_SERVICES],
    remedies: Remedies::Steps(&[
        remedy(
            text("It came once, after a restore or an upgrade.", "只出现一次，且在恢复备份或升级之后。"),
            text("Nothing to do: it has been repaired.", "无需处理，已经修复。"),
            &[],
        ),
        remedy(
            text("It comes again and again.", "反复出现。"),
            text(
                "Find out who deletes or rewrites IPAddress objects; they belong to the API \
                 server alone.",
                "查出是谁在删除或改写 IPAddress 对象；它们只归 API server 管理。",
            ),
            &["kubectl get ipaddresses.networking.k8s.io ADDRESS -o yaml"],
        ),
    ]),
    misreadings: &[misreading(
        text("The Service did not get an address.", "Service 没有分到地址。"),
        text(
            "It has one and works. A Service that gets none is refused at creation, with an \
             answer of the API and no event.",
            "它有地址，也能用。分不到地址的 Service 在创建时就被拒绝，只有 API 应答，没有事件。",
        ),
    )],
    aliases: &[],
    scenario: Some("cluster-ip-not-recorded-healthy"),
    see_also: &["ClusterIPAlreadyAllocated", "IPAddressWrongReference", "IPNotAllocated"],
};

const ALREADY_ALLOCATED: Entry = Entry {
    name: "ClusterIPAlreadyAllocated",
    reason: Some(Reason::ClusterIPAlreadyAllocated),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the repair loop finds that the address belongs to another Service that has it as \
             well.",
            "修复循环发现该地址属于另一个同样持有它的 Service 时。",
        ),
    },
    emitter: "ipallocator-repair-controller",
    object: "Service",
    api: Api::Events,
    versions: Versions::since("1.36"),
    summary: text("Two Services have the same ClusterIP", "两个 Service 的 ClusterIP 相同"),
    messages: &[message(
        "Kubernetes, Portolan",
        "Cluster IP [{family}]:{address} was assigned to multiple services; please recreate \
         service",
    )],
    patterns: patterns::CLUSTER_IP_ALREADY_ALLOCATED,
    meaning: text(
        "The address belongs to another Service, and this one has it too. Proxies program one of \
         the two for each port, so clients of one Service may reach the pods of the other.",
        "该地址属于另一个 Service，而这个 Service 也持有它。对每个端口，代理只会配置其中一个，因此一个 \
         Service 的客户端可能连到另一个的 Pod。",
    ),
    frequency: frequency::REPAIR,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Users of both Services, where their ports are the same; otherwise nobody yet.",
            "端口相同时，两个 Service 的使用者都受影响；端口不同则暂时无人受影响。",
        ),
    },
    chain: Chain {
        before: text(
            "A restored backup, two API servers with different ranges or books, or an edit of \
             the database.",
            "恢复了备份、两个 API server 的范围或登记不一致，或改写了数据库。",
        ),
        after: AGAIN,
    },
    checks: &[DESCRIBE_SERVICE, ALL_SERVICES, IP_OBJECTS],
    remedies: Remedies::Steps(&[risky(
        text("Always: choose the less important of the two.", "一律如此处理：在两者中选择较不重要的一个。"),
        RECREATE,
        RECREATE_COMMANDS,
        risk::SERVICE_ANEW,
    )]),
    misreadings: &[],
    aliases: &[],
    scenario: Some("cluster-ip-duplicate"),
    see_also: &["ClusterIPNotAllocated", "ClusterIPOutOfRange", "PortAlreadyAllocated"],
};

const OUT_OF_RANGE: Entry = Entry {
    name: "ClusterIPOutOfRange",
    reason: Some(Reason::ClusterIPOutOfRange),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the repair loop finds the address in none of the ServiceCIDR objects.",
            "修复循环发现该地址不在任何 ServiceCIDR 内时。",
        ),
    },
    emitter: "ipallocator-repair-controller",
    object: "Service",
    api: Api::Events,
    versions: Versions::since("1.36"),
    summary: text("A ClusterIP lies in no range of the cluster", "ClusterIP 不在集群的任何范围内"),
    messages: &[
        message(
            "Kubernetes with IPAddress objects; Portolan",
            "Cluster IP [{family}]: {address} is not within any configured Service CIDR; please \
             recreate service",
        ),
        message(
            "Kubernetes, older repair loop",
            "Cluster IP [{family}]:{address} is not within the service CIDR {range}; please \
             recreate service",
        ),
    ],
    patterns: patterns::CLUSTER_IP_OUT_OF_RANGE,
    meaning: text(
        "The range that the address came from is gone or was changed. The Service keeps its \
         address, and proxies still program it; but nothing books it any more, and nodes may \
         route the old range elsewhere.",
        "地址所属的范围已经去掉或变更。Service 仍保留该地址，代理也照常配置；但它不再有登记，而且节点可能\
         把旧范围路由到别处。",
    ),
    frequency: frequency::REPAIR,
    place: None,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "Often nobody at first. Certificates, network policies and routes that know the new \
             range only do not fit this Service.",
            "起初往往无人受影响。只认得新范围的证书、网络策略和路由，对这个 Service 不再适用。",
        ),
    },
    chain: Chain {
        before: text(
            "`--service-cluster-ip-range` was changed, or a ServiceCIDR was removed by force.",
            "改了 `--service-cluster-ip-range`，或强行去掉了某个 ServiceCIDR。",
        ),
        after: AGAIN,
    },
    checks: &[RANGES, ALL_SERVICES, DESCRIBE_SERVICE],
    remedies: Remedies::Steps(&[
        remedy(
            text("The old range may stay.", "旧范围可以保留。"),
            text(
                "Create a ServiceCIDR for it (1.33 and later, no restart): the addresses are \
                 booked again at the next pass.",
                "为它建一个 ServiceCIDR（1.33 及以后，无需重启）：下次巡查就会重新登记这些地址。",
            ),
            &["kubectl explain servicecidr.spec"],
        ),
        risky(text("The old range must go.", "旧范围必须弃用。"), RECREATE, RECREATE_COMMANDS, risk::SERVICE_ANEW),
    ]),
    misreadings: &[misreading(
        text("The range is full.", "范围已经用完。"),
        text(
            "That refuses new Services with `range is full` in the answer of the API, and leaves \
             no event on an existing one.",
            "用完时，新 Service 会被拒绝，API 应答中有 `range is full`；已有的 Service 不会有事件。",
        ),
    )],
    aliases: &[],
    scenario: Some("cluster-ip-out-of-range"),
    see_also: &["ClusterIPNotValid", "KubernetesServiceCIDRError", "IPNotAllocated"],
};
