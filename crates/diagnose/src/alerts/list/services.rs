//! Read from kube-state-metrics: what the objects say.

use super::{
    Alert, DIAGNOSE, Group, SHOP_WEB,
    Severity::{Critical, Info, Warning},
    Variant, Version, any, fires, quiet, text,
};

/// Joins the series of slices on the left to the Service that a label of the slice names, as the label `service`.
macro_rules! of_service {
    ($more:literal) => {
        concat!(
            "* on (cluster, namespace, endpointslice) group_left (service) label_replace(\n",
            "    max by (cluster, namespace, endpointslice, label_kubernetes_io_service_name) (\n",
            "      kube_endpointslice_labels{label_kubernetes_io_service_name!=\"\"",
            $more,
            "}\n    ), \"service\", \"$1\", \"label_kubernetes_io_service_name\", \"(.+)\")"
        )
    };
}

/// Leaves Services out that may be without endpoints.
macro_rules! expects_endpoints {
    () => {
        "and on (cluster, namespace, service) kube_service_info{cluster_ip!=\"None\"}
unless on (cluster, namespace, service) kube_service_spec_type{type=\"ExternalName\"}
unless on (cluster, namespace, service) kube_service_labels{label_portolan_dev_may_be_empty=\"true\"}
"
    };
}

/// The Services that have an Endpoints object.
macro_rules! endpoints_objects {
    () => {
        "max by (cluster, namespace, service) (label_replace(kube_endpoint_info, \"service\", \"$1\", \"endpoint\", \"(.+)\"))\n"
    };
}

const WEB: &str = r#"kube_service_info{namespace="shop",service="web",cluster_ip="10.96.0.7"} 1+0x60"#;
pub(super) const WEB_TYPE: &str = r#"kube_service_spec_type{namespace="shop",service="web",type="ClusterIP"} 1+0x60"#;
const WEB_BALANCER: &str = r#"kube_service_spec_type{namespace="shop",service="web",type="LoadBalancer"} 1+0x60"#;
pub(super) const WEB_SLICE: &str = r#"kube_endpointslice_labels{namespace="shop",endpointslice="web-a",label_kubernetes_io_service_name="web",label_endpointslice_kubernetes_io_managed_by="endpointslice-controller.k8s.io"} 1+0x60"#;
const WEB_HAND_MADE: &str = r#"kube_endpointslice_labels{namespace="shop",endpointslice="web-a",label_kubernetes_io_service_name="web",label_endpointslice_kubernetes_io_managed_by="me"} 1+0x60"#;
pub(super) const WEB_ENDPOINTS: &str = r#"kube_endpoint_info{namespace="shop",endpoint="web"} 1+0x60"#;

/// A ready (or not) endpoint of the slice web-a: pod and node are given.
macro_rules! endpoint {
    ($pod:literal, $node:literal, $ready:literal) => {
        endpoint!($pod, $node, $ready, "1+0x60")
    };
    ($pod:literal, $node:literal, $ready:literal, $values:literal) => {
        concat!(
            "kube_endpointslice_endpoints{namespace=\"shop\",endpointslice=\"web-a\",targetref_kind=\"Pod\",targetref_name=\"",
            $pod, "\",address=\"", $pod, "\",endpoint_nodename=\"", $node, "\",ready=\"", $ready, "\"} ", $values
        )
    };
}

/// An address of the Endpoints object `web`.
macro_rules! address {
    ($ip:literal, $ready:literal) => {
        concat!(
            "kube_endpoint_address{namespace=\"shop\",endpoint=\"web\",ip=\"",
            $ip,
            "\",ready=\"",
            $ready,
            "\"} 1+0x60"
        )
    };
}

const HEADLESS: &str = r#"kube_service_info{namespace="shop",service="web",cluster_ip="None"} 1+0x60"#;
const EXTERNAL: &str =
    r#"kube_service_info{namespace="shop",service="web",cluster_ip="",external_name="db.example.com"} 1+0x60"#;
const EXTERNAL_TYPE: &str = r#"kube_service_spec_type{namespace="shop",service="web",type="ExternalName"} 1+0x60"#;
const MAY_BE_EMPTY: &str =
    r#"kube_service_labels{namespace="shop",service="web",label_portolan_dev_may_be_empty="true"} 1+0x60"#;

const STUCK_PENDING: Alert = Alert {
    name: "LoadBalancerStuckPending",
    severity: Warning,
    hold: "10m",
    variants: &[any(
        "max by (cluster, namespace, service) (kube_service_spec_type{type=\"LoadBalancer\"})
unless on (cluster, namespace, service) kube_service_status_load_balancer_ingress",
        &[
            fires("a balancer that never gets an address", &[WEB_BALANCER], "11m", SHOP_WEB),
            quiet("one that has waited for less than ten minutes", &[WEB_BALANCER], "9m"),
            quiet(
                "one with an address",
                &[
                    WEB_BALANCER,
                    r#"kube_service_status_load_balancer_ingress{namespace="shop",service="web",ip="203.0.113.9",hostname=""} 1+0x60"#,
                ],
                "30m",
            ),
            quiet(
                "one with a host name instead of an address",
                &[
                    WEB_BALANCER,
                    r#"kube_service_status_load_balancer_ingress{namespace="shop",service="web",ip="",hostname="lb.example.com"} 1+0x60"#,
                ],
                "30m",
            ),
            quiet("a Service of another type", &[WEB_TYPE], "30m"),
            fires(
                "one of the same name in another namespace has an address",
                &[
                    WEB_BALANCER,
                    r#"kube_service_spec_type{namespace="other",service="web",type="LoadBalancer"} 1+0x60"#,
                    r#"kube_service_status_load_balancer_ingress{namespace="other",service="web",ip="203.0.113.9",hostname=""} 1+0x60"#,
                ],
                "11m",
                SHOP_WEB,
            ),
            fires(
                "the exporter is restarted on the way",
                &[
                    r#"kube_service_spec_type{namespace="shop",service="web",type="LoadBalancer",instance="a"} 1+0x5 stale"#,
                    r#"kube_service_spec_type{namespace="shop",service="web",type="LoadBalancer",instance="b"} _x5 1+0x60"#,
                ],
                "12m",
                SHOP_WEB,
            ),
        ],
    )],
    summary: text(
        "LoadBalancer {{ $labels.namespace }}/{{ $labels.service }} has no address",
        "LoadBalancer {{ $labels.namespace }}/{{ $labels.service }} 没有对外地址",
    ),
    description: text(
        "For 10 minutes no load balancer controller has given the Service {{ $labels.namespace }}/{{ $labels.service }} an address. Either none is responsible for it (no controller runs, or not for its class), or every try fails; the events of the Service tell these apart.",
        "已有 10 分钟没有任何负载均衡控制器为 Service {{ $labels.namespace }}/{{ $labels.service }} 分配地址。要么没有控制器负责它（没有运行，或不处理它的 class），要么每次尝试都失败；Service 的事件可以区分这两种情况。",
    ),
    reasoning: text(
        "kube_service_info has no label for the type, and the series of the ingress does not become 0 while there is none: it does not exist. So the balancers without such a series are what is meant. An address that is a host name counts.",
        "kube_service_info 没有类型标签；没有 ingress 时，对应的序列不是 0，而是根本不存在。因此要找的是没有该序列的负载均衡 Service。以主机名形式给出的地址也算。",
    ),
    runbook: DIAGNOSE,
};

const NO_ENDPOINTS: Alert = Alert {
    name: "ServiceHasNoEndpoints",
    severity: Critical,
    hold: "5m",
    variants: &[
        Variant {
            from: Version(18),
            expression: concat!(
                "max by (cluster, namespace, service) (label_replace(\n",
                "  kube_endpointslice_labels{label_endpointslice_kubernetes_io_managed_by=\"endpointslice-controller.k8s.io\"},\n",
                "  \"service\", \"$1\", \"label_kubernetes_io_service_name\", \"(.+)\"))\n",
                expects_endpoints!(),
                "unless on (cluster, namespace, service) (\n  kube_endpointslice_endpoints{ready!=\"false\"}\n  ",
                of_service!(""),
                "\n)"
            ),
            cases: &[
                fires(
                    "a selector that matches no pod: its slice stays empty",
                    &[WEB, WEB_TYPE, WEB_SLICE],
                    "6m",
                    SHOP_WEB,
                ),
                fires(
                    "pods that never become ready",
                    &[WEB, WEB_TYPE, WEB_SLICE, endpoint!("p1", "n1", "false"), endpoint!("p2", "n2", "false")],
                    "6m",
                    SHOP_WEB,
                ),
                quiet(
                    "one ready pod among others",
                    &[WEB, WEB_TYPE, WEB_SLICE, endpoint!("p1", "n1", "true"), endpoint!("p2", "n2", "false")],
                    "30m",
                ),
                quiet(
                    "an endpoint of which readiness is not known counts as ready",
                    &[WEB, WEB_TYPE, WEB_SLICE, endpoint!("p1", "n1", "")],
                    "30m",
                ),
                quiet(
                    "the ready endpoint is in a second slice of the Service",
                    &[
                        WEB,
                        WEB_TYPE,
                        WEB_SLICE,
                        r#"kube_endpointslice_labels{namespace="shop",endpointslice="web-b",label_kubernetes_io_service_name="web"} 1+0x60"#,
                        r#"kube_endpointslice_endpoints{namespace="shop",endpointslice="web-b",address="10.0.0.1",ready="true"} 1+0x60"#,
                    ],
                    "30m",
                ),
                quiet(
                    "a restart of all pods that takes four minutes",
                    &[
                        WEB,
                        WEB_TYPE,
                        WEB_SLICE,
                        endpoint!("p1", "n1", "true", "1+0x5 stale"),
                        endpoint!("p1", "n1", "false", "_x6 1+0x3 stale"),
                        endpoint!("p2", "n1", "true", "_x10 1+0x60"),
                    ],
                    "15m",
                ),
                quiet(
                    "a Service without a selector, whose slices are made by hand",
                    &[WEB, WEB_TYPE, WEB_HAND_MADE],
                    "30m",
                ),
                quiet("a Service without a selector and without slices", &[WEB, WEB_TYPE], "30m"),
                quiet("a headless Service of a set that is scaled to zero", &[HEADLESS, WEB_TYPE, WEB_SLICE], "30m"),
                quiet("an ExternalName that was another type before", &[EXTERNAL, EXTERNAL_TYPE, WEB_SLICE], "30m"),
                quiet("a Service that says it may be empty", &[WEB, WEB_TYPE, WEB_SLICE, MAY_BE_EMPTY], "30m"),
                quiet("slices that were left behind by a Service", &[WEB_SLICE], "30m"),
                fires(
                    "two exporters, for availability, each with a Service label of its own scrape",
                    &[
                        r#"kube_service_info{namespace="shop",service="web",cluster_ip="10.96.0.7",pod="a"} 1+0x60"#,
                        r#"kube_service_info{namespace="shop",service="web",cluster_ip="10.96.0.7",pod="b"} 1+0x60"#,
                        r#"kube_endpointslice_labels{service="kube-state-metrics",pod="a",namespace="shop",endpointslice="web-a",label_kubernetes_io_service_name="web",label_endpointslice_kubernetes_io_managed_by="endpointslice-controller.k8s.io"} 1+0x60"#,
                        r#"kube_endpointslice_labels{service="kube-state-metrics",pod="b",namespace="shop",endpointslice="web-a",label_kubernetes_io_service_name="web",label_endpointslice_kubernetes_io_managed_by="endpointslice-controller.k8s.io"} 1+0x60"#,
                        r#"kube_endpointslice_endpoints{service="kube-state-metrics",pod="a",namespace="shop",endpointslice="web-a",address="10.0.0.1",ready="false"} 1+0x60"#,
                        r#"kube_endpointslice_endpoints{service="kube-state-metrics",pod="b",namespace="shop",endpointslice="web-a",address="10.0.0.1",ready="false"} 1+0x60"#,
                    ],
                    "6m",
                    SHOP_WEB,
                ),
                quiet(
                    "the same exporters, and the endpoint is ready",
                    &[
                        r#"kube_service_info{namespace="shop",service="web",cluster_ip="10.96.0.7",pod="a"} 1+0x60"#,
                        r#"kube_endpointslice_labels{service="kube-state-metrics",pod="a",namespace="shop",endpointslice="web-a",label_kubernetes_io_service_name="web",label_endpointslice_kubernetes_io_managed_by="endpointslice-controller.k8s.io"} 1+0x60"#,
                        r#"kube_endpointslice_labels{service="kube-state-metrics",pod="b",namespace="shop",endpointslice="web-a",label_kubernetes_io_service_name="web",label_endpointslice_kubernetes_io_managed_by="endpointslice-controller.k8s.io"} 1+0x60"#,
                        r#"kube_endpointslice_endpoints{service="kube-state-metrics",pod="a",namespace="shop",endpointslice="web-a",address="10.0.0.1",ready="true"} 1+0x60"#,
                        r#"kube_endpointslice_endpoints{service="kube-state-metrics",pod="b",namespace="shop",endpointslice="web-a",address="10.0.0.1",ready="true"} 1+0x60"#,
                    ],
                    "30m",
                ),
            ],
        },
        Variant {
            from: Version(6),
            expression: concat!(
                endpoints_objects!(),
                expects_endpoints!(),
                "unless on (cluster, namespace, service) label_replace(\n",
                "  kube_endpoint_address{ready=\"true\"}, \"service\", \"$1\", \"endpoint\", \"(.+)\")"
            ),
            cases: &[
                fires("an Endpoints object without addresses", &[WEB, WEB_TYPE, WEB_ENDPOINTS], "6m", SHOP_WEB),
                fires(
                    "addresses that are not ready",
                    &[WEB, WEB_TYPE, WEB_ENDPOINTS, address!("10.0.0.1", "false")],
                    "6m",
                    SHOP_WEB,
                ),
                quiet(
                    "a ready address",
                    &[WEB, WEB_TYPE, WEB_ENDPOINTS, address!("10.0.0.1", "true"), address!("10.0.0.2", "false")],
                    "30m",
                ),
                quiet("a Service without a selector has no Endpoints object", &[WEB, WEB_TYPE], "30m"),
                quiet("a headless Service", &[HEADLESS, WEB_TYPE, WEB_ENDPOINTS], "30m"),
                quiet("an ExternalName", &[EXTERNAL, EXTERNAL_TYPE, WEB_ENDPOINTS], "30m"),
                quiet("a Service that says it may be empty", &[WEB, WEB_TYPE, WEB_ENDPOINTS, MAY_BE_EMPTY], "30m"),
                quiet("an Endpoints object without a Service", &[WEB_ENDPOINTS], "30m"),
            ],
        },
        any(
            concat!(
                endpoints_objects!(),
                expects_endpoints!(),
                "unless on (cluster, namespace, service) label_replace(\n",
                "  kube_endpoint_address_available > 0, \"service\", \"$1\", \"endpoint\", \"(.+)\")"
            ),
            &[
                fires(
                    "no address available",
                    &[
                        WEB,
                        WEB_TYPE,
                        WEB_ENDPOINTS,
                        r#"kube_endpoint_address_available{namespace="shop",endpoint="web"} 0+0x60"#,
                    ],
                    "6m",
                    SHOP_WEB,
                ),
                quiet(
                    "some available",
                    &[
                        WEB,
                        WEB_TYPE,
                        WEB_ENDPOINTS,
                        r#"kube_endpoint_address_available{namespace="shop",endpoint="web"} 2+0x60"#,
                    ],
                    "30m",
                ),
                quiet(
                    "a headless Service",
                    &[
                        HEADLESS,
                        WEB_TYPE,
                        WEB_ENDPOINTS,
                        r#"kube_endpoint_address_available{namespace="shop",endpoint="web"} 0+0x60"#,
                    ],
                    "30m",
                ),
            ],
        ),
    ],
    summary: text(
        "Service {{ $labels.namespace }}/{{ $labels.service }} has no ready endpoint",
        "Service {{ $labels.namespace }}/{{ $labels.service }} 没有就绪的后端",
    ),
    description: text(
        "For 5 minutes no endpoint of {{ $labels.namespace }}/{{ $labels.service }} has been ready: connections to it are refused. Its selector matches no pod, or none of the pods is ready.",
        "{{ $labels.namespace }}/{{ $labels.service }} 已有 5 分钟没有任何就绪的端点：到它的连接会被拒绝。选择器没有匹配到 Pod，或者匹配到的 Pod 都未就绪。",
    ),
    reasoning: text(
        "A Service is meant if the slice controller looks after its slices, which it does only where there is a selector, and keeps an empty slice for a Service without pods; nothing else on the page says that a Service has a selector. Headless Services and ExternalNames are left out, as are Services with the label portolan.dev/may-be-empty=true, for what is scaled to zero on purpose. Before 2.18 the Endpoints objects are read instead, since those were the ones that were exported by default; an Endpoints object that was made by hand and has no address is then reported too.",
        "只有由切片控制器管理其切片的 Service 才会告警：控制器只处理有选择器的 Service，没有 Pod 时也会保留一个空切片；除此之外没有任何指标说明 Service 是否有选择器。Headless Service 与 ExternalName 被排除；带有标签 portolan.dev/may-be-empty=true 的 Service（例如有意缩容到零）也被排除。2.18 之前默认导出的是 Endpoints，因此改读 Endpoints；这时，手工创建且没有地址的 Endpoints 也会告警。",
    ),
    runbook: DIAGNOSE,
};

const MOSTLY_NOT_READY: Alert = Alert {
    name: "ServiceEndpointsMostlyNotReady",
    severity: Warning,
    hold: "15m",
    variants: &[
        Variant {
            from: Version(18),
            expression: concat!(
                "count by (cluster, namespace, service) (\n  kube_endpointslice_endpoints{ready=\"false\"}\n  ",
                of_service!(""),
                "\n)\n>\ncount by (cluster, namespace, service) (\n  kube_endpointslice_endpoints{ready!=\"false\"}\n  ",
                of_service!(""),
                "\n)"
            ),
            cases: &[
                fires(
                    "two of three pods are not ready",
                    &[
                        WEB_SLICE,
                        endpoint!("p1", "n1", "true"),
                        endpoint!("p2", "n1", "false"),
                        endpoint!("p3", "n2", "false"),
                    ],
                    "16m",
                    SHOP_WEB,
                ),
                quiet(
                    "one of three",
                    &[
                        WEB_SLICE,
                        endpoint!("p1", "n1", "true"),
                        endpoint!("p2", "n1", "true"),
                        endpoint!("p3", "n2", "false"),
                    ],
                    "30m",
                ),
                quiet(
                    "none at all is another alert's business",
                    &[WEB_SLICE, endpoint!("p1", "n1", "false"), endpoint!("p2", "n1", "false")],
                    "30m",
                ),
                quiet(
                    "a rollout that is done after ten minutes",
                    &[
                        WEB_SLICE,
                        endpoint!("p1", "n1", "true"),
                        endpoint!("p2", "n1", "false", "1+0x10 stale"),
                        endpoint!("p3", "n2", "false", "1+0x10 stale"),
                        endpoint!("p4", "n2", "true", "_x10 1+0x60"),
                    ],
                    "30m",
                ),
            ],
        },
        Variant {
            from: Version(6),
            expression: "count by (cluster, namespace, service) (label_replace(
  max by (cluster, namespace, endpoint, ip) (kube_endpoint_address{ready=\"false\"}), \"service\", \"$1\", \"endpoint\", \"(.+)\"))
>
count by (cluster, namespace, service) (label_replace(
  max by (cluster, namespace, endpoint, ip) (kube_endpoint_address{ready=\"true\"}), \"service\", \"$1\", \"endpoint\", \"(.+)\"))",
            cases: &[
                fires(
                    "two of three addresses are not ready",
                    &[address!("10.0.0.1", "true"), address!("10.0.0.2", "false"), address!("10.0.0.3", "false")],
                    "16m",
                    SHOP_WEB,
                ),
                quiet(
                    "one of two",
                    &[address!("10.0.0.1", "true"), address!("10.0.0.2", "false")],
                    "30m",
                ),
            ],
        },
    ],
    summary: text(
        "Service {{ $labels.namespace }}/{{ $labels.service }} has more endpoints not ready than ready",
        "Service {{ $labels.namespace }}/{{ $labels.service }} 未就绪的端点多于就绪的端点",
    ),
    description: text(
        "For 15 minutes most endpoints of {{ $labels.namespace }}/{{ $labels.service }} have not been ready. Clients notice nothing yet: the few ready ones carry all of the traffic.",
        "{{ $labels.namespace }}/{{ $labels.service }} 的大多数端点已有 15 分钟未就绪。客户端暂时没有感觉：少数就绪的端点承担了全部流量。",
    ),
    reasoning: text(
        "Only the label ready is used: in kube-state-metrics 2.15 and later, serving has the value of terminating, and terminating that of the host name. Terminating pods count as not ready, which is why a rollout gets a quarter of an hour.",
        "只使用 ready 标签：kube-state-metrics 2.15 起，serving 标签里是 terminating 的值，terminating 标签里是主机名。正在终止的 Pod 算作未就绪，所以给滚动更新留了一刻钟。",
    ),
    runbook: DIAGNOSE,
};

const ONE_NODE: Alert = Alert {
    name: "ServiceEndpointsOnOneNode",
    severity: Info,
    hold: "30m",
    variants: &[any(
        concat!(
            "(count by (cluster, namespace, service) (count by (cluster, namespace, service, targetref_name) (\n  kube_endpointslice_endpoints{ready!=\"false\",targetref_kind=\"Pod\"}\n  ",
            of_service!(""),
            "\n)) > 1)\nand on (cluster, namespace, service)\n(count by (cluster, namespace, service) (count by (cluster, namespace, service, endpoint_nodename) (\n  kube_endpointslice_endpoints{ready!=\"false\",targetref_kind=\"Pod\"}\n  ",
            of_service!(""),
            "\n)) == 1)\nand on (cluster)\n(count by (cluster) (count by (cluster, endpoint_nodename) (kube_endpointslice_endpoints{endpoint_nodename!=\"\"})) > 1)"
        ),
        &[
            fires(
                "three pods on the same node, and there is another one",
                &[
                    WEB_SLICE,
                    endpoint!("p1", "n1", "true"),
                    endpoint!("p2", "n1", "true"),
                    endpoint!("p3", "n1", "true"),
                    r#"kube_endpointslice_endpoints{namespace="shop",endpointslice="other",address="10.0.0.9",targetref_kind="Pod",targetref_name="x",endpoint_nodename="n2",ready="true"} 1+0x60"#,
                ],
                "31m",
                SHOP_WEB,
            ),
            quiet(
                "there is only one node",
                &[WEB_SLICE, endpoint!("p1", "n1", "true"), endpoint!("p2", "n1", "true")],
                "50m",
            ),
            quiet(
                "pods on two nodes",
                &[WEB_SLICE, endpoint!("p1", "n1", "true"), endpoint!("p2", "n2", "true")],
                "50m",
            ),
            quiet(
                "a single pod cannot be on two nodes",
                &[
                    WEB_SLICE,
                    endpoint!("p1", "n1", "true"),
                    r#"kube_endpointslice_endpoints{namespace="shop",endpointslice="other",address="10.0.0.9",targetref_kind="Pod",targetref_name="x",endpoint_nodename="n2",ready="true"} 1+0x60"#,
                ],
                "50m",
            ),
            quiet(
                "one pod with an address of each family",
                &[
                    WEB_SLICE,
                    endpoint!("p1", "n1", "true"),
                    r#"kube_endpointslice_labels{namespace="shop",endpointslice="web-6",label_kubernetes_io_service_name="web"} 1+0x60"#,
                    r#"kube_endpointslice_endpoints{namespace="shop",endpointslice="web-6",address="fd00::1",targetref_kind="Pod",targetref_name="p1",endpoint_nodename="n1",ready="true"} 1+0x60"#,
                    r#"kube_endpointslice_endpoints{namespace="shop",endpointslice="other",address="10.0.0.9",targetref_kind="Pod",targetref_name="x",endpoint_nodename="n2",ready="true"} 1+0x60"#,
                ],
                "50m",
            ),
        ],
    )],
    summary: text(
        "All pods of Service {{ $labels.namespace }}/{{ $labels.service }} are on one node",
        "Service {{ $labels.namespace }}/{{ $labels.service }} 的所有 Pod 都在同一个节点上",
    ),
    description: text(
        "The Service {{ $labels.namespace }}/{{ $labels.service }} has several pods so that it can lose one, but all of them will go with the same node. Spread them (topologySpreadConstraints, anti-affinity).",
        "Service {{ $labels.namespace }}/{{ $labels.service }} 有多个 Pod，本可以承受失去其中一个，但它们会随同一个节点一起消失。请把它们分散开（topologySpreadConstraints、反亲和）。",
    ),
    reasoning: text(
        "Pods are counted, not addresses, for a pod may have one of each family. Clusters in which all endpoints are on one node have nowhere else to put them.",
        "按 Pod 计数而不是按地址计数，因为一个 Pod 可能在每个地址族各有一个地址。如果整个集群的端点都在一个节点上，说明没有别的节点可用，不告警。",
    ),
    runbook: DIAGNOSE,
};

const PORTS_UNRESOLVED: Alert = Alert {
    name: "ServicePortsUnresolved",
    severity: Warning,
    hold: "10m",
    variants: &[any(
        concat!(
            "max by (cluster, namespace, service) (\n  (kube_endpointslice_endpoints unless on (cluster, namespace, endpointslice) kube_endpointslice_ports)\n  ",
            of_service!(",label_endpointslice_kubernetes_io_managed_by=\"endpointslice-controller.k8s.io\""),
            "\n)\nand on (cluster, namespace, service) kube_service_info{cluster_ip!=\"None\"}"
        ),
        &[
            fires(
                "pods that have no port of the name in targetPort",
                &[WEB, WEB_SLICE, endpoint!("p1", "n1", "true")],
                "11m",
                SHOP_WEB,
            ),
            quiet(
                "a slice with its port",
                &[
                    WEB,
                    WEB_SLICE,
                    endpoint!("p1", "n1", "true"),
                    r#"kube_endpointslice_ports{namespace="shop",endpointslice="web-a",port_name="",port_number="80"} 1+0x60"#,
                ],
                "30m",
            ),
            quiet("an empty slice has no ports either", &[WEB, WEB_SLICE], "30m"),
            quiet("a headless Service needs no ports", &[HEADLESS, WEB_SLICE, endpoint!("p1", "n1", "true")], "30m"),
            quiet(
                "a slice made by hand: no ports means all of them",
                &[WEB, WEB_HAND_MADE, endpoint!("p1", "n1", "true")],
                "30m",
            ),
        ],
    )],
    summary: text(
        "Pods of Service {{ $labels.namespace }}/{{ $labels.service }} lack the port that targetPort names",
        "Service {{ $labels.namespace }}/{{ $labels.service }} 的 Pod 没有 targetPort 所指名称的端口",
    ),
    description: text(
        "Ready pods of {{ $labels.namespace }}/{{ $labels.service }} get no traffic: none of the names in targetPort is a port of their containers, so their slice has endpoints but no ports. No event says so.",
        "{{ $labels.namespace }}/{{ $labels.service }} 有一些 Pod 收不到流量：targetPort 中的名称都不是其容器的端口，因此它们所在的切片有端点而没有端口。没有任何事件提示这一点。",
    ),
    reasoning: text(
        "The slice controller puts pods for which no port can be resolved into a slice with no ports. In a headless Service, or a slice of somebody else's, that is legitimate.",
        "切片控制器把无法解析出端口的 Pod 放进没有端口的切片。对 Headless Service 或他人管理的切片来说，这是合法的。",
    ),
    runbook: DIAGNOSE,
};

const DELETION_STUCK: Alert = Alert {
    name: "ServiceDeletionStuck",
    severity: Warning,
    hold: "10m",
    variants: &[any(
        "max by (cluster, namespace, service) (kube_service_deletion_timestamp)",
        &[
            fires(
                "a finalizer that is never removed",
                &[r#"kube_service_deletion_timestamp{namespace="shop",service="web"} 1.7e9+0x60"#],
                "11m",
                SHOP_WEB,
            ),
            quiet(
                "a balancer whose deletion takes five minutes",
                &[r#"kube_service_deletion_timestamp{namespace="shop",service="web"} 1.7e9+0x5 stale"#],
                "11m",
            ),
            quiet("a Service that nobody deletes", &[WEB, WEB_TYPE], "30m"),
        ],
    )],
    summary: text(
        "Service {{ $labels.namespace }}/{{ $labels.service }} cannot be deleted",
        "Service {{ $labels.namespace }}/{{ $labels.service }} 无法删除",
    ),
    description: text(
        "For 10 minutes a finalizer has kept {{ $labels.namespace }}/{{ $labels.service }} from being deleted: usually the cloud refuses to remove the load balancer. To remove the finalizer by hand leaves that behind, and its bill.",
        "已有 10 分钟，终结器（finalizer）阻止 {{ $labels.namespace }}/{{ $labels.service }} 被删除：通常是云厂商拒绝删除负载均衡器。手工移除终结器会留下负载均衡器，并继续计费。",
    ),
    reasoning: text(
        "The series exists only while a Service is being deleted. A deletion that fails gives no event of its own name: it is a SyncLoadBalancerFailed.",
        "只有正在删除的 Service 才有这个序列。删除失败没有自己的事件名：它表现为 SyncLoadBalancerFailed。",
    ),
    runbook: DIAGNOSE,
};

pub(super) const GROUP: Group = Group {
    name: "portolan-services",
    reads: text("kube-state-metrics", "kube-state-metrics"),
    alerts: &[STUCK_PENDING, NO_ENDPOINTS, MOSTLY_NOT_READY, ONE_NODE, PORTS_UNRESOLVED, DELETION_STUCK],
};
