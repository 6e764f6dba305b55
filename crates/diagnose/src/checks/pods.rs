//! What is selected runs: at least one pod has an address and a running container.
//!
//! Called by the walk along the chart. Pods without end are told apart by what holds them up (`held_up`); a Service
//! without pods, or whose pods are all on their way out, by what should make new ones (`absent`).

mod absent;
mod held_up;
mod host_port;
mod network;
mod waiting;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use portolan_objects::pod;

use super::{Outcome, maker, trouble::Trouble};
use crate::{
    Evidence, Finding, LinkId, Words,
    view::{View, counted, name, pod_object},
    words::words,
};

pub(super) use held_up::lost_node;
pub(super) use waiting::{ended_before, restarting};

/// Hints about single pods before the rest is only counted.
const HINTS: usize = 4;

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    if view.selector.is_empty() {
        return Outcome::Skipped(words!("no selector", "没有 selector"));
    }
    if view.selected.is_empty() {
        return absent::nothing_selected(view);
    }
    let live: Vec<&Pod> = view.live().collect();
    if live.is_empty() {
        return Outcome::broken(absent::all_ended(view));
    }
    if live.iter().all(|pod| pod::is_terminating(pod))
        && let Some(outcome) = absent::leaving(view, &live, hints)
    {
        return outcome;
    }
    let running: Vec<&Pod> = live.iter().copied().filter(|pod| runs(pod)).collect();
    let (total, up) = (live.len(), running.len());
    if up == 0 {
        return Outcome::Broken(none_runs(view, &live));
    }
    some_do_not(view, &live, hints);
    let (pods, _) = counted(total);
    let proof = running.iter().take(3).map(|pod| Evidence::new(pod_object(pod), "status.phase", phase(pod)));
    Outcome::Ok(words!("{up} of {pods} running", "{total} 个 Pod 中有 {up} 个在运行"), proof.collect())
}

/// Has an address and at least one running container.
pub(super) fn runs(pod: &Pod) -> bool {
    let is_running = |status: &ContainerStatus| status.state.as_ref().is_some_and(|state| state.running.is_some());
    let main = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let known = main.is_some_and(|statuses| !statuses.is_empty());
    !pod::ips(pod).is_empty()
        && match known {
            true => main.into_iter().flatten().any(is_running),
            false => phase(pod) == "Running",
        }
}

/// `status.phase`.
fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Others run, so those that do not are no fault of the Service's.
fn some_do_not(view: &View<'_>, live: &[&Pod], hints: &mut Vec<Words>) {
    let mut untold = 0;
    let down = live.iter().filter(|pod| !runs(pod) && !pod::is_terminating(pod));
    for (told, pod) in down.enumerate() {
        if told >= HINTS {
            untold += 1;
        } else if let Some(trouble) = held_up::of(view, pod) {
            let (pod_name, what) = (name(*pod), trouble.what);
            hints.push(Words {
                en: format!("pod {pod_name} does not run: {}", what.en),
                zh: format!("Pod {pod_name} 未运行：{}", what.zh),
            });
        }
    }
    if untold > 0 {
        hints.push(words!("more pods that do not run: {untold}", "另有 {untold} 个 Pod 未运行"));
    }
}

/// One finding for each lost node, and one for the pods whose trouble is their own.
fn none_runs(view: &View<'_>, live: &[&Pod]) -> Vec<Finding> {
    // Pods that are to stay say more than those on their way out.
    let mut order: Vec<&Pod> = live.to_vec();
    order.sort_by_key(|pod| pod::is_terminating(pod));
    let mut troubles: Vec<(&Pod, Trouble)> =
        order.iter().filter_map(|pod| Some((*pod, held_up::of(view, pod)?))).collect();
    if troubles.iter().any(|(_, trouble)| !trouble.vague) {
        troubles.retain(|(_, trouble)| !trouble.vague);
    }
    let mut by_subject: BTreeMap<Option<String>, (&Pod, Trouble)> = BTreeMap::new();
    for (pod, trouble) in troubles {
        by_subject.entry(trouble.subject.clone()).or_insert((pod, trouble));
    }
    if by_subject.is_empty() {
        return vec![not_running(view, live.len(), order.first().copied())];
    }
    let maker = maker::of_all(live).map(|maker| maker::subject(view, &maker));
    let total = live.len();
    by_subject.into_values().map(|(pod, trouble)| held_up(total, trouble, pod, maker.clone())).collect()
}

fn held_up(total: usize, trouble: Trouble, pod: &Pod, maker: Option<String>) -> Finding {
    let (pods, _) = counted(total);
    let pod_name = name(pod);
    let (en, zh) = (&trouble.what.en, &trouble.what.zh);
    let title = words!("none of {pods} runs; {pod_name}: {en}", "{total} 个 Pod 都没有运行；{pod_name}：{zh}");
    let follows = [
        words!("no pod can answer", "没有可以响应的 Pod"),
        words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"),
    ];
    trouble.finding(LinkId::Pods, title, follows, maker)
}

/// No pod says what holds it up: it has only just been made, or its node says nothing.
fn not_running(view: &View<'_>, count: usize, first: Option<&Pod>) -> Finding {
    let (pods, _) = counted(count);
    let title = words!("none of {pods} runs yet", "{count} 个 Pod 都还没有运行");
    let finding = Finding::new("pods-not-running", LinkId::Pods, title);
    let Some(first) = first else { return finding };
    finding
        .proven_by([Evidence::new(pod_object(first), "status.phase", phase(first))])
        .leads_to(words!("no pod can answer", "没有可以响应的 Pod"))
        .leads_to(words!("connections to the Service are refused", "访问该 Service 的连接被拒绝"))
        .remedy(
            words!("Look at the pod's own events.", "查看 Pod 自身的事件。"),
            [view.kubectl(&format!("describe {}", pod_object(first)))],
        )
}
