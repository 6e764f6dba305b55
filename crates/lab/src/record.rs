//! What came of one scenario: who noticed it, who named its cause, who cried although nothing was wrong.

use std::collections::BTreeMap;

use portolan_diagnose::{Diagnosis, Snapshot};
use serde::{Deserialize, Serialize};

use crate::{
    baselines,
    scenario::{Expect, Scenario},
};

/// The name of the engine under test among the doctors.
pub const OURS: &str = "portolan";

/// One run, or one snapshot that was judged again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The scenario.
    pub scenario: String,
    /// Its family.
    pub family: String,
    /// For a look-alike: what it looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// The codes of which one is the cause.
    pub expected: Vec<String>,
    /// What each doctor said, in the end.
    pub doctors: BTreeMap<String, Opinion>,
    /// Causes that were named first before the right one was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detours: Vec<String>,
    /// From the fault to its cause being named first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_to_finding: Option<f64>,
    /// From the repair to a clean diagnosis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_to_recovery: Option<f64>,
    /// Reasons that should have appeared and did not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_reasons: Vec<String>,
    /// Why it could not be run, or not to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What one doctor said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opinion {
    /// It said that something is wrong.
    pub noticed: bool,
    /// It named the cause.
    pub named: bool,
    /// It named the cause first. The baselines have no order: one that names it names it first.
    pub first: bool,
    /// Claims that are not true.
    pub wrong: usize,
    /// All it claimed: codes, or sentences of a baseline.
    pub claims: Vec<String>,
}

// === impl Record ===

impl Record {
    /// A record of a scenario that nobody has looked at yet.
    pub fn new(scenario: &Scenario) -> Self {
        let expect = &scenario.expect;
        Self {
            scenario: scenario.name.clone(),
            family: expect.family.clone(),
            like: expect.like.clone(),
            expected: expect.causes().into_iter().map(str::to_owned).collect(),
            doctors: BTreeMap::new(),
            detours: Vec::new(),
            seconds_to_finding: None,
            seconds_to_recovery: None,
            missing_reasons: Vec::new(),
            problem: None,
        }
    }

    /// Takes down what the doctors say of this snapshot.
    pub fn judge(&mut self, expect: &Expect, snapshot: &Snapshot, diagnosis: &Diagnosis) {
        self.doctors.insert(OURS.to_owned(), ours(expect, diagnosis));
        for baseline in baselines::ALL {
            let statements = baseline.look(snapshot, &expect.key());
            self.doctors.insert(baseline.name.to_owned(), theirs(expect, &statements));
        }
    }

    /// Our own doctor's opinion.
    pub fn ours(&self) -> Opinion {
        self.doctors.get(OURS).cloned().unwrap_or_default()
    }

    /// Everything was as it should be.
    pub fn is_as_expected(&self) -> bool {
        let ours = self.ours();
        let right = if self.like.is_some() { !ours.noticed } else { ours.first };
        right && self.problem.is_none() && self.missing_reasons.is_empty()
    }
}

fn ours(expect: &Expect, diagnosis: &Diagnosis) -> Opinion {
    let causes = expect.causes();
    let codes: Vec<&str> = diagnosis.findings.iter().map(|finding| finding.code).collect();
    let is_true = |code: &&&str| causes.contains(*code) || expect.also.iter().any(|also| also == **code);
    Opinion {
        noticed: !codes.is_empty(),
        named: codes.iter().any(|code| causes.contains(code)),
        first: codes.first().is_some_and(|code| causes.contains(code)),
        wrong: codes.iter().filter(|code| !is_true(code)).count(),
        claims: codes.into_iter().map(str::to_owned).collect(),
    }
}

fn theirs(expect: &Expect, statements: &[baselines::Statement]) -> Opinion {
    let causes = expect.causes();
    let names = |statement: &baselines::Statement| statement.causes.iter().any(|cause| causes.contains(cause));
    let named = statements.iter().any(names);
    // A symptom that is really there is no wrong claim; a claim about a Service that is well is.
    let wrong = if expect.like.is_some() { statements.len() } else { 0 };
    let claims = statements.iter().map(|statement| statement.text.clone()).collect();
    Opinion { noticed: !statements.is_empty(), named, first: named, wrong, claims }
}
