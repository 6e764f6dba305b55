//! Read from kube-state-metrics: whether those who should act, and these rules themselves, can.

use super::{
    Alert, Group,
    Severity::{Critical, Warning},
    Variant, Version, any, fires, quiet,
    services::{WEB_ENDPOINTS, WEB_SLICE, WEB_TYPE},
    text,
};

const BLIND: Alert = Alert {
    name: "ServiceAlertsBlind",
    severity: Warning,
    hold: "15m",
    variants: &[
        Variant {
            from: Version(18),
            expression: "absent(kube_service_spec_type)
or absent(kube_endpointslice_labels{label_kubernetes_io_service_name!=\"\",label_endpointslice_kubernetes_io_managed_by!=\"\"})
or count(kube_service_spec_type{exported_namespace!=\"\"}) > 0",
            cases: &[
                fires("no kube-state-metrics", &[], "16m", &[&[]]),
                fires(
                    "the labels of slices are not allowed",
                    &[WEB_TYPE, r#"kube_endpointslice_labels{namespace="shop",endpointslice="web-a"} 1+0x60"#],
                    "16m",
                    &[&[]],
                ),
                fires(
                    "scraped without honor_labels",
                    &[
                        WEB_SLICE,
                        r#"kube_service_spec_type{exported_namespace="shop",namespace="monitoring",service="kube-state-metrics",type="ClusterIP"} 1+0x60"#,
                    ],
                    "16m",
                    &[&[]],
                ),
                quiet("all is there", &[WEB_TYPE, WEB_SLICE], "30m"),
                quiet(
                    "a restart of kube-state-metrics",
                    &[
                        r#"kube_service_spec_type{namespace="shop",service="web",type="ClusterIP"} 1+0x5 stale _x5 1+0x60"#,
                        WEB_SLICE,
                    ],
                    "30m",
                ),
            ],
        },
        any(
            "absent(kube_service_spec_type)
or absent(kube_endpoint_info)
or count(kube_service_spec_type{exported_namespace!=\"\"}) > 0",
            &[
                fires("no kube-state-metrics", &[], "16m", &[&[]]),
                fires("Endpoints are not among its resources", &[WEB_TYPE], "16m", &[&[]]),
                quiet("all is there", &[WEB_TYPE, WEB_ENDPOINTS], "30m"),
            ],
        ),
    ],
    summary: text(
        "The alerts on Services cannot see anything",
        "Service 告警看不到任何数据",
    ),
    description: text(
        "kube-state-metrics is not scraped, or it does not export what the alerts on Services read (see the head of the rules for its options), or it is scraped without honor_labels, so that namespace and service are its own. All other alerts on Services are silent meanwhile.",
        "没有抓取 kube-state-metrics；或者它没有导出 Service 告警所需的指标（所需参数见规则文件开头）；或者抓取时没有设置 honor_labels，namespace 与 service 标签成了它自己的。在此期间，其他 Service 告警都不会触发。",
    ),
    reasoning: text(
        "A rule whose series do not exist is as silent as one with nothing to say.",
        "序列不存在的规则，和没有问题的规则一样安静。",
    ),
    runbook: "portolan alerts",
};

const NOT_RUNNING: Alert = Alert {
    name: "ServiceControllersNotRunning",
    severity: Critical,
    hold: "2m",
    variants: &[any(
        "time() - max by (cluster, lease) (
  kube_lease_renew_time{namespace=\"kube-system\",lease=~\"kube-controller-manager|cloud-controller-manager|portolan-controllers\"}
) > 60",
        &[
            fires(
                "a Lease that nobody renews",
                &[r#"kube_lease_renew_time{namespace="kube-system",lease="kube-controller-manager"} 0+0x60"#],
                "4m",
                &[&[("lease", "kube-controller-manager")]],
            ),
            quiet(
                "one that is renewed",
                &[r#"kube_lease_renew_time{namespace="kube-system",lease="kube-controller-manager"} 0+60x60"#],
                "30m",
            ),
            quiet(
                "the Lease of something else",
                &[r#"kube_lease_renew_time{namespace="shop",lease="my-operator"} 0+0x60"#],
                "30m",
            ),
            quiet(
                "a change of leader that takes a minute",
                &[r#"kube_lease_renew_time{namespace="kube-system",lease="kube-controller-manager"} 0+60x5 300 420+60x60"#],
                "12m",
            ),
        ],
    )],
    summary: text(
        "{{ $labels.lease }} has no leader that works",
        "{{ $labels.lease }} 没有在工作的主实例",
    ),
    description: text(
        "Nobody renews the Lease kube-system/{{ $labels.lease }}: endpoints no longer follow the pods and load balancers no longer follow Services. What is programmed goes on working, so nobody notices until the next change.",
        "没有实例在续约 kube-system/{{ $labels.lease }}：端点不再跟随 Pod，负载均衡器不再跟随 Service。已下发的规则仍然有效，所以直到下一次变更才会有人发现。",
    ),
    reasoning: text(
        "A Lease lasts 15 s and is renewed every 2 s. Clusters whose provider hides its control plane do not have these Leases, and no alert.",
        "租约有效期 15 秒，每 2 秒续约一次。由云厂商托管且隐藏控制面的集群没有这些 Lease，也就没有这个告警。",
    ),
    runbook: "kubectl -n kube-system get lease {{ $labels.lease }}; portolan diagnose -A",
};

pub(super) const GROUP: Group = Group {
    name: "portolan-watch",
    reads: text("kube-state-metrics", "kube-state-metrics"),
    alerts: &[BLIND, NOT_RUNNING],
};
