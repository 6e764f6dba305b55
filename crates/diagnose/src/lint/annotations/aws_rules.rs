//! What Amazon's settings say together.

use portolan_objects::service;

use super::{Kind, Sink, View, aws, field, short};
use crate::words::words;
use aws::aws;

/// Classes that AWS Load Balancer Controller and EKS Auto Mode serve.
const CLASSES: [&str; 2] = ["service.k8s.aws/nlb", "eks.amazonaws.com/nlb"];

/// Who will make the balancer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Maker {
    /// AWS Load Balancer Controller.
    Controller,
    /// cloud-provider-aws, as an NLB.
    CloudNlb,
    /// Not settled by the manifest: cloud-provider-aws, unless the other's webhook takes every new Service.
    Either,
    /// The class is somebody else's.
    Other,
}

fn maker(view: &View<'_>) -> Maker {
    match (view.class(), view.get(aws!("type"))) {
        (Some(class), _) if CLASSES.contains(&class) => Maker::Controller,
        (Some(_), _) => Maker::Other,
        (None, Some("external" | "nlb-ip")) => Maker::Controller,
        (None, Some("nlb")) => Maker::CloudNlb,
        (None, _) => Maker::Either,
    }
}

/// AWS Load Balancer Controller makes internal balancers where nothing is said.
pub(super) fn internal_by_default(view: &View<'_>) -> bool {
    maker(view) == Maker::Controller && !view.has(aws!("scheme")) && !view.has(aws!("internal"))
}

pub(super) fn check(view: &View<'_>, sink: &mut Sink) {
    let maker = maker(view);
    readers(view, maker, sink);
    scheme(view, maker, sink);
    addresses(view, sink);
    listeners(view, sink);
    health(view, sink);
    targets(view, maker, sink);
    match maker {
        Maker::CloudNlb => cloud_nlb(view, sink),
        Maker::Controller => controller(view, sink),
        Maker::Either | Maker::Other => {}
    }
}

/// Settings that the maker does not read.
fn readers(view: &View<'_>, maker: Maker, sink: &mut Sink) {
    let names: Vec<&str> = view.annotations.keys().copied().filter(|name| (aws::TABLES.owns)(name)).collect();
    let reader = match maker {
        Maker::Controller => super::Reader::AwsController,
        Maker::CloudNlb => super::Reader::AwsCloudProvider,
        Maker::Either => return,
        Maker::Other => {
            let class = view.class().unwrap_or_default();
            let Some(first) = names.first() else { return };
            let message = words!(
                "loadBalancerClass {class} gives the Service to another controller; the AWS annotations are not read",
                "loadBalancerClass {class} 把该 Service 交给了其他控制器；AWS 注解不会被读取"
            );
            return view.contradiction(sink, first, message);
        }
    };
    if let (Maker::Controller, Some(class), Some("nlb")) = (maker, view.class(), view.get(aws!("type"))) {
        let message = words!(
            "type nlb asks cloud-provider-aws, and loadBalancerClass {class} gives the Service to AWS Load Balancer Controller; the class wins",
            "type nlb 指定 cloud-provider-aws，而 loadBalancerClass {class} 把 Service 交给 AWS Load Balancer Controller；以 class 为准"
        );
        view.contradiction(sink, aws!("type"), message);
    }
    for name in names {
        let known = aws::TABLES.known.iter().find(|annotation| super::fits(annotation.name, name));
        let Some(annotation) = known.filter(|annotation| !annotation.readers.contains(&reader)) else { continue };
        let other = annotation.readers.first().map(|reader| reader.as_str()).unwrap_or_default();
        let (reader, name_of) = (reader.as_str(), short(name));
        let message = words!(
            "this balancer is made by {reader}, which does not read {name_of} ({other} does)",
            "该负载均衡器由 {reader} 创建，它不读取 {name_of}（{other} 才读取）"
        );
        view.ignored(sink, name, message);
    }
}

