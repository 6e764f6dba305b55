//! Nodes and their proxies.
//!
//! Upstream: `pkg/kubelet/kubelet_node_status.go`, `cmd/kube-proxy/app` and `pkg/proxy/healthcheck`.

use super::{DESCRIBE_SERVICE, check, frequency, message, misreading, noted, patterns, place, remedy, risk, risky};
use crate::lang::text;
use crate::{Api, Bound, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[NODE_READY, NODE_NOT_READY, STARTING, HEALTHCHECK_FAILED];

const NODE_READY: Entry = Entry {
    name: "NodeReady",
    reason: Some(Reason::NodeReady),
    severity: Severity::Normal,
    category: Category::Node,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "Once for each start of a node agent, when it has registered its Node and reported \
             it ready.",
            "节点代理每次启动时发一次：注册好 Node 并上报就绪之后。",
        ),
    },
    emitter: "kubelet",
    object: "Node",
    api: Api::Core,
    versions: Versions { since: Bound::Unverified("1.0"), until: Bound::Present },
    summary: text("A node became ready", "节点已就绪"),
    messages: &[message("Kubernetes, Portolan", "Node {node} status is now: NodeReady")],
    patterns: &[],
    meaning: text(
        "The node can take pods. Load balancers do not wait for it: since 1.27 a node is in \
         their list whether ready or not, and their own health checks decide.",
        "节点可以接收 Pod。负载均衡器并不等它：从 1.27 起，不论是否就绪，节点都在其列表中，由其自\
         身的健康检查决定。",
    ),
    frequency: frequency::NODE_CHANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("Starting.", "Starting。"),
        after: text("Waiting pods get Scheduled.", "等待中的 Pod 得到 Scheduled。"),
    },
    checks: &[check("The nodes.", "节点。", "kubectl get nodes -o wide")],
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    misreadings: &[misreading(
        text(
            "`kubectl describe node` always shows the Events of kubelet and kube-proxy.",
            "`kubectl describe node` 总能显示 kubelet 与 kube-proxy 的事件。",
        ),
        text(
            "In 1.35 and 1.36 it misses them: they are written without the node's UID, and \
             describe searches by it. Use `kubectl get events -n default` there.",
            "在 1.35 和 1.36 中看不到：这些事件没有写入节点的 UID，而 describe 按 UID 查找。请改\
             用 `kubectl get events -n default`。",
        ),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["NodeNotReady", "Starting", "UnAvailableLoadBalancer"],
};

const NODE_NOT_READY: Entry = Entry {
    name: "NodeNotReady",
    reason: Some(Reason::NodeNotReady),
    severity: Severity::Warning,
    category: Category::Node,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "For each ready pod of a node that has become not ready, after the pod was marked; and \
             once on the Node.",
            "节点变为未就绪时：其上每个就绪的 Pod 被标记之后各发一条；Node 上也发一条。",
        ),
    },
    emitter: "node-controller",
    object: "Pod",
    api: Api::Core,
    versions: Versions::since("1.36"),
    summary: text("The node of a pod no longer reports", "Pod 所在的节点不再上报"),
    messages: &[
        noted(
            "Kubernetes, Portolan",
            "Node is not ready",
            text("On each pod of the node, a Warning.", "挂在该节点的每个 Pod 上，类型为 Warning。"),
        ),
        noted(
            "Kubernetes, Portolan",
            "Node {node} status is now: NodeNotReady",
            text(
                "On the Node, of type Normal, from node-controller; in Kubernetes also from the \
                 kubelet itself.",
                "挂在 Node 上，类型为 Normal，来自 node-controller；在 Kubernetes 中也可能来自 kubelet 自身。",
            ),
        ),
    ],
    patterns: patterns::NODE_NOT_READY,
    meaning: text(
        "The agent of the node has not renewed its status for a while, or says itself that it is \
         not ready. The pods there are marked not ready as well, so Services stop sending them \
         traffic. The processes may still run.",
        "节点代理已有一段时间没有更新状态，或自己上报未就绪。上面的 Pod 随之被标为未就绪，Service 不再给它\
         们流量。进程可能仍在运行。",
    ),
    frequency: frequency::NODE_CHANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Users of Services whose pods are on that node: less capacity, none if all of them \
             are there. Until the status is old enough, some of the connections fail.",
            "Pod 在该节点上的那些 Service 的使用者：容量减少，全在上面则不可用。在判定之前，部分连接会失败。",
        ),
    },
    chain: Chain {
        before: text("The node, its agent or its network failed.", "节点、节点代理或其网络出了故障。"),
        after: text(
            "After five minutes the pods are evicted and made anew elsewhere. NodeReady when the \
             node is back.",
            "五分钟后 Pod 被驱逐，在别处重建。节点恢复后出现 NodeReady。",
        ),
    },
    checks: &[
        check(
            "The nodes, and since when one is not ready.",
            "各节点，以及从何时开始未就绪。",
            "kubectl describe node NODE",
        ),
        check(
            "When the agent reported last.",
            "节点代理最后一次上报的时间。",
            "kubectl get lease NODE -n kube-node-lease -o yaml",
        ),
        check("On the node: the agent.", "在节点上：查看节点代理。", "journalctl -u kubelet -n 100"),
    ],
    remedies: Remedies::Steps(&[
        risky(
            text("The machine is up and its agent is not.", "机器正常而节点代理不在运行。"),
            text("Read its log and start it again.", "查看日志并重新启动。"),
            &["systemctl restart kubelet"],
            risk::RESTART,
        ),
        risky(
            text("The machine is gone for good.", "机器不会再回来。"),
            text(
                "Delete the Node: its pods are removed and made anew at once.",
                "删除 Node：其上的 Pod 会立即移除，并在别处重建。",
            ),
            &["kubectl delete node NODE"],
            risk::NODE_LOST,
        ),
    ]),
    misreadings: &[misreading(
        text("Load balancers drop a node that is not ready.", "负载均衡器会摘除未就绪的节点。"),
        text(
            "Since 1.27 they do not: their own health checks decide. What goes is the pods of \
             that node, from the slices.",
            "从 1.27 起不会，由它自身的健康检查决定。被摘除的是该节点上的 Pod（从 EndpointSlice 中）。",
        ),
    )],
    aliases: &[],
    scenario: Some("node-down"),
    see_also: &["NodeReady", "UnAvailableLoadBalancer", "Unhealthy"],
};

