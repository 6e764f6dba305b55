//! Taking a load balancer away: Deleting, Deleted, and the rare DeleteLoadBalancerFailed.
//!
//! Upstream: `syncLoadBalancerIfNeeded` (the finalizer path) and `processLoadBalancerDelete` (the cache path) in
//! `k8s.io/cloud-provider/controllers/service/controller.go`.

use super::{alias, check, frequency, message, misreading, patterns, remedy};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[DELETING, DELETED, DELETE_FAILED];

const DELETING: Entry = Entry {
    name: "DeletingLoadBalancer",
    reason: Some(Reason::DeletingLoadBalancer),
    severity: Severity::Normal,
    category: Category::LoadBalancer,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "Before the balancer is taken away, if the provider says that there is one.",
            "拆除负载均衡器之前发出，前提是提供方表示它确实存在。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.25"),
    summary: text("The load balancer is being taken away", "正在拆除负载均衡器"),
    messages: &[message("Kubernetes, Portolan", "Deleting load balancer")],
    patterns: &[],
    meaning: text(
        "The Service is being deleted, or it stopped being of type LoadBalancer (or took a \
         loadBalancerClass), and the provider still has a balancer for it. That balancer is now \
         being removed. A deleted Service waits for this: its finalizer \
         `service.kubernetes.io/load-balancer-cleanup` keeps the object until the provider is \
         done.",
        "Service 正被删除，或不再是 LoadBalancer 类型（或改用了 loadBalancerClass），而提供方那里\
         还留有它的负载均衡器，现在开始拆除。被删除的 Service 会等待这一步：finalizer \
         `service.kubernetes.io/load-balancer-cleanup` 会让对象一直保留到提供方处理完毕。",
    ),
    frequency: frequency::ONCE_IN_A_LIFE,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Everybody who uses the external address: it stops answering now. Where the type was \
             changed, the ClusterIP keeps working. If the deletion was intended, nobody.",
            "所有使用外部地址的人：地址从现在起不再应答。如果只是改了类型，ClusterIP 照常可用。如\
             果本来就是要删，则无人受影响。",
        ),
    },
    chain: Chain {
        before: text(
            "kubectl delete, a change of spec.type, or a Service of the same name with a new UID.",
            "kubectl delete、修改 spec.type，或者出现同名但 UID 不同的新 Service。",
        ),
        after: text(
            "DeletedLoadBalancer; on failure SyncLoadBalancerFailed with `failed to delete load \
             balancer`, and the Service stays Terminating while it is retried.",
            "DeletedLoadBalancer；失败则是 SyncLoadBalancerFailed，内含 `failed to delete load \
             balancer`，重试期间 Service 一直处于 Terminating。",
        ),
    },
    checks: &[
        check(
            "Whether the Service is going away, and which finalizers hold it.",
            "Service 是否正在删除，被哪些 finalizer 留住。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.metadata.deletionTimestamp} \
             {.metadata.finalizers}'",
        ),
        check(
            "The Events, also after the Service is gone (for an hour).",
            "相关事件；Service 消失后一小时内仍可查到。",
            "kubectl get events -n NAMESPACE --field-selector \
             involvedObject.kind=Service,involvedObject.name=NAME",
        ),
        check(
            "Its type, if it still exists.",
            "如果还在，看它现在的类型。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.spec.type}'",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The deletion was intended.", "本来就是要删。"),
            text("Wait for DeletedLoadBalancer.", "等待 DeletedLoadBalancer 出现即可。"),
            &[],
        ),
        remedy(
            text("It was a mistake.", "误删了。"),
            text(
                "It cannot be stopped any more. Apply the manifest again once the Service is \
                 gone; expect a new address unless you reserve one with the provider. The API \
                 server's audit log tells who deleted it; events do not.",
                "已经无法中止。等 Service 消失后重新 apply 清单；除非事先在云厂商处预留，否则会得\
                 到新的地址。是谁删的，要看 API server 的审计日志，事件里没有这个信息。",
            ),
            &["kubectl apply -f FILE", "kubectl get service NAME -n NAMESPACE -w"],
        ),
        remedy(
            text("Only the type was changed by mistake.", "只是误改了类型。"),
            text("Set it back; a new balancer is made.", "改回来，会重新建一个负载均衡器。"),
            &["kubectl patch service NAME -n NAMESPACE -p '{\"spec\":{\"type\":\"LoadBalancer\"}}'"],
        ),
    ]),
    misreadings: &[misreading(
        text(
            "A Service that stays Terminating is freed by removing its finalizer.",
            "Service 卡在 Terminating，去掉 finalizer 就好了。",
        ),
        text(
            "That makes the object vanish and leaves the balancer behind, running and billed, \
             with nobody to clean it up. Find out why the provider refuses: the reason is in \
             SyncLoadBalancerFailed.",
            "那样只是让对象消失，负载均衡器却留了下来，继续运行、继续计费，再也没人清理。应当弄清\
             提供方为什么拒绝，原因写在 SyncLoadBalancerFailed 里。",
        ),
    )],
    aliases: &[],
    scenario: Some("lb-delete-failed"),
    see_also: &["DeletedLoadBalancer", "SyncLoadBalancerFailed", "DeleteLoadBalancerFailed"],
};

