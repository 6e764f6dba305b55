//! Host ports and DNS settings of pods.
//!
//! Upstream: the NodePorts predicate that scheduler and kubelet share, and `pkg/kubelet/network/dns/dns.go`.

use super::{DESCRIBE_POD, check, frequency, message, misreading, noted, patterns, remedy, risk, risky};
use crate::lang::text;
use crate::{Api, Bound, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[HOST_PORT_CONFLICT, NODE_PORTS, DNS_CONFIG];

const HOST_PORT_CONFLICT: Entry = Entry {
    name: "HostPortConflict",
    reason: Some(Reason::HostPortConflict),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Legacy { instead: &["FailedScheduling", "NodePorts"] },
    portolan: Portolan {
        emits: true,
        when: text(
            "When another pod, or any process of the node, holds a host port of a pod that was \
             bound there. The pod stays Pending and starts as soon as the port is free. The \
             scheduler keeps two such pods off one node and says FailedScheduling.",
            "Pod 绑定到节点，而它的主机端口被另一个 Pod 或节点上的任何进程占用时。Pod 停在 Pending，端\
             口一空出就启动。调度器不会把这样的两个 Pod 放到同一节点，并以 FailedScheduling 说明。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: Versions { since: Bound::Unverified("0.x"), until: Bound::Unverified("1.6") },
    summary: text("A host port is taken", "主机端口已被占用"),
    messages: &[
        noted(
            "Portolan",
            "hostPort {port}/{protocol} is already in use by pod {namespace}/{name}",
            text(
                "Followed by ` on {address}` after the protocol, if the pod asked for one address.",
                "如果 Pod 只要求某个地址，协议之后还有 ` on {address}`。",
            ),
        ),
        message("Portolan", "hostPort {port}/{protocol} is already in use by process {pid} ({command})"),
        noted(
            "Portolan",
            "hostPort {port}/{protocol} is already in use by a socket of the node",
            text("The process behind it could not be found out.", "查不出套接字属于哪个进程。"),
        ),
        noted(
            "Kubernetes, reason NodePorts",
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod \
             ports",
            text(
                "From kubelet; the pod becomes Failed, with `NodePorts` in status.reason.",
                "来自 kubelet；Pod 变为 Failed，status.reason 为 `NodePorts`。",
            ),
        ),
        noted(
            "Kubernetes, reason FailedScheduling",
            "0/{count} nodes are available: {count} node(s) didn't have free ports for the \
             requested pod ports.",
            text(
                "From default-scheduler; the pod stays Pending. Other causes may follow in the \
                 same text.",
                "来自 default-scheduler；Pod 停在 Pending。同一段文字里可能还有其他原因。",
            ),
        ),
        noted(
            "Kubernetes of the earliest days (unverified)",
            "Cannot start the pod due to host port conflict.",
            text(
                "Spelled `hostPortConflict` then. Sources of about 1.6 still declare \
                 `HostPortConflict`; whether they ever said it was not checked.",
                "当时拼作 `hostPortConflict`。约 1.6 的源码里还声明着 `HostPortConflict`，是否真\
                 的发出过未核实。",
            ),
        ),
    ],
    patterns: patterns::HOST_PORT_CONFLICT,
    meaning: text(
        "Two pods of one node ask for the same protocol and host port, on the same host IP or \
         with one of them on all (0.0.0.0). Only one can have it. Ports of host-network pods \
         count too, since each of their container ports is a host port; ports of ordinary init \
         containers and of finished pods do not. Portolan also sees processes of the node that \
         hold the port; in Kubernetes nothing looks for them.",
        "同一节点上的两个 Pod 要求相同的协议和主机端口，并且主机 IP 相同，或者其中一方要求所有地\
         址（0.0.0.0）。只能有一个得到。使用主机网络的 Pod 也算在内，因为它们的每个容器端口都是主\
         机端口；普通 init 容器和已结束的 Pod 不算。Portolan 还能看到占用端口的节点进程；在 \
         Kubernetes 中没有组件检查这一点。",
    ),
    frequency: frequency::HOST_PORT,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Users of the pod that lost: it does not run. The pod that holds the port is not \
             disturbed. For a DaemonSet that means one node without the service.",
            "落败的那个 Pod 的使用者：它没有运行。占着端口的 Pod 不受打扰。如果是 DaemonSet，就意\
             味着这个节点上没有该服务。",
        ),
    },
    chain: Chain {
        before: text(
            "Scheduled, or a pod created with spec.nodeName, past the scheduler.",
            "Scheduled；或者 Pod 创建时就写了 spec.nodeName，绕过了调度器。",
        ),
        after: text(
            "In Portolan the pod waits, and Created and Started follow once the port is free. In \
             Kubernetes it is Failed and stays so: a ReplicaSet makes another, a DaemonSet \
             deletes it with FailedDaemonPod and tries again, ever more slowly.",
            "在 Portolan 中 Pod 会等待，端口空出后出现 Created 和 Started。在 Kubernetes 中 Pod 变为 \
             Failed，不再恢复：ReplicaSet 会另建一个；DaemonSet 会以 FailedDaemonPod 事件将其删除并重试，\
             间隔越来越长。",
        ),
    },
    checks: &[
        DESCRIBE_POD,
        check(
            "Which of the two cases it is in Kubernetes: Pending is the scheduler, Failed with \
             NodePorts is the node.",
            "在 Kubernetes 中属于哪种情形：Pending 是调度器拦下的，Failed 且原因为 NodePorts 是节点拦下的。",
            "kubectl get pod POD -n NAMESPACE -o jsonpath='{.status.phase} {.status.reason}'",
        ),
        check(
            "Every host port in use, with its node.",
            "所有正在使用的主机端口及其节点。",
            "kubectl get pods -A -o \
             custom-columns=NS:.metadata.namespace,POD:.metadata.name,NODE:.spec.nodeName,PORTS:.spec.containers[*].ports[*].hostPort",
        ),
        check(
            "On the node: processes outside Kubernetes that listen on the port. No event of \
             Kubernetes tells of them.",
            "在节点上：Kubernetes 之外监听该端口的进程。Kubernetes 的任何事件都不会提到它们。",
            "ss -ltnup",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The host port is not really needed.", "其实并不需要主机端口。"),
            text(
                "Drop it and use a Service of type NodePort or LoadBalancer; then any number of \
                 pods fits on a node.",
                "去掉它，改用 NodePort 或 LoadBalancer 类型的 Service，这样一个节点上放多少个 \
                 Pod 都行。",
            ),
            &[],
        ),
        remedy(
            text("More replicas than nodes that fit.", "副本数多于可容纳的节点数。"),
            text(
                "With a host port at most one pod fits on a node: lower the replicas, add nodes, \
                 or make it a DaemonSet. During a rolling update set maxSurge to 0, or the new \
                 pod waits for the old one's port.",
                "用了主机端口，每个节点至多放一个：减少副本、增加节点，或改为 DaemonSet。滚动更新\
                 时把 maxSurge 设为 0，否则新 Pod 要等旧 Pod 让出端口。",
            ),
            &["kubectl scale deployment NAME -n NAMESPACE --replicas=COUNT"],
        ),
        remedy(
            text("Two applications want the same port.", "两个应用要用同一个端口。"),
            text(
                "Give one of them another port, another hostIP, or keep them on different nodes.",
                "给其中一个换端口、换 hostIP，或让它们分处不同的节点。",
            ),
            &[],
        ),
        risky(
            text("The pod is Failed and nothing owns it.", "Pod 已经 Failed，且没有控制器管它。"),
            text(
                "Delete it and create it again once the port is free; a failed pod is not \
                 started again.",
                "等端口空出来之后删除并重建；Failed 的 Pod 不会再被启动。",
            ),
            &["kubectl delete pod POD -n NAMESPACE"],
            risk::POD_LOST,
        ),
    ]),
    misreadings: &[
        misreading(
            text(
                "A pod with this event stays Pending, and the scheduler may move it.",
                "出现这条事件的 Pod 停在 Pending，调度器可能把它挪走。",
            ),
            text(
                "Pods never move. In Kubernetes Pending is the scheduler's case, and a pod that \
                 the node refused is Failed for good; in Portolan it waits on its node.",
                "Pod 从不迁移。在 Kubernetes 中，Pending 是调度器的情形，被节点拒绝的 Pod 永远是 Failed；在 \
                 Portolan 中，Pod 在原节点上等待。",
            ),
        ),
        misreading(
            text("It tells when a process on the host uses the port.", "宿主机上有进程占用该端口时，它会报告。"),
            text(
                "In Portolan it does. In Kubernetes nothing checks that: the port mapping is a \
                 packet rule, not a listening socket, and the host process silently loses its \
                 traffic to the pod. Only a host-network pod fails to bind, and that shows as \
                 BackOff.",
                "在 Portolan 中确实会。在 Kubernetes 中没有任何组件检查这一点：端口映射是报文规则而非监听套\
                 接字，宿主机进程的流量会悄悄改送给 Pod。只有使用主机网络的 Pod 才会绑定失败，表现为 \
                 BackOff。",
            ),
        ),
        misreading(
            text("NodePort Services never conflict.", "NodePort 类型的 Service 不会冲突。"),
            text(
                "A node port that another Service holds is refused by the API (422), and a host \
                 process on that port loses its traffic as well.",
                "已被其他 Service 占用的节点端口会被 API 拒绝（422）；在该端口上监听的宿主机进程\
                 同样会失去流量。",
            ),
        ),
    ],
    aliases: &[],
    scenario: Some("host-port-pod"),
    see_also: &["NodePorts", "FailedScheduling", "BackOff", "FailedSync"],
};

