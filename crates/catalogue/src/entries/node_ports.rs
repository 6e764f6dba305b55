//! Node ports that do not agree with the book of allocated ports, as the repair loop finds them.
//!
//! Upstream: `repair.go` in `pkg/registry/core/service/portallocator/controller`.

use super::{DESCRIBE_SERVICE, check, frequency, message, misreading, patterns, remedy};
use crate::lang::{Text, text};
use crate::{Api, Category, Chain, Check, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[NOT_ALLOCATED, ALREADY_ALLOCATED, OUT_OF_RANGE];

const ALL_PORTS: Check = check(
    "Every Service with its node ports; the health check port is one of them.",
    "所有 Service 及其节点端口；健康检查端口也算在内。",
    "kubectl get services -A -o \
     custom-columns=NS:.metadata.namespace,NAME:.metadata.name,PORTS:.spec.ports[*].nodePort,HEALTH:.spec.healthCheckNodePort",
);

const AGAIN: Text = text("The same again at the next pass, every 3 minutes.", "每 3 分钟巡查一次，下次还会再发。");

const NOT_ALLOCATED: Entry = Entry {
    name: "PortNotAllocated",
    reason: Some(Reason::PortNotAllocated),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: false,
        when: text(
            "Ports are booked by the Services themselves, so no book can differ from them.",
            "端口直接以 Service 为准，没有单独的登记，也就不会不一致。",
        ),
    },
    emitter: "portallocator-repair-controller",
    object: "Service",
    api: Api::Events,
    versions: Versions::since("1.36"),
    summary: text("A node port in use was not booked", "使用中的节点端口没有登记"),
    messages: &[message("Kubernetes, Portolan", "Port {port} is not allocated; repairing")],
    patterns: &[],
    meaning: text(
        "A Service has a node port that the book of allocated ports does not know. The repair \
         loop books it anew. Until it has, another Service could be given the same port.",
        "某个 Service 持有的节点端口没有登记。修复循环会重新登记。在此之前，另一个 Service 有可能分到同一\
         端口。",
    ),
    frequency: frequency::REPAIR,
    place: None,
    impact: Impact {
        harm: Harm::Low, who: text("Nobody: traffic is not touched.", "无人受影响：流量不变。")
    },
    chain: Chain {
        before: text("A restored backup, or an edit of the database.", "恢复了备份，或改写了数据库。"),
        after: text(
            "The book is right again. If the port was given away meanwhile, PortAlreadyAllocated.",
            "登记恢复正确。如果端口在此期间已分给别人，则出现 PortAlreadyAllocated。",
        ),
    },
    checks: &[DESCRIBE_SERVICE, ALL_PORTS],
    remedies: Remedies::Steps(&[
        remedy(
            text("It came once, after a restore.", "只出现一次，且在恢复备份之后。"),
            text("Nothing to do: it has been repaired.", "无需处理，已经修复。"),
            &[],
        ),
        remedy(
            text("It comes again and again.", "反复出现。"),
            text(
                "Two API servers write different books: compare their `--service-node-port-range`.",
                "两个 API server 写的登记不一致：比较它们的 `--service-node-port-range`。",
            ),
            &["kubectl get pods -n kube-system -l component=kube-apiserver -o yaml"],
        ),
    ]),
    misreadings: &[misreading(
        text("The Service did not get its node port.", "Service 没有分到节点端口。"),
        text(
            "It has one and works. A port that cannot be given is refused at creation, with an \
             answer of the API and no event.",
            "它有端口，也能用。分不到端口时，创建就会被拒绝，只有 API 应答，没有事件。",
        ),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["PortAlreadyAllocated", "ClusterIPNotAllocated"],
};

const ALREADY_ALLOCATED: Entry = Entry {
    name: "PortAlreadyAllocated",
    reason: Some(Reason::PortAlreadyAllocated),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the repair loop finds the node port on another Service as well; of two Services the \
             one that is later by namespace and name is told.",
            "修复循环发现另一个 Service 也持有该节点端口时；两者中按命名空间和名称排在后面的那个收到\
             事件。",
        ),
    },
    emitter: "portallocator-repair-controller",
    object: "Service",
    api: Api::Events,
    versions: Versions::since("1.36"),
    summary: text("Two Services have the same node port", "两个 Service 的节点端口相同"),
    messages: &[message(
        "Kubernetes, Portolan",
        "Port {port} was assigned to multiple services; please recreate service",
    )],
    patterns: patterns::PORT_ALREADY_ALLOCATED,
    meaning: text(
        "Another Service has the same node port. Proxies program one of the two, so clients from \
         outside may reach the pods of the other. One Service may well use the same port twice, \
         for different protocols; that is not meant.",
        "另一个 Service 的节点端口与此相同。代理只会配置其中一个，外部客户端可能连到另一个的 Pod。同一个 \
         Service 用不同协议共用一个端口是允许的，不在此列。",
    ),
    frequency: frequency::REPAIR,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text("Clients from outside of both Services.", "两个 Service 的外部客户端。"),
    },
    chain: Chain {
        before: text("A restored backup, or an edit of the database.", "恢复了备份，或改写了数据库。"),
        after: AGAIN,
    },
    checks: &[DESCRIBE_SERVICE, ALL_PORTS],
    remedies: Remedies::Steps(&[remedy(
        text("Always: choose the less important of the two.", "一律如此处理：在两者中选择较不重要的一个。"),
        text(
            "Give it another node port. The Service need not be made anew; only its node port \
             changes.",
            "给它换一个节点端口。不必重建 Service，变的只是节点端口。",
        ),
        &["kubectl edit service NAME -n NAMESPACE"],
    )]),
    misreadings: &[],
    aliases: &[],
    scenario: Some("node-port-duplicate"),
    see_also: &["PortNotAllocated", "PortOutOfRange", "ClusterIPAlreadyAllocated"],
};

