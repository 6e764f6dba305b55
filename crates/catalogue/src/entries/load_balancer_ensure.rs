//! Bringing a load balancer into being: Ensuring, Creating, Created, Ensured.
//!
//! Upstream: `syncLoadBalancerIfNeeded` and `ensureLoadBalancer` in
//! `k8s.io/cloud-provider/controllers/service/controller.go`.

use super::{DESCRIBE_SERVICE, DIAGNOSE, alias, check, frequency, message, misreading, noted, remedy};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[ENSURING, ENSURED, CREATING, CREATED];

const ENSURING: Entry = Entry {
    name: "EnsuringLoadBalancer",
    reason: Some(Reason::EnsuringLoadBalancer),
    severity: Severity::Normal,
    category: Category::LoadBalancer,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "Before every attempt to bring the load balancer in line with the Service: when it \
             appears, when it changes in a way that matters, and again for each retry.",
            "每次着手让负载均衡器与 Service 保持一致之前：Service 出现时、发生有关的变更时，以及\
             每次重试时。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.25"),
    summary: text("An attempt to set up the load balancer begins", "开始一次负载均衡器的配置尝试"),
    messages: &[message("Kubernetes, Portolan", "Ensuring load balancer")],
    patterns: &[],
    meaning: text(
        "The controller has taken up a Service of type LoadBalancer without a loadBalancerClass \
         and is about to ask the provider for a balancer that matches it. It says so before it \
         adds its finalizer and before it looks at nodes, so the event proves only that somebody \
         is working on the Service, not that anything has succeeded.",
        "控制器已经接手一个类型为 LoadBalancer、且没有设置 loadBalancerClass 的 Service，即将向云\
         厂商请求与之相符的负载均衡器。这条事件发出时，清理用的 finalizer 还没加上，节点也还没\
         看，所以它只说明有控制器在处理这个 Service，并不表示任何一步已经成功。",
    ),
    frequency: frequency::ATTEMPT,
    place: None,
    impact: Impact {
        harm: Harm::None,
        who: text(
            "Nobody. Until EnsuredLoadBalancer a new Service shows its EXTERNAL-IP as pending; a \
             Service that already has an address keeps it.",
            "无人受影响。在 EnsuredLoadBalancer 出现之前，新建的 Service 的 EXTERNAL-IP 显示为 \
             pending；已有地址的 Service 保留原地址。",
        ),
    },
    chain: Chain {
        before: text(
            "The Service was created, changed (ports, session affinity, source ranges, external \
             IPs, any annotation, externalTrafficPolicy, health check port, IP families), or a \
             failed attempt is due again. A failed update of the node list also leads here.",
            "Service 被创建，或发生变更（端口、会话保持、来源网段、externalIPs、任何注解、\
             externalTrafficPolicy、健康检查端口、IP 地址族），或失败后到了重试的时刻。节点列表更\
             新失败之后也会走到这里。",
        ),
        after: text(
            "EnsuredLoadBalancer on success (Portolan says CreatingLoadBalancer and \
             CreatedLoadBalancer in between when a balancer really had to be made); \
             SyncLoadBalancerFailed on failure; UnAvailableLoadBalancer in between when no node \
             is eligible.",
            "成功则出现 EnsuredLoadBalancer（确实需要新建时，Portolan 会在中间报告 \
             CreatingLoadBalancer 和 CreatedLoadBalancer）；失败则出现 SyncLoadBalancerFailed；没\
             有可用节点时，中间会出现 UnAvailableLoadBalancer。",
        ),
    },
    checks: &[
        DESCRIBE_SERVICE,
        check(
            "Whether another controller is responsible: with a class set, this one does not look \
             at the Service.",
            "是否归其他控制器管：设置了 class 的 Service，本控制器不会理会。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.spec.loadBalancerClass}'",
        ),
        check(
            "What has been assigned so far; empty means nothing yet.",
            "目前已经分配了什么；为空表示还没有。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.status.loadBalancer.ingress}'",
        ),
        DIAGNOSE,
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("EnsuredLoadBalancer follows.", "随后出现 EnsuredLoadBalancer。"),
            text("Nothing to do: this is routine.", "无需处理，这是正常流程。"),
            &[],
        ),
        remedy(
            text("Nothing follows for minutes.", "几分钟过去仍没有下文。"),
            text(
                "The provider call is still running, or the provider leaves this Service to \
                 another implementation and says nothing more, or warnings were held back by the \
                 event spam filter. The log of the cloud controller manager tells which; the \
                 count and age of the event tell whether attempts repeat.",
                "可能是对云厂商的调用还没返回；可能是云厂商把这个 Service 交给了别的实现，此后不\
                 再出声；也可能是告警被事件的限流过滤掉了。查 cloud-controller-manager 的日志可以\
                 分辨；从事件的次数和时间可以看出是否在反复尝试。",
            ),
            &["kubectl get pods -n kube-system", "kubectl logs -n kube-system POD --tail=200"],
        ),
        remedy(
            text("There is no event at all.", "一条事件也没有。"),
            text(
                "No controller is looking: no cloud controller manager runs, \
                 spec.loadBalancerClass names one that is not installed, or the events are older \
                 than an hour and have expired.",
                "没有控制器在管：cloud-controller-manager 没有运行，或者 spec.loadBalancerClass \
                 指向的控制器没有安装，或者事件已经超过一小时而过期。",
            ),
            &["kubectl get pods -A", "kubectl get service NAME -n NAMESPACE -o yaml"],
        ),
    ]),
    misreadings: &[
        misreading(
            text(
                "The pair Ensuring and Ensured repeats every 10 seconds, set by \
                 --node-sync-period.",
                "Ensuring 与 Ensured 每 10 秒成对出现一次，由 --node-sync-period 控制。",
            ),
            text(
                "There is no such loop. The informers resync every 30 s (Services) and 100 s \
                 (nodes), but a resync only queues a Service that needs an update, so a quiet \
                 Service stays silent. That flag does not drive this controller.",
                "并没有这样的循环。informer 的重新同步间隔是 30 秒（Service）和 100 秒（节点），\
                 但只有确实需要更新的 Service 才会入队，没有变化就没有事件。这个参数也不控制本控\
                 制器。",
            ),
        ),
        misreading(
            text("Retries come every 10 seconds.", "失败后每 10 秒重试一次。"),
            text(
                "They come after 5 s, 10 s, 20 s and so on up to 300 s, for each Service on its \
                 own and without end, unless the provider names a delay itself.",
                "间隔是 5 秒、10 秒、20 秒……翻倍到 300 秒封顶，每个 Service 单独计算，次数不\
                 限；除非云厂商的实现自己指定了等待时间。",
            ),
        ),
    ],
    aliases: &[
        alias(
            "LoadBalancerSourceRanges",
            "Kubernetes 1.25 to 1.31, just before it: source ranges changed, from and to what.",
            "Kubernetes 1.25 至 1.31，紧接在它之前：来源网段发生变更，写明前后的值。",
        ),
        alias(
            "LoadbalancerIP",
            "Kubernetes 1.25 to 1.31, just before it: loadBalancerIP (the b is small in the event) changed, from and to what.",
            "Kubernetes 1.25 至 1.31，紧接在它之前：loadBalancerIP（事件中 b 为小写）发生变更，写明前后的值。",
        ),
        alias(
            "ExternalIP",
            "Kubernetes 1.25 to 1.31, just before it: externalIPs changed, from and to what.",
            "Kubernetes 1.25 至 1.31，紧接在它之前：externalIPs 发生变更，写明前后的值。",
        ),
        alias(
            "ExternalTrafficPolicy",
            "Kubernetes 1.25 to 1.31, just before it: externalTrafficPolicy changed, from and to what.",
            "Kubernetes 1.25 至 1.31，紧接在它之前：externalTrafficPolicy 发生变更，写明前后的值。",
        ),
        alias(
            "HealthCheckNodePort",
            "Kubernetes 1.25 to 1.31, just before it: healthCheckNodePort changed, from and to what.",
            "Kubernetes 1.25 至 1.31，紧接在它之前：healthCheckNodePort 发生变更，写明前后的值。",
        ),
        alias(
            "Type",
            "Kubernetes 1.25 to 1.31, just before it: the type changed, from and to what.",
            "Kubernetes 1.25 至 1.31，紧接在它之前：类型发生变更，写明前后的值。",
        ),
        alias(
            "UID",
            "Kubernetes 1.25 to 1.31, just before it: the UID: a new Service of the same name changed, from and to what.",
            "Kubernetes 1.25 至 1.31，紧接在它之前：UID，即同名的新 Service，写明前后的值。",
        ),
    ],
    scenario: Some("lb-throttled"),
    see_also: &["EnsuredLoadBalancer", "SyncLoadBalancerFailed", "UnAvailableLoadBalancer", "CreatingLoadBalancer"],
};

