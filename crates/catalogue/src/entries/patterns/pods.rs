//! Causes told by the texts of pods and nodes.

use crate::Pattern;
use crate::lang::text;

pub(in super::super) const FAILED_SYNC: &[Pattern] = &[
    Pattern {
        template: "address already in use",
        trouble: None,
        cause: text(
            "A program in the pod or its runtime found a port taken. The reason itself only says that \
             the state of the pod could not be read; nobody checked the port.",
            "Pod 内的程序或其运行时发现端口被占用。这个 reason 本身只表示读不到 Pod 的状态，并没有人检\
             查端口。",
        ),
        code: Some("host-port-conflict"),
        samples: &["error determining status: rpc error: code = Unknown desc = failed to check port availability: \
             bind: address already in use"],
    },
    Pattern {
        template: "error determining status: {error}",
        trouble: None,
        cause: text(
            "The kubelet could not ask the container runtime how the pod is. It is not a check of \
             ports, whatever the inner text.",
            "kubelet 没能向容器运行时问到 Pod 的状态。无论内层文字如何，都与端口检查无关。",
        ),
        code: Some("pods-status-unknown"),
        samples: &["error determining status: rpc error: code = Unavailable desc = connection error"],
    },
];

pub(in super::super) const FAILED_SCHEDULING: &[Pattern] = &[
    Pattern {
        template: "nodes are available: {causes}didn't have free ports for the requested pod ports",
        trouble: None,
        cause: text(
            "A hostPort that the pod wants is taken on every node that would do otherwise.",
            "在其余条件都满足的节点上，Pod 要的 hostPort 都已被占用。",
        ),
        code: Some("host-port-conflict"),
        samples: &["0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports. \
             preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."],
    },
    Pattern {
        template: "node(s) didn't have free ports for the requested pod ports",
        trouble: None,
        cause: text(
            "A hostPort that the pod wants is taken on every node that would do otherwise.",
            "在其余条件都满足的节点上，Pod 要的 hostPort 都已被占用。",
        ),
        code: Some("host-port-conflict"),
        samples: &["node(s) didn't have free ports for the requested pod ports"],
    },
    Pattern {
        template: "nodes are available: {causes}Insufficient {resource}",
        trouble: None,
        cause: text(
            "No node has enough of a resource left, by requests, not by use.",
            "没有节点剩余足够的资源；按 requests 计算，而不是按实际用量。",
        ),
        code: Some("pods-unschedulable"),
        samples: &[
            "0/3 nodes are available: 3 Insufficient cpu.",
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient memory.",
        ],
    },
    Pattern {
        template: "nodes are available: {causes}untolerated taint",
        trouble: None,
        cause: text("Every node has a taint that the pod does not tolerate.", "所有节点都有该 Pod 不容忍的污点。"),
        code: Some("pods-unschedulable"),
        samples: &["0/3 nodes are available: 3 node(s) had untolerated taint \
             {node-role.kubernetes.io/control-plane: }."],
    },
    Pattern {
        template: "nodes are available: {causes}didn't match Pod's node affinity/selector",
        trouble: None,
        cause: text("No node has the labels that the pod asks for.", "没有节点具有 Pod 要求的标签。"),
        code: Some("pods-unschedulable"),
        samples: &["0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."],
    },
    Pattern {
        template: "nodes are available: {causes}didn't match pod anti-affinity rules",
        trouble: None,
        cause: text(
            "The pods of the same kind may not share a node, and no other node is left.",
            "同类 Pod 不得共用节点，而已没有别的节点。",
        ),
        code: Some("pods-unschedulable"),
        samples: &["0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."],
    },
    Pattern {
        template: "nodes are available: {causes}were unschedulable",
        trouble: None,
        cause: text("Every node is cordoned.", "所有节点都被禁止调度。"),
        code: Some("pods-unschedulable"),
        samples: &["0/2 nodes are available: 2 node(s) were unschedulable."],
    },
    Pattern {
        template: "no nodes available to schedule pods",
        trouble: None,
        cause: text("The cluster has no node at all.", "集群没有任何节点。"),
        code: Some("pods-unschedulable"),
        samples: &["no nodes available to schedule pods"],
    },
    Pattern {
        template: "persistentvolumeclaim \"{claim}\" not found",
        trouble: None,
        cause: text("The pod names a volume claim that does not exist.", "Pod 引用的存储卷声明不存在。"),
        code: Some("pods-unschedulable"),
        samples: &["persistentvolumeclaim \"data\" not found"],
    },
];

