//! Labels that no pod template has: controllers give them to pods while they run. To bend the Service to the pods that are
//! there would be wrong then: it may send a broker's clients to another broker, or writes to a replica.
//!
//! Upstream: `pkg/controller/statefulset` (a label with the pod's own name), `pkg/controller/deployment` (a hash of the template).

use std::collections::BTreeSet;

use portolan_objects::selector::Selector;

use super::Candidate;
use crate::{
    Evidence, Finding, LinkId, Words, Workload,
    checks::maker,
    nearest::{Difference, Labels},
    view::{View, counted, labels_text},
    words::words,
};

/// The StatefulSet controller gives each pod its own name as a label.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
/// Hashes that every rollout changes.
const HASHES: [&str; 2] = ["pod-template-hash", "controller-revision-hash"];
/// What makes pods by a template that was read.
const KNOWN: [&str; 6] = ["deployment", "statefulset", "daemonset", "replicaset", "job", "replicationcontroller"];

/// The Service is for one pod of a StatefulSet, and that pod is not there.
pub(super) fn one_pod(view: &View<'_>, text: &str) -> Option<Finding> {
    let wanted = view.selector.get(POD_NAME)?;
    let has_name = |labels: Option<&Labels>| labels.and_then(|labels| labels.get(POD_NAME)) == Some(wanted);
    if view.pods().iter().any(|pod| has_name(pod.metadata.labels.as_ref())) {
        return None;
    }
    let (set_name, ordinal) = wanted.rsplit_once('-')?;
    let ordinal: i32 = ordinal.parse().ok()?;
    let is_it = |workload: &&&Workload| workload.kind == "statefulset" && workload.name == set_name;
    let set = view.workloads().iter().find(is_it);
    let replicas = set.and_then(|set| set.replicas);
    let title = match replicas {
        Some(replicas) => words!(
            "the Service is for pod {wanted} alone, which is not there; statefulset/{set_name} wants {replicas} pods",
            "该 Service 只对应 Pod {wanted}，而它不存在；statefulset/{set_name} 的副本数为 {replicas}"
        ),
        None => words!(
            "the Service is for pod {wanted} alone, which is not there",
            "该 Service 只对应 Pod {wanted}，而它不存在"
        ),
    };
    let finding = Finding::new("selector-matches-no-pod", LinkId::Selector, title)
        .proven_by([view.field("spec.selector", text), Evidence::new(format!("pod/{wanted}"), "-", "NotFound")])
        .proven_by(set.map(|set| Evidence::new(set.object(), "spec.replicas", replicas.unwrap_or(1).to_string())));
    let service = view.name();
    Some(match replicas {
        Some(replicas) if ordinal >= replicas => {
            let enough = ordinal.saturating_add(1);
            finding.remedy(
                words!(
                    "Scale statefulset/{set_name} so that this pod is made again, or delete the Service if the pod is not wanted any more.",
                    "扩容 statefulset/{set_name} 以重新创建该 Pod；如果不再需要该 Pod，则删除此 Service。"
                ),
                [
                    view.kubectl(&format!("scale statefulset {set_name} --replicas={enough}")),
                    view.kubectl(&format!("delete service {service}")),
                ],
            )
        }
        _ => finding.remedy(
            words!(
                "See why the pod is not made: one before it that is not ready holds it back, or its controller fails.",
                "查看该 Pod 为何没有创建：可能是序号更小的 Pod 未就绪，或控制器失败。"
            ),
            [view.kubectl(&format!("describe statefulset {set_name}")), view.kubectl("get pods")],
        ),
    })
}

