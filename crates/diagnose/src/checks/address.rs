//! The Service has the addresses that its type promises.
//! Upstream: cloud-provider `controllers/service` for what a pending balancer says in events.

use k8s_openapi::api::core::v1::Event;
use portolan_objects::service;

use super::{Outcome, existence::forgotten};
use crate::{
    Finding, LinkId, Words,
    history::{evidence, message},
    view::View,
    words::words,
};

/// A balancer that has been asked for less than this many seconds ago is on its way, not missing.
const PATIENCE: i64 = 30;
/// Everything a balancer controller says about getting an address.
const REASONS: [&str; 8] = [
    "EnsuringLoadBalancer",
    "CreatingLoadBalancer",
    "CreatedLoadBalancer",
    "EnsuredLoadBalancer",
    "SyncLoadBalancerFailed",
    "IPNotAllocated",
    "AllocationFailed",
    "UnAvailableLoadBalancer",
];

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if service::is_external_name(view.service) {
        return Outcome::Skipped(words!("an alias has no address of its own", "别名没有自己的地址"));
    }
    let inside = service::cluster_ips(view.service);
    if view.service.spec.as_ref().is_none_or(|spec| spec.cluster_ip.as_deref().unwrap_or_default().is_empty()) {
        return Outcome::broken(no_cluster_ip(view));
    }
    let inside: Vec<String> = inside.iter().map(ToString::to_string).collect();
    let inside = inside.join(", ");
    let mut proof = vec![view.field("spec.clusterIP", if inside.is_empty() { "None" } else { &inside })];
    if !service::is_load_balancer(view.service) {
        let summary = match inside.is_empty() {
            true => words!("headless: DNS answers with the pods' addresses", "headless：DNS 直接返回 Pod 地址"),
            false => words!("cluster IP {inside}", "集群 IP {inside}"),
        };
        return Outcome::Ok(summary, proof);
    }
    let outside = external_addresses(view);
    if outside.is_empty() {
        return pending(view, hints);
    }
    let outside = outside.join(", ");
    proof.push(view.field("status.loadBalancer.ingress", outside.clone()));
    Outcome::Ok(words!("cluster IP {inside}, external {outside}", "集群 IP {inside}，外部地址 {outside}"), proof)
}

/// Addresses and host names of the balancer, as kubectl shows them under EXTERNAL-IP.
pub(super) fn external_addresses(view: &View<'_>) -> Vec<String> {
    let status = view.service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|status| status.ingress.as_ref()).into_iter().flatten();
    ingress.filter_map(|entry| entry.ip.clone().or_else(|| entry.hostname.clone())).collect()
}

fn no_cluster_ip(view: &View<'_>) -> Finding {
    let name = view.name();
    let title = words!("the Service has no cluster IP", "Service 没有集群 IP");
    Finding::new("cluster-ip-missing", LinkId::Address, title)
        .proven_by([view.field("spec.clusterIP", "")])
        .leads_to(words!("no proxy can send traffic to it", "代理无法为它转发流量"))
        .remedy(
            words!(
                "The API server allocates it at creation: create the Service again.",
                "集群 IP 在创建时由 API server 分配：请重新创建该 Service。"
            ),
            [view.kubectl(&format!("get service {name} -o yaml"))],
        )
}

/// Type LoadBalancer without an external address: who should give it one, and what did they say last?
fn pending(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    let class = view.service.spec.as_ref().and_then(|spec| spec.load_balancer_class.clone());
    let newest = view.history.newest(&REASONS);
    let outcome = match newest.and_then(|event| Some((event, event.reason.as_deref()?))) {
        Some((event, "SyncLoadBalancerFailed")) => Outcome::broken(sync_failed(view, event)),
        Some((event, "IPNotAllocated" | "AllocationFailed")) => Outcome::broken(pool(view, event)),
        _ if view.age() < PATIENCE => {
            let age = view.age();
            Outcome::Skipped(words!(
                "the external address was asked for {age} s ago; give it a moment",
                "外部地址在 {age} 秒前才请求，请稍候"
            ))
        }
        Some((event, _)) => Outcome::broken(in_progress(view, event)),
        None => Outcome::broken(silent(view, class.as_deref())),
    };
    if newest.is_none() || view.history.suppressed() {
        hints.extend(forgotten(view));
    }
    outcome
}

