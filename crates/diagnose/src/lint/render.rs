//! A report for people, for tickets and for code review tools. JSON is the report itself.

use std::fmt::Write;

use portolan_catalogue::Lang;
use serde_json::Value;

use super::{Level, Problem, Provider, RULES, Report, Rule, Unknown, annotations};
use crate::render::sarif;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

/// How many of a kind are named before the rest is counted.
const SHOWN: usize = 5;

/// `file:line: level [code] object: message`, the remedy below it, and one line at the end. `hidden` is how many notes
/// the level leaves out.
pub fn text(report: &Report, lang: Lang, colour: bool, hidden: usize) -> String {
    let mut out = String::new();
    let paint = |style: &str, text: &str| if colour { format!("{style}{text}{RESET}") } else { text.to_owned() };
    for problem in &report.problems {
        let style = match problem.level {
            Level::Error => RED,
            Level::Warning => YELLOW,
            Level::Note => CYAN,
        };
        let place = paint(BOLD, &format!("{}:{}:", problem.file, problem.line));
        let level = paint(style, problem.level.as_str());
        let code = paint(DIM, &format!("[{}]", problem.code));
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{place} {level} {code} {}{}", subject(problem), problem.message.get(lang));
        if let Some(remedy) = &problem.remedy {
            let _ = writeln!(out, "    {}", remedy.get(lang));
        }
    }
    if !report.problems.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "{}", paint(BOLD, &summary(report, lang, hidden)));
    if let Some(unknown) = unknown(report, lang) {
        let _ = writeln!(out, "{unknown}");
    }
    out
}

/// `service/web (namespace shop, web/templates/service.yaml): `.
fn subject(problem: &Problem) -> String {
    let Some(object) = &problem.object else { return String::new() };
    let namespace = problem.namespace.as_deref().filter(|namespace| *namespace != "default");
    let more: Vec<String> =
        namespace.map(|namespace| format!("-n {namespace}")).into_iter().chain(problem.source.clone()).collect();
    if more.is_empty() { format!("{object}: ") } else { format!("{object} ({}): ", more.join(", ")) }
}

fn summary(report: &Report, lang: Lang, hidden: usize) -> String {
    let (objects, files) = (report.objects, report.files);
    let (errors, warnings) = (report.count(Level::Error), report.count(Level::Warning));
    let notes = report.count(Level::Note);
    let mut line = match lang {
        Lang::En => {
            let (objects, files) = (counted(objects, "object"), counted(files, "file"));
            let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
            format!("{objects} in {files}: {errors}, {warnings}")
        }
        Lang::Zh => format!("{files} 个文件中有 {objects} 个对象：{errors} 个错误，{warnings} 个警告"),
    };
    let mut add = |count: usize, en: &str, zh: &str| {
        if count > 0 {
            let _ = match lang {
                Lang::En => write!(line, ", {count} {en}"),
                Lang::Zh => write!(line, "，{count} {zh}"),
            };
        }
    };
    add(notes, if notes == 1 { "note" } else { "notes" }, "条提示");
    let (one, many) = ("note not shown (--level note)", "notes not shown (--level note)");
    add(hidden, if hidden == 1 { one } else { many }, "条提示未显示（--level note）");
    add(report.ignored, "ignored", "条已忽略");
    let (one, many) = ("file without objects to look at", "files without objects to look at");
    let others = report.other_files.len();
    add(others, if others == 1 { one } else { many }, "个文件没有可检查的对象");
    line
}

/// `1 file`, `2 files`.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// What other files would settle.
fn unknown(report: &Report, lang: Lang) -> Option<String> {
    if report.unknown.is_empty() {
        return None;
    }
    let name = |unknown: &Unknown| match (unknown, lang) {
        (Unknown::Service(key), _) => format!("Service {key}"),
        (Unknown::PodsOf(key), Lang::En) => format!("pods of Service {key}"),
        (Unknown::PodsOf(key), Lang::Zh) => format!("Service {key} 的 Pod"),
    };
    let named: Vec<String> = report.unknown.iter().take(SHOWN).map(name).collect();
    let mut list = named.join(", ");
    let rest = report.unknown.len().saturating_sub(SHOWN);
    if rest > 0 {
        let _ = write!(list, ", +{rest}");
    }
    Some(match lang {
        Lang::En => format!("Not in these files, so neither right nor wrong: {list}"),
        Lang::Zh => format!("不在这些文件中，无法判断对错：{list}"),
    })
}

