//! The sum of many records: how much is found, how often nobody should have cried, how fast it goes.
//!
//! | figure | of | is |
//! |---|---|---|
//! | noticed | faults | something was claimed |
//! | recall | faults | the cause was named |
//! | first | faults | the cause was named first |
//! | precision | claims | they are true |
//! | false positives | look-alikes | something was claimed |
//!
//! A scenario that could not be run is in none of them; it is listed, and the score does not count as reached.

mod render;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::record::{OURS, Opinion, Record};

pub use render::{markdown, text};

/// What the engine should reach.
pub const GOALS: Goals = Goals { recall: 0.97, false_positives: 0.01, first: 0.95 };

/// Figures to reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Goals {
    /// At least.
    pub recall: f64,
    /// At most.
    pub false_positives: f64,
    /// At least.
    pub first: f64,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// What there was to reach.
    pub goals: Goals,
    /// Whether it was.
    pub reached: bool,
    /// One family each.
    pub families: Vec<Row>,
    /// All families.
    pub total: Row,
    /// The single runs.
    pub records: Vec<Record>,
}

/// A family.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its name.
    pub family: String,
    /// Faults in it.
    pub faults: usize,
    /// Look-alikes in it.
    pub look_alikes: usize,
    /// What could not be run.
    pub not_run: usize,
    /// By doctor.
    pub doctors: BTreeMap<String, Figures>,
    /// Seconds from the fault to its cause being named first, half of the time.
    pub median_seconds: Option<f64>,
    /// The same, 95 of 100 times.
    pub p95_seconds: Option<f64>,
}

/// How one doctor did; `None` where there was nothing to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Share of faults.
    pub noticed: Option<f64>,
    /// Share of faults.
    pub recall: Option<f64>,
    /// Share of faults.
    pub first: Option<f64>,
    /// Share of claims.
    pub precision: Option<f64>,
    /// Share of look-alikes.
    pub false_positives: Option<f64>,
}

// === impl Score ===

impl Score {
    /// Sums up.
    pub fn of(records: Vec<Record>) -> Self {
        let mut families: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in &records {
            families.entry(&record.family).or_default().push(record);
        }
        let families: Vec<Row> = families.into_iter().map(|(family, records)| row(family, &records)).collect();
        let total = row("total", &records.iter().collect::<Vec<_>>());
        let reached = reached(&total);
        Self { goals: GOALS, reached, families, total, records }
    }
}

fn reached(total: &Row) -> bool {
    let ours = total.doctors.get(OURS).copied().unwrap_or_default();
    total.not_run == 0
        && ours.recall.is_none_or(|share| share >= GOALS.recall)
        && ours.first.is_none_or(|share| share >= GOALS.first)
        && ours.false_positives.is_none_or(|share| share <= GOALS.false_positives)
}

fn row(family: &str, records: &[&Record]) -> Row {
    let (judged, not_run): (Vec<&Record>, Vec<&Record>) =
        records.iter().copied().partition(|record| !record.doctors.is_empty());
    let (look_alikes, faults): (Vec<&Record>, Vec<&Record>) =
        judged.into_iter().partition(|record| record.like.is_some());
    let mut names: Vec<&String> = records.iter().flat_map(|record| record.doctors.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let doctors = names.into_iter().map(|name| (name.clone(), figures(name, &faults, &look_alikes))).collect();
    let mut times: Vec<f64> = faults.iter().filter_map(|record| record.seconds_to_finding).collect();
    times.sort_by(f64::total_cmp);
    Row {
        family: family.to_owned(),
        faults: faults.len(),
        look_alikes: look_alikes.len(),
        not_run: not_run.len(),
        doctors,
        median_seconds: percentile(&times, 50),
        p95_seconds: percentile(&times, 95),
    }
}

fn figures(name: &str, faults: &[&Record], look_alikes: &[&Record]) -> Figures {
    let opinions = |records: &[&Record]| -> Vec<Opinion> {
        records.iter().map(|record| record.doctors.get(name).cloned().unwrap_or_default()).collect()
    };
    let (of_faults, of_look_alikes) = (opinions(faults), opinions(look_alikes));
    let share_of = |opinions: &[Opinion], is: fn(&Opinion) -> bool| {
        share(opinions.iter().filter(|opinion| is(opinion)).count(), opinions.len())
    };
    let all = || of_faults.iter().chain(&of_look_alikes);
    let claims: usize = all().map(|opinion| opinion.claims.len()).sum();
    let wrong: usize = all().map(|opinion| opinion.wrong).sum();
    Figures {
        noticed: share_of(&of_faults, |opinion| opinion.noticed),
        recall: share_of(&of_faults, |opinion| opinion.named),
        first: share_of(&of_faults, |opinion| opinion.first),
        precision: share(claims.saturating_sub(wrong), claims),
        false_positives: share_of(&of_look_alikes, |opinion| opinion.noticed),
    }
}

#[allow(clippy::cast_precision_loss)] // Numbers of scenarios.
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The smallest value that `percent` of all do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn record(name: &str, like: bool, opinion: Opinion, seconds: Option<f64>) -> Record {
        Record {
            scenario: name.to_owned(),
            family: "selector".to_owned(),
            like: like.then(|| "other".to_owned()),
            expected: Vec::new(),
            doctors: BTreeMap::from([(OURS.to_owned(), opinion)]),
            detours: Vec::new(),
            seconds_to_finding: seconds,
            seconds_to_recovery: None,
            missing_reasons: Vec::new(),
            problem: None,
        }
    }

    fn opinion(named: bool, first: bool, claims: usize, wrong: usize) -> Opinion {
        Opinion { noticed: claims > 0, named, first, wrong, claims: vec!["claim".to_owned(); claims] }
    }

    #[test]
    fn figures_are_shares_of_what_they_are_about() {
        let mut not_run = record("d", false, Opinion::default(), None);
        not_run.doctors.clear();
        let score = Score::of(vec![
            record("a", false, opinion(true, true, 1, 0), Some(1.0)),
            record("b", false, opinion(true, false, 2, 1), Some(3.0)),
            record("c", false, opinion(false, false, 0, 0), None),
            record("c-healthy", true, opinion(false, false, 1, 1), None),
            record("a-healthy", true, opinion(false, false, 0, 0), None),
            not_run,
        ]);
        let total = &score.total;
        assert_eq!((total.faults, total.look_alikes, total.not_run), (3, 2, 1));
        let ours = total.doctors[OURS];
        assert_eq!(ours.recall, Some(2.0 / 3.0));
        assert_eq!(ours.first, Some(1.0 / 3.0));
        assert_eq!(ours.precision, Some(0.5));
        assert_eq!(ours.false_positives, Some(0.5));
        assert_eq!((total.median_seconds, total.p95_seconds), (Some(1.0), Some(3.0)));
        assert!(!score.reached);
        assert!(Score::of(vec![record("a", false, opinion(true, true, 1, 0), Some(1.0))]).reached);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 95)), (Some(50.0), Some(95.0)));
        assert_eq!(percentile(&[], 95), None);
        assert_eq!(percentile(&[7.0], 50), Some(7.0));
    }
}