const OUT_OF_RANGE: Entry = Entry {
    name: "PortOutOfRange",
    reason: Some(Reason::PortOutOfRange),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the repair loop finds a node port outside the range of the API.",
            "修复循环发现节点端口不在 API 的范围内时。",
        ),
    },
    emitter: "portallocator-repair-controller",
    object: "Service",
    api: Api::Events,
    versions: Versions::since("1.36"),
    summary: text("A node port lies outside the range of the cluster", "节点端口不在集群的端口范围内"),
    messages: &[message(
        "Kubernetes, Portolan",
        "Port {port} is not within the port range {range}; please recreate service",
    )],
    patterns: patterns::PORT_OUT_OF_RANGE,
    meaning: text(
        "The range of node ports was changed, and this Service has a port of the old one. It \
         goes on working, but nothing books the port, and firewalls may know the new range only.",
        "节点端口范围变更过，而该 Service 的端口属于旧范围。它照常工作，但端口没有登记，防火墙也可能只放行\
         新范围。",
    ),
    frequency: frequency::REPAIR,
    place: None,
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "Clients from outside, if a firewall follows the new range; otherwise nobody.",
            "如果防火墙只放行新范围，外部客户端受影响；否则无人受影响。",
        ),
    },
    chain: Chain {
        before: text("`--service-node-port-range` was changed.", "改了 `--service-node-port-range`。"),
        after: AGAIN,
    },
    checks: &[DESCRIBE_SERVICE, ALL_PORTS],
    remedies: Remedies::Steps(&[
        remedy(
            text("The new range was a mistake.", "新范围是误改。"),
            text("Set the old one again on every API server.", "在每个 API server 上改回旧范围。"),
            &["kubectl get pods -n kube-system -l component=kube-apiserver -o yaml"],
        ),
        remedy(
            text("The new range is right.", "新范围是对的。"),
            text(
                "Remove nodePort from the Service's ports: a new one is allocated from the range.",
                "去掉 Service 端口中的 nodePort：会从新范围另行分配。",
            ),
            &["kubectl edit service NAME -n NAMESPACE"],
        ),
    ]),
    misreadings: &[],
    aliases: &[],
    scenario: Some("node-port-out-of-range"),
    see_also: &["PortAlreadyAllocated", "ClusterIPOutOfRange"],
};