fn scheme(view: &View<'_>, maker: Maker, sink: &mut Sink) {
    let internal = view.get(aws!("internal")).map(|value| value != "false");
    let scheme = view.get(aws!("scheme"));
    match (internal, scheme) {
        (Some(true), Some("internet-facing")) | (Some(false), Some("internal")) => view.contradiction(
            sink,
            aws!("internal"),
            words!(
                "aws-load-balancer-internal and aws-load-balancer-scheme say the opposite; AWS Load Balancer Controller follows scheme, cloud-provider-aws the other",
                "aws-load-balancer-internal 与 aws-load-balancer-scheme 相反；AWS Load Balancer Controller 以 scheme 为准，cloud-provider-aws 以前者为准"
            ),
        ),
        _ => {}
    }
    if maker == Maker::Controller {
        if let Some(why) = view.get(aws!("internal")).and_then(|value| Kind::GoBool.refuses(value)) {
            view.report(sink, "annotation-value", aws!("internal"), why, None);
        }
        if internal.is_some() && scheme.is_none() {
            let message = words!("aws-load-balancer-internal is deprecated", "aws-load-balancer-internal 已弃用");
            let remedy = words!(
                "Use aws-load-balancer-scheme: internal or internet-facing.",
                "改用 aws-load-balancer-scheme: internal 或 internet-facing。"
            );
            view.report(sink, "annotation-deprecated", aws!("internal"), message, Some(remedy));
        }
    }
    // The controller's default has been internal since 2.2.
    let by_default = maker == Maker::Controller && scheme.is_none() && internal.is_none();
    let is_internal = scheme == Some("internal") || (scheme.is_none() && internal == Some(true));
    if (is_internal || by_default) && view.has(aws!("eip-allocations")) {
        let message = if by_default {
            words!(
                "Elastic IPs need an internet-facing balancer, and without aws-load-balancer-scheme it becomes internal",
                "弹性 IP 需要面向公网的负载均衡器，而未设置 aws-load-balancer-scheme 时默认为 internal"
            )
        } else {
            words!("an internal balancer cannot have Elastic IPs", "内部负载均衡器不能使用弹性 IP")
        };
        view.contradiction(sink, aws!("eip-allocations"), message);
    }
    if scheme == Some("internet-facing") && view.has(aws!("private-ipv4-addresses")) {
        let message = words!(
            "private addresses can only be chosen for an internal balancer",
            "只有内部负载均衡器才能指定私有地址"
        );
        view.contradiction(sink, aws!("private-ipv4-addresses"), message);
    }
}

fn addresses(view: &View<'_>, sink: &mut Sink) {
    if view.has(aws!("ipv6-addresses")) && view.get(aws!("ip-address-type")) != Some("dualstack") {
        let message = words!(
            "IPv6 addresses need aws-load-balancer-ip-address-type: dualstack",
            "指定 IPv6 地址需要 aws-load-balancer-ip-address-type: dualstack"
        );
        view.contradiction(sink, aws!("ipv6-addresses"), message);
    }
    let Some(subnets) = view.list(aws!("subnets")).map(|list| list.len()) else { return };
    for name in [aws!("eip-allocations"), aws!("private-ipv4-addresses"), aws!("ipv6-addresses")] {
        let Some(count) = view.list(name).map(|list| list.len()).filter(|count| *count != subnets) else { continue };
        let short = short(name);
        let message = words!(
            "{short} names {count}, and there are {subnets} subnets: one for each is needed",
            "{short} 有 {count} 项，而子网有 {subnets} 个：必须一一对应"
        );
        view.contradiction(sink, name, message);
    }
}

fn listeners(view: &View<'_>, sink: &mut Sink) {
    if let Some(ports) = view.list(aws!("ssl-ports")) {
        if !view.has(aws!("ssl-cert")) {
            let message = words!(
                "ssl-ports without ssl-cert: no listener speaks TLS",
                "设置了 ssl-ports 却没有 ssl-cert：没有监听器使用 TLS"
            );
            view.ignored(sink, aws!("ssl-ports"), message);
        }
        let own = service::ports(&view.served.service);
        for asked in ports.into_iter().filter(|asked| *asked != "*") {
            let known = |port: &k8s_openapi::api::core::v1::ServicePort| {
                port.port.to_string() == asked || port.name.as_deref() == Some(asked)
            };
            if !own.iter().any(known) {
                let message = words!(
                    "ssl-ports names {asked}, which is no port of the Service",
                    "ssl-ports 中的 {asked} 不是该 Service 的端口"
                );
                view.contradiction(sink, aws!("ssl-ports"), message);
            }
        }
    }
    for name in [aws!("ssl-negotiation-policy"), aws!("alpn-policy")] {
        if view.has(name) && !view.has(aws!("ssl-cert")) {
            let short = short(name);
            let message = words!("{short} without ssl-cert has no effect", "没有 ssl-cert 时 {short} 不起作用");
            view.ignored(sink, name, message);
        }
    }
}

