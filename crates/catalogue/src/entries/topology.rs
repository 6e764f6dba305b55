//! Topology hints: the Events of a Service whose traffic should stay in its zone.
//!
//! Upstream: `topologycache` and `reconciler.go` in `k8s.io/endpointslice`.

use super::{DESCRIBE_SERVICE, check, frequency, message, misreading, noted, patterns, remedy};
use crate::lang::text;
use crate::{Api, Category, Chain, Check, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[HINTS_ENABLED, HINTS_DISABLED];

const HINTS: Check = check(
    "Each endpoint with its zone and the zones that it is meant for.",
    "每个端点所在的可用区，以及它被分配给哪些可用区。",
    "kubectl get endpointslices -n NAMESPACE -l kubernetes.io/service-name=NAME -o yaml",
);

const ZONES: Check = check(
    "The nodes with their zones; those of the control plane do not count.",
    "各节点所在的可用区；控制平面节点不计入。",
    "kubectl get nodes -L topology.kubernetes.io/zone",
);

const HINTS_ENABLED: Entry = Entry {
    name: "TopologyAwareHintsEnabled",
    reason: Some(Reason::TopologyAwareHintsEnabled),
    severity: Severity::Normal,
    category: Category::Endpoint,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a sync has given the ready endpoints of a Service hints that it did not have \
             before, once for each address family.",
            "一次同步给 Service 的就绪端点加上了此前没有的提示时，每个地址族一条。",
        ),
    },
    emitter: "endpoint-slice-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.28"),
    summary: text("Endpoints got zone hints", "端点已带上可用区提示"),
    messages: &[noted(
        "Kubernetes, Portolan",
        "Topology Aware Hints has been enabled, addressType: {IPv4 or IPv6}",
        text("Once for each address family.", "每个地址族一条。"),
    )],
    patterns: &[],
    meaning: text(
        "The Service has the annotation `service.kubernetes.io/topology-mode: Auto`, and every \
         ready endpoint now names the zones that should use it. Each zone gets a share of the \
         endpoints that fits its share of the CPUs.",
        "Service 带有注解 `service.kubernetes.io/topology-mode: Auto`，现在每个就绪端点都写明了应\
         由哪些可用区使用。各可用区分得的端点数与其 CPU 占比相称。",
    ),
    frequency: frequency::HINTS_ON,
    place: None,
    impact: Impact {
        harm: Harm::None,
        who: text(
            "Nobody. Clients of a zone now load its own endpoints only, so a zone with many \
             clients and few nodes can become uneven.",
            "无人受影响。此后某个可用区的客户端只使用分给本区的端点；客户端多而节点少的可用区，负载\
             可能不均。",
        ),
    },
    chain: Chain {
        before: text(
            "The annotation was set, or zones and endpoints became enough.",
            "设置了注解，或者可用区与端点数满足了条件。",
        ),
        after: text(
            "Proxies use the hints once every ready endpoint has one. TopologyAwareHintsDisabled \
             when the conditions are no longer met.",
            "所有就绪端点都有提示之后，代理开始采用。条件不再满足时出现 TopologyAwareHintsDisabled。",
        ),
    },
    checks: &[DESCRIBE_SERVICE, HINTS, ZONES],
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is what was asked for.", "无需处理，这正是所要求的。")),
    misreadings: &[misreading(
        text("From now on each client reaches the nearest pod.", "此后每个客户端访问的都是最近的 Pod。"),
        text(
            "The hints balance zones by CPU: an endpoint may be given to another zone than its \
             own. Who wants the own zone always sets spec.trafficDistribution to PreferSameZone, \
             which sends no such event.",
            "提示按 CPU 在可用区之间平衡，端点可能分给别的可用区。要求总是使用本区，应设置 \
             spec.trafficDistribution 为 PreferSameZone，那样不会有这条事件。",
        ),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["TopologyAwareHintsDisabled"],
};

const HINTS_DISABLED: Entry = Entry {
    name: "TopologyAwareHintsDisabled",
    reason: Some(Reason::TopologyAwareHintsDisabled),
    severity: Severity::Warning,
    category: Category::Endpoint,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "For each sync that could not give the hints that the Service asks for; once when the \
             Service no longer asks and still had them.",
            "Service 要求提示却给不出时，每次同步发一条；不再要求而此前有提示时，发一条。",
        ),
    },
    emitter: "endpoint-slice-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.28"),
    summary: text("Endpoints have no zone hints, and why", "端点没有可用区提示，并说明原因"),
    messages: &[
        noted(
            "Kubernetes, Portolan",
            "{cause}, addressType: {IPv4 or IPv6}",
            text("The cause is one of the following.", "原因是下列之一。"),
        ),
        noted(
            "{cause} =",
            "Insufficient Node information: allocatable CPU or zone not specified on one or more \
             nodes",
            text("Also when fewer than two zones have ready nodes.", "有就绪节点的可用区不足两个时，也是这一条。"),
        ),
        message("{cause} =", "Insufficient number of endpoints ({count} endpoints, {count} zones)"),
        noted(
            "{cause} =",
            "Unable to allocate minimum required endpoints to each zone without exceeding \
             overload threshold ({count} endpoints, {count} zones)",
            text(
                "Some zone would be loaded more than 20 percent above its share.",
                "必有某个可用区的负载会超出其份额 20% 以上。",
            ),
        ),
        message("{cause} =", "One or more endpoints do not have a zone specified"),
        message("{cause} =", "No hints allocated for zones"),
        noted(
            "{cause} =",
            "Topology Aware Hints has been disabled",
            text("The annotation was taken away.", "注解被去掉了。"),
        ),
    ],
    patterns: patterns::TOPOLOGY_AWARE_HINTS_DISABLED,
    meaning: text(
        "The Service asks for topology mode Auto, but hints cannot be given, or no longer. The \
         slices are written without hints and traffic goes to all endpoints of the cluster. \
         While the cause lasts, every sync of the Service says it again.",
        "Service 要求 topology mode 为 Auto，但无法给出提示，或不再给出。EndpointSlice 照常写入，只\
         是没有提示，流量发往集群内所有端点。原因持续期间，该 Service 每次同步都会再发一次。",
    ),
    frequency: frequency::HINTS_OFF,
    place: None,
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "Nobody loses service. Traffic crosses zones: a little slower, and it may cost \
             money.",
            "服务不会中断。流量会跨可用区，略慢，并可能产生费用。",
        ),
    },
    chain: Chain {
        before: text(
            "Too few endpoints, a node without zone or without CPU, or zones of very different \
             size.",
            "端点太少、有节点缺少可用区或 CPU 信息，或者各可用区规模悬殊。",
        ),
        after: text("TopologyAwareHintsEnabled once the cause is gone.", "原因消除后出现 TopologyAwareHintsEnabled。"),
    },
    checks: &[
        DESCRIBE_SERVICE,
        ZONES,
        HINTS,
        check(
            "The CPUs that each node offers.",
            "各节点可分配的 CPU。",
            "kubectl get nodes -o custom-columns=NODE:.metadata.name,CPU:.status.allocatable.cpu",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("Insufficient number of endpoints.", "端点数量不足。"),
            text(
                "Run at least as many ready pods as there are zones; three for each zone leave \
                 room for rounding.",
                "就绪 Pod 数至少等于可用区数；每个可用区三个，取整时才有余地。",
            ),
            &["kubectl scale deployment NAME -n NAMESPACE --replicas=COUNT"],
        ),
        remedy(
            text("Insufficient node information.", "节点信息不足。"),
            text(
                "Give every node its zone label. On a cluster with a single zone take the \
                 annotation away: there is nothing to gain.",
                "给每个节点加上可用区标签。只有一个可用区的集群请去掉注解，留着也没有意义。",
            ),
            &["kubectl label node NODE topology.kubernetes.io/zone=ZONE"],
        ),
        remedy(
            text("The zones differ too much.", "各可用区规模相差太大。"),
            text(
                "Set spec.trafficDistribution to PreferSameZone instead of the annotation: it \
                 gives every endpoint its own zone and needs no balance.",
                "改用 spec.trafficDistribution: PreferSameZone 代替注解：每个端点只提示自己的可用\
                 区，不要求平衡。",
            ),
            &["kubectl patch service NAME -n NAMESPACE -p \
                 '{\"metadata\":{\"annotations\":{\"service.kubernetes.io/topology-mode\":null}},\"spec\":{\"trafficDistribution\":\"PreferSameZone\"}}'"],
        ),
    ]),
    misreadings: &[misreading(
        text("The Service is down or has no endpoints.", "Service 已不可用，或没有端点。"),
        text(
            "It has them and uses all of them; only the preference is off.",
            "端点都在，而且全部在用，只是不再有偏好。",
        ),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["TopologyAwareHintsEnabled", "FailedToUpdateEndpointSlices"],
};
