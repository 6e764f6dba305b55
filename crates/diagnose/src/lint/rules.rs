//! Every code that the linter can give: its level, what it says, and why it matters. Data for `--rules`, for
//! SARIF and for docs/lint.md; one code has one level.

mod chain;
mod manifests;
mod practices;

use portolan_catalogue::Text;
use serde::Serialize;

use super::Level;

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Stable name.
    pub code: &'static str,
    /// Its level.
    pub level: Level,
    /// What it says.
    pub title: Text,
    /// Why it matters.
    pub why: Text,
}

const fn new(code: &'static str, level: Level, title: [&'static str; 2], why: [&'static str; 2]) -> Rule {
    Rule { code, level, title: Text { en: title[0], zh: title[1] }, why: Text { en: why[0], zh: why[1] } }
}

/// All codes, in groups: files and manifests, the chain from Service to pod, clouds' annotations, practice.
pub const RULES: [&[Rule]; 4] = [manifests::RULES, chain::RULES, manifests::ANNOTATIONS, practices::RULES];

/// The rule of this code.
pub fn rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().flat_map(|group| group.iter()).find(|rule| rule.code == code)
}

/// Whether the code is one of the doctor's that manifests can prove.
pub(super) fn is_of_the_chain(code: &str) -> bool {
    chain::RULES.iter().any(|rule| rule.code == code)
}

/// What `all` and every code of a rule are: something to ignore.
pub(super) fn exists(code: &str) -> bool {
    code == "all" || rule(code).is_some()
}

/// All codes.
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    RULES.iter().flat_map(|group| group.iter()).map(|rule| rule.code)
}

/// The level of a code. A test holds every code that is used to have a rule.
pub(super) fn level(code: &str) -> Level {
    rule(code).map_or(Level::Error, |rule| rule.level)
}