pub(in super::super) const UNHEALTHY: &[Pattern] = &[
    Pattern {
        template: "Readiness probe failed: {output}connection refused",
        trouble: None,
        cause: text(
            "Nothing listens on the probed port in the pod, or only on 127.0.0.1. The pod gets no \
             traffic.",
            "Pod 内没有程序监听被探测的端口，或只监听 127.0.0.1。该 Pod 分不到流量。",
        ),
        code: Some("readiness-probe-failing"),
        samples: &[
            "Readiness probe failed: Get \"http://10.244.1.5:8080/ready\": dial tcp 10.244.1.5:8080: \
             connect: connection refused",
            "Readiness probe failed: dial tcp 10.244.1.5:8080: connect: connection refused",
        ],
    },
    Pattern {
        template: "Readiness probe failed: HTTP probe failed with statuscode: {status}",
        trouble: None,
        cause: text(
            "The program answers, and says that it is not ready. The pod gets no traffic.",
            "程序有应答，但表示自己未就绪。该 Pod 分不到流量。",
        ),
        code: Some("readiness-probe-failing"),
        samples: &["Readiness probe failed: HTTP probe failed with statuscode: 503"],
    },
    Pattern {
        template: "Readiness probe failed: {output}context deadline exceeded",
        trouble: None,
        cause: text(
            "The program did not answer within timeoutSeconds (1 unless set). The pod gets no traffic.",
            "程序没有在 timeoutSeconds（默认 1 秒）内应答。该 Pod 分不到流量。",
        ),
        code: Some("readiness-probe-failing"),
        samples: &["Readiness probe failed: Get \"http://10.244.1.5:8080/ready\": context deadline exceeded \
             (Client.Timeout exceeded while awaiting headers)"],
    },
    Pattern {
        template: "Readiness probe failed: {output}",
        trouble: None,
        cause: text("The pod is running and not ready, so it gets no traffic.", "Pod 在运行但未就绪，因此分不到流量。"),
        code: Some("readiness-probe-failing"),
        samples: &["Readiness probe failed: cat: /tmp/ready: No such file or directory"],
    },
    Pattern {
        template: "Readiness probe errored{output}",
        trouble: None,
        cause: text(
            "The probe itself could not be made, as when its command does not exist.",
            "探测本身无法执行，例如命令不存在。",
        ),
        code: Some("readiness-probe-failing"),
        samples: &["Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed \
             to exec"],
    },
    Pattern {
        template: "Liveness probe failed: {output}",
        trouble: None,
        cause: text(
            "The container will be killed and started again when failureThreshold is reached.",
            "达到 failureThreshold 之后，容器会被杀掉并重新启动。",
        ),
        code: Some("pods-crash-looping"),
        samples: &["Liveness probe failed: HTTP probe failed with statuscode: 500"],
    },
    Pattern {
        template: "Startup probe failed: {output}",
        trouble: None,
        cause: text(
            "The program is still starting; the other probes wait for this one.",
            "程序仍在启动；其他探测要等它通过。",
        ),
        code: Some("readiness-probe-not-passed"),
        samples: &["Startup probe failed: dial tcp 10.244.1.5:8080: connect: connection refused"],
    },
];