/// The selector asks for the hash of an earlier template, and fits without it.
pub(super) fn old_hash(view: &View<'_>, text: &str) -> Option<Finding> {
    let hash = HASHES.into_iter().find(|hash| view.selector.contains_key(*hash))?;
    let mut rest = view.selector.clone();
    rest.retain(|key, _| !HASHES.contains(&key.as_str()));
    let selector = Selector::from_map(&rest);
    let fitting =
        view.pods().iter().filter(|pod| pod.metadata.labels.as_ref().is_some_and(|all| selector.matches(all)));
    let count = if rest.is_empty() { 0 } else { fitting.clone().count() };
    if count == 0 {
        return None;
    }
    let (pods, have) = counted(count);
    let (service, rest) = (view.name(), labels_text(&rest));
    let title = words!(
        "the selector asks for the {hash} of an earlier rollout; {pods} {have} {rest}",
        "selector 要求的 {hash} 属于更早的发布；有 {count} 个 Pod 带有 {rest}"
    );
    let shown = fitting.take(2).map(|pod| {
        let labels = pod.metadata.labels.as_ref().map(labels_text).unwrap_or_default();
        Evidence::new(crate::view::pod_object(pod), "metadata.labels", labels)
    });
    let finding = Finding::new("selector-matches-no-pod", LinkId::Selector, title)
        .proven_by([view.field("spec.selector", text)])
        .proven_by(shown)
        .leads_to(words!("every rollout gives the pods another hash", "每次发布都会给 Pod 新的 hash"))
        .remedy(
            words!(
                "Take the hash out of the selector. Risk: where a tool switches between two versions by it, that tool has to be told.",
                "从 selector 中去掉该 hash。风险：如果有工具靠它在两个版本之间切换，需要同步修改该工具。"
            ),
            [view.kubectl(&format!(
                "patch service {service} --type merge -p '{{\"spec\":{{\"selector\":{{\"{hash}\":null}}}}}}'"
            ))],
        );
    Some(finding)
}

/// Keys in which the nearest pods differ although no template gave them the label: somebody sets it while they run.
pub(super) fn at_run_time(view: &View<'_>, best: &Candidate) -> Vec<String> {
    let pods = || view.pods().iter().filter(|pod| best.pods.contains(&crate::view::pod_object(pod)));
    let makers: BTreeSet<String> = pods().filter_map(|pod| maker::of(pod)).collect();
    let by_template = |key: &str| {
        makers.is_empty()
            || makers.iter().any(|maker| {
                let kind = maker.split('/').next().unwrap_or_default();
                let workload = view.workloads().iter().find(|workload| workload.object() == *maker);
                match workload {
                    Some(workload) => workload.labels.contains_key(key),
                    // The template was not read; a kind of its own is an operator's.
                    None => KNOWN.contains(&kind),
                }
            })
    };
    let keys = best.near.differences.iter().filter_map(|difference| match difference {
        Difference::Value { key, .. } => Some(key.clone()),
        Difference::Key { .. } | Difference::Missing { .. } => None,
    });
    keys.filter(|key| !by_template(key)).collect()
}

/// What to do where labels are set at run time: not to bend the Service.
pub(super) fn ask_whoever_sets(view: &View<'_>, finding: Finding, keys: &[String], text: &str) -> Finding {
    let list = keys.join(", ");
    let columns = keys.join(",");
    finding.leads_to(words!("no pod has been given the label that is asked for", "没有 Pod 被赋予所要求的标签")).remedy(
        words!(
            "No pod template has the label {list}: whoever sets it while pods run (an operator, an election) has given {text} to none. See what that program says. Risk of changing the selector instead: traffic meant for a leader would reach the others.",
            "Pod 模板中没有标签 {list}：在运行时设置它的程序（operator、选主）没有把 {text} 赋予任何 Pod。请查看该程序的状态和日志。若改 selector，风险是发给主节点的流量会到达其他节点。"
        ),
        [view.kubectl(&format!("get pods -L {columns}")), "kubectl get pods -A | grep -i operator".to_owned()],
    )
}

/// The remedy that takes a label out of the selector, with what it risks.
pub(super) fn bend(missing: bool) -> Words {
    match missing {
        true => words!(
            "Make the Service select the pods that are there. Risk: if an operator sets the label on a leader, look at the operator instead.",
            "让 Service 选中现有的 Pod。风险：如果该标签由 operator 设置在主节点上，应检查该 operator。"
        ),
        false => words!("Make the Service select the pods that are there.", "让 Service 选中现有的 Pod。"),
    }
}
