//! Where events are found that are not simply on the object that one would look at.

use crate::lang::{Text, text};

pub(super) const DEFAULT_NAMESPACE: Text = text(
    "Kubernetes puts it into namespace `default`, whatever the namespace of the Service: the Endpoints \
     it is made for exists only in memory and has no namespace yet. Only `kubectl get events -n \
     default` finds it. Portolan puts it on the Service.",
    "无论 Service 在哪个命名空间，Kubernetes 都把它写到 `default`：所指的 Endpoints 只在内存里，还没有\
     命名空间。只有 `kubectl get events -n default` 找得到。Portolan 则挂在 Service 上。",
);

pub(super) const ON_ENDPOINTS: Text = text(
    "On the Endpoints, not on the Service: `kubectl describe service` does not show it in Kubernetes.",
    "挂在 Endpoints 上，而不是 Service 上：在 Kubernetes 中 `kubectl describe service` 看不到。",
);

pub(super) const NODE_EVENTS: Text = text(
    "Those on nodes are in namespace `default`. In Kubernetes 1.35 and 1.36 they carry no UID when the \
     kubelet or kube-proxy writes them, and `kubectl describe node` misses them.",
    "挂在节点上的位于命名空间 `default`。在 Kubernetes 1.35 和 1.36 中，kubelet 与 kube-proxy 写的不带 \
     UID，`kubectl describe node` 看不到。",
);

pub(super) const NO_UID: Text = text(
    "On the Service, but without its UID: `kubectl describe service` misses it, `kubectl get events` \
     finds it.",
    "挂在 Service 上，但不带 UID：`kubectl describe service` 看不到，`kubectl get events` 可以找到。",
);

pub(super) const CLUSTER_SCOPED: Text = text(
    "The object has no namespace, so the event is in namespace `default`.",
    "该对象没有命名空间，事件位于 `default`。",
);

pub(super) const LEASE: Text = text(
    "On the Lease, in the namespace of the Lease, usually `kube-system`.",
    "挂在 Lease 上，位于 Lease 所在的命名空间，通常是 `kube-system`。",
);

pub(super) const ON_REPLICA_SET: Text = text(
    "On the ReplicaSet: the Deployment shows only the condition ReplicaFailure.",
    "挂在 ReplicaSet 上：Deployment 只显示 ReplicaFailure 状态。",
);

pub(super) const IN_STATUS: Text = text(
    "In `status.conditions` of the Service: there is no Event at all, and `kubectl describe` does not \
     print it.",
    "在 Service 的 `status.conditions` 里：根本没有事件，`kubectl describe` 也不显示。",
);

pub(super) const ON_BINDING: Text =
    text("On the TargetGroupBinding, not on the Service.", "挂在 TargetGroupBinding 上，而不是 Service 上。");
