//! Keeping a load balancer right: node updates, no eligible nodes, and the failure of any attempt.
//!
//! Upstream: `updateLoadBalancerHosts`, `ensureLoadBalancer` and `syncService` in
//! `k8s.io/cloud-provider/controllers/service/controller.go`.

use super::{DESCRIBE_SERVICE, check, frequency, message, misreading, noted, patterns, remedy, risk, risky};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[UPDATED, UPDATE_FAILED, UNAVAILABLE];

const UPDATED: Entry = Entry {
    name: "UpdatedLoadBalancer",
    reason: Some(Reason::UpdatedLoadBalancer),
    severity: Severity::Normal,
    category: Category::LoadBalancer,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "After the set of eligible nodes changed and the balancer has taken over the new \
             set, with at least one node in it.",
            "可用节点的集合发生变化，且负载均衡器已换用新集合（至少含一个节点）之后。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.25"),
    summary: text("The balancer has a new list of nodes", "负载均衡器已换用新的节点列表"),
    messages: &[
        message("Kubernetes, Portolan", "Updated load balancer with new hosts"),
        message("k3s servicelb", "Updated LoadBalancer with new IPs: {old} -> {new}"),
    ],
    patterns: patterns::UPDATED_LOAD_BALANCER,
    meaning: text(
        "A node came, went, was excluded or included again by its label, or got another provider \
         ID, and the balancer now sends to the new set. Nothing else of the balancer was \
         changed. Every LoadBalancer Service gets this event, since all share the nodes.",
        "有节点加入或离开，或通过标签被排除、重新纳入，或 providerID 变了，负载均衡器已改为向新的\
         集合转发，别的都没动。节点是共用的，所以每个 LoadBalancer 类型的 Service 都会收到这条事\
         件。",
    ),
    frequency: frequency::NODE_SET,
    place: None,
    impact: Impact {
        harm: Harm::None,
        who: text(
            "Nobody. Connections through a removed node may end, depending on how the provider \
             drains.",
            "无人受影响。经由被移除节点的连接可能中断，取决于提供方如何排空。",
        ),
    },
    chain: Chain {
        before: text(
            "A change of the nodes; no EnsuringLoadBalancer goes before it.",
            "节点发生变化；前面不会有 EnsuringLoadBalancer。",
        ),
        after: text("Nothing.", "没有后续。"),
    },
    checks: &[
        check(
            "Which nodes there are, and which are excluded by label.",
            "有哪些节点，哪些被标签排除。",
            "kubectl get nodes -L node.kubernetes.io/exclude-from-external-load-balancers",
        ),
        check(
            "How often it happens: a count that climbs means nodes that come and go.",
            "发生的频率：次数不断上涨，说明节点在反复进出。",
            "kubectl get events -A --field-selector reason=UpdatedLoadBalancer",
        ),
    ],
    remedies: Remedies::NoneNeeded(text(
        "Nothing to do. If it comes every few minutes, look at the cluster autoscaler: each \
         change of nodes is a call to the provider for every Service.",
        "无需处理。如果每隔几分钟就来一次，请检查集群自动扩缩容：节点每变一次，就要为每个 \
         Service 调用一次云厂商接口。",
    )),
    misreadings: &[
        misreading(
            text(
                "There is a variant `Updated load balancer with new ports`.",
                "还有一种文字是 `Updated load balancer with new ports`。",
            ),
            text(
                "There is none. A change of ports, session affinity or annotations goes through \
                 EnsuringLoadBalancer and EnsuredLoadBalancer.",
                "没有。端口、会话保持、注解的变更走的是 EnsuringLoadBalancer 和 \
                 EnsuredLoadBalancer。",
            ),
        ),
        misreading(
            text(
                "It comes when endpoints change, or when a node becomes NotReady.",
                "端点变化、节点变为 NotReady 时也会出现。",
            ),
            text(
                "Endpoints never matter to this controller, and readiness of nodes has not since \
                 1.27: the balancer's own health checks deal with it.",
                "这个控制器从不关心端点；从 1.27 起也不再看节点是否就绪，那是负载均衡器自身健康检\
                 查的事。",
            ),
        ),
    ],
    aliases: &[],
    scenario: Some("lb-node-excluded"),
    see_also: &["UpdateLoadBalancerFailed", "UnAvailableLoadBalancer", "EnsuredLoadBalancer"],
};

