//! Read from kube-proxy: whether the kernel has what the API says.

use super::{
    Alert, Group,
    Severity::{Critical, Info, Warning},
    any, fires, quiet, text,
};

const NOT_SYNCING: Alert = Alert {
    name: "KubeProxyNotSyncing",
    severity: Critical,
    hold: "5m",
    variants: &[any(
        "max by (cluster, instance) (
  (
    kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds > kubeproxy_sync_proxy_rules_last_timestamp_seconds
    and time() - kubeproxy_sync_proxy_rules_last_timestamp_seconds > 120
  )
  or (kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds unless kubeproxy_sync_proxy_rules_last_timestamp_seconds)
)",
        &[
            fires(
                "one change that is never programmed, and then silence",
                &[
                    r#"kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{instance="n1"} 60+0x60"#,
                    r#"kubeproxy_sync_proxy_rules_last_timestamp_seconds{instance="n1"} 30+0x60"#,
                ],
                "10m",
                &[&[("instance", "n1")]],
            ),
            fires(
                "changes all the time, none of which is programmed",
                &[
                    r#"kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{instance="n1"} 0+60x60"#,
                    r#"kubeproxy_sync_proxy_rules_last_timestamp_seconds{instance="n1"} 0+0x60"#,
                ],
                "10m",
                &[&[("instance", "n1")]],
            ),
            fires(
                "one family of two, as of Kubernetes 1.35",
                &[
                    r#"kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{instance="n1",ip_family="IPv4"} 0+60x60"#,
                    r#"kubeproxy_sync_proxy_rules_last_timestamp_seconds{instance="n1",ip_family="IPv4"} 1+60x60"#,
                    r#"kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{instance="n1",ip_family="IPv6"} 0+60x60"#,
                    r#"kubeproxy_sync_proxy_rules_last_timestamp_seconds{instance="n1",ip_family="IPv6"} 0+0x60"#,
                ],
                "10m",
                &[&[("instance", "n1")]],
            ),
            fires(
                "a proxy that has never programmed anything",
                &[r#"kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{instance="n1",ip_family="IPv4"} 5+0x60"#],
                "10m",
                &[&[("instance", "n1")]],
            ),
            quiet(
                "a cluster in which nothing changes",
                &[
                    r#"kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{instance="n1"} 10+0x60"#,
                    r#"kubeproxy_sync_proxy_rules_last_timestamp_seconds{instance="n1"} 11+0x60"#,
                ],
                "50m",
            ),
            quiet(
                "a busy one, with the next change always waiting",
                &[
                    r#"kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{instance="n1"} 59+60x60"#,
                    r#"kubeproxy_sync_proxy_rules_last_timestamp_seconds{instance="n1"} 30+60x60"#,
                ],
                "50m",
            ),
        ],
    )],
    summary: text(
        "kube-proxy on {{ $labels.instance }} does not program changes",
        "{{ $labels.instance }} 上的 kube-proxy 没有下发变更",
    ),
    description: text(
        "For 5 minutes changes of Services and endpoints have waited on {{ $labels.instance }}: its pods reach pods that are gone, and not the new ones. The cluster's objects look well, and no event says otherwise.",
        "{{ $labels.instance }} 上 Service 与端点的变更已等待 5 分钟：该节点上的 Pod 会访问已消失的 Pod，而访问不到新的 Pod。集群中的对象看起来都正常，也没有任何事件。",
    ),
    reasoning: text(
        "Neither the age of the last sync (a quiet cluster has none) nor that of the last request (a busy one always has a new one) is enough: there must be a request that is younger than the last success, and that success must be old.",
        "只看上次同步的时间（安静的集群没有同步）或上次请求的时间（繁忙的集群总有新的请求）都不够：必须有一个比上次成功更新的请求，并且上次成功已过去很久。",
    ),
    runbook: "portolan node-evidence (on the node); portolan diagnose -A",
};

/// Failures in this quarter of an hour and in the one before.
macro_rules! refused {
    ($counter:literal) => {
        concat!(
            "sum by (cluster, instance) (increase(",
            $counter,
            "[10m])) > 0 and on (cluster, instance) sum by (cluster, instance) (increase(",
            $counter,
            "[10m] offset 10m)) > 0"
        )
    };
}

