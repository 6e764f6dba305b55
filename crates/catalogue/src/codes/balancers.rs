//! Findings about load balancers.

use super::Code;
use crate::lang::text;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "load-balancer-no-controller",
        link: "load-balancer",
        title: text("No controller serves load balancers", "没有控制器负责负载均衡器"),
        meaning: text(
            "The Service waits for an address, and nothing in the cluster has even begun to work on it.",
            "Service 在等待地址，而集群中没有任何组件开始处理它。",
        ),
        proof: text(
            "Type LoadBalancer, no address, no event of any controller, and long enough since the \
             Service was made.",
            "类型为 LoadBalancer，没有地址，没有任何控制器的事件，且创建已有一段时间。",
        ),
        impact: text("Users outside; the ClusterIP and node ports work.", "外部使用者；ClusterIP 和节点端口仍可用。"),
        remedy: text(
            "Run the provider's cloud controller manager, or install MetalLB or another implementation.",
            "运行云厂商的 cloud-controller-manager，或安装 MetalLB 等实现。",
        ),
        reasons: &[],
        scenario: Some("lb-no-controller"),
    },
    Code {
        code: "load-balancer-class-unserved",
        link: "load-balancer",
        title: text("Nobody serves the loadBalancerClass", "没有人负责该 loadBalancerClass"),
        meaning: text(
            "With a class set, all controllers but the one of that class leave the Service alone.",
            "设置了 class 之后，除对应的控制器外，其余都不理会该 Service。",
        ),
        proof: text(
            "`spec.loadBalancerClass` is set, there is no address, and nobody has said anything.",
            "`spec.loadBalancerClass` 已设置，没有地址，也没有任何事件。",
        ),
        impact: text("Users outside.", "外部使用者。"),
        remedy: text(
            "Install the controller of that class, or make the Service anew with the right class: it \
             cannot be changed.",
            "安装该 class 的控制器，或以正确的 class 重建 Service：它不能修改。",
        ),
        reasons: &[],
        scenario: Some("lb-class-unserved"),
    },
    Code {
        code: "load-balancer-throttled",
        link: "load-balancer",
        title: text("The provider limits calls", "提供方在限流"),
        meaning: text(
            "Too many calls were made for the account; the attempts back off by themselves.",
            "账户的调用过多；重试会自行退避。",
        ),
        proof: text(
            "The last failure names RequestLimitExceeded, Throttling, TooManyRequests or 429.",
            "最近一次失败提到 RequestLimitExceeded、Throttling、TooManyRequests 或 429。",
        ),
        impact: text("New Services wait; changes come late.", "新 Service 在等待；变更延迟生效。"),
        remedy: text(
            "Make Services in smaller batches, stop what rewrites annotations in a loop, ask for a \
             higher limit.",
            "分批创建 Service，停掉循环改写注解的程序，申请提高限额。",
        ),
        reasons: &["SyncLoadBalancerFailed"],
        scenario: Some("lb-failures-hidden"),
    },
    Code {
        code: "load-balancer-forbidden",
        link: "load-balancer",
        title: text("The provider refuses the controller's identity", "提供方拒绝控制器的身份"),
        meaning: text(
            "The credentials have expired or lack a right; trying again does not help.",
            "凭证已过期或缺少权限；重试没有用。",
        ),
        proof: text(
            "The last failure names UnauthorizedOperation, AuthFailure, AuthorizationFailed or the like.",
            "最近一次失败提到 UnauthorizedOperation、AuthFailure、AuthorizationFailed 之类。",
        ),
        impact: text("Every Service of type LoadBalancer of the cluster.", "集群所有 LoadBalancer 类型的 Service。"),
        remedy: text(
            "Renew the credentials; grant exactly the action that the text names.",
            "更新凭证；只授予文字点名的那项操作。",
        ),
        reasons: &["SyncLoadBalancerFailed"],
        scenario: Some("lb-forbidden"),
    },
    Code {
        code: "load-balancer-quota",
        link: "load-balancer",
        title: text("A quota at the provider is used up", "提供方的配额已用尽"),
        meaning: text(
            "The account may not have more load balancers, addresses or rules.",
            "账户不能再有更多的负载均衡器、地址或规则。",
        ),
        proof: text(
            "The last failure names QuotaExceeded, TooManyLoadBalancers or the like.",
            "最近一次失败提到 QuotaExceeded、TooManyLoadBalancers 之类。",
        ),
        impact: text("New Services; existing ones go on.", "新的 Service；已有的不受影响。"),
        remedy: text(
            "Delete balancers that nobody uses, share one, or have the quota raised.",
            "删除无人使用的负载均衡器，共用一个，或申请提高配额。",
        ),
        reasons: &["SyncLoadBalancerFailed"],
        scenario: Some("lb-quota"),
    },
    Code {
        code: "load-balancer-invalid-parameter",
        link: "load-balancer",
        title: text("The provider refuses a setting of the Service", "提供方拒绝 Service 的某项设置"),
        meaning: text(
            "An annotation, field, subnet or address cannot be had; trying again does not help.",
            "某个注解、字段、子网或地址无法满足；重试没有用。",
        ),
        proof: text(
            "The last failure names InvalidParameterValue, SubnetNotFound or the like.",
            "最近一次失败提到 InvalidParameterValue、SubnetNotFound 之类。",
        ),
        impact: text("This Service.", "该 Service。"),
        remedy: text(
            "Correct what the text names; saving starts the next attempt at once. `portolan lint` \
             knows the annotations.",
            "改正文字点名之处；保存后立即重试。`portolan lint` 认识各家注解。",
        ),
        reasons: &["SyncLoadBalancerFailed"],
        scenario: Some("lb-invalid-parameter"),
    },
    Code {
        code: "load-balancer-timeout",
        link: "load-balancer",
        title: text("The provider does not answer in time", "提供方没有及时应答"),
        meaning: text(
            "Calls end without an answer; whether they were carried out is not known.",
            "调用没有应答就结束；是否已执行无从得知。",
        ),
        proof: text(
            "The last failure is `context deadline exceeded` or another timeout.",
            "最近一次失败是 `context deadline exceeded` 或其他超时。",
        ),
        impact: text("Every Service of type LoadBalancer.", "所有 LoadBalancer 类型的 Service。"),
        remedy: text(
            "Check the way from the controller to the provider's API: firewall, proxy, the provider's \
             health.",
            "检查控制器到提供方 API 的通路：防火墙、代理、提供方自身的状况。",
        ),
        reasons: &["SyncLoadBalancerFailed"],
        scenario: Some("lb-timeout"),
    },
    Code {
        code: "load-balancer-provider-unreachable",
        link: "load-balancer",
        title: text("The provider's API cannot be reached", "连不上提供方的 API"),
        meaning: text(
            "Its name is not resolved, or nobody answers at the address.",
            "名称解析不到，或该地址无人应答。",
        ),
        proof: text(
            "The last failure is `no such host`, `connection refused` or the like.",
            "最近一次失败是 `no such host`、`connection refused` 之类。",
        ),
        impact: text("Every Service of type LoadBalancer.", "所有 LoadBalancer 类型的 Service。"),
        remedy: text(
            "Repair DNS and the way out on the machine of the controller.",
            "修复控制器所在机器的 DNS 和出口。",
        ),
        reasons: &["SyncLoadBalancerFailed"],
        scenario: Some("lb-no-such-host"),
    },
    Code {
        code: "load-balancer-pool-exhausted",
        link: "load-balancer",
        title: text("No address is left in the pool", "地址池已用尽"),
        meaning: text("Every address that could be given is given away.", "可分配的地址都已分完。"),
        proof: text(
            "The last failure says so, in the words of the provider or of the pool.",
            "最近一次失败如此说明，用的是提供方或地址池的文字。",
        ),
        impact: text("New Services; existing ones keep their address.", "新的 Service；已有的保留地址。"),
        remedy: text(
            "Delete or share addresses, or widen the pool; waiting Services then get theirs by \
             themselves.",
            "删除或共用地址，或扩大地址池；等待中的 Service 随后自动得到地址。",
        ),
        reasons: &["IPNotAllocated", "AllocationFailed", "SyncLoadBalancerFailed"],
        scenario: Some("lb-pool-exhausted"),
    },
    Code {
        code: "load-balancer-address-conflict",
        link: "load-balancer",
        title: text("The wanted address is taken", "想要的地址已被占用"),
        meaning: text(
            "A certain address was asked for, and another balancer has it.",
            "指定了某个地址，而它属于另一个负载均衡器。",
        ),
        proof: text("The last failure says that the address is in use.", "最近一次失败说明该地址正在使用。"),
        impact: text("This Service.", "该 Service。"),
        remedy: text(
            "Ask for another address or none, or delete the Service that has it.",
            "换一个地址或不指定，或删除占用它的 Service。",
        ),
        reasons: &["IPNotAllocated", "AllocationFailed", "SyncLoadBalancerFailed"],
        scenario: Some("lb-address-conflict"),
    },
    Code {
        code: "load-balancer-without-nodes",
        link: "load-balancer",
        title: text("The balancer has no nodes", "负载均衡器没有节点"),
        meaning: text(
            "Every node is excluded by label, by the autoscaler's taint or by being deleted, so the \
             balancer leads nowhere.",
            "所有节点都因标签、自动扩缩容的污点或正在删除而被排除，负载均衡器无处转发。",
        ),
        proof: text(
            "No node passes the filter of the service controller; readiness is not part of it.",
            "没有节点通过 service-controller 的筛选；就绪状态不在其中。",
        ),
        impact: text("Users outside: every connection fails.", "外部使用者：所有连接都失败。"),
        remedy: text(
            "Take the label `node.kubernetes.io/exclude-from-external-load-balancers` off, or add nodes.",
            "去掉 `node.kubernetes.io/exclude-from-external-load-balancers` 标签，或增加节点。",
        ),
        reasons: &["UnAvailableLoadBalancer"],
        scenario: Some("lb-without-nodes"),
    },
    Code {
        code: "load-balancer-stuck",
        link: "load-balancer",
        title: text("The balancer has been in the making for long", "负载均衡器长时间没有建好"),
        meaning: text(
            "An attempt has begun and neither ended nor failed: a long call at the provider, or one \
             that leaves the Service to somebody else.",
            "已经开始尝试，却既没成功也没失败：提供方的调用很慢，或它把 Service 交给了别人。",
        ),
        proof: text(
            "EnsuringLoadBalancer without anything after it, longer ago than a provider usually takes.",
            "只有 EnsuringLoadBalancer 而没有下文，且超过提供方通常的耗时。",
        ),
        impact: text("Users outside.", "外部使用者。"),
        remedy: text(
            "Look at the log of the cloud controller manager and at the provider's console.",
            "查看 cloud-controller-manager 的日志和提供方的控制台。",
        ),
        reasons: &["EnsuringLoadBalancer"],
        scenario: None,
    },
    Code {
        code: "load-balancer-sync-failed",
        link: "load-balancer",
        title: text("Setting the balancer up fails", "负载均衡器配置失败"),
        meaning: text(
            "The provider or the API refuses, in words that are in no list.",
            "提供方或 API 拒绝，其文字不在已知之列。",
        ),
        proof: text("The last event about the balancer is a failure.", "关于负载均衡器的最近一条事件是失败。"),
        impact: text(
            "Users outside of a new Service; for an old one changes do not take effect.",
            "新 Service 的外部使用者；已有的则是变更不生效。",
        ),
        remedy: text("Act on the text after the second colon.", "按第二个冒号之后的文字处理。"),
        reasons: &["SyncLoadBalancerFailed"],
        scenario: None,
    },
    Code {
        code: "load-balancer-update-failed",
        link: "load-balancer",
        title: text("The balancer does not have the new set of nodes", "负载均衡器没有换用新的节点集合"),
        meaning: text(
            "Nodes were added or removed, and the provider did not take the change.",
            "节点有增减，而提供方没有接受变更。",
        ),
        proof: text(
            "UpdateLoadBalancerFailed is the last word about the balancer.",
            "关于负载均衡器的最近一条事件是 UpdateLoadBalancerFailed。",
        ),
        impact: text(
            "A part of the traffic goes to nodes that are gone; new nodes get none.",
            "部分流量发往已不在的节点；新节点分不到流量。",
        ),
        remedy: text("Act on the text; a full attempt follows by itself.", "按文字处理；随后会自动做一次完整的尝试。"),
        reasons: &["UpdateLoadBalancerFailed"],
        scenario: Some("lb-update-failed"),
    },
    Code {
        code: "load-balancer-backends-unhealthy",
        link: "load-balancer",
        title: text("The balancer sees no healthy node", "负载均衡器看不到健康的节点"),
        meaning: text(
            "The health check that the provider uses fails on every node that should answer it.",
            "提供方使用的健康检查在每个应当应答的节点上都失败。",
        ),
        proof: text(
            "The health check port does not answer, or no node has a local ready endpoint.",
            "健康检查端口没有应答，或没有节点拥有本地就绪端点。",
        ),
        impact: text("Users outside.", "外部使用者。"),
        remedy: text(
            "Free the health check port, let pods run on the nodes behind the balancer, or use \
             externalTrafficPolicy Cluster.",
            "腾出健康检查端口，让 Pod 运行在负载均衡器后面的节点上，或改用 externalTrafficPolicy \
             Cluster。",
        ),
        reasons: &["FailedToStartServiceHealthcheck"],
        scenario: Some("lb-backends-unhealthy"),
    },
    Code {
        code: "load-balancer-failures-hidden",
        link: "load-balancer",
        title: text("Failures go on, and their events are held back", "失败仍在继续，但事件被限流隐藏"),
        meaning: text(
            "Beyond 25 events of one object only one in five minutes is written, so the failure that \
             matters is not shown.",
            "同一对象超过 25 条后，每五分钟只写一条，因此真正的失败没有显示出来。",
        ),
        proof: text(
            "Attempts are counted and no outcome is shown, with the spam filter's limit reached.",
            "尝试在计数而没有结果，且已达到限流的上限。",
        ),
        impact: text("Users outside of a new Service.", "新 Service 的外部使用者。"),
        remedy: text("Read the log of the controller: it is not limited.", "看控制器的日志：日志不受限流影响。"),
        reasons: &["EnsuringLoadBalancer", "SyncLoadBalancerFailed"],
        scenario: Some("lb-failures-hidden"),
    },
    Code {
        code: "load-balancer-node-excluded",
        link: "load-balancer",
        title: text("A node with pods is excluded from the balancer", "有 Pod 的节点被排除在负载均衡器之外"),
        meaning: text(
            "With externalTrafficPolicy Local the pods of that node get no traffic from outside.",
            "externalTrafficPolicy 为 Local 时，该节点上的 Pod 得不到外部流量。",
        ),
        proof: text(
            "The node has ready endpoints of the Service and the exclusion label.",
            "该节点有此 Service 的就绪端点，又带有排除标签。",
        ),
        impact: text(
            "A part of the capacity; all of it if no other node has pods.",
            "一部分容量；如果别的节点没有 Pod，则是全部。",
        ),
        remedy: text(
            "Take the label off, or keep these pods from that node.",
            "去掉标签，或不让这些 Pod 调度到该节点。",
        ),
        reasons: &["UnAvailableLoadBalancer", "UpdatedLoadBalancer"],
        scenario: Some("lb-node-excluded"),
    },
];
