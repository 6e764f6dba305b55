//! What goes wrong with pods: no place, no network, no start, failed probes.
//!
//! Upstream: the scheduler, and `pkg/kubelet` (`kuberuntime`, `prober`, `pod_workers.go`).

use super::{DESCRIBE_POD, OLD, alias, check, frequency, message, misreading, noted, patterns, remedy, risk, risky};
use crate::lang::text;
use crate::{Api, Category, Chain, Entry, Harm, Impact, Portolan, Reason, Remedies, Severity, Status, Versions};

pub(super) const ENTRIES: &[Entry] =
    &[FAILED_SYNC, FAILED_SCHEDULING, UNHEALTHY, BACK_OFF, FAILED, FAILED_SANDBOX, FAILED_MOUNT];

const FAILED_SYNC: Entry = Entry {
    name: "FailedSync",
    reason: Some(Reason::FailedSync),
    severity: Severity::Warning,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a node agent takes a pod up again and cannot read what it knows of the pod's \
             earlier runs, such as its logs. It tries again until it can; nothing is started \
             before.",
            "节点代理重新接手一个 Pod，却读不到它此前运行的记录（如日志）时。会一直重试到能读为止，在此之前\
             不启动任何东西。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: Versions::since("1.27"),
    summary: text("The node could not sync the pod", "节点未能同步 Pod"),
    messages: &[message("Kubernetes, Portolan", "error determining status: {error}")],
    patterns: patterns::FAILED_SYNC,
    meaning: text(
        "The kubelet asked its container runtime about the pod and got no usable answer, so it \
         does not know what runs and leaves things as they are until the next try. It is a \
         statement about the node, not about the pod or its ports. Portolan has no runtime \
         beside its node agent; there it is the agent's own records that cannot be read.",
        "kubelet 向容器运行时询问 Pod 的情况，没有得到可用的回答，因此不知道什么在运行，暂且维持\
         原状，等下一次再试。它说的是节点，而不是 Pod 或端口。Portolan 的节点代理没有另外的运行时，那里读\
         不到的是代理自己的记录。",
    ),
    frequency: frequency::POD_WORKER,
    place: None,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "The pod and usually all others of that node: what runs keeps running, but nothing \
             is started, stopped or reported while it lasts.",
            "该 Pod，通常还有该节点上的其他 Pod：已经运行的继续运行，但在此期间不会启动、停止或上\
             报任何东西。",
        ),
    },
    chain: Chain {
        before: text("Nothing in particular.", "没有特定的前兆。"),
        after: text(
            "The same again with a growing count until the runtime answers; in the end the node \
             may become NotReady.",
            "在运行时恢复应答之前反复出现，次数递增；最终节点可能变为 NotReady。",
        ),
    },
    checks: &[
        DESCRIBE_POD,
        check(
            "Whether other pods of the node say the same.",
            "该节点上其他 Pod 是否也这样。",
            "kubectl get events -A --field-selector reason=FailedSync",
        ),
        check("The state of the node.", "节点的状态。", "kubectl describe node NODE"),
        check("On the node: whether the runtime answers.", "在节点上：运行时是否应答。", "crictl pods"),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("It came once.", "只出现一次。"),
            text("Nothing to do: the runtime was busy.", "无需处理，只是运行时当时繁忙。"),
            &[],
        ),
        risky(
            text("It goes on, for many pods of one node.", "同一节点上的许多 Pod 持续出现。"),
            text(
                "The runtime of that node hangs or its disk is full or slow. Take the node out \
                 of service, then restart the runtime and read its log.",
                "该节点的运行时卡住，或磁盘已满、过慢。先把节点置为不可调度，再重启运行时并查看其\
                 日志。",
            ),
            &["kubectl cordon NODE", "systemctl restart containerd", "journalctl -u containerd --since -1h"],
            risk::RESTART,
        ),
    ]),
    misreadings: &[misreading(
        text(
            "It accompanies a host port conflict, with `failed to check port availability`.",
            "主机端口冲突时会伴随出现，文字是 `failed to check port availability`。",
        ),
        text(
            "The kubelet checks no ports there. The two have nothing to do with each other.",
            "kubelet 在那里不检查端口，两者毫无关系。",
        ),
    )],
    aliases: &[],
    scenario: Some("state-unreadable"),
    see_also: &["FailedCreatePodSandBox", "HostPortConflict", "NodeReady"],
};

