//! Good practice.

use super::{Rule, new};
use crate::lint::Level::{Note, Warning};

pub(super) const RULES: &[Rule] = &[
    new(
        "practice-readiness-probe-missing",
        Warning,
        ["Pods behind a Service have no readinessProbe.", "Service 后面的 Pod 没有 readinessProbe。"],
        [
            "Without one a pod counts as ready as soon as its process runs, so every start and every hang costs requests.",
            "没有它，进程一运行 Pod 就算就绪，每次启动和卡住都会损失请求。",
        ],
    ),
    new(
        "practice-grace-too-short",
        Warning,
        ["Pods reached from outside end within seconds.", "可从外部访问的 Pod 在几秒内就结束。"],
        [
            "Proxies and balancers learn of the end only a little later and still send meanwhile.",
            "代理和负载均衡器稍后才知道 Pod 结束，期间仍会发来流量。",
        ],
    ),
    new(
        "practice-no-pre-stop",
        Note,
        ["Pods reached from outside have no preStop.", "可从外部访问的 Pod 没有 preStop。"],
        [
            "A process that exits at SIGTERM loses what the balancer sends until its health check fails.",
            "收到 SIGTERM 就退出的进程，会丢失负载均衡器在健康检查失败前发来的流量。",
        ],
    ),
    new(
        "practice-pre-stop-too-long",
        Warning,
        ["preStop takes the whole grace period.", "preStop 占用了整个宽限期。"],
        [
            "The grace period includes preStop; when it is over, the process is killed.",
            "宽限期包含 preStop；到期后进程会被杀死。",
        ],
    ),
    new(
        "practice-local-policy-spread",
        Note,
        [
            "externalTrafficPolicy Local over pods that may share a node.",
            "externalTrafficPolicy 为 Local，但 Pod 可能在同一节点上。",
        ],
        [
            "Balancers divide traffic among nodes, so pods that share a node get less each, and nodes without one take none.",
            "负载均衡器按节点分配流量，同一节点上的 Pod 各分得更少，没有 Pod 的节点不接收流量。",
        ],
    ),
    new(
        "practice-host-port",
        Warning,
        ["A workload takes ports of its nodes.", "工作负载占用节点端口。"],
        [
            "Only one pod fits on a node, updates wait for free nodes, and clients must know the nodes.",
            "每个节点只能有一个 Pod，更新需要等待空闲节点，客户端还必须知道节点地址。",
        ],
    ),
    new(
        "practice-source-ranges-missing",
        Note,
        ["A load balancer that lets everyone in.", "允许所有人访问的负载均衡器。"],
        ["A public balancer is found by scanners within minutes.", "公网负载均衡器几分钟内就会被扫描到。"],
    ),
    new(
        "practice-headless-port",
        Note,
        ["A headless Service has another port than its pods.", "headless Service 的端口与 Pod 的端口不同。"],
        [
            "Nothing translates it: clients that do not read SRV records have to know the pods' port.",
            "没有组件会转换端口：不读取 SRV 记录的客户端必须知道 Pod 的端口。",
        ],
    ),
    new(
        "practice-affinity-on-headless",
        Warning,
        ["Session affinity on a headless Service.", "headless Service 上设置了会话保持。"],
        ["There is no proxy between client and pod that could keep it.", "客户端与 Pod 之间没有可以实现它的代理。"],
    ),
    new(
        "practice-affinity-timeout",
        Note,
        ["Session affinity without a time of its own.", "会话保持没有指定时长。"],
        [
            "Three hours hold clients to a pod long after it is overloaded or about to be replaced.",
            "三小时内客户端会一直固定在某个 Pod 上，即使它已过载或即将被替换。",
        ],
    ),
    new(
        "practice-not-ready-published",
        Warning,
        [
            "publishNotReadyAddresses on a Service with a cluster IP.",
            "带集群 IP 的 Service 设置了 publishNotReadyAddresses。",
        ],
        ["Readiness no longer takes a failing pod out of the rotation.", "就绪状态不再能把故障 Pod 移出流量。"],
    ),
    new(
        "practice-node-port-fixed",
        Note,
        ["A node port is chosen by hand.", "手工指定了 NodePort。"],
        [
            "It can be taken, and programs of the node on that port silently lose their traffic.",
            "它可能已被占用，节点上使用该端口的程序会悄悄丢失流量。",
        ],
    ),
    new(
        "practice-mixed-protocols",
        Note,
        ["One load balancer for several protocols.", "一个负载均衡器使用多种协议。"],
        ["The API allows it since 1.26; providers differ.", "自 1.26 起 API 允许，但各云厂商支持情况不同。"],
    ),
    new(
        "practice-load-balancer-ip",
        Warning,
        ["spec.loadBalancerIP is set.", "设置了 spec.loadBalancerIP。"],
        [
            "Deprecated since 1.24: it cannot say two families, and providers treat it differently.",
            "自 1.24 起弃用：无法表示双栈，且各云厂商处理方式不同。",
        ],
    ),
    new(
        "practice-external-ips",
        Warning,
        ["spec.externalIPs is set.", "设置了 spec.externalIPs。"],
        [
            "Every node captures traffic to these addresses, whoever owns them.",
            "每个节点都会截获发往这些地址的流量，不论地址归谁所有。",
        ],
    ),
    new(
        "practice-prefer-close",
        Note,
        ["trafficDistribution: PreferClose.", "trafficDistribution: PreferClose。"],
        ["Deprecated for PreferSameZone, which says what it does.", "已由含义明确的 PreferSameZone 取代。"],
    ),
    new(
        "practice-topology-annotation",
        Warning,
        ["Topology by annotation.", "用注解设置拓扑。"],
        [
            "Its heuristics withdraw all hints when zones are uneven; trafficDistribution does what it says.",
            "各可用区不均时它会撤回全部提示；trafficDistribution 则按所写执行。",
        ],
    ),
    new(
        "practice-endpoints-by-hand",
        Warning,
        ["Endpoints written by hand.", "手写的 Endpoints。"],
        [
            "The API is deprecated since 1.33, holds 1000 addresses, and proxies do not read it.",
            "该 API 自 1.33 起弃用，最多 1000 个地址，且代理不读取它。",
        ],
    ),
    new(
        "practice-field-ignored",
        Warning,
        ["A field that this type of Service does not have.", "该类型的 Service 不使用此字段。"],
        ["The API server warns and keeps it; nothing reads it.", "API server 会警告并保留它，但没有组件读取。"],
    ),
];
