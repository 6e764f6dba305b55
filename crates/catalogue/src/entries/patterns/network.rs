//! Causes told by texts about addresses, ports and DNS, answers of the API to refused Services among them.

use crate::Pattern;
use crate::lang::text;

pub(in super::super) const HOST_PORT_CONFLICT: &[Pattern] = &[
    Pattern {
        template: "hostPort {port} is already in use by pod {pod}",
        trouble: None,
        cause: text(
            "Another pod on the node has the same hostPort, protocol and address.",
            "该节点上另一个 Pod 使用相同的 hostPort、协议和地址。",
        ),
        code: Some("host-port-conflict"),
        samples: &["hostPort 8080/TCP is already in use by pod default/web-1"],
    },
    Pattern {
        template: "hostPort {port} is already in use by process {process}",
        trouble: None,
        cause: text(
            "A program of the node itself listens on the port. Kubernetes does not notice this: the \
             pod takes the traffic away from the program.",
            "节点自身的程序在监听该端口。Kubernetes 察觉不到：流量会从该程序转到 Pod。",
        ),
        code: Some("host-port-conflict"),
        samples: &["hostPort 8080/TCP is already in use by process 812 (nginx)"],
    },
    Pattern {
        template: "hostPort {port} is already in use by a socket of the node",
        trouble: None,
        cause: text("Something on the node listens on the port.", "节点上有程序在监听该端口。"),
        code: Some("host-port-conflict"),
        samples: &["hostPort 8080/TCP is already in use by a socket of the node"],
    },
    Pattern {
        template: "hostPort {port} is already in use",
        trouble: None,
        cause: text("The host port is taken.", "主机端口被占用。"),
        code: Some("host-port-conflict"),
        samples: &["hostPort 8080 is already in use by another pod or process"],
    },
];

pub(in super::super) const NODE_PORTS: &[Pattern] = &[Pattern {
    template: "Predicate NodePorts failed: node(s) didn't have free ports",
    trouble: None,
    cause: text(
        "The pod was bound to this node without the scheduler, and a hostPort that it wants is \
             taken there. The pod is Failed and is not tried again.",
        "Pod 未经调度器就绑定到该节点，而它要的 hostPort 在那里已被占用。Pod 变为 Failed，不再重试。",
    ),
    code: Some("host-port-conflict"),
    samples: &["Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"],
}];

pub(in super::super) const DNS_CONFIG_FORMING: &[Pattern] = &[
    Pattern {
        template: "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver \
             line is: {applied}",
        trouble: None,
        cause: text(
            "More than three name servers came together; the surplus was left out and the pod runs.",
            "名字服务器超过三个；多出的被丢弃，Pod 照常运行。",
        ),
        code: Some("pod-dns-truncated"),
        samples: &["Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver \
             line is: 10.96.0.10 1.1.1.1 8.8.8.8"],
    },
    Pattern {
        template: "Search Line limits were exceeded, some search paths have been omitted, the applied search \
             line is: {applied}",
        trouble: None,
        cause: text(
            "Too many or too long search paths came together; the surplus was left out and the pod runs.",
            "搜索域过多或过长；多出的被丢弃，Pod 照常运行。",
        ),
        code: Some("pod-dns-truncated"),
        samples: &["Search Line limits were exceeded, some search paths have been omitted, the applied search line \
             is: default.svc.cluster.local svc.cluster.local"],
    },
    Pattern {
        template: "Forming DNS config with policy {policy} failed: {error}",
        trouble: None,
        cause: text(
            "The node's resolv.conf cannot be read or understood; the pod waits.",
            "节点的 resolv.conf 读不了或解析不了；Pod 在等待。",
        ),
        code: Some("node-resolv-conf-broken"),
        samples: &["Forming DNS config with policy Default failed: open /etc/resolv.conf: no such file or directory"],
    },
    Pattern {
        template: "Forming DNS configmap{how}: no such file or directory",
        trouble: None,
        cause: text(
            "The node's resolv.conf is not there. Kubernetes shows that as FailedCreatePodSandBox, and \
             the pod waits.",
            "节点的 resolv.conf 不存在。Kubernetes 显示为 FailedCreatePodSandBox，Pod 在等待。",
        ),
        code: Some("node-resolv-conf-broken"),
        samples: &["Forming DNS configmap with mode ClusterFirst failed: unable to read config path \
             \"/etc/resolv.conf\": open /etc/resolv.conf: no such file or directory"],
    },
    Pattern {
        template: "lookup {name}: no such host",
        trouble: None,
        cause: text(
            "A name was not resolved; the kubelet itself never does that for a pod. Look at the DNS pods.",
            "某个名称解析不到；kubelet 自己不会替 Pod 解析。请检查 DNS 的 Pod。",
        ),
        code: Some("dns-not-answering"),
        samples: &["Forming DNS configmap failed: lookup kube-dns.kube-system: no such host"],
    },
    Pattern {
        template: "cannot find service \"{service}\"",
        trouble: None,
        cause: text(
            "No release says this: the kubelet never looks the DNS Service up. Test resolution itself, \
             and look for MissingClusterDNS.",
            "没有任何版本会发出这段文字：kubelet 从不查询 DNS 的 Service。请直接测试解析，并查找 \
             MissingClusterDNS。",
        ),
        code: Some("dns-service-missing"),
        samples: &["Forming DNS configmap failed: cannot find service \"kube-dns\" in namespace \"kube-system\""],
    },
];

