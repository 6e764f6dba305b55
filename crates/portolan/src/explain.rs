//! `portolan explain`: the catalogue at the prompt. A reason, a code of a finding, or whatever text was pasted.

use std::{
    io::{Read, stdin},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{
    Args, ValueEnum,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};
use portolan_catalogue::{
    Entry, Lang, Severity, Status, codes, entries, find, nearest, recognise,
    render::{self, Style},
};
use portolan_diagnose::lint;

use crate::{
    cli::{Language, Paper},
    output,
};

/// What is read from standard input; longer than any page of kubectl.
const PASTE: u64 = 4 << 20;

/// Says what an event reason, a finding or a pasted message means, who is hurt and what to do; lists all without one
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan explain
  portolan explain SyncLoadBalancerFailed
  portolan explain selector-matches-no-pod --lang zh
  portolan explain 'Error syncing load balancer: failed to ensure load balancer: RequestLimitExceeded'
  kubectl describe service web | portolan explain -
  portolan explain --list --emitter metallb --type Warning
  portolan explain IPNotAllocated -o json")]
pub struct Options {
    /// A reason as an Event spells it, a code of a finding, or the text of a message; `-` reads the text from standard input.
    #[arg(value_name = "REASON|CODE|MESSAGE", value_parser = Topics, hide_possible_values = true)]
    topic: Vec<String>,
    /// List reasons; the filters choose which.
    #[arg(long, conflicts_with = "topic")]
    list: bool,
    /// List the codes of findings.
    #[arg(long, conflicts_with_all = ["topic", "list", "emitter", "severity", "status"])]
    codes: bool,
    /// Only what this component or project says: a part of its name, as in `kubelet` or `metallb`.
    #[arg(long, conflicts_with = "topic")]
    emitter: Option<String>,
    /// Only Events of this type.
    #[arg(long = "type", value_enum, ignore_case = true, conflicts_with = "topic")]
    severity: Option<Type>,
    /// Only what Kubernetes emits today, did once, or never did, or what others emit.
    #[arg(long, value_enum, conflicts_with = "topic")]
    status: Option<Standing>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Paper::Text)]
    output: Paper,
    #[command(flatten)]
    language: Language,
}

/// The type of an Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Type {
    #[value(name = "Normal")]
    Normal,
    #[value(name = "Warning")]
    Warning,
}

impl Type {
    fn is(self, severity: Severity) -> bool {
        matches!((self, severity), (Self::Normal, Severity::Normal) | (Self::Warning, Severity::Warning))
    }
}

/// How Kubernetes treats a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Standing {
    Current,
    Legacy,
    ThirdParty,
    Never,
}

impl Standing {
    fn is(self, status: Status) -> bool {
        self.to_possible_value().is_some_and(|value| value.matches(status.code(), false))
    }
}

/// Takes any text, and tells shells which names there are.
#[derive(Debug, Clone)]
struct Topics;

impl TypedValueParser for Topics {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(topics().map(PossibleValue::new)))
    }
}

/// Every name that has a page.
pub fn topics() -> impl Iterator<Item = &'static str> {
    entries().iter().map(|entry| entry.name).chain(codes::all().map(|code| code.code))
}

/// Prints what was asked for; exit code 1 when it is unknown.
pub fn run(options: &Options) -> Result<ExitCode> {
    let printer = Printer { format: options.output, lang: options.language.get() };
    if options.codes {
        return printer.codes();
    }
    let topic = options.topic.join(" ");
    match topic.as_str() {
        "" => printer.list(options),
        "-" => printer.pasted(&paste()?),
        topic => printer.topic(topic),
    }
}

fn paste() -> Result<String> {
    let mut bytes = Vec::new();
    stdin().lock().take(PASTE).read_to_end(&mut bytes).context("standard input")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// How the answer is wanted.
struct Printer {
    format: Paper,
    lang: Lang,
}

impl Printer {
    fn topic(&self, topic: &str) -> Result<ExitCode> {
        if let Some(entry) = find(topic) {
            return self.print(entry, render::markdown(entry, self.lang), |width, style| {
                render::page(entry, self.lang, width, style)
            });
        }
        if let Some(code) = codes::find(topic) {
            return self.print(code, render::code_markdown(code, self.lang), |width, style| {
                render::code_page(code, self.lang, width, style)
            });
        }
        if let Some(rule) = lint::rule(topic) {
            return self
                .print(rule, lint::render::rule_markdown(rule, self.lang), |_, _| lint::render::rule(rule, self.lang));
        }
        self.pasted(topic)
    }

    fn pasted(&self, text: &str) -> Result<ExitCode> {
        let found = recognise(text);
        if found.is_empty() {
            return Ok(unknown(text.trim()));
        }
        self.print(&found, render::recognised_markdown(&found, self.lang), |width, style| {
            render::recognised(&found, self.lang, width, style)
        })
    }

    fn list(&self, options: &Options) -> Result<ExitCode> {
        let chosen: Vec<&Entry> = entries().iter().filter(|entry| is_wanted(entry, options)).collect();
        if chosen.is_empty() {
            eprintln!("portolan: no reason in the catalogue is like that; `portolan explain` lists them all");
            return Ok(ExitCode::from(1));
        }
        self.print(&chosen, render::table(&chosen, self.lang), |_, _| {
            let list = render::list(&chosen, self.lang);
            // All there is to ask for: the findings too.
            let all = chosen.len() == entries().len() && !options.list;
            if all { format!("{list}\n{}", render::list_codes(self.lang)) } else { list }
        })
    }

    fn codes(&self) -> Result<ExitCode> {
        let all: Vec<_> = codes::all().collect();
        self.print(&all, render::codes_index(self.lang), |_, _| render::list_codes(self.lang))
    }

    /// The same thing in the format that is wanted.
    fn print(
        &self,
        value: &impl serde::Serialize,
        markdown: String,
        text: impl FnOnce(usize, Style) -> String,
    ) -> Result<ExitCode> {
        match self.format {
            Paper::Json => output::print_json(value)?,
            Paper::Md => output::print(&markdown)?,
            Paper::Text => output::print(&text(output::width(), style()))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn is_wanted(entry: &Entry, options: &Options) -> bool {
    let project = match entry.status {
        Status::ThirdParty { by } => by,
        _ => "",
    };
    let says = |part: &str| {
        let part = part.to_lowercase();
        entry.emitter.to_lowercase().contains(&part) || project.to_lowercase().contains(&part)
    };
    options.emitter.as_deref().is_none_or(says)
        && options.severity.is_none_or(|wanted| wanted.is(entry.severity))
        && options.status.is_none_or(|wanted| wanted.is(entry.status))
}

fn style() -> Style {
    if output::colour() { Style::Ansi } else { Style::Plain }
}

fn unknown(topic: &str) -> ExitCode {
    let reasons = nearest(topic).into_iter().map(|entry| entry.name);
    let near: Vec<&str> = reasons.chain(codes::nearest(topic).into_iter().map(|code| code.code)).take(5).collect();
    if !near.is_empty() {
        eprintln!("portolan: neither reason nor finding {topic:?} in the catalogue; did you mean {}?", near.join(", "));
    } else if topic.contains(char::is_whitespace) {
        eprintln!("portolan: no message of the catalogue is in this text; try the reason, or the whole row of kubectl");
    } else {
        eprintln!("portolan: neither reason nor finding {topic:?} in the catalogue; `portolan explain` lists them all");
    }
    ExitCode::from(1)
}
