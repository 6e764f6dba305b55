//! The selector selects something; if not, what was probably meant, unless it asks for labels that are given at run time (`given`).

mod given;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::{selector::Selector, service};

use super::Outcome;
use crate::{
    Evidence, Finding, LinkId, Words,
    nearest::{self, Difference, Labels, Near},
    view::{View, counted, join_some, labels_text, pod_object},
    words::words,
};

/// Pods with the same labels, and what makes them.
struct Candidate {
    near: Near,
    pods: Vec<String>,
    workloads: Vec<String>,
}

pub(super) fn check(view: &View<'_>, _hints: &mut Vec<Words>) -> Outcome {
    if service::is_external_name(view.service) {
        return Outcome::Skipped(words!("an alias selects no pods", "别名不选择 Pod"));
    }
    let text = view.selector_text();
    if text.is_empty() {
        return Outcome::Skipped(words!(
            "no selector: someone else writes the endpoints",
            "没有 selector：端点由其他组件写入"
        ));
    }
    let proof = vec![view.field("spec.selector", text.clone())];
    let count = view.selected.len();
    if count > 0 {
        let (pods, _) = counted(count);
        return Outcome::Ok(words!("{text} selects {pods}", "{text} 选中 {count} 个 Pod"), proof);
    }
    if !view.snapshot.has_read("pods") {
        return Outcome::Skipped(words!("the pods could not be read", "无法读取 Pod"));
    }
    let selector = Selector::from_map(&view.selector);
    if let Some(workload) = view.workloads().iter().find(|workload| selector.matches(&workload.labels)) {
        let object = workload.object();
        let summary = words!("{text} fits the pods of {object}", "{text} 与 {object} 的 Pod 标签相符");
        return Outcome::Ok(summary, proof);
    }
    let given = given::one_pod(view, &text).or_else(|| given::old_hash(view, &text));
    Outcome::broken(given.map_or_else(|| with(no_match(view, &text), proof), follow))
}

/// The finding with this evidence before its own.
fn with(mut finding: Finding, proof: Vec<Evidence>) -> Finding {
    finding.evidence.splice(..0, proof);
    finding
}

fn no_match(view: &View<'_>, text: &str) -> Finding {
    let candidates = candidates(view);
    let finding = match candidates.first() {
        Some(best) => suggest(view, text, best),
        None => unrelated(view, text),
    };
    follow(finding)
}

/// What it means that no pod is selected.
fn follow(finding: Finding) -> Finding {
    finding
        .leads_to(words!("the Service's slices stay empty", "Service 的 EndpointSlice 一直为空"))
        .leads_to(words!("connections to it are refused", "访问该 Service 的连接被拒绝"))
}

/// Something here resembles what is asked.
fn suggest(view: &View<'_>, text: &str, best: &Candidate) -> Finding {
    let found = best.near.found().join(",");
    let makers = join_some(&best.workloads, 2);
    let count = best.pods.len();
    let (pods, have) = counted(count);
    let title = match (count, found.is_empty()) {
        (0, _) => words!(
            "selector {text} matches no pod; {makers} makes pods with {found}",
            "selector {text} 没有匹配任何 Pod；{makers} 创建的 Pod 带有 {found}"
        ),
        (_, false) => words!(
            "selector {text} matches no pod; {pods} {have} {found}",
            "selector {text} 没有匹配任何 Pod；有 {count} 个 Pod 带有 {found}"
        ),
        (_, true) => words!(
            "selector {text} matches no pod; {pods} {have} all of it but a label too many is asked",
            "selector {text} 没有匹配任何 Pod；有 {count} 个 Pod 仅缺少多写的标签"
        ),
    };
    let patch = best.near.patch();
    let name = view.name();
    let mut finding = Finding::new("selector-matches-no-pod", LinkId::Selector, title)
        .proven_by(best.pods.iter().take(3).map(|pod| Evidence::new(pod, "metadata.labels", label_of(view, pod))))
        .proven_by(
            best.workloads
                .iter()
                .take(2)
                .map(|workload| Evidence::new(workload, "spec.template.metadata.labels", template_of(view, workload))),
        );
    let run_time = given::at_run_time(view, best);
    if !run_time.is_empty() {
        return given::ask_whoever_sets(view, finding, &run_time, text);
    }
    // Of a pod that is there, not of a template, and nothing like it anywhere.
    let missing = best.near.differences.iter().any(|difference| matches!(difference, Difference::Missing { .. }));
    finding = finding.remedy(
        given::bend(missing && count > 0),
        [view.kubectl(&format!("patch service {name} --type merge -p '{patch}'"))],
    );
    if let Some(workload) = best.workloads.first() {
        finding = finding.remedy(
            words!(
                "If the Service is right, correct the labels in the pod template of {workload} instead.",
                "如果 Service 是对的，则修正 {workload} 的 Pod 模板标签。"
            ),
            [view.kubectl(&format!("get {workload} -o jsonpath='{{.spec.template.metadata.labels}}'"))],
        );
    }
    finding
}