const DELETED: Entry = Entry {
    name: "DeletedLoadBalancer",
    reason: Some(Reason::DeletedLoadBalancer),
    severity: Severity::Normal,
    category: Category::LoadBalancer,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "After the provider has let the balancer go and the cleanup finalizer is off the \
             Service; also when there was no balancer to begin with.",
            "提供方释放负载均衡器、Service 上的清理 finalizer 也已移除之后；原本就没有负载均衡器\
             时同样会发出。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.25"),
    summary: text("The load balancer is gone", "负载均衡器已拆除"),
    messages: &[message("Kubernetes, Portolan", "Deleted load balancer")],
    patterns: &[],
    meaning: text(
        "Nothing of this Service is left at the provider, and the finalizer has been removed, so \
         a deleted Service now disappears. Without a DeletingLoadBalancer before it, the \
         provider had no balancer: it was never made, or somebody had removed it by hand.",
        "提供方那里已经没有属于这个 Service 的东西，finalizer 也已移除，被删除的 Service 随即消\
         失。如果前面没有 DeletingLoadBalancer，说明提供方本来就没有负载均衡器：要么从未建成，要\
         么已被人手工删掉。",
    ),
    frequency: frequency::ONCE_IN_A_LIFE,
    place: None,
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "Clients that still use the old address, for instance through DNS records that \
             nobody changed.",
            "仍在使用旧地址的客户端，比如没人改过的 DNS 记录。",
        ),
    },
    chain: Chain {
        before: text(
            "DeletingLoadBalancer, unless there was nothing to delete.",
            "DeletingLoadBalancer；没有可删的东西时则没有。",
        ),
        after: text(
            "The address leaves the status; a deleted Service disappears, and its Events follow \
             within the hour.",
            "地址从 status 中消失；被删除的 Service 随之消失，它的事件也会在一小时内过期。",
        ),
    },
    checks: &[
        check(
            "The timeline of the Service, which outlives it for an hour.",
            "Service 的时间线，在它消失后还会保留一小时。",
            "kubectl get events -n NAMESPACE --field-selector \
             involvedObject.kind=Service,involvedObject.name=NAME",
        ),
        check("Whether the name still resolves to the old address.", "域名是否还解析到旧地址。", "dig +short HOSTNAME"),
    ],
    remedies: Remedies::NoneNeeded(text(
        "Nothing to do if it was intended. If not, apply the manifest again; the address may be \
         a new one.",
        "如果是有意删除，无需处理；否则重新 apply 清单，地址可能会变。",
    )),
    misreadings: &[misreading(
        text(
            "If a balancer was already removed by hand in the cloud console, the finalizer must \
             be taken off by hand too.",
            "如果已在云控制台手工删掉负载均衡器，finalizer 也得手工去掉。",
        ),
        text(
            "The controller asks the provider first. When nothing is there it removes the \
             finalizer by itself and says DeletedLoadBalancer, without Deleting before it.",
            "控制器会先询问提供方。既然已经不在，它会自行移除 finalizer 并发出 \
             DeletedLoadBalancer，前面不会有 Deleting。",
        ),
    )],
    aliases: &[],
    scenario: Some("lb-delete-failed-healthy"),
    see_also: &["DeletingLoadBalancer", "DeleteLoadBalancerFailed"],
};