const ENSURED: Entry = Entry {
    name: "EnsuredLoadBalancer",
    reason: Some(Reason::EnsuredLoadBalancer),
    severity: Severity::Normal,
    category: Category::LoadBalancer,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the provider has confirmed the balancer and named its address.",
            "云厂商（或本地实现）确认负载均衡器可用并给出地址之后。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.25"),
    summary: text("The load balancer matches the Service", "负载均衡器已与 Service 一致"),
    messages: &[message("Kubernetes, Portolan", "Ensured load balancer")],
    patterns: &[],
    meaning: text(
        "The provider answered the request with a status: the balancer exists and was configured \
         as the Service asks. The event comes before the address is written to \
         `status.loadBalancer`, so for a moment `kubectl get` may still show pending.",
        "云厂商对请求返回了状态：负载均衡器存在，且已按 Service 的要求配置。事件发出在前，把地址\
         写入 `status.loadBalancer` 在后，所以 `kubectl get` 可能还会短暂显示 pending。",
    ),
    frequency: frequency::ATTEMPT,
    place: None,
    impact: Impact {
        harm: Harm::None,
        who: text(
            "Nobody. It says nothing about the pods: an address without ready endpoints refuses \
             every connection.",
            "无人受影响。但它不涉及 Pod：有了地址而没有就绪的端点，所有连接仍会被拒绝。",
        ),
    },
    chain: Chain {
        before: text(
            "EnsuringLoadBalancer; with no eligible node also UnAvailableLoadBalancer, and \
             Ensured still follows.",
            "EnsuringLoadBalancer；如果没有可用节点，中间还有 UnAvailableLoadBalancer，之后仍会出\
             现 Ensured。",
        ),
        after: text(
            "The address appears in the status. If writing it fails, SyncLoadBalancerFailed \
             (`failed to update load balancer status`) follows and the attempt is repeated.",
            "地址出现在 status 中。如果写入失败，会接着出现 SyncLoadBalancerFailed（`failed to \
             update load balancer status`），并重新尝试。",
        ),
    },
    checks: &[
        check(
            "The address: an IP or, with some providers, a host name.",
            "地址：IP，或者（部分云厂商）主机名。",
            "kubectl get service NAME -n NAMESPACE -o wide",
        ),
        check(
            "Whether pods stand behind it.",
            "背后是否有 Pod。",
            "kubectl get endpointslices -n NAMESPACE -l kubernetes.io/service-name=NAME",
        ),
        check("Whether it answers.", "是否有应答。", "curl -sv --max-time 5 http://ADDRESS:PORT/"),
        DIAGNOSE,
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The address answers.", "地址有应答。"),
            text("Nothing to do: this is routine.", "无需处理，这是正常流程。"),
            &[],
        ),
        remedy(
            text("Connections are refused at once.", "连接立即被拒绝。"),
            text(
                "There are no endpoints: compare the selector with the labels of the pods, then \
                 look at their readiness.",
                "没有端点：先对照 selector 与 Pod 的标签，再看 Pod 是否就绪。",
            ),
            &[
                "kubectl get service NAME -n NAMESPACE -o jsonpath='{.spec.selector}'",
                "kubectl get pods -n NAMESPACE --show-labels",
            ],
        ),
        remedy(
            text("Connections time out.", "连接超时。"),
            text(
                "The packets are dropped: externalTrafficPolicy or internalTrafficPolicy Local \
                 without a pod on the node, a source range that excludes you, a firewall or \
                 network policy, or health checks that the balancer has not seen succeed yet.",
                "数据包被丢弃：externalTrafficPolicy 或 internalTrafficPolicy 为 Local 而节点上没\
                 有 Pod；来源网段不包含你；防火墙或 NetworkPolicy 拦截；或者负载均衡器的健康检查\
                 尚未通过。",
            ),
            &["kubectl get service NAME -n NAMESPACE -o yaml", "kubectl get pods -n NAMESPACE -o wide"],
        ),
    ]),
    misreadings: &[
        misreading(
            text("Once Ensured is shown, traffic flows.", "出现 Ensured 就说明流量通了。"),
            text(
                "The controller never looks at endpoints, node ports or health checks. It only \
                 relays that the provider accepted the configuration.",
                "控制器不看端点，不看节点端口，也不看健康检查，它只是转述云厂商已经接受了配置。",
            ),
        ),
        misreading(
            text("Changing a port shows as UpdatedLoadBalancer.", "修改端口会显示为 UpdatedLoadBalancer。"),
            text(
                "A change of the Service shows as EnsuringLoadBalancer and EnsuredLoadBalancer. \
                 UpdatedLoadBalancer is only about the list of nodes.",
                "Service 的变更显示为 EnsuringLoadBalancer 和 EnsuredLoadBalancer；\
                 UpdatedLoadBalancer 只针对节点列表。",
            ),
        ),
    ],
    aliases: &[],
    scenario: Some("lb-forbidden-healthy"),
    see_also: &["EnsuringLoadBalancer", "CreatedLoadBalancer", "UpdatedLoadBalancer", "SyncLoadBalancerFailed"],
};

