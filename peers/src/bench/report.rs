//! The results as JSON and as a table.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::json;

use super::{Contestant, Measured, Options, Record, Set, machine::Machine};
use crate::side::Places;

/// Takes a number out of a run, if that run measured it.
type Read = Box<dyn Fn(&Record) -> Option<f64>>;

/// One line of the table: a number of a run, and what it is meant to be.
struct Measure {
    name: String,
    unit: &'static str,
    of: Read,
    goal: Option<Goal>,
}

#[derive(Clone, Copy)]
enum Goal {
    /// Upstream's number divided by ours: at least.
    Times(f64),
    /// Our own number: at most.
    AtMost(f64),
}

fn measure(
    name: &str,
    unit: &'static str,
    goal: Option<Goal>,
    of: impl Fn(&Record) -> Option<f64> + 'static,
) -> Measure {
    Measure { name: name.to_owned(), unit, of: Box::new(of), goal }
}

fn measures(options: &Options) -> Vec<Measure> {
    let first = |of: fn(&super::FirstSync) -> f64| {
        move |record: &Record| match &record.measured {
            Measured::Services { first_sync, .. } => Some(of(first_sync)),
            Measured::Rolling(_) => None,
        }
    };
    let mut all = vec![
        measure("first sync", "s", Some(Goal::Times(5.0)), first(|sync| sync.seconds)),
        measure("first sync, CPU", "s", None, first(|sync| sync.cpu_seconds)),
        measure("first sync, most memory", "MiB", Some(Goal::Times(4.0)), first(|sync| sync.peak_mib)),
        measure("memory at rest after it", "MiB", Some(Goal::Times(4.0)), first(|sync| sync.rest_mib)),
        measure("first sync, slice writes", "", None, first(|sync| sync.writes as f64)),
    ];
    for rate in options.rates.clone() {
        let latency = |of: fn(&super::Latency) -> f64| {
            move |record: &Record| match &record.measured {
                Measured::Services { latencies, .. } => latencies.iter().find(|latency| latency.rate == rate).map(of),
                Measured::Rolling(_) => None,
            }
        };
        let name = |what: &str| format!("pod to slice at {rate}/s, {what}");
        all.push(measure(&name("p50"), "ms", None, latency(|latency| latency.p50_ms)));
        all.push(measure(&name("p99"), "ms", Some(Goal::Times(3.0)), latency(|latency| latency.p99_ms)));
        all.push(measure(&name("CPU"), "s", None, latency(|latency| latency.cpu_seconds)));
        all.push(measure(&name("rate reached"), "/s", None, latency(|latency| latency.reached)));
        all.push(measure(&name("lost"), "", None, latency(|latency| latency.lost as f64)));
    }
    for batch in options.batches.clone() {
        let rolling = |of: fn(&super::Rolling) -> f64| {
            move |record: &Record| match &record.measured {
                Measured::Rolling(rolling) => Some(of(rolling)).filter(|_| record.case.batch == batch),
                Measured::Services { .. } => None,
            }
        };
        let name = |what: &str| format!("rolling update, batch period {batch} ms, {what}");
        all.extend([
            measure(&name("slice writes"), "", None, rolling(|rolling| rolling.writes as f64)),
            measure(&name("writes / least"), "x", Some(Goal::AtMost(1.1)), rolling(|rolling| rolling.ratio)),
            measure(&name("time"), "s", None, rolling(|rolling| rolling.seconds)),
            measure(&name("CPU"), "s", None, rolling(|rolling| rolling.cpu_seconds)),
            measure(&name("most memory"), "MiB", Some(Goal::Times(4.0)), rolling(|rolling| rolling.peak_mib)),
            measure(&name("slices at the end"), "", None, rolling(|rolling| rolling.slices as f64)),
        ]);
    }
    all
}