const FAILED_SCHEDULING: Entry = Entry {
    name: "FailedScheduling",
    reason: Some(Reason::FailedScheduling),
    severity: Severity::Warning,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When no ready node can take the pod. The text counts the nodes by what stands in \
             the way.",
            "没有就绪的节点能接收该 Pod 时。文字按原因列出各有多少节点。",
        ),
    },
    emitter: "default-scheduler",
    object: "Pod",
    api: Api::Events,
    versions: OLD,
    summary: text("No node can take the pod", "没有节点能接收 Pod"),
    messages: &[
        message("Kubernetes, Portolan", "0/{count} nodes are available: {causes}."),
        noted(
            "Kubernetes, Portolan",
            "0/{count} nodes are available: {count} node(s) didn't have free ports for the \
             requested pod ports.",
            text("A host port conflict, as the scheduler sees it.", "调度器眼中的主机端口冲突。"),
        ),
    ],
    patterns: patterns::FAILED_SCHEDULING,
    meaning: text(
        "Every node was ruled out: not ready, tainted, too full, not matched by the selector or \
         affinity, or its host port is taken. The pod stays Pending and is tried again whenever \
         something relevant changes.",
        "所有节点都被排除：未就绪、有污点、资源不足、不符合选择器或亲和性，或主机端口已被占用。\
         Pod 停在 Pending，相关情况一有变化就会再试。",
    ),
    frequency: frequency::SCHEDULER,
    place: None,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "The Service has one pod fewer than wanted; with none running it refuses connections.",
            "Service 的 Pod 少于期望；如果一个都没运行，连接会被拒绝。",
        ),
    },
    chain: Chain {
        before: text("SuccessfulCreate of the ReplicaSet.", "ReplicaSet 的 SuccessfulCreate。"),
        after: text("Scheduled, once a node fits.", "有合适的节点时，出现 Scheduled。"),
    },
    checks: &[
        DESCRIBE_POD,
        check("The nodes, with their state and taints.", "节点及其状态。", "kubectl get nodes -o wide"),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The text names one cause for all nodes.", "所有节点都是同一个原因。"),
            text(
                "Remove that cause: free a port, lower the requests, correct the selector, \
                 tolerate the taint, or add a node.",
                "消除这个原因：让出端口、降低资源请求、改正选择器、容忍污点，或增加节点。",
            ),
            &["kubectl describe node NODE"],
        ),
        remedy(
            text("Nodes are not ready.", "节点未就绪。"),
            text("Repair them first; the pod follows by itself.", "先修复节点，Pod 会自行调度。"),
            &["kubectl get nodes"],
        ),
    ]),
    misreadings: &[],
    aliases: &[],
    scenario: Some("host-port-unschedulable"),
    see_also: &["Scheduled", "HostPortConflict", "NodeReady"],
};

const UNHEALTHY: Entry = Entry {
    name: "Unhealthy",
    reason: Some(Reason::Unhealthy),
    severity: Severity::Warning,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true, when: text("For each failed probe of a container.", "容器的探针每失败一次。")
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: OLD,
    summary: text("A probe of a container failed", "容器的探针失败"),
    messages: &[
        message("Kubernetes, Portolan", "Readiness probe failed: {output}"),
        message("Kubernetes, Portolan", "Liveness probe failed: {output}"),
        message("Kubernetes, Portolan", "Startup probe failed: {output}"),
    ],
    patterns: patterns::UNHEALTHY,
    meaning: text(
        "One probe failed. Only after failureThreshold failures in a row does it have an effect: \
         with readiness the pod leaves its Services, with liveness or startup the container is \
         restarted.",
        "一次探测失败。连续失败达到 failureThreshold 次才会生效：就绪探针会让 Pod 退出 Service；\
         存活或启动探针会让容器重启。",
    ),
    frequency: frequency::PROBE,
    place: None,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "The Service loses this pod while it is not ready; when all pods are unready, new \
             connections are refused.",
            "未就绪期间，Service 少一个 Pod；全部未就绪时，新连接会被拒绝。",
        ),
    },
    chain: Chain {
        before: text("Started.", "Started。"),
        after: text("For liveness: Killing, then Created and Started.", "存活探针：Killing，随后 Created 和 Started。"),
    },
    checks: &[
        DESCRIBE_POD,
        check("What the program says.", "程序自己的日志。", "kubectl logs POD -n NAMESPACE --tail=100"),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The text has `connection refused`.", "文字中有 `connection refused`。"),
            text(
                "Nothing listens on the port of the probe: correct the port, or let the program \
                 listen on all addresses and not on 127.0.0.1 only.",
                "探针的端口上没有监听：改正端口，或让程序监听所有地址，而不只是 127.0.0.1。",
            ),
            &["kubectl get pod POD -n NAMESPACE -o jsonpath='{.spec.containers[*].readinessProbe}'"],
        ),
        remedy(
            text("It only happens while the program starts.", "只在启动期间出现。"),
            text("Add a startup probe, or raise initialDelaySeconds.", "加上启动探针，或增大 initialDelaySeconds。"),
            &[],
        ),
        remedy(
            text("The text has a timeout.", "文字中有超时。"),
            text(
                "The program is too slow or too busy: raise timeoutSeconds (1 second unless set) \
                 or give it more CPU.",
                "程序太慢或太忙：增大 timeoutSeconds（默认 1 秒），或给它更多 CPU。",
            ),
            &[],
        ),
    ]),
    misreadings: &[],
    aliases: &[],
    scenario: Some("not-ready-published"),
    see_also: &["Killing", "Started", "BackOff"],
};