const UPDATE_FAILED: Entry = Entry {
    name: "UpdateLoadBalancerFailed",
    reason: Some(Reason::UpdateLoadBalancerFailed),
    severity: Severity::Warning,
    category: Category::LoadBalancer,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a new set of nodes could not be handed to a balancer that exists. A complete \
             attempt for the Service follows five seconds later.",
            "新的节点集合没能交给一个确实存在的负载均衡器时。五秒后会为该 Service 做一次完整的尝\
             试。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.25"),
    summary: text("The balancer could not be given the new list of nodes", "新的节点列表未能更新到负载均衡器"),
    messages: &[
        noted(
            "Kubernetes 1.29+, Portolan",
            "Error updating load balancer with new hosts {nodes} [node names limited, total \
             number of nodes: {count}], error: {error}",
            text("At most 20 names, then the number of those left out.", "最多列出 20 个节点名，其余以数量代替。"),
        ),
        noted(
            "Kubernetes up to 1.28",
            "Error updating load balancer with new hosts {nodes}: {error}",
            text("All node names, however many.", "列出全部节点名，不论多少。"),
        ),
    ],
    patterns: patterns::UPDATE_LOAD_BALANCER_FAILED,
    meaning: text(
        "The nodes changed, and the provider refused or failed to take the new list. The \
         balancer keeps the old one: nodes that are gone may still be in it, and new ones are \
         not yet. Only the node list is concerned; a failed change of the Service itself shows \
         as SyncLoadBalancerFailed.",
        "节点发生了变化，而提供方拒绝或未能接收新列表。负载均衡器仍使用旧列表：已经离开的节点可能\
         还在其中，新节点还没进去。这里只涉及节点列表；Service 本身的变更失败显示为 \
         SyncLoadBalancerFailed。",
    ),
    frequency: frequency::NODE_SET_FAILED,
    place: None,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "A part of the clients, when nodes that no longer exist are still in the list and \
             the health check has not sorted them out; otherwise only capacity, because new \
             nodes get nothing.",
            "如果列表里还有已不存在的节点、健康检查又尚未剔除，一部分客户端会失败；否则只是容量受\
             影响，因为新节点分不到流量。",
        ),
    },
    chain: Chain {
        before: text(
            "A change of the nodes; the Service had been ensured.",
            "节点发生变化；Service 此前已经 Ensured。",
        ),
        after: text(
            "EnsuringLoadBalancer soon after, as a complete attempt; EnsuredLoadBalancer heals \
             it, SyncLoadBalancerFailed means that it persists.",
            "不久出现 EnsuringLoadBalancer，即一次完整的尝试；出现 EnsuredLoadBalancer 就恢复了，\
             出现 SyncLoadBalancerFailed 则说明问题仍在。",
        ),
    },
    checks: &[
        DESCRIBE_SERVICE,
        check(
            "Whether it is one Service or all of them: all means credentials, limits or the \
             network to the cloud.",
            "是一个 Service 还是全部：如果是全部，就是凭证、限流，或到云厂商的网络有问题。",
            "kubectl get events -A --field-selector reason=UpdateLoadBalancerFailed",
        ),
        check(
            "The nodes that should be in the list.",
            "本应在列表中的节点。",
            "kubectl get nodes -o \
             custom-columns=NAME:.metadata.name,PROVIDER:.spec.providerID,TAINTS:.spec.taints[*].key",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("EnsuredLoadBalancer came after it.", "之后出现了 EnsuredLoadBalancer。"),
            text("Nothing to do: the complete attempt has repaired it.", "无需处理，随后的完整尝试已经修复。"),
            &[],
        ),
        risky(
            text("The error names a node or an instance that does not exist.", "错误中提到某个不存在的节点或实例。"),
            text(
                "A machine was removed without its Node object. Delete the Node; the controller \
                 that watches cloud machines should have done so.",
                "机器已经没了，Node 对象却还在。删掉这个 Node；本应由负责云主机生命周期的控制器来\
                 做。",
            ),
            &["kubectl get nodes", "kubectl delete node NODE"],
            risk::NODE_LOST,
        ),
        remedy(
            text("The error names throttling, permission or quota.", "错误涉及限流、权限或配额。"),
            text(
                "The same cures as for SyncLoadBalancerFailed, where they are listed by keyword.",
                "处理办法与 SyncLoadBalancerFailed 相同，该条目按关键词列出。",
            ),
            &["portolan explain SyncLoadBalancerFailed"],
        ),
    ]),
    misreadings: &[
        misreading(
            text(
                "A change of ports or annotations that the cloud rejects shows as \
                 UpdateLoadBalancerFailed.",
                "云厂商拒绝端口或注解的变更时，显示为 UpdateLoadBalancerFailed。",
            ),
            text(
                "That is SyncLoadBalancerFailed. Here only the list of nodes is concerned, and \
                 the message always says `with new hosts`.",
                "那是 SyncLoadBalancerFailed。这里只涉及节点列表，文字里必定有 `with new hosts`。",
            ),
        ),
        misreading(
            text("It always means that the balancer is wrong now.", "只要出现，负载均衡器现在就是错的。"),
            text(
                "If the provider says that the balancer does not exist, upstream says nothing \
                 and counts it as success. And an event is history: look for the Ensured after \
                 it.",
                "如果提供方表示负载均衡器不存在，上游不会发事件，按成功处理。而且事件只是历史：要\
                 看它之后有没有 Ensured。",
            ),
        ),
    ],
    aliases: &[],
    scenario: Some("lb-update-failed"),
    see_also: &["SyncLoadBalancerFailed", "UpdatedLoadBalancer", "UnAvailableLoadBalancer"],
};

