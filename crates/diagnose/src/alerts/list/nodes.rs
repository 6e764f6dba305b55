//! Read from CoreDNS and the node exporter: names and connections.

use super::{Alert, Group, Severity::Warning, any, fires, quiet, text};

const SERVFAIL: Alert = Alert {
    name: "ClusterDNSFailing",
    severity: Warning,
    hold: "10m",
    variants: &[any(
        "sum by (cluster) (rate(coredns_dns_responses_total{rcode=\"SERVFAIL\"}[5m]))
/
sum by (cluster) (rate(coredns_dns_responses_total[5m]))
> 0.05",
        &[
            fires(
                "one answer of six is a failure",
                &[
                    r#"coredns_dns_responses_total{rcode="NOERROR"} 0+50x60"#,
                    r#"coredns_dns_responses_total{rcode="SERVFAIL"} 0+10x60"#,
                ],
                "20m",
                &[&[]],
            ),
            quiet(
                "names that do not exist are asked for all day long, because of the search list",
                &[
                    r#"coredns_dns_responses_total{rcode="NOERROR"} 0+10x60"#,
                    r#"coredns_dns_responses_total{rcode="NXDOMAIN"} 0+90x60"#,
                ],
                "50m",
            ),
            quiet(
                "a failure now and then",
                &[
                    r#"coredns_dns_responses_total{rcode="NOERROR"} 0+100x60"#,
                    r#"coredns_dns_responses_total{rcode="SERVFAIL"} 0+1x60"#,
                ],
                "50m",
            ),
            quiet("nobody asks", &[r#"coredns_dns_responses_total{rcode="SERVFAIL"} 3+0x60"#], "50m"),
        ],
    )],
    summary: text("The cluster DNS answers more than 5 % with SERVFAIL", "集群 DNS 有 5% 以上的应答是 SERVFAIL"),
    description: text(
        "For 10 minutes more than one in twenty answers of the cluster DNS has been SERVFAIL: it has lost the API (then names of Services fail) or its upstreams (then names outside do).",
        "10 分钟以来，集群 DNS 有二十分之一以上的应答是 SERVFAIL：它失去了到 API 的连接（Service 的名称解析失败），或失去了上游（外部名称解析失败）。",
    ),
    reasoning: text(
        "NXDOMAIN is no failure: with ndots:5 most questions for a name outside are answered with it.",
        "NXDOMAIN 不是失败：在 ndots:5 下，对外部名称的大多数查询都会先得到 NXDOMAIN。",
    ),
    runbook: "portolan diagnose svc/kube-dns -n kube-system",
};

const UPSTREAMS: Alert = Alert {
    name: "ClusterDNSUpstreamsDown",
    severity: Warning,
    hold: "5m",
    variants: &[any(
        "sum by (cluster) (increase(coredns_forward_healthcheck_broken_total[5m])) > 0",
        &[
            fires("no upstream answers", &[r#"coredns_forward_healthcheck_broken_total 0+20x60"#], "10m", &[&[]]),
            quiet(
                "all of them were away for a moment",
                &[r#"coredns_forward_healthcheck_broken_total 0+0x5 4+0x55"#],
                "20m",
            ),
        ],
    )],
    summary: text("None of the cluster DNS's upstreams answers", "集群 DNS 的上游全部没有应答"),
    description: text(
        "All upstreams of the cluster DNS fail their health checks, and questions are sent to one of them at random. Names outside the cluster, and ExternalName Services that point there, do not resolve.",
        "集群 DNS 的所有上游都未通过健康检查，查询会被随机发往其中一个。集群外的名称以及指向它们的 ExternalName Service 无法解析。",
    ),
    reasoning: text(
        "Counted for each question that finds no healthy upstream; a moment without any is over before `for` is.",
        "每个找不到健康上游的查询都会计数；短暂的全部不可用会在 `for` 到期之前结束。",
    ),
    runbook: "portolan diagnose svc/kube-dns -n kube-system",
};

const CONNTRACK: Alert = Alert {
    name: "ConntrackTableAlmostFull",
    severity: Warning,
    hold: "5m",
    variants: &[any(
        "max by (cluster, instance) (node_nf_conntrack_entries / node_nf_conntrack_entries_limit) > 0.9",
        &[
            fires(
                "nine tenths are in use",
                &[
                    r#"node_nf_conntrack_entries{instance="n1"} 250000+0x60"#,
                    r#"node_nf_conntrack_entries_limit{instance="n1"} 262144+0x60"#,
                ],
                "6m",
                &[&[("instance", "n1")]],
            ),
            quiet(
                "half is in use",
                &[
                    r#"node_nf_conntrack_entries{instance="n1"} 130000+0x60"#,
                    r#"node_nf_conntrack_entries_limit{instance="n1"} 262144+0x60"#,
                ],
                "50m",
            ),
        ],
    )],
    summary: text(
        "The connection table of {{ $labels.instance }} is almost full",
        "{{ $labels.instance }} 的连接跟踪表快满了",
    ),
    description: text(
        "When the table is full the kernel of {{ $labels.instance }} drops new connections at random, to every Service, and only its log says so (nf_conntrack: table full, dropping packet).",
        "表满之后，{{ $labels.instance }} 的内核会随机丢弃到任何 Service 的新连接，而且只有内核日志会说明（nf_conntrack: table full, dropping packet）。",
    ),
    reasoning: text("Every connection through a Service has an entry.", "每个经过 Service 的连接都有一个表项。"),
    runbook: "portolan node-evidence (on the node)",
};

pub(super) const GROUP: Group = Group {
    name: "portolan-dns-and-nodes",
    reads: text("CoreDNS, node exporter", "CoreDNS、node exporter"),
    alerts: &[SERVFAIL, UPSTREAMS, CONNTRACK],
};
