//! `portolan alerts`: rules for Prometheus, and their unit tests.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use portolan_diagnose::alerts::{self, Version};

use crate::{cli::Language, output};

/// Prints alerts on what goes wrong with Services unnoticed, as rules for Prometheus
///
/// The expressions are those that the given version of kube-state-metrics can answer; an alert whose metrics it does not have is
/// left out, and the head of the file says why. It also says with which options kube-state-metrics has to run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan alerts --kube-state-metrics 2.15 > portolan-alerts.yaml
  portolan alerts --format prometheusrule | kubectl apply -n monitoring -f -
  portolan alerts --tests > tests.yaml && promtool test rules tests.yaml")]
pub struct Options {
    /// The version of kube-state-metrics that is scraped.
    #[arg(long, value_name = "2.N", default_value_t = Version::NEWEST)]
    kube_state_metrics: Version,
    /// A file of rules for Prometheus, or an object for the Prometheus operator.
    #[arg(long, value_enum, default_value_t = Form::Rules)]
    format: Form,
    /// YAML has comments, JSON has none.
    #[arg(short, long, value_enum, default_value_t = Output::Yaml)]
    output: Output,
    /// Print unit tests for promtool instead: each alert fires when it should, and stays quiet in what only looks alike.
    #[arg(long, conflicts_with_all = ["format", "output"])]
    tests: bool,
    /// With --tests, the file that the rules are in.
    #[arg(long, value_name = "FILE", requires = "tests", default_value = "portolan-alerts.yaml")]
    rules_file: String,
    #[command(flatten)]
    language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Rules,
    Prometheusrule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Yaml,
    Json,
}

/// Prints what was asked for.
pub fn run(options: &Options) -> Result<ExitCode> {
    let rules = alerts::rules(options.kube_state_metrics);
    let lang = options.language.get();
    if options.tests {
        output::print(&alerts::unit_tests(&rules, &options.rules_file, lang))?;
        return Ok(ExitCode::SUCCESS);
    }
    let format = match options.format {
        Form::Rules => alerts::Format::Rules,
        Form::Prometheusrule => alerts::Format::PrometheusRule,
    };
    let form = match options.output {
        Output::Yaml => alerts::Output::Yaml,
        Output::Json => {
            // What would be comments must not be lost.
            rules.left_out.iter().for_each(|left| eprintln!("portolan: left out {}: {}", left.alert, left.why));
            alerts::Output::Json
        }
    };
    output::print(&alerts::print(&rules, format, form, lang))?;
    Ok(ExitCode::SUCCESS)
}
