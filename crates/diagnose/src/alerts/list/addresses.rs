//! Read from the API server: ranges that run full, and records that do not agree.

use super::{
    Alert, Group,
    Severity::{Critical, Warning},
    any, fires, quiet, text,
};

/// One gauge of all CIDRs of a family together. Every API server has its own opinion; the least is believed.
macro_rules! by_family {
    ($least:literal, $gauge:literal) => {
        concat!(
            "sum by (cluster, family) (label_replace(label_replace(\n    ",
            $least,
            " by (cluster, cidr) (kube_apiserver_clusterip_allocator_",
            $gauge,
            "),\n    \"family\", \"IPv4\", \"cidr\", \".*\"), \"family\", \"IPv6\", \"cidr\", \".*:.*\"))"
        )
    };
}

const ADDRESSES: Alert = Alert {
    name: "ClusterIPRangeAlmostFull",
    severity: Warning,
    hold: "15m",
    variants: &[any(
        concat!(
            by_family!("min", "available_ips"),
            "\n/ (\n  ",
            by_family!("min", "available_ips"),
            "\n  +\n  ",
            by_family!("max", "allocated_ips"),
            "\n) < 0.1"
        ),
        &[
            fires(
                "less than a tenth is left",
                &[
                    r#"kube_apiserver_clusterip_allocator_available_ips{cidr="10.96.0.0/24",instance="a"} 20+0x60"#,
                    r#"kube_apiserver_clusterip_allocator_allocated_ips{cidr="10.96.0.0/24",instance="a"} 234+0x60"#,
                ],
                "16m",
                &[&[("family", "IPv4")]],
            ),
            quiet(
                "a second CIDR has room",
                &[
                    r#"kube_apiserver_clusterip_allocator_available_ips{cidr="10.96.0.0/24"} 0+0x60"#,
                    r#"kube_apiserver_clusterip_allocator_allocated_ips{cidr="10.96.0.0/24"} 254+0x60"#,
                    r#"kube_apiserver_clusterip_allocator_available_ips{cidr="10.97.0.0/24"} 254+0x60"#,
                    r#"kube_apiserver_clusterip_allocator_allocated_ips{cidr="10.97.0.0/24"} 0+0x60"#,
                ],
                "50m",
            ),
            fires(
                "room in the other family does not help",
                &[
                    r#"kube_apiserver_clusterip_allocator_available_ips{cidr="10.96.0.0/28"} 1+0x60"#,
                    r#"kube_apiserver_clusterip_allocator_allocated_ips{cidr="10.96.0.0/28"} 13+0x60"#,
                    r#"kube_apiserver_clusterip_allocator_available_ips{cidr="fd00::/112"} 65000+0x60"#,
                    r#"kube_apiserver_clusterip_allocator_allocated_ips{cidr="fd00::/112"} 13+0x60"#,
                ],
                "16m",
                &[&[("family", "IPv4")]],
            ),
            quiet(
                "half is left",
                &[
                    r#"kube_apiserver_clusterip_allocator_available_ips{cidr="10.96.0.0/24"} 127+0x60"#,
                    r#"kube_apiserver_clusterip_allocator_allocated_ips{cidr="10.96.0.0/24"} 127+0x60"#,
                ],
                "50m",
            ),
        ],
    )],
    summary: text(
        "Less than 10 % of the {{ $labels.family }} addresses for Services are left",
        "Service 的 {{ $labels.family }} 地址只剩不到 10%",
    ),
    description: text(
        "Soon no Service can be created: `failed to allocate a serviceIP: range is full`. Add a ServiceCIDR (Kubernetes 1.33) while there is time.",
        "很快将无法创建 Service：`failed to allocate a serviceIP: range is full`。请尽早添加 ServiceCIDR（Kubernetes 1.33 起）。",
    ),
    reasoning: text(
        "The CIDRs of a family are taken together, since any of them can serve. Exported since Kubernetes 1.24.",
        "同一地址族的所有 CIDR 合并计算，因为任何一个都可以提供地址。Kubernetes 1.24 起导出。",
    ),
    runbook: "kubectl get servicecidrs; portolan diagnose -A",
};