const BACK_OFF: Entry = Entry {
    name: "BackOff",
    reason: Some(Reason::BackOff),
    severity: Severity::Warning,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a container that keeps ending, or whose image is not known, has to wait before the \
             next try.",
            "反复退出或镜像不为节点所知的容器，需要等待一段时间才能再试时。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: OLD,
    summary: text("A container that keeps ending waits for its restart", "容器反复退出，正等待重启"),
    messages: &[
        message(
            "Kubernetes, Portolan",
            "Back-off restarting failed container {container} in pod {pod}_{namespace}({uid})",
        ),
        noted(
            "Kubernetes, Portolan",
            "Back-off pulling image \"{image}\"",
            text(
                "kubectl shows ImagePullBackOff; see Failed. Kubernetes reports this one as Normal.",
                "kubectl 显示 ImagePullBackOff；参见 Failed。Kubernetes 将这一条报告为 Normal。",
            ),
        ),
    ],
    patterns: patterns::BACK_OFF,
    meaning: text(
        "The container ended soon after it started, again and again. The pause before each \
         restart doubles from 10 s to 5 min; kubectl shows CrashLoopBackOff meanwhile.",
        "容器启动不久就退出，一再如此。每次重启前的等待从 10 秒翻倍到 5 分钟，期间 kubectl 显示 \
         CrashLoopBackOff。",
    ),
    frequency: frequency::CRASH_LOOP,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "The Service has no use of this pod; with all pods like that, it refuses connections.",
            "Service 用不上这个 Pod；如果所有 Pod 都这样，连接会被拒绝。",
        ),
    },
    chain: Chain {
        before: text("Started.", "Started。"),
        after: text("Started, after the pause.", "等待之后再次 Started。"),
    },
    checks: &[
        check("The last words of the program.", "程序退出前的日志。", "kubectl logs POD -n NAMESPACE --previous"),
        check(
            "How it ended: exit code or signal.",
            "退出方式：退出码或信号。",
            "kubectl get pod POD -n NAMESPACE -o \
             jsonpath='{.status.containerStatuses[*].lastState.terminated}'",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The log names a cause.", "日志写明了原因。"),
            text("Repair that; the next start comes by itself.", "修复它，之后会自行启动。"),
            &[],
        ),
        remedy(
            text("The log has `address already in use`.", "日志中有 `address already in use`。"),
            text(
                "A host-network pod and something else on the node want the same port: change \
                 one of them.",
                "使用主机网络的 Pod 与节点上的其他程序争用同一端口：改掉其中一个。",
            ),
            &["ss -ltnup"],
        ),
    ]),
    misreadings: &[],
    aliases: &[alias(
        "CrashLoopBackOff",
        "kubectl's word for it in the STATUS column, and the reason of the waiting container.",
        "kubectl 在 STATUS 列的写法，也是容器等待的原因。",
    )],
    scenario: Some("crash-loop"),
    see_also: &["Started", "Unhealthy", "Failed"],
};

