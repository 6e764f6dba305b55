//! The Service's name resolves for its callers: the cluster's DNS is there and answers, and the caller asks it.
//!
//! Who is hurt decides what is a finding. A DNS server that is gone fails every caller in the cluster; a kubelet without
//! cluster DNS fails the callers of its node; a caller with its own resolver fails itself. Callers outside do not use it.

mod caller;
mod limits;
pub(in crate::checks) mod node;
mod server;

use k8s_openapi::api::core::v1::{Pod, Service};
use portolan_objects::{ObjectKey, service};

use super::Outcome;
use crate::{From, SYSTEM_NAMESPACE, Words, view::View, words::words};

use server::Server;

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if !view.snapshot.is_live() {
        return Outcome::Skipped(words!("manifests have no DNS", "清单文件没有 DNS"));
    }
    if matches!(view.ask.from, From::Outside(_)) {
        return Outcome::Skipped(words!("callers outside do not use the cluster's DNS", "外部调用方不使用集群 DNS"));
    }
    let server = Server::find(view);
    if server.service().is_some_and(|service| ObjectKey::of(service) == view.key) {
        return Outcome::Skipped(words!("this is the cluster's DNS itself", "这就是集群 DNS 本身"));
    }
    let caller = match &view.ask.from {
        From::Pod(key) => view.index.pod(key),
        From::Anywhere | From::Outside(_) => None,
    };
    // Whoever asks another server is not hurt by what is wrong with the cluster's.
    if let Some(finding) = caller.and_then(|caller| caller::bypasses(view, caller, &server, hints)) {
        return Outcome::broken(finding);
    }
    let mut findings = Vec::new();
    findings.extend(server::broken(view, &server, hints));
    findings.extend(node::not_configured(view, caller, hints));
    findings.extend(node::resolv_conf(view, caller, hints));
    findings.extend(limits::truncated(view, caller, hints));
    if !findings.is_empty() {
        return Outcome::Broken(findings);
    }
    let name = format!("{}.{}.svc.cluster.local", view.name(), view.namespace());
    match &server {
        Server::Found(found) => {
            let addresses = service::cluster_ips(found).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let proof = vec![server::evidence(found, "spec.clusterIP", addresses.clone())];
            Outcome::Ok(words!("{name}, answered by {addresses}", "{name}，由 {addresses} 解析"), proof)
        }
        Server::Missing => Outcome::Skipped(words!("no DNS Service", "没有 DNS Service")),
        Server::Unknown(why) => Outcome::Skipped(why.clone()),
    }
}

/// The Service of the cluster's DNS, as it is found in most clusters.
pub(crate) fn find_server(services: &[Service]) -> Option<&Service> {
    let here = |service: &&Service| service.metadata.namespace.as_deref() == Some(SYSTEM_NAMESPACE);
    let candidates = services.iter().filter(here).filter(|service| rank(service) > 0);
    candidates.max_by_key(|service| rank(service))
}

/// How much a Service looks like the cluster's DNS: 0 is not at all.
fn rank(service: &Service) -> u32 {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let label = |key: &str| service.metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    let serves = service::ports(service).iter().any(|port| port.port == 53) && !service::is_headless(service);
    let labelled = matches!(label("k8s-app"), Some("kube-dns" | "coredns"))
        || matches!(label("kubernetes.io/name"), Some("CoreDNS" | "KubeDNS"))
        || label("app.kubernetes.io/name") == Some("coredns");
    match (name, labelled, serves) {
        ("kube-dns", _, _) => 3,
        (_, true, true) => 2,
        ("coredns", _, true) => 1,
        _ => 0,
    }
}

/// Pods whose resolver matters here: the caller, else the Service's own.
fn clients<'a>(view: &View<'a>, caller: Option<&'a Pod>) -> Vec<&'a Pod> {
    match caller {
        Some(caller) => vec![caller],
        None => view.live().collect(),
    }
}
