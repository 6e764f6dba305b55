//! Keeping a load balancer right: node updates, no eligible nodes, and the failure of any attempt.
//!
//! Upstream: `updateLoadBalancerHosts`, `ensureLoadBalancer` and `syncService` in
//! `k8s.io/cloud-provider/controllers/service/controller.go`.

use super::{DESCRIBE_SERVICE, DIAGNOSE, alias, check, message, misreading, noted, remedy};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[UPDATED, UPDATE_FAILED, UNAVAILABLE, SYNC_FAILED];

const UPDATED: Entry = Entry {
    reason: Reason::UpdatedLoadBalancer,
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
    messages: &[message("Kubernetes, Portolan", "Updated load balancer with new hosts")],
    meaning: text(
        "A node came, went, was excluded or included again by its label, or got another provider \
         ID, and the balancer now sends to the new set. Nothing else of the balancer was \
         changed. Every LoadBalancer Service gets this event, since all share the nodes.",
        "有节点加入或离开，或通过标签被排除、重新纳入，或 providerID 变了，负载均衡器已改为向新的\
         集合转发，别的都没动。节点是共用的，所以每个 LoadBalancer 类型的 Service 都会收到这条事\
         件。",
    ),
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
    see_also: &[Reason::UpdateLoadBalancerFailed, Reason::UnAvailableLoadBalancer, Reason::EnsuredLoadBalancer],
};

