//! AWS Load Balancer Controller: it serves Services of its class, Ingresses and TargetGroupBindings.
//!
//! Source: `pkg/k8s/events.go`, `controllers/service/service_controller.go` and `pkg/targetgroupbinding/resource_manager.go`.

use super::super::{BLANK, DESCRIBE_SERVICE, DIAGNOSE, alias, check, frequency, message, place, remedy};
use crate::lang::text;
use crate::vendor::Trouble;
use crate::{Category, Chain, Entry, Harm, Impact, Pattern, Portolan, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] = &[
    FAILED_BUILD_MODEL,
    FAILED_DEPLOY_MODEL,
    SUCCESSFULLY_RECONCILED,
    FAILED_ADD_FINALIZER,
    FAILED_REMOVE_FINALIZER,
    FAILED_UPDATE_STATUS,
    FAILED_CLEANUP,
    FAILED_NETWORK_RECONCILE,
    BACKEND_NOT_FOUND,
];

/// What they have in common; each fills in the rest.
const COMMON: Entry = Entry {
    category: Category::LoadBalancer,
    status: Status::ThirdParty { by: "the AWS Load Balancer Controller" },
    portolan: Portolan {
        emits: false, when: text("It drives no such controller.", "它不驱动这样的控制器。")
    },
    emitter: "service",
    object: "Service",
    versions: Versions::NEVER,
    checks: &[DESCRIBE_SERVICE, DIAGNOSE],
    ..BLANK
};

const FAILED_BUILD_MODEL: Entry = Entry {
    name: "FailedBuildModel",
    severity: Severity::Warning,
    summary: text("The AWS controller cannot make a plan for the balancer", "AWS 控制器无法为负载均衡器生成方案"),
    messages: &[message("AWS Load Balancer Controller", "Failed build model due to {error}")],
    patterns: &[
        Pattern {
            template: "unable to resolve at least one subnet",
            trouble: None,
            cause: text(
                "No subnet has the tag that makes it usable for load balancers.",
                "没有子网带有可用于负载均衡器的标签。",
            ),
            code: Some("load-balancer-invalid-parameter"),
            samples: &["Failed build model due to couldn't auto-discover subnets: unable to resolve at least one \
                 subnet (0 match VPC and tags: [kubernetes.io/role/elb])"],
        },
        Pattern {
            template: "{error}",
            trouble: Some(Trouble::Auth),
            cause: text("The controller's IAM role lacks a right to read.", "控制器的 IAM 角色缺少读取权限。"),
            code: Some("load-balancer-forbidden"),
            samples: &["Failed build model due to UnauthorizedOperation: You are not authorized to perform this \
                 operation."],
        },
        Pattern {
            template: "{error}",
            trouble: Some(Trouble::Throttled),
            cause: text("AWS limits the controller's calls.", "AWS 在对控制器限流。"),
            code: Some("load-balancer-throttled"),
            samples: &["Failed build model due to Throttling: Rate exceeded"],
        },
    ],
    meaning: text(
        "What the Service or Ingress asks for does not add up before anything is asked of AWS: no \
         subnets, a bad annotation, a missing certificate or backend.",
        "Service 或 Ingress 的要求本身就不成立，还没有请求 AWS：没有子网、注解有误、证书或后端缺失。",
    ),
    frequency: frequency::OTHER_RETRY,
    impact: Impact {
        harm: Harm::High,
        who: text("Users outside the cluster: the Service has no address.", "集群外的使用者：Service 没有地址。"),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("SuccessfullyReconciled once it is corrected.", "改正后出现 SuccessfullyReconciled。"),
    },
    remedies: Remedies::Steps(&[
        remedy(
            text("The text speaks of subnets.", "文字提到子网。"),
            text(
                "Tag at least one subnet (ALB: two zones) with `kubernetes.io/role/elb` or \
                 `kubernetes.io/role/internal-elb`, or name subnets in the annotation.",
                "至少给一个子网（ALB 需要两个可用区）打上 `kubernetes.io/role/elb` 或 \
                 `kubernetes.io/role/internal-elb` 标签，或在注解中指定子网。",
            ),
            &["aws ec2 describe-subnets --filters Name=vpc-id,Values=VPC"],
        ),
        remedy(
            text("The text names an annotation or a certificate.", "文字点名某个注解或证书。"),
            text("Correct it; `portolan lint` knows the annotations.", "改正它；`portolan lint` 认识这些注解。"),
            &["kubectl get service NAME -n NAMESPACE -o yaml"],
        ),
    ]),
    see_also: &["FailedDeployModel", "SuccessfullyReconciled"],
    ..COMMON
};

