//! Controllers about nodes that come and go, and about their pods.
//!
//! Source: `pkg/controller/nodelifecycle`, `pkg/controller/tainteviction` of Kubernetes 1.36, `k8s.io/cloud-provider/controllers`.

use super::super::{BLANK, DESCRIBE_POD, check, frequency, message, place, remedy};
use crate::lang::text;
use crate::{Category, Chain, Entry, Harm, Impact, Portolan, Remedies, Severity, Versions};

pub(super) const ENTRIES: &[Entry] = &[
    TAINT_MANAGER_EVICTION,
    NODE_CONTROLLER_EVICTION,
    REGISTERED_NODE,
    REMOVING_NODE,
    DELETING_NODE,
    DELETING_NODE_FAILED,
    SYNCED,
];

/// What they have in common; each fills in the rest.
const COMMON: Entry = Entry {
    category: Category::Node,
    portolan: Portolan {
        emits: false,
        when: text("Its nodes come and go with its own agents.", "它的节点随自己的代理而来去。"),
    },
    emitter: "node-controller",
    object: "Node",
    versions: Versions::since("1.36"),
    checks: &[check(
        "The node, its conditions, taints and Events.",
        "节点、其各项状态、污点和事件。",
        "kubectl describe node NODE",
    )],
    ..BLANK
};

const TAINT_MANAGER_EVICTION: Entry = Entry {
    name: "TaintManagerEviction",
    severity: Severity::Normal,
    emitter: "taint-eviction-controller",
    object: "Pod",
    summary: text("A pod is deleted because of a taint, or is spared", "Pod 因污点被删除，或得到赦免"),
    messages: &[
        message("Kubernetes", "Marking for deletion Pod {namespace}/{pod}"),
        message("Kubernetes", "Cancelling deletion of Pod {namespace}/{pod}"),
    ],
    meaning: text(
        "The node has a NoExecute taint, mostly because it is not ready or not reachable, and the \
         pod's toleration (300 s unless set) has run out; or the taint went in time.",
        "节点带有 NoExecute 污点，多半因为未就绪或失联，而 Pod 的容忍时间（默认 300 秒）已到；或污点及\
         时消失。",
    ),
    frequency: frequency::EVICTION,
    impact: Impact {
        harm: Harm::Medium,
        who: text(
            "The pod's users, until its workload makes another. On a lost node the old pod stays Terminating.",
            "该 Pod 的使用者，直到工作负载补上新的。节点失联时旧 Pod 停在 Terminating。",
        ),
    },
    chain: Chain {
        before: text("NodeNotReady.", "NodeNotReady。"),
        after: text("Killing, and a new pod elsewhere.", "Killing，并在别处建立新 Pod。"),
    },
    checks: &[DESCRIBE_POD],
    remedies: Remedies::Steps(&[remedy(
        text("The node is lost.", "节点失联。"),
        text("Bring it back, or delete the Node once it is surely off.", "恢复节点；确认它已关机后再删除 Node。"),
        &["kubectl get nodes", "kubectl describe node NODE"],
    )]),
    see_also: &["NodeNotReady", "Killing"],
    ..COMMON
};

const NODE_CONTROLLER_EVICTION: Entry = Entry {
    name: "NodeControllerEviction",
    severity: Severity::Normal,
    object: "Pod",
    summary: text("A pod of a lost node is deleted", "失联节点上的 Pod 被删除"),
    messages: &[message("Kubernetes", "Marking for deletion Pod {pod} from Node {node}")],
    meaning: text(
        "The node controller deletes a pod because its node is gone or not ready; taints do this today.",
        "节点不在或未就绪，节点控制器删除其上的 Pod；如今主要由污点机制完成。",
    ),
    frequency: frequency::EVICTION,
    impact: Impact {
        harm: Harm::Medium,
        who: text("The pod's users, until its workload makes another.", "该 Pod 的使用者，直到工作负载补上新的。"),
    },
    chain: Chain {
        before: text("NodeNotReady.", "NodeNotReady。"),
        after: text("A new pod elsewhere.", "在别处建立新 Pod。"),
    },
    checks: &[DESCRIBE_POD],
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text("Find out what became of the node.", "查明节点出了什么事。"),
        &["kubectl describe node NODE"],
    )]),
    see_also: &["NodeNotReady", "TaintManagerEviction"],
    ..COMMON
};

const REGISTERED_NODE: Entry = Entry {
    name: "RegisteredNode",
    severity: Severity::Normal,
    summary: text("The control plane knows a new node", "控制平面登记了新节点"),
    messages: &[message("Kubernetes", "Node {node} event: Registered Node {node} in Controller")],
    meaning: text(
        "The node controller has begun to watch the node. After a restart of the controller manager it \
         comes for every node.",
        "节点控制器开始关注该节点。controller-manager 重启后，每个节点都会出现一次。",
    ),
    frequency: frequency::NODE_CHANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("Starting of the kubelet.", "kubelet 的 Starting。"),
        after: text("NodeReady; balancers take the node in.", "NodeReady；负载均衡器会纳入该节点。"),
    },
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    see_also: &["RemovingNode", "NodeReady"],
    ..COMMON
};