pub(in super::super) const MISSING_CLUSTER_DNS: &[Pattern] = &[Pattern {
    template: "kubelet does not have ClusterDNS IP configured",
    trouble: None,
    cause: text(
        "clusterDNS is missing in the kubelet's configuration; pods get the node's DNS instead, \
             and names of Services are not resolved.",
        "kubelet 配置中缺少 clusterDNS；Pod 改用节点的 DNS，解析不了 Service 的名称。",
    ),
    code: Some("cluster-dns-not-configured"),
    samples: &["kubelet does not have ClusterDNS IP configured and cannot create Pod using \"ClusterFirst\" \
             policy. Falling back to \"Default\" policy."],
}];

pub(in super::super) const CHECK_LIMITS_FOR_RESOLV_CONF: &[Pattern] = &[
    Pattern {
        template: "contains search line consisting of more than {limit} domains",
        trouble: None,
        cause: text("The node's resolv.conf has too many search domains.", "节点的 resolv.conf 搜索域过多。"),
        code: Some("pod-dns-truncated"),
        samples: &["Resolv.conf file '/etc/resolv.conf' contains search line consisting of more than 29 domains!"],
    },
    Pattern {
        template: "contains a search path which length is more than allowed {limit} chars",
        trouble: None,
        cause: text(
            "One search domain in the node's resolv.conf is too long.",
            "节点 resolv.conf 中有一个搜索域过长。",
        ),
        code: Some("pod-dns-truncated"),
        samples: &["Resolv.conf file \"/etc/resolv.conf\" contains a search path which length is more than allowed \
             253 chars!"],
    },
    Pattern {
        template: "contains search line which length is more than allowed {limit} chars",
        trouble: None,
        cause: text("The search line of the node's resolv.conf is too long.", "节点 resolv.conf 的搜索行过长。"),
        code: Some("pod-dns-truncated"),
        samples: &["Resolv.conf file '/etc/resolv.conf' contains search line which length is more than allowed 2048 \
             chars!"],
    },
    Pattern {
        template: "open {file}: no such file or directory",
        trouble: None,
        cause: text("The file that the kubelet is told to read is not there.", "kubelet 被指定读取的文件不存在。"),
        code: Some("node-resolv-conf-broken"),
        samples: &["open /run/systemd/resolve/resolv.conf: no such file or directory"],
    },
];

pub(in super::super) const CLUSTER_IP_NOT_VALID: &[Pattern] = &[
    Pattern {
        template: "is of ip family that is no longer configured on cluster",
        trouble: None,
        cause: text("The cluster no longer serves this address family.", "集群已不再提供该地址族。"),
        code: Some("cluster-ip-out-of-range"),
        samples: &["Cluster IP fd00::1(IPv6) is of ip family that is no longer configured on cluster; please \
             recreate service"],
    },
    Pattern {
        template: "Cluster IP {address} is not a valid IP",
        trouble: None,
        cause: text(
            "The text in spec.clusterIP is no address; it can only have come from a restore or an edit \
             of the store.",
            "spec.clusterIP 里的内容不是地址；只可能来自恢复备份或直接改动存储。",
        ),
        code: Some("cluster-ip-out-of-range"),
        samples: &["Cluster IP 10.96.0.300 is not a valid IP; please recreate service"],
    },
];

pub(in super::super) const CLUSTER_IP_NOT_ALLOCATED: &[Pattern] = &[
    Pattern {
        template: "has a wrong reference; repairing",
        trouble: None,
        cause: text(
            "An IPAddress object is there but names something else; it is made anew.",
            "IPAddress 对象存在，但指向别处；会重新创建。",
        ),
        code: Some("cluster-ip-not-recorded"),
        samples: &["the ClusterIP [IPv4]: 10.96.0.9 for Service default/web has a wrong reference; repairing"],
    },
    Pattern {
        template: "Cluster IP [{family}]:{address} is not allocated; repairing",
        trouble: None,
        cause: text("The record of the address was missing; it repairs itself.", "缺少该地址的登记；会自行修复。"),
        code: Some("cluster-ip-not-recorded"),
        samples: &[
            "Cluster IP [IPv4]: 10.96.0.9 is not allocated; repairing",
            "Cluster IP [IPv4]:10.96.0.9 is not allocated; repairing",
        ],
    },
];

pub(in super::super) const CLUSTER_IP_ALREADY_ALLOCATED: &[Pattern] = &[Pattern {
    template: "Cluster IP [{family}]:{address} was assigned to multiple services",
    trouble: None,
    cause: text(
        "Two Services have the same ClusterIP, as after a restore; traffic goes to either.",
        "两个 Service 的 ClusterIP 相同，例如恢复备份之后；流量可能到任意一个。",
    ),
    code: Some("cluster-ip-duplicate"),
    samples: &["Cluster IP [IPv4]:10.96.0.9 was assigned to multiple services; please recreate service"],
}];