const FAILED_DEPLOY_MODEL: Entry = Entry {
    name: "FailedDeployModel",
    severity: Severity::Warning,
    summary: text("AWS refused what the controller asked for", "AWS 拒绝了控制器的请求"),
    messages: &[message("AWS Load Balancer Controller", "Failed deploy model due to {error}")],
    patterns: &[
        Pattern {
            template: "{error}",
            trouble: Some(Trouble::Auth),
            cause: text("The controller's IAM role lacks a right to write.", "控制器的 IAM 角色缺少写入权限。"),
            code: Some("load-balancer-forbidden"),
            samples: &["Failed deploy model due to AccessDenied: User is not authorized to perform: \
                 elasticloadbalancing:CreateLoadBalancer"],
        },
        Pattern {
            template: "{error}",
            trouble: Some(Trouble::Quota),
            cause: text("A quota of the AWS account is used up.", "AWS 账户的配额已用尽。"),
            code: Some("load-balancer-quota"),
            samples: &["Failed deploy model due to TooManyTargetGroups: The maximum number of target groups has \
                 been reached"],
        },
        Pattern {
            template: "{error}",
            trouble: Some(Trouble::Throttled),
            cause: text("AWS limits the controller's calls.", "AWS 在对控制器限流。"),
            code: Some("load-balancer-throttled"),
            samples: &["Failed deploy model due to Throttling: Rate exceeded"],
        },
        Pattern {
            template: "{error}",
            trouble: Some(Trouble::Invalid),
            cause: text("AWS refuses a setting.", "AWS 拒绝某项设置。"),
            code: Some("load-balancer-invalid-parameter"),
            samples: &["Failed deploy model due to InvalidConfigurationRequest: The ALPN policy is not supported"],
        },
        Pattern {
            template: "{error}",
            trouble: Some(Trouble::Pool),
            cause: text("The subnet has no free addresses.", "子网没有空闲地址。"),
            code: Some("load-balancer-pool-exhausted"),
            samples: &["Failed deploy model due to InsufficientFreeAddressesInSubnet: subnet-1"],
        },
        Pattern {
            template: "{error}",
            trouble: Some(Trouble::Other),
            cause: text(
                "Something at AWS still depends on what is to be changed or removed.",
                "AWS 那边仍有东西依赖要修改或删除的资源。",
            ),
            code: Some("load-balancer-sync-failed"),
            samples: &["Failed deploy model due to DependencyViolation: resource sg-1 has a dependent object"],
        },
    ],
    meaning: text(
        "The plan is sound, and carrying it out failed: the text is that of AWS.",
        "方案没有问题，执行时失败：文字来自 AWS。",
    ),
    frequency: frequency::OTHER_RETRY,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Users outside of a new Service; for an old one the change does not take effect.",
            "新 Service 的外部使用者；已有的则是变更不生效。",
        ),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("SuccessfullyReconciled once AWS accepts.", "AWS 接受后出现 SuccessfullyReconciled。"),
    },
    remedies: Remedies::Steps(&[
        remedy(
            text(
                "The text has `AccessDenied` or `UnauthorizedOperation`.",
                "文字中有 `AccessDenied` 或 `UnauthorizedOperation`。",
            ),
            text("Give the controller's IAM role the action that it names.", "为控制器的 IAM 角色补上点名的操作。"),
            &["aws sts get-caller-identity"],
        ),
        remedy(
            text("The text has `TooMany` or `Limit`.", "文字中有 `TooMany` 或 `Limit`。"),
            text("Free or raise the quota.", "释放或提高配额。"),
            &["aws elbv2 describe-account-limits"],
        ),
        remedy(
            text("Anything else.", "其他情况。"),
            text("Act on the code that AWS names.", "按 AWS 给出的错误码处理。"),
            &["kubectl logs -n kube-system deployment/aws-load-balancer-controller"],
        ),
    ]),
    see_also: &["FailedBuildModel", "SuccessfullyReconciled"],
    ..COMMON
};

const SUCCESSFULLY_RECONCILED: Entry = Entry {
    name: "SuccessfullyReconciled",
    severity: Severity::Normal,
    summary: text("The AWS controller has done what was asked", "AWS 控制器已完成"),
    messages: &[message("AWS Load Balancer Controller", "Successfully reconciled")],
    meaning: text(
        "The balancer matches the object, and its name is in the status. Whether targets are healthy \
         is another question.",
        "负载均衡器已与对象一致，名称已写入 status。目标是否健康是另一回事。",
    ),
    frequency: frequency::EACH_RECONCILE,
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("Targets are registered and checked.", "注册目标并做健康检查。"),
    },
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    see_also: &["FailedBuildModel", "FailedDeployModel"],
    ..COMMON
};

