//! Files, manifests, references between them, and annotations.

use super::{Rule, new};
use crate::lint::Level::{Error, Note, Warning};

pub(super) const RULES: &[Rule] = &[
    new(
        "yaml-invalid",
        Error,
        ["The file is not YAML.", "文件不是有效的 YAML。"],
        [
            "kubectl stops at the first such document and applies nothing after it.",
            "kubectl 遇到这样的文档就会停止，其后的内容都不会应用。",
        ],
    ),
    new(
        "yaml-too-large",
        Error,
        ["The file, or what its aliases expand to, is too large to be read.", "文件或其别名展开后过大，无法读取。"],
        [
            "The API server refuses objects over about 1.5 MiB, and documents whose aliases expand without bound.",
            "API server 会拒绝约 1.5 MiB 以上的对象，以及别名无限展开的文档。",
        ],
    ),
    new(
        "yaml-duplicate-key",
        Warning,
        ["A mapping has the same key twice.", "映射中有重复的键。"],
        ["The last one counts, and the first reads as if it did.", "最后一个生效，而第一个看起来像是生效的。"],
    ),
    new(
        "template-not-rendered",
        Warning,
        ["A template was given instead of a manifest.", "给出的是模板而不是清单。"],
        [
            "What it becomes depends on values; only the rendered manifests can be judged.",
            "结果取决于参数；只有渲染后的清单才能检查。",
        ],
    ),
    new(
        "not-kubernetes",
        Note,
        ["The file holds no Kubernetes object.", "文件中没有 Kubernetes 对象。"],
        [
            "It was named on the command line, and nothing in it was looked at.",
            "它在命令行中被指定，但其中没有可检查的内容。",
        ],
    ),
    new(
        "manifest-invalid",
        Error,
        ["The API server refuses the object.", "API server 会拒绝该对象。"],
        ["The manifest breaks a rule of its kind and is never stored.", "清单违反了该类型的规则，不会被保存。"],
    ),
    new(
        "manifest-unknown-field",
        Error,
        ["A field does not exist.", "字段不存在。"],
        [
            "kubectl refuses it; clients that do not validate lose it silently, and with it what it was meant to do.",
            "kubectl 会拒绝；不做校验的客户端会默默丢掉它，它的作用也随之消失。",
        ],
    ),
    new(
        "manifest-wrong-type",
        Error,
        ["A field has a value of the wrong type.", "字段的值类型不对。"],
        [
            "The API server cannot decode the object at all. Most often quotes are missing around a number or true.",
            "API server 完全无法解码该对象。最常见的原因是数字或 true 没有加引号。",
        ],
    ),
    new(
        "manifest-api-removed",
        Error,
        ["The API version no longer exists.", "该 API 版本已不存在。"],
        ["No supported cluster accepts the manifest.", "任何受支持的集群都不会接受该清单。"],
    ),
    new(
        "manifest-duplicate",
        Warning,
        ["The same object stands in the file twice.", "同一对象在文件中出现两次。"],
        ["The second one overwrites the first when the file is applied.", "应用文件时第二个会覆盖第一个。"],
    ),
    new(
        "manifest-duplicate-elsewhere",
        Note,
        ["The same object stands in another file too.", "同一对象也出现在另一个文件中。"],
        [
            "They may be two environments; applied to one cluster, the last one wins.",
            "它们可能属于两个环境；应用到同一集群时以最后一个为准。",
        ],
    ),
    new(
        "backend-service-missing",
        Error,
        ["A reference names a Service that is spelt differently here.", "引用的 Service 名称与此处的拼写不同。"],
        [
            "Ingress controllers answer 503, Gateways 500, for a backend that does not exist.",
            "后端不存在时，Ingress 控制器返回 503，Gateway 返回 500。",
        ],
    ),
    new(
        "backend-port-missing",
        Error,
        ["A reference names a port that the Service does not have.", "引用的端口在 Service 中不存在。"],
        [
            "The backend resolves to nothing, although the Service is healthy.",
            "Service 本身正常，但后端解析不到任何地址。",
        ],
    ),
    new(
        "backend-reference-not-granted",
        Note,
        [
            "A route points into another namespace without a ReferenceGrant in these files.",
            "路由指向另一个命名空间，而这些文件中没有 ReferenceGrant。",
        ],
        [
            "Gateways ignore such a reference until the other namespace allows it.",
            "在对方命名空间允许之前，Gateway 会忽略这样的引用。",
        ],
    ),
    new(
        "stateful-service-not-headless",
        Warning,
        ["The Service that a StatefulSet names is not headless.", "StatefulSet 指定的 Service 不是 headless。"],
        [
            "Members find each other by POD.SERVICE, and only headless Services have such names.",
            "成员之间通过 POD.SERVICE 互相访问，只有 headless Service 才有这样的名字。",
        ],
    ),
    new(
        "slice-without-service",
        Warning,
        [
            "An EndpointSlice names no Service, or one that is spelt differently here.",
            "EndpointSlice 没有指明 Service，或与此处的拼写不同。",
        ],
        ["Nobody sends traffic to its endpoints.", "没有组件会向这些端点发送流量。"],
    ),
    new(
        "slice-beside-selector",
        Warning,
        [
            "An EndpointSlice is written by hand for a Service with a selector.",
            "为带 selector 的 Service 手写了 EndpointSlice。",
        ],
        [
            "The controller does not touch it: its endpoints stay, whatever becomes of the pods.",
            "控制器不会改动它：无论 Pod 如何变化，其中的端点都会保留。",
        ],
    ),
    new(
        "slice-port-mismatch",
        Error,
        [
            "The EndpointSlices of a Service lack one of its ports by name.",
            "Service 的 EndpointSlice 中缺少与其某个端口同名的端口。",
        ],
        ["Connections to that port are refused.", "访问该端口的连接会被拒绝。"],
    ),
    new(
        "network-policy-names-service-port",
        Error,
        [
            "A NetworkPolicy opens the Service's port where the pods' port is meant.",
            "NetworkPolicy 放行的是 Service 的端口，而应放行 Pod 的端口。",
        ],
        [
            "Policies are applied after the Service's address is translated, so the rule lets nothing in.",
            "策略在 Service 地址转换之后生效，这条规则不会放行任何流量。",
        ],
    ),
    new(
        "probe-port-not-declared",
        Error,
        ["A probe names a port that its container does not declare.", "探针使用了容器未声明的端口名。"],
        [
            "The probe fails forever: the pod never becomes ready, or is restarted again and again.",
            "探测会一直失败：Pod 永远不会就绪，或不断重启。",
        ],
    ),
    new(
        "lint-ignore-unknown",
        Note,
        ["An ignore names a code that does not exist.", "忽略列表中的代码不存在。"],
        ["It ignores nothing, now and later.", "它现在和将来都不会忽略任何问题。"],
    ),
];