fn base(code: &'static str, view: &View<'_>, title: Words) -> Finding {
    Finding::new(code, LinkId::Address, title)
        .proven_by([view.field("status.loadBalancer.ingress", "(empty)")])
        .leads_to(words!(
            "EXTERNAL-IP stays <pending>; clients outside have no address to call",
            "EXTERNAL-IP 一直是 <pending>；外部客户端没有可访问的地址"
        ))
}

fn sync_failed(view: &View<'_>, event: &Event) -> Finding {
    let text = message(event);
    // `Error syncing load balancer: failed to ensure load balancer: ` is the controller, the rest the provider.
    let inner = text.splitn(3, ": ").last().unwrap_or(text).to_owned();
    let class = Class::of(text);
    let (en, zh) = class.meaning();
    let title = words!("the load balancer could not be made: {en} ({inner})", "负载均衡器创建失败：{zh}（{inner}）");
    let (what, commands) = class.remedy(view);
    base(class.code(), view, title)
        .proven_by([evidence(event, view.now)])
        .leads_to(words!(
            "the controller tries again after 5, 10, 20 ... 300 s",
            "控制器会在 5、10、20 …… 300 秒后重试"
        ))
        .remedy(what, commands)
        .explained_by("SyncLoadBalancerFailed")
}

fn pool(view: &View<'_>, event: &Event) -> Finding {
    let (what, commands) = Class::Pool.remedy(view);
    let text = message(event).to_owned();
    base(
        "load-balancer-pool-exhausted",
        view,
        words!("no external address is free: {text}", "没有空闲的外部地址：{text}"),
    )
    .proven_by([evidence(event, view.now)])
    .remedy(what, commands)
    .explained_by(event.reason.clone().unwrap_or_default())
}

fn in_progress(view: &View<'_>, event: &Event) -> Finding {
    let reason = event.reason.clone().unwrap_or_default();
    let title = words!(
        "the balancer controller said {reason} and nothing since",
        "负载均衡控制器最后的事件是 {reason}，此后再无消息"
    );
    base("load-balancer-stuck", view, title)
        .proven_by([evidence(event, view.now)])
        .remedy(
            words!(
                "A long provider call, a provider that leaves it to someone else, or failures that the event limits hide: read the controller's log.",
                "可能是云接口调用耗时过长、云厂商交由其他组件实现，或失败事件被限流：请查看控制器日志。"
            ),
            [view.kubectl(&format!("describe service {}", view.name()))],
        )
        .explained_by(reason)
}

fn silent(view: &View<'_>, class: Option<&str>) -> Finding {
    let name = view.name();
    if let Some(class) = class {
        let title = words!(
            "loadBalancerClass {class} is set, and no controller for it has answered",
            "设置了 loadBalancerClass {class}，但没有对应的控制器响应"
        );
        return base("load-balancer-class-unserved", view, title)
            .proven_by([view.field("spec.loadBalancerClass", class)])
            .remedy(
                words!(
                    "Install the controller of this class, or create the Service again without a class (the field cannot be changed).",
                    "安装该 class 的控制器，或去掉该字段后重新创建 Service（该字段不可修改）。"
                ),
                [view.kubectl(&format!("get service {name} -o yaml"))],
            );
    }
    let finalizers = view.service.metadata.finalizers.clone().unwrap_or_default();
    let title =
        words!("no controller has taken up this load balancer Service", "没有任何控制器处理这个 LoadBalancer Service");
    base("load-balancer-no-controller", view, title)
        .proven_by([
            view.field("metadata.finalizers", finalizers.join(", ")),
            view.field("events", "none about a load balancer"),
        ])
        .remedy(
            words!(
                "Run a balancer controller: the cloud's controller manager, MetalLB, or `portolan controllers`. Until then a node port works.",
                "请运行负载均衡控制器：云厂商的 controller manager、MetalLB 或 `portolan controllers`。在此之前可用 NodePort 访问。"
            ),
            [view.kubectl(&format!("get service {name} -o jsonpath='{{.spec.ports[*].nodePort}}'"))],
        )
}

/// What a provider's error is about. The words are the vendors' own; the list is open.
#[derive(Clone, Copy)]
enum Class {
    Throttled,
    Refused,
    Quota,
    Pool,
    TimedOut,
    NoHost,
    Parameter,
    Other,
}

