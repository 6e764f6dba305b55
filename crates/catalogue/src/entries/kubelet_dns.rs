//! DNS settings of a node that are missing or too long by themselves.
//!
//! Upstream: `pkg/kubelet/network/dns/dns.go`.

use super::{DESCRIBE_POD, check, frequency, message, misreading, noted, patterns, place, remedy, risk, risky};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[NO_CLUSTER_DNS, RESOLV_CONF];

const NO_CLUSTER_DNS: Entry = Entry {
    name: "MissingClusterDNS",
    reason: Some(Reason::MissingClusterDNS),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a pod wants the cluster's DNS and the node agent was given no address of it, on the \
             Node and on the Pod.",
            "Pod 要使用集群 DNS 而节点代理没有它的地址时，Node 和 Pod 上各一条。",
        ),
    },
    emitter: "kubelet",
    object: "Pod, Node",
    api: Api::Core,
    versions: Versions::since("1.36"),
    summary: text("The node does not know the cluster's DNS server", "节点不知道集群 DNS 的地址"),
    messages: &[
        noted(
            "Kubernetes, Portolan",
            "kubelet does not have ClusterDNS IP configured and cannot create Pod using \
             \"ClusterFirst\" policy. Falling back to \"Default\" policy.",
            text("On the Node.", "挂在 Node 上。"),
        ),
        noted(
            "Kubernetes, Portolan",
            "pod: \"{pod}({uid})\". kubelet does not have ClusterDNS IP configured and cannot \
             create Pod using \"ClusterFirst\" policy. Falling back to \"Default\" policy.",
            text(
                "On the Pod; the pod is named as `name_namespace(uid)`.",
                "挂在 Pod 上；其中的 Pod 写作 `名称_命名空间(uid)`。",
            ),
        ),
    ],
    patterns: patterns::MISSING_CLUSTER_DNS,
    meaning: text(
        "A pod wants the DNS of the cluster, and the agent of its node has no address for it. \
         The pod starts with the DNS of the node instead, which knows no Services.",
        "Pod 要使用集群 DNS，而所在节点的代理没有配置它的地址。Pod 改用节点的 DNS 启动，而节点的 DNS 不认识 \
         Service。",
    ),
    frequency: frequency::EACH_POD_SYNC,
    place: Some(place::NODE_EVENTS),
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Every pod with dnsPolicy ClusterFirst on that node: names of Services do not \
             resolve. Names of the outside do.",
            "该节点上所有 dnsPolicy 为 ClusterFirst 的 Pod：Service 名称解析不到，外部域名可以解析。",
        ),
    },
    chain: Chain {
        before: text("Scheduled.", "Scheduled。"),
        after: text(
            "Created and Started as usual, then errors of the program that looks a Service up.",
            "照常出现 Created 和 Started，随后程序在查询 Service 名称时报错。",
        ),
    },
    checks: &[
        DESCRIBE_POD,
        check(
            "What the pod really got.",
            "Pod 实际得到的配置。",
            "kubectl exec POD -n NAMESPACE -- cat /etc/resolv.conf",
        ),
        check(
            "The address that belongs there.",
            "本应写入的地址。",
            "kubectl get service kube-dns -n kube-system -o jsonpath='{.spec.clusterIP}'",
        ),
        check(
            "The kubelet's own configuration.",
            "kubelet 自身的配置。",
            "kubectl get --raw /api/v1/nodes/NODE/proxy/configz",
        ),
    ],
    remedies: Remedies::Steps(&[
        risky(
            text("The kubelet's configuration has no clusterDNS.", "kubelet 配置中没有 clusterDNS。"),
            text(
                "Write the address of the DNS Service there, restart the kubelet, and make the \
                 pods anew: running ones keep their file.",
                "写入 DNS Service 的地址，重启 kubelet，并重建 Pod：运行中的 Pod 不会更新。",
            ),
            &["systemctl restart kubelet", "kubectl delete pod POD -n NAMESPACE"],
            risk::POD_LOST,
        ),
        remedy(
            text("The pod needs no Services.", "Pod 用不到 Service。"),
            text("Set dnsPolicy Default, and nothing is said.", "把 dnsPolicy 设为 Default，就不会再提示。"),
            &["kubectl explain pod.spec.dnsPolicy"],
        ),
    ]),
    misreadings: &[misreading(
        text("The DNS server of the cluster is down.", "集群 DNS 服务器挂了。"),
        text(
            "The kubelet never asks it. Its address is missing in the configuration of this node.",
            "kubelet 从不访问它；缺的是本节点配置中的地址。",
        ),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["DNSConfigForming", "CheckLimitsForResolvConf"],
};

const RESOLV_CONF: Entry = Entry {
    name: "CheckLimitsForResolvConf",
    reason: Some(Reason::CheckLimitsForResolvConf),
    severity: Severity::Warning,
    category: Category::Network,
    status: Status::Current,
    portolan: Portolan {
        emits: true, when: text("Once, when a node agent starts.", "节点代理启动时检查一次。")
    },
    emitter: "kubelet",
    object: "Node",
    api: Api::Core,
    versions: Versions::since("1.27"),
    summary: text("The node's resolv.conf is too long or unreadable", "节点的 resolv.conf 过长或无法读取"),
    messages: &[
        noted(
            "Kubernetes, Portolan",
            "Resolv.conf file '{file}' contains search line consisting of more than {limit} \
             domains!",
            text(
                "The limit is 32, less the three that the cluster adds to each pod.",
                "上限是 32，再减去集群给每个 Pod 添加的三个。",
            ),
        ),
        message(
            "Kubernetes, Portolan",
            "Resolv.conf file \"{file}\" contains a search path which length is more than allowed \
             253 chars!",
        ),
        message(
            "Kubernetes, Portolan",
            "Resolv.conf file '{file}' contains search line which length is more than allowed \
             2048 chars!",
        ),
        message("Kubernetes, Portolan", "open {file}: no such file or directory"),
    ],
    patterns: patterns::CHECK_LIMITS_FOR_RESOLV_CONF,
    meaning: text(
        "When the agent of a node starts, it reads the resolv.conf that pods will inherit, once, \
         and finds more search domains than fit, or cannot read it. It stops at the first thing \
         that it finds.",
        "节点代理启动时读取一次将由 Pod 继承的 resolv.conf，发现搜索域放不下，或文件读不了。查到第一处问题就\
         停止。",
    ),
    frequency: frequency::KUBELET_START,
    place: Some(place::NODE_EVENTS),
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "Pods of that node lose the last search domains. If the file cannot be read, pods \
             that need it do not start at all.",
            "该节点上的 Pod 会丢失末尾的搜索域。如果文件读不了，需要它的 Pod 根本无法启动。",
        ),
    },
    chain: Chain {
        before: text("Starting, on the Node.", "Node 上的 Starting。"),
        after: text(
            "DNSConfigForming on each pod, or FailedCreatePodSandBox if the file is unreadable.",
            "每个 Pod 上的 DNSConfigForming；文件读不了则是 FailedCreatePodSandBox。",
        ),
    },
    checks: &[
        check("On the node: the file itself.", "在节点上：查看该文件。", "cat /etc/resolv.conf"),
        check(
            "Whether pods were cut.",
            "是否有 Pod 的设置被截断。",
            "kubectl get events -A --field-selector reason=DNSConfigForming",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("Too many search domains.", "搜索域过多。"),
            text(
                "Shorten the list where it comes from (DHCP, systemd-resolved), or give the \
                 kubelet a file of its own with resolvConf.",
                "从来源处（DHCP、systemd-resolved）精简；或用 resolvConf 给 kubelet 单独指定一个文件。",
            ),
            &["cat /run/systemd/resolve/resolv.conf"],
        ),
        risky(
            text("The file is not there.", "文件不存在。"),
            text("Correct resolvConf in the kubelet's configuration.", "改正 kubelet 配置中的 resolvConf。"),
            &["systemctl restart kubelet"],
            risk::RESTART,
        ),
    ]),
    misreadings: &[misreading(
        text("No such event means that the file is fine.", "没有这条事件，说明文件没有问题。"),
        text(
            "It is checked only at the start, and events expire after an hour.",
            "只在启动时检查，而事件一小时后过期。",
        ),
    )],
    aliases: &[],
    scenario: None,
    see_also: &["DNSConfigForming", "MissingClusterDNS"],
};