const FAILED: Entry = Entry {
    name: "Failed",
    reason: Some(Reason::Failed),
    severity: Severity::Warning,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a container could not be started, for instance because its image is not known \
             to the node; also when its preStop hook failed or when it asks for a host port.",
            "容器启动失败时，例如节点不认识它的镜像；preStop 钩子失败或要求主机端口时也会发出。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: OLD,
    summary: text("A container could not be started", "容器启动失败"),
    messages: &[
        message("Kubernetes, Portolan", "Error: {error}"),
        noted(
            "Portolan; Kubernetes, reason FailedPreStopHook",
            "PreStopHook failed: {error}",
            text("The container is stopped all the same.", "容器照样会被停止。"),
        ),
        message("Kubernetes, Portolan", "Failed to pull image \"{image}\": {error}"),
    ],
    patterns: patterns::FAILED,
    meaning: text(
        "The node could not get the image, or could not create or start the container.",
        "节点取不到镜像，或者无法创建、启动容器。",
    ),
    frequency: frequency::CONTAINER_FAILED,
    place: None,
    impact: Impact { harm: Harm::High, who: text("The pod does not run.", "Pod 没有运行。") },
    chain: Chain {
        before: text("Scheduled.", "Scheduled。"),
        after: text("BackOff, and another try.", "BackOff，之后再试。"),
    },
    checks: &[
        DESCRIBE_POD,
        check(
            "The image that it asks for.",
            "它要求的镜像。",
            "kubectl get pod POD -n NAMESPACE -o jsonpath='{.spec.containers[*].image}'",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The image name is wrong or unknown.", "镜像名有误，或节点不认识。"),
            text(
                "Correct it. In Portolan an image names a program on this machine: \
                 `portolan/echo`, or what `portolan up --image NAME=PATH` declares.",
                "改正镜像名。在 Portolan 中，镜像名对应本机上的程序：`portolan/echo`，或由 \
                 `portolan up --image NAME=PATH` 声明的程序。",
            ),
            &["kubectl set image deployment/NAME -n NAMESPACE CONTAINER=IMAGE"],
        ),
        remedy(
            text("The command does not exist in the image.", "镜像里没有该命令。"),
            text("Correct command and args.", "改正 command 和 args。"),
            &["kubectl edit deployment NAME -n NAMESPACE"],
        ),
    ]),
    misreadings: &[],
    aliases: &[
        alias(
            "ErrImagePull",
            "The word for it in the STATUS column, after a failed pull.",
            "STATUS 列的写法，表示拉取失败。",
        ),
        alias(
            "ImagePullBackOff",
            "The word for it in the STATUS column, between two pulls.",
            "STATUS 列的写法，表示两次拉取之间。",
        ),
        alias(
            "CreateContainerConfigError",
            "The word for it in the STATUS column: a ConfigMap, a Secret or a key of one is missing.",
            "STATUS 列的写法：缺少 ConfigMap、Secret 或其中的键。",
        ),
        alias(
            "RunContainerError",
            "The word for it in the STATUS column: the runtime could not start the program.",
            "STATUS 列的写法：运行时无法启动程序。",
        ),
        alias(
            "InvalidImageName",
            "The word for it in the STATUS column: the image is spelled wrongly.",
            "STATUS 列的写法：镜像名称写错。",
        ),
    ],
    scenario: Some("image-missing"),
    see_also: &["BackOff", "FailedCreatePodSandBox"],
};

const FAILED_SANDBOX: Entry = Entry {
    name: "FailedCreatePodSandBox",
    reason: Some(Reason::FailedCreatePodSandBox),
    severity: Severity::Warning,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When the network namespace, address or DNS file of a pod could not be made.",
            "Pod 的网络命名空间、地址或 DNS 文件未能建立时。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: Versions::since("1.27"),
    summary: text("The network of the pod could not be set up", "Pod 的网络未能建立"),
    messages: &[message("Kubernetes, Portolan", "Failed to create pod sandbox: {error}")],
    patterns: patterns::FAILED_CREATE_POD_SAND_BOX,
    meaning: text(
        "Before its containers a pod needs a sandbox with a network. This is where an exhausted \
         pod address range, a broken network plugin and an unreadable resolv.conf show up.",
        "在容器之前，Pod 需要一个带网络的沙箱。Pod 地址耗尽、网络插件故障、resolv.conf 不可读，都\
         在这里暴露。",
    ),
    frequency: frequency::POD_WORKER,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "The pod stays Pending (ContainerCreating); often all new pods of that node.",
            "Pod 停在 Pending（ContainerCreating）；往往该节点上的新 Pod 都如此。",
        ),
    },
    chain: Chain {
        before: text("Scheduled.", "Scheduled。"),
        after: text("Another try, with growing pauses.", "以越来越长的间隔重试。"),
    },
    checks: &[
        DESCRIBE_POD,
        check(
            "Whether it concerns one node only.",
            "是否只涉及某一个节点。",
            "kubectl get events -A --field-selector reason=FailedCreatePodSandBox",
        ),
        check(
            "The address ranges of the nodes.",
            "各节点的地址范围。",
            "kubectl get nodes -o custom-columns=NAME:.metadata.name,CIDR:.spec.podCIDR",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The text says that no address is left.", "文字表明地址已用尽。"),
            text(
                "Spread the pods over more nodes, or widen the pool in the network plugin.",
                "把 Pod 分散到更多节点，或在网络插件中扩大地址池。",
            ),
            &["kubectl get pods -A -o wide --field-selector spec.nodeName=NODE"],
        ),
        remedy(
            text("The text names a resolv.conf.", "文字中提到某个 resolv.conf。"),
            text(
                "The file that the kubelet is configured with is missing or damaged on that \
                 node; restore it.",
                "kubelet 所配置的文件在该节点上缺失或损坏，请恢复。",
            ),
            &[],
        ),
        remedy(
            text("The text names the network plugin.", "文字中提到网络插件。"),
            text("Look at the plugin's pod on that node.", "查看该节点上的插件 Pod。"),
            &["kubectl get pods -n kube-system -o wide --field-selector spec.nodeName=NODE"],
        ),
    ]),
    misreadings: &[],
    aliases: &[],
    scenario: Some("resolv-conf-broken"),
    see_also: &["IPNotAllocated", "DNSConfigForming", "Scheduled"],
};

