//! The Service exists, and is not on its way out.

use portolan_objects::{ObjectKey, service};

use super::Outcome;
use crate::{
    Evidence, Finding, Index, LinkId, Words,
    history::{self, age, evidence, message},
    nearest::nearest_word,
    view::View,
    words::words,
};

/// Keeps a Service until its balancer is gone (cloud-provider, `controllers/service`).
const BALANCER_FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

pub(super) fn check(view: &View<'_>, _hints: &mut Vec<Words>) -> Outcome {
    let kind = view.service.spec.as_ref().and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP");
    if let Some(deleted) = &view.service.metadata.deletion_timestamp {
        let since = age(view.now, deleted.0);
        return Outcome::broken(terminating(view, &since));
    }
    if service::is_external_name(view.service) {
        return external_name(view);
    }
    let headless = if service::is_headless(view.service) { ", headless" } else { "" };
    let created = view.service.metadata.creation_timestamp.as_ref();
    let summary = match created.map(|time| age(view.now, time.0)) {
        Some(age) => words!("type {kind}{headless}, {age} old", "类型 {kind}{headless}，创建于 {age} 前"),
        None => words!("type {kind}{headless}", "类型 {kind}{headless}"),
    };
    Outcome::Ok(summary, vec![view.field("spec.type", kind)])
}

fn external_name(view: &View<'_>) -> Outcome {
    let target = view.service.spec.as_ref().and_then(|spec| spec.external_name.clone()).unwrap_or_default();
    if target.parse::<std::net::IpAddr>().is_err() {
        let summary = words!("alias for {target} (ExternalName)", "{target} 的别名（ExternalName）");
        return Outcome::Ok(summary, vec![view.field("spec.externalName", target)]);
    }
    let title = words!(
        "externalName {target} is an address, and DNS cannot alias a name to an address",
        "externalName {target} 是 IP 地址，DNS 无法把名字别名到地址"
    );
    let finding = Finding::new("external-name-is-address", LinkId::Service, title)
        .proven_by([view.field("spec.externalName", target)])
        .leads_to(words!("the name resolves to nothing", "该名字解析不出任何地址"))
        .remedy(
            words!(
                "Use a DNS name, or a Service without selector and an EndpointSlice that holds the address.",
                "改用域名；或者改为无 selector 的 Service，并用 EndpointSlice 写入该地址。"
            ),
            [view.kubectl(&format!("edit service {}", view.name()))],
        );
    Outcome::broken(finding)
}

fn terminating(view: &View<'_>, since: &str) -> Finding {
    let finalizers = view.service.metadata.finalizers.clone().unwrap_or_default();
    let list = finalizers.join(", ");
    let failure = view.history.newest(&["SyncLoadBalancerFailed", "DeleteLoadBalancerFailed"]);
    let name = view.name();
    let title = words!(
        "the Service was deleted {since} ago and waits for finalizers: {list}",
        "Service 已在 {since} 前被删除，仍在等待 finalizer：{list}"
    );
    let mut finding = Finding::new("service-terminating", LinkId::Service, title)
        .proven_by([view.field("metadata.finalizers", list)])
        .proven_by(failure.map(|event| evidence(event, view.now)));
    if !finalizers.iter().any(|finalizer| finalizer == BALANCER_FINALIZER) {
        return finding.remedy(
            words!(
                "Ask the controller that owns the finalizer; removing it by hand leaves behind what it guards.",
                "查看该 finalizer 所属的控制器；手工移除会遗留它所保护的资源。"
            ),
            [view.kubectl(&format!("get service {name} -o jsonpath='{{.metadata.finalizers}}'"))],
        );
    }
    if let Some(event) = failure {
        let text = message(event).to_owned();
        finding = finding
            .leads_to(words!("the balancer cannot be deleted: {text}", "负载均衡器删除失败：{text}"))
            .explained_by(event.reason.clone().unwrap_or_default());
    }
    finding.remedy(
        words!(
            "Let the balancer controller finish: clear what its error names. Removing the finalizer leaks the balancer.",
            "让负载均衡控制器完成清理：先解决错误中指出的问题。直接移除 finalizer 会泄漏负载均衡器。"
        ),
        [view.kubectl(&format!("get events --field-selector involvedObject.kind=Service,involvedObject.name={name}"))],
    )
}

/// There is no such Service.
pub(super) fn missing(index: &Index<'_>, key: &ObjectKey) -> Finding {
    let (namespace, name) = (&key.namespace, &key.name);
    let namespaces_known = index.snapshot.has_read("namespaces") && index.snapshot.is_live();
    if namespaces_known && index.namespace(namespace).is_none() {
        let title = words!("namespace {namespace} does not exist", "命名空间 {namespace} 不存在");
        let proof = Evidence::new(format!("namespace/{namespace}"), "-", "NotFound");
        return elsewhere(Finding::new("namespace-not-found", LinkId::Service, title).proven_by([proof]), index, key);
    }
    let title =
        words!("there is no Service {name} in namespace {namespace}", "命名空间 {namespace} 中没有 Service {name}");
    let mut finding = Finding::new("service-not-found", LinkId::Service, title)
        .proven_by([Evidence::new(format!("service/{name}"), "-", "NotFound")])
        .leads_to(words!("its name resolves to nothing", "它的名字解析不出任何地址"));
    if let Some(near) = nearest_word(name, index.service_names(namespace)) {
        finding = finding.remedy(
            words!("A Service {near} exists here.", "此命名空间有名为 {near} 的 Service。"),
            [format!("portolan diagnose svc/{near} -n {namespace}")],
        );
    }
    finding = elsewhere(finding, index, key);
    if finding.remedies.is_empty() {
        finding = finding.remedy(
            words!("See what there is.", "查看现有的 Service。"),
            [format!("kubectl -n {namespace} get services")],
        );
    }
    finding
}

fn elsewhere(mut finding: Finding, index: &Index<'_>, key: &ObjectKey) -> Finding {
    let name = &key.name;
    let others = index.snapshot.services.iter().map(ObjectKey::of);
    for other in others.filter(|other| other.name == *name && other.namespace != key.namespace).take(3) {
        let namespace = other.namespace;
        finding = finding.remedy(
            words!("Namespace {namespace} has a Service {name}.", "命名空间 {namespace} 中有 Service {name}。"),
            [format!("portolan diagnose svc/{name} -n {namespace}")],
        );
    }
    finding
}

/// What may be missing from a history that is used as proof of silence.
pub(super) fn forgotten(view: &View<'_>) -> Option<Words> {
    if view.history.suppressed() {
        return Some(words!(
            "events about this Service were merged or dropped by the recorder's limits; the newest cause may be missing",
            "该 Service 的事件已被记录器合并或限流丢弃，最新原因可能未显示"
        ));
    }
    history::expired(view.age()).then(|| {
        words!(
            "the Service is older than an hour, the usual life of events: earlier ones are gone",
            "该 Service 已存在超过一小时，而事件通常只保留一小时：更早的事件已消失"
        )
    })
}