const REMOVING_NODE: Entry = Entry {
    name: "RemovingNode",
    severity: Severity::Normal,
    summary: text("The control plane forgets a node", "控制平面注销了节点"),
    messages: &[message("Kubernetes", "Node {node} event: Removing Node {node} from Controller")],
    meaning: text(
        "The Node object was deleted. Its pods are cleaned up, and endpoints on it are left out of the \
         slices.",
        "Node 对象被删除。其上的 Pod 会被清理，端点也会从 EndpointSlice 中略去。",
    ),
    frequency: frequency::NODE_CHANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact {
        harm: Harm::Medium,
        who: text("Users of pods on that node, until they are replaced.", "该节点上 Pod 的使用者，直到被替换。"),
    },
    chain: Chain {
        before: text("DeletingNode, or a hand.", "DeletingNode，或人工操作。"),
        after: text(
            "UpdatedLoadBalancer; FailedToUpdateEndpointSlices for pods that are left.",
            "UpdatedLoadBalancer；遗留的 Pod 会引起 FailedToUpdateEndpointSlices。",
        ),
    },
    remedies: Remedies::Steps(&[
        remedy(
            text("Nobody wanted it gone.", "并非有意删除。"),
            text(
                "Restart its kubelet: it registers again, if the cluster still trusts it.",
                "重启它的 kubelet：只要集群仍信任它，就会重新登记。",
            ),
            &["kubectl get nodes"],
        ),
        remedy(
            text("It was wanted.", "是有意的。"),
            text("Nothing to do: this is routine.", "无需处理，这是正常流程。"),
            &[],
        ),
    ]),
    see_also: &["RegisteredNode", "DeletingNode"],
    ..COMMON
};

const DELETING_NODE: Entry = Entry {
    name: "DeletingNode",
    severity: Severity::Normal,
    emitter: "cloud-node-lifecycle-controller",
    summary: text("A Node is deleted, for its machine is gone", "机器已不存在，Node 随之删除"),
    messages: &[message("Kubernetes", "Deleting node {node} because it does not exist in the cloud provider")],
    meaning: text(
        "The cloud says that there is no such machine, and the node had stopped reporting.",
        "云端表示没有这台机器，而节点早已停止上报。",
    ),
    frequency: frequency::NODE_CHANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact {
        harm: Harm::Medium,
        who: text("Users of pods on it; they were lost before.", "其上 Pod 的使用者；它们早已丢失。"),
    },
    chain: Chain {
        before: text("NodeNotReady.", "NodeNotReady。"),
        after: text("RemovingNode and UpdatedLoadBalancer.", "RemovingNode 和 UpdatedLoadBalancer。"),
    },
    remedies: Remedies::Steps(&[
        remedy(
            text("The machine does exist.", "机器其实存在。"),
            text(
                "The node's providerID or name is not the cloud's: correct it, and register again.",
                "节点的 providerID 或名称与云端不符：改正后重新登记。",
            ),
            &["kubectl get node NODE -o jsonpath='{.spec.providerID}'"],
        ),
        remedy(
            text("The machine is gone.", "机器确实没了。"),
            text("Nothing to do: this is routine.", "无需处理，这是正常流程。"),
            &[],
        ),
    ]),
    see_also: &["RemovingNode", "DeletingNodeFailed"],
    ..COMMON
};

const DELETING_NODE_FAILED: Entry = Entry {
    name: "DeletingNodeFailed",
    severity: Severity::Warning,
    emitter: "cloud-node-lifecycle-controller",
    summary: text("A Node without a machine could not be deleted", "没有机器的 Node 删除失败"),
    messages: &[message("Kubernetes", "Failed deleting node {node}: {error}")],
    meaning: text(
        "The API refused to delete the Node of a machine that is gone.",
        "机器已不存在，而 API 拒绝删除其 Node。",
    ),
    frequency: frequency::RARE_RETRY,
    place: Some(place::NODE_EVENTS),
    impact: Impact {
        harm: Harm::Low,
        who: text("Balancers keep a target that does not answer.", "负载均衡器仍保留一个不应答的目标。"),
    },
    chain: Chain { before: text("DeletingNode.", "DeletingNode。"), after: text("Another try.", "重试。") },
    remedies: Remedies::Steps(&[remedy(
        text("Always.", "任何时候。"),
        text(
            "See to the controller's right to delete nodes, and to finalizers on the Node.",
            "检查控制器删除节点的权限，以及 Node 上的 finalizer。",
        ),
        &["kubectl get node NODE -o yaml"],
    )]),
    see_also: &["DeletingNode"],
    ..COMMON
};

const SYNCED: Entry = Entry {
    name: "Synced",
    severity: Severity::Normal,
    emitter: "cloud-node-controller",
    summary: text("The cloud has told the node's data", "已从云端取得节点数据"),
    messages: &[message("Kubernetes", "Node synced successfully")],
    meaning: text(
        "The cloud node controller has written the node's addresses, zone and providerID.",
        "云节点控制器写入了节点的地址、可用区和 providerID。",
    ),
    frequency: frequency::NODE_CHANGE,
    place: Some(place::NODE_EVENTS),
    impact: Impact { harm: Harm::None, who: text("Nobody.", "无人受影响。") },
    chain: Chain {
        before: text("RegisteredNode.", "RegisteredNode。"),
        after: text("The node becomes usable.", "节点可以使用。"),
    },
    remedies: Remedies::NoneNeeded(text("Nothing to do: this is routine.", "无需处理，这是正常流程。")),
    see_also: &["RegisteredNode"],
    ..COMMON
};
