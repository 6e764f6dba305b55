//! `portolan lint`: manifests, before they are applied.

use std::{
    io::{self, Read},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use portolan_diagnose::lint::{self, Level, Provider, Report, render};

use crate::{
    cli::{Form, Language},
    output,
};

/// Says what is wrong with manifests before they are applied: the doctor's checks, good practice, clouds' annotations
///
/// All files of one call are one world: a Service is compared with the workloads in them, an Ingress with the Services.
/// What is not in these files is unknown, not missing. A chart has to be rendered first. Nothing is contacted.
///
/// A finding can be ignored on its object, with the annotation `portolan.dev/lint-ignore: CODE,CODE`, or with --ignore.
///
/// Exit code 0: nothing of level warning or above; 1: findings; 2: could not read, or nothing to look at.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan lint deploy/
  portolan lint service.yaml deployment.yaml -n shop --level note
  helm template web ./chart | portolan lint - --provider aws
  kustomize build overlays/prod | portolan lint -
  portolan lint deploy/ -o sarif > lint.sarif          # for code review tools
  portolan lint deploy/ --ignore practice-host-port,annotation-deprecated
  portolan lint --rules                                # every code and why")]
pub struct Options {
    /// Files, folders (with all .yaml, .yml and .json below them), or `-` for standard input.
    #[arg(required_unless_present = "rules", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Namespace of the objects that name none.
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Codes that are not wanted.
    #[arg(long, value_delimiter = ',', value_name = "CODE")]
    ignore: Vec<String>,
    /// The cloud that the manifests are for; by default whichever their annotations speak to.
    #[arg(long, value_enum, default_value_t = Cloud::Auto)]
    provider: Cloud,
    /// The lowest level that is shown and counts for the exit code.
    #[arg(long, value_enum, default_value_t = Least::Warning)]
    level: Least,
    /// List the codes instead.
    #[arg(long)]
    rules: bool,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Form::Text)]
    output: Form,
    #[command(flatten)]
    language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Cloud {
    Auto,
    Aws,
    Azure,
    Gcp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Least {
    Note,
    Warning,
    Error,
}

/// Reads, lints, prints, and turns the findings into the exit code.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lang = options.language.get();
    if options.rules {
        match options.output {
            Form::Text => output::print(&render::rules(lang))?,
            Form::Md => output::print(&render::rules_markdown(lang))?,
            Form::Json | Form::Sarif => output::print_json(&lint::RULES.concat())?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let sources = lint::read(&options.paths, stdin)?;
    let mut report = lint::lint(&sources, &options.to_lint());
    if report.saw_nothing() {
        let list: Vec<String> = options.paths.iter().map(|path| path.display().to_string()).collect();
        bail!(
            "no Kubernetes object in {}; give files or folders with manifests, or `-` for a rendered chart",
            list.join(", ")
        );
    }
    let hidden = options.narrow(&mut report);
    match options.output {
        Form::Text => output::print(&render::text(&report, lang, output::colour(), hidden))?,
        Form::Json => output::print_json(&report)?,
        Form::Sarif => output::print_json(&render::sarif(&report, lang))?,
        Form::Md => output::print(&render::markdown(&report, lang, hidden))?,
    }
    Ok(ExitCode::from(report.exit_code()))
}

impl Options {
    fn to_lint(&self) -> lint::Options {
        let provider = match self.provider {
            Cloud::Auto => None,
            Cloud::Aws => Some(Provider::Aws),
            Cloud::Azure => Some(Provider::Azure),
            Cloud::Gcp => Some(Provider::Gcp),
        };
        lint::Options { namespace: self.namespace.clone(), ignore: self.ignore.clone(), provider }
    }

    /// Leaves out what is below the level; says how many notes that were.
    fn narrow(&self, report: &mut Report) -> usize {
        let least = match self.level {
            Least::Note => Level::Note,
            Least::Warning => Level::Warning,
            Least::Error => Level::Error,
        };
        let notes = report.count(Level::Note);
        report.problems.retain(|problem| problem.level >= least);
        notes - report.count(Level::Note)
    }
}

fn stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}
