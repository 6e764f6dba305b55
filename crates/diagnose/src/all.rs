//! All Services at once. What several of them suffer from together is told once.

use std::{collections::BTreeMap, num::NonZero, thread};

use portolan_objects::ObjectKey;
use serde::Serialize;

use crate::{Ask, Diagnosis, Finding, Index, Snapshot, Unread, checks::diagnose};

/// What was found about all Services of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Services that were looked at.
    pub services: usize,
    /// Those of them without a finding.
    pub healthy: usize,
    /// The causes, those with the most victims first.
    pub causes: Vec<Cause>,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

/// A cause and whom it hurts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The finding; its evidence is that of the first Service.
    #[serde(flatten)]
    pub finding: Finding,
    /// The Services, as `NAMESPACE/NAME`.
    pub services: Vec<String>,
}

impl Report {
    /// As [`Diagnosis::exit_code`], for all.
    pub fn exit_code(&self) -> u8 {
        match (self.causes.is_empty(), self.unread.iter().any(|unread| unread.essential)) {
            (false, _) => 1,
            (true, true) => 2,
            (true, false) => 0,
        }
    }
}

/// Diagnoses every Service of the snapshot that `wanted` accepts, on all processors.
pub fn diagnose_all(snapshot: &Snapshot, wanted: impl Fn(&ObjectKey) -> bool) -> Report {
    let index = Index::new(snapshot);
    let mut keys: Vec<ObjectKey> = snapshot.services.iter().map(ObjectKey::of).filter(wanted).collect();
    keys.sort();
    let findings = findings(&index, &keys);
    let healthy = findings.iter().filter(|findings| findings.is_empty()).count();
    Report { services: keys.len(), healthy, causes: causes(&keys, findings), unread: snapshot.unread.clone() }
}

/// The findings of each Service, in the order of the keys.
fn findings(index: &Index<'_>, keys: &[ObjectKey]) -> Vec<Vec<Finding>> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let share = keys.len().div_ceil(workers).max(1);
    let ask = Ask::default();
    let look = |keys: &[ObjectKey]| -> Vec<Vec<Finding>> {
        keys.iter().map(|key| diagnose(index, key, &ask)).map(|Diagnosis { findings, .. }| findings).collect()
    };
    thread::scope(|scope| {
        let parts: Vec<_> = keys.chunks(share).map(|keys| scope.spawn(move || look(keys))).collect();
        // A panic of a worker is a panic of ours.
        let join = |part: thread::ScopedJoinHandle<'_, _>| {
            part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        parts.into_iter().flat_map(join).collect()
    })
}

/// Findings with the same code about the same object are one cause.
fn causes(keys: &[ObjectKey], findings: Vec<Vec<Finding>>) -> Vec<Cause> {
    let mut causes: BTreeMap<(&'static str, String), Cause> = BTreeMap::new();
    for (key, findings) in keys.iter().zip(findings) {
        for finding in findings {
            let subject = finding.subject.clone().unwrap_or_else(|| key.to_string());
            let cause = causes.entry((finding.code, subject)).or_insert(Cause { finding, services: Vec::new() });
            cause.services.push(key.to_string());
        }
    }
    let mut causes: Vec<Cause> = causes.into_values().collect();
    causes.iter_mut().for_each(|cause| cause.services.dedup());
    causes.sort_by(|a, b| b.services.len().cmp(&a.services.len()).then_with(|| a.services.cmp(&b.services)));
    causes
}