const NODE_PORTS: Alert = Alert {
    name: "NodePortRangeAlmostFull",
    severity: Warning,
    hold: "15m",
    variants: &[any(
        "min by (cluster) (kube_apiserver_nodeport_allocator_available_ports)
/ (
  min by (cluster) (kube_apiserver_nodeport_allocator_available_ports)
  +
  max by (cluster) (kube_apiserver_nodeport_allocator_allocated_ports)
) < 0.1",
        &[
            fires(
                "less than a tenth is left",
                &[
                    r#"kube_apiserver_nodeport_allocator_available_ports 200+0x60"#,
                    r#"kube_apiserver_nodeport_allocator_allocated_ports 2568+0x60"#,
                ],
                "16m",
                &[&[]],
            ),
            quiet(
                "most are left",
                &[
                    r#"kube_apiserver_nodeport_allocator_available_ports 2700+0x60"#,
                    r#"kube_apiserver_nodeport_allocator_allocated_ports 68+0x60"#,
                ],
                "50m",
            ),
        ],
    )],
    summary: text("Less than 10 % of the node ports are left", "NodePort 只剩不到 10%"),
    description: text(
        "Soon no Service of type NodePort or LoadBalancer can be created. Each LoadBalancer takes a node port for every port, unless allocateLoadBalancerNodePorts is false.",
        "很快将无法创建 NodePort 或 LoadBalancer 类型的 Service。除非 allocateLoadBalancerNodePorts 为 false，LoadBalancer 的每个端口都会占用一个 NodePort。",
    ),
    reasoning: text("Exported since Kubernetes 1.26.", "Kubernetes 1.26 起导出。"),
    runbook: "portolan diagnose -A",
};

/// Errors of one allocator while it chose by itself.
macro_rules! errors {
    ($what:literal, $counter:literal) => {
        concat!(
            "label_replace(sum by (cluster) (increase(",
            $counter,
            "{scope=\"dynamic\"}[10m])) > 0, \"range\", \"",
            $what,
            "\", \"\", \"\")"
        )
    };
}

