//! Read from the API server and the controllers: what they count when they fail.

use super::{
    Alert, Group,
    Severity::{Info, Warning},
    any, fires, quiet, text,
};

/// Counted in the last ten minutes and in the ten before. One incident, such as a restart of the API server, is in one
/// window only, or in both for a moment that `for` outlasts; a retry that backs off to its longest pause is in both.
macro_rules! lasting {
    ($by:literal, $counter:literal) => {
        concat!(
            "sum by (",
            $by,
            ") (increase(",
            $counter,
            "[10m])) > 0\nand on (",
            $by,
            ")\nsum by (",
            $by,
            ") (increase(",
            $counter,
            "[10m] offset 10m)) > 0"
        )
    };
}

const WRITES: Alert = Alert {
    name: "HighEndpointUpdateFailureRate",
    severity: Warning,
    hold: "10m",
    variants: &[any(
        "(
  sum by (cluster, resource) (
    rate(apiserver_request_total{resource=~\"endpoints|endpointslices\",verb=~\"POST|PUT|PATCH|APPLY|DELETE|create|update|patch|delete\",code!~\"[123]..|404|409\"}[5m])
    or
    rate(apiserver_request_total{resource=~\"endpoints|endpointslices\",verb=~\"PUT|PATCH|APPLY|update|patch\",code=\"409\"}[5m])
  )
  /
  sum by (cluster, resource) (
    rate(apiserver_request_total{resource=~\"endpoints|endpointslices\",verb=~\"POST|PUT|PATCH|APPLY|DELETE|create|update|patch|delete\"}[5m])
  )
) > 0.1",
        &[
            fires(
                "every second write of slices fails in the API server",
                &[
                    r#"apiserver_request_total{resource="endpointslices",verb="PUT",code="200"} 0+60x60"#,
                    r#"apiserver_request_total{resource="endpointslices",verb="PUT",code="500"} 0+60x60"#,
                ],
                "20m",
                &[&[("resource", "endpointslices")]],
            ),
            fires(
                "conflicts are failures too: somebody else writes the same objects",
                &[
                    r#"apiserver_request_total{resource="endpoints",verb="PUT",code="200",instance="a"} 0+60x60"#,
                    r#"apiserver_request_total{resource="endpoints",verb="PUT",code="409",instance="b"} 0+30x60"#,
                ],
                "20m",
                &[&[("resource", "endpoints")]],
            ),
            fires(
                "an admission webhook or a quota refuses to create",
                &[
                    r#"apiserver_request_total{resource="endpointslices",verb="POST",code="201"} 0+6x60"#,
                    r#"apiserver_request_total{resource="endpointslices",verb="POST",code="403"} 0+6x60"#,
                ],
                "20m",
                &[&[("resource", "endpointslices")]],
            ),
            quiet(
                "a conflict now and then",
                &[
                    r#"apiserver_request_total{resource="endpointslices",verb="PUT",code="200"} 0+60x60"#,
                    r#"apiserver_request_total{resource="endpointslices",verb="PUT",code="409"} 0+1x60"#,
                ],
                "30m",
            ),
            quiet(
                "somebody makes sure that his slice is there, in a cluster where nothing else happens",
                &[r#"apiserver_request_total{resource="endpointslices",verb="POST",code="409"} 0+6x60"#],
                "30m",
            ),
            quiet(
                "deleting what is gone already",
                &[
                    r#"apiserver_request_total{resource="endpointslices",verb="DELETE",code="200"} 0+6x60"#,
                    r#"apiserver_request_total{resource="endpointslices",verb="DELETE",code="404"} 0+60x60"#,
                ],
                "30m",
            ),
            quiet(
                "reads that fail, and writes of other things",
                &[
                    r#"apiserver_request_total{resource="endpointslices",verb="LIST",code="500"} 0+60x60"#,
                    r#"apiserver_request_total{resource="pods",verb="PUT",code="500"} 0+60x60"#,
                    r#"apiserver_request_total{resource="endpointslices",verb="PUT",code="200"} 0+60x60"#,
                ],
                "30m",
            ),
            quiet("nobody writes", &[r#"apiserver_request_total{resource="endpoints",verb="PUT",code="500"} 7+0x60"#], "30m"),
        ],
    )],
    summary: text(
        "More than 10 % of the writes of {{ $labels.resource }} fail",
        "对 {{ $labels.resource }} 的写入有 10% 以上失败",
    ),
    description: text(
        "For 10 minutes the API server has refused or failed more than a tenth of all writes of {{ $labels.resource }}: Services go on sending traffic to pods that are gone, and not to new ones.",
        "10 分钟以来，API 服务器拒绝或未能完成十分之一以上对 {{ $labels.resource }} 的写入：Service 会继续把流量发给已消失的 Pod，而不发给新的 Pod。",
    ),
    reasoning: text(
        "The verbs of apiserver_request_total are those of HTTP in capitals (Portolan's own API server writes create, update, patch and delete), and a rule on verb=\"update\" finds nothing. Not only 5xx are failures: a conflict is 409, a quota or a webhook 403, an invalid object 422, overload 429. A share says more than a rate: a controller that backs off fails seldom. The deletion of what is gone (404) and the creation of what is there (409) are not.",
        "apiserver_request_total 的 verb 是大写的 HTTP 方法（Portolan 自带的 API 服务器使用 create、update、patch、delete），因此 verb=\"update\" 什么也匹配不到。失败不只是 5xx：冲突是 409，配额或准入 Webhook 是 403，对象不合法是 422，过载是 429。比例比速率更能说明问题：退避中的控制器失败得并不频繁。删除已不存在的对象（404）与创建已存在的对象（409）不算失败。",
    ),
    runbook: "portolan explain FailedToUpdateEndpointSlices",
};

const SLICE_ERRORS: Alert = Alert {
    name: "EndpointSliceSyncFailing",
    severity: Warning,
    hold: "5m",
    variants: &[any(
        lasting!("cluster", "endpoint_slice_controller_syncs{result=\"error\"}"),
        &[
            fires(
                "one Service whose slices cannot be written, tried again ever more rarely",
                &[
                    r#"endpoint_slice_controller_syncs{result="error"} 0 5 6 7 7 8 8 8 8 9 9 9 9 9 9 9 9 9 10 10 10 10 10 10 10 10 10"#,
                ],
                "24m",
                &[&[]],
            ),
            quiet(
                "a restart of the API server",
                &[r#"endpoint_slice_controller_syncs{result="error"} 0+0x10 40+0x50"#],
                "24m",
            ),
            quiet(
                "one just as the windows change",
                &[r#"endpoint_slice_controller_syncs{result="error"} 0+0x10 20 40+0x50"#],
                "21m",
            ),
            quiet("syncs that work", &[r#"endpoint_slice_controller_syncs{result="success"} 0+60x60"#], "40m"),
        ],
    )],
    summary: text("EndpointSlices of some Service cannot be written", "某个 Service 的 EndpointSlice 无法写入"),
    description: text(
        "For 20 minutes the slice controller has failed to bring at least one Service up to date. After 15 tries it gives up until something changes, and the Service keeps its old endpoints. The Service has a Warning event FailedToUpdateEndpointSlices.",
        "20 分钟以来，切片控制器一直无法更新至少一个 Service。重试 15 次后它会放弃，直到有新的变化；Service 会保留旧的端点。该 Service 上有 Warning 事件 FailedToUpdateEndpointSlices。",
    ),
    reasoning: text(
        "A single failing Service is retried after 1, 2, 4 and finally 1000 s, so no rate of errors can tell it from chance; errors in two windows one after the other can.",
        "单个失败的 Service 会在 1、2、4 …… 直到 1000 秒后重试，因此单看错误速率无法与偶发错误区分；相邻两个窗口都有错误才能说明问题。",
    ),
    runbook: "portolan explain FailedToUpdateEndpointSlices",
};

const SLICE_STALE: Alert = Alert {
    name: "EndpointSliceControllerBehind",
    severity: Warning,
    hold: "10m",
    variants: &[any(
        "sum by (cluster) (rate(endpoint_slice_controller_syncs{result=\"stale\"}[5m]))
/
sum by (cluster) (rate(endpoint_slice_controller_syncs[5m]))
> 0.5",
        &[
            fires(
                "most syncs find an old cache",
                &[
                    r#"endpoint_slice_controller_syncs{result="success"} 0+10x60"#,
                    r#"endpoint_slice_controller_syncs{result="stale"} 0+60x60"#,
                ],
                "20m",
                &[&[]],
            ),
            quiet(
                "some do, in a large rollout",
                &[
                    r#"endpoint_slice_controller_syncs{result="success"} 0+60x60"#,
                    r#"endpoint_slice_controller_syncs{result="stale"} 0+30x60"#,
                ],
                "30m",
            ),
            quiet("nothing happens", &[r#"endpoint_slice_controller_syncs{result="stale"} 5+0x60"#], "30m"),
        ],
    )],
    summary: text("The slice controller does not see its own writes", "切片控制器看不到自己的写入"),
    description: text(
        "Most syncs of the EndpointSlice controller end at once because its cache is older than what it wrote: its watch is stuck or far behind. No event is sent for that. Endpoints lag behind the pods.",
        "EndpointSlice 控制器的大多数同步立即结束，因为它的缓存比它写入的内容更旧：它的 watch 卡住或严重滞后。这种情况不会产生事件。端点滞后于 Pod。",
    ),
    reasoning: text(
        "A stale sync is normal for a moment after every write; that most of them are, is not.",
        "每次写入之后短暂出现 stale 是正常的；大多数同步都是 stale 则不正常。",
    ),
    runbook: "portolan diagnose -A",
};

const HANGS: Alert = Alert {
    name: "ServiceControllerHangs",
    severity: Warning,
    hold: "5m",
    variants: &[any(
        "max by (cluster, name) (workqueue_longest_running_processor_seconds{name=~\"(endpoint|endpoint_slice|endpoint_slice_mirroring|service)|(endpoint|endpoint-slice|endpoint-slice-mirroring|service)-controller\"}) > 300",
        &[
            fires(
                "a call to the cloud that never returns",
                &[r#"workqueue_longest_running_processor_seconds{name="service"} 0+60x60"#],
                "12m",
                &[&[("name", "service")]],
            ),
            quiet(
                "calls that take two minutes each",
                &[
                    r#"workqueue_longest_running_processor_seconds{name="service"} 0 60 120 0 60 120 0 60 120 0 60 120 0 60 120"#,
                ],
                "14m",
            ),
            quiet(
                "another controller",
                &[r#"workqueue_longest_running_processor_seconds{name="garbage_collector_attempt_to_delete"} 0+60x60"#],
                "30m",
            ),
        ],
    )],
    summary: text(
        "A worker of the controller {{ $labels.name }} hangs",
        "控制器 {{ $labels.name }} 的一个工作线程卡住了",
    ),
    description: text(
        "One item of the queue {{ $labels.name }} has been in work for more than 5 minutes. The service controller has a single worker by default: while a call to the cloud hangs, no other load balancer is created, changed or deleted.",
        "队列 {{ $labels.name }} 中有一项已处理了 5 分钟以上。service 控制器默认只有一个工作线程：对云厂商的调用卡住期间，其他负载均衡器都不会被创建、更新或删除。",
    ),
    reasoning: text(
        "The depth of a queue is large after every restart; the age of what is in work is not.",
        "每次重启后队列都会变深；正在处理的条目的时长则不会。",
    ),
    runbook: "portolan explain EnsuringLoadBalancer",
};

const BALANCER_SYNC: Alert = Alert {
    name: "LoadBalancerSyncFailing",
    severity: Warning,
    hold: "5m",
    variants: &[any(
        lasting!("cluster, name", "workqueue_retries_total{name=~\"service|service-controller\"}"),
        &[
            fires(
                "a change that the cloud refuses, tried every five minutes",
                &[
                    r#"workqueue_retries_total{name="service"} 0 3 5 6 6 7 7 7 7 7 8 8 8 8 8 9 9 9 9 9 10 10 10 10 10 11 11 11 11 11"#,
                ],
                "26m",
                &[&[("name", "service")]],
            ),
            quiet("one failure that healed", &[r#"workqueue_retries_total{name="service"} 0+0x5 3+0x55"#], "20m"),
            quiet("retries of another controller", &[r#"workqueue_retries_total{name="deployment"} 0+5x60"#], "40m"),
        ],
    )],
    summary: text("A load balancer cannot be brought up to date", "有负载均衡器无法更新"),
    description: text(
        "For 20 minutes the service controller has tried in vain to create, change or delete a load balancer. One that has its address already keeps it, so the Service looks well while its ports, nodes or source ranges are the old ones. The Service has a Warning event SyncLoadBalancerFailed.",
        "20 分钟以来，service 控制器一直无法创建、修改或删除某个负载均衡器。已有地址的负载均衡器会保留地址，因此 Service 看起来正常，但端口、节点或源地址范围仍是旧的。该 Service 上有 Warning 事件 SyncLoadBalancerFailed。",
    ),
    reasoning: text(
        "The service controller has no counter of failed syncs; its queue counts the retries, and the longest pause between two is 5 minutes.",
        "service 控制器没有同步失败的计数器；它的队列会统计重试次数，两次重试之间最长间隔 5 分钟。",
    ),
    runbook: "portolan explain SyncLoadBalancerFailed",
};

const NODE_SYNC: Alert = Alert {
    name: "LoadBalancerNodesNotUpdated",
    severity: Warning,
    hold: "5m",
    variants: &[any(
        lasting!("cluster", "service_controller_nodesync_error_total"),
        &[
            fires(
                "node changes that the cloud does not take",
                &[r#"service_controller_nodesync_error_total 0+1x60"#],
                "27m",
                &[&[]],
            ),
            quiet("one that failed", &[r#"service_controller_nodesync_error_total 0+0x5 1+0x55"#], "20m"),
        ],
    )],
    summary: text("Load balancers do not learn of changed nodes", "负载均衡器没有获知节点变化"),
    description: text(
        "For 20 minutes updates of the nodes behind load balancers have failed: traffic goes to nodes that are gone, and none to new ones. The Services have Warning events UpdateLoadBalancerFailed.",
        "20 分钟以来，更新负载均衡器后端节点一直失败：流量发往已不存在的节点，而不发往新节点。相关 Service 上有 Warning 事件 UpdateLoadBalancerFailed。",
    ),
    reasoning: text(
        "A failed update of nodes is followed by a full sync of the Service, which may heal it: a single failure is not worth an alert.",
        "节点更新失败后会对 Service 做一次完整同步，可能因此恢复：单次失败不值得告警。",
    ),
    runbook: "portolan explain UpdateLoadBalancerFailed",
};

/// The counters of one of Portolan's controllers, under its name.
macro_rules! lost {
    ($controller:literal, $counter:literal) => {
        concat!(
            "label_replace(sum by (cluster) (increase(",
            $counter,
            "[15m])) > 0, \"controller\", \"",
            $controller,
            "\", \"\", \"\")"
        )
    };
}

const EVENTS_LOST: Alert = Alert {
    name: "ServiceEventsLost",
    severity: Info,
    hold: "0m",
    variants: &[any(
        concat!(
            lost!("service-controller", "service_controller_events_failed_total"),
            "\nor ",
            lost!("service-controller", "service_controller_events_dropped_total"),
            "\nor ",
            lost!("endpoint-slice-controller", "endpoint_slice_controller_events_failed_total"),
            "\nor ",
            lost!("endpoint-slice-controller", "endpoint_slice_controller_events_dropped_total")
        ),
        &[
            fires(
                "events that the API does not take",
                &[r#"service_controller_events_failed_total{instance="a"} 0+1x60"#],
                "10m",
                &[&[("controller", "service-controller")]],
            ),
            fires(
                "a queue that overflows",
                &[r#"endpoint_slice_controller_events_dropped_total{instance="a"} 0+9x60"#],
                "10m",
                &[&[("controller", "endpoint-slice-controller")]],
            ),
            quiet(
                "what the spam filter holds back is counted elsewhere",
                &[
                    r#"service_controller_events_filtered_total{instance="a"} 0+9x60"#,
                    r#"service_controller_events_failed_total{instance="a"} 0+0x60"#,
                ],
                "10m",
            ),
        ],
    )],
    summary: text("Events of {{ $labels.controller }} are lost", "{{ $labels.controller }} 的事件丢失"),
    description: text(
        "Events of {{ $labels.controller }} could not be written in the last 15 minutes: that there is no event about a Service does not mean that all is well.",
        "最近 15 分钟内，{{ $labels.controller }} 的部分事件未能写入：没有关于某个 Service 的事件，不代表一切正常。",
    ),
    reasoning: text(
        "Only Portolan's controllers count this; those of Kubernetes lose events without a trace.",
        "只有 Portolan 的控制器统计这个数字；Kubernetes 自己的控制器丢失事件时不留痕迹。",
    ),
    runbook: "portolan explain --list",
};

pub(super) const GROUP: Group = Group {
    name: "portolan-controllers",
    reads: text(
        "kube-apiserver, kube-controller-manager, cloud-controller-manager, portolan controllers",
        "kube-apiserver、kube-controller-manager、cloud-controller-manager、portolan controllers",
    ),
    alerts: &[WRITES, SLICE_ERRORS, SLICE_STALE, HANGS, BALANCER_SYNC, NODE_SYNC, EVENTS_LOST],
};
