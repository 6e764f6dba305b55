//! What runs is ready: at least one selected pod takes new connections.
//!
//! Why one pod is not ready is told by `why`. Upstream: pod conditions (`pkg/kubelet/status`), and for pods being
//! stopped kube-proxy's fallback to endpoints that still serve.

mod why;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::{pod, service};

use self::why::why;
use super::{Outcome, maker, pods, trouble::Trouble};
use crate::{
    Finding, LinkId, Words,
    view::{View, counted, name},
    words::words,
};

/// Hints about single pods before the rest is only counted.
const HINTS: usize = 4;

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if view.selector.is_empty() {
        return Outcome::Skipped(words!("no selector", "没有 selector"));
    }
    let live: Vec<&Pod> = view.live().filter(|pod| !pod::ips(pod).is_empty()).collect();
    if live.is_empty() {
        return Outcome::Skipped(words!("no pod runs", "没有运行中的 Pod"));
    }
    let (ready, unready): (Vec<&Pod>, Vec<&Pod>) =
        live.iter().copied().partition(|pod| pod::is_ready(pod) && !pod::is_terminating(pod));
    if service::publishes_not_ready(view.service) {
        return published(view, &ready, &unready, hints);
    }
    let (total, up) = (live.len(), ready.len());
    let (all, _) = counted(total);
    if !ready.is_empty() {
        some_are_not(view, &unready, hints);
        return Outcome::ok(words!("{up} of {all} ready", "{total} 个 Pod 中有 {up} 个就绪"));
    }
    if let Some(outcome) = held_by_the_old(view, &live, hints) {
        return outcome;
    }
    Outcome::Broken(none_ready(view, &unready))
}

/// Others are ready, so those that are not are no fault of the Service's.
fn some_are_not(view: &View<'_>, unready: &[&Pod], hints: &mut Vec<Words>) {
    // Those that do not run have had their hint already, and those being stopped need none.
    let down = unready.iter().filter(|pod| pods::runs(pod) && !pod::is_terminating(pod));
    let mut untold = 0;
    for (told, pod) in down.enumerate() {
        if told >= HINTS {
            untold += 1;
            continue;
        }
        let (pod_name, why) = (name(*pod), why(view, pod));
        hints.push(Words {
            en: format!("pod {pod_name} is not ready: {}", why.what.en),
            zh: format!("Pod {pod_name} 未就绪：{}", why.what.zh),
        });
    }
    if untold > 0 {
        hints.push(words!("more pods that are not ready: {untold}", "另有 {untold} 个 Pod 未就绪"));
    }
}

/// No new pod is ready yet, but old ones that are being stopped still serve: proxies fall back to them. It lasts as
/// long as their grace period, and DNS of a headless Service knows no such thing.
fn held_by_the_old(view: &View<'_>, live: &[&Pod], hints: &mut Vec<Words>) -> Option<Outcome> {
    let old = live.iter().filter(|pod| pod::is_terminating(pod) && pod::is_ready(pod) && pods::runs(pod)).count();
    if old == 0 || service::is_headless(view.service) {
        return None;
    }
    let next = live.iter().find(|pod| !pod::is_terminating(pod));
    if let Some(next) = next {
        let (pod_name, why) = (name(*next), why(view, next));
        hints.push(Words {
            en: format!("only pods being stopped answer ({old}); pod {pod_name} is not ready: {}", why.what.en),
            zh: format!("只有正在停止的 Pod 还在响应（{old} 个）；Pod {pod_name} 未就绪：{}", why.what.zh),
        });
    }
    Some(Outcome::ok(words!("pods that are being stopped and still answer: {old}", "{old} 个正在停止但仍能响应的 Pod")))
}

/// One finding for each lost node, and one for the pods whose trouble is their own.
fn none_ready(view: &View<'_>, unready: &[&Pod]) -> Vec<Finding> {
    let mut by_subject: BTreeMap<Option<String>, Vec<(&Pod, Trouble)>> = BTreeMap::new();
    for pod in unready.iter().copied() {
        let why = why(view, pod);
        by_subject.entry(why.subject.clone()).or_default().push((pod, why));
    }
    let maker = maker::of_all(unready).map(|maker| maker::subject(view, &maker));
    let total = unready.len();
    by_subject.into_values().filter_map(|group| because(total, group, maker.clone())).collect()
}