const CREATING: Entry = Entry {
    name: "CreatingLoadBalancer",
    reason: Some(Reason::CreatingLoadBalancer),
    severity: Severity::Normal,
    category: Category::LoadBalancer,
    status: Status::Legacy { instead: &["EnsuringLoadBalancer"] },
    portolan: Portolan {
        emits: true,
        when: text(
            "Only when the provider really makes a balancer: the Service has none yet, has lost it \
             at the provider, or has to move to another address. A mere change or a retry after \
             success does not bring it.",
            "只有提供方真的新建负载均衡器时才发出：该 Service 还没有，或在提供方那里已经丢失，或者必须换到\
             另一个地址。单纯的变更，或者已经建好之后的再次同步，都不会发出。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: OLD_SERVICE_CONTROLLER,
    summary: text("A new load balancer is being made", "正在新建负载均衡器"),
    messages: &[
        message("Portolan", "Creating load balancer"),
        noted(
            "Kubernetes before about 1.16 (unverified)",
            "Creating load balancer",
            text(
                "Very old service controllers; not found in any source from 1.25 on.",
                "见于很老的 service-controller；1.25 起的源码中都没有。",
            ),
        ),
    ],
    patterns: &[],
    meaning: text(
        "There was no balancer for this Service, and one is being made. Clouds take anything \
         from seconds to several minutes for it. Today's Kubernetes does not tell making from \
         checking: both are EnsuringLoadBalancer.",
        "这个 Service 原本没有负载均衡器，现在正在新建。各家云厂商耗时从几秒到几分钟不等。如今的 \
         Kubernetes 不区分“新建”和“核对”，一律是 EnsuringLoadBalancer。",
    ),
    frequency: frequency::ONCE_IN_A_LIFE,
    place: None,
    impact: Impact {
        harm: Harm::None,
        who: text(
            "Nobody, but the external address is not there yet. The ClusterIP and node ports \
             already work.",
            "无人受影响，只是外部地址还没有。ClusterIP 和节点端口此时已经可用。",
        ),
    },
    chain: Chain {
        before: text("EnsuringLoadBalancer, IPAllocated.", "EnsuringLoadBalancer、IPAllocated。"),
        after: text(
            "CreatedLoadBalancer, then EnsuredLoadBalancer; on failure SyncLoadBalancerFailed.",
            "随后是 CreatedLoadBalancer、EnsuredLoadBalancer；失败则是 SyncLoadBalancerFailed。",
        ),
    },
    checks: &[
        DESCRIBE_SERVICE,
        check(
            "Whether the address has arrived; -w waits for it.",
            "地址是否已经分配；-w 会一直等待。",
            "kubectl get service NAME -n NAMESPACE -w",
        ),
        check(
            "Every Service that is still waiting: one, or all of them?",
            "还有哪些 Service 在等：只有这一个，还是全部？",
            "kubectl get services -A --field-selector spec.type=LoadBalancer",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("CreatedLoadBalancer follows.", "随后出现 CreatedLoadBalancer。"),
            text("Nothing to do: this is routine.", "无需处理，这是正常流程。"),
            &[],
        ),
        remedy(
            text("It takes longer than five minutes.", "超过五分钟还没有完成。"),
            text(
                "Look for SyncLoadBalancerFailed and read the text after its second colon: \
                 throttling, quota and missing subnets are the usual causes, and each has its \
                 own cure there.",
                "查找 SyncLoadBalancerFailed，看第二个冒号之后的文字：限流、配额不足、缺少子网最\
                 为常见，对应的处理办法见该条目。",
            ),
            &["portolan explain SyncLoadBalancerFailed"],
        ),
    ]),
    misreadings: &[misreading(
        text(
            "A cluster of today shows CreatingLoadBalancer between Ensuring and Ensured.",
            "现在的集群会在 Ensuring 与 Ensured 之间显示 CreatingLoadBalancer。",
        ),
        text(
            "Kubernetes has not emitted it for many releases; its absence means nothing. Waiting \
             for it, or alerting on it, waits forever.",
            "Kubernetes 已经很多个版本不发它了，看不到并不说明有问题；等它出现，或对它设告警，永\
             远等不到。",
        ),
    )],
    aliases: &[],
    scenario: Some("lb-forbidden-healthy"),
    see_also: &["EnsuringLoadBalancer", "CreatedLoadBalancer", "SyncLoadBalancerFailed", "IPAllocated"],
};

/// The reasons of very old service controllers; when they went was not checked against source.
const OLD_SERVICE_CONTROLLER: Versions =
    Versions { since: crate::Bound::Unverified("1.0"), until: crate::Bound::Unverified("1.16") };

const CREATED: Entry = Entry {
    name: "CreatedLoadBalancer",
    reason: Some(Reason::CreatedLoadBalancer),
    severity: Severity::Normal,
    category: Category::LoadBalancer,
    status: Status::Legacy { instead: &["EnsuredLoadBalancer"] },
    portolan: Portolan {
        emits: true,
        when: text(
            "When a balancer that did not exist before has been made. Always after \
             CreatingLoadBalancer of the same attempt.",
            "原先不存在的负载均衡器建成之时。总是跟在同一次尝试的 CreatingLoadBalancer 之后。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: OLD_SERVICE_CONTROLLER,
    summary: text("A new load balancer has been made", "负载均衡器已新建完成"),
    messages: &[
        message("Portolan", "Created load balancer"),
        noted(
            "Kubernetes before about 1.16 (unverified)",
            "Created load balancer",
            text("No release is known to have named the address in it.", "没有哪个已知版本会在文字里写出地址。"),
        ),
    ],
    patterns: &[],
    meaning: text(
        "The provider has made a balancer that was not there before. Kubernetes of today folds \
         this into EnsuredLoadBalancer, which also comes when the balancer was there all along.",
        "提供方新建了一个原先没有的负载均衡器。如今的 Kubernetes 把这一步并入 \
         EnsuredLoadBalancer，而后者在负载均衡器早已存在时同样会出现。",
    ),
    frequency: frequency::ONCE_IN_A_LIFE,
    place: None,
    impact: Impact {
        harm: Harm::None,
        who: text(
            "Nobody. From now on the balancer exists, and in a cloud it costs money.",
            "无人受影响。从此刻起负载均衡器已经存在；在云上，也从此刻开始计费。",
        ),
    },
    chain: Chain {
        before: text(
            "EnsuringLoadBalancer, IPAllocated, CreatingLoadBalancer.",
            "EnsuringLoadBalancer、IPAllocated、CreatingLoadBalancer。",
        ),
        after: text("EnsuredLoadBalancer, and the address in the status.", "EnsuredLoadBalancer，地址写入 status。"),
    },
    checks: &[
        DESCRIBE_SERVICE,
        check(
            "The address that it was given.",
            "分配到的地址。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.status.loadBalancer.ingress}'",
        ),
    ],
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    misreadings: &[misreading(
        text(
            "AWS and Azure append their host name or public IP to this event.",
            "AWS、Azure 会在这条事件后面附上域名或公网 IP。",
        ),
        text(
            "The text was a constant of the service controller, and providers have no say in it. \
             Read the address from the status.",
            "这段文字是 service-controller 里的常量，云厂商改动不了。地址请到 status 里看。",
        ),
    )],
    aliases: &[],
    scenario: Some("lb-forbidden-healthy"),
    see_also: &["CreatingLoadBalancer", "EnsuredLoadBalancer"],
};
