//! The doctor's chart, walked over manifests: what its checks find broken although everything else went as well as it can.
//!
//! The manifests become a snapshot of the cluster that they would make: every workload has one pod, running, ready, with
//! an address, and in the slices of its Services; every Service has its addresses. What is not in these files is taken
//! to be well too: a Service that selects nothing here gets a pod that fits it. So what a check still
//! finds is in the manifests themselves. Only codes that manifests can prove are passed on.

mod meant;
mod wouldbe;

use std::collections::HashSet;

use portolan_objects::service;

use super::{
    Sink, rules,
    world::{Maker, Served, World},
};
use crate::{Ask, Evidence, Finding, Index, checks::diagnose, view::labels_text, words::words};
pub(super) use meant::slip;
use wouldbe::WouldBe;

pub(super) fn check(world: &World<'_>, sink: &mut Sink) {
    let mut would_be = WouldBe::default();
    let mut behind: HashSet<*const Maker<'_>> = HashSet::new();
    let mut unmatched = Vec::new();
    let mut seen = HashSet::new();
    let once = world.services.iter().filter(|served| seen.insert(&served.object.key));
    let served: Vec<&Served<'_>> = once.collect();
    for served in &served {
        let makers = world.behind(served);
        would_be.service(served, &makers);
        if makers.is_empty() && service::selector(&served.service).is_some() {
            unmatched.push(*served);
        }
        behind.extend(makers.into_iter().map(std::ptr::from_ref));
    }
    would_be.policies(world);
    let snapshot = would_be.finish();
    let index = Index::new(&snapshot);
    for served in &served {
        for finding in diagnose(&index, &served.object.key, &Ask::default()).findings {
            pass_on(world, served, &finding, sink);
        }
    }
    let orphans = meant::Orphans::new(world, |maker| behind.contains(&std::ptr::from_ref(maker)));
    for served in unmatched {
        selects_nothing(world, served, &orphans, sink);
    }
}

/// A finding that manifests prove; the level and the existence of the rule say which those are.
fn pass_on(world: &World<'_>, served: &Served<'_>, finding: &Finding, sink: &mut Sink) {
    if !rules::is_of_the_chain(finding.code) {
        return;
    }
    let remedy = finding.remedies.first().map(|remedy| remedy.what.clone());
    let namespace = &served.object.key.namespace;
    // The Service's own field if the evidence has one: that is what whoever wrote it can change.
    let own = format!("service/{}", served.object.key.name);
    let evidence = finding.evidence.iter();
    let other = evidence.clone().find(|evidence| finding.subject.as_ref() == Some(&evidence.object));
    if let Some((object, evidence)) =
        other.and_then(|evidence| Some((world.named(namespace, &evidence.object)?, evidence)))
    {
        return sink.about(finding.code, object, path(evidence), finding.title.clone(), remedy);
    }
    let field = evidence.clone().find(|evidence| evidence.object == own).map(path).unwrap_or_default();
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
        meant::Meant::Nothing => sink.unknown("pods of Service", &served.object.key),
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