const FAILED_ADD_FINALIZER: Entry = Entry {
    name: "FailedAddFinalizer",
    severity: Severity::Warning,
    summary: text("The AWS controller could not put its finalizer on", "AWS 控制器没能加上 finalizer"),
    messages: &[message("AWS Load Balancer Controller", "Failed add finalizer due to {error}")],
    meaning: text(
        "The API refused the finalizer, so nothing was made at AWS yet.",
        "API 拒绝添加 finalizer，因此还没有在 AWS 创建任何东西。",
    ),
    frequency: frequency::OTHER_RETRY,
    impact: Impact {
        harm: Harm::Medium,
        who: text("Users outside the cluster: the Service has no address.", "集群外的使用者：Service 没有地址。"),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("Another try.", "重试。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "See to the right `patch` on services and their finalizers, and to webhooks.",
            "检查对 services 及其 finalizers 的 `patch` 权限，以及 webhook。",
        ),
        &["kubectl logs -n kube-system deployment/aws-load-balancer-controller"],
    )]),
    see_also: &["FailedRemoveFinalizer"],
    ..COMMON
};

const FAILED_REMOVE_FINALIZER: Entry = Entry {
    name: "FailedRemoveFinalizer",
    severity: Severity::Warning,
    summary: text("The AWS controller could not take its finalizer off", "AWS 控制器没能移除 finalizer"),
    messages: &[message("AWS Load Balancer Controller", "Failed remove finalizer due to {error}")],
    meaning: text(
        "The balancer is gone at AWS, and the object stays Terminating.",
        "AWS 上的负载均衡器已删除，对象却停在 Terminating。",
    ),
    frequency: frequency::OTHER_RETRY,
    impact: Impact {
        harm: Harm::Low,
        who: text("Nobody; the name is not free yet.", "无人受影响；只是名称暂时不能再用。"),
    },
    chain: Chain {
        before: text("The object was deleted.", "对象已删除。"), after: text("Another try.", "重试。")
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "See to the right `patch` on services and their finalizers, and to webhooks.",
            "检查对 services 及其 finalizers 的 `patch` 权限，以及 webhook。",
        ),
        &["kubectl logs -n kube-system deployment/aws-load-balancer-controller"],
    )]),
    see_also: &["FailedAddFinalizer"],
    ..COMMON
};

const FAILED_UPDATE_STATUS: Entry = Entry {
    name: "FailedUpdateStatus",
    severity: Severity::Warning,
    summary: text("The AWS controller could not write the address", "AWS 控制器没能写入地址"),
    messages: &[message("AWS Load Balancer Controller", "Failed update status due to {error}")],
    meaning: text(
        "The balancer works, and its name is not in the status yet.",
        "负载均衡器可用，但名称还没有写入 status。",
    ),
    frequency: frequency::OTHER_RETRY,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "Who reads the address from the status: people and external DNS.",
            "从 status 读取地址的人和外部 DNS。",
        ),
    },
    chain: Chain {
        before: text("The Service was created or changed.", "Service 创建或变更。"),
        after: text("Another try.", "重试。"),
    },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("See to the right `patch` on `services/status`.", "检查对 `services/status` 的 `patch` 权限。"),
        &["kubectl logs -n kube-system deployment/aws-load-balancer-controller"],
    )]),
    aliases: &[alias(
        "FailedCleanupStatus",
        "AWS Load Balancer Controller: the address could not be removed from the status.",
        "AWS Load Balancer Controller：没能从 status 中移除地址。",
    )],
    see_also: &["SuccessfullyReconciled"],
    ..COMMON
};

const FAILED_CLEANUP: Entry = Entry {
    name: "FailedCleanup",
    severity: Severity::Warning,
    emitter: "targetGroupBinding",
    object: "TargetGroupBinding",
    summary: text("Targets could not be taken off at AWS", "未能在 AWS 上移除目标"),
    messages: &[message("AWS Load Balancer Controller", "Failed cleanup due to {error}")],
    meaning: text(
        "A TargetGroupBinding is being deleted, and AWS refuses to let its targets or rules go.",
        "TargetGroupBinding 正在删除，而 AWS 不肯移除其目标或规则。",
    ),
    frequency: frequency::OTHER_RETRY,
    place: Some(place::ON_BINDING),
    impact: Impact {
        harm: Harm::Low,
        who: text("Nobody at once; things at AWS are left over.", "暂时无人受影响；AWS 上会有遗留。"),
    },
    chain: Chain {
        before: text("The binding was deleted.", "绑定已删除。"), after: text("Another try.", "重试。")
    },
    checks: &[check(
        "The bindings, with their Events.",
        "各绑定及其事件。",
        "kubectl describe targetgroupbindings.elbv2.k8s.aws -n NAMESPACE",
    )],
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Act on the code that AWS names.", "按 AWS 给出的错误码处理。"),
        &["kubectl logs -n kube-system deployment/aws-load-balancer-controller"],
    )]),
    see_also: &["FailedRemoveFinalizer"],
    ..COMMON
};