pub(in super::super) const BACK_OFF: &[Pattern] = &[
    Pattern {
        template: "Back-off pulling image \"{image}\"",
        trouble: None,
        cause: text("The image cannot be pulled; see Failed for why.", "镜像拉取不到；原因见 Failed。"),
        code: Some("image-not-available"),
        samples: &["Back-off pulling image \"registry.example/web:1\""],
    },
    Pattern {
        template: "Back-off restarting failed container {container} in pod {pod}",
        trouble: None,
        cause: text(
            "The container ends again and again; its log and exit code say why.",
            "容器反复退出；原因看它的日志和退出码。",
        ),
        code: Some("pods-crash-looping"),
        samples: &["Back-off restarting failed container app in pod web-1_default(5b1c)"],
    },
    Pattern {
        template: "Back-off restarting failed container",
        trouble: None,
        cause: text(
            "The container ends again and again; its log and exit code say why.",
            "容器反复退出；原因看它的日志和退出码。",
        ),
        code: Some("pods-crash-looping"),
        samples: &["Back-off restarting failed container"],
    },
];

pub(in super::super) const FAILED: &[Pattern] = &[
    Pattern {
        template: "Failed to pull image \"{image}\": {error}not found",
        trouble: None,
        cause: text("The image or its tag does not exist.", "镜像或其标签不存在。"),
        code: Some("image-not-available"),
        samples: &["Failed to pull image \"registry.example/web:nope\": rpc error: code = NotFound desc = failed to \
             resolve reference: registry.example/web:nope: not found"],
    },
    Pattern {
        template: "Failed to pull image \"{image}\": {error}unauthorized",
        trouble: None,
        cause: text("The registry wants credentials that the pod does not have.", "镜像仓库要求凭证，而 Pod 没有。"),
        code: Some("image-not-available"),
        samples: &["Failed to pull image \"registry.example/web:1\": failed to authorize: unauthorized"],
    },
    Pattern {
        template: "Failed to pull image \"{image}\": {error}",
        trouble: None,
        cause: text("The registry refused or could not be reached.", "镜像仓库拒绝，或无法访问。"),
        code: Some("image-not-available"),
        samples: &["Failed to pull image \"registry.example/web:1\": rpc error: code = Unknown desc = dial tcp: \
             lookup registry.example: no such host"],
    },
    Pattern {
        template: "Error: configmap \"{name}\" not found",
        trouble: None,
        cause: text("A ConfigMap that the container needs does not exist.", "容器需要的 ConfigMap 不存在。"),
        code: Some("container-waiting"),
        samples: &["Error: configmap \"settings\" not found"],
    },
    Pattern {
        template: "Error: secret \"{name}\" not found",
        trouble: None,
        cause: text("A Secret that the container needs does not exist.", "容器需要的 Secret 不存在。"),
        code: Some("container-waiting"),
        samples: &["Error: secret \"token\" not found"],
    },
    Pattern {
        template: "Error: ImagePullBackOff",
        trouble: None,
        cause: text(
            "The image cannot be pulled; the event before names the cause.",
            "镜像拉取不到；原因见前一条事件。",
        ),
        code: Some("image-not-available"),
        samples: &["Error: ImagePullBackOff"],
    },
    Pattern {
        template: "Error: ErrImagePull",
        trouble: None,
        cause: text(
            "The image cannot be pulled; the event before names the cause.",
            "镜像拉取不到；原因见前一条事件。",
        ),
        code: Some("image-not-available"),
        samples: &["Error: ErrImagePull"],
    },
];