fn health(view: &View<'_>, sink: &mut Sink) {
    let protocol = view.get(aws!("healthcheck-protocol")).map(str::to_ascii_lowercase);
    if view.local() && protocol.as_deref() == Some("tcp") {
        let message = words!(
            "externalTrafficPolicy Local with a TCP health check: nodes without a pod answer the check too, and lose their traffic",
            "externalTrafficPolicy 为 Local 时使用 TCP 健康检查：没有 Pod 的节点也会通过检查，其流量会丢失"
        );
        view.contradiction(sink, aws!("healthcheck-protocol"), message);
    }
    if matches!(protocol.as_deref(), Some("tcp" | "ssl")) && view.has(aws!("healthcheck-path")) {
        let message = words!("a TCP health check has no path", "TCP 健康检查没有路径");
        view.ignored(sink, aws!("healthcheck-path"), message);
    }
    let number = |name: &str| view.get(name).and_then(|value| value.parse::<u32>().ok());
    if let (Some(interval), Some(timeout)) = (number(aws!("healthcheck-interval")), number(aws!("healthcheck-timeout")))
        && timeout > interval
    {
        let message = words!(
            "the health check's timeout of {timeout} s is longer than its interval of {interval} s",
            "健康检查的超时 {timeout} 秒长于间隔 {interval} 秒"
        );
        view.contradiction(sink, aws!("healthcheck-timeout"), message);
    }
}

fn targets(view: &View<'_>, maker: Maker, sink: &mut Sink) {
    let attributes = view.list(aws!("target-group-attributes")).unwrap_or_default();
    if view.has(aws!("proxy-protocol")) && attributes.contains(&"proxy_protocol_v2.enabled=false") {
        let message = words!(
            "proxy-protocol switches on what target-group-attributes switches off",
            "proxy-protocol 开启了 target-group-attributes 所关闭的功能"
        );
        view.contradiction(sink, aws!("proxy-protocol"), message);
    }
    if maker == Maker::Controller && view.has(aws!("security-groups")) && view.source_ranges() {
        let message = words!(
            "with security groups of your own, spec.loadBalancerSourceRanges is not applied",
            "指定了自己的安全组后，spec.loadBalancerSourceRanges 不会生效"
        );
        view.contradiction(sink, aws!("security-groups"), message);
    }
    if let Some(ip) = view.load_balancer_ip().filter(|_| maker != Maker::Other) {
        let name = view.annotations.keys().copied().find(|name| (aws::TABLES.owns)(name)).unwrap_or_default();
        let message = words!(
            "spec.loadBalancerIP {ip} is set: cloud-provider-aws refuses such a Service, and AWS Load Balancer Controller ignores the field",
            "设置了 spec.loadBalancerIP {ip}：cloud-provider-aws 会拒绝该 Service，AWS Load Balancer Controller 会忽略该字段"
        );
        view.contradiction(sink, name, message);
    }
}

