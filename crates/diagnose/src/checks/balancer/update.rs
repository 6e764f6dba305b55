//! The balancer has what the Service asks for now.
//! Upstream: cloud-provider `controllers/service`: a set of nodes that cannot be pushed is followed by a full ensure, and
//! success there heals it.

use portolan_catalogue::vendor::Trouble;

use super::cause::{classify, inner, log};
use crate::{
    Finding, LinkId, Words,
    history::{evidence, last_seen, message},
    view::View,
    words::words,
};

/// The newest change has not arrived at the balancer.
pub(super) fn failed(view: &View<'_>, hints: &mut Vec<Words>) -> Option<Finding> {
    let failure = view.history.newest(&[
        "UpdateLoadBalancerFailed",
        "SyncLoadBalancerFailed",
        "FailedBuildModel",
        "FailedDeployModel",
    ])?;
    let success = view.history.newest(&["EnsuredLoadBalancer", "UpdatedLoadBalancer", "SuccessfullyReconciled"]);
    // Times have whole seconds. What failed and did not heal within its second fails again five seconds later.
    if success.is_some_and(|success| last_seen(success) >= last_seen(failure)) {
        return None;
    }
    let text = message(failure).to_owned();
    let reason = failure.reason.clone().unwrap_or_default();
    if view.history.hides("Normal") {
        hints.push(words!(
            "the newest word about the balancer is {reason} ({text}), but a later success may be hidden by the event limit",
            "关于负载均衡器的最新事件是 {reason}（{text}），但之后的成功可能被事件限流隐藏"
        ));
        return None;
    }
    let nodes = reason == "UpdateLoadBalancerFailed";
    let said = text.rsplit_once(", error: ").map_or_else(|| inner(&text), |(_, said)| said).to_owned();
    let title = match nodes {
        true => {
            words!("the balancer could not be given the new set of nodes: {said}", "负载均衡器未能更新节点集合：{said}")
        }
        false => words!("the balancer could not be brought up to date: {said}", "负载均衡器未能更新：{said}"),
    };
    let advice = match classify(&said) {
        Trouble::Throttled | Trouble::Timeout => {
            words!(
                "It is tried again by itself; if it lasts, look at the provider.",
                "控制器会自动重试；若持续出现，检查云厂商。"
            )
        }
        Trouble::Auth => {
            words!("Give the controller's account the right that is missing.", "为控制器的账号补上缺少的权限。")
        }
        Trouble::Invalid => {
            words!("Correct the annotation or field that the message names.", "修正消息中指出的注解或字段。")
        }
        _ => words!(
            "Clear what the message names; the controller tries again by itself.",
            "解决消息中指出的问题，控制器会自动重试。"
        ),
    };
    let finding = Finding::new("load-balancer-update-failed", LinkId::LoadBalancer, title)
        .proven_by([evidence(failure, view.now)])
        .proven_by(success.map(|success| evidence(success, view.now)))
        .leads_to(match nodes {
            true => words!(
                "it still sends to nodes that are gone, and not to new ones",
                "它仍把流量发往已不存在的节点，新节点则没有流量"
            ),
            false => words!("it works as it was before the last change", "它仍按上一次变更之前的配置工作"),
        })
        .remedy(advice, [view.kubectl(&format!("describe service {}", view.name())), log()])
        .explained_by(reason);
    Some(finding)
}
