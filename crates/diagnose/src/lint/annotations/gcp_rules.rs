//! What Google's settings say together.

use portolan_objects::service;

use super::{
    Sink, View,
    gcp::{GLOBAL, OLD_SUBNET, OLD_TYPE, RBS, STRONG, SUBNET, TIER, TYPE, WEIGHTED},
    short,
};
use crate::words::words;

const INTERNAL: &str = "networking.gke.io/l4-regional-internal";
const EXTERNAL: &str = "networking.gke.io/l4-regional-external";

pub(super) fn check(view: &View<'_>, sink: &mut Sink) {
    let by_annotation = view.get(TYPE).or(view.get(OLD_TYPE)).is_some_and(|kind| kind.eq_ignore_ascii_case("internal"));
    let internal = match view.class() {
        Some(INTERNAL) => true,
        Some(_) => false,
        None => by_annotation,
    };
    class(view, sink);
    if let (Some(new), Some(old)) = (view.get(TYPE), view.get(OLD_TYPE))
        && !new.eq_ignore_ascii_case(old)
    {
        let message = words!(
            "networking.gke.io/load-balancer-type says {new} and wins",
            "networking.gke.io/load-balancer-type 为 {new}，以它为准"
        );
        view.contradiction(sink, OLD_TYPE, message);
    }
    if internal {
        for name in [TIER, RBS].into_iter().filter(|name| view.has(name)) {
            let short = short(name);
            let message = words!(
                "{short} is for external balancers, and this one is internal",
                "{short} 只用于外部负载均衡器，而此处是内部负载均衡器"
            );
            view.contradiction(sink, name, message);
        }
    } else {
        for name in [GLOBAL, OLD_SUBNET].into_iter().filter(|name| view.has(name)) {
            let short = short(name);
            let message = words!(
                "{short} is for internal balancers, and this one is external",
                "{short} 只用于内部负载均衡器，而此处是外部负载均衡器"
            );
            view.ignored(sink, name, message);
        }
    }
    if let (Some(new), Some(old)) = (view.get(SUBNET), view.get(OLD_SUBNET))
        && new != old
    {
        let message = words!(
            "networking.gke.io/load-balancer-subnet says {new} and wins",
            "networking.gke.io/load-balancer-subnet 为 {new}，以它为准"
        );
        view.contradiction(sink, OLD_SUBNET, message);
    }
    if view.has(WEIGHTED) && !view.local() {
        let message = words!(
            "weights by pods per node need externalTrafficPolicy: Local",
            "按节点上 Pod 数加权需要 externalTrafficPolicy: Local"
        );
        view.ignored(sink, WEIGHTED, message);
    }
    if view.has(STRONG) && service::client_ip_affinity(&view.served.service).is_none() {
        let message = words!(
            "strong session affinity without sessionAffinity: ClientIP",
            "强会话保持需要 sessionAffinity: ClientIP"
        );
        view.ignored(sink, STRONG, message);
    }
}

/// A class settles what kind of balancer it is; annotations about that are not looked at.
fn class(view: &View<'_>, sink: &mut Sink) {
    let Some(class) = view.class() else { return };
    let Some(name) = [TYPE, OLD_TYPE].into_iter().find(|name| view.has(name)) else { return };
    let agrees = class == INTERNAL;
    if agrees {
        return;
    }
    let message = if class == EXTERNAL {
        words!(
            "loadBalancerClass {class} makes an external balancer; the annotation is not looked at",
            "loadBalancerClass {class} 会创建外部负载均衡器；该注解不会被读取"
        )
    } else {
        words!(
            "loadBalancerClass {class} gives the Service to another controller; the annotation is not read",
            "loadBalancerClass {class} 把该 Service 交给了其他控制器；该注解不会被读取"
        )
    };
    view.contradiction(sink, name, message);
}