/// Writes `bench.json` and `bench.md`, and returns the latter.
pub fn write(options: &Options, records: &[Record], places: &Places) -> Result<String> {
    let machine = Machine::this(places);
    let text = markdown(options, records, &machine);
    let data = json!({"date": options.date, "machine": machine, "options": options, "records": records});
    let data = serde_json::to_string_pretty(&data).context("results that are no JSON")?;
    for (name, content) in [("bench.json", &data), ("bench.md", &text)] {
        let file = places.out.join(name);
        std::fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(text)
}

fn markdown(options: &Options, records: &[Record], machine: &Machine) -> String {
    let mut text = format!(
        "# Controllers beside kube-controller-manager, {}\n\n\
         {}, {} cores, {} GiB, Linux {}. {}; {}.\n\n\
         A real etcd and kube-apiserver for every run, started from a copy of one directory; contestants one after the other in\n\
         alternating order; medians of {} rounds (default rates: one). First sync: {} Services x {} pods, {} Services in a namespace,\n\
         from the start of the process until a watcher has every slice. Pod to slice: from the API server's answer to the change of\n\
         readiness until a watcher has the slice. Rolling update: {} pods of one Service in waves of {}; the least number of writes\n\
         is what the stages need, with the slices of each contestant, if every stage is shown at once. \"x\" is upstream's number divided by ours.\n",
        options.date,
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.portolan,
        machine.kubernetes,
        options.rounds,
        options.services,
        options.pods,
        super::load::SERVICES_PER_NAMESPACE,
        options.rolling,
        options.wave,
    );
    for set in &options.sets {
        table(&mut text, options, records, *set);
    }
    text
}

fn table(text: &mut String, options: &Options, records: &[Record], set: Set) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## {}\n\n| |", set.name());
    for contestant in &options.contestants {
        let _ = write!(text, " {} |", contestant.name());
    }
    let others: Vec<Contestant> =
        options.contestants.iter().copied().filter(|contestant| *contestant != Contestant::Portolan).collect();
    for other in &others {
        let _ = write!(text, " x {} |", other.name());
    }
    let _ = write!(text, " goal |\n|---|{}\n", "---:|".repeat(options.contestants.len() + others.len() + 1));
    for measure in measures(options) {
        let value = |contestant: Contestant| median(records, contestant, set, &*measure.of);
        if options.contestants.iter().all(|contestant| value(*contestant).is_none()) {
            continue;
        }
        let _ = write!(text, "| {} |", measure.name);
        for contestant in &options.contestants {
            let _ =
                write!(text, " {} |", value(*contestant).map_or("-".to_owned(), |value| number(value, measure.unit)));
        }
        let ours = value(Contestant::Portolan);
        for other in &others {
            let times = ours.zip(value(*other)).filter(|(ours, _)| *ours > 0.0).map(|(ours, theirs)| theirs / ours);
            let _ = write!(text, " {} |", times.map_or("-".to_owned(), |times| format!("{times:.1}")));
        }
        let raised = ours.zip(value(Contestant::KcmRaised)).map(|(ours, theirs)| theirs / ours);
        let _ = writeln!(text, " {} |", measure.goal.map_or(String::new(), |goal| verdict(goal, ours, raised)));
    }
}

fn verdict(goal: Goal, ours: Option<f64>, times: Option<f64>) -> String {
    let (wanted, met) = match goal {
        Goal::Times(least) => (format!(">= {least:.0} x"), times.map(|times| times >= least)),
        Goal::AtMost(most) => (format!("<= {most} x"), ours.map(|ours| ours <= most)),
    };
    match met {
        Some(true) => format!("{wanted}: met"),
        Some(false) => format!("{wanted}: not met"),
        None => wanted,
    }
}

fn median(records: &[Record], contestant: Contestant, set: Set, of: &dyn Fn(&Record) -> Option<f64>) -> Option<f64> {
    let mine = records.iter().filter(|record| record.case.contestant == contestant && record.case.set == set);
    let mut values: Vec<f64> = mine.filter_map(of).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        Some((values.get(middle.checked_sub(1)?)? + values.get(middle)?) / 2.0)
    } else {
        values.get(middle).copied()
    }
}

fn number(value: f64, unit: &str) -> String {
    let digits = match value {
        value if value >= 100.0 || value.fract() == 0.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Case, phases::Rolling};

    fn record(contestant: Contestant, ratio: f64) -> Record {
        let rolling =
            Rolling { pods: 1, seconds: 1.0, writes: 1, least: 1, ratio, cpu_seconds: 1.0, peak_mib: 1.0, slices: 1 };
        Record { round: 1, case: Case { contestant, set: Set::Slices, batch: 0 }, measured: Measured::Rolling(rolling) }
    }

    fn ratio(record: &Record) -> Option<f64> {
        match &record.measured {
            Measured::Rolling(rolling) => Some(rolling.ratio),
            Measured::Services { .. } => None,
        }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let records = [1.0, 9.0, 2.0, 4.0].map(|value| record(Contestant::Portolan, value));
        assert_eq!(median(&records, Contestant::Portolan, Set::Slices, &ratio), Some(3.0));
        assert_eq!(median(&records[..3], Contestant::Portolan, Set::Slices, &ratio), Some(2.0));
        assert_eq!(median(&records, Contestant::KcmRaised, Set::Slices, &ratio), None);
    }

    #[test]
    fn a_goal_is_said_to_be_missed_when_it_is() {
        assert_eq!(verdict(Goal::AtMost(1.1), Some(1.2), None), "<= 1.1 x: not met");
        assert_eq!(verdict(Goal::Times(5.0), Some(1.0), Some(5.0)), ">= 5 x: met");
        assert_eq!(verdict(Goal::Times(5.0), None, None), ">= 5 x");
    }
}