const UNAVAILABLE: Entry = Entry {
    name: "UnAvailableLoadBalancer",
    reason: Some(Reason::UnAvailableLoadBalancer),
    severity: Severity::Warning,
    category: Category::LoadBalancer,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the list of eligible nodes is empty: before the provider is asked to ensure \
             the balancer, or in place of UpdatedLoadBalancer after a node update.",
            "可用节点列表为空时：在请求提供方配置负载均衡器之前发出，或在节点更新之后取代 \
             UpdatedLoadBalancer。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.25"),
    summary: text("No node is eligible for the balancer", "没有节点可供负载均衡器使用"),
    messages: &[message("Kubernetes, Portolan", "There are no available nodes for LoadBalancer")],
    patterns: patterns::UN_AVAILABLE_LOAD_BALANCER,
    meaning: text(
        "After leaving out nodes that are being deleted, nodes with the label \
         `node.kubernetes.io/exclude-from-external-load-balancers` and nodes that the cluster \
         autoscaler is about to remove, none was left. The balancer exists or will be made, with \
         nobody to send to. Since 1.27 readiness is not part of this filter, so nodes that are \
         merely NotReady do not cause it.",
        "先排除正在删除的节点、带有标签 \
         `node.kubernetes.io/exclude-from-external-load-balancers` 的节点，以及集群自动扩缩容即将\
         移除的节点，结果一个也不剩。负载均衡器存在（或将会建立），却没有可转发的对象。从 1.27 \
         起，就绪与否不在筛选条件之内，所以节点仅仅 NotReady 并不会引发它。",
    ),
    frequency: frequency::NO_NODES,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Everybody who comes through the external address, of this and of every other \
             LoadBalancer Service. Traffic inside the cluster still works if pods run anywhere.",
            "所有经外部地址访问的人，而且不止这一个 Service，所有 LoadBalancer 类型的 Service 都\
             一样。只要还有 Pod 在运行，集群内部的访问不受影响。",
        ),
    },
    chain: Chain {
        before: text("EnsuringLoadBalancer, or a change of the nodes.", "EnsuringLoadBalancer，或节点发生变化。"),
        after: text(
            "On the ensure path EnsuredLoadBalancer all the same; UpdatedLoadBalancer once a \
             node is eligible again.",
            "走配置路径时，之后仍会出现 EnsuredLoadBalancer；等到又有可用节点时，出现 \
             UpdatedLoadBalancer。",
        ),
    },
    checks: &[
        check(
            "Which nodes exist and which carry the label that excludes them.",
            "有哪些节点，哪些带有排除标签。",
            "kubectl get nodes -L node.kubernetes.io/exclude-from-external-load-balancers",
        ),
        check(
            "Which nodes the autoscaler is about to remove (taint \
             ToBeDeletedByClusterAutoscaler), or are being deleted.",
            "哪些节点即将被自动扩缩容移除（污点 ToBeDeletedByClusterAutoscaler），或正在删除。",
            "kubectl get nodes -o \
             custom-columns=NAME:.metadata.name,DELETING:.metadata.deletionTimestamp,TAINTS:.spec.taints[*].key",
        ),
        check(
            "Whether the other LoadBalancer Services say the same; they must.",
            "其他 LoadBalancer 类型的 Service 是否也这样；理应如此。",
            "kubectl get events -A --field-selector reason=UnAvailableLoadBalancer",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("Every node carries the exclusion label.", "每个节点都带有排除标签。"),
            text(
                "Take it off the nodes that should receive traffic. Up to 1.33 its mere presence \
                 excludes, whatever its value; from 1.34 the value false includes again. On a \
                 cluster whose only node is a control-plane node, kubeadm's label is the usual \
                 culprit.",
                "从应当接收流量的节点上去掉它。1.33 及之前，只要有这个标签就会被排除，不论取值；\
                 1.34 起，取值为 false 的重新纳入。只有一个控制面节点的集群里，往往就是 kubeadm \
                 打上的这个标签在作怪。",
            ),
            &["kubectl label node NODE node.kubernetes.io/exclude-from-external-load-balancers-"],
        ),
        remedy(
            text("All remaining nodes are being removed by the autoscaler.", "剩下的节点都正被自动扩缩容移除。"),
            text(
                "Let it add nodes, or raise the minimum size of the node group. Do not take the \
                 taint off by hand; the machine goes away regardless.",
                "让它补充节点，或提高节点组的最小规模。不要手工去掉这个污点，机器照样会被回收。",
            ),
            &["kubectl describe node NODE"],
        ),
        remedy(
            text("There are no nodes at all.", "一个节点也没有。"),
            text("Add nodes; the Service follows by itself.", "添加节点，Service 会自行恢复。"),
            &["kubectl get nodes"],
        ),
    ]),
    misreadings: &[
        misreading(
            text(
                "It means that the Service has no endpoints, so check the selector.",
                "它表示 Service 没有端点，应当检查 selector。",
            ),
            text(
                "The controller never looks at endpoints. An empty Service with eligible nodes \
                 says EnsuredLoadBalancer and nothing else.",
                "控制器从不看端点。没有端点但有可用节点的 Service，只会出现 EnsuredLoadBalancer。",
            ),
        ),
        misreading(
            text(
                "It also has the text `All backend nodes are unhealthy`, after failed health \
                 checks.",
                "健康检查失败后，还会出现文字 `All backend nodes are unhealthy`。",
            ),
            text(
                "That text does not exist, and health checks are not seen by this controller. \
                 externalTrafficPolicy Local without a local pod does not bring it either.",
                "没有这样的文字，这个控制器也看不到健康检查。externalTrafficPolicy 为 Local 而节\
                 点上没有 Pod，同样不会引发它。",
            ),
        ),
        misreading(
            text("NodeNotReady leads to it.", "NodeNotReady 会导致它。"),
            text(
                "That was so up to 1.26, and only with externalTrafficPolicy Cluster. Since 1.27 \
                 (locked in since 1.30) a NotReady node stays in the list and is left to health \
                 checks.",
                "1.26 及之前是这样，而且仅限 externalTrafficPolicy 为 Cluster 时。从 1.27 起\
                 （1.30 锁定），NotReady 的节点仍在列表中，由健康检查来处理。",
            ),
        ),
    ],
    aliases: &[],
    scenario: Some("lb-without-nodes"),
    see_also: &["UpdatedLoadBalancer", "EnsuringLoadBalancer", "UpdateLoadBalancerFailed", "NodeReady"],
};
