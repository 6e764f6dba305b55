//! The fixed words of every rendering.

use portolan_catalogue::Text;

use crate::{LinkId, State};

/// Both languages.
pub(super) const fn words(en: &'static str, zh: &'static str) -> Text {
    Text { en, zh }
}

pub(super) const CAUSE: Text = words("Cause", "原因");
pub(super) const ALSO: Text = words("Also", "另外");
pub(super) const COLON: Text = words(": ", "\u{ff1a}");
pub(super) const EVIDENCE: Text = words("Evidence", "证据");
pub(super) const REMEDIES: Text = words("What to do", "处理办法");
pub(super) const MORE: Text = words("More about the event:", "关于该事件：");
pub(super) const HINTS: Text = words("Worth knowing", "提示");
pub(super) const UNREAD: Text = words("Could not read", "未能读取");
pub(super) const FINE: Text = words("No fault found.", "未发现故障。");
pub(super) const FINE_AS_FAR: Text = words("No fault found in what could be read.", "在可读取的范围内未发现故障。");
pub(super) const SERVICES: Text = words("Services", "受影响的 Service");

/// How a link stands.
pub(super) const fn state(state: State) -> Text {
    match state {
        State::Ok => words("ok", "正常"),
        State::Broken => words("BROKEN", "故障"),
        State::Consequence => words("consequence", "受影响"),
        State::NotChecked => words("not checked", "未检查"),
    }
}

/// Name of a link.
pub(super) const fn link(id: LinkId) -> Text {
    match id {
        LinkId::Service => words("service", "服务"),
        LinkId::Name => words("name", "域名"),
        LinkId::Address => words("address", "地址"),
        LinkId::LoadBalancer => words("load balancer", "负载均衡"),
        LinkId::Selector => words("selector", "选择器"),
        LinkId::Pods => words("pods", "Pod"),
        LinkId::Readiness => words("readiness", "就绪"),
        LinkId::Slices => words("slices", "端点切片"),
        LinkId::Ports => words("ports", "端口"),
        LinkId::Policy => words("policy", "流量策略"),
        LinkId::NetworkPolicy => words("network policy", "网络策略"),
        LinkId::Topology => words("topology", "拓扑"),
        LinkId::SourceRanges => words("source ranges", "来源网段"),
        LinkId::Proxy => words("kernel rules", "内核规则"),
        LinkId::Conntrack => words("conntrack", "连接跟踪"),
        LinkId::Socket => words("socket", "监听套接字"),
        LinkId::Probe => words("probe", "实际探测"),
    }
}

/// What stays hidden if this resource could not be read.
pub(super) fn hides(what: &str) -> Option<Text> {
    let (kind, of_system) = match what.split_once(" of ") {
        Some((kind, _)) => (kind, true),
        None => (what, false),
    };
    if of_system {
        return Some(words("hides faults of the cluster DNS and the proxies", "无法发现集群 DNS 和代理的故障"));
    }
    let text = match kind {
        "pods" => words("hides everything from the selector on", "从选择器起的一切都无法判断"),
        "endpointslices" => words("hides whether proxies know the endpoints", "无法判断代理是否知道端点"),
        "endpoints" => words("hides disagreement between Endpoints and slices", "无法发现 Endpoints 与切片的不一致"),
        "events" => {
            words("hides what controllers said: causes outside the cluster", "看不到控制器的说法：集群外的原因")
        }
        "nodes" => words(
            "hides lost and excluded nodes, zones, local policies",
            "无法发现失联或被排除的节点、分区和 Local 策略",
        ),
        "namespaces" => words("hides what namespace selectors of policies select", "无法判断策略的命名空间选择器"),
        "networkpolicies" => words("hides blocked callers", "无法发现被拦截的调用方"),
        "servicecidrs" => words("hides addresses outside the ranges", "无法发现超出网段的地址"),
        "deployments" | "statefulsets" | "daemonsets" | "replicasets" => {
            words("hides workloads without pods", "无法发现没有 Pod 的工作负载")
        }
        _ => return None,
    };
    Some(text)
}