pub(in super::super) const FAILED_CREATE_POD_SAND_BOX: &[Pattern] = &[
    Pattern {
        template: "Failed to create pod sandbox: {error}no IP addresses available in {range}",
        trouble: None,
        cause: text("The range of pod addresses of the node is used up.", "该节点的 Pod 地址范围已用尽。"),
        code: Some("pod-address-exhausted"),
        samples: &["Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for \
             sandbox: plugin type=\"host-local\" failed (add): failed to allocate for range 0: no IP \
             addresses available in range set: 10.244.1.1-10.244.1.254"],
    },
    Pattern {
        template: "Failed to create pod sandbox: {error}no address is left in {range}",
        trouble: None,
        cause: text("The range of pod addresses of the node is used up.", "该节点的 Pod 地址范围已用尽。"),
        code: Some("pod-address-exhausted"),
        samples: &["Failed to create pod sandbox: no address is left in 10.244.1.0/24"],
    },
    Pattern {
        template: "Failed to create pod sandbox: open {file}: no such file or directory",
        trouble: None,
        cause: text("The file with the node's DNS settings is not there.", "记录节点 DNS 设置的文件不存在。"),
        code: Some("node-resolv-conf-broken"),
        samples: &["Failed to create pod sandbox: open /etc/resolv.conf: no such file or directory"],
    },
    Pattern {
        template: "Encountered error while parsing resolv conf file",
        trouble: None,
        cause: text("The file with the node's DNS settings cannot be understood.", "节点的 DNS 设置文件无法解析。"),
        code: Some("node-resolv-conf-broken"),
        samples: &["Failed to create pod sandbox: Encountered error while parsing resolv conf file. Error: \
             nameserver list is empty"],
    },
    Pattern {
        template: "cni plugin not initialized",
        trouble: None,
        cause: text(
            "The network plugin of the node has not been installed or has not started yet.",
            "节点的网络插件没有安装，或尚未启动。",
        ),
        code: Some("pod-network-failed"),
        samples: &["Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for \
             sandbox: cni plugin not initialized"],
    },
    Pattern {
        template: "Failed to create pod sandbox: {error}failed to setup network for sandbox{more}",
        trouble: None,
        cause: text("The network plugin failed; what follows is its own text.", "网络插件失败；后面是它自己的文字。"),
        code: Some("pod-network-failed"),
        samples: &["Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for \
             sandbox \"1\": plugin type=\"calico\" failed (add): connection is unauthorized"],
    },
    Pattern {
        template: "Failed to create pod sandbox: {error}",
        trouble: None,
        cause: text("The runtime could not make the pod's surroundings.", "运行时没能建好 Pod 的环境。"),
        code: Some("pod-network-failed"),
        samples: &["Failed to create pod sandbox: rpc error: code = Unknown desc = something"],
    },
];

pub(in super::super) const FAILED_MOUNT: &[Pattern] = &[
    Pattern {
        template: "configmap \"{name}\" not found",
        trouble: None,
        cause: text("A ConfigMap that is mounted does not exist.", "要挂载的 ConfigMap 不存在。"),
        code: Some("container-waiting"),
        samples: &["MountVolume.SetUp failed for volume \"config\" : configmap \"settings\" not found"],
    },
    Pattern {
        template: "secret \"{name}\" not found",
        trouble: None,
        cause: text("A Secret that is mounted does not exist.", "要挂载的 Secret 不存在。"),
        code: Some("container-waiting"),
        samples: &["MountVolume.SetUp failed for volume \"tls\" : secret \"tls\" not found"],
    },
    Pattern {
        template: "object \"{object}\" not registered",
        trouble: None,
        cause: text(
            "The kubelet has just started and does not know the object yet; it is tried again.",
            "kubelet 刚启动，还不知道该对象；会重试。",
        ),
        code: None,
        samples: &["MountVolume.SetUp failed for volume \"kube-api-access\" : object \
             \"default\"/\"kube-root-ca.crt\" not registered"],
    },
];