const NODE_PORTS: Entry = Entry {
    name: "NodePorts",
    reason: Some(Reason::NodePorts),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "Only in the upstream vocabulary. In the full one the pod waits for its port, and \
             HostPortConflict says for whom.",
            "仅在 upstream 词表下发出。在 full 词表下 Pod 会等待端口，并由 HostPortConflict 说明被谁\
             占用。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: Versions::since("1.36"),
    summary: text("The node refused a pod whose host port is taken", "主机端口已被占用，节点拒绝了 Pod"),
    messages: &[message(
        "Kubernetes, Portolan in the upstream vocabulary",
        "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
    )],
    patterns: patterns::NODE_PORTS,
    meaning: text(
        "The pod was bound to a node past the scheduler, which would have known better, and \
         another pod of that node holds the host port. The node refuses the pod for good: its \
         phase becomes Failed, with `NodePorts` in status.reason. Despite the name it has \
         nothing to do with Services of type NodePort.",
        "Pod 绕过调度器绑定到节点（调度器本会避开），而该节点上另一个 Pod 已占用主机端口。节点彻底拒绝这个 \
         Pod：阶段变为 Failed，status.reason 为 `NodePorts`。尽管名称如此，它与 NodePort 类型的 Service 无\
         关。",
    ),
    frequency: frequency::HOST_PORT,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text("Users of the pod: it never runs.", "该 Pod 的使用者：它不会再运行。"),
    },
    chain: Chain {
        before: text(
            "A pod with spec.nodeName, a static pod, or two binds at the same moment.",
            "带有 spec.nodeName 的 Pod、静态 Pod，或两次绑定恰好同时发生。",
        ),
        after: text(
            "Its ReplicaSet makes another pod; a DaemonSet says FailedDaemonPod and tries again.",
            "ReplicaSet 会另建一个 Pod；DaemonSet 发出 FailedDaemonPod 并重试。",
        ),
    },
    checks: &[
        DESCRIBE_POD,
        check(
            "The pods of that node with their host ports.",
            "该节点上的 Pod 及其主机端口。",
            "kubectl get pods -A --field-selector spec.nodeName=NODE -o \
             custom-columns=NS:.metadata.namespace,POD:.metadata.name,PORTS:.spec.containers[*].ports[*].hostPort",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The pod was bound by hand.", "Pod 是手工绑定的。"),
            text(
                "Leave spec.nodeName to the scheduler; to choose a node use a nodeSelector or an \
                 affinity.",
                "把 spec.nodeName 留给调度器；要指定节点，请用 nodeSelector 或亲和性。",
            ),
            &["kubectl explain pod.spec.nodeSelector"],
        ),
        risky(
            text("The pod is Failed and nothing owns it.", "Pod 已经 Failed，且没有控制器管它。"),
            text("Delete it, free the port, and create it again.", "删除它，让出端口，再重建。"),
            &["kubectl delete pod POD -n NAMESPACE"],
            risk::POD_LOST,
        ),
    ]),
    misreadings: &[misreading(
        text("The node port of a Service is taken.", "某个 Service 的节点端口被占用。"),
        text(
            "That is refused by the API when the Service is created. This reason is named after \
             the check of the scheduler.",
            "那种情况在创建 Service 时就被 API 拒绝。这个 reason 取自调度器检查项的名称。",
        ),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["HostPortConflict", "FailedScheduling", "PortAlreadyAllocated"],
};

const DNS_CONFIG: Entry = Entry {
    name: "DNSConfigForming",
    reason: Some(Reason::DNSConfigForming),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the DNS settings of a pod, merged from its policy, the node and its dnsConfig, \
             exceed the limits and were cut. In the full vocabulary also, beside \
             FailedCreatePodSandBox, when the node's resolv.conf cannot be read.",
            "Pod 的 DNS 设置（由策略、节点和 dnsConfig 合并而成）超出上限而被截断时。在 full 词表下，节点的 \
             resolv.conf 读不了时也会随 FailedCreatePodSandBox 一起发出。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: Versions { since: Bound::Unverified("1.9"), until: Bound::Present },
    summary: text("The DNS settings were too long and were cut", "DNS 设置超出上限，已被截断"),
    messages: &[
        message(
            "Kubernetes, Portolan",
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied \
             nameserver line is: {servers}",
        ),
        message(
            "Kubernetes, Portolan",
            "Search Line limits were exceeded, some search paths have been omitted, the applied \
             search line is: {searches}",
        ),
        noted(
            "Portolan",
            "Forming DNS config with policy {policy} failed: {error}",
            text(
                "The node's resolv.conf cannot be used, and the pod does not start before it can.",
                "节点的 resolv.conf 无法使用，修好之前 Pod 不会启动。",
            ),
        ),
    ],
    patterns: patterns::DNS_CONFIG_FORMING,
    meaning: text(
        "More than 3 name servers, or more than 32 search paths, or a search line of more than \
         2048 characters, or a single path of more than 253 came together. What did not fit was \
         left out, the pod starts normally, and the text shows what it got. Up to 1.25 the \
         limits for search paths were 6 and 256. It is a notice, not a failure.",
        "名字服务器多于 3 个，或搜索域多于 32 个，或整行搜索域超过 2048 个字符，或单个搜索域超过 \
         253 个字符。放不下的被丢弃，Pod 正常启动，文字里写着实际采用的内容。1.25 及之前，搜索域\
         的上限是 6 个、256 个字符。这是提醒，不是故障。",
    ),
    frequency: frequency::EACH_SANDBOX,
    place: None,
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "Programs that need a name server or a search path that was cut: short names do not \
             resolve, and fully qualified ones do. All others notice nothing.",
            "需要用到被丢弃的名字服务器或搜索域的程序：短名称解析不到，完整域名仍可解析。其余毫无\
             察觉。",
        ),
    },
    chain: Chain {
        before: text("Scheduled.", "Scheduled。"),
        after: text(
            "Created and Started as usual. The same text counts up whenever the pod's sandbox is \
             made anew.",
            "照常出现 Created 和 Started。每当 Pod 的沙箱重建，同样的文字就计数加一。",
        ),
    },
    checks: &[
        check(
            "What the pod really got.",
            "Pod 实际得到的配置。",
            "kubectl exec POD -n NAMESPACE -- cat /etc/resolv.conf",
        ),
        check(
            "Its policy and additions.",
            "它的策略和附加设置。",
            "kubectl get pod POD -n NAMESPACE -o jsonpath='{.spec.dnsPolicy} {.spec.dnsConfig}'",
        ),
        check(
            "On the node: the file that policies Default and ClusterFirst build on.",
            "在节点上：Default 与 ClusterFirst 策略都以此文件为基础。",
            "cat /etc/resolv.conf",
        ),
        check(
            "Whether names resolve.",
            "名称能否解析。",
            "kubectl exec POD -n NAMESPACE -- nslookup kubernetes.default",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("Nothing that matters was cut.", "被丢弃的都无关紧要。"),
            text(
                "Nothing to do; shorten the node's list when convenient, to be rid of the notice.",
                "无需处理；方便时缩短节点上的列表，提醒就会消失。",
            ),
            &[],
        ),
        remedy(
            text("The node lists too many servers or search paths.", "节点上的名字服务器或搜索域过多。"),
            text(
                "Shorten the file that the kubelet reads (resolvConf in its configuration; \
                 /run/systemd/resolve/resolv.conf under systemd-resolved). New pods follow; \
                 running ones keep their file.",
                "精简 kubelet 读取的文件（其配置中的 resolvConf；使用 systemd-resolved 时是 \
                 /run/systemd/resolve/resolv.conf）。新 Pod 会采用，已运行的 Pod 保持原样。",
            ),
            &[],
        ),
        remedy(
            text("The pod's dnsConfig adds too much.", "Pod 的 dnsConfig 附加得太多。"),
            text(
                "Remove entries there, or set dnsPolicy None and write the whole list yourself, \
                 including the cluster's DNS server.",
                "在那里删减；或把 dnsPolicy 设为 None，自己写出完整列表，别漏了集群 DNS。",
            ),
            &["kubectl explain pod.spec.dnsConfig"],
        ),
    ]),
    misreadings: &[
        misreading(
            text(
                "The kubelet could not form the DNS configuration, so the pod cannot resolve \
                 names.",
                "kubelet 无法生成 DNS 配置，所以 Pod 解析不了域名。",
            ),
            text(
                "If the text speaks of limits it could, and did; only the surplus is missing. A \
                 resolv.conf that cannot be read shows as FailedCreatePodSandBox in Kubernetes, \
                 and the pod does not start.",
                "文字里说的是上限，就表示配置已经生成，只是少了超出的部分。resolv.conf 读不了时，Kubernetes \
                 显示为 FailedCreatePodSandBox，而且 Pod 不会启动。",
            ),
        ),
        misreading(
            text(
                "`cannot find service kube-dns` is one of its texts.",
                "`cannot find service kube-dns` 是它的一种文字。",
            ),
            text(
                "The kubelet never looks that Service up; it has the address from its own \
                 configuration. When that is missing it says MissingClusterDNS, on the pod and \
                 on the node.",
                "kubelet 从不查询那个 Service，地址写在它自己的配置里。缺少这项配置时，它会在 \
                 Pod 和节点上发出 MissingClusterDNS。",
            ),
        ),
    ],
    aliases: &[],
    scenario: Some("dns-truncated"),
    see_also: &["MissingClusterDNS", "CheckLimitsForResolvConf", "FailedCreatePodSandBox", "Started"],
};