const STARTING: Entry = Entry {
    name: "Starting",
    reason: Some(Reason::Starting),
    severity: Severity::Normal,
    category: Category::Node,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text("When a node agent has registered its Node.", "节点代理注册好 Node 之后。"),
    },
    emitter: "kubelet",
    object: "Node",
    api: Api::Core,
    versions: Versions { since: Bound::Unverified("1.0"), until: Bound::Present },
    summary: text("A part of a node starts", "节点的某个组件正在启动"),
    messages: &[
        message("Kubernetes, Portolan", "Starting kubelet."),
        noted(
            "Kubernetes, from kube-proxy",
            "",
            text("Without a text, through `events.k8s.io/v1`.", "没有文字，经 `events.k8s.io/v1` 写入。"),
        ),
    ],
    patterns: &[],
    meaning: text(
        "A process of the node was started, or started again. While the proxy is away, the rules \
         that it left behind keep working, but follow no change.",
        "节点上的某个进程启动或重启。proxy 不在期间，它留下的规则照常工作，但不再跟随变化。",
    ),
    frequency: frequency::KUBELET_START,
    place: Some(place::NODE_EVENTS),
    impact: Impact {
        harm: Harm::None,
        who: text(
            "Nobody. If it repeats, the process keeps dying, and changes of Services arrive late \
             on that node.",
            "无人受影响。如果反复出现，说明进程不断崩溃，该节点上 Service 的变化会迟到。",
        ),
    },
    chain: Chain { before: text("Nothing.", "没有前兆。"), after: text("NodeReady.", "NodeReady。") },
    checks: &[check(
        "How often it happens.",
        "发生的频率。",
        "kubectl get events -n default --field-selector involvedObject.kind=Node,reason=Starting",
    )],
    remedies: Remedies::NoneNeeded(text(
        "Nothing to do. If it repeats, read the log of that process.",
        "无需处理。如果反复出现，请看该进程的日志。",
    )),
    misreadings: &[misreading(
        text("kube-proxy emits no events.", "kube-proxy 不产生任何事件。"),
        text(
            "It has a handful, this one among them. But failed syncs of its rules are indeed \
             only in its log and metrics.",
            "它会发几种，这条便是其一。不过规则同步失败确实只体现在日志和指标中。",
        ),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["NodeReady", "FailedToStartServiceHealthcheck"],
};

const HEALTHCHECK_FAILED: Entry = Entry {
    name: "FailedToStartServiceHealthcheck",
    reason: Some(Reason::FailedToStartServiceHealthcheck),
    severity: Severity::Warning,
    category: Category::Node,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "For each try, when the proxy of a node cannot listen on the healthCheckNodePort of \
             a Service. It carries the UID, so that describe shows it.",
            "节点的 proxy 无法监听某个 Service 的 healthCheckNodePort 时，每次尝试发一条。事件带\
             有 UID，describe 可以看到。",
        ),
    },
    emitter: "kube-proxy",
    object: "Service",
    api: Api::Events,
    versions: Versions::since("1.36"),
    summary: text("A node cannot answer the balancer's health check", "节点无法应答负载均衡器的健康检查"),
    messages: &[message(
        "Kubernetes, Portolan",
        "node {node} failed to start healthcheck \"{namespace}/{name}\" on port {port}: {error}",
    )],
    patterns: patterns::FAILED_TO_START_SERVICE_HEALTHCHECK,
    meaning: text(
        "A LoadBalancer Service with externalTrafficPolicy Local has a port on which each node \
         tells the balancer whether it has a pod. Something else on this node holds that port, \
         so the balancer takes the node for unhealthy.",
        "externalTrafficPolicy 为 Local 的 LoadBalancer Service 有一个端口，各节点借它告诉负载均\
         衡器自己有没有 Pod。该节点上这个端口被别的程序占用，负载均衡器便认为该节点不健康。",
    ),
    frequency: frequency::EACH_PROXY_SYNC,
    place: Some(place::NO_UID),
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "Clients from outside: no traffic comes in through this node. With pods on this node \
             only, the external address is dead.",
            "外部的客户端：流量不再从该节点进入。如果 Pod 只在这个节点上，外部地址就完全不通。",
        ),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 被创建或变更。"),
        after: text("Another try at the proxy's next sync.", "proxy 下一次同步时再试。"),
    },
    checks: &[
        check(
            "The event: it carries no UID in Kubernetes, so describe of the Service does not \
             show it.",
            "查找事件：Kubernetes 中它没有 UID，describe Service 看不到。",
            "kubectl get events -n NAMESPACE --field-selector \
             involvedObject.kind=Service,involvedObject.name=NAME",
        ),
        DESCRIBE_SERVICE,
        check("On the node: who holds the port.", "在节点上：谁占着该端口。", "ss -ltnp"),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("A process of the host holds the port.", "宿主机上有进程占用该端口。"),
            text("Stop it, or keep it out of the node port range for good.", "停掉它，或让它从此避开节点端口范围。"),
            &["ss -ltnp"],
        ),
        remedy(
            text("The process must stay.", "该进程必须保留。"),
            text(
                "Give the Service another port: set externalTrafficPolicy to Cluster and back to \
                 Local, which allocates a new one.",
                "给 Service 换一个端口：把 externalTrafficPolicy 改为 Cluster 再改回 Local，会重\
                 新分配。",
            ),
            &[
                "kubectl patch service NAME -n NAMESPACE -p \
                 '{\"spec\":{\"externalTrafficPolicy\":\"Cluster\"}}'",
                "kubectl patch service NAME -n NAMESPACE -p \
                 '{\"spec\":{\"externalTrafficPolicy\":\"Local\"}}'",
            ],
        ),
    ]),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["Starting", "EnsuredLoadBalancer"],
};
