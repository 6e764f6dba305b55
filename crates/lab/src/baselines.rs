//! Two well-known checkers, re-expressed as small rule sets over the same snapshots, to have something to compare with.
//!
//! Each rule says what its original says, with the original's file in a comment; the code and the words are our own.
//! What a rule's statement *is the cause of* is a list of codes beside it. The reading is generous: a statement counts
//! as naming the cause if an operator who reads it knows what to change; a statement that only repeats the symptom (no
//! ready endpoints) names nothing but still counts as having noticed. Statements that claim no fault at all (advice on
//! cost, on named ports, on a single endpoint) are not counted on either side.

mod k8sgpt;
mod popeye;

use portolan_diagnose::Snapshot;
use portolan_objects::ObjectKey;

/// One thing that a checker says of one Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// In our words.
    pub text: String,
    /// The causes that it names; none if it only tells the symptom.
    pub causes: Vec<&'static str>,
}

impl Statement {
    fn new(text: impl Into<String>, causes: &[&'static str]) -> Self {
        Self { text: text.into(), causes: causes.to_vec() }
    }
}

/// A checker.
#[derive(Debug, Clone, Copy)]
pub struct Baseline {
    /// Its name.
    pub name: &'static str,
    look: fn(&Snapshot, &ObjectKey) -> Vec<Statement>,
}

/// Both.
pub const ALL: [Baseline; 2] =
    [Baseline { name: "k8sgpt", look: k8sgpt::look }, Baseline { name: "popeye", look: popeye::look }];

impl Baseline {
    /// What it says of the Service.
    pub fn look(&self, snapshot: &Snapshot, service: &ObjectKey) -> Vec<Statement> {
        (self.look)(snapshot, service)
    }
}

/// The causes behind which a selector finds no pod.
const NO_POD: &[&str] = &["selector-matches-no-pod", "selector-in-other-namespace", "namespace-without-pods"];

#[cfg(test)]
mod tests;
