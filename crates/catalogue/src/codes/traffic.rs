//! Findings about the way of packets: ports, policies, rules, flows, sockets and real connections.

use super::Code;
use crate::lang::text;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "target-port-not-declared",
        link: "ports",
        title: text("No container declares the named targetPort", "没有容器声明该名称的 targetPort"),
        meaning: text(
            "A targetPort by name is looked up in the containers of each pod; where it is missing the \
             pod has no port.",
            "按名称的 targetPort 会在每个 Pod 的容器里查找；找不到，该 Pod 就没有端口。",
        ),
        proof: text(
            "The name is in no container or sidecar of any matching pod; near names are shown.",
            "该名称不在任何匹配 Pod 的容器或 sidecar 中；会列出相近的名称。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text("Name the container port so, or use its number.", "给容器端口取这个名称，或直接用端口号。"),
        reasons: &[],
        scenario: Some("second-port"),
    },
    Code {
        code: "target-port-protocol-mismatch",
        link: "ports",
        title: text("The named targetPort has another protocol", "同名 targetPort 的协议不同"),
        meaning: text(
            "Name and protocol must both agree; a UDP port is not found by a TCP one of the same name.",
            "名称和协议必须都一致；同名的 UDP 端口不会被 TCP 端口匹配。",
        ),
        proof: text("A container declares the name with another protocol.", "某个容器以另一协议声明了该名称。"),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Set the protocol of the Service port as the container has it.",
            "把 Service 端口的协议改成与容器一致。",
        ),
        reasons: &[],
        scenario: Some("target-port-protocol"),
    },
    Code {
        code: "target-port-partly-declared",
        link: "ports",
        title: text("Some pods lack the named targetPort", "部分 Pod 缺少该名称的 targetPort"),
        meaning: text(
            "Pods of one Service differ, as in the middle of a rollout; those without the name get \
             nothing.",
            "同一 Service 的 Pod 不一致，例如发布途中；没有该名称的分不到流量。",
        ),
        proof: text("Some matching pods declare the name and some do not.", "匹配的 Pod 有的声明了该名称，有的没有。"),
        impact: text("The load falls on the others.", "负载都落在其余 Pod 上。"),
        remedy: text(
            "Name the port in all templates that the selector matches.",
            "在 selector 匹配的所有模板中都声明该端口。",
        ),
        reasons: &[],
        scenario: Some("target-port-partly"),
    },
    Code {
        code: "slice-ports-mismatch",
        link: "ports",
        title: text("Service and slices name a port differently", "Service 与 EndpointSlice 的端口名称不同"),
        meaning: text(
            "Proxies match ports of a Service and of its slices by name and protocol, never by number; \
             hand-written slices often get this wrong.",
            "代理按名称和协议匹配 Service 与 EndpointSlice 的端口，而不按端口号；手写的 EndpointSlice \
             常在这里出错。",
        ),
        proof: text(
            "No slice has a port of the Service port's name and protocol, or that port has no number.",
            "没有 EndpointSlice 含有同名同协议的端口，或该端口没有端口号。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Give the slice's port the name of the Service's port, or none if that has none.",
            "让 EndpointSlice 的端口与 Service 的端口同名；Service 端口无名则留空。",
        ),
        reasons: &[],
        scenario: None,
    },
    Code {
        code: "internal-policy-without-local-endpoint",
        link: "policy",
        title: text(
            "internalTrafficPolicy Local, and the caller's node has no endpoint",
            "internalTrafficPolicy 为 Local，而调用方的节点没有端点",
        ),
        meaning: text(
            "With this policy a node uses only endpoints of its own; without one, traffic to the \
             ClusterIP is dropped.",
            "在此策略下节点只使用本地端点；没有时，发往 ClusterIP 的流量被丢弃。",
        ),
        proof: text(
            "Ready endpoints exist, and none is on the node of the caller.",
            "存在就绪端点，但调用方的节点上没有。",
        ),
        impact: text("Callers on that node: time-outs, not refusals.", "该节点上的调用方：超时，而不是被拒绝。"),
        remedy: text(
            "Run a pod on every node (DaemonSet), or use Cluster.",
            "让每个节点都有 Pod（DaemonSet），或改用 Cluster。",
        ),
        reasons: &[],
        scenario: Some("itp-local"),
    },
    Code {
        code: "external-policy-without-local-endpoint",
        link: "policy",
        title: text(
            "externalTrafficPolicy Local, and nodes have no endpoint",
            "externalTrafficPolicy 为 Local，而节点没有端点",
        ),
        meaning: text(
            "With this policy a node answers from outside only with endpoints of its own and drops the \
             rest; balancers find that out by the health check.",
            "在此策略下节点只用本地端点应答外部流量，其余丢弃；负载均衡器靠健康检查得知。",
        ),
        proof: text(
            "The node that is addressed, or every eligible node, has no ready endpoint.",
            "被访问的节点，或所有可用节点，都没有就绪端点。",
        ),
        impact: text("Callers from outside through those nodes: time-outs.", "经这些节点访问的外部调用方：超时。"),
        remedy: text(
            "Spread the pods over the nodes of the balancer, or use Cluster, which hides the client's \
             address.",
            "把 Pod 分散到负载均衡器的节点，或改用 Cluster（会隐藏客户端地址）。",
        ),
        reasons: &["FailedToStartServiceHealthcheck"],
        scenario: Some("etp-local"),
    },
    Code {
        code: "network-policy-blocks",
        link: "network-policy",
        title: text("A NetworkPolicy blocks the way", "NetworkPolicy 拦截了流量"),
        meaning: text(
            "Pods that are selected by a policy get only what some policy allows; this caller or port \
             is not allowed.",
            "被策略选中的 Pod 只接受某条策略放行的流量；该调用方或端口没有放行。",
        ),
        proof: text(
            "The policies that select the pods (ingress) or the caller (egress) were evaluated, and \
             none allows it.",
            "已计算选中这些 Pod（ingress）或调用方（egress）的策略，没有一条放行。",
        ),
        impact: text(
            "The caller: time-outs, where the network plugin enforces policies.",
            "该调用方：超时（前提是网络插件执行策略）。",
        ),
        remedy: text(
            "Add a rule for the caller and the pods' own port; do not forget DNS for egress.",
            "为该调用方和 Pod 的实际端口添加规则；egress 别忘了放行 DNS。",
        ),
        reasons: &[],
        scenario: Some("policy-deny-ingress"),
    },
    Code {
        code: "hints-starve-zone",
        link: "topology",
        title: text("Zone hints leave a zone to too few endpoints", "可用区提示让某个区的端点过少"),
        meaning: text(
            "Hints keep traffic in its zone; where few endpoints serve a busy zone they are overloaded.",
            "提示把流量留在本区；繁忙的区端点过少，就会过载。",
        ),
        proof: text(
            "Every endpoint has a hint, and a zone has few or none of its own.",
            "每个端点都有提示，而某个区自己的端点很少或没有。",
        ),
        impact: text("Callers in that zone.", "该区的调用方。"),
        remedy: text(
            "Spread the pods evenly (topologySpreadConstraints), or take the hints off.",
            "均匀分布 Pod（topologySpreadConstraints），或取消提示。",
        ),
        reasons: &["TopologyAwareHintsEnabled", "TopologyAwareHintsDisabled"],
        scenario: Some("hints-starve"),
    },
    Code {
        code: "source-ranges-exclude-caller",
        link: "source-ranges",
        title: text("loadBalancerSourceRanges exclude the caller", "loadBalancerSourceRanges 不包含调用方"),
        meaning: text(
            "Only the listed ranges may use the balancer's address; others are dropped. The caller's \
             address is the one that the node sees.",
            "只有列出的网段可以使用负载均衡器的地址，其余丢弃。以节点看到的来源地址为准。",
        ),
        proof: text("The caller's address is in none of the ranges.", "调用方的地址不在任何网段内。"),
        impact: text(
            "Callers outside the ranges: time-outs. Node ports are not restricted.",
            "网段之外的调用方：超时。节点端口不受限制。",
        ),
        remedy: text("Add the caller's range.", "加入调用方的网段。"),
        reasons: &[],
        scenario: Some("source-ranges"),
    },
    Code {
        code: "proxy-not-running",
        link: "proxy",
        title: text("The node's proxy does not run", "节点的代理没有运行"),
        meaning: text(
            "Without its proxy a node keeps old rules at best and knows no new Service.",
            "没有代理，节点至多保留旧规则，不认识新的 Service。",
        ),
        proof: text(
            "The health endpoint does not answer, or no kube-proxy pod runs there and no rules of any \
             proxy are found.",
            "健康端点没有应答，或那里没有 kube-proxy 的 Pod，也没有任何代理的规则。",
        ),
        impact: text(
            "Callers on that node, and traffic that enters there.",
            "该节点上的调用方，以及从那里进入的流量。",
        ),
        remedy: text("Start it, and read why it ended.", "启动它，并查明为何退出。"),
        reasons: &["Starting"],
        scenario: Some("proxy-stopped"),
    },
    Code {
        code: "proxy-not-syncing",
        link: "proxy",
        title: text("The node's proxy runs and does not write rules", "节点的代理在运行却没有写入规则"),
        meaning: text("Changes have waited longer than they should.", "变更等待的时间超出正常。"),
        proof: text(
            "Its health endpoint says 503: updates are queued and none was completed.",
            "其健康端点返回 503：更新在排队而没有一次完成。",
        ),
        impact: text("Callers on that node, once something changes.", "一旦有变化，该节点上的调用方。"),
        remedy: text(
            "Read its log: a rule that the kernel refuses, a missing module, a lock that somebody holds.",
            "看它的日志：内核拒绝的规则、缺少的模块，或被占用的锁。",
        ),
        reasons: &[],
        scenario: Some("proxy-frozen"),
    },
    Code {
        code: "proxy-rules-missing",
        link: "proxy",
        title: text("The rules of the Service are not in the kernel", "内核中没有该 Service 的规则"),
        meaning: text(
            "The proxy is healthy by its own account and the rules are not there: something flushed \
             them, or it ignores this Service.",
            "代理自称健康，规则却不在：被别的程序清除，或它不理会该 Service。",
        ),
        proof: text(
            "The node's ruleset was read and has nothing for this address and port.",
            "已读取节点的规则集，其中没有该地址和端口。",
        ),
        impact: text("Callers on that node.", "该节点上的调用方。"),
        remedy: text(
            "Find what flushes rules (firewall services); restart the proxy to write them anew.",
            "找出清除规则的程序（防火墙服务）；重启代理以重新写入。",
        ),
        reasons: &[],
        scenario: Some("proxy-rules-flushed"),
    },
    Code {
        code: "proxy-rules-stale",
        link: "proxy",
        title: text("The rules in the kernel are old", "内核中的规则已经过时"),
        meaning: text(
            "The rules lead to other endpoints than the slices hold.",
            "规则指向的端点与 EndpointSlice 不同。",
        ),
        proof: text(
            "The node's ruleset was read and compared with the endpoints that the node should use.",
            "已读取节点的规则集，并与该节点应当使用的端点对照。",
        ),
        impact: text("A part of the connections on that node fails.", "该节点上的部分连接失败。"),
        remedy: text(
            "See whether the proxy can watch the API and write rules.",
            "查看代理能否监听 API、能否写入规则。",
        ),
        reasons: &[],
        scenario: None,
    },
    Code {
        code: "conntrack-stale",
        link: "conntrack",
        title: text("Old flows lead to a pod that is gone", "旧连接仍指向已不存在的 Pod"),
        meaning: text(
            "The kernel remembers where a flow goes; a UDP client that keeps its port keeps being sent \
             to the old pod.",
            "内核记得每条流的去向；保持端口不变的 UDP 客户端会一直被送往旧 Pod。",
        ),
        proof: text(
            "The node's table of flows has entries of this Service whose endpoint is in no slice.",
            "节点的流表中有该 Service 的条目，其端点不在任何 EndpointSlice 中。",
        ),
        impact: text(
            "Clients with long-lived UDP flows, such as DNS and syslog.",
            "使用长期 UDP 流的客户端，例如 DNS 和 syslog。",
        ),
        remedy: text(
            "Delete the entries (`conntrack -D`), or let the client use a new port.",
            "删除这些条目（`conntrack -D`），或让客户端换一个端口。",
        ),
        reasons: &[],
        scenario: None,
    },
    Code {
        code: "affinity-to-dead-pod",
        link: "conntrack",
        title: text("Session affinity sends clients to a dead pod", "会话保持把客户端送往失效的 Pod"),
        meaning: text(
            "With ClientIP affinity a client is kept at its pod for up to three hours, and this pod no \
             longer serves.",
            "ClientIP 会话保持会让客户端最长三小时固定在一个 Pod，而它已不再服务。",
        ),
        proof: text(
            "sessionAffinity ClientIP, and flows or rules that lead to an endpoint that is gone.",
            "sessionAffinity 为 ClientIP，且有流或规则指向已不在的端点。",
        ),
        impact: text("The clients that are bound to it.", "被固定到它的客户端。"),
        remedy: text(
            "Shorten timeoutSeconds; restart the proxy of the node if its rules are stale.",
            "缩短 timeoutSeconds；如果规则过时，重启节点的代理。",
        ),
        reasons: &[],
        scenario: Some("affinity-dead-pod"),
    },
    Code {
        code: "nobody-listens",
        link: "socket",
        title: text("Nothing listens on the target port", "目标端口没有程序监听"),
        meaning: text(
            "Rules and endpoints are right, and in the pod nobody has opened the port.",
            "规则和端点都正确，但 Pod 里没有程序打开该端口。",
        ),
        proof: text(
            "The pod's sockets were read, or a real connection to pod and port was refused.",
            "已读取 Pod 的套接字，或实际连接 Pod 的端口被拒绝。",
        ),
        impact: text("Everybody: connection refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Correct targetPort to what the program listens on, or the program's setting.",
            "把 targetPort 改成程序实际监听的端口，或改程序的设置。",
        ),
        reasons: &["Unhealthy"],
        scenario: Some("not-listening"),
    },
    Code {
        code: "listens-on-loopback-only",
        link: "socket",
        title: text("The program listens on 127.0.0.1 only", "程序只监听 127.0.0.1"),
        meaning: text("It answers inside its pod and to nobody else.", "它只在 Pod 内部应答，对外不应答。"),
        proof: text(
            "The pod's sockets show the port on a loopback address only.",
            "Pod 的套接字显示该端口只在环回地址上。",
        ),
        impact: text("Everybody: connection refused.", "所有调用方：连接被拒绝。"),
        remedy: text("Let the program listen on 0.0.0.0 or ::.", "让程序监听 0.0.0.0 或 ::。"),
        reasons: &["Unhealthy"],
        scenario: Some("loopback-only"),
    },
    Code {
        code: "listens-other-protocol",
        link: "socket",
        title: text("The program listens with another protocol", "程序以另一协议监听"),
        meaning: text(
            "The port is open for UDP and the Service says TCP, or the other way round.",
            "端口开放的是 UDP 而 Service 写的是 TCP，或者相反。",
        ),
        proof: text(
            "The pod's sockets show the number with the other protocol only.",
            "Pod 的套接字显示该端口号只有另一协议。",
        ),
        impact: text("Everybody.", "所有调用方。"),
        remedy: text("Set the protocol of the Service port.", "改正 Service 端口的协议。"),
        reasons: &[],
        scenario: Some("other-protocol"),
    },
    Code {
        code: "endpoint-refuses",
        link: "probe",
        title: text("An endpoint refuses connections", "端点拒绝连接"),
        meaning: text(
            "A real connection to a pod that counts as ready was refused.",
            "实际连接一个算作就绪的 Pod，被拒绝。",
        ),
        proof: text(
            "A probe from a node or pod to the endpoint itself, past all rules.",
            "从节点或 Pod 直接连接端点的探测，绕过所有规则。",
        ),
        impact: text("Callers that are sent to it.", "被分到它的调用方。"),
        remedy: text(
            "See whether the program listens there; give the pod a readiness probe that would notice.",
            "查看程序是否在那里监听；为 Pod 加一个能察觉此事的就绪探测。",
        ),
        reasons: &["Unhealthy"],
        scenario: Some("network-reject"),
    },
    Code {
        code: "endpoint-silent",
        link: "probe",
        title: text("An endpoint does not answer", "端点没有应答"),
        meaning: text(
            "A real connection got no answer at all: the program hangs, or something on the way drops \
             packets.",
            "实际连接没有任何应答：程序挂起，或途中有东西丢包。",
        ),
        proof: text(
            "A probe to the endpoint itself timed out, or connected and heard nothing.",
            "直接连接端点的探测超时，或连上后没有回应。",
        ),
        impact: text("Callers that are sent to it: time-outs.", "被分到它的调用方：超时。"),
        remedy: text(
            "See whether the program hangs; then the pod network between the nodes.",
            "先看程序是否挂起，再查节点之间的 Pod 网络。",
        ),
        reasons: &[],
        scenario: Some("silent"),
    },
    Code {
        code: "network-drops",
        link: "probe",
        title: text("The network between nodes drops packets", "节点之间的网络丢包"),
        meaning: text(
            "The endpoint answers on its own node and not from another.",
            "端点在本节点有应答，从其他节点则没有。",
        ),
        proof: text("Probes from two places to the same endpoint differ.", "从两处对同一端点的探测结果不同。"),
        impact: text("Callers on other nodes.", "其他节点上的调用方。"),
        remedy: text(
            "Check the tunnel or routes of the network plugin, firewalls between nodes, and the packet \
             size.",
            "检查网络插件的隧道或路由、节点间的防火墙，以及报文大小。",
        ),
        reasons: &[],
        scenario: Some("network-drop"),
    },
    Code {
        code: "wrong-protocol-answer",
        link: "probe",
        title: text("The program speaks another protocol", "程序使用的是另一种协议"),
        meaning: text(
            "A connection is accepted, and the answer is not of the protocol that the Service names.",
            "连接被接受，但应答不是 Service 所写的协议。",
        ),
        proof: text(
            "A probe in the protocol of `appProtocol` or the port's name got an answer that is not of it.",
            "按 `appProtocol` 或端口名的协议探测，得到的应答不符。",
        ),
        impact: text("Clients and meshes that follow the name.", "依据该名称的客户端和服务网格。"),
        remedy: text(
            "Correct appProtocol or the name of the port, or point targetPort at the right listener.",
            "改正 appProtocol 或端口名，或把 targetPort 指向正确的监听端口。",
        ),
        reasons: &[],
        scenario: Some("wrong-protocol"),
    },
];
