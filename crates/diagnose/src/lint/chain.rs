//! The doctor's chart, walked over manifests: what its checks find broken although everything else went as well as it can.
//!
//! The manifests become a snapshot of the cluster that they would make: every workload has one pod, running, ready, with
//! an address, and in the slices of its Services; every Service has its addresses. What is not in these files is taken
//! to be well too: a Service that selects nothing here gets a pod that fits it. So what a check still
//! finds is in the manifests themselves. Only codes that manifests can prove are passed on.

mod meant;
mod wouldbe;

use std::collections::{HashMap, HashSet};

use portolan_objects::{ObjectKey, service};

use super::{
    Sink, Unknown, rules,
    world::{Maker, Served, World},
};
use crate::{Ask, Evidence, Finding, Index, checks::diagnose, view::labels_text, words::words};
pub(super) use meant::slip;
use wouldbe::WouldBe;

pub(super) fn check(world: &World<'_>, sink: &mut Sink) {
    let behind = rounds(world).iter().map(|round| walk(world, round, sink)).reduce(|mut all, one| {
        all.extend(one);
        all
    });
    let behind = behind.unwrap_or_default();
    let orphans = meant::Orphans::new(world, |maker| behind.contains(&std::ptr::from_ref(maker)));
    for served in &world.services {
        if service::selector(&served.service).is_some() && world.behind(served).is_empty() {
            selects_nothing(world, served, &orphans, sink);
        }
    }
}

/// Services that can be in one cluster together: a key that several files have (one for each environment) comes once in
/// each round.
fn rounds<'a>(world: &'a World<'a>) -> Vec<Vec<&'a Served<'a>>> {
    let mut rounds: Vec<Vec<&Served<'_>>> = Vec::new();
    let mut seen: HashMap<&ObjectKey, usize> = HashMap::new();
    for served in &world.services {
        let round = seen.entry(&served.object.key).or_default();
        if *round == rounds.len() {
            rounds.push(Vec::new());
        }
        rounds[*round].push(served);
        *round += 1;
    }
    rounds
}

/// Walks the chart of every Service of one round; gives the makers that are behind one.
fn walk<'a>(world: &World<'a>, round: &[&Served<'_>], sink: &mut Sink) -> HashSet<*const Maker<'a>> {
    let mut would_be = WouldBe::default();
    let mut behind = HashSet::new();
    for served in round {
        let makers = world.behind(served);
        would_be.service(served, &makers);
        behind.extend(makers.into_iter().map(std::ptr::from_ref));
    }
    would_be.policies(world);
    let snapshot = would_be.finish();
    let index = Index::new(&snapshot);
    for served in round {
        for finding in diagnose(&index, &served.object.key, &Ask::default()).findings {
            pass_on(served, &finding, sink);
        }
    }
    behind
}

/// A finding that manifests prove; that it has a rule says so.
fn pass_on(served: &Served<'_>, finding: &Finding, sink: &mut Sink) {
    if !rules::is_of_the_chain(finding.code) {
        return;
    }
    let remedy = finding.remedies.first().map(|remedy| remedy.what.clone());
    // The Service's own field: that is what whoever wrote it can change.
    let own = format!("service/{}", served.object.key.name);
    let field = finding.evidence.iter().find(|evidence| evidence.object == own).map(path).unwrap_or_default();
    sink.about(finding.code, served.object, field, finding.title.clone(), remedy);
}

/// The field of a piece of evidence; `[*]` names no line.
fn path(evidence: &Evidence) -> &str {
    evidence.field.split("[*]").next().unwrap_or_default()
}

/// A selector that fits nothing in these files: wrong only if they hold what it means.
fn selects_nothing(world: &World<'_>, served: &Served<'_>, orphans: &meant::Orphans<'_>, sink: &mut Sink) {
    let Some(asked) = served.service.spec.as_ref().and_then(|spec| spec.selector.as_ref()) else { return };
    let text = labels_text(asked);
    let field = "spec.selector";
    match orphans.meant_by(world, served, asked) {
        meant::Meant::Nothing => {
            sink.unknown.insert(Unknown::PodsOf(served.object.key.to_string()));
        }
        meant::Meant::Elsewhere(maker) => {
            let (object, namespace) = (maker.object, &maker.object.key.namespace);
            let message = words!(
                "selector {text} fits the pods of {object}, which are in namespace {namespace}",
                "selector {text} 匹配 {object} 的 Pod，而它们在命名空间 {namespace}"
            );
            let remedy = words!(
                "Give both the same metadata.namespace; a Service selects in its own only.",
                "让二者的 metadata.namespace 相同；Service 只能选择本命名空间的 Pod。"
            );
            sink.about("selector-in-other-namespace", served.object, field, message, Some(remedy));
        }
        meant::Meant::This(maker, near) => {
            let object = maker.object;
            let labels = maker.labels().map(labels_text).unwrap_or_default();
            let message = words!(
                "selector {text} matches no pod; {object} makes pods with {labels}",
                "selector {text} 没有匹配任何 Pod；{object} 创建的 Pod 带有 {labels}"
            );
            let right = near.map(|near| near.found().join(",")).filter(|right| !right.is_empty());
            let remedy = match right {
                Some(right) => words!("Is {right} meant?", "是否应为 {right}？"),
                None => words!("Make selector and labels agree.", "让 selector 与标签一致。"),
            };
            sink.about("selector-matches-no-pod", served.object, field, message, Some(remedy));
        }
    }
}
