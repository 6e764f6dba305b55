//! How often reasons are seen: normal life, and the pauses between repetitions as the sources have them.

use crate::lang::{Text, text};

pub(super) const ATTEMPT: Text = text(
    "Once for each attempt: when the Service appears or changes, and for each retry after 5 s, 10 s, \
     20 s up to 300 s. A Service at rest shows none for days.",
    "每次尝试一条：Service 出现或变更时，以及失败后按 5 秒、10 秒、20 秒直至 300 秒重试时。没有变化的 \
     Service 几天也不会有一条。",
);

pub(super) const ONCE_IN_A_LIFE: Text = text(
    "Once in the life of a balancer, and again only if something took it away.",
    "负载均衡器一生一次；只有被外力取走才会再次出现。",
);

pub(super) const NODE_SET: Text = text(
    "With each change of the set of nodes, for every Service of type LoadBalancer; often while an \
     autoscaler works, else rarely.",
    "节点集合每变化一次，每个 LoadBalancer 类型的 Service 都有一条；自动扩缩容期间很常见，平时很少。",
);

pub(super) const NODE_SET_FAILED: Text = text(
    "Never normal. Once for each failed change of the node set; the retry is a full ensure after 5 s, \
     10 s up to 300 s.",
    "都不正常。每次节点集合更新失败一条；随后以完整的 ensure 重试，间隔 5 秒、10 秒直至 300 秒。",
);

pub(super) const BALANCER_RETRY: Text = text(
    "Once or twice while a provider is busy is normal. It repeats after 5 s, 10 s, 20 s up to 300 s, \
     without end; of one Service 25 are shown, then one in five minutes.",
    "提供方繁忙时出现一两次属正常。按 5 秒、10 秒、20 秒直至 300 秒无限重试；同一 Service 先显示 25 条\
     ，之后每五分钟一条。",
);

pub(super) const NO_NODES: Text = text(
    "Only in a cluster that is being built or emptied. Once for each ensure or node update with an \
     empty list; nothing repeats it while nothing changes.",
    "只有集群刚建立或正在清空时才正常。每次以空列表执行 ensure 或节点更新时一条；没有变化就不会重复。",
);

pub(super) const ENDPOINTS_RETRY: Text = text(
    "A single conflict now and then is normal. Retried after 5 ms, 10 ms and so on, 15 times within \
     about 80 s; then silence until the next change.",
    "偶尔一次冲突属正常。按 5 毫秒、10 毫秒翻倍重试，约 80 秒内 15 次；之后要等下一次变化。",
);

pub(super) const SLICES_RETRY: Text = text(
    "A single conflict now and then is normal. Retried after 1 s, 2 s, 4 s and so on, 15 times; then \
     silence until the next change.",
    "偶尔一次冲突属正常。按 1 秒、2 秒、4 秒翻倍重试 15 次；之后要等下一次变化。",
);

pub(super) const NEVER_SEEN: Text = text("Never seen in practice.", "实际中从未见过。");

pub(super) const HOST_PORT: Text = text(
    "Never normal. It comes once for each try to place or start the pod, and the tries are minutes apart.",
    "都不正常。每次尝试安置或启动 Pod 时一条，两次相隔可达几分钟。",
);

pub(super) const EACH_SANDBOX: Text = text(
    "Once for each sandbox of the pod: at its start, and when it is made anew. On nodes with a long \
     resolv.conf every pod shows it.",
    "Pod 的每个沙箱一条：启动时，以及重建时。节点的 resolv.conf 过长时，每个 Pod 都会有。",
);

pub(super) const EACH_POD_SYNC: Text = text(
    "Never normal. For every pod with policy ClusterFirst on that node; identical texts count up.",
    "都不正常。该节点上每个 ClusterFirst 策略的 Pod 都会有；文字相同的累加计数。",
);

pub(super) const KUBELET_START: Text = text(
    "Once for each start of the program. Many of them mean that it keeps restarting.",
    "程序每次启动一条。次数多说明它在反复重启。",
);

pub(super) const POD_WORKER: Text = text(
    "Once while the node is busy is normal. Repeated with each sync of the pod, some seconds to \
     minutes apart, until it succeeds.",
    "节点繁忙时出现一次属正常。随 Pod 的每次同步重复，间隔几秒到几分钟，直到成功。",
);

pub(super) const POD_STEP: Text = text("Once in the life of each pod or container.", "每个 Pod 或容器一生一次。");

pub(super) const SCHEDULER: Text = text(
    "Normal for some seconds while nodes are being added. Repeated with each try, up to five minutes \
     apart; a series, whose later texts are not shown.",
    "正在增加节点时持续几秒属正常。每次尝试重复，间隔至多五分钟；以序列记录，后来的文字不显示。",
);

