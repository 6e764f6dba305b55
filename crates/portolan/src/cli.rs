//! What can be typed. Each subcommand's own file turns it into work.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use portolan_catalogue::Lang;

use crate::{alerts, completions, diagnose, events, explain, lint, man, output, snapshot};
#[cfg(target_os = "linux")]
use crate::{apiserver, controllers, demo, echo, lab, node_evidence, probe, up};

/// What is logged unless something else is asked for. kube warns of an answer that it cannot read with the answer itself,
/// which may be all Services of a cluster; whoever asked says what was wrong with it, so nothing is lost.
const LOG: &str = "warn,kube_client=error";

/// The Kubernetes Service network in one binary, and the doctor for it.
///
/// Start with `portolan demo`: it boots a whole Service network, sends real packets through it, breaks it, finds the
/// cause and cleans up. `portolan up` gives you the same network to use with kubectl.
#[derive(Debug, Parser)]
#[command(name = "portolan", version, max_term_width = 110, propagate_version = true)]
pub struct Arguments {
    /// What to log, as in `info` or `portolan_proxy=debug,warn`.
    #[arg(long, global = true, env = "PORTOLAN_LOG", default_value = LOG, value_name = "FILTER")]
    pub log: String,
    #[command(subcommand)]
    command: Command,
}

/// Each subcommand's help is the documentation of its options.
#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(target_os = "linux")]
    Up(up::Options),
    #[cfg(target_os = "linux")]
    Demo(demo::Options),
    #[cfg(target_os = "linux")]
    Apiserver(apiserver::Options),
    #[cfg(target_os = "linux")]
    Controllers(controllers::Options),
    #[cfg(target_os = "linux")]
    Lab(lab::Options),
    Alerts(alerts::Options),
    Explain(explain::Options),
    Diagnose(diagnose::Options),
    Events(events::Options),
    Lint(lint::Options),
    Snapshot(snapshot::Options),
    #[cfg(target_os = "linux")]
    NodeEvidence(node_evidence::Options),
    Completions(completions::Options),
    Man(man::Options),
    /// The inside of `up`: runs in the private namespaces that `up` makes.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    World(up::world::Options),
    /// The built-in image `portolan/echo`.
    #[cfg(target_os = "linux")]
    #[command(hide = true, after_help = echo::VARIABLES)]
    Echo,
    /// The built-in image `portolan/probe`: opens connections at a steady rate and reports what became of them.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    Probe(probe::Options),
}

/// How plain results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How what is also kept in documents is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Paper {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// Markdown, for notes and tickets.
    Md,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanning and review.
    Sarif,
    /// Markdown, for issues, tickets and pull requests.
    Md,
}

/// The options of every command that answers in words.
#[derive(Debug, Args)]
pub struct Answer {
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    #[command(flatten)]
    language: Language,
}

impl Answer {
    /// The language that was asked for, or the environment's.
    pub fn lang(&self) -> Lang {
        self.language.get()
    }
}

/// The language of an answer.
#[derive(Debug, Args)]
pub struct Language {
    /// Language of the answer, `en` or `zh`; by default that of LANG.
    #[arg(long, value_parser = parse_lang, value_name = "LANG")]
    lang: Option<Lang>,
}

impl Language {
    /// The one that was asked for, or the environment's.
    pub fn get(&self) -> Lang {
        let environment = || {
            let value = ["LC_ALL", "LC_MESSAGES", "LANG"]
                .iter()
                .filter_map(|name| std::env::var(name).ok())
                .find(|value| !value.is_empty());
            Lang::from_env_value(&value.unwrap_or_default())
        };
        self.lang.unwrap_or_else(environment)
    }
}

fn parse_lang(text: &str) -> Result<Lang, String> {
    match text {
        "en" => Ok(Lang::En),
        "zh" => Ok(Lang::Zh),
        _ => Err("the catalogue is written in `en` and `zh`".to_owned()),
    }
}

/// Does what was asked for.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    init_log(&arguments.log)?;
    match arguments.command {
        #[cfg(target_os = "linux")]
        Command::Up(options) => up::run(options, &arguments.log),
        #[cfg(target_os = "linux")]
        Command::Demo(options) => demo::run(options, &arguments.log),
        #[cfg(target_os = "linux")]
        Command::World(options) => up::world::run(options),
        #[cfg(target_os = "linux")]
        Command::Apiserver(options) => apiserver::run(options),
        #[cfg(target_os = "linux")]
        Command::Controllers(options) => controllers::run(&options),
        #[cfg(target_os = "linux")]
        Command::Lab(options) => lab::run(&options),
        Command::Alerts(options) => alerts::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Diagnose(options) => diagnose::run(&options),
        Command::Events(options) => events::run(&options),
        Command::Lint(options) => lint::run(&options),
        Command::Snapshot(options) => snapshot::run(&options),
        #[cfg(target_os = "linux")]
        Command::NodeEvidence(options) => node_evidence::run(&options),
        Command::Completions(options) => completions::run(&options),
        Command::Man(options) => man::run(&options),
        #[cfg(target_os = "linux")]
        Command::Echo => echo::run(),
        #[cfg(target_os = "linux")]
        Command::Probe(options) => probe::run(&options),
    }
}

fn init_log(filter: &str) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|error| anyhow::anyhow!("--log {filter}: {error}; try `info` or `portolan_proxy=debug,warn`"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::log_colour())
        .init();
    Ok(())
}
