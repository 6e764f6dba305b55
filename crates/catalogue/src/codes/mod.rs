//! The codes of the doctor's findings: what each means, how it is proven, whom it hurts and what to do.
//!
//! This is the public list of codes: `portolan diagnose` names them, `portolan explain CODE` prints their page, and
//! neither changes meaning between releases. The doctor holds its own list equal to this one by a test.

mod balancers;
mod names;
mod pods;
mod slices;
mod traffic;

use serde::Serialize;

use crate::lang::Text;
use crate::search::{SUGGESTIONS, cost};

/// One kind of finding.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Code {
    /// The code, in kebab case; stable.
    pub code: &'static str,
    /// The link of the chain that is broken.
    pub link: &'static str,
    /// One line, for lists.
    pub title: Text,
    /// What it says about the world.
    pub meaning: Text,
    /// What must be seen before it is said.
    pub proof: Text,
    /// Who is hurt.
    pub impact: Text,
    /// The way out.
    pub remedy: Text,
    /// Events that come with it.
    pub reasons: &'static [&'static str],
    /// The scenario that makes it appear: a folder of `scenarios/`.
    pub scenario: Option<&'static str>,
}

/// Every code, in the order of the links of the chain.
pub fn all() -> impl Iterator<Item = &'static Code> {
    GROUPS.iter().flat_map(|group| group.iter())
}

/// The codes whose names are like `name`, nearest first, five at most.
pub fn nearest(name: &str) -> Vec<&'static Code> {
    let wanted = name.trim().to_ascii_lowercase();
    let mut ranked: Vec<_> = all().filter_map(|code| Some((cost(&wanted, code.code)?, code))).collect();
    ranked.sort_by_key(|(cost, _)| *cost);
    ranked.into_iter().take(SUGGESTIONS).map(|(_, code)| code).collect()
}

/// The code of this name, whatever its case.
pub fn find(name: &str) -> Option<&'static Code> {
    let name = name.trim();
    all().find(|known| known.code.eq_ignore_ascii_case(name))
}

const GROUPS: &[&[Code]] = &[names::CODES, balancers::CODES, pods::CODES, slices::CODES, traffic::CODES];
