//! What remedies may break: said beside those that do.

use crate::lang::{Text, text};

pub(super) const SERVICE_ANEW: Text = text(
    "The ClusterIP, node ports and external address change unless they are written in the manifest, \
     and traffic stops in between.",
    "ClusterIP、节点端口和外部地址都会变（除非写在清单里），其间流量中断。",
);

pub(super) const SLICE_GAP: Text = text(
    "Until the new slice is written, usually within seconds, its endpoints get no traffic; if the \
     controller does not run they stay without.",
    "新的 EndpointSlice 写出之前（通常几秒），其中的端点分不到流量；如果控制器没有运行，就会一直没有。",
);

pub(super) const ENDPOINTS_GAP: Text = text(
    "Programs that read Endpoints see none for a moment; a hand-written object is lost for good.",
    "读取 Endpoints 的程序会暂时看不到地址；手写的对象则一去不返。",
);

pub(super) const POD_LOST: Text = text(
    "The pod's connections break, and a pod that no workload owns does not come back.",
    "该 Pod 的连接会中断；没有工作负载管理的 Pod 不会再回来。",
);

pub(super) const NODE_LOST: Text = text(
    "Its pods are deleted from the API; on a node that is only cut off they run on unseen, beside \
     their replacements.",
    "其上的 Pod 会从 API 中删除；如果节点只是失联，它们会在暗中与替代者同时运行。",
);

pub(super) const FINALIZER: Text = text(
    "Taking the finalizer off by force leaves the balancer at the provider: it goes on running and \
     costing money, and nobody will remove it.",
    "强行去掉 finalizer，会把负载均衡器留在提供方：继续运行、继续计费，再也没有人清理。",
);

pub(super) const RESTART: Text = text(
    "Pods go on running, but the node's probes and reports stand still for some seconds.",
    "Pod 照常运行，但该节点的探测和上报会停几秒。",
);