const REFUSED: Alert = Alert {
    name: "KubeProxyRulesRefused",
    severity: Warning,
    hold: "5m",
    variants: &[any(
        concat!(
            "(",
            refused!("kubeproxy_sync_proxy_rules_nftables_sync_failures_total"),
            ")\nor\n(",
            refused!("kubeproxy_sync_proxy_rules_iptables_restore_failures_total"),
            ")"
        ),
        &[
            fires(
                "nftables transactions that fail again and again",
                &[r#"kubeproxy_sync_proxy_rules_nftables_sync_failures_total{instance="n1"} 0+1x60"#],
                "27m",
                &[&[("instance", "n1")]],
            ),
            fires(
                "iptables-restore that fails again and again",
                &[r#"kubeproxy_sync_proxy_rules_iptables_restore_failures_total{instance="n1"} 0+2x60"#],
                "27m",
                &[&[("instance", "n1")]],
            ),
            quiet(
                "another program held the xtables lock once",
                &[r#"kubeproxy_sync_proxy_rules_iptables_restore_failures_total{instance="n1"} 0+0x5 1+0x55"#],
                "20m",
            ),
        ],
    )],
    summary: text(
        "The kernel of {{ $labels.instance }} refuses kube-proxy's rules",
        "{{ $labels.instance }} 的内核拒绝 kube-proxy 的规则",
    ),
    description: text(
        "For 20 minutes transactions of kube-proxy on {{ $labels.instance }} have failed: the node keeps its old rules, or part of the new ones.",
        "20 分钟以来，{{ $labels.instance }} 上 kube-proxy 的事务一直失败：该节点保留旧规则，或只有部分新规则。",
    ),
    reasoning: text(
        "A failed transaction is retried after 30 s, so one that fails for good is in every window. nftables counts since 1.31, iptables since long before.",
        "失败的事务会在 30 秒后重试，所以持续失败的事务在每个窗口里都有。nftables 的计数器从 1.31 起有，iptables 的更早就有。",
    ),
    runbook: "portolan node-evidence (on the node); portolan diagnose -A",
};

const LOCAL_POLICY: Alert = Alert {
    name: "ServiceLocalPolicyDropsTraffic",
    severity: Warning,
    hold: "15m",
    variants: &[any(
        "max by (cluster, instance) (kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy=\"internal\"}) > 0",
        &[
            fires(
                "internalTrafficPolicy Local, and no pod on this node",
                &[
                    r#"kubeproxy_sync_proxy_rules_no_local_endpoints_total{instance="n1",traffic_policy="internal"} 1+0x60"#,
                ],
                "16m",
                &[&[("instance", "n1")]],
            ),
            quiet(
                "externalTrafficPolicy Local: the balancer does not send anything to this node",
                &[
                    r#"kubeproxy_sync_proxy_rules_no_local_endpoints_total{instance="n1",traffic_policy="external"} 3+0x60"#,
                    r#"kubeproxy_sync_proxy_rules_no_local_endpoints_total{instance="n1",traffic_policy="internal"} 0+0x60"#,
                ],
                "50m",
            ),
            quiet(
                "a pod of a DaemonSet that is replaced",
                &[
                    r#"kubeproxy_sync_proxy_rules_no_local_endpoints_total{instance="n1",traffic_policy="internal"} 0 1+0x5 0+0x50"#,
                ],
                "30m",
            ),
        ],
    )],
    summary: text(
        "Pods on {{ $labels.instance }} cannot reach a Service with internalTrafficPolicy Local",
        "{{ $labels.instance }} 上的 Pod 访问不到 internalTrafficPolicy 为 Local 的 Service",
    ),
    description: text(
        "For 15 minutes a Service with internalTrafficPolicy Local has had endpoints elsewhere but none on {{ $labels.instance }}: connections from its pods are dropped without an answer, while the same works on other nodes.",
        "15 分钟以来，某个 internalTrafficPolicy 为 Local 的 Service 在别处有端点，而在 {{ $labels.instance }} 上没有：该节点上 Pod 的连接会被静默丢弃，在其他节点上却正常。",
    ),
    reasoning: text(
        "For externalTrafficPolicy the same is by design: the balancer asks the health check port and avoids the node.",
        "对 externalTrafficPolicy 来说这是设计如此：负载均衡器会检查健康端口并避开该节点。",
    ),
    runbook: "portolan diagnose -A",
};

const SLOW: Alert = Alert {
    name: "EndpointChangesSlow",
    severity: Info,
    hold: "15m",
    variants: &[any(
        "histogram_quantile(0.99, sum by (cluster, le) (rate(kubeproxy_network_programming_duration_seconds_bucket[5m]))) > 60",
        &[
            fires(
                "changes that take two minutes to be in force",
                &[
                    r#"kubeproxy_network_programming_duration_seconds_bucket{le="60"} 0+0x60"#,
                    r#"kubeproxy_network_programming_duration_seconds_bucket{le="120"} 0+60x60"#,
                    r#"kubeproxy_network_programming_duration_seconds_bucket{le="+Inf"} 0+60x60"#,
                ],
                "25m",
                &[&[]],
            ),
            quiet(
                "changes that take a second",
                &[
                    r#"kubeproxy_network_programming_duration_seconds_bucket{le="1"} 0+60x60"#,
                    r#"kubeproxy_network_programming_duration_seconds_bucket{le="60"} 0+60x60"#,
                    r#"kubeproxy_network_programming_duration_seconds_bucket{le="+Inf"} 0+60x60"#,
                ],
                "50m",
            ),
            quiet(
                "nothing changes",
                &[r#"kubeproxy_network_programming_duration_seconds_bucket{le="+Inf"} 9+0x60"#],
                "50m",
            ),
        ],
    )],
    summary: text(
        "Changes of endpoints take more than a minute to reach the nodes",
        "端点变更需要一分钟以上才能到达节点",
    ),
    description: text(
        "One in a hundred changes of endpoints takes more than a minute from the pod to the rules of a node. Pods that end sooner than that still get connections: their grace period has to be longer.",
        "百分之一的端点变更从 Pod 到节点规则需要一分钟以上。在此之前就结束的 Pod 仍会收到连接：它们的宽限期需要更长。",
    ),
    reasoning: text(
        "Measured from the trigger time that the slice controller writes to the first rules that have it.",
        "从切片控制器写入的触发时间开始，到规则首次生效为止。",
    ),
    runbook: "portolan diagnose -A",
};

pub(super) const GROUP: Group = Group {
    name: "portolan-proxy",
    reads: text(
        "kube-proxy (port 10249; metricsBindAddress must not be 127.0.0.1)",
        "kube-proxy（端口 10249；metricsBindAddress 不能是 127.0.0.1）",
    ),
    alerts: &[NOT_SYNCING, REFUSED, LOCAL_POLICY, SLOW],
};