pub(super) const PROBE: Text = text(
    "A few at the start of a pod are normal. One for each failed probe, every periodSeconds (10 unless \
     set); the count tells how long.",
    "Pod 刚启动时有几条属正常。每次探测失败一条，间隔 periodSeconds（默认 10 秒）；次数反映持续了多久。",
);

pub(super) const CRASH_LOOP: Text = text(
    "Never normal for long. The pause between restarts doubles from 10 s to 300 s, and the count rises \
     with each look at the pod meanwhile.",
    "持续出现就不正常。重启间隔从 10 秒翻倍到 300 秒，其间每次查看 Pod 计数都会增加。",
);

pub(super) const CONTAINER_FAILED: Text = text(
    "Never normal for long. Once for each failed pull or start; the pauses grow to 300 s.",
    "持续出现就不正常。每次拉取或启动失败一条，间隔逐渐增大到 300 秒。",
);

pub(super) const ROLLOUT: Text = text(
    "With each rollout or change of scale, and when lost pods are replaced; else never.",
    "每次发布、扩缩容或补充丢失的 Pod 时；其余时候没有。",
);

pub(super) const REPLICA_RETRY: Text = text(
    "Never normal for long. Retried with pauses that double from milliseconds to about 16 minutes.",
    "持续出现就不正常。重试间隔从毫秒级翻倍到约 16 分钟。",
);

pub(super) const NODE_CHANGE: Text = text(
    "Once for each change of a node; several within minutes mean that the node or its network flaps.",
    "节点状态每变化一次一条；几分钟内多次出现，说明节点或其网络在抖动。",
);

pub(super) const EACH_PROXY_SYNC: Text = text(
    "Never normal. Once for each sync of the proxy of that node, every 30 s at most; a series, so the \
     count says how long.",
    "都不正常。该节点的代理每次同步一条，至多每 30 秒一次；以序列记录，次数反映持续了多久。",
);

pub(super) const HINTS_ON: Text = text(
    "Once when hints come into force for a Service; not again while they stay.",
    "提示对某个 Service 生效时一次；保持期间不再出现。",
);

pub(super) const HINTS_OFF: Text = text(
    "Normal with few endpoints. Repeated with every sync of the Service, that is with every change of \
     its pods.",
    "端点较少时属正常。Service 每次同步都会重复，也就是其 Pod 每变化一次就有一条。",
);

pub(super) const MIRROR_SYNC: Text = text(
    "Never normal. Repeated with every sync of that Endpoints object, that is when somebody changes it.",
    "都不正常。该 Endpoints 对象每次同步时重复，也就是有人改动它的时候。",
);

pub(super) const REPAIR: Text = text(
    "Never normal, except once after a restore or after a range was changed. Repeated by every pass, \
     every three minutes, until it is mended.",
    "除了恢复备份或变更范围之后的一次，都不正常。每三分钟一轮的巡检都会重复，直到修好。",
);

pub(super) const REPAIR_ONCE: Text =
    text("Rare. Once for each object, which is deleted with it.", "少见。每个对象一条，随后该对象即被删除。");

pub(super) const RARE_RETRY: Text = text(
    "Never normal. With each failed write of the status, with growing pauses.",
    "都不正常。每次写入状态失败一条，间隔逐渐增大。",
);

pub(super) const POD_RANGE: Text = text(
    "Never normal. Once for each node that gets no range, and again with each retry.",
    "都不正常。每个分不到范围的节点一条，重试时再次出现。",
);

pub(super) const LEADER: Text = text(
    "Once for each change of the leader: at starts and upgrades, else rarely.",
    "leader 每更换一次一条：启动和升级时出现，其余很少。",
);

pub(super) const EACH_RECONCILE: Text = text(
    "Once for each reconcile of the object; a controller at rest says nothing.",
    "每次 reconcile 一条；控制器没有事做就不会出现。",
);

pub(super) const OTHER_RETRY: Text = text(
    "Never normal for long. Repeated with growing pauses until the cause is gone.",
    "持续出现就不正常。以逐渐增大的间隔重复，直到原因消失。",
);

pub(super) const ANNOUNCE: Text = text(
    "Once when a node takes over an address: at creation, after the loss of a node, and after a \
     restart of the speaker.",
    "节点接管地址时一次：创建时、节点丢失后，以及 speaker 重启后。",
);

pub(super) const CONDITION: Text =
    text("Not counted: a condition is there as long as its cause is.", "不计次数：原因存在多久，条件就保持多久。");

pub(super) const PROXY_START: Text = text("Once for each start of kube-proxy.", "kube-proxy 每次启动一条。");

pub(super) const EVICTION: Text = text(
    "Once for each pod that is moved away; many at once when a node is lost.",
    "每个被移走的 Pod 一条；节点丢失时会成批出现。",
);

pub(super) const API_START: Text = text(
    "Never normal. At the start of an API server, and with each retry.",
    "都不正常。API Server 启动时，以及每次重试时。",
);
