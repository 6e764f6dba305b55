//! The Service exists, and is not on its way out; an alias is one.

use k8s_openapi::api::core::v1::Service;
use portolan_objects::{ObjectKey, service};

use super::{Outcome, alias, balancer};
use crate::{
    Evidence, Finding, Index, LinkId, Words,
    history::{self, age, seconds_between},
    nearest::nearest_word,
    view::View,
    words::words,
};

/// Seconds in which controllers finish a deletion when nothing is wrong.
const PATIENCE: i64 = 30;

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    let kind = view.service.spec.as_ref().and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP");
    if let Some(deleted) = &view.service.metadata.deletion_timestamp {
        let since = age(view.now, deleted.0);
        if let Some(finding) = balancer::deletion::failed(view) {
            return Outcome::broken(finding);
        }
        if seconds_between(deleted.0, view.now) > PATIENCE {
            return Outcome::broken(terminating(view, &since));
        }
        let proof = vec![view.field("metadata.deletionTimestamp", deleted.0.to_string())];
        return Outcome::Ok(words!("being deleted since {since}", "{since} 前开始删除"), proof);
    }
    if service::is_external_name(view.service) {
        return alias::check(view, hints);
    }
    let headless = if service::is_headless(view.service) { ", headless" } else { "" };
    let created = view.service.metadata.creation_timestamp.as_ref();
    let summary = match created.map(|time| age(view.now, time.0)) {
        Some(age) => words!("type {kind}{headless}, {age} old", "类型 {kind}{headless}，创建于 {age} 前"),
        None => words!("type {kind}{headless}", "类型 {kind}{headless}"),
    };
    Outcome::Ok(summary, vec![view.field("spec.type", kind)])
}

/// (part of a finalizer, whose it is), the first that fits.
const OWNERS: [(&str, &str); 9] = [
    (balancer::deletion::FINALIZER, "the service controller (cloud controller manager)"),
    ("service.k8s.aws/", "the AWS Load Balancer Controller"),
    ("networking.gke.io/", "the GKE load balancer controllers"),
    ("gke.networking.io/", "the GKE load balancer controllers"),
    ("cilium.io/", "Cilium"),
    ("metallb", "MetalLB"),
    ("foregroundDeletion", "the garbage collector, which deletes dependents first"),
    ("orphan", "the garbage collector, which sets dependents free first"),
    ("kubernetes.io/", "a controller of Kubernetes"),
];

/// Whose a finalizer is: from the list, else the domain that it is written with.
fn owner(finalizer: &str) -> String {
    let known = OWNERS.iter().find(|(part, _)| finalizer.contains(part)).map(|(_, owner)| (*owner).to_owned());
    let domain = || finalizer.split_once('/').map_or(finalizer, |(domain, _)| domain);
    known.unwrap_or_else(|| format!("whoever writes {}", domain()))
}

fn terminating(view: &View<'_>, since: &str) -> Finding {
    let finalizers = view.service.metadata.finalizers.clone().unwrap_or_default();
    let list = finalizers.join(", ");
    let name = view.name();
    let owners: Vec<String> = finalizers.iter().map(|finalizer| format!("{finalizer}: {}", owner(finalizer))).collect();
    let owners = owners.join("; ");
    let title = words!(
        "the Service was deleted {since} ago and waits for finalizers: {list}",
        "Service 已在 {since} 前被删除，仍在等待 finalizer：{list}"
    );
    let deleted = view.service.metadata.deletion_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default();
    let show = format!("get service {name} -o jsonpath='{{.metadata.finalizers}}'");
    Finding::new("service-terminating", LinkId::Service, title)
        .proven_by([view.field("metadata.deletionTimestamp", deleted), view.field("metadata.finalizers", list)])
        .leads_to(words!(
            "the name stays taken: a Service of this name cannot be made before it is gone",
            "名称仍被占用：在它消失之前无法再创建同名 Service"
        ))
        .remedy(
            words!(
                "Let its owner finish ({owners}): see whether that controller runs, and what its log says.",
                "让负责者完成清理（{owners}）：检查该控制器是否在运行，并查看其日志。"
            ),
            [view.kubectl(&show), view.kubectl(&format!("describe service {name}"))],
        )
        .remedy(
            words!(
                "Only if that controller is gone for good: remove the finalizers. Risk: what they guard (a balancer, a firewall rule) stays behind and may go on costing money.",
                "仅当该控制器确实不再存在时：移除 finalizer。风险：它所保护的资源（负载均衡器、防火墙规则）会遗留下来，并可能继续计费。"
            ),
            [view.kubectl(&format!("patch service {name} --type merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'"))],
        )
}

/// There is no such Service.
pub(super) fn missing(index: &Index<'_>, key: &ObjectKey) -> Finding {
    let (namespace, name) = (&key.namespace, &key.name);
    let namespaces_known = index.snapshot.has_read("namespaces") && index.snapshot.is_live();
    if namespaces_known && index.namespace(namespace).is_none() {
        let title = words!("namespace {namespace} does not exist", "命名空间 {namespace} 不存在");
        let proof = Evidence::new(format!("namespace/{namespace}"), "-", "NotFound");
        let finding = Finding::new("namespace-not-found", LinkId::Service, title)
            .proven_by([proof])
            .leads_to(words!("its names resolve to nothing", "其中的名字解析不出任何地址"));
        let finding = elsewhere(finding, index, key);
        return finding.remedy(words!("See what there is.", "查看现有的命名空间。"), ["kubectl get namespaces".into()]);
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
    let namesake = |service: &&Service| service.metadata.name.as_deref() == Some(name);
    let others = index.snapshot.services.iter().filter(namesake).map(ObjectKey::of);
    for other in others.filter(|other| other.namespace != key.namespace).take(3) {
        let namespace = other.namespace;
        finding = finding.remedy(
            words!("Namespace {namespace} has a Service {name}.", "命名空间 {namespace} 中有 Service {name}。"),
            [format!("portolan diagnose svc/{name} -n {namespace}")],
        );
    }
    finding
}

/// What may be missing from a history that is used as proof of silence.
pub(super) fn forgotten(view: &View<'_>) -> Vec<Words> {
    let gaps = view.history.gaps();
    if !gaps.is_empty() || !history::expired(view.age()) {
        return gaps;
    }
    vec![words!(
        "the Service is older than an hour, the usual life of events: earlier ones are gone",
        "该 Service 已存在超过一小时，而事件通常只保留一小时：更早的事件已消失"
    )]
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn finalizers_name_their_owner() {
        assert!(owner("service.kubernetes.io/load-balancer-cleanup").contains("service controller"));
        assert!(owner("service.k8s.aws/resources").contains("AWS"));
        assert_eq!(owner("example.com/audit"), "whoever writes example.com");
        assert_eq!(owner("bare"), "whoever writes bare");
    }
}