const DELETE_FAILED: Entry = Entry {
    name: "DeleteLoadBalancerFailed",
    reason: Some(Reason::DeleteLoadBalancerFailed),
    severity: Severity::Warning,
    category: Category::LoadBalancer,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the provider refuses to remove a balancer: in the full vocabulary also while the \
             Service still exists, beside SyncLoadBalancerFailed; in the upstream vocabulary, as \
             Kubernetes does, only when the Service is already gone or has been replaced by one \
             of the same name.",
            "提供方拒绝拆除负载均衡器时。在 full 词表下，Service 还在时也会随 SyncLoadBalancerFailed 一起发\
             出；在 upstream 词表下与 Kubernetes 一致，只有 Service 已经不在，或已被同名的新 Service 取代时才\
             发出。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.25"),
    summary: text("A balancer of a vanished Service could not be removed", "Service 已消失，其负载均衡器却拆除失败"),
    messages: &[message("Kubernetes, Portolan", "Error deleting load balancer: {error}")],
    patterns: patterns::DELETE_LOAD_BALANCER_FAILED,
    meaning: text(
        "In Kubernetes the rare case: the controller remembers a Service that it once served, the Service has \
         left the API without waiting for cleanup (its finalizer was forced off, or a new one of \
         the same name came with another UID), and the provider refused to delete what belongs \
         to the old one. Portolan says it of every refused deletion.",
        "在 Kubernetes 中是少见的情形：控制器记得自己曾经服务过的一个 Service，而它没等清理就离开了 API（finalizer \
         被强行去掉，或出现了同名但 UID 不同的新 Service），提供方又拒绝删除旧 Service 名下的资\
         源。Portolan 对每次被拒绝的拆除都会发出。",
    ),
    frequency: frequency::BALANCER_RETRY,
    place: None,
    impact: Impact {
        harm: Harm::Low,
        who: text(
            "Whoever pays: the balancer stays in the cloud. A new Service of the same name may \
             wait behind it. Traffic of other Services is not touched.",
            "付账的人：负载均衡器仍留在云上。同名的新 Service 可能要等它清理完。其他 Service 的流\
             量不受影响。",
        ),
    },
    chain: Chain {
        before: text("DeletingLoadBalancer.", "DeletingLoadBalancer。"),
        after: text(
            "Another attempt after 5 s, 10 s, 20 s and so on up to 300 s; DeletedLoadBalancer \
             when one succeeds.",
            "按 5 秒、10 秒、20 秒……至 300 秒的间隔重试；成功后出现 DeletedLoadBalancer。",
        ),
    },
    checks: &[
        check(
            "The error of the provider, in full. The Service is gone, so describe may find \
             nothing.",
            "提供方返回的完整错误。Service 已经不在，describe 可能查不到。",
            "kubectl get events -n NAMESPACE --field-selector \
             involvedObject.kind=Service,reason=DeleteLoadBalancerFailed",
        ),
        check(
            "Whether a new Service has taken the name.",
            "是否已有新的同名 Service。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.metadata.uid}'",
        ),
        check(
            "What AWS still has, with the tags that name the Service.",
            "AWS 上还留有什么；标签里写着所属的 Service。",
            "aws elbv2 describe-load-balancers",
        ),
        check("The same on Azure.", "Azure 上同理。", "az network lb list --output table"),
        check("The same on Google Cloud.", "Google Cloud 上同理。", "gcloud compute forwarding-rules list"),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text(
                "The text says that a dependency or a resource in use prevents it.",
                "文字表明有依赖关系，或资源仍在使用。",
            ),
            text(
                "Detach what still refers to the balancer (target groups, security group rules, \
                 reserved addresses made by hand); the next attempt then succeeds by itself.",
                "解除仍引用它的东西（手工创建的目标组、安全组规则、预留地址等），下一次重试便会自\
                 行成功。",
            ),
            &[],
        ),
        remedy(
            text("The text says that permission is missing.", "文字表明权限不足。"),
            text(
                "Give the controller's cloud identity the right to delete balancers, not only to \
                 create them.",
                "为控制器使用的云身份补上删除负载均衡器的权限，而不只是创建的权限。",
            ),
            &[],
        ),
        remedy(
            text("The controller was restarted meanwhile and says nothing more.", "期间控制器重启过，此后不再出声。"),
            text(
                "In Kubernetes its memory of the Service is gone, and nobody will clean up. Delete \
                 the balancer at the provider by hand, after making sure by its tags that no \
                 living Service owns it. Portolan goes \
                 through the provider's balancers from time to time and removes those without a \
                 Service, with these same Events.",
                "在 Kubernetes 中，它对这个 Service 的记忆已经丢失，不会再有人清理。先凭标签确认没有存活的 \
                 Service 拥有它，再到提供方手工删除。Portolan 会定期核对提供方的负载均衡器，删除没有对应 Service 的，\
                 并发出同样的事件。",
            ),
            &["kubectl get services -A --field-selector spec.type=LoadBalancer"],
        ),
    ]),
    misreadings: &[
        misreading(
            text(
                "A failed `kubectl delete service` shows DeleteLoadBalancerFailed.",
                "`kubectl delete service` 时删除失败，会显示 DeleteLoadBalancerFailed。",
            ),
            text(
                "In Portolan, beside the real words. Kubernetes shows DeletingLoadBalancer and \
                 SyncLoadBalancerFailed with `failed to delete load balancer`: an alert on DeleteLoadBalancerFailed alone misses almost every \
                 failed deletion.",
                "在 Portolan 中会与下述事件一同出现。Kubernetes 显示的是 DeletingLoadBalancer，以及带有 `failed to delete load balancer` 的 \
                 SyncLoadBalancerFailed。只对 DeleteLoadBalancerFailed 设告警，几乎会漏掉所有删除\
                 失败。",
            ),
        ),
        misreading(
            text(
                "When the balancer is not found, patch the finalizers away and delete with force.",
                "提示负载均衡器不存在时，应当清空 finalizers 并强制删除。",
            ),
            text(
                "A balancer that is already gone counts as deleted; the controller then removes \
                 the finalizer itself. Forcing it off is how this event comes about in the first \
                 place.",
                "已经不在的负载均衡器会被视为删除成功，控制器自会移除 finalizer。强行去掉 \
                 finalizer，恰恰是这条事件的成因之一。",
            ),
        ),
    ],
    aliases: &[alias(
        "CleanupLoadBalancerFailed",
        "The name in very old releases (before about 1.16, unverified).",
        "很老的版本（约 1.16 之前，未核实）使用的名称。",
    )],
    scenario: Some("lb-delete-failed"),
    see_also: &["SyncLoadBalancerFailed", "DeletingLoadBalancer", "DeletedLoadBalancer"],
};
