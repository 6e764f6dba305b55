//! Fields, annotations and kinds that have a successor.

use portolan_objects::service;

use crate::{
    lint::{
        Sink,
        annotations::Kind,
        world::{Served, World},
    },
    words::words,
};

const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const MODE: &str = "service.kubernetes.io/topology-mode";
const RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

pub(super) fn check(served: &Served<'_>, sink: &mut Sink) {
    topology(served, sink);
    ranges(served, sink);
    let Some(spec) = &served.service.spec else { return };
    if spec.load_balancer_ip.as_deref().is_some_and(|ip| !ip.is_empty()) {
        let message = words!(
            "spec.loadBalancerIP is deprecated since 1.24, and what it does differs from provider to provider",
            "spec.loadBalancerIP 自 1.24 起弃用，且各云厂商的行为不一致"
        );
        let remedy = words!("Use the provider's annotation for a fixed address.", "使用云厂商的固定地址注解。");
        sink.about("practice-load-balancer-ip", served.object, "spec.loadBalancerIP", message, Some(remedy));
    }
    if spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty()) {
        let message = words!(
            "spec.externalIPs is deprecated: whoever may create Services can take over traffic to any address (CVE-2020-8554)",
            "spec.externalIPs 已弃用：能创建 Service 的人可以劫持发往任意地址的流量（CVE-2020-8554）"
        );
        let remedy = words!(
            "Use a load balancer, a node port, or an implementation such as MetalLB.",
            "改用负载均衡器、NodePort，或 MetalLB 之类的实现。"
        );
        sink.about("practice-external-ips", served.object, "spec.externalIPs", message, Some(remedy));
    }
    if spec.traffic_distribution.as_deref() == Some("PreferClose") {
        let message = words!("PreferClose has a clearer name now", "PreferClose 已有更明确的名称");
        let remedy = words!(
            "Write PreferSameZone: it means the same (1.34 and later).",
            "改写为 PreferSameZone，含义相同（1.34 及以上）。"
        );
        sink.about("practice-prefer-close", served.object, "spec.trafficDistribution", message, Some(remedy));
    }
    let alias = service::is_external_name(&served.service);
    if !alias && spec.external_name.as_deref().is_some_and(|name| !name.is_empty()) {
        let message = words!(
            "externalName is read for type ExternalName only",
            "只有类型为 ExternalName 时才会读取 externalName"
        );
        sink.about("practice-field-ignored", served.object, "spec.externalName", message, None);
    }
    if spec.cluster_ip.as_deref() == Some("None") && spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty()) {
        let message = words!("a headless Service ignores externalIPs", "headless Service 会忽略 externalIPs");
        sink.about("practice-field-ignored", served.object, "spec.externalIPs", message, None);
    }
}

/// Zones: one annotation replaced another, and a field both.
fn topology(served: &Served<'_>, sink: &mut Sink) {
    let annotations = served.object.annotations();
    let distribution = served.service.spec.as_ref().and_then(|spec| spec.traffic_distribution.as_deref());
    for name in [HINTS, MODE] {
        let Some(value) = annotations.get(name) else { continue };
        let field = format!("metadata.annotations[{name}]");
        if let Some(distribution) = distribution.filter(|_| matches!(*value, "Auto" | "auto")) {
            let message = words!(
                "{name} is set and wins over trafficDistribution: {distribution}",
                "已设置 {name}，它优先于 trafficDistribution: {distribution}"
            );
            let remedy = words!("Keep the field, remove the annotation.", "保留字段，删除注解。");
            sink.about("practice-topology-annotation", served.object, &field, message, Some(remedy));
            continue;
        }
        let message = words!(
            "{name} gives no hints at all where endpoints are unevenly spread, and trafficDistribution has replaced it",
            "端点分布不均时 {name} 完全不给出提示，它已被 trafficDistribution 取代"
        );
        let remedy = words!(
            "Set spec.trafficDistribution: PreferSameZone (PreferClose before 1.34) and remove the annotation.",
            "设置 spec.trafficDistribution: PreferSameZone（1.34 之前为 PreferClose），并删除注解。"
        );
        sink.about("practice-topology-annotation", served.object, &field, message, Some(remedy));
    }
}

/// Source ranges by annotation: the field has been there since 1.4 and wins.
fn ranges(served: &Served<'_>, sink: &mut Sink) {
    let annotations = served.object.annotations();
    let Some(value) = annotations.get(RANGES) else { return };
    let field = format!("metadata.annotations[{RANGES}]");
    if let Some(why) = Kind::Ranges.refuses(value).filter(|_| !value.trim().is_empty()) {
        sink.about("annotation-value", served.object, &field, why, None);
    }
    let spec = served.service.spec.as_ref();
    if spec.and_then(|spec| spec.load_balancer_source_ranges.as_ref()).is_some_and(|ranges| !ranges.is_empty()) {
        let message = words!(
            "spec.loadBalancerSourceRanges is set and wins over the annotation",
            "已设置 spec.loadBalancerSourceRanges，它优先于此注解"
        );
        return sink.about("annotation-ignored", served.object, &field, message, None);
    }
    let message = words!("load-balancer-source-ranges is deprecated", "load-balancer-source-ranges 已弃用");
    let remedy = words!("Use spec.loadBalancerSourceRanges.", "改用 spec.loadBalancerSourceRanges。");
    sink.about("annotation-deprecated", served.object, &field, message, Some(remedy));
}

/// Endpoints written by hand.
pub(super) fn objects(world: &World<'_>, sink: &mut Sink) {
    for object in world.objects.iter().filter(|object| object.kind == "Endpoints" && object.api_version == "v1") {
        let selected =
            world.service(&object.key, object).is_some_and(|served| service::selector(&served.service).is_some());
        let message = if selected {
            words!(
                "the Service has a selector, so a controller overwrites this object at once",
                "该 Service 有 selector，控制器会立即覆盖此对象"
            )
        } else {
            words!(
                "Endpoints is deprecated since 1.33; proxies read EndpointSlices, into which it is only copied",
                "Endpoints 自 1.33 起弃用；代理读取的是 EndpointSlice，它只是被复制过去"
            )
        };
        let remedy = words!(
            "Write an EndpointSlice with the label kubernetes.io/service-name.",
            "改写带有标签 kubernetes.io/service-name 的 EndpointSlice。"
        );
        sink.about("practice-endpoints-by-hand", object, "kind", message, Some(remedy));
    }
}