const ALLOCATION: Alert = Alert {
    name: "ServiceAllocationFailing",
    severity: Critical,
    hold: "5m",
    variants: &[any(
        concat!(
            errors!("cluster IPs", "kube_apiserver_clusterip_allocator_allocation_errors_total"),
            "\nor\n",
            errors!("node ports", "kube_apiserver_nodeport_allocator_allocation_errors_total")
        ),
        &[
            fires(
                "no address is left for a new Service",
                &[
                    r#"kube_apiserver_clusterip_allocator_allocation_errors_total{cidr="10.96.0.0/28",scope="dynamic"} 0+1x60"#,
                ],
                "10m",
                &[&[("range", "cluster IPs")]],
            ),
            fires(
                "no node port is left",
                &[r#"kube_apiserver_nodeport_allocator_allocation_errors_total{scope="dynamic"} 0+1x60"#],
                "10m",
                &[&[("range", "node ports")]],
            ),
            quiet(
                "somebody asks for an address that is taken",
                &[
                    r#"kube_apiserver_clusterip_allocator_allocation_errors_total{cidr="10.96.0.0/28",scope="static"} 0+1x60"#,
                ],
                "50m",
            ),
        ],
    )],
    summary: text(
        "Services cannot be created: no {{ $labels.range }} can be allocated",
        "无法创建 Service：分配不到 {{ $labels.range }}",
    ),
    description: text(
        "The API server fails to choose {{ $labels.range }} for new Services. Whoever creates one gets an error, and no Event is written.",
        "API 服务器无法为新的 Service 选出 {{ $labels.range }}。创建者会得到错误，但不会有事件。",
    ),
    reasoning: text(
        "Only what the API server chooses by itself (scope dynamic): an address that a user asks for and that is taken is the user's mistake.",
        "只统计由 API 服务器自行选择的分配（scope 为 dynamic）：用户指定了已占用的地址，是用户自己的错误。",
    ),
    runbook: "kubectl get servicecidrs,ipaddresses; portolan diagnose -A",
};

/// Counted by one of the repair loops.
macro_rules! inconsistent {
    ($what:literal, $counter:literal) => {
        concat!(
            "label_replace(sum by (cluster, type) (increase(",
            $counter,
            "{type=~\"duplicate|outOfRange|invalid|full\"}[1h])) > 2, \"range\", \"",
            $what,
            "\", \"\", \"\")"
        )
    };
}

const INCONSISTENT: Alert = Alert {
    name: "ServiceAddressesInconsistent",
    severity: Warning,
    hold: "5m",
    variants: &[any(
        concat!(
            inconsistent!("cluster IPs", "apiserver_clusterip_repair_ip_errors_total"),
            "\nor\n",
            inconsistent!("node ports", "apiserver_nodeport_repair_port_errors_total")
        ),
        &[
            fires(
                "two Services with one address, found at every pass",
                &[
                    r#"apiserver_clusterip_repair_ip_errors_total{type="duplicate"} 0 0 0 1 1 1 2 2 2 3 3 3 4 4 4 5 5 5 6 6 6 7 7 7 8 8 8"#,
                ],
                "25m",
                &[&[("range", "cluster IPs"), ("type", "duplicate")]],
            ),
            quiet(
                "records that are missing or left over are repaired",
                &[
                    r#"apiserver_clusterip_repair_ip_errors_total{type="repair"} 0+3x60"#,
                    r#"apiserver_nodeport_repair_port_errors_total{type="leak"} 0+3x60"#,
                ],
                "50m",
            ),
            quiet(
                "one that was seen once",
                &[r#"apiserver_nodeport_repair_port_errors_total{type="duplicate"} 0+0x5 1+0x55"#],
                "50m",
            ),
        ],
    )],
    summary: text(
        "The {{ $labels.range }} of Services do not agree: {{ $labels.type }}",
        "Service 的 {{ $labels.range }} 不一致：{{ $labels.type }}",
    ),
    description: text(
        "The repair loop of the API server finds {{ $labels.range }} that are {{ $labels.type }} again and again. It does not mend this by itself: one of the Services concerned has to be created anew. The Services have Warning events.",
        "API 服务器的修复循环反复发现 {{ $labels.range }} 存在 {{ $labels.type }} 问题。它不会自动修复：需要重新创建其中一个 Service。相关 Service 上有 Warning 事件。",
    ),
    reasoning: text(
        "What the loop mends by itself (repair, leak) is left out, and what is seen once may be a Service that was just written.",
        "循环能自行修复的（repair、leak）不算；只出现一次的可能是刚写入的 Service。",
    ),
    runbook: "portolan explain ClusterIPAlreadyAllocated",
};

/// Failures of one of the repair loops, in this quarter of an hour and in the one before.
macro_rules! failing {
    ($what:literal, $counter:literal) => {
        concat!(
            "label_replace(sum by (cluster) (increase(",
            $counter,
            "[15m])) > 0 and on (cluster) sum by (cluster) (increase(",
            $counter,
            "[15m] offset 15m)) > 0, \"range\", \"",
            $what,
            "\", \"\", \"\")"
        )
    };
}

const REPAIR: Alert = Alert {
    name: "ServiceRepairFailing",
    severity: Warning,
    hold: "5m",
    variants: &[any(
        concat!(
            failing!("cluster IPs", "apiserver_clusterip_repair_reconcile_errors_total"),
            "\nor\n",
            failing!("node ports", "apiserver_nodeport_repair_reconcile_errors_total")
        ),
        &[
            fires(
                "a loop that never gets through",
                &[r#"apiserver_clusterip_repair_reconcile_errors_total 0+1x60"#],
                "37m",
                &[&[("range", "cluster IPs")]],
            ),
            quiet("one pass that failed", &[r#"apiserver_nodeport_repair_reconcile_errors_total 0+0x5 1+0x55"#], "30m"),
        ],
    )],
    summary: text("The repair of {{ $labels.range }} does not work", "{{ $labels.range }} 的修复循环无法工作"),
    description: text(
        "For half an hour the API server's repair loop has failed to check the {{ $labels.range }} of Services: leaks and duplicates are no longer found.",
        "半小时以来，API 服务器的修复循环无法检查 Service 的 {{ $labels.range }}：泄漏与重复不再被发现。",
    ),
    reasoning: text(
        "A pass that fails is repeated after minutes; one alone says nothing.",
        "失败的一轮会在几分钟后重做；单次失败说明不了问题。",
    ),
    runbook: "portolan explain ClusterIPNotAllocated",
};

pub(super) const GROUP: Group = Group {
    name: "portolan-addresses",
    reads: text("kube-apiserver", "kube-apiserver"),
    alerts: &[ADDRESSES, NODE_PORTS, ALLOCATION, INCONSISTENT, REPAIR],
};
