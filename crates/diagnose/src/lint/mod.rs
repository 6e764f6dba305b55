//! The linter: what is wrong with manifests before they are applied.
//!
//! Called by `portolan lint`; [`read`] is the only I/O.
//!
//! ```text
//! files -> Source -> documents with lines (yaml) -> Object -> World -> rules, checks -> Report -> render
//! ```
//!
//! All manifests of one call are one world, and that world is a part of the cluster: what another file would settle is
//! *unknown* and silent, only what these files prove is a finding. The chain of checks is that of `diagnose`, on
//! pods that the workloads would make; codes are the same.
//!
//! Invariant: any bytes give a report, never a panic, and every finding has a file and a line.

mod annotations;
mod chain;
mod ignores;
mod objects;
mod policies;
mod practices;
mod read;
mod references;
pub mod render;
mod rules;
mod slices;
mod values;
mod world;
mod yaml;

use std::collections::BTreeSet;

use serde::Serialize;

pub use annotations::{Annotation, Kind, Provider, Reader, known as known_annotations};
pub use read::{Content, ReadError, Source, read};
pub use rules::{RULES, Rule, rule};

use crate::Words;
use objects::Object;
use world::World;

/// How much a finding weighs. Notes are worth knowing; warnings and errors decide the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Legitimate, and worth a second look.
    Note,
    /// Works today, or in part; will hurt.
    Warning,
    /// Refused, ignored, or without traffic: proven.
    Error,
}

impl Level {
    /// The word for it, in both outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What may be chosen.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Namespace of objects that name none; `default` if empty.
    pub namespace: String,
    /// Codes that are not wanted.
    pub ignore: Vec<String>,
    /// The cloud these manifests are for; `None`: whichever their annotations speak to.
    pub provider: Option<Provider>,
}

/// One finding about one place in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Stable name, such as `selector-matches-no-pod`.
    pub code: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// The file as it was given; `-` is standard input.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Path of the template in the chart, if the stream says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `KIND/NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Path of the field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What is wrong.
    pub message: Words,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Words>,
}

/// Something that these files ask for and do not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// The Service of this key.
    Service(String),
    /// Pods for the Service of this key.
    PodsOf(String),
}

/// Everything found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// In the order of files and lines.
    pub problems: Vec<Problem>,
    /// Files read.
    pub files: usize,
    /// Kubernetes objects in them.
    pub objects: usize,
    /// Files that hold YAML but nothing of Kubernetes.
    pub other_files: Vec<String>,
    /// What other files would settle: neither proven right nor wrong.
    pub unknown: BTreeSet<Unknown>,
    /// Findings left out because of an annotation or the command line.
    pub ignored: usize,
}

impl Report {
    /// 0: nothing of level warning or above, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.problems.iter().any(|problem| problem.level >= Level::Warning))
    }

    /// Whether nothing in these files could be looked at.
    pub fn saw_nothing(&self) -> bool {
        self.objects == 0 && self.problems.iter().all(|problem| problem.level == Level::Note)
    }

    /// How many findings have this level.
    pub fn count(&self, level: Level) -> usize {
        self.problems.iter().filter(|problem| problem.level == level).count()
    }
}

/// Lints all sources as one world. Pure.
pub fn lint(sources: &[Source], options: &Options) -> Report {
    let mut sink = Sink::default();
    let loaded = objects::load(sources, options, &mut sink);
    let world = World::new(&loaded.objects, options.provider);
    values::check(&world, &mut sink);
    annotations::check(&world, &mut sink);
    practices::check(&world, &mut sink);
    references::check(&world, &mut sink);
    policies::check(&world, &mut sink);
    slices::check(&world, &mut sink);
    chain::check(&world, &mut sink);
    ignores::unknown_codes(&loaded.objects, &options.ignore, &mut sink);
    let mut report = Report {
        files: sources.len(),
        objects: loaded.objects.len(),
        other_files: loaded.other_files,
        unknown: sink.unknown,
        ..Report::default()
    };
    (report.problems, report.ignored) = ignores::apply(sink.problems, &options.ignore);
    let place = |problem: &Problem| (loaded.order.get(&problem.file).copied(), problem.line, problem.code);
    report.problems.sort_by_key(place);
    report.problems.dedup();
    report
}

/// Where findings go.
#[derive(Default)]
struct Sink {
    problems: Vec<Found>,
    unknown: BTreeSet<Unknown>,
}

/// A finding with the codes that its object does not want.
struct Found {
    problem: Problem,
    ignore: Vec<String>,
}

impl Sink {
    /// A finding about a field of an object.
    fn about(&mut self, code: &'static str, object: &Object, field: &str, message: Words, remedy: Option<Words>) {
        let problem = Problem {
            code,
            level: rules::level(code),
            file: object.file.clone(),
            line: object.spot.line_of(field),
            source: object.source.clone(),
            object: Some(object.to_string()),
            namespace: Some(object.key.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            field: field.to_owned(),
            message,
            remedy,
        };
        self.problems.push(Found { problem, ignore: object.ignores.clone() });
    }

    /// A finding about a line of a file.
    fn at(&mut self, code: &'static str, file: &str, line: u32, message: Words, remedy: Option<Words>) {
        let problem = Problem {
            code,
            level: rules::level(code),
            file: file.to_owned(),
            line,
            source: None,
            object: None,
            namespace: None,
            field: String::new(),
            message,
            remedy,
        };
        self.problems.push(Found { problem, ignore: Vec::new() });
    }
}

#[cfg(test)]
mod tests;
