//! The walk along the chain. Each check is a pure function of the view; this file decides what its outcome means after
//! what came before.

mod address;
pub(crate) mod alias;
pub(crate) mod balancer;
mod caller;
mod conntrack;
mod existence;
mod maker;
pub(crate) mod name;
mod network_policy;
mod pods;
mod policy;
mod ports;
mod probe;
mod proxy;
mod readiness;
mod selector;
mod slices;
mod socket;
mod source_ranges;
mod topology;
mod trouble;
pub(crate) mod ways;

use portolan_objects::ObjectKey;

use crate::{
    Ask, Diagnosis, Evidence, Finding, From, Index, Link, LinkId, State, Unread, Words, view::View, words::words,
};

/// What one check says.
pub(crate) enum Outcome {
    /// The link holds.
    Ok(Words, Vec<Evidence>),
    /// The link does not hold, for these reasons: at least one, and none of them follows from another.
    Broken(Vec<Finding>),
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
        Self::Broken(vec![finding])
    }
}

type Check = fn(&View<'_>, &mut Vec<Words>) -> Outcome;

/// One link of the chart.
struct Step {
    id: LinkId,
    /// Links whose break explains this one's: then it is a consequence and no cause of its own. Transitive.
    follows: &'static [LinkId],
    check: Check,
}

const fn step(id: LinkId, follows: &'static [LinkId], check: Check) -> Step {
    Step { id, follows, check }
}

/// The chart, in the order in which it is shown.
const CHART: &[Step] = &[
    step(LinkId::Service, &[], existence::check),
    step(LinkId::Name, &[LinkId::Service], name::check),
    step(LinkId::Address, &[LinkId::Service], address::check),
    step(LinkId::LoadBalancer, &[LinkId::Service], balancer::check),
    step(LinkId::Selector, &[LinkId::Service], selector::check),
    step(LinkId::Pods, &[LinkId::Selector], pods::check),
    step(LinkId::Readiness, &[LinkId::Pods], readiness::check),
    step(LinkId::Slices, &[LinkId::Readiness], slices::check),
    step(LinkId::Ports, &[LinkId::Slices], ports::check),
    step(LinkId::Policy, &[LinkId::Ports], policy::check),
    step(LinkId::NetworkPolicy, &[LinkId::Ports], network_policy::check),
    step(LinkId::Topology, &[LinkId::Ports], topology::check),
    step(LinkId::SourceRanges, &[LinkId::Service], source_ranges::check),
    step(LinkId::Proxy, &[LinkId::Address], proxy::check),
    step(LinkId::Conntrack, &[LinkId::Proxy], conntrack::check),
    step(LinkId::Socket, &[LinkId::Ports], socket::check),
    step(LinkId::Probe, &[LinkId::Policy, LinkId::NetworkPolicy, LinkId::Conntrack, LinkId::Socket], probe::check),
];

/// Findings are told in this order, the most causal first: a link never comes before one that it follows.
fn causal_order() -> Vec<LinkId> {
    let mut order: Vec<LinkId> = Vec::new();
    while order.len() < CHART.len() {
        let next = CHART
            .iter()
            .find(|step| !order.contains(&step.id) && step.follows.iter().all(|before| order.contains(before)));
        // A circle is a mistake in the table; a test says so.
        let Some(step) = next else { break };
        order.push(step.id);
    }
    order
}

/// Whether a broken link among `broken` explains a break of `id`.
fn explained(id: LinkId, broken: &[LinkId]) -> bool {
    let follows = CHART.iter().find(|step| step.id == id).map_or(&[][..], |step| step.follows);
    follows.iter().any(|before| broken.contains(before) || explained(*before, broken))
}

/// A caller that is not there cannot be answered for.
fn unknown_caller(index: &Index<'_>, ask: &Ask) -> Option<Unread> {
    let From::Pod(caller) = &ask.from else { return None };
    let why = format!("there is no pod {caller}, or it is not in what was read");
    index.pod(caller).is_none().then(|| Unread { what: "the caller".to_owned(), why, essential: true })
}

/// Walks one Service's chart. Pure: equal snapshots give equal diagnoses.
pub fn diagnose(index: &Index<'_>, key: &ObjectKey, ask: &Ask) -> Diagnosis {
    let mut diagnosis = Diagnosis {
        service: key.to_string(),
        links: Vec::new(),
        findings: Vec::new(),
        hints: Vec::new(),
        unread: index.snapshot.unread.clone(),
    };
    diagnosis.unread.extend(unknown_caller(index, ask));
    let Some(service) = index.service(key) else {
        let finding = existence::missing(index, key);
        diagnosis.links.push(broken(LinkId::Service, &finding));
        let rest = CHART.iter().skip(1).map(|step| step.id);
        diagnosis.links.extend(rest.map(|id| not_checked(id, words!("there is no Service", "Service 不存在"))));
        diagnosis.findings.push(finding);
        return diagnosis;
    };
    let view = View::new(index, key.clone(), service, ask);
    let outcomes: Vec<(LinkId, Outcome)> =
        CHART.iter().map(|step| (step.id, (step.check)(&view, &mut diagnosis.hints))).collect();
    let breaks = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Broken(_)));
    let breaks: Vec<LinkId> = breaks.map(|(id, _)| *id).collect();
    for (id, outcome) in outcomes {
        let follows = explained(id, &breaks);
        let link = match outcome {
            Outcome::Mirror(summary, evidence) if follows => Link { id, state: State::Consequence, summary, evidence },
            Outcome::Ok(summary, evidence) | Outcome::Mirror(summary, evidence) => {
                Link { id, state: State::Ok, summary, evidence }
            }
            Outcome::Skipped(summary) => not_checked(id, summary),
            Outcome::Broken(findings) => {
                let state = if follows { State::Consequence } else { State::Broken };
                // At least one, as the type says.
                let Some(first) = findings.first() else { continue };
                let link = Link { state, ..broken(id, first) };
                if !follows {
                    diagnosis.findings.extend(findings);
                }
                link
            }
        };
        diagnosis.links.push(link);
    }
    let order = causal_order();
    diagnosis.findings.sort_by_key(|finding| order.iter().position(|id| *id == finding.link));
    diagnosis
}

fn broken(id: LinkId, finding: &Finding) -> Link {
    Link { id, state: State::Broken, summary: finding.title.clone(), evidence: finding.evidence.clone() }
}

fn not_checked(id: LinkId, summary: Words) -> Link {
    Link { id, state: State::NotChecked, summary, evidence: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_has_no_circle_and_every_link_once() {
        assert_eq!(causal_order().len(), CHART.len());
    }
}
