//! `portolan explain`: the event catalogue at the prompt.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use portolan_catalogue::render::{self, Style};

use crate::{
    cli::{Answer, Format},
    output,
};

/// Says what an event reason means, who is hurt and what to do; without a reason, lists them all
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan explain
  portolan explain SyncLoadBalancerFailed
  portolan explain HostPortConflict --lang zh
  portolan explain IPNotAllocated -o json")]
pub struct Options {
    /// The reason as an Event spells it; without it, all are listed.
    reason: Option<String>,
    #[command(flatten)]
    answer: Answer,
}

/// Prints the list or one page; exit code 1 when the reason is unknown.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lang = options.answer.lang();
    let json = options.answer.output == Format::Json;
    let Some(reason) = &options.reason else {
        if json {
            output::print_json(&portolan_catalogue::entries())?;
        } else {
            output::print(&render::list(lang))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(entry) = portolan_catalogue::find(reason) else {
        return unknown(reason);
    };
    if json {
        output::print_json(entry)?;
    } else {
        output::print(&render::page(entry, lang, output::width(), style()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn style() -> Style {
    if output::colour() { Style::Ansi } else { Style::Plain }
}

fn unknown(reason: &str) -> Result<ExitCode> {
    let near: Vec<&str> = portolan_catalogue::nearest(reason).into_iter().map(|entry| entry.reason.as_str()).collect();
    let hint = if near.is_empty() {
        "`portolan explain` lists them all".to_owned()
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    eprintln!("portolan: no event reason {reason:?} in the catalogue; {hint}");
    Ok(ExitCode::from(1))
}