pub(in super::super) const CLUSTER_IP_OUT_OF_RANGE: &[Pattern] = &[
    Pattern {
        template: "is not within any configured Service CIDR",
        trouble: None,
        cause: text(
            "No ServiceCIDR holds the address: a range was removed or changed.",
            "没有 ServiceCIDR 包含该地址：范围被删除或更改。",
        ),
        code: Some("cluster-ip-out-of-range"),
        samples: &["Cluster IP [IPv4]: 10.97.0.9 is not within any configured Service CIDR; please recreate service"],
    },
    Pattern {
        template: "is not within the service CIDR {range}",
        trouble: None,
        cause: text(
            "The range of the cluster was changed after the Service was made.",
            "Service 创建之后，集群的范围被更改。",
        ),
        code: Some("cluster-ip-out-of-range"),
        samples: &["Cluster IP [IPv4]:10.97.0.9 is not within the service CIDR 10.96.0.0/16; please recreate service"],
    },
];

pub(in super::super) const IP_ADDRESS_NOT_ALLOCATED: &[Pattern] = &[
    Pattern {
        template: "appears to have leaked: cleaning up",
        trouble: None,
        cause: text(
            "The Service of this address is gone; the record is deleted.",
            "该地址的 Service 已不在；登记被删除。",
        ),
        code: None,
        samples: &["IPAddress: 10.96.0.9 for Service default/web appears to have leaked: cleaning up"],
    },
    Pattern {
        template: "appears to have been modified, not referencing a Service",
        trouble: None,
        cause: text("Somebody changed what the record refers to; it is deleted.", "有人改动了登记的引用；它会被删除。"),
        code: None,
        samples: &["IPAddress 10.96.0.9 appears to have been modified, not referencing a Service nil: cleaning up"],
    },
];

pub(in super::super) const PORT_ALREADY_ALLOCATED: &[Pattern] = &[
    Pattern {
        template: "Port {port} was assigned to multiple services",
        trouble: None,
        cause: text(
            "Two Services have the same node port and protocol, as after a restore.",
            "两个 Service 的节点端口和协议都相同，例如恢复备份之后。",
        ),
        code: Some("node-port-duplicate"),
        samples: &["Port 30080 was assigned to multiple services; please recreate service"],
    },
    Pattern {
        template: "provided port is already allocated",
        trouble: None,
        cause: text(
            "The node port that was asked for belongs to another Service. An answer of the API, not an \
             event.",
            "指定的节点端口已属于另一个 Service。这是 API 的应答而不是事件。",
        ),
        code: None,
        samples: &["The Service \"web\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is \
             already allocated"],
    },
];

pub(in super::super) const PORT_OUT_OF_RANGE: &[Pattern] = &[
    Pattern {
        template: "Port {port} is not within the port range {range}",
        trouble: None,
        cause: text(
            "The range of node ports was narrowed after the Service was made.",
            "Service 创建之后，节点端口范围被收窄。",
        ),
        code: Some("node-port-out-of-range"),
        samples: &["Port 31000 is not within the port range 30000-30999; please recreate service"],
    },
    Pattern {
        template: "provided port is not in the valid range. The range of valid ports is {range}",
        trouble: None,
        cause: text(
            "The node port that was asked for lies outside the range. An answer of the API, not an event.",
            "指定的节点端口不在范围内。这是 API 的应答而不是事件。",
        ),
        code: None,
        samples: &["The Service \"web\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not \
             in the valid range. The range of valid ports is 30000-32767"],
    },
    Pattern {
        template: "failed to allocate a nodePort: range is full",
        trouble: None,
        cause: text(
            "Every node port is given away. An answer of the API, not an event.",
            "节点端口已全部分完。这是 API 的应答而不是事件。",
        ),
        code: None,
        samples: &["Internal error occurred: failed to allocate a nodePort: range is full"],
    },
];

pub(in super::super) const KUBERNETES_SERVICE_CIDR_ERROR: &[Pattern] = &[Pattern {
    template: "The ServiceCIDR Status can not be set to Ready=True",
    trouble: None,
    cause: text(
        "The controller may not write the status, or the API refuses it; the range cannot be used \
             for new addresses.",
        "控制器无权写入状态，或 API 拒绝；该范围无法用于新地址。",
    ),
    code: None,
    samples: &["The ServiceCIDR Status can not be set to Ready=True"],
}];

pub(in super::super) const CIDR_NOT_AVAILABLE: &[Pattern] = &[Pattern {
    template: "status is now: CIDRNotAvailable",
    trouble: None,
    cause: text(
        "Every range for nodes is given away. The event is of type Normal, and pods of the node \
             get no address all the same.",
        "可分给节点的地址段已分完。事件类型虽为 Normal，该节点的 Pod 却得不到地址。",
    ),
    code: Some("pod-address-exhausted"),
    samples: &["Node node9 status is now: CIDRNotAvailable"],
}];
