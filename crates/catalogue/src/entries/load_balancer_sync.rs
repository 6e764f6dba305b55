//! The usual failure of a balancer: SyncLoadBalancerFailed.
//!
//! Upstream: `processServiceCreateOrUpdate` in `k8s.io/cloud-provider/controllers/service/controller.go`.

use super::{DESCRIBE_SERVICE, DIAGNOSE, alias, check, frequency, message, misreading, patterns, remedy, risk, risky};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[SYNC_FAILED];

const SYNC_FAILED: Entry = Entry {
    name: "SyncLoadBalancerFailed",
    reason: Some(Reason::SyncLoadBalancerFailed),
    severity: Severity::Warning,
    category: Category::LoadBalancer,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When an attempt to create, change or delete the balancer ends in an error, once for \
             each attempt. The provider's own error code is kept in the text.",
            "创建、变更或删除负载均衡器的一次尝试以错误告终时，每次尝试发一条。文字中保留提供方自\
             己的错误码。",
        ),
    },
    emitter: "service-controller",
    object: "Service",
    api: Api::Core,
    versions: Versions::since("1.25"),
    summary: text("Setting up or removing the balancer failed", "负载均衡器的配置或拆除失败"),
    messages: &[
        message("Kubernetes, Portolan", "Error syncing load balancer: failed to ensure load balancer: {error}"),
        message("Kubernetes, Portolan", "Error syncing load balancer: failed to delete load balancer: {error}"),
        message(
            "Kubernetes, Portolan",
            "Error syncing load balancer: failed to check if load balancer exists before \
             cleanup: {error}",
        ),
        message(
            "Kubernetes, Portolan",
            "Error syncing load balancer: failed to add load balancer cleanup finalizer: {error}",
        ),
        message(
            "Kubernetes, Portolan",
            "Error syncing load balancer: failed to remove load balancer cleanup finalizer: \
             {error}",
        ),
        message("Kubernetes, Portolan", "Error syncing load balancer: failed to update load balancer status: {error}"),
        message(
            "Kubernetes, Portolan",
            "Error syncing load balancer: service status returned by EnsureLoadBalancer is nil",
        ),
    ],
    patterns: patterns::SYNC_LOAD_BALANCER_FAILED,
    meaning: text(
        "The one warning for almost everything that goes wrong between a Service and its \
         provider. The words after the first colon say which step failed; those after the second \
         are the provider's own and name the cause.",
        "Service 与提供方之间出的问题，几乎都由这一条告警表达。第一个冒号之后说明哪一步失败；第二\
         个冒号之后是提供方的原话，指明原因。",
    ),
    frequency: frequency::BALANCER_RETRY,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "A new Service has no external address. One that already had it keeps serving with \
             its old configuration, but changes do not arrive. A deleted one stays Terminating.",
            "新建的 Service 得不到外部地址。已有地址的 Service 会按旧配置继续服务，但变更不生效。\
             被删除的 Service 会停在 Terminating。",
        ),
    },
    chain: Chain {
        before: text(
            "EnsuringLoadBalancer (setting up) or DeletingLoadBalancer (removing). In Portolan \
             also IPNotAllocated, when the pool of addresses is used up.",
            "EnsuringLoadBalancer（配置时）或 DeletingLoadBalancer（拆除时）。在 Portolan 中，如\
             果地址池耗尽，前面还有 IPNotAllocated。",
        ),
        after: text(
            "The next attempt after 5 s, 10 s, 20 s and so on up to 300 s, without end: Ensuring \
             and this one alternate. With texts that differ, Events are merged into `(combined \
             from similar events)` from the tenth on, and beyond 25 they are limited to one in \
             five minutes.",
            "按 5 秒、10 秒、20 秒……至 300 秒的间隔不断重试，Ensuring 与它交替出现。如果文字各\
             不相同，从第十条起会被合并为 `(combined from similar events)`；超过 25 条后，限为每\
             五分钟一条。",
        ),
    },
    checks: &[
        DESCRIBE_SERVICE,
        check(
            "On Portolan: the condition Why of the Service, which names the blocker and what to do.",
            "在 Portolan 上：Service 的 Why 状态，写明受阻的原因和处理办法。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.status.conditions}'",
        ),
        check(
            "Whether other Services fail too: if all do, it is the cluster's identity, limits or \
             network, not this Service.",
            "其他 Service 是否也失败：如果全都失败，问题在集群的云身份、限流或网络，而不在这个 \
             Service。",
            "kubectl get events -A --field-selector reason=SyncLoadBalancerFailed",
        ),
        check(
            "The cloud controller manager: running, and what it logs.",
            "cloud-controller-manager 是否在运行，日志里有什么。",
            "kubectl get pods -n kube-system -o wide",
        ),
        check(
            "The settings for the provider; a wrong annotation is the commonest bad parameter.",
            "给提供方的设置；参数错误多半出在注解上。",
            "kubectl get service NAME -n NAMESPACE -o jsonpath='{.metadata.annotations}'",
        ),
        DIAGNOSE,
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text(
                "The text has RequestLimitExceeded, Throttling or 429.",
                "文字中有 RequestLimitExceeded、Throttling 或 429。",
            ),
            text(
                "The provider is limiting calls. The back-off waits by itself; create Services \
                 in smaller batches, avoid rewriting annotations in a loop (each change is a \
                 call), and ask for a higher limit.",
                "提供方在限流。控制器会自行退避；请分批创建 Service，避免循环改写注解（每改一次就\
                 是一次调用），并申请提高限额。",
            ),
            &[],
        ),
        remedy(
            text(
                "The text has UnauthorizedOperation, AuthFailure, AuthorizationFailed or 403.",
                "文字中有 UnauthorizedOperation、AuthFailure、AuthorizationFailed 或 403。",
            ),
            text(
                "The identity of the controller has expired or lacks a right. Renew it, and \
                 grant exactly the action that the text names.",
                "控制器的云身份已过期，或缺少权限。更新凭证，并且只授予文字中点名的那项操作。",
            ),
            &["aws sts get-caller-identity", "az role assignment list --assignee PRINCIPAL"],
        ),
        remedy(
            text(
                "The text has QuotaExceeded, TooManyLoadBalancers or, from the local balancer, \
                 AddressPoolExhausted.",
                "文字中有 QuotaExceeded、TooManyLoadBalancers，或来自本地负载均衡器的 \
                 AddressPoolExhausted。",
            ),
            text(
                "Delete balancers that nobody uses, share one through an Ingress or Gateway, or \
                 raise the quota or widen the pool. Waiting attempts then succeed by themselves.",
                "删除无人使用的负载均衡器，通过 Ingress 或 Gateway 共用一个，或提高配额、扩大地址\
                 池。等待中的重试随后会自行成功。",
            ),
            &["kubectl get services -A --field-selector spec.type=LoadBalancer"],
        ),
        remedy(
            text(
                "The text has `context deadline exceeded` or `no such host`.",
                "文字中有 `context deadline exceeded` 或 `no such host`。",
            ),
            text(
                "The controller does not reach the provider's API: a firewall, a proxy setting, \
                 or the DNS of the machine that it runs on. Try from that machine.",
                "控制器连不上提供方的 API：防火墙、代理设置，或它所在机器的 DNS 有问题。请在那台\
                 机器上验证。",
            ),
            &["curl -sv --max-time 5 https://API-ENDPOINT/", "dig API-ENDPOINT"],
        ),
        remedy(
            text(
                "The text has InvalidParameterValue, AddressNotInPool or AddressInUse, or names \
                 a subnet or security group.",
                "文字中有 InvalidParameterValue、AddressNotInPool 或 AddressInUse，或点名了子网、\
                 安全组。",
            ),
            text(
                "Correct the annotation or field that it names; saving the change starts the \
                 next attempt at once.",
                "修正它点名的注解或字段；保存后会立即开始下一次尝试。",
            ),
            &["kubectl edit service NAME -n NAMESPACE"],
        ),
        risky(
            text(
                "The text has `failed to delete load balancer` and the Service stays Terminating.",
                "文字中有 `failed to delete load balancer`，Service 停在 Terminating。",
            ),
            text(
                "Remove at the provider what holds the balancer (something attached by hand, \
                 deletion protection, a missing right to delete) and wait for the next attempt. \
                 The finalizer then goes by itself; taking it off by force leaks the balancer.",
                "到提供方解除牵住负载均衡器的东西（手工挂接的资源、删除保护、缺少删除权限），等待\
                 下一次重试，finalizer 会自行移除。强行去掉它，只会让负载均衡器变成无主资源。",
            ),
            &["kubectl get service NAME -n NAMESPACE -o jsonpath='{.metadata.finalizers}'"],
            risk::FINALIZER,
        ),
    ]),
    misreadings: &[
        misreading(
            text("It is retried every 10 seconds.", "每 10 秒重试一次。"),
            text(
                "The pause doubles from 5 s to 300 s, so after a repair it may take five minutes \
                 until the next attempt. Any change of an annotation starts one at once.",
                "间隔从 5 秒起翻倍，封顶 300 秒，所以修好之后可能还要等五分钟。随便改一个注解，就\
                 会立即开始一次。",
            ),
        ),
        misreading(
            text(
                "`connection refused` in it means that the cloud controller manager is not \
                 running.",
                "其中的 `connection refused` 表示 cloud-controller-manager 没有运行。",
            ),
            text(
                "A controller that is not running emits nothing at all. The text is about the \
                 connection from the controller to the provider or to the API server.",
                "没有运行的控制器什么事件都发不出来。这段文字说的是控制器到提供方或到 API server \
                 的连接。",
            ),
        ),
    ],
    aliases: &[alias(
        "CreatingLoadBalancerFailed",
        "The name in very old releases, with `Error creating load balancer (will retry)` (before \
         about 1.16, unverified).",
        "很老的版本使用的名称，文字为 `Error creating load balancer (will retry)`（约 1.16 之前，\
         未核实）。",
    )],
    scenario: Some("lb-address-conflict"),
    see_also: &["EnsuringLoadBalancer", "DeletingLoadBalancer", "IPNotAllocated", "UpdateLoadBalancerFailed"],
};
