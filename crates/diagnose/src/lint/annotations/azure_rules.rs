//! What Microsoft's settings say together.

use portolan_objects::service;

use super::{Sink, View, azure, short};
use crate::words::words;
use azure::azure;

/// The longest time that a health probe may take to give a node up, in seconds.
const PROBE_TOTAL: u64 = 120;

pub(super) fn check(view: &View<'_>, sink: &mut Sink) {
    public_or_internal(view, sink);
    sources(view, sink);
    addresses(view, sink);
    probes(view, sink);
    ports(view, sink);
    private_link(view, sink);
}

fn public_or_internal(view: &View<'_>, sink: &mut Sink) {
    let internal = view.is_true(azure!("load-balancer-internal"));
    let public = [
        azure!("pip-name"),
        azure!("pip-name-ipv6"),
        azure!("pip-prefix-id"),
        azure!("pip-prefix-id-ipv6"),
        azure!("pip-tags"),
        azure!("pip-ip-tags"),
        azure!("dns-label-name"),
    ];
    for name in public.into_iter().filter(|name| internal && view.has(name)) {
        let short = short(name);
        let message = words!(
            "an internal balancer has no public address, and {short} is about one",
            "内部负载均衡器没有公网地址，而 {short} 针对公网地址"
        );
        view.contradiction(sink, name, message);
    }
    for name in [azure!("load-balancer-internal-subnet"), azure!("load-balancer-enable-high-availability-ports")] {
        if view.has(name) && !internal {
            let short = short(name);
            let message = words!(
                "{short} is for internal balancers; azure-load-balancer-internal is not true",
                "{short} 只用于内部负载均衡器，而 azure-load-balancer-internal 不是 true"
            );
            view.ignored(sink, name, message);
        }
    }
    if !internal && view.protocols().contains("SCTP") {
        let message = words!(
            "SCTP works on internal balancers only; azure-load-balancer-internal is not true",
            "SCTP 只能用于内部负载均衡器，而 azure-load-balancer-internal 不是 true"
        );
        let name = view.annotations.keys().copied().find(|name| (azure::TABLES.owns)(name)).unwrap_or_default();
        view.contradiction(sink, name, message);
    }
}

fn sources(view: &View<'_>, sink: &mut Sink) {
    if view.has(azure!("allowed-service-tags")) && view.source_ranges() {
        let message = words!(
            "with spec.loadBalancerSourceRanges set, the nodes drop what azure-allowed-service-tags lets in",
            "设置了 spec.loadBalancerSourceRanges 后，节点会丢弃 azure-allowed-service-tags 放行的流量"
        );
        view.contradiction(sink, azure!("allowed-service-tags"), message);
    }
    let deny = azure!("deny-all-except-load-balancer-source-ranges");
    if view.is_true(deny) && !view.source_ranges() && !view.has(azure!("allowed-ip-ranges")) {
        let message = words!(
            "everything is denied except the source ranges, and there are none",
            "除源地址范围外全部拒绝，但没有设置任何范围"
        );
        view.contradiction(sink, deny, message);
    }
}

fn addresses(view: &View<'_>, sink: &mut Sink) {
    if view.has(azure!("pip-name")) && view.has(azure!("pip-prefix-id")) {
        let message = words!(
            "pip-name chooses an address that exists; pip-prefix-id, for a new one, is then not used",
            "pip-name 选择已有地址；用于新建地址的 pip-prefix-id 不会被使用"
        );
        view.ignored(sink, azure!("pip-prefix-id"), message);
    }
    let chosen = [azure!("load-balancer-ipv4"), azure!("load-balancer-ipv6")];
    if let (Some(ip), Some(name)) = (view.load_balancer_ip(), chosen.into_iter().find(|name| view.has(name)))
        && chosen.iter().all(|name| view.get(name) != Some(ip))
    {
        let message = words!(
            "spec.loadBalancerIP {ip} is another address; the annotation wins",
            "spec.loadBalancerIP {ip} 是另一个地址；以注解为准"
        );
        view.contradiction(sink, name, message);
    }
    let floating = view.is_true(azure!("disable-load-balancer-floating-ip"));
    if view.without_node_ports() && floating {
        let message = words!(
            "without node ports the balancer needs floating IP, which is switched off",
            "没有 NodePort 时负载均衡器需要浮动 IP，而它已被关闭"
        );
        view.contradiction(sink, azure!("disable-load-balancer-floating-ip"), message);
    }
}

fn probes(view: &View<'_>, sink: &mut Sink) {
    let number = |name: &str| view.get(name).and_then(|value| value.trim().parse::<u64>().ok());
    let (interval, count) =
        (azure!("load-balancer-health-probe-interval"), azure!("load-balancer-health-probe-num-of-probe"));
    // The provider's defaults stand in for what is not said.
    let (seconds, times) = (number(interval).unwrap_or(5), number(count).unwrap_or(2));
    if (view.has(interval) || view.has(count)) && seconds.saturating_mul(times) > PROBE_TOTAL {
        let name = if view.has(interval) { interval } else { count };
        let message = words!(
            "{times} probes every {seconds} s take longer than {PROBE_TOTAL} s, which is refused",
            "每 {seconds} 秒探测、共 {times} 次，超过 {PROBE_TOTAL} 秒，会被拒绝"
        );
        view.contradiction(sink, name, message);
    }
    let path = azure!("load-balancer-health-probe-request-path");
    let protocol = view.get(azure!("load-balancer-health-probe-protocol"));
    if view.has(path) && protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case("tcp")) {
        view.ignored(sink, path, words!("a TCP probe has no path", "TCP 探测没有路径"));
    }
}

/// `port_PORT_...` of ports that the Service does not have.
fn ports(view: &View<'_>, sink: &mut Sink) {
    let own: Vec<String> = service::ports(&view.served.service).iter().map(|port| port.port.to_string()).collect();
    for name in view.annotations.keys() {
        let port = name.strip_prefix("service.beta.kubernetes.io/port_").and_then(|rest| rest.split('_').next());
        let Some(port) = port.filter(|port| port.parse::<u16>().is_ok()) else { continue };
        if !own.iter().any(|own| own == port) {
            let message = words!("the Service has no port {port}", "该 Service 没有端口 {port}");
            view.ignored(sink, name, message);
        }
    }
}

fn private_link(view: &View<'_>, sink: &mut Sink) {
    let names: Vec<&str> = view.annotations.keys().copied().filter(|name| name.contains("/azure-pls-")).collect();
    if let Some(first) = names.first().filter(|_| !view.is_true(azure!("pls-create"))) {
        let message = words!(
            "without azure-pls-create: \"true\" there is no private link to configure",
            "未设置 azure-pls-create: \"true\"，没有可配置的私有链接"
        );
        return view.ignored(sink, first, message);
    }
    let (approval, visibility) = (azure!("pls-auto-approval"), azure!("pls-visibility"));
    if view.has(approval) && view.get(visibility).is_none() {
        let message = words!(
            "auto-approval without azure-pls-visibility: nobody sees the private link to be approved",
            "设置了自动批准却没有 azure-pls-visibility：没有人能看到该私有链接"
        );
        view.contradiction(sink, approval, message);
    }
}
