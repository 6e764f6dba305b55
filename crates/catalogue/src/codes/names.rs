//! Findings about the Service itself, its name and its addresses.

use super::Code;
use crate::lang::text;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "namespace-not-found",
        link: "service",
        title: text("The namespace does not exist", "命名空间不存在"),
        meaning: text(
            "Nothing of that name can exist, and DNS answers that there is no such name.",
            "这样的对象不可能存在，DNS 会回答没有此名称。",
        ),
        proof: text("The namespace is not among those of the cluster.", "集群的命名空间中没有它。"),
        impact: text("Everybody who uses the name.", "所有使用该名称的调用方。"),
        remedy: text(
            "Correct the namespace, or create it and what belongs there.",
            "改正命名空间，或创建它及其中的对象。",
        ),
        reasons: &[],
        scenario: None,
    },
    Code {
        code: "service-not-found",
        link: "service",
        title: text("The Service does not exist", "Service 不存在"),
        meaning: text(
            "There is no Service of that name in the namespace; one like it or one elsewhere may be \
             meant.",
            "该命名空间中没有这个名称的 Service；可能想指相近的名称，或别处的同名 Service。",
        ),
        proof: text(
            "The name is not among the Services of the namespace; near names and namesakes elsewhere \
             are shown.",
            "名称不在该命名空间的 Service 之中；会列出相近的名称和别处的同名者。",
        ),
        impact: text("Everybody who uses the name.", "所有使用该名称的调用方。"),
        remedy: text(
            "Correct the name or the namespace, or create the Service.",
            "改正名称或命名空间，或创建该 Service。",
        ),
        reasons: &[],
        scenario: Some("endpoints-delete-refused"),
    },
    Code {
        code: "service-terminating",
        link: "service",
        title: text("The Service is being deleted and does not go", "Service 正在删除却迟迟不消失"),
        meaning: text(
            "The Service has been deleted and waits for whoever owns one of its finalizers.",
            "Service 已被删除，正在等待某个 finalizer 的所有者。",
        ),
        proof: text(
            "`metadata.deletionTimestamp` is set, and finalizers are left.",
            "`metadata.deletionTimestamp` 已设置，且仍有 finalizer。",
        ),
        impact: text(
            "Nobody new gets through reliably, and the name is not free until it is gone.",
            "新的访问不再可靠，名称也要等它消失后才能再用。",
        ),
        remedy: text(
            "Let the owner of the finalizer finish: read its Events and its log. Taking the finalizer \
             off by force leaks what it guards.",
            "让 finalizer 的所有者做完：看它的事件和日志。强行去掉 finalizer，会让它保护的资源无人清理。",
        ),
        reasons: &["DeletingLoadBalancer", "SyncLoadBalancerFailed"],
        scenario: Some("service-terminating"),
    },
    Code {
        code: "load-balancer-delete-failed",
        link: "service",
        title: text("The load balancer of a deleted Service cannot be removed", "已删除 Service 的负载均衡器拆除失败"),
        meaning: text(
            "The cleanup finalizer holds the Service because the provider refuses to delete its balancer.",
            "提供方拒绝删除负载均衡器，清理用的 finalizer 因此留住了 Service。",
        ),
        proof: text(
            "Deletion has been asked for, the finalizer `service.kubernetes.io/load-balancer-cleanup` \
             is there, and the last attempt failed.",
            "已请求删除，finalizer `service.kubernetes.io/load-balancer-cleanup` 还在，且最近一次尝试失\
             败。",
        ),
        impact: text(
            "The Service stays Terminating, and the balancer may go on costing money.",
            "Service 停在 Terminating，负载均衡器可能仍在计费。",
        ),
        remedy: text(
            "Remove what the text names (things attached by hand, deletion protection, a missing \
             right); the next attempt then succeeds by itself.",
            "解除文字中点名的障碍（手工挂接的资源、删除保护、缺少的权限）；下一次重试会自行成功。",
        ),
        reasons: &["DeletingLoadBalancer", "SyncLoadBalancerFailed", "DeleteLoadBalancerFailed"],
        scenario: Some("lb-delete-failed"),
    },
    Code {
        code: "external-name-is-address",
        link: "service",
        title: text("externalName is an IP address", "externalName 填的是 IP 地址"),
        meaning: text(
            "A Service of type ExternalName is an alias in DNS, and an alias must be a name; digits \
             and dots are looked up as one and not found.",
            "ExternalName 类型的 Service 是 DNS 别名，别名必须是名称；数字和点会被当作名称解析，结果找\
             不到。",
        ),
        proof: text("`spec.externalName` parses as an IP address.", "`spec.externalName` 可以解析为 IP 地址。"),
        impact: text("Everybody who uses the name.", "所有使用该名称的调用方。"),
        remedy: text(
            "Use a Service without a selector and an EndpointSlice with that address.",
            "改用没有 selector 的 Service，并用 EndpointSlice 写入该地址。",
        ),
        reasons: &[],
        scenario: Some("external-name-address"),
    },
    Code {
        code: "external-name-malformed",
        link: "service",
        title: text("externalName is not a host name", "externalName 不是主机名"),
        meaning: text(
            "The value has a scheme, a port, a path or characters that no DNS name has, so nothing can \
             resolve it.",
            "值里带有协议、端口、路径或 DNS 名称不允许的字符，因此无法解析。",
        ),
        proof: text("`spec.externalName` is not a DNS name.", "`spec.externalName` 不是合法的 DNS 名称。"),
        impact: text("Everybody who uses the name.", "所有使用该名称的调用方。"),
        remedy: text(
            "Write the bare host name; ports cannot be changed by an alias.",
            "只写主机名；别名改变不了端口。",
        ),
        reasons: &[],
        scenario: Some("external-name-short"),
    },
    Code {
        code: "external-name-loop",
        link: "service",
        title: text("externalName leads back to itself", "externalName 绕回自身"),
        meaning: text(
            "The alias points at itself, directly or through other ExternalName Services.",
            "别名直接或经由其他 ExternalName 类型的 Service 指回自身。",
        ),
        proof: text(
            "Following the aliases inside the cluster comes back to the start.",
            "沿集群内的别名一路查找，又回到起点。",
        ),
        impact: text("Everybody who uses the name.", "所有使用该名称的调用方。"),
        remedy: text(
            "Point it at the name that is really meant, with a trailing domain of its own.",
            "让它指向真正的目标，写出完整域名。",
        ),
        reasons: &[],
        scenario: Some("external-name-loop"),
    },
    Code {
        code: "external-name-target-missing",
        link: "service",
        title: text("externalName names a Service that does not exist", "externalName 指向不存在的 Service"),
        meaning: text(
            "The alias ends in the cluster's own domain, and nothing of that name is there.",
            "别名以集群自己的域名结尾，而那里没有这个名称。",
        ),
        proof: text(
            "The name is `NAME.NAMESPACE.svc` of this cluster, and there is no such Service.",
            "名称是本集群的 `NAME.NAMESPACE.svc`，而该 Service 不存在。",
        ),
        impact: text("Everybody who uses the name.", "所有使用该名称的调用方。"),
        remedy: text("Correct the target, or create it.", "改正目标，或创建它。"),
        reasons: &[],
        scenario: Some("external-name-missing"),
    },
    Code {
        code: "dns-service-missing",
        link: "name",
        title: text("The cluster has no DNS Service", "集群没有 DNS 的 Service"),
        meaning: text("Pods are told to ask an address that nobody owns.", "Pod 被指定去查询一个无人拥有的地址。"),
        proof: text(
            "There is no Service kube-system/kube-dns, and none with that ClusterIP.",
            "没有 kube-system/kube-dns，也没有使用该 ClusterIP 的 Service。",
        ),
        impact: text("All pods that use names.", "所有使用名称的 Pod。"),
        remedy: text(
            "Install the DNS add-on, with the ClusterIP that the kubelets have as clusterDNS.",
            "安装 DNS 组件，ClusterIP 与各 kubelet 的 clusterDNS 一致。",
        ),
        reasons: &["MissingClusterDNS"],
        scenario: Some("dns-service-missing"),
    },
    Code {
        code: "dns-without-endpoints",
        link: "name",
        title: text("No DNS server is ready", "没有就绪的 DNS 服务器"),
        meaning: text(
            "The DNS Service exists, and no pod behind it is ready, so questions are refused.",
            "DNS 的 Service 存在，但背后没有就绪的 Pod，查询会被拒绝。",
        ),
        proof: text(
            "The slices of kube-system/kube-dns hold no ready endpoint.",
            "kube-system/kube-dns 的 EndpointSlice 中没有就绪的端点。",
        ),
        impact: text("All pods that use names.", "所有使用名称的 Pod。"),
        remedy: text(
            "Repair the DNS pods: their own findings say what is wrong.",
            "修复 DNS 的 Pod：它们自己的诊断会说明原因。",
        ),
        reasons: &["Unhealthy", "BackOff"],
        scenario: Some("dns-without-endpoints"),
    },
    Code {
        code: "dns-not-answering",
        link: "name",
        title: text("The DNS server does not answer, or answers wrongly", "DNS 服务器不应答，或应答错误"),
        meaning: text(
            "A question was really asked, and no usable answer came: silence, server failure, or no \
             such name for a Service that exists.",
            "确实发出了查询，却没有可用的应答：沉默、服务器失败，或对存在的 Service 回答没有此名称。",
        ),
        proof: text(
            "A probe asked the cluster's DNS for a name that exists.",
            "探测向集群 DNS 查询了一个确实存在的名称。",
        ),
        impact: text("All pods that use names.", "所有使用名称的 Pod。"),
        remedy: text(
            "Look at the log of the DNS pods and at their right to list Services and slices.",
            "查看 DNS Pod 的日志，以及它们读取 Service 和 EndpointSlice 的权限。",
        ),
        reasons: &[],
        scenario: Some("dns-server-failure"),
    },
    Code {
        code: "pod-dns-truncated",
        link: "name",
        title: text("The pod's DNS settings were cut", "Pod 的 DNS 设置被截断"),
        meaning: text(
            "More name servers or search domains came together than a pod may have; the surplus is \
             missing and the pod runs.",
            "名字服务器或搜索域超过 Pod 的上限；多出的被丢弃，Pod 照常运行。",
        ),
        proof: text(
            "DNSConfigForming on the pod, or a resolv.conf at the limit.",
            "Pod 上有 DNSConfigForming，或 resolv.conf 已达上限。",
        ),
        impact: text(
            "Programs that need what was cut; short names may not resolve.",
            "需要被截断内容的程序；短名称可能解析不到。",
        ),
        remedy: text(
            "Shorten the node's resolv.conf or the pod's dnsConfig.",
            "精简节点的 resolv.conf 或 Pod 的 dnsConfig。",
        ),
        reasons: &["DNSConfigForming", "CheckLimitsForResolvConf"],
        scenario: Some("dns-truncated"),
    },
    Code {
        code: "node-resolv-conf-broken",
        link: "name",
        title: text("The node's resolv.conf cannot be read", "节点的 resolv.conf 无法读取"),
        meaning: text(
            "The kubelet builds the DNS settings of pods from that file; without it their sandbox is \
             not made.",
            "kubelet 根据该文件生成 Pod 的 DNS 设置；读不到它，就建不了沙箱。",
        ),
        proof: text(
            "FailedCreatePodSandBox or DNSConfigForming names the file, or the node's evidence shows \
             it broken.",
            "FailedCreatePodSandBox 或 DNSConfigForming 点名该文件，或节点证据显示它已损坏。",
        ),
        impact: text(
            "New pods on that node; running ones keep their copy.",
            "该节点上的新 Pod；已运行的保留自己的副本。",
        ),
        remedy: text(
            "Restore the file, or set resolvConf of the kubelet to the right one.",
            "恢复该文件，或把 kubelet 的 resolvConf 指向正确的文件。",
        ),
        reasons: &["FailedCreatePodSandBox", "DNSConfigForming"],
        scenario: Some("resolv-conf-broken"),
    },
    Code {
        code: "cluster-dns-not-configured",
        link: "name",
        title: text("The kubelet does not know the cluster's DNS server", "kubelet 不知道集群的 DNS 服务器"),
        meaning: text(
            "Pods of policy ClusterFirst get the node's DNS instead, which knows nothing of Services.",
            "ClusterFirst 策略的 Pod 改用节点的 DNS，而它不认识任何 Service。",
        ),
        proof: text("MissingClusterDNS on the pod or its node.", "Pod 或其节点上有 MissingClusterDNS。"),
        impact: text("All pods of that node that use names of Services.", "该节点上所有使用 Service 名称的 Pod。"),
        remedy: text(
            "Set clusterDNS and clusterDomain in the kubelet's configuration and restart it; then make \
             the pods anew.",
            "在 kubelet 配置中设置 clusterDNS 和 clusterDomain 并重启，再重建 Pod。",
        ),
        reasons: &["MissingClusterDNS"],
        scenario: None,
    },
    Code {
        code: "pod-bypasses-cluster-dns",
        link: "name",
        title: text("The calling pod does not ask the cluster's DNS", "发起访问的 Pod 不使用集群 DNS"),
        meaning: text(
            "By its dnsPolicy or host network the pod asks other servers, which do not know names of \
             Services.",
            "由于 dnsPolicy 或主机网络，该 Pod 查询的是别的服务器，它们不认识 Service 的名称。",
        ),
        proof: text(
            "The caller has dnsPolicy Default or None, or host network with ClusterFirst.",
            "调用方的 dnsPolicy 为 Default 或 None，或在主机网络下使用 ClusterFirst。",
        ),
        impact: text("That pod only; addresses still work for it.", "只有该 Pod；它用地址仍可访问。"),
        remedy: text(
            "Use ClusterFirst, or ClusterFirstWithHostNet with host network.",
            "改用 ClusterFirst；主机网络则用 ClusterFirstWithHostNet。",
        ),
        reasons: &[],
        scenario: Some("bypasses-dns"),
    },
    Code {
        code: "cluster-ip-missing",
        link: "address",
        title: text("The Service has no ClusterIP", "Service 没有 ClusterIP"),
        meaning: text(
            "The type needs an address, and none is written in the Service.",
            "该类型需要地址，而 Service 中没有。",
        ),
        proof: text(
            "`spec.clusterIP` is empty though the Service is neither headless nor ExternalName.",
            "Service 既非 headless 也非 ExternalName，`spec.clusterIP` 却为空。",
        ),
        impact: text("Everybody: there is no address to send to.", "所有调用方：没有可用的目的地址。"),
        remedy: text(
            "Make the Service anew; if the range is full, add a ServiceCIDR first.",
            "重建该 Service；如果范围已满，先添加 ServiceCIDR。",
        ),
        reasons: &["IPNotAllocated"],
        scenario: None,
    },
    Code {
        code: "cluster-ip-out-of-range",
        link: "address",
        title: text("The ClusterIP lies in no range of the cluster", "ClusterIP 不在集群的任何范围内"),
        meaning: text(
            "The range was changed or removed after the Service got its address; routes and drop rules \
             may no longer treat it as one.",
            "Service 得到地址之后，范围被更改或删除；路由和丢弃规则可能不再承认它。",
        ),
        proof: text("No ServiceCIDR contains the address.", "没有 ServiceCIDR 包含该地址。"),
        impact: text(
            "The Service may still work, and its address may be given to something else.",
            "Service 也许还能用，但地址可能被另作他用。",
        ),
        remedy: text(
            "Add the range back as a ServiceCIDR, or make the Service anew.",
            "以 ServiceCIDR 补回该范围，或重建该 Service。",
        ),
        reasons: &["ClusterIPOutOfRange", "ClusterIPNotValid"],
        scenario: Some("cluster-ip-out-of-range"),
    },
    Code {
        code: "cluster-ip-duplicate",
        link: "address",
        title: text("Two Services have the same ClusterIP", "两个 Service 的 ClusterIP 相同"),
        meaning: text(
            "Traffic to the address goes to either of them, by chance and port.",
            "发往该地址的流量可能到任意一个，取决于偶然和端口。",
        ),
        proof: text("Both Services carry the address.", "两个 Service 都写有该地址。"),
        impact: text("Users of both Services.", "两个 Service 的使用者。"),
        remedy: text("Make the younger one anew; it gets another address.", "重建较新的那个，它会得到另一个地址。"),
        reasons: &["ClusterIPAlreadyAllocated"],
        scenario: Some("cluster-ip-duplicate"),
    },
    Code {
        code: "cluster-ip-not-recorded",
        link: "address",
        title: text("The ClusterIP is not recorded as taken", "ClusterIP 没有被登记为已用"),
        meaning: text(
            "Without its record the same address can be given to another Service.",
            "没有登记，同一地址可能再分给另一个 Service。",
        ),
        proof: text(
            "There is no IPAddress object of that address that refers to this Service.",
            "没有指向该 Service 的 IPAddress 对象。",
        ),
        impact: text("Nobody yet.", "暂时无人受影响。"),
        remedy: text(
            "The repair loop of the API server records it within three minutes; if not, look at its log.",
            "API Server 的修复循环会在三分钟内补上；否则查看其日志。",
        ),
        reasons: &["ClusterIPNotAllocated", "IPAddressWrongReference"],
        scenario: Some("cluster-ip-not-recorded"),
    },
    Code {
        code: "node-port-duplicate",
        link: "address",
        title: text("Two Services have the same node port", "两个 Service 的节点端口相同"),
        meaning: text(
            "Traffic to that port of a node goes to one of them only.",
            "发往节点该端口的流量只会到其中一个。",
        ),
        proof: text("Both Services carry the port with the same protocol.", "两个 Service 都写有该端口，且协议相同。"),
        impact: text(
            "Outside users of one of them, and its load balancer.",
            "其中一个的外部使用者，以及它的负载均衡器。",
        ),
        remedy: text("Give one of them another node port.", "给其中一个换一个节点端口。"),
        reasons: &["PortAlreadyAllocated"],
        scenario: Some("node-port-duplicate"),
    },
    Code {
        code: "node-port-out-of-range",
        link: "address",
        title: text("A node port lies outside the range", "节点端口超出范围"),
        meaning: text(
            "The range was narrowed after the Service was made; firewalls that follow the range may \
             block the port.",
            "Service 创建之后范围被收窄；按范围放行的防火墙可能拦截该端口。",
        ),
        proof: text(
            "The port is outside the range that the API server reports.",
            "该端口不在 API Server 报告的范围内。",
        ),
        impact: text("Outside users, if a firewall follows the range.", "外部使用者，如果防火墙按该范围设置。"),
        remedy: text("Choose a port of the range, or widen the range.", "改用范围内的端口，或扩大范围。"),
        reasons: &["PortOutOfRange"],
        scenario: Some("node-port-out-of-range"),
    },
    Code {
        code: "node-port-not-recorded",
        link: "address",
        title: text("A node port is not recorded as taken", "节点端口没有被登记为已用"),
        meaning: text(
            "Without its record the same port can be given to another Service.",
            "没有登记，同一端口可能再分给另一个 Service。",
        ),
        proof: text("PortNotAllocated on the Service.", "Service 上有 PortNotAllocated。"),
        impact: text("Nobody yet.", "暂时无人受影响。"),
        remedy: text("Nothing to do: it repairs itself.", "无需处理，会自行修复。"),
        reasons: &["PortNotAllocated"],
        scenario: None,
    },
    Code {
        code: "ip-family-missing",
        link: "address",
        title: text("The Service lacks an address family that is asked for", "Service 缺少所要求的地址族"),
        meaning: text(
            "Dual stack was wished for or the caller uses the other family, and the Service has an \
             address of one family only.",
            "希望双栈，或调用方使用另一地址族，而 Service 只有一个地址族的地址。",
        ),
        proof: text(
            "`spec.ipFamilies` and `spec.clusterIPs` hold one family, against `spec.ipFamilyPolicy` or \
             the caller's address.",
            "`spec.ipFamilies` 与 `spec.clusterIPs` 只有一个地址族，与 `spec.ipFamilyPolicy` 或调用方的\
             地址不符。",
        ),
        impact: text("Clients of the missing family.", "使用所缺地址族的客户端。"),
        remedy: text(
            "Set ipFamilyPolicy to PreferDualStack on a cluster that has both families.",
            "在双栈集群上把 ipFamilyPolicy 设为 PreferDualStack。",
        ),
        reasons: &[],
        scenario: Some("ip-family"),
    },
    Code {
        code: "headless-port-ignored",
        link: "address",
        title: text("A headless Service does not translate ports", "headless Service 不转换端口"),
        meaning: text(
            "Names of a headless Service lead straight to the pods; clients must use the pods' port, \
             and `port` is not looked at.",
            "headless Service 的名称直接指向 Pod；客户端必须使用 Pod 的端口，`port` 不起作用。",
        ),
        proof: text(
            "`spec.clusterIP` is None, and port and targetPort differ.",
            "`spec.clusterIP` 为 None，而 port 与 targetPort 不同。",
        ),
        impact: text("Clients that connect to `port`: refused.", "连接 `port` 的客户端：会被拒绝。"),
        remedy: text(
            "Let clients use the targetPort, or give the Service a ClusterIP.",
            "让客户端使用 targetPort，或给 Service 一个 ClusterIP。",
        ),
        reasons: &[],
        scenario: Some("headless-port"),
    },
    Code {
        code: "headless-load-balancer",
        link: "address",
        title: text("A headless Service cannot have a load balancer", "headless Service 不能有负载均衡器"),
        meaning: text(
            "Without a ClusterIP there is nothing that a load balancer or node port could lead to.",
            "没有 ClusterIP，负载均衡器和节点端口就无处可去。",
        ),
        proof: text(
            "clusterIP None together with type LoadBalancer or NodePort.",
            "clusterIP 为 None，类型却是 LoadBalancer 或 NodePort。",
        ),
        impact: text("Everybody outside.", "所有外部使用者。"),
        remedy: text(
            "Take clusterIP None away, or use a second Service for the outside.",
            "去掉 clusterIP None，或另建一个对外的 Service。",
        ),
        reasons: &[],
        scenario: None,
    },
];