/// (part of the error in lower case, class), the first that fits.
const MARKS: [(&str, Class); 23] = [
    ("requestlimitexceeded", Class::Throttled),
    ("throttl", Class::Throttled),
    ("too many requests", Class::Throttled),
    ("unauthorizedoperation", Class::Refused),
    ("authfailure", Class::Refused),
    ("authorizationfailed", Class::Refused),
    ("accessdenied", Class::Refused),
    ("forbidden", Class::Refused),
    ("poolexhausted", Class::Pool),
    ("no free address", Class::Pool),
    ("quotaexceeded", Class::Quota),
    ("toomanyloadbalancers", Class::Quota),
    ("limitexceeded", Class::Quota),
    ("resourceexhausted", Class::Quota),
    ("quota", Class::Quota),
    ("deadline exceeded", Class::TimedOut),
    ("timed out", Class::TimedOut),
    ("timeout", Class::TimedOut),
    ("no such host", Class::NoHost),
    ("invalidparameter", Class::Parameter),
    ("invalid parameter", Class::Parameter),
    ("addressnotinpool", Class::Parameter),
    ("addressinuse", Class::Parameter),
];

impl Class {
    fn of(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        MARKS.iter().find(|(mark, _)| text.contains(mark)).map_or(Self::Other, |(_, class)| *class)
    }

    fn code(self) -> &'static str {
        match self {
            Self::Throttled => "load-balancer-throttled",
            Self::Refused => "load-balancer-forbidden",
            Self::Quota => "load-balancer-quota",
            Self::Pool => "load-balancer-pool-exhausted",
            Self::TimedOut => "load-balancer-timeout",
            Self::NoHost => "load-balancer-provider-unreachable",
            Self::Parameter => "load-balancer-invalid-parameter",
            Self::Other => "load-balancer-sync-failed",
        }
    }

    /// English, Chinese.
    fn meaning(self) -> (&'static str, &'static str) {
        match self {
            Self::Throttled => ("the provider throttles", "云接口限流"),
            Self::Refused => ("the provider refuses the credentials", "云接口拒绝了凭证"),
            Self::Quota => ("a quota is used up", "配额已用尽"),
            Self::Pool => ("the address pool is used up", "地址池已用尽"),
            Self::TimedOut => ("the provider did not answer in time", "云接口超时"),
            Self::NoHost => ("the provider's host name does not resolve", "云接口域名无法解析"),
            Self::Parameter => ("the provider refuses a parameter", "云接口拒绝了某个参数"),
            Self::Other => ("the provider says", "云接口返回"),
        }
    }

    fn remedy(self, view: &View<'_>) -> (Words, Vec<String>) {
        let name = view.name();
        let describe = vec![view.kubectl(&format!("describe service {name}"))];
        match self {
            Self::Throttled => (
                words!(
                    "It heals by itself once the call rate falls; fewer changes at a time help.",
                    "调用频率下降后会自动恢复；减少同时变更的 Service 数量。"
                ),
                describe,
            ),
            Self::Refused => (
                words!(
                    "Give the balancer controller's account the rights that the message names.",
                    "为负载均衡控制器的账号授予消息中指出的权限。"
                ),
                describe,
            ),
            Self::Quota => (
                words!(
                    "Raise the quota at the provider, or delete balancers that nobody uses.",
                    "向云厂商提升配额，或删除不再使用的负载均衡器。"
                ),
                vec!["kubectl get services -A --field-selector spec.type=LoadBalancer".to_owned()],
            ),
            Self::Pool => (
                words!(
                    "Delete a load balancer Service that nobody uses, or give the pool more addresses (`--lb-pool`).",
                    "删除不再使用的 LoadBalancer Service，或扩大地址池（`--lb-pool`）。"
                ),
                vec!["kubectl get services -A".to_owned()],
            ),
            Self::TimedOut | Self::NoHost => (
                words!(
                    "Check the controller's way to the provider: DNS, proxy, firewall.",
                    "检查控制器到云接口的网络：DNS、代理、防火墙。"
                ),
                describe,
            ),
            Self::Parameter => (
                words!("Correct the annotation or field that the message names.", "修正消息中指出的注解或字段。"),
                vec![view.kubectl(&format!("get service {name} -o yaml"))],
            ),
            Self::Other => (
                words!(
                    "Clear what the message names; the controller then succeeds by itself.",
                    "解决消息中指出的问题，控制器随后会自动成功。"
                ),
                describe,
            ),
        }
    }
}
