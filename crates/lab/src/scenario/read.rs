//! The three files of a scenario, with errors that name file and line.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Delete, Expect, Scenario, Step};
use crate::{
    fault::{self, Fault},
    kinds,
};

/// The texts of the three files; an absent `fault.yaml` is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts<'a> {
    /// `objects.yaml`
    pub objects: &'a str,
    /// `fault.yaml`
    pub fault: &'a str,
    /// `expect.yaml`
    pub expect: &'a str,
}

/// Why a scenario cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{scenario}/{file}{}: {problem}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct LoadError {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the file.
    pub file: &'static str,
    /// Line in it, from 1, if it is about one.
    pub line: Option<u64>,
    /// What is wrong.
    pub problem: String,
}

/// What is wrong with one file.
struct Problem {
    line: Option<u64>,
    text: String,
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self { line: None, text }
    }
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// If a file is no YAML, has fields that nobody knows, or contradicts itself.
    pub fn parse(name: &str, texts: Texts<'_>) -> Result<Self, LoadError> {
        let at = |file: &'static str| {
            let scenario = name.to_owned();
            move |problem: Problem| LoadError { scenario, file, line: problem.line, problem: problem.text }
        };
        let objects = objects(texts.objects).map_err(at("objects.yaml"))?;
        let steps = steps(texts.fault).map_err(at("fault.yaml"))?;
        let expect = yaml::<Expect>(texts.expect).map_err(at("expect.yaml"))?;
        check_expect(&expect).map_err(Problem::from).map_err(at("expect.yaml"))?;
        Ok(Self { name: name.to_owned(), objects, steps, expect })
    }
}

fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_saphyr::from_str(text).map_err(problem)
}

fn problem(error: serde_saphyr::Error) -> Problem {
    let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
    // What follows the first line shows the place, which the file's name and the line already say.
    let text = error.to_string();
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it is no YAML").trim().to_owned();
    Problem { line, text: first }
}

fn objects(text: &str) -> Result<Vec<Value>, Problem> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(problem)?;
    let documents: Vec<Value> = documents.into_iter().filter(|document| !document.is_null()).collect();
    for document in &documents {
        check_object(document)?;
    }
    match documents.is_empty() {
        true => Err("has no object".to_owned().into()),
        false => Ok(documents),
    }
}

fn check_object(object: &Value) -> Result<(), String> {
    let Some(kind) = object["kind"].as_str() else { return Err("an object has no kind".to_owned()) };
    let Some(name) = object["metadata"]["name"].as_str() else {
        return Err(format!("a {kind} has no metadata.name"));
    };
    let known = kinds::find(kind).ok_or_else(|| unknown(kind))?;
    match object["apiVersion"].as_str() {
        Some(version) if version == known.api_version() => Ok(()),
        version => {
            Err(format!("{kind} {name} has apiVersion {}; use {}", version.unwrap_or("(none)"), known.api_version()))
        }
    }
}

fn unknown(kind: &str) -> String {
    format!("{kind} is no kind that the laboratory knows; known are {}", kinds::names().join(", "))
}

fn steps(text: &str) -> Result<Vec<Step>, Problem> {
    let steps: Option<Vec<Step>> = yaml(text)?;
    let steps = steps.unwrap_or_default();
    check_steps(&steps)?;
    Ok(steps)
}

fn check_steps(steps: &[Step]) -> Result<(), String> {
    steps.iter().enumerate().try_for_each(|(index, step)| check_step(step).map_err(|why| format!("[{index}]: {why}")))
}

fn check_step(step: &Step) -> Result<(), String> {
    let known = |kind: &str| kinds::find(kind).map(drop).ok_or_else(|| unknown(kind));
    match step {
        Step::Apply(object) => check_object(object),
        Step::Patch(patch) => known(&patch.kind),
        Step::Delete(Delete { kind, name, labels, .. }) => match name.is_some() == labels.is_empty() {
            true => known(kind),
            false => Err(format!("say which {kind} to delete: either its name or labels")),
        },
        Step::Fault(one) => check_faults(std::slice::from_ref(one)),
        Step::Faults(all) => check_faults(all),
        Step::Wait(super::Until::Field(field)) => known(&field.kind),
        Step::Wait(super::Until::Gone(named)) => known(&named.kind),
        Step::Wait(_) | Step::Scale(_) | Step::Restart(_) | Step::Logs(_) => Ok(()),
    }
}

/// By the rules of the ConfigMap that they will be written into.
fn check_faults(faults: &[Fault]) -> Result<(), String> {
    fault::parse(&fault::render(faults)).map(drop).map_err(|error| error.to_string())
}

fn check_expect(expect: &Expect) -> Result<(), String> {
    let causes = expect.causes();
    match (&expect.like, causes.is_empty()) {
        (None, true) => return Err("names neither a code nor what it is like".to_owned()),
        (Some(_), false) => return Err("a look-alike has no code: nothing is wrong in it".to_owned()),
        _ => {}
    }
    if expect.family.is_empty() || expect.title.en.is_empty() || expect.title.zh.is_empty() {
        return Err("family and both titles must say something".to_owned());
    }
    match expect.service.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => check_steps(&expect.repair),
        _ => Err(format!("service: {:?} is no NAMESPACE/NAME", expect.service)),
    }
}
