//! A balancer that should be gone and cannot be deleted.
//! Upstream: cloud-provider `controllers/service`: a Service being deleted, or no longer of type LoadBalancer, keeps its
//! finalizer until the provider has deleted the balancer; failures are SyncLoadBalancerFailed, and DeleteLoadBalancerFailed
//! from Portolan.

use k8s_openapi::api::core::v1::Event;
use portolan_catalogue::vendor::Trouble;

use super::cause::{classify, log};
use crate::{
    Finding, LinkId,
    checks::Outcome,
    history::{evidence, message},
    view::View,
    words::words,
};

/// Keeps a Service until its balancer is gone.
pub(in crate::checks) const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
/// What a failed cleanup says.
const CLEANUP: [&str; 3] = [
    "failed to delete load balancer",
    "failed to check if load balancer exists before cleanup",
    "failed to remove load balancer cleanup finalizer",
];

fn holds(view: &View<'_>) -> bool {
    let finalizers = view.service.metadata.finalizers.as_ref();
    finalizers.is_some_and(|list| list.iter().any(|finalizer| finalizer == FINALIZER))
}

/// The newest word about the cleanup, if it is a failure.
fn failure<'a>(view: &View<'a>) -> Option<&'a Event> {
    let of_cleanup = |event: &&&Event| match event.reason.as_deref() {
        Some("DeleteLoadBalancerFailed" | "DeletedLoadBalancer") => true,
        Some("SyncLoadBalancerFailed") => CLEANUP.iter().any(|part| message(event).contains(part)),
        _ => false,
    };
    let newest = view.history.all().iter().rev().find(of_cleanup)?;
    (newest.reason.as_deref() != Some("DeletedLoadBalancer")).then_some(*newest)
}

/// The balancer of a Service that should be gone cannot be deleted.
pub(in crate::checks) fn failed(view: &View<'_>) -> Option<Finding> {
    if !holds(view) {
        return None;
    }
    let event = failure(view)?;
    let text = message(event).rsplit_once("load balancer: ").map_or(message(event), |(_, said)| said).to_owned();
    let (name, kind) =
        (view.name(), view.service.spec.as_ref().and_then(|spec| spec.type_.clone()).unwrap_or_default());
    let leaving = view.service.metadata.deletion_timestamp.is_some();
    let link = if leaving { LinkId::Service } else { LinkId::LoadBalancer };
    let title = words!("the load balancer cannot be deleted: {text}", "负载均衡器无法删除：{text}");
    let state = match &view.service.metadata.deletion_timestamp {
        Some(deleted) => view.field("metadata.deletionTimestamp", deleted.0.to_string()),
        None => view.field("spec.type", kind),
    };
    let finding = Finding::new("load-balancer-delete-failed", link, title)
        .proven_by([view.field("metadata.finalizers", FINALIZER), state, evidence(event, view.now)])
        .leads_to(words!(
            "the finalizer stays until the provider has deleted the balancer, which goes on running and costing",
            "在云厂商删除负载均衡器之前 finalizer 不会移除，它会继续运行并计费"
        ))
        .explained_by(event.reason.clone().unwrap_or_default());
    let finding = match leaving {
        true => finding.leads_to(words!(
            "the Service stays Terminating, and no new one can have its name",
            "Service 停在 Terminating，同名的新 Service 无法创建"
        )),
        false => finding,
    };
    let advice = match classify(&text) {
        Trouble::Auth => words!("Give the controller's account the right to delete.", "为控制器的账号授予删除权限。"),
        Trouble::Throttled | Trouble::Timeout => {
            words!("It is tried again by itself; wait.", "控制器会自动重试，请等待。")
        }
        _ => words!(
            "Clear what the error names at the provider (a dependent resource, a lock); the controller then finishes by itself.",
            "在云厂商处解决错误中指出的问题（依赖资源、锁），控制器随后会自动完成。"
        ),
    };
    let finding = finding
        .remedy(advice, [view.kubectl(&format!("describe service {name}")), log()])
        .remedy(
            words!(
                "Last resort: remove the finalizer. Risk: the balancer stays at the provider, costs money, and nobody remembers it; if it is already gone there, this is not needed.",
                "最后手段：移除 finalizer。风险：负载均衡器会遗留在云厂商处继续计费且无人管理；如果它已不存在，则无需这样做。"
            ),
            [view.kubectl(&format!("patch service {name} --type merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'"))],
        );
    Some(finding)
}

/// The Service is of another type now: is its balancer gone?
pub(super) fn leftover(view: &View<'_>) -> Outcome {
    if let Some(finding) = failed(view) {
        return Outcome::broken(finding);
    }
    match holds(view) {
        true => Outcome::Skipped(words!(
            "no longer a load balancer Service; its balancer is being deleted",
            "已不是 LoadBalancer 类型；其负载均衡器正在删除"
        )),
        false => Outcome::Skipped(words!("not a load balancer Service", "不是 LoadBalancer 类型")),
    }
}
