//! All scenarios, or some, and the sum of it.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::StreamExt;
use portolan_diagnose::Snapshot;
use portolan_lab::{
    look,
    record::Record,
    runner::{self, Ran, Settings},
    scenario::Scenario,
    score::{self, Score},
};

use super::{Source, choose, program, runtime, until_stopped};
use crate::{COULD_NOT_LOOK, cli::Paper, output};

/// Runs scenarios and sums up: recall, precision, false positives, time to the finding, beside two other checkers
///
/// Each scenario has a network of its own. Exit code 0: the goals are reached; 1: they are not; 2: some scenario could not
/// be run.
#[derive(Debug, Args)]
pub(super) struct ScoreOptions {
    /// Only these scenarios.
    names: Vec<String>,
    /// Only this family.
    #[arg(long)]
    family: Option<String>,
    /// How many networks run at the same time.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Paper::Text)]
    output: Paper,
    /// Keep the snapshot and the record of each run here.
    #[arg(long, value_name = "DIR", conflicts_with = "from")]
    keep: Option<PathBuf>,
    /// Run nothing: judge again what --keep has kept here.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Do not repair, and so do not see the recovery either. Faster; events of the repair are then missing.
    #[arg(long)]
    no_repair: bool,
    #[command(flatten)]
    source: Source,
}

/// Runs or reads, and prints.
pub(super) fn run(options: &ScoreOptions) -> Result<ExitCode> {
    let library = options.source.library()?;
    let chosen = choose(&library, &options.names, options.family.as_deref())?;
    let records = match &options.from {
        Some(directory) => read_again(&chosen, directory)?,
        None => runtime()?.block_on(until_stopped(run_all(&chosen, options)))?,
    };
    let score = Score::of(records);
    match options.output {
        Paper::Text => output::print(&score::text(&score))?,
        Paper::Md => output::print(&score::markdown(&score))?,
        Paper::Json => output::print_json(&score)?,
    }
    Ok(match (score.total.not_run > 0, score.reached) {
        (true, _) => ExitCode::from(COULD_NOT_LOOK),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(1),
    })
}

async fn run_all(chosen: &[&Scenario], options: &ScoreOptions) -> Result<Vec<Record>> {
    if let Some(directory) = &options.keep {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let settings = Settings { program: program()?, running: None, repairs: !options.no_repair };
    let bench = Bench { settings: &settings, keep: options.keep.as_deref(), done: Cell::new(0), all: chosen.len() };
    let runs: Vec<_> = chosen.iter().map(|scenario| bench.run(scenario)).collect();
    let mut records: Vec<Record> = Vec::new();
    let mut running = futures::stream::iter(runs).buffer_unordered(options.jobs.into());
    while let Some(record) = running.next().await {
        records.push(record?);
    }
    records.sort_by(|a, b| a.scenario.cmp(&b.scenario));
    Ok(records)
}

/// What all runs share.
struct Bench<'a> {
    settings: &'a Settings,
    keep: Option<&'a Path>,
    done: Cell<usize>,
    all: usize,
}

impl Bench<'_> {
    async fn run(&self, scenario: &Scenario) -> Result<Record> {
        let ran = runner::run(scenario, self.settings, &|_| ()).await;
        self.done.set(self.done.get() + 1);
        eprintln!("{:>4}/{} {}", self.done.get(), self.all, line(&ran.record));
        if let Some(directory) = self.keep {
            keep(directory, &ran)?;
        }
        Ok(ran.record)
    }
}

/// One finished run in one line.
fn line(record: &Record) -> String {
    let seconds = record.seconds_to_finding.map(|seconds| format!(" in {seconds:.1} s")).unwrap_or_default();
    let claims = record.ours().claims;
    let said = if claims.is_empty() { "nothing".to_owned() } else { claims.join(", ") };
    let verdict = if record.is_as_expected() { "ok " } else { "NOT" };
    let problem = record.problem.as_ref().map(|problem| format!("; {problem}")).unwrap_or_default();
    let reasons = match record.missing_reasons.as_slice() {
        [] => String::new(),
        missing => format!("; events that did not appear: {}", missing.join(", ")),
    };
    format!("{verdict} {}: {said}{seconds}{reasons}{problem}", record.scenario)
}

fn keep(directory: &Path, ran: &Ran) -> Result<()> {
    let name = &ran.record.scenario;
    write(&record_file(directory, name), &ran.record)?;
    ran.snapshot.as_ref().map_or(Ok(()), |snapshot| write(&snapshot_file(directory, name), snapshot))
}

fn record_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.record.json"))
}

fn snapshot_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.snapshot.json"))
}

fn write(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    std::fs::write(path, serde_json::to_vec_pretty(value)?).with_context(|| format!("cannot write {}", path.display()))
}

/// Judges kept snapshots by the engine of today; what only a run can tell (times, events) is kept as it was.
fn read_again(chosen: &[&Scenario], directory: &Path) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for scenario in chosen {
        let path = record_file(directory, &scenario.name);
        if !path.exists() {
            continue;
        }
        let mut record: Record = read(&path)?;
        let snapshot = snapshot_file(directory, &scenario.name);
        if snapshot.exists() {
            let snapshot: Snapshot = read(&snapshot)?;
            record.expected = Record::new(scenario).expected;
            record.judge(&scenario.expect, &snapshot, &look::again(&scenario.expect, &snapshot));
        }
        records.push(record);
    }
    if records.is_empty() {
        bail!("{} has no record of these scenarios; make some with --keep", directory.display());
    }
    Ok(records)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("cannot read {}", path.display()))
}
