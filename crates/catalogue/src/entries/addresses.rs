//! Addresses of Services: got from a pool, or not.
//!
//! Upstream has no such reasons. Nearest are the repair loops in `pkg/registry/core/service` of Kubernetes and
//! MetalLB's `controller/service.go`.

use super::{DESCRIBE_SERVICE, DIAGNOSE, check, frequency, message, misreading, noted, patterns, remedy};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[IP_ALLOCATED, IP_NOT_ALLOCATED];

const IP_ALLOCATED: Entry = Entry {
    name: "IPAllocated",
    reason: Some(Reason::IPAllocated),
    severity: Severity::Normal,
    category: Category::Network,
    status: Status::ThirdParty { by: "metallb-controller" },
    portolan: Portolan {
        emits: true,
        when: text(
            "When a Service is given an external address from the local pool that it did not \
             have before; and, from kubelet on the Pod, when a pod has got its address.",
            "本地地址池为 Service 分配了一个它原先没有的外部地址时；另外，Pod 得到地址时，由 kubelet 挂在 \
             Pod 上。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::NEVER,
    summary: text("A Service got an external address from a pool", "Service 从地址池得到外部地址"),
    messages: &[
        message("MetalLB, Portolan", "Assigned IP [\"{address}\"]"),
        noted(
            "Portolan, from kubelet",
            "Successfully allocated IP {address} to pod {pod}",
            text("On the Pod.", "挂在 Pod 上。"),
        ),
    ],
    patterns: &[],
    meaning: text(
        "An address was taken out of a pool and now belongs to this Service. No part of \
         Kubernetes says this word: the ClusterIP is in the object from the moment of its \
         creation, the pod's IP shows in its status, and a cloud's address arrives with \
         EnsuredLoadBalancer.",
        "从地址池取出一个地址，归这个 Service 所有。Kubernetes 自身没有任何组件会发出它：\
         ClusterIP 在对象创建时就已写入，Pod 的 IP 体现在 status 里，云厂商的地址随 \
         EnsuredLoadBalancer 一起到来。",
    ),
    frequency: frequency::ONCE_IN_A_LIFE,
    place: None,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("EnsuringLoadBalancer, in Portolan.", "在 Portolan 中，前面是 EnsuringLoadBalancer。"),
        after: text(
            "CreatingLoadBalancer, CreatedLoadBalancer and EnsuredLoadBalancer, then the address \
             in the status.",
            "随后是 CreatingLoadBalancer、CreatedLoadBalancer、EnsuredLoadBalancer，地址写入 \
             status。",
        ),
    },
    checks: &[
        DESCRIBE_SERVICE,
        check(
            "The address itself.",
            "地址本身。",
            "kubectl get service NAME -n NAMESPACE -o \
             jsonpath='{.status.loadBalancer.ingress[*].ip}'",
        ),
        check(
            "The pools, on a cluster with MetalLB.",
            "使用 MetalLB 的集群：查看地址池。",
            "kubectl get ipaddresspools.metallb.io -A",
        ),
    ],
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    misreadings: &[misreading(
        text(
            "The kubelet emits it for pod addresses, and the API server for ClusterIPs, since \
             1.24.",
            "从 1.24 起，kubelet 分配 Pod 地址、API server 分配 ClusterIP 时都会发出它。",
        ),
        text(
            "Neither has such a reason in any release. A ClusterIP in 1.33 and later leaves an \
             IPAddress object instead, which can be listed.",
            "两者在任何版本里都没有这个 reason。1.33 及之后，每个 ClusterIP 会对应一个可以列出的 \
             IPAddress 对象。",
        ),
    )],
    aliases: &[],
    scenario: Some("lb-address-conflict-healthy"),
    see_also: &["IPNotAllocated", "EnsuredLoadBalancer"],
};

const IP_NOT_ALLOCATED: Entry = Entry {
    name: "IPNotAllocated",
    reason: Some(Reason::IPNotAllocated),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::NeverUpstream {
        instead: &["SyncLoadBalancerFailed", "FailedCreatePodSandBox", "AllocationFailed"],
    },
    portolan: Portolan {
        emits: true,
        when: text(
            "When the local pool of external addresses cannot serve a Service: it is used up, or \
             the address asked for is outside it or taken; SyncLoadBalancerFailed follows. Also, \
             from kubelet on the Pod, when the pod range of a node is used up; \
             FailedCreatePodSandBox follows.",
            "本地外部地址池无法满足 Service 时：池已用尽，或指定的地址不在池内、已被占用；随后出现 \
             SyncLoadBalancerFailed。另外，节点的 Pod 地址段用尽时，由 kubelet 挂在 Pod 上；随后出现 \
             FailedCreatePodSandBox。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::NEVER,
    summary: text("No external address for the Service", "Service 分不到外部地址"),
    messages: &[
        message("Portolan", "Failed to allocate IP for \"{namespace}/{name}\": {error}"),
        noted(
            "Portolan, from kubelet",
            "Failed to allocate IP to pod {pod}: {error}",
            text("On the Pod.", "挂在 Pod 上。"),
        ),
        noted(
            "Portolan, from cidrAllocator",
            "no range of pod addresses is left in {range} for node {node}",
            text("On the Node, beside CIDRNotAvailable.", "挂在 Node 上，与 CIDRNotAvailable 一同发出。"),
        ),
    ],
    patterns: patterns::IP_NOT_ALLOCATED,
    meaning: text(
        "The Service wants an external address and there is none to give. Kubernetes has no \
         single word for missing addresses; it depends on which address is missing. External: \
         SyncLoadBalancerFailed. Pod: FailedCreatePodSandBox with the text of the network \
         plugin. ClusterIP or node port: no event but an API error, and the Service is not \
         created at all.",
        "Service 要一个外部地址，却没有可给的。Kubernetes 没有统一的说法，要看缺的是哪种地址。外\
         部地址：SyncLoadBalancerFailed。Pod 地址：FailedCreatePodSandBox，附网络插件的文字。\
         ClusterIP 或节点端口：没有事件，而是 API 直接报错，Service 根本不会创建。",
    ),
    frequency: frequency::BALANCER_RETRY,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Clients from outside: EXTERNAL-IP stays pending. The ClusterIP and node ports work. \
             Every further LoadBalancer Service will meet the same until an address is free.",
            "外部的客户端：EXTERNAL-IP 一直是 pending。ClusterIP 和节点端口可用。在有地址空出之\
             前，之后每个 LoadBalancer 类型的 Service 都会如此。",
        ),
    },
    chain: Chain {
        before: text("EnsuringLoadBalancer.", "EnsuringLoadBalancer。"),
        after: text(
            "SyncLoadBalancerFailed, and a new attempt after 5 s, 10 s, 20 s and so on up to 300 \
             s; it succeeds by itself once an address is free.",
            "SyncLoadBalancerFailed，并按 5 秒、10 秒、20 秒……至 300 秒的间隔重试；一旦有地址空\
             出，会自行成功。",
        ),
    },
    checks: &[
        DESCRIBE_SERVICE,
        check(
            "Who holds the addresses of the pool.",
            "池中的地址被谁占着。",
            "kubectl get services -A --field-selector spec.type=LoadBalancer",
        ),
        check(
            "Whether the Service asks for a certain address.",
            "Service 是否指定了地址。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.spec.loadBalancerIP} \
             {.metadata.annotations}'",
        ),
        check(
            "For ClusterIPs: the ranges of the cluster (1.33 and later).",
            "对 ClusterIP：集群的地址范围（1.33 及之后）。",
            "kubectl get servicecidrs",
        ),
        check(
            "For pods: the range of each node.",
            "对 Pod：每个节点的地址范围。",
            "kubectl get nodes -o custom-columns=NAME:.metadata.name,CIDR:.spec.podCIDR",
        ),
        DIAGNOSE,
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The pool is used up.", "地址池已用尽。"),
            text(
                "Delete Services of type LoadBalancer that nobody uses, or change them to \
                 ClusterIP, or start with a wider pool (`portolan up --lb-pool`). Several \
                 Services can share one address behind an Ingress or Gateway.",
                "删除无人使用的 LoadBalancer 类型的 Service，或改为 ClusterIP；或换用更大的地址池\
                 （`portolan up --lb-pool`）。多个 Service 可以通过 Ingress 或 Gateway 共用一个地\
                 址。",
            ),
            &["kubectl get services -A --field-selector spec.type=LoadBalancer"],
        ),
        remedy(
            text(
                "A certain address was asked for and is taken or outside the pool.",
                "指定的地址已被占用，或不在池内。",
            ),
            text(
                "Remove spec.loadBalancerIP (or the provider's annotation), or choose a free \
                 address of the pool.",
                "去掉 spec.loadBalancerIP（或云厂商的相应注解），或改选池中空闲的地址。",
            ),
            &["kubectl edit service NAME -n NAMESPACE"],
        ),
        remedy(
            text(
                "It is the ClusterIP: the API answered `range is full`.",
                "缺的是 ClusterIP：API 返回 `range is full`。",
            ),
            text(
                "From 1.33 on add a ServiceCIDR object with another range; nothing needs a \
                 restart. Before that the range is fixed for good, and only deleting Services \
                 helps.",
                "1.33 起，添加一个 ServiceCIDR 对象即可增加范围，无需重启任何组件。更早的版本范围\
                 固定，只能靠删除 Service。",
            ),
            &["kubectl get servicecidrs", "kubectl get ipaddresses"],
        ),
        remedy(
            text(
                "It is the pod: FailedCreatePodSandBox has an IPAM text.",
                "缺的是 Pod 地址：FailedCreatePodSandBox 中有 IPAM 的文字。",
            ),
            text(
                "The node's range is used up: spread the pods, add nodes, or widen the pool in \
                 the network plugin. On nodes without a range at all see CIDRNotAvailable.",
                "节点的地址范围已用尽：分散 Pod、增加节点，或在网络插件中扩大地址池。节点完全没有\
                 范围时，查 CIDRNotAvailable。",
            ),
            &["kubectl get pods -A -o wide --field-selector spec.nodeName=NODE"],
        ),
    ]),
    misreadings: &[
        misreading(
            text(
                "A failed ClusterIP shows as an event on the Service.",
                "ClusterIP 分配失败，会在 Service 上留下事件。",
            ),
            text(
                "There is no Service then. Whoever created it got a 422 or 500 in answer, and \
                 that is all there is.",
                "那时根本没有这个 Service。创建者得到的是 422 或 500 应答，仅此而已。",
            ),
        ),
        misreading(
            text(
                "The ClusterIP range is widened by giving the API server a second range of the \
                 same family and a restart.",
                "给 API server 再加一个同族的地址范围并重启，就能扩大 ClusterIP 范围。",
            ),
            text(
                "The flag takes at most one range for each IP family; two mean dual stack. \
                 Adding ranges is done with ServiceCIDR objects, from 1.33 on.",
                "该参数每个地址族至多一个范围，写两个表示双栈。增加范围要用 ServiceCIDR 对象\
                 （1.33 起）。",
            ),
        ),
    ],
    aliases: &[],
    scenario: Some("lb-address-conflict"),
    see_also: &[
        "SyncLoadBalancerFailed",
        "AllocationFailed",
        "IPAllocated",
        "ClusterIPNotAllocated",
        "CIDRNotAvailable",
        "FailedCreatePodSandBox",
    ],
};