pub(super) const ANNOTATIONS: &[Rule] = &[
    new(
        "annotation-unknown",
        Warning,
        ["A cloud's annotation that no controller reads.", "没有控制器读取的云注解。"],
        [
            "It is accepted and changes nothing, so what it should do is believed to be done.",
            "它会被接受却不起作用，让人误以为已经生效。",
        ],
    ),
    new(
        "annotation-misspelt",
        Warning,
        ["A cloud's annotation with a slip in its name.", "云注解名称拼写有误。"],
        ["No controller reads it; the default applies.", "没有控制器读取它，实际使用默认值。"],
    ),
    new(
        "annotation-value",
        Error,
        ["The value of an annotation is not one that its reader takes.", "注解的值不被读取它的控制器接受。"],
        [
            "The controller refuses the Service, or takes the default without a word.",
            "控制器会拒绝该 Service，或默默使用默认值。",
        ],
    ),
    new(
        "annotation-deprecated",
        Warning,
        ["An annotation that has a successor.", "已有替代品的注解。"],
        ["Newer versions of its reader may stop reading it.", "新版本的控制器可能不再读取它。"],
    ),
    new(
        "annotation-contradiction",
        Warning,
        ["Settings that cannot all be meant.", "相互矛盾的设置。"],
        ["One of them wins, or the controller refuses the Service.", "其中之一生效，或控制器拒绝该 Service。"],
    ),
    new(
        "annotation-ignored",
        Warning,
        ["An annotation without effect beside the others.", "与其他设置并存时不起作用的注解。"],
        ["It reads as if it did something.", "它看起来像是起作用的。"],
    ),
    new(
        "annotation-without-balancer",
        Warning,
        ["A load balancer's annotation on a Service that has none.", "没有负载均衡器的 Service 上有负载均衡器注解。"],
        ["Nobody reads it until the type is LoadBalancer.", "在类型变为 LoadBalancer 之前没有人读取它。"],
    ),
    new(
        "annotation-other-cloud",
        Note,
        ["Annotations of another cloud than the one that was asked for.", "与指定的云不同的其他云的注解。"],
        ["They do no harm there, and nothing else.", "它们在那里没有害处，也没有作用。"],
    ),
];