/// Nothing here resembles it: say what there is.
fn unrelated(view: &View<'_>, text: &str) -> Finding {
    let (namespace, name) = (view.namespace(), view.name());
    let others = selected_elsewhere(view);
    let elsewhere = join_some(&others, 3);
    let empty = view.pods().is_empty();
    let here = view.pods().len();
    let (pods, _) = counted(here);
    let title = match (elsewhere.is_empty(), empty) {
        (false, _) => words!(
            "selector {text} matches no pod here; such pods are in namespace {elsewhere}, and a Service selects only in its own",
            "selector {text} 在此命名空间没有匹配任何 Pod；这样的 Pod 在命名空间 {elsewhere}，而 Service 只能选择本命名空间的 Pod"
        ),
        (true, true) => words!(
            "selector {text} matches no pod: namespace {namespace} has none",
            "selector {text} 没有匹配任何 Pod：命名空间 {namespace} 中没有 Pod"
        ),
        (true, false) => words!(
            "selector {text} matches no pod; {pods} here and no label like it",
            "selector {text} 与此命名空间的 {here} 个 Pod 都不匹配，也没有相近的标签"
        ),
    };
    let code = match (elsewhere.is_empty(), empty) {
        (false, _) => "selector-in-other-namespace",
        (true, true) => "namespace-without-pods",
        (true, false) => "selector-matches-no-pod",
    };
    let shown = view.pods().iter().take(3);
    let labels = |pod: &Pod| labels_text(&pod.metadata.labels.clone().unwrap_or_default());
    let finding = Finding::new(code, LinkId::Selector, title)
        .proven_by(shown.map(|pod| Evidence::new(pod_object(pod), "metadata.labels", labels(pod))));
    if let Some(deleted) = view.index.namespace(namespace).and_then(|own| own.metadata.deletion_timestamp.as_ref()) {
        return finding
            .proven_by([Evidence::new(format!("namespace/{namespace}"), "metadata.deletionTimestamp", deleted.0.to_string())])
            .leads_to(words!("the namespace is being deleted, and its pods are gone", "命名空间正在删除，其中的 Pod 已消失"))
            .remedy(
                words!(
                    "Nothing new can be made in it. Deploy to another namespace, or wait until this one is gone and make it again.",
                    "无法在其中创建任何对象。请部署到其他命名空间，或等它消失后重新创建。"
                ),
                [format!("kubectl get namespace {namespace} -o yaml")],
            );
    }
    match others.first() {
        Some(other) => finding.remedy(
            words!("Create the Service in namespace {other}.", "在命名空间 {other} 中创建该 Service。"),
            [format!("kubectl -n {namespace} get service {name} -o yaml")],
        ),
        None => finding.remedy(
            words!(
                "Create pods with these labels, or correct the selector.",
                "创建带有这些标签的 Pod，或修正 selector。"
            ),
            [view.kubectl("get pods --show-labels"), view.kubectl(&format!("edit service {name}"))],
        ),
    }
}

/// Other namespaces whose pods fit the selector, as far as they were read.
fn selected_elsewhere(view: &View<'_>) -> Vec<String> {
    let selector = Selector::from_map(&view.selector);
    let fits = |pod: &&Pod| pod.metadata.labels.as_ref().is_some_and(|labels| selector.matches(labels));
    let namespaces = view.snapshot.pods.iter().filter(fits).filter_map(|pod| pod.metadata.namespace.clone());
    namespaces.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Label sets that resemble the selector, the nearest first; among equals the one with more pods.
fn candidates(view: &View<'_>) -> Vec<Candidate> {
    let mut found: BTreeMap<Labels, Candidate> = BTreeMap::new();
    let mut add = |labels: &Labels, pod: Option<String>, workload: Option<String>| {
        let Some(near) = nearest::compare(&view.selector, labels) else { return };
        // Labels that the selector does not ask for do not tell candidates apart.
        let shown = labels.iter().filter(|(key, value)| near.found().contains(&format!("{key}={value}")));
        let key: Labels = shown.map(|(key, value)| (key.clone(), value.clone())).collect();
        let (pods, workloads) = (Vec::new(), Vec::new());
        let candidate = found.entry(key).or_insert(Candidate { near, pods, workloads });
        candidate.pods.extend(pod);
        candidate.workloads.extend(workload);
    };
    let no_labels = Labels::new();
    for pod in view.pods().iter().filter(|pod| !portolan_objects::pod::is_terminal(pod)) {
        add(pod.metadata.labels.as_ref().unwrap_or(&no_labels), Some(pod_object(pod)), None);
    }
    for workload in view.workloads().iter().filter(|workload| !workload.owned) {
        add(&workload.labels, None, Some(workload.object()));
    }
    let mut candidates: Vec<Candidate> = found.into_values().collect();
    candidates.iter_mut().for_each(|candidate| candidate.pods.sort());
    candidates.sort_by(|a, b| a.near.cost().total_cmp(&b.near.cost()).then(b.pods.len().cmp(&a.pods.len())));
    candidates
}

fn label_of(view: &View<'_>, object: &str) -> String {
    let pod = view.pods().iter().find(|pod| pod_object(pod) == object);
    pod.and_then(|pod| pod.metadata.labels.as_ref()).map(labels_text).unwrap_or_default()
}

fn template_of(view: &View<'_>, object: &str) -> String {
    let workload = view.workloads().iter().find(|workload| workload.object() == object);
    workload.map(|workload| labels_text(&workload.labels)).unwrap_or_default()
}