/// A table for a ticket or a pull request.
pub fn markdown(report: &Report, lang: Lang, hidden: usize) -> String {
    let mut out = format!("{}\n", summary(report, lang, hidden));
    if !report.problems.is_empty() {
        out.push_str(match lang {
            Lang::En => "\n| where | level | code | object | finding |\n|---|---|---|---|---|\n",
            Lang::Zh => "\n| 位置 | 级别 | 代码 | 对象 | 问题 |\n|---|---|---|---|---|\n",
        });
    }
    for problem in &report.problems {
        let object = problem.object.as_deref().unwrap_or_default();
        let mut finding = problem.message.get(lang).to_owned();
        if let Some(remedy) = &problem.remedy {
            let _ = write!(finding, "<br>{}", remedy.get(lang));
        }
        let (file, line, level, code) = (&problem.file, problem.line, problem.level.as_str(), problem.code);
        let finding = finding.replace('|', "\\|").replace('\n', " ");
        let _ = writeln!(out, "| {file}:{line} | {level} | `{code}` | {object} | {finding} |");
    }
    if let Some(unknown) = unknown(report, lang) {
        let _ = writeln!(out, "\n{unknown}");
    }
    out
}

/// SARIF 2.1.0.
pub fn sarif(report: &Report, lang: Lang) -> Value {
    let rules: Vec<sarif::Rule> = all_rules()
        .map(|rule| sarif::Rule {
            code: rule.code.to_owned(),
            title: rule.title.get(lang).to_owned(),
            help: rule.why.get(lang).to_owned(),
            level: rule.level,
        })
        .collect();
    let results: Vec<sarif::Result> = report
        .problems
        .iter()
        .map(|problem| {
            let mut message = format!("{}{}", subject(problem), problem.message.get(lang));
            if let Some(remedy) = &problem.remedy {
                let _ = write!(message, "\n{}", remedy.get(lang));
            }
            let location = sarif::Location::File { path: problem.file.clone(), line: problem.line };
            sarif::Result { rule: problem.code.to_owned(), level: problem.level, message, location }
        })
        .collect();
    sarif::log(&rules, &results)
}

fn all_rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().flat_map(|group| group.iter())
}

/// One rule, for the prompt.
pub fn rule(rule: &Rule, lang: Lang) -> String {
    let (title, why) = (rule.title.get(lang), rule.why.get(lang));
    format!("{} ({})\n    {title}\n    {why}\n", rule.code, rule.level.as_str())
}

/// One rule, for tickets.
pub fn rule_markdown(rule: &Rule, lang: Lang) -> String {
    let (title, why) = (rule.title.get(lang), rule.why.get(lang));
    format!("# {}\n\n*{}* {title} {why}\n", rule.code, rule.level.as_str())
}

/// The list of rules, for the prompt.
pub fn rules(lang: Lang) -> String {
    all_rules().map(|one| rule(one, lang)).collect()
}

/// All rules as a table.
pub fn rules_markdown(lang: Lang) -> String {
    let mut out = String::from(match lang {
        Lang::En => "| code | level | what | why |\n|---|---|---|---|\n",
        Lang::Zh => "| 代码 | 级别 | 含义 | 原因 |\n|---|---|---|---|\n",
    });
    for rule in all_rules() {
        let (title, why) = (rule.title.get(lang), rule.why.get(lang));
        let _ = writeln!(out, "| `{}` | {} | {title} | {why} |", rule.code, rule.level.as_str());
    }
    out
}

/// The generated part of docs/lint.md: rules, and every annotation of each cloud.
pub fn reference(lang: Lang) -> String {
    let (rules, annotations, unread) = match lang {
        Lang::En => ("Rules", "Annotations of", "Often written, and read by nobody:"),
        Lang::Zh => ("规则", "云注解：", "常见但没有组件读取的写法："),
    };
    let mut out = format!("## {rules}\n\n{}", rules_markdown(lang));
    for (provider, name) in [(Provider::Aws, "AWS"), (Provider::Azure, "Azure"), (Provider::Gcp, "Google Cloud")] {
        let _ = write!(out, "\n## {annotations} {name}\n\n{}", known_table(provider, lang));
        let _ = writeln!(out, "\n{unread}\n");
        for (name, instead) in annotations::not_read(provider) {
            let _ = writeln!(out, "- `{name}`: {}", instead.get(lang));
        }
    }
    out
}

fn known_table(provider: Provider, lang: Lang) -> String {
    let mut out = String::from(match lang {
        Lang::En => "| annotation | value | read by |\n|---|---|---|\n",
        Lang::Zh => "| 注解 | 值 | 由谁读取 |\n|---|---|---|\n",
    });
    for annotation in annotations::known(provider) {
        let (en, zh) = annotation.value.describe();
        let mut value = if lang == Lang::En { en } else { zh }.replace('|', "\\|");
        if let Some(deprecated) = annotation.deprecated {
            let stop = if lang == Lang::En { ". " } else { "。" };
            let _ = write!(value, "{stop}{}", deprecated.get(lang));
        }
        let readers: Vec<&str> = annotation.readers.iter().map(|reader| reader.as_str()).collect();
        let _ = writeln!(out, "| `{}` | {value} | {} |", annotation.name, readers.join(", "));
    }
    out
}
