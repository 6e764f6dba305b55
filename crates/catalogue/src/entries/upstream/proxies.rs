//! kube-proxy about itself.
//!
//! Source: `cmd/kube-proxy/app/server.go` and `server_linux.go` of Kubernetes 1.36.

use super::super::{BLANK, DESCRIBE_SERVICE, check, frequency, message, place, remedy};
use crate::lang::text;
use crate::{Api, Bound, Category, Chain, Entry, Harm, Impact, Portolan, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[
    FAILED_TO_START_PROXIER_HEALTHCHECK,
    FAILED_TO_START_METRIC_SERVER,
    IPVS_DEPRECATION,
    KUBE_PROXY_INCORRECT_IP_VERSION,
];

/// What they have in common; each fills in the rest.
const COMMON: Entry = Entry {
    category: Category::Node,
    portolan: Portolan { emits: false, when: text("Its proxy has no such part.", "它的代理没有这一部分。") },
    emitter: "kube-proxy",
    object: "Node",
    api: Api::Events,
    versions: Versions::since("1.36"),
    place: Some(place::NODE_EVENTS),
    checks: &[check(
        "The node, its conditions, taints and Events.",
        "节点、其各项状态、污点和事件。",
        "kubectl describe node NODE",
    )],
    ..BLANK
};

const FAILED_TO_START_PROXIER_HEALTHCHECK: Entry = Entry {
    name: "FailedToStartProxierHealthcheck",
    severity: Severity::Warning,
    summary: text("The proxy cannot open its own health port", "代理无法打开自身的健康端口"),
    messages: &[message("Kubernetes", "{error}")],
    meaning: text(
        "Another program of the node has port 10256, and balancers that check it think the node dead.",
        "节点上另一个程序占用了 10256 端口，检查它的负载均衡器会认为节点已失效。",
    ),
    frequency: frequency::PROXY_START,
    impact: Impact {
        harm: Harm::Medium, who: text("Users outside, through that node.", "经该节点访问的外部使用者。")
    },
    chain: Chain {
        before: text("Starting of kube-proxy.", "kube-proxy 的 Starting。"),
        after: text("The proxy itself goes on.", "代理自身继续工作。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Find who has the port on that node.", "查出该节点上谁占用了端口。"),
        &["ss -ltnp"],
    )]),
    see_also: &["FailedToStartServiceHealthcheck", "FailedToStartMetricServer"],
    ..COMMON
};

const FAILED_TO_START_METRIC_SERVER: Entry = Entry {
    name: "FailedToStartMetricServer",
    severity: Severity::Warning,
    summary: text("The proxy cannot open its metrics port", "代理无法打开指标端口"),
    messages: &[message("Kubernetes", "{error}")],
    meaning: text(
        "Another program has port 10249; there are no metrics of this proxy. The name has no s after \
         Metric.",
        "另一个程序占用了 10249 端口，因此没有该代理的指标。名称中 Metric 之后没有 s。",
    ),
    frequency: frequency::PROXY_START,
    impact: Impact { harm: Harm::Low, who: text("Monitoring only.", "只影响监控。") },
    chain: Chain {
        before: text("Starting of kube-proxy.", "kube-proxy 的 Starting。"),
        after: text("The proxy itself goes on.", "代理自身继续工作。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Find who has the port on that node.", "查出该节点上谁占用了端口。"),
        &["ss -ltnp"],
    )]),
    see_also: &["FailedToStartProxierHealthcheck"],
    ..COMMON
};

const IPVS_DEPRECATION: Entry = Entry {
    name: "IPVSDeprecation",
    severity: Severity::Warning,
    versions: Versions { since: Bound::In("1.35"), until: Bound::Present },
    summary: text("The proxy runs in a mode that will go", "代理运行在将被取消的模式"),
    messages: &[message(
        "Kubernetes 1.35+",
        "The ipvs proxier is now deprecated and may be removed in a future release. Please use \
             'nftables' instead.",
    )],
    meaning: text(
        "A notice at the start of kube-proxy in ipvs mode. Nothing is wrong today.",
        "kube-proxy 以 ipvs 模式启动时的提醒。目前一切正常。",
    ),
    frequency: frequency::PROXY_START,
    impact: Impact { harm: Harm::Low, who: text("Nobody today.", "目前无人受影响。") },
    chain: Chain {
        before: text("Starting of kube-proxy.", "kube-proxy 的 Starting。"),
        after: text("Nothing.", "没有。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "Plan the change to nftables; node by node, for rules of both modes must not mix.",
            "规划改用 nftables；逐个节点进行，因为两种模式的规则不能混用。",
        ),
        &["kubectl get configmap kube-proxy -n kube-system -o yaml"],
    )]),
    see_also: &["Starting"],
    ..COMMON
};

const KUBE_PROXY_INCORRECT_IP_VERSION: Entry = Entry {
    name: "KubeProxyIncorrectIPVersion",
    severity: Severity::Warning,
    status: Status::Legacy { instead: &[] },
    versions: Versions { since: Bound::Unverified("1.25"), until: Bound::In("1.32") },
    object: "Service",
    summary: text("An address is of a family that the proxy does not serve", "地址属于代理不提供的地址族"),
    messages: &[message("Kubernetes up to 1.32", "{address} in {field} has incorrect IP version")],
    meaning: text(
        "An external IP, source range or load balancer address of the other family was left out.",
        "另一地址族的 externalIP、来源网段或负载均衡器地址被略去。",
    ),
    frequency: frequency::EACH_PROXY_SYNC,
    place: Some(place::NO_UID),
    impact: Impact { harm: Harm::Low, who: text("Clients of that family.", "使用该地址族的客户端。") },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("Nothing: it is left out.", "没有：直接略去。"),
    },
    checks: &[DESCRIBE_SERVICE],
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Take the address out, or make the cluster dual stack.", "去掉该地址，或让集群支持双栈。"),
        &["kubectl get service NAME -n NAMESPACE -o yaml"],
    )]),
    see_also: &["Starting"],
    ..COMMON
};
