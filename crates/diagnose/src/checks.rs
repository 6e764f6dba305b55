//! The walk along the chain. Each check is a pure function of the view; this file decides what its outcome means after
//! what came before.

mod address;
mod balancer;
mod existence;
mod pods;
mod policy;
mod ports;
mod readiness;
mod selector;
mod slices;

use crate::{Diagnosis, Evidence, Finding, Link, LinkId, Snapshot, State, Words, view::View, words::words};

/// What one check says.
pub(crate) enum Outcome {
    /// The link holds.
    Ok(Words, Vec<Evidence>),
    /// The link does not hold, and this is why.
    Broken(Box<Finding>),
    /// The link only mirrors the ones before it: a consequence if one of those is broken, else it holds.
    Mirror(Words, Vec<Evidence>),
    /// It does not apply or says nothing.
    Skipped(Words),
}

impl Outcome {
    fn ok(summary: Words) -> Self {
        Self::Ok(summary, Vec::new())
    }

    fn broken(finding: Finding) -> Self {
        Self::Broken(Box::new(finding))
    }
}

type Check = fn(&View<'_>, &mut Vec<Words>) -> Outcome;

/// The chain, in order, with the group of links that each depends on: a broken link makes later ones of its own group
/// consequences. The way to the pods and the way from the outside are two groups.
const CHAIN: [(LinkId, Group, Check); 9] = [
    (LinkId::Service, Group::Endpoints, existence::check),
    (LinkId::Address, Group::Outside, address::check),
    (LinkId::Selector, Group::Endpoints, selector::check),
    (LinkId::Pods, Group::Endpoints, pods::check),
    (LinkId::Readiness, Group::Endpoints, readiness::check),
    (LinkId::Slices, Group::Endpoints, slices::check),
    (LinkId::Ports, Group::Endpoints, ports::check),
    (LinkId::Policy, Group::Endpoints, policy::check),
    (LinkId::LoadBalancer, Group::Outside, balancer::check),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Endpoints,
    Outside,
}

/// Finds the first broken link. Pure: equal snapshots give equal diagnoses.
pub fn diagnose(snapshot: &Snapshot) -> Diagnosis {
    let mut diagnosis = Diagnosis {
        service: snapshot.key().to_string(),
        links: Vec::new(),
        findings: Vec::new(),
        hints: Vec::new(),
        unread: snapshot.unread.clone(),
    };
    let Some(service) = &snapshot.service else {
        let finding = existence::missing(snapshot);
        diagnosis.links.push(broken(&finding));
        let rest = CHAIN.iter().skip(1).map(|(id, _, _)| *id);
        diagnosis.links.extend(rest.map(|id| not_checked(id, words!("there is no Service", "Service 不存在"))));
        diagnosis.findings.push(finding);
        return diagnosis;
    };
    let view = View::new(snapshot, service);
    let mut causes: Vec<(Group, LinkId)> = Vec::new();
    for (id, group, check) in CHAIN {
        let outcome = check(&view, &mut diagnosis.hints);
        let cause = causes.iter().find(|(of, _)| *of == group).map(|(_, id)| *id);
        let link = match (outcome, cause) {
            (Outcome::Ok(summary, evidence), _) | (Outcome::Mirror(summary, evidence), None) => {
                Link { id, state: State::Ok, summary, evidence }
            }
            (Outcome::Mirror(summary, evidence), Some(_)) => Link { id, state: State::Consequence, summary, evidence },
            (Outcome::Skipped(summary), _) => not_checked(id, summary),
            (Outcome::Broken(finding), Some(_)) => Link { state: State::Consequence, ..broken(&finding) },
            (Outcome::Broken(finding), None) => {
                causes.push((group, id));
                let link = broken(&finding);
                diagnosis.findings.push(*finding);
                link
            }
        };
        diagnosis.links.push(link);
    }
    diagnosis
}

fn broken(finding: &Finding) -> Link {
    Link { id: finding.link, state: State::Broken, summary: finding.title.clone(), evidence: finding.evidence.clone() }
}

fn not_checked(id: LinkId, summary: Words) -> Link {
    Link { id, state: State::NotChecked, summary, evidence: Vec::new() }
}
