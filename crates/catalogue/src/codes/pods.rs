//! Findings about selectors, pods and their readiness.

use super::Code;
use crate::lang::text;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "selector-matches-no-pod",
        link: "selector",
        title: text("The selector matches no pod", "selector 没有匹配到任何 Pod"),
        meaning: text(
            "No pod of the namespace has all the labels of `spec.selector`.",
            "命名空间中没有 Pod 具备 `spec.selector` 的全部标签。",
        ),
        proof: text(
            "The labels of all pods were compared; the nearest miss is shown, and the workload whose \
             template comes close.",
            "已对照所有 Pod 的标签；会给出最接近的 Pod，以及模板相近的工作负载。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Correct the selector of the Service, or the labels in the pod template; labels of running \
             pods alone are lost with the next rollout.",
            "改正 Service 的 selector，或 Pod 模板中的标签；只改运行中的 Pod，下次发布就会丢失。",
        ),
        reasons: &[],
        scenario: Some("selector-extra-label"),
    },
    Code {
        code: "selector-in-other-namespace",
        link: "selector",
        title: text("The pods that would match are in another namespace", "能匹配的 Pod 在另一个命名空间"),
        meaning: text(
            "A selector looks only at pods of the Service's own namespace.",
            "selector 只看 Service 自己命名空间里的 Pod。",
        ),
        proof: text(
            "No pod matches here, and pods in another namespace do.",
            "这里没有匹配的 Pod，另一个命名空间里却有。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Move the Service to the pods, or reach them by a Service there and its full name.",
            "把 Service 移到 Pod 所在处，或在那里建 Service 并用完整名称访问。",
        ),
        reasons: &[],
        scenario: Some("selector-other-namespace"),
    },
    Code {
        code: "namespace-without-pods",
        link: "selector",
        title: text("The namespace has no pods", "命名空间里没有 Pod"),
        meaning: text("There is nothing that the selector could match.", "没有任何东西可供 selector 匹配。"),
        proof: text(
            "The list of pods of the namespace is empty, and no workload explains it.",
            "命名空间的 Pod 列表为空，也没有工作负载可以解释。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text("Deploy the pods, or correct the namespace.", "部署 Pod，或改正命名空间。"),
        reasons: &[],
        scenario: Some("namespace-empty"),
    },
    Code {
        code: "scaled-to-zero",
        link: "selector",
        title: text("The workload is scaled to zero", "工作负载被缩容到零"),
        meaning: text(
            "The workload whose pods the selector would match wants no pods.",
            "selector 对应的工作负载期望的副本数为零。",
        ),
        proof: text(
            "A Deployment, StatefulSet or ReplicaSet with matching template has replicas 0.",
            "模板匹配的 Deployment、StatefulSet 或 ReplicaSet 的副本数为 0。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Scale it up; if an autoscaler does that, find out why it has not.",
            "扩容；如果由自动扩缩容负责，查明它为何没有扩容。",
        ),
        reasons: &["ScalingReplicaSet"],
        scenario: Some("scaled-to-zero"),
    },
    Code {
        code: "pods-not-created",
        link: "pods",
        title: text("The pods are refused before they exist", "Pod 尚未存在就被拒绝"),
        meaning: text(
            "The workload wants pods, and the API refuses them: quota, admission, a missing \
             ServiceAccount.",
            "工作负载需要 Pod，而 API 拒绝：配额、准入，或 ServiceAccount 缺失。",
        ),
        proof: text(
            "Fewer pods than wanted, and FailedCreate or the condition ReplicaFailure.",
            "Pod 少于期望，并有 FailedCreate 或 ReplicaFailure 状态。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Act on the text of FailedCreate, on the ReplicaSet.",
            "按 ReplicaSet 上 FailedCreate 的文字处理。",
        ),
        reasons: &["FailedCreate"],
        scenario: Some("pods-quota"),
    },
    Code {
        code: "pods-unschedulable",
        link: "pods",
        title: text("No node takes the pods", "没有节点接收这些 Pod"),
        meaning: text(
            "The scheduler finds no node that has room and fits the pod's wishes.",
            "调度器找不到既有余量又符合要求的节点。",
        ),
        proof: text(
            "The condition PodScheduled is False, with the scheduler's count of reasons.",
            "PodScheduled 状态为 False，附有调度器统计的原因。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Add nodes, lower requests, tolerate the taint or correct the affinity, as the text says.",
            "按文字增加节点、降低 requests、容忍污点或改正亲和性。",
        ),
        reasons: &["FailedScheduling"],
        scenario: Some("pods-unschedulable-cpu"),
    },
    Code {
        code: "host-port-conflict",
        link: "pods",
        title: text("A host port is taken", "主机端口被占用"),
        meaning: text(
            "The pod asks for a port of the node that another pod or program has.",
            "Pod 要求的节点端口已被另一个 Pod 或程序占用。",
        ),
        proof: text(
            "FailedScheduling, NodePorts or HostPortConflict names ports, and the holder is looked up.",
            "FailedScheduling、NodePorts 或 HostPortConflict 提到端口，并查出占用者。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Choose another port, or do without hostPort: a Service reaches the pod at its own address.",
            "换一个端口，或不用 hostPort：Service 可以直接访问 Pod 的地址。",
        ),
        reasons: &["HostPortConflict", "NodePorts", "FailedScheduling"],
        scenario: Some("host-port-pod"),
    },
    Code {
        code: "image-not-available",
        link: "pods",
        title: text("The image cannot be pulled", "镜像拉取不到"),
        meaning: text(
            "A container waits for an image that is not there or not allowed.",
            "容器在等待不存在或无权访问的镜像。",
        ),
        proof: text(
            "A container waits with ErrImagePull, ImagePullBackOff or ErrImageNeverPull.",
            "容器以 ErrImagePull、ImagePullBackOff 或 ErrImageNeverPull 等待。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Correct the name or tag, or give the pod a pull secret.",
            "改正名称或标签，或为 Pod 配置拉取凭证。",
        ),
        reasons: &["Failed", "BackOff"],
        scenario: Some("image-missing"),
    },
    Code {
        code: "pods-crash-looping",
        link: "pods",
        title: text("The containers end again and again", "容器反复退出"),
        meaning: text(
            "The program ends shortly after each start, or its liveness probe kills it.",
            "程序每次启动后不久就退出，或被存活探测杀掉。",
        ),
        proof: text(
            "A container waits with CrashLoopBackOff, or its restart count grows.",
            "容器以 CrashLoopBackOff 等待，或重启次数在增加。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Read the log of the run before (`kubectl logs --previous`) and the exit code.",
            "看上一次运行的日志（`kubectl logs --previous`）和退出码。",
        ),
        reasons: &["BackOff", "Unhealthy", "Killing"],
        scenario: Some("crash-loop"),
    },
    Code {
        code: "pods-not-running",
        link: "pods",
        title: text("The pods are not running", "Pod 没有运行"),
        meaning: text(
            "The pods exist and none of them runs, for a cause that the pods themselves show.",
            "Pod 存在但没有一个在运行，原因见 Pod 自身。",
        ),
        proof: text("The phases and container states of all matching pods.", "所有匹配 Pod 的阶段和容器状态。"),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text("Describe one of the pods and act on what it shows.", "查看其中一个 Pod，按所示处理。"),
        reasons: &["FailedScheduling", "BackOff", "Failed"],
        scenario: None,
    },
    Code {
        code: "pods-status-unknown",
        link: "pods",
        title: text("The kubelet cannot tell the state of the pods", "kubelet 说不清 Pod 的状态"),
        meaning: text(
            "The kubelet of the node asks the runtime how the pods are and gets no usable answer, so \
             what is shown of them is old.",
            "节点的 kubelet 向运行时询问 Pod 的状态而得不到可用的应答，因此显示的内容已经过时。",
        ),
        proof: text(
            "FailedSync on the pods, and a status that does not change.",
            "Pod 上有 FailedSync，状态也不再变化。",
        ),
        impact: text(
            "Users of those pods, if they are not ready by what was last known.",
            "这些 Pod 的使用者，如果最后已知的状态是未就绪。",
        ),
        remedy: text(
            "Look at the runtime of that node and the space on its disk; restart the kubelet when the \
             cause is gone.",
            "检查该节点的容器运行时和磁盘空间；原因消除后重启 kubelet。",
        ),
        reasons: &["FailedSync"],
        scenario: Some("state-unreadable"),
    },
    Code {
        code: "container-waiting",
        link: "pods",
        title: text("A container cannot start", "容器无法启动"),
        meaning: text(
            "A container waits for something that it needs: a ConfigMap, a Secret, a volume, a valid \
             command.",
            "容器在等待所需之物：ConfigMap、Secret、存储卷或有效的命令。",
        ),
        proof: text("The container's waiting reason and message.", "容器的等待原因和文字。"),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text("Supply what the text names.", "补上文字点名的东西。"),
        reasons: &["Failed", "FailedMount"],
        scenario: Some("config-missing"),
    },
    Code {
        code: "pod-network-failed",
        link: "pods",
        title: text("The pod's network could not be set up", "Pod 的网络没有建好"),
        meaning: text(
            "The network plugin failed, so the pod has no address and no container starts.",
            "网络插件失败，Pod 没有地址，容器也没有启动。",
        ),
        proof: text(
            "FailedCreatePodSandBox or NetworkNotReady on pods that wait.",
            "等待中的 Pod 上有 FailedCreatePodSandBox 或 NetworkNotReady。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Repair the network plugin on that node: its pod there and its files in /etc/cni/net.d.",
            "修复该节点的网络插件：它在那里的 Pod，以及 /etc/cni/net.d 中的文件。",
        ),
        reasons: &["FailedCreatePodSandBox", "NetworkNotReady"],
        scenario: None,
    },
    Code {
        code: "pod-address-exhausted",
        link: "pods",
        title: text("No pod address is left", "Pod 地址已用尽"),
        meaning: text(
            "The range of the node, or the pool of ranges, is given away.",
            "节点的地址范围，或可分的地址段，已经分完。",
        ),
        proof: text(
            "An address text in FailedCreatePodSandBox or IPNotAllocated, or a node without podCIDR \
             and CIDRNotAvailable.",
            "FailedCreatePodSandBox 或 IPNotAllocated 中有地址的文字，或节点没有 podCIDR 且有 \
             CIDRNotAvailable。",
        ),
        impact: text("New pods of that node.", "该节点上的新 Pod。"),
        remedy: text(
            "Spread the pods over more nodes, or give the cluster a larger range.",
            "把 Pod 分散到更多节点，或扩大集群的地址范围。",
        ),
        reasons: &["FailedCreatePodSandBox", "IPNotAllocated", "CIDRNotAvailable"],
        scenario: None,
    },
    Code {
        code: "pods-ended",
        link: "pods",
        title: text("The pods have ended", "Pod 已经结束"),
        meaning: text(
            "The pods ran to their end or were evicted; ended pods are in no slice.",
            "Pod 已运行结束或被驱逐；结束的 Pod 不在任何 EndpointSlice 中。",
        ),
        proof: text("Every matching pod is Succeeded or Failed.", "匹配的 Pod 都是 Succeeded 或 Failed。"),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Run servers by a Deployment, which replaces pods that end.",
            "用 Deployment 运行服务，它会补上结束的 Pod。",
        ),
        reasons: &["Evicted"],
        scenario: Some("pods-ended"),
    },
    Code {
        code: "pods-terminating",
        link: "pods",
        title: text("The pods are going, and none replaces them", "Pod 正在离开，却没有替代"),
        meaning: text(
            "Every matching pod is being deleted and no new one is ready.",
            "匹配的 Pod 都在删除中，没有新的就绪。",
        ),
        proof: text(
            "All matching pods have a deletionTimestamp; the workload is asked why.",
            "匹配的 Pod 都有 deletionTimestamp；并从工作负载查找原因。",
        ),
        impact: text(
            "Users of the Service: those still served lose their pod soon.",
            "Service 的使用者：还在被服务的也将很快失去 Pod。",
        ),
        remedy: text(
            "Let the workload make new pods first: scale it up, or free what stops them.",
            "先让工作负载建出新 Pod：扩容，或解除障碍。",
        ),
        reasons: &["Killing", "TaintManagerEviction"],
        scenario: Some("pods-terminating"),
    },
    Code {
        code: "readiness-probe-failing",
        link: "readiness",
        title: text("The readiness probe fails", "就绪探测失败"),
        meaning: text(
            "The program runs, and the kubelet's question whether it may serve is answered with no or \
             not at all.",
            "程序在运行，但 kubelet 的就绪探测得到否定或没有应答。",
        ),
        proof: text(
            "Pods are running and not Ready, with Unhealthy events of the readiness probe.",
            "Pod 在运行但未 Ready，并有就绪探测的 Unhealthy 事件。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Act on the probe's text: wrong port or path, too short a timeout, or a program that \
             really is not ready.",
            "按探测的文字处理：端口或路径不对、超时过短，或程序确实没有就绪。",
        ),
        reasons: &["Unhealthy"],
        scenario: Some("readiness-says-no"),
    },
    Code {
        code: "readiness-probe-not-passed",
        link: "readiness",
        title: text("The readiness probe has not passed yet", "就绪探测尚未通过"),
        meaning: text(
            "The pod has just started and its first probes are still to come, or its startup probe \
             holds them back.",
            "Pod 刚启动，首次探测还没到，或启动探测尚未放行。",
        ),
        proof: text(
            "Pods are running and not Ready, with a readiness or startup probe and no failure told.",
            "Pod 在运行但未 Ready，设有就绪或启动探测，且没有失败事件。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Wait for initialDelaySeconds and periodSeconds; shorten them if they are too long.",
            "等待 initialDelaySeconds 和 periodSeconds；过长就缩短。",
        ),
        reasons: &[],
        scenario: Some("readiness-not-yet"),
    },
    Code {
        code: "readiness-gate-unmet",
        link: "readiness",
        title: text("A readiness gate is not fulfilled", "readiness gate 没有满足"),
        meaning: text(
            "The pod names conditions that some controller must set before it counts as ready.",
            "Pod 列出了必须由某个控制器设置的条件，满足之前不算就绪。",
        ),
        proof: text(
            "Containers are ready, and a condition of `spec.readinessGates` is missing or False.",
            "容器都已就绪，而 `spec.readinessGates` 中的条件缺失或为 False。",
        ),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Repair the controller of that condition; with the AWS controller look at the target group.",
            "修复负责该条件的控制器；使用 AWS 控制器时查看目标组。",
        ),
        reasons: &["FailedNetworkReconcile"],
        scenario: Some("readiness-gate"),
    },
    Code {
        code: "node-not-ready",
        link: "readiness",
        title: text("The pods are on a node that does not report", "Pod 所在的节点停止上报"),
        meaning: text(
            "The control plane has not heard from the node, so its pods count as not ready.",
            "控制平面收不到该节点的消息，因此其 Pod 视为未就绪。",
        ),
        proof: text(
            "The node's Ready condition is not True, and all or most pods are there.",
            "节点的 Ready 状态不为 True，且全部或多数 Pod 在那里。",
        ),
        impact: text(
            "Users of those pods; the pods themselves may still run.",
            "这些 Pod 的使用者；Pod 自身也许还在运行。",
        ),
        remedy: text(
            "Bring the node back, or delete it: pods then move after the toleration time.",
            "恢复节点，或删除它：超过容忍时间后 Pod 会迁移。",
        ),
        reasons: &["NodeNotReady", "TaintManagerEviction"],
        scenario: Some("node-down"),
    },
    Code {
        code: "pods-not-ready",
        link: "readiness",
        title: text("Pods are running and not ready", "Pod 在运行但未就绪"),
        meaning: text(
            "The pods' condition Ready is False, for a cause that is none of the others.",
            "Pod 的 Ready 状态为 False，且不属于其他原因。",
        ),
        proof: text("The condition Ready of every matching pod.", "每个匹配 Pod 的 Ready 状态。"),
        impact: text("Everybody: connections are refused.", "所有调用方：连接被拒绝。"),
        remedy: text(
            "Describe one of the pods; the conditions say since when and why.",
            "查看其中一个 Pod；各项状态说明自何时起、因为什么。",
        ),
        reasons: &["Unhealthy"],
        scenario: Some("state-unreadable"),
    },
    Code {
        code: "not-ready-published",
        link: "readiness",
        title: text("Pods get traffic though they are not ready", "未就绪的 Pod 也分到流量"),
        meaning: text(
            "`publishNotReadyAddresses` makes every address count as ready, starting and ending pods too.",
            "`publishNotReadyAddresses` 让所有地址都算就绪，包括正在启动和结束的 Pod。",
        ),
        proof: text(
            "The field is true, and endpoints are marked ready whose pods are not.",
            "该字段为 true，且有端点标为就绪而其 Pod 并未就绪。",
        ),
        impact: text("Users: a part of the connections fails.", "使用者：部分连接失败。"),
        remedy: text(
            "Use it only for headless Services whose pods must find each other; take it off the one \
             that clients use.",
            "只用于 Pod 需要互相发现的 headless Service；供客户端使用的那个请去掉。",
        ),
        reasons: &[],
        scenario: Some("not-ready-published"),
    },
];