const FAILED_MOUNT: Entry = Entry {
    name: "FailedMount",
    reason: Some(Reason::FailedMount),
    severity: Severity::Warning,
    category: Category::Workloads,
    status: Status::Current,
    portolan: Portolan {
        emits: true,
        when: text(
            "When a container mounts a volume that the node cannot provide, or not there.",
            "容器挂载的卷无法由节点提供，或无法挂载在该处时。",
        ),
    },
    emitter: "kubelet",
    object: "Pod",
    api: Api::Core,
    versions: OLD,
    summary: text("A volume of the pod could not be mounted", "Pod 的卷未能挂载"),
    messages: &[message("Kubernetes, Portolan", "MountVolume.SetUp failed for volume \"{volume}\" : {error}")],
    patterns: patterns::FAILED_MOUNT,
    meaning: text(
        "A pod begins only when all its volumes are there. The text names the volume and what is \
         missing: most often a ConfigMap or Secret that does not exist, or a key of it.",
        "Pod 要等所有卷就位才会开始。文字写明是哪个卷、缺少什么：最常见的是 ConfigMap 或 Secret \
         不存在，或缺少其中的键。",
    ),
    frequency: frequency::POD_WORKER,
    place: None,
    impact: Impact {
        harm: Harm::High,
        who: text(
            "The pod stays Pending (ContainerCreating) and its Service has no use of it.",
            "Pod 停在 Pending（ContainerCreating），Service 用不上它。",
        ),
    },
    chain: Chain {
        before: text("Scheduled.", "Scheduled。"),
        after: text("Another try, with growing pauses.", "以越来越长的间隔重试。"),
    },
    checks: &[
        DESCRIBE_POD,
        check(
            "The volumes that it asks for.",
            "它要求的卷。",
            "kubectl get pod POD -n NAMESPACE -o jsonpath='{.spec.volumes}'",
        ),
    ],
    remedies: Remedies::Steps(&[
        remedy(
            text("The text ends in `not found`.", "文字以 `not found` 结尾。"),
            text(
                "Create the ConfigMap or Secret in the namespace of the pod; the pod follows by itself.",
                "在 Pod 所在的命名空间创建该 ConfigMap 或 Secret，Pod 会自行继续。",
            ),
            &["kubectl get configmaps,secrets -n NAMESPACE"],
        ),
        remedy(
            text(
                "Portolan: the text says that the kind of the volume is not supported.",
                "Portolan：文字表明不支持这种卷。",
            ),
            text(
                "Its nodes provide emptyDir, configMap and secret volumes, without subPath. Use one \
                 of these, or remove the volume.",
                "它的节点提供 emptyDir、configMap 和 secret 卷，不支持 subPath。改用其中之一，或去掉\
                 该卷。",
            ),
            &["kubectl edit deployment NAME -n NAMESPACE"],
        ),
        remedy(
            text(
                "Portolan: the text names a path that is not a directory of this machine.",
                "Portolan：文字中的路径不是本机上的目录。",
            ),
            text(
                "Containers see the files of the machine, and a node makes no directories there. \
                 Create the directory, or mount the volume at one that exists, such as /mnt.",
                "容器看到的是本机的文件，节点不会在那里创建目录。请创建该目录，或把卷挂载到已有的目\
                 录，例如 /mnt。",
            ),
            &["kubectl edit deployment NAME -n NAMESPACE"],
        ),
    ]),
    misreadings: &[],
    aliases: &[],
    scenario: None,
    see_also: &["Scheduled", "Failed", "FailedCreatePodSandBox"],
};