pub(in super::super) const FAILED_CREATE: &[Pattern] = &[
    Pattern {
        template: "exceeded quota: {quota}",
        trouble: None,
        cause: text("A quota of the namespace is used up; no pod is made.", "命名空间的配额已用尽；没有创建 Pod。"),
        code: Some("pods-not-created"),
        samples: &["Error creating: pods \"web-1\" is forbidden: exceeded quota: tiny, requested: pods=1, used: \
             pods=1, limited: pods=1"],
    },
    Pattern {
        template: "error looking up service account {account}",
        trouble: None,
        cause: text("The ServiceAccount of the pods does not exist.", "Pod 的 ServiceAccount 不存在。"),
        code: Some("pods-not-created"),
        samples: &["Error creating: pods \"web-1\" is forbidden: error looking up service account default/robot: \
             serviceaccount \"robot\" not found"],
    },
    Pattern {
        template: "violates PodSecurity \"{level}\": {why}",
        trouble: None,
        cause: text("The namespace's security level forbids such pods.", "命名空间的安全级别不允许这样的 Pod。"),
        code: Some("pods-not-created"),
        samples: &["Error creating: pods \"web-1\" is forbidden: violates PodSecurity \"restricted:latest\": \
             allowPrivilegeEscalation != false"],
    },
    Pattern {
        template: "admission webhook \"{webhook}\" denied the request: {why}",
        trouble: None,
        cause: text("An admission webhook refuses the pods.", "某个准入 webhook 拒绝这些 Pod。"),
        code: Some("pods-not-created"),
        samples: &["Error creating: admission webhook \"guard.example.com\" denied the request: no"],
    },
    Pattern {
        template: "failed calling webhook \"{webhook}\": {why}",
        trouble: None,
        cause: text(
            "An admission webhook does not answer, and its policy is to refuse then.",
            "某个准入 webhook 没有应答，而它的策略是此时拒绝。",
        ),
        code: Some("pods-not-created"),
        samples: &["Error creating: Internal error occurred: failed calling webhook \"guard.example.com\": \
             connection refused"],
    },
    Pattern {
        template: "Error creating: {error}",
        trouble: None,
        cause: text("The API refused the pods of the ReplicaSet.", "API 拒绝了 ReplicaSet 的 Pod。"),
        code: Some("pods-not-created"),
        samples: &["Error creating: Pod \"web-1\" is invalid: spec.containers[0].ports[0].hostPort: Invalid value: \
             99999"],
    },
];

pub(in super::super) const FAILED_TO_START_SERVICE_HEALTHCHECK: &[Pattern] = &[Pattern {
    template: "failed to start healthcheck \"{service}\" on port {port}: {error}",
    trouble: None,
    cause: text(
        "Another program of that node holds the health check port; the provider takes the node out.",
        "该节点上另一个程序占用了健康检查端口；提供方会把这个节点摘除。",
    ),
    code: Some("load-balancer-backends-unhealthy"),
    samples: &["node node1 failed to start healthcheck \"default/web\" on port 31234: listen tcp :31234: bind: \
             address already in use"],
}];

pub(in super::super) const NODE_NOT_READY: &[Pattern] = &[
    Pattern {
        template: "Node is not ready",
        trouble: None,
        cause: text(
            "The node of this pod has stopped reporting; its endpoints are not ready from now on.",
            "该 Pod 所在的节点停止上报；其端点从此不再就绪。",
        ),
        code: Some("node-not-ready"),
        samples: &["Node is not ready"],
    },
    Pattern {
        template: "status is now: NodeNotReady",
        trouble: None,
        cause: text("The node has stopped reporting, or reports itself as not ready.", "节点停止上报，或自报未就绪。"),
        code: Some("node-not-ready"),
        samples: &["Node node1 status is now: NodeNotReady"],
    },
];

pub(in super::super) const KILLING: &[Pattern] = &[
    Pattern {
        template: "failed liveness probe, will be restarted",
        trouble: None,
        cause: text(
            "The liveness probe failed too often; the container is started again.",
            "存活探测失败次数过多；容器会重新启动。",
        ),
        code: Some("pods-crash-looping"),
        samples: &["Container app failed liveness probe, will be restarted"],
    },
    Pattern {
        template: "failed startup probe, will be restarted",
        trouble: None,
        cause: text(
            "The program did not start in the time that the startup probe allows.",
            "程序没有在启动探测允许的时间内启动。",
        ),
        code: Some("pods-crash-looping"),
        samples: &["Container app failed startup probe, will be restarted"],
    },
    Pattern {
        template: "Stopping container {container}",
        trouble: None,
        cause: text("The pod is being deleted or moved.", "Pod 正被删除或迁移。"),
        code: None,
        samples: &["Stopping container app"],
    },
];
