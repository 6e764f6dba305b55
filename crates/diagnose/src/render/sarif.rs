//! SARIF 2.1.0: what code review tools read. One serializer for the linter, whose findings are about lines of files, and for
//! the doctor, whose findings are about objects of a cluster.
//! Standard: "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", OASIS.

use std::{collections::BTreeMap, fmt::Write};

use portolan_catalogue::Lang;
use serde_json::{Value, json};

use crate::{Finding, lint::Level};

/// One finding, whoever found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Result {
    /// Its code.
    pub rule: String,
    /// How much it weighs.
    pub level: Level,
    /// What is wrong and what to do.
    pub message: String,
    /// Where.
    pub location: Location,
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In a file.
    File {
        /// Its path; `-` is standard input.
        path: String,
        /// Counted from 1.
        line: u32,
    },
    /// At an object of a cluster, `NAMESPACE/NAME`.
    Object(String),
}

/// What a code means; the others are listed by their code alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its code.
    pub code: String,
    /// One sentence.
    pub title: String,
    /// Why it matters.
    pub help: String,
    /// Its usual level.
    pub level: Level,
}

/// The whole log: one run, with the rules that its results refer to.
pub fn log(rules: &[Rule], results: &[Result]) -> Value {
    let mut used: BTreeMap<&str, usize> = results.iter().map(|result| (result.rule.as_str(), 0)).collect();
    for (place, index) in used.values_mut().enumerate() {
        *index = place;
    }
    let described = used.keys().map(|code| describe(code, rules.iter().find(|rule| rule.code == *code)));
    let described: Vec<Value> = described.collect();
    let results: Vec<Value> = results
        .iter()
        .map(|result| {
            json!({
                "ruleId": result.rule,
                "ruleIndex": used.get(result.rule.as_str()),
                "level": result.level.as_str(),
                "message": {"text": result.message},
                "locations": [location(&result.location)],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "portolan", "version": env!("CARGO_PKG_VERSION"), "rules": described}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// The doctor's findings, each with the Service that it is about.
pub fn findings<'a>(findings: impl IntoIterator<Item = (&'a str, &'a Finding)>, lang: Lang) -> Value {
    let results: Vec<Result> = findings
        .into_iter()
        .map(|(service, finding)| {
            let mut message = finding.title.get(lang).to_owned();
            for remedy in &finding.remedies {
                let _ = write!(message, "\n- {}", remedy.what.get(lang));
                for command in &remedy.commands {
                    let _ = write!(message, "\n  {command}");
                }
            }
            let location = Location::Object(service.to_owned());
            Result { rule: finding.code.to_owned(), level: Level::Error, message, location }
        })
        .collect();
    log(&[], &results)
}

fn describe(code: &str, rule: Option<&Rule>) -> Value {
    match rule {
        None => json!({"id": code}),
        Some(rule) => json!({
            "id": code,
            "shortDescription": {"text": rule.title},
            "help": {"text": rule.help},
            "defaultConfiguration": {"level": rule.level.as_str()},
        }),
    }
}

fn location(location: &Location) -> Value {
    match location {
        Location::File { path, line } => json!({
            "physicalLocation": {
                "artifactLocation": {"uri": uri(path)},
                "region": {"startLine": (*line).max(1)},
            },
        }),
        Location::Object(name) => json!({
            "logicalLocations": [{"fullyQualifiedName": name, "kind": "resource"}],
        }),
    }
}

/// A path as a relative or absolute URI reference.
fn uri(path: &str) -> String {
    if path == "-" {
        return "stdin".to_owned();
    }
    let mut uri = String::with_capacity(path.len());
    let path = path.replace('\\', "/");
    let path = path.strip_prefix("./").unwrap_or(&path);
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(byte.into()),
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        let cases = [
            ("-", "stdin"),
            ("./web/service.yaml", "web/service.yaml"),
            ("/tmp/a b.yaml", "file:///tmp/a%20b.yaml"),
            ("web\\service.yaml", "web/service.yaml"),
            ("h\u{e9}.yaml", "h%C3%A9.yaml"),
        ];
        for (path, expected) in cases {
            assert_eq!(uri(path), expected);
        }
    }

    #[test]
    fn results_point_at_their_rules() {
        let result = |rule: &str, line| Result {
            rule: rule.to_owned(),
            level: Level::Warning,
            message: "m".to_owned(),
            location: Location::File { path: "a.yaml".to_owned(), line },
        };
        let rule = Rule { code: "b".into(), title: "t".into(), help: "h".into(), level: Level::Note };
        let log = log(&[rule], &[result("b", 3), result("a", 0), result("b", 1)]);
        let run = &log["runs"][0];
        let rules = &run["tool"]["driver"]["rules"];
        for result in run["results"].as_array().expect("results") {
            let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
            assert_eq!(rules[index]["id"], result["ruleId"]);
            let line = result["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64();
            assert!(line.is_some_and(|line| line > 0), "lines count from 1");
        }
        assert_eq!(rules[1]["shortDescription"]["text"], "t");
        assert_eq!(run["results"].as_array().map(Vec::len), Some(3));
    }
}