/// cloud-provider-aws with type `nlb`.
fn cloud_nlb(view: &View<'_>, sink: &mut Sink) {
    if view.has(aws!("proxy-protocol")) {
        let message = words!(
            "cloud-provider-aws reads proxy-protocol for Classic ELBs only, not for type nlb",
            "cloud-provider-aws 只在 Classic ELB 上读取 proxy-protocol，type nlb 不读取"
        );
        view.ignored(sink, aws!("proxy-protocol"), message);
    }
    if view.has(aws!("extra-security-groups")) {
        let message = words!(
            "cloud-provider-aws refuses extra-security-groups for type nlb",
            "type nlb 时 cloud-provider-aws 会拒绝 extra-security-groups"
        );
        view.contradiction(sink, aws!("extra-security-groups"), message);
    }
    for name in [
        aws!("connection-draining-enabled"),
        aws!("connection-draining-timeout"),
        aws!("connection-idle-timeout"),
        aws!("access-log-emit-interval"),
    ] {
        if view.has(name) {
            let short = short(name);
            let message = words!(
                "{short} is for Classic ELBs, not for type nlb",
                "{short} 只用于 Classic ELB，不适用于 type nlb"
            );
            view.ignored(sink, name, message);
        }
    }
    if service::client_ip_affinity(&view.served.service).is_some() {
        let message = words!(
            "cloud-provider-aws refuses a Service with sessionAffinity: ClientIP",
            "cloud-provider-aws 会拒绝 sessionAffinity: ClientIP 的 Service"
        );
        view.contradiction(sink, aws!("type"), message);
    }
    if view.protocols().len() > 1 {
        let message = words!(
            "cloud-provider-aws refuses TCP and UDP ports in one balancer",
            "cloud-provider-aws 不允许在一个负载均衡器中混用 TCP 和 UDP 端口"
        );
        view.contradiction(sink, aws!("type"), message);
    }
}

/// AWS Load Balancer Controller.
fn controller(view: &View<'_>, sink: &mut Sink) {
    let targets = view.get(aws!("nlb-target-type"));
    let by_address = targets == Some("ip") || view.get(aws!("type")) == Some("nlb-ip");
    if view.get(aws!("type")) == Some("nlb-ip") {
        let message = words!("type nlb-ip is deprecated", "type nlb-ip 已弃用");
        let remedy = words!(
            "Use type: external with aws-load-balancer-nlb-target-type: ip.",
            "改用 type: external 和 aws-load-balancer-nlb-target-type: ip。"
        );
        view.report(sink, "annotation-deprecated", aws!("type"), message, Some(remedy));
    }
    if !by_address && view.without_node_ports() {
        let message = words!(
            "targets are instances, which are reached by node ports, and allocateLoadBalancerNodePorts is false",
            "目标是实例，需要通过 NodePort 访问，但 allocateLoadBalancerNodePorts 为 false"
        );
        let name = if targets.is_some() { aws!("nlb-target-type") } else { aws!("type") };
        let name = if view.has(name) {
            name
        } else {
            return sink.about(
                "annotation-contradiction",
                view.served.object,
                "spec.allocateLoadBalancerNodePorts",
                message,
                None,
            );
        };
        view.contradiction(sink, name, message);
    }
    if by_address && view.has(aws!("target-node-labels")) {
        let message = words!(
            "targets are pods: target-node-labels chooses among instances only",
            "目标是 Pod：target-node-labels 只用于选择实例"
        );
        view.ignored(sink, aws!("target-node-labels"), message);
    }
    if matches!(view.get(aws!("backend-protocol")), Some("http" | "https")) {
        let message =
            words!("an NLB speaks ssl or tcp to its targets, not HTTP", "NLB 与目标之间使用 ssl 或 tcp，不使用 HTTP");
        view.contradiction(sink, aws!("backend-protocol"), message);
    }
    let became = [
        ("access-log-enabled", aws!("access-log-enabled"), "access_logs.s3.enabled"),
        ("access-log-s3-bucket-name", aws!("access-log-s3-bucket-name"), "access_logs.s3.bucket"),
        ("access-log-s3-bucket-prefix", aws!("access-log-s3-bucket-prefix"), "access_logs.s3.prefix"),
        (
            "cross-zone-load-balancing-enabled",
            aws!("cross-zone-load-balancing-enabled"),
            "load_balancing.cross_zone.enabled",
        ),
    ];
    for (short, name, attribute) in became.into_iter().filter(|(_, name, _)| view.has(name)) {
        let message = words!("{short} is deprecated", "{short} 已弃用");
        let remedy = words!(
            "Set {attribute} in aws-load-balancer-attributes.",
            "在 aws-load-balancer-attributes 中设置 {attribute}。"
        );
        sink.about("annotation-deprecated", view.served.object, &field(name), message, Some(remedy));
    }
}
