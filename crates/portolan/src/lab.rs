//! `portolan lab`: networks that are broken on purpose, and what the doctor says of them.

mod live;
mod score;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use portolan_catalogue::Lang;
use portolan_lab::{
    library::Library,
    runner::{self, Settings},
    scenario::Scenario,
};
use serde_json::json;

use crate::{
    cli::{Format, Language},
    output,
    signals::Signals,
};

/// Breaks networks on purpose and asks the doctor
///
/// A scenario is a healthy start, the steps that break it, and the truth about it. Each has a healthy look-alike, NAME-healthy:
/// what a naive checker would flag, although nothing is wrong. Each run boots a network of its own.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan lab list
  portolan lab run selector-typo
  portolan lab score --jobs 2 --family load-balancer")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(ListOptions),
    Run(RunOptions),
    Score(score::ScoreOptions),
}

/// Where the scenarios are.
#[derive(Debug, Args)]
struct Source {
    /// Scenarios of your own, a folder each, instead of those of this program.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

/// Lists the scenarios
#[derive(Debug, Args)]
struct ListOptions {
    /// Only this family.
    #[arg(long)]
    family: Option<String>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    language: Language,
    #[command(flatten)]
    source: Source,
}

/// Runs one scenario and shows it live: the fault, the events, the diagnosis, the repair, the recovery
///
/// Boots a network of its own, unless KUBECONFIG or --kubeconfig leads to a running `portolan up`. Exit code 0: all went as
/// the scenario expects; 1: it did not; 2: the scenario could not be run.
#[derive(Debug, Args)]
struct RunOptions {
    /// The scenario.
    name: String,
    /// Kubeconfig of a running `portolan up` to use.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    language: Language,
    #[command(flatten)]
    source: Source,
}

/// Does what was asked for.
pub fn run(options: &Options) -> Result<ExitCode> {
    match &options.command {
        Command::List(options) => list(options),
        Command::Run(options) => run_one(options),
        Command::Score(options) => score::run(options),
    }
}

impl Source {
    fn library(&self) -> Result<Library> {
        let library = self.scenarios.as_deref().map_or_else(Library::embedded, Library::read);
        library.context("the scenarios cannot be used")
    }
}

fn list(options: &ListOptions) -> Result<ExitCode> {
    let (library, lang) = (options.source.library()?, options.language.get());
    let chosen = choose(&library, &[], options.family.as_deref())?;
    match options.output {
        Format::Json => output::print_json(&chosen.iter().map(|scenario| entry(scenario)).collect::<Vec<_>>())?,
        Format::Text => {
            let mut table = comfy_table::Table::new();
            table.load_style(comfy_table::presets::NOTHING).set_header(["NAME", "FAMILY", "CAUSE", "WHAT HAPPENS"]);
            for scenario in &chosen {
                let (expect, title) = (&scenario.expect, title(scenario, lang));
                let cause = if scenario.is_look_alike() { "(none)".to_owned() } else { expect.causes().join(" or ") };
                table.add_row([scenario.name.as_str(), &expect.family, &cause, title]);
            }
            output::print(&table.to_string())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn entry(scenario: &Scenario) -> serde_json::Value {
    let expect = &scenario.expect;
    json!({
        "name": scenario.name,
        "family": expect.family,
        "service": expect.service,
        "title": expect.title,
        "codes": expect.causes(),
        "reasons": expect.reasons,
        "like": expect.like,
    })
}

fn title(scenario: &Scenario, lang: Lang) -> &str {
    match lang {
        Lang::En => &scenario.expect.title.en,
        Lang::Zh => &scenario.expect.title.zh,
    }
}

/// The scenarios that the names and the family mean.
fn choose<'a>(library: &'a Library, names: &[String], family: Option<&str>) -> Result<Vec<&'a Scenario>> {
    if let Some(family) = family.filter(|family| !library.families().contains(family)) {
        return Err(anyhow!("no family is called {family}; there are {}", library.families().join(", ")));
    }
    library.choose(names, family).map_err(|unknown| no_scenario(library, &unknown))
}

fn no_scenario(library: &Library, unknown: &str) -> anyhow::Error {
    let alike = |name: &&str| name.contains(unknown) || unknown.contains(*name);
    let faults = library.scenarios().iter().filter(|scenario| !scenario.is_look_alike());
    let mut names: Vec<&str> = faults.map(|scenario| scenario.name.as_str()).filter(alike).collect();
    // What was begun rightly is meant rather than what has the word somewhere.
    names.sort_by_key(|name| !name.starts_with(unknown));
    names.truncate(5);
    match names.is_empty() {
        true => anyhow!("no scenario is called {unknown}; `portolan lab list` shows them"),
        false => anyhow!("no scenario is called {unknown}; did you mean {}?", names.join(" or ")),
    }
}

fn run_one(options: &RunOptions) -> Result<ExitCode> {
    let (library, lang) = (options.source.library()?, options.language.get());
    let scenario = library.get(&options.name).ok_or_else(|| no_scenario(&library, &options.name))?;
    runtime()?.block_on(until_stopped(async {
        let settings = Settings { program: program()?, running: running(options, scenario).await, repairs: true };
        live::play(scenario, &settings, title(scenario, lang), lang).await
    }))
}

/// Work that ends with a signal as well: networks of its own are killed with it.
async fn until_stopped<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut signals = Signals::new()?;
    tokio::select! {
        result = work => result,
        () = signals.next() => Err(anyhow!("stopped; the networks of the laboratory are gone")),
    }
}

/// The network to use, if one runs. What KUBECONFIG leads to may be anything; only a laboratory is used.
async fn running(options: &RunOptions, scenario: &Scenario) -> Option<PathBuf> {
    if options.kubeconfig.is_some() {
        return options.kubeconfig.clone();
    }
    let path = std::env::var_os("KUBECONFIG").map(PathBuf::from).filter(|path| path.exists())?;
    (!scenario.needs_own_network() && runner::is_running_laboratory(&path).await).then_some(path)
}

fn program() -> Result<PathBuf> {
    std::env::current_exe().context("cannot find this program's own file")
}

/// Several networks are run at the same time, but each is another process: this one only waits for them.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