const UPDATE_FAILED: Entry = Entry {
    reason: Reason::UpdateLoadBalancerFailed,
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
    meaning: text(
        "The nodes changed, and the provider refused or failed to take the new list. The \
         balancer keeps the old one: nodes that are gone may still be in it, and new ones are \
         not yet. Only the node list is concerned; a failed change of the Service itself shows \
         as SyncLoadBalancerFailed.",
        "节点发生了变化，而提供方拒绝或未能接收新列表。负载均衡器仍使用旧列表：已经离开的节点可能\
         还在其中，新节点还没进去。这里只涉及节点列表；Service 本身的变更失败显示为 \
         SyncLoadBalancerFailed。",
    ),
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
        remedy(
            text("The error names a node or an instance that does not exist.", "错误中提到某个不存在的节点或实例。"),
            text(
                "A machine was removed without its Node object. Delete the Node; the controller \
                 that watches cloud machines should have done so.",
                "机器已经没了，Node 对象却还在。删掉这个 Node；本应由负责云主机生命周期的控制器来\
                 做。",
            ),
            &["kubectl get nodes", "kubectl delete node NODE"],
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
    see_also: &[Reason::SyncLoadBalancerFailed, Reason::UpdatedLoadBalancer, Reason::UnAvailableLoadBalancer],
};

const UNAVAILABLE: Entry = Entry {
    reason: Reason::UnAvailableLoadBalancer,
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
    see_also: &[
        Reason::UpdatedLoadBalancer,
        Reason::EnsuringLoadBalancer,
        Reason::UpdateLoadBalancerFailed,
        Reason::NodeReady,
    ],
};

const SYNC_FAILED: Entry = Entry {
    reason: Reason::SyncLoadBalancerFailed,
    severity: Severity::Warning,
    category: Category::LoadBalancer,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When an attempt to create, change or delete the balancer ends in an error, once for \
             each attempt. The provider's own error code is kept in the text.",
            "创建、变更或删除负载均衡器的一次尝试以错误告终时，每次尝试发一条。文字中保留提供方自\
             己的错误码。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.25"),
    summary: text("Setting up or removing the balancer failed", "负载均衡器的配置或拆除失败"),
    messages: &[
        message("Kubernetes, Portolan", "Error syncing load balancer: failed to ensure load balancer: {error}"),
        message("Kubernetes, Portolan", "Error syncing load balancer: failed to delete load balancer: {error}"),
        message(
            "Kubernetes, Portolan",
            "Error syncing load balancer: failed to check if load balancer exists before \
             cleanup: {error}",
        ),
        message(
            "Kubernetes, Portolan",
            "Error syncing load balancer: failed to add load balancer cleanup finalizer: {error}",
        ),
        message(
            "Kubernetes, Portolan",
            "Error syncing load balancer: failed to remove load balancer cleanup finalizer: \
             {error}",
        ),
        message("Kubernetes, Portolan", "Error syncing load balancer: failed to update load balancer status: {error}"),
        message(
            "Kubernetes, Portolan",
            "Error syncing load balancer: service status returned by EnsureLoadBalancer is nil",
        ),
    ],
    meaning: text(
        "The one warning for almost everything that goes wrong between a Service and its \
         provider. The words after the first colon say which step failed; those after the second \
         are the provider's own and name the cause.",
        "Service 与提供方之间出的问题，几乎都由这一条告警表达。第一个冒号之后说明哪一步失败；第二\
         个冒号之后是提供方的原话，指明原因。",
    ),
    impact: Impact {
        harm: Harm::High,
        who: text(
            "A new Service has no external address. One that already had it keeps serving with \
             its old configuration, but changes do not arrive. A deleted one stays Terminating.",
            "新建的 Service 得不到外部地址。已有地址的 Service 会按旧配置继续服务，但变更不生效。\
             被删除的 Service 会停在 Terminating。",
        ),
    },
    chain: Chain {
        before: text(
            "EnsuringLoadBalancer (setting up) or DeletingLoadBalancer (removing). In Portolan \
             also IPNotAllocated, when the pool of addresses is used up.",
            "EnsuringLoadBalancer（配置时）或 DeletingLoadBalancer（拆除时）。在 Portolan 中，如\
             果地址池耗尽，前面还有 IPNotAllocated。",
        ),
        after: text(
            "The next attempt after 5 s, 10 s, 20 s and so on up to 300 s, without end: Ensuring \
             and this one alternate. With texts that differ, Events are merged into `(combined \
             from similar events)` from the tenth on, and beyond 25 they are limited to one in \
             five minutes.",
            "按 5 秒、10 秒、20 秒……至 300 秒的间隔不断重试，Ensuring 与它交替出现。如果文字各\
             不相同，从第十条起会被合并为 `(combined from similar events)`；超过 25 条后，限为每\
             五分钟一条。",
        ),
    },
    checks: &[
        DESCRIBE_SERVICE,
        check(
            "On Portolan: the condition Why of the Service, which names the blocker and what to do.",
            "在 Portolan 上：Service 的 Why 状态，写明受阻的原因和处理办法。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.status.conditions}'",
        ),
        check(
            "Whether other Services fail too: if all do, it is the cluster's identity, limits or \
             network, not this Service.",
            "其他 Service 是否也失败：如果全都失败，问题在集群的云身份、限流或网络，而不在这个 \
             Service。",
            "kubectl get events -A --field-selector reason=SyncLoadBalancerFailed",
        ),
        check(
            "The cloud controller manager: running, and what it logs.",
            "cloud-controller-manager 是否在运行，日志里有什么。",
            "kubectl get pods -n kube-system -o wide",
        ),
        check(
            "The settings for the provider; a wrong annotation is the commonest bad parameter.",
            "给提供方的设置；参数错误多半出在注解上。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.metadata.annotations}'",
        ),
        DIAGNOSE,
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text(
                "The text has RequestLimitExceeded, Throttling or 429.",
                "文字中有 RequestLimitExceeded、Throttling 或 429。",
            ),
            text(
                "The provider is limiting calls. The back-off waits by itself; create Services \
                 in smaller batches, avoid rewriting annotations in a loop (each change is a \
                 call), and ask for a higher limit.",
                "提供方在限流。控制器会自行退避；请分批创建 Service，避免循环改写注解（每改一次就\
                 是一次调用），并申请提高限额。",
            ),
            &[],
        ),
        remedy(
            text(
                "The text has UnauthorizedOperation, AuthFailure, AuthorizationFailed or 403.",
                "文字中有 UnauthorizedOperation、AuthFailure、AuthorizationFailed 或 403。",
            ),
            text(
                "The identity of the controller has expired or lacks a right. Renew it, and \
                 grant exactly the action that the text names.",
                "控制器的云身份已过期，或缺少权限。更新凭证，并且只授予文字中点名的那项操作。",
            ),
            &["aws sts get-caller-identity", "az role assignment list --assignee PRINCIPAL"],
        ),
        remedy(
            text(
                "The text has QuotaExceeded, TooManyLoadBalancers or, from the local balancer, \
                 AddressPoolExhausted.",
                "文字中有 QuotaExceeded、TooManyLoadBalancers，或来自本地负载均衡器的 \
                 AddressPoolExhausted。",
            ),
            text(
                "Delete balancers that nobody uses, share one through an Ingress or Gateway, or \
                 raise the quota or widen the pool. Waiting attempts then succeed by themselves.",
                "删除无人使用的负载均衡器，通过 Ingress 或 Gateway 共用一个，或提高配额、扩大地址\
                 池。等待中的重试随后会自行成功。",
            ),
            &["kubectl get services -A --field-selector spec.type=LoadBalancer"],
        ),
        remedy(
            text(
                "The text has `context deadline exceeded` or `no such host`.",
                "文字中有 `context deadline exceeded` 或 `no such host`。",
            ),
            text(
                "The controller does not reach the provider's API: a firewall, a proxy setting, \
                 or the DNS of the machine that it runs on. Try from that machine.",
                "控制器连不上提供方的 API：防火墙、代理设置，或它所在机器的 DNS 有问题。请在那台\
                 机器上验证。",
            ),
            &["curl -sv --max-time 5 https://API-ENDPOINT/", "dig API-ENDPOINT"],
        ),
        remedy(
            text(
                "The text has InvalidParameterValue, AddressNotInPool or AddressInUse, or names \
                 a subnet or security group.",
                "文字中有 InvalidParameterValue、AddressNotInPool 或 AddressInUse，或点名了子网、\
                 安全组。",
            ),
            text(
                "Correct the annotation or field that it names; saving the change starts the \
                 next attempt at once.",
                "修正它点名的注解或字段；保存后会立即开始下一次尝试。",
            ),
            &["kubectl edit service NAME -n NAMESPACE"],
        ),
        remedy(
            text(
                "The text has `failed to delete load balancer` and the Service stays Terminating.",
                "文字中有 `failed to delete load balancer`，Service 停在 Terminating。",
            ),
            text(
                "Remove at the provider what holds the balancer (something attached by hand, \
                 deletion protection, a missing right to delete) and wait for the next attempt. \
                 The finalizer then goes by itself; taking it off by force leaks the balancer.",
                "到提供方解除牵住负载均衡器的东西（手工挂接的资源、删除保护、缺少删除权限），等待\
                 下一次重试，finalizer 会自行移除。强行去掉它，只会让负载均衡器变成无主资源。",
            ),
            &["kubectl get service NAME -n NAMESPACE -o jsonpath='{.metadata.finalizers}'"],
        ),
    ]),
    misreadings: &[
        misreading(
            text("It is retried every 10 seconds.", "每 10 秒重试一次。"),
            text(
                "The pause doubles from 5 s to 300 s, so after a repair it may take five minutes \
                 until the next attempt. Any change of an annotation starts one at once.",
                "间隔从 5 秒起翻倍，封顶 300 秒，所以修好之后可能还要等五分钟。随便改一个注解，就\
                 会立即开始一次。",
            ),
        ),
        misreading(
            text(
                "`connection refused` in it means that the cloud controller manager is not \
                 running.",
                "其中的 `connection refused` 表示 cloud-controller-manager 没有运行。",
            ),
            text(
                "A controller that is not running emits nothing at all. The text is about the \
                 connection from the controller to the provider or to the API server.",
                "没有运行的控制器什么事件都发不出来。这段文字说的是控制器到提供方或到 API server \
                 的连接。",
            ),
        ),
    ],
    aliases: &[alias(
        "CreatingLoadBalancerFailed",
        "The name in very old releases, with `Error creating load balancer (will retry)` (before \
         about 1.16, unverified).",
        "很老的版本使用的名称，文字为 `Error creating load balancer (will retry)`（约 1.16 之前，\
         未核实）。",
    )],
    see_also: &[
        Reason::EnsuringLoadBalancer,
        Reason::DeletingLoadBalancer,
        Reason::IPNotAllocated,
        Reason::UpdateLoadBalancerFailed,
    ],
};