fn because(total: usize, mut group: Vec<(&Pod, Trouble)>, maker: Option<String>) -> Option<Finding> {
    // A probe whose event is there says more than one whose event has expired, and pods that stay more than those that go.
    group.sort_by_key(|(pod, why)| (pod::is_terminating(pod), why.vague));
    let mut group = group.into_iter();
    let (pod, mut first) = group.next()?;
    let (pods, _) = counted(total);
    let (pod, en, zh) = (name(pod), &first.what.en, &first.what.zh);
    let title = words!("none of {pods} is ready; {pod}: {en}", "{total} 个 Pod 都未就绪；{pod}：{zh}");
    first.evidence.extend(group.take(2).flat_map(|(_, why)| why.evidence));
    let follows = [
        words!("pods that are not ready get no traffic", "未就绪的 Pod 不接收流量"),
        words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"),
    ];
    Some(first.finding(LinkId::Readiness, title, follows, maker))
}

/// Every pod counts as ready, whatever it says itself. That is meant for peers that look for each other by DNS; behind
/// a virtual address it sends connections to pods that say they cannot answer.
fn published(view: &View<'_>, ready: &[&Pod], unready: &[&Pod], hints: &mut Vec<Words>) -> Outcome {
    let total = ready.len() + unready.len();
    let (all, _) = counted(total);
    let summary =
        words!("publishNotReadyAddresses: {all} count as ready", "publishNotReadyAddresses：{total} 个 Pod 均视为就绪");
    let setting = view.field("spec.publishNotReadyAddresses", "true");
    let staying: Vec<&Pod> = unready.iter().copied().filter(|pod| !pod::is_terminating(pod)).collect();
    if service::is_headless(view.service) || staying.is_empty() {
        return Outcome::Ok(summary, vec![setting]);
    }
    let crashing = staying.iter().find(|pod| !pods::runs(pod) || pods::restarting(pod, view.now).is_some());
    let Some(pod) = crashing.or_else(|| if ready.is_empty() { staying.first() } else { None }) else {
        let count = staying.len();
        hints.push(words!(
            "publishNotReadyAddresses: {count} of {all} are not ready and get connections all the same",
            "publishNotReadyAddresses：{total} 个 Pod 中有 {count} 个未就绪，但仍会收到连接"
        ));
        return Outcome::Ok(summary, vec![setting]);
    };
    let why = why(view, pod);
    Outcome::broken(surprise(view, total, staying.len(), pod, why).proven_by([setting]))
}

fn surprise(view: &View<'_>, total: usize, count: usize, pod: &Pod, why: Trouble) -> Finding {
    let (all, _) = counted(total);
    let (pod, en, zh, service) = (name(pod), &why.what.en, &why.what.zh, view.name());
    let title = words!(
        "publishNotReadyAddresses sends connections to pods that are not ready: {count} of {all}; {pod}: {en}",
        "publishNotReadyAddresses 把连接发给未就绪的 Pod：{total} 个中有 {count} 个；{pod}：{zh}"
    );
    let mut finding = Finding::new("not-ready-published", LinkId::Readiness, title)
        .proven_by(why.evidence)
        .leads_to(words!(
            "the slices call every pod ready, so proxies do not leave them out",
            "EndpointSlice 把所有 Pod 都标为就绪，代理不会避开它们"
        ))
        .leads_to(words!("connections to these pods fail", "发往这些 Pod 的连接会失败"))
        .remedy(
            words!(
                "Let readiness decide. Peers that must find each other before they are ready get a headless Service of their own.",
                "让就绪状态决定。需要在就绪前互相发现的成员应使用单独的 headless Service。"
            ),
            [view.kubectl(&format!(
                "patch service {service} --type merge -p '{{\"spec\":{{\"publishNotReadyAddresses\":false}}}}'"
            ))],
        );
    for (what, commands) in why.remedies {
        finding = finding.remedy(what, commands);
    }
    finding
}