const FAILED_NETWORK_RECONCILE: Entry = Entry {
    name: "FailedNetworkReconcile",
    severity: Severity::Warning,
    emitter: "targetGroupBinding",
    object: "TargetGroupBinding",
    summary: text("Security group rules for the targets could not be set", "未能为目标设置安全组规则"),
    messages: &[message("AWS Load Balancer Controller", "{error}")],
    patterns: &[Pattern {
        template: "expected exactly one securityGroup tagged",
        trouble: None,
        cause: text(
            "Several security groups, or none, carry the cluster's tag on one interface.",
            "同一网络接口上有多个安全组带有集群标签，或一个也没有。",
        ),
        code: Some("load-balancer-backends-unhealthy"),
        samples: &["expected exactly one securityGroup tagged with kubernetes.io/cluster/demo for eni eni-1, \
                 got: [sg-1 sg-2]"],
    }],
    meaning: text(
        "Pods are registered at the balancer, and the rule that lets the balancer reach them is missing.",
        "Pod 已注册到负载均衡器，但放行流量的安全组规则没有加上。",
    ),
    frequency: frequency::OTHER_RETRY,
    place: Some(place::ON_BINDING),
    impact: Impact {
        harm: Harm::High,
        who: text(
            "Users outside: targets stay unhealthy, and pods with a readiness gate stay unready.",
            "外部使用者：目标一直不健康，设有 readiness gate 的 Pod 也一直未就绪。",
        ),
    },
    chain: Chain {
        before: text("SuccessfullyReconciled on the Service.", "Service 上的 SuccessfullyReconciled。"),
        after: text("Another try.", "重试。"),
    },
    checks: &[check(
        "The bindings, with their Events.",
        "各绑定及其事件。",
        "kubectl describe targetgroupbindings.elbv2.k8s.aws -n NAMESPACE",
    )],
    remedies: Remedies::Steps(&[remedy(
        text(
            "The text has `expected exactly one securityGroup tagged`.",
            "文字中有 `expected exactly one securityGroup tagged`。",
        ),
        text(
            "Leave the cluster's tag on one security group of each interface only.",
            "每个网络接口只在一个安全组上保留集群标签。",
        ),
        &["aws ec2 describe-security-groups --filters Name=tag-key,Values=kubernetes.io/cluster/CLUSTER"],
    )]),
    see_also: &["BackendNotFound"],
    ..COMMON
};

const BACKEND_NOT_FOUND: Entry = Entry {
    name: "BackendNotFound",
    severity: Severity::Warning,
    emitter: "targetGroupBinding",
    object: "TargetGroupBinding",
    summary: text("The binding names a Service or port that is not there", "绑定指向不存在的 Service 或端口"),
    messages: &[message("AWS Load Balancer Controller", "backend not found: {error}")],
    meaning: text(
        "The Service of a TargetGroupBinding, or its port, does not exist; its targets are taken off.",
        "TargetGroupBinding 所指的 Service 或端口不存在；其目标会被移除。",
    ),
    frequency: frequency::OTHER_RETRY,
    place: Some(place::ON_BINDING),
    impact: Impact { harm: Harm::High, who: text("Users outside.", "外部使用者。") },
    chain: Chain {
        before: text("The Service was deleted or its port renamed.", "Service 被删除或端口改名。"),
        after: text("Targets come back when the Service does.", "Service 恢复后目标也恢复。"),
    },
    checks: &[check(
        "The bindings, with their Events.",
        "各绑定及其事件。",
        "kubectl describe targetgroupbindings.elbv2.k8s.aws -n NAMESPACE",
    )],
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Correct serviceRef of the binding, or restore the Service.", "改正绑定的 serviceRef，或恢复 Service。"),
        &["kubectl get targetgroupbindings.elbv2.k8s.aws -n NAMESPACE"],
    )]),
    see_also: &["FailedNetworkReconcile"],
    ..COMMON
};
