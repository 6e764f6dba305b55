//! Of a Service by itself.

use std::collections::BTreeSet;

use k8s_openapi::{api::core::v1::ServiceSpec, apimachinery::pkg::util::intstr::IntOrString};
use portolan_objects::{Protocol, pod, service};

use crate::{
    lint::{
        Sink, annotations,
        world::{Maker, Served},
    },
    words::words,
};

pub(super) fn check(served: &Served<'_>, makers: &[&Maker<'_>], sink: &mut Sink) {
    let Some(spec) = &served.service.spec else { return };
    exposure(served, spec, sink);
    affinity(served, spec, sink);
    headless(served, spec, makers, sink);
    not_ready(served, spec, sink);
    node_ports(served, spec, sink);
    balancer(served, spec, sink);
}

/// Open to the whole internet, without anybody having said so.
fn exposure(served: &Served<'_>, spec: &ServiceSpec, sink: &mut Sink) {
    let limited = spec.load_balancer_source_ranges.as_ref().is_some_and(|ranges| !ranges.is_empty());
    if !service::is_load_balancer(&served.service) || limited || annotations::limits_or_hides(served) {
        return;
    }
    let message = words!(
        "anyone who reaches the load balancer may connect: there is no loadBalancerSourceRanges",
        "任何能到达负载均衡器的人都可以连接：没有设置 loadBalancerSourceRanges"
    );
    let remedy = words!(
        "If it is not for the whole internet, list the ranges in spec.loadBalancerSourceRanges or make the balancer internal.",
        "如果不打算对整个互联网开放，请设置 spec.loadBalancerSourceRanges，或使用内部负载均衡器。"
    );
    sink.about("practice-source-ranges-missing", served.object, "spec.type", message, Some(remedy));
}

fn affinity(served: &Served<'_>, spec: &ServiceSpec, sink: &mut Sink) {
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return;
    }
    if spec.cluster_ip.as_deref() == Some("None") {
        let message = words!(
            "a headless Service keeps no session: clients choose among the pods' addresses themselves",
            "headless Service 没有会话保持：客户端自行在 Pod 地址中选择"
        );
        return sink.about("practice-affinity-on-headless", served.object, "spec.sessionAffinity", message, None);
    }
    if spec.session_affinity_config.is_none() {
        let message = words!(
            "a client stays with its pod for 3 hours after its last connection, the default",
            "客户端在最后一次连接后的 3 小时内都会固定到同一个 Pod（默认值）"
        );
        let remedy = words!(
            "Say how long in spec.sessionAffinityConfig.clientIP.timeoutSeconds; all clients behind one NAT address share a pod.",
            "用 spec.sessionAffinityConfig.clientIP.timeoutSeconds 指定时长；同一 NAT 地址后的所有客户端会共用一个 Pod。"
        );
        sink.about("practice-affinity-timeout", served.object, "spec.sessionAffinity", message, Some(remedy));
    }
}

/// Clients of a headless Service connect to the pods on the port that they choose.
fn headless(served: &Served<'_>, spec: &ServiceSpec, makers: &[&Maker<'_>], sink: &mut Sink) {
    if spec.cluster_ip.as_deref() != Some("None") {
        return;
    }
    for (index, port) in spec.ports.iter().flatten().enumerate() {
        let target = service::target_port(port);
        let protocol = Protocol::of(port.protocol.as_deref());
        let to = match (&target, makers.first()) {
            (IntOrString::Int(number), _) => Some(*number),
            (IntOrString::String(_), Some(maker)) => pod::resolve_port(&maker.pod, &target, protocol).map(i32::from),
            (IntOrString::String(_), None) => None,
        };
        let (from, Some(to)) = (port.port, to.filter(|to| *to != port.port)) else { continue };
        let message = words!(
            "headless: port {from} is not translated, clients have to connect to {to}",
            "headless：端口 {from} 不会被转换，客户端必须连接 {to}"
        );
        let remedy = words!("Give the Service port {to} too.", "让 Service 的端口也为 {to}。");
        let field = format!("spec.ports[{index}].port");
        sink.about("practice-headless-port", served.object, &field, message, Some(remedy));
    }
}

fn not_ready(served: &Served<'_>, spec: &ServiceSpec, sink: &mut Sink) {
    let headless = spec.cluster_ip.as_deref() == Some("None");
    if spec.publish_not_ready_addresses != Some(true) || headless {
        return;
    }
    let message = words!(
        "publishNotReadyAddresses on a Service with a cluster IP: traffic goes to pods that are not ready",
        "带集群 IP 的 Service 设置了 publishNotReadyAddresses：流量会发往未就绪的 Pod"
    );
    let remedy = words!(
        "Keep it for headless Services whose members must find each other before they are ready.",
        "仅在成员需要在就绪前互相发现的 headless Service 上使用。"
    );
    sink.about("practice-not-ready-published", served.object, "spec.publishNotReadyAddresses", message, Some(remedy));
}

fn node_ports(served: &Served<'_>, spec: &ServiceSpec, sink: &mut Sink) {
    let fixed = |index: &usize| {
        spec.ports
            .as_ref()
            .and_then(|ports| ports.get(*index))
            .is_some_and(|port| port.node_port.is_some_and(|port| port > 0))
    };
    let Some(index) = (0..spec.ports.as_ref().map_or(0, Vec::len)).find(fixed) else { return };
    let message = words!(
        "a fixed nodePort: creation fails where the port is taken, and a program of the node on that port loses its traffic",
        "固定的 nodePort：端口被占用时创建会失败，节点上使用该端口的程序会收不到流量"
    );
    let remedy = words!(
        "Leave it out unless something outside depends on the number.",
        "除非外部依赖这个端口号，否则不要指定。"
    );
    let field = format!("spec.ports[{index}].nodePort");
    sink.about("practice-node-port-fixed", served.object, &field, message, Some(remedy));
}

fn balancer(served: &Served<'_>, spec: &ServiceSpec, sink: &mut Sink) {
    if !service::is_load_balancer(&served.service) {
        return;
    }
    let protocols: BTreeSet<&str> =
        spec.ports.iter().flatten().map(|port| port.protocol.as_deref().unwrap_or("TCP")).collect();
    if protocols.len() > 1 {
        let protocols = protocols.into_iter().collect::<Vec<_>>().join(", ");
        let message = words!(
            "one load balancer for {protocols}: not every provider can do that",
            "一个负载均衡器同时使用 {protocols}：并非所有云都支持"
        );
        let remedy = words!(
            "If the provider refuses it, use one Service for each protocol.",
            "如果云厂商不支持，请为每种协议各建一个 Service。"
        );
        sink.about("practice-mixed-protocols", served.object, "spec.ports", message, Some(remedy));
    }
}
