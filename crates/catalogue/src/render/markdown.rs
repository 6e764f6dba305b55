//! Entries as files of `docs/events/`.

use std::fmt::Write;

use super::words;
use crate::codes::{self, Code};
use crate::lang::{Lang, Text};
use crate::{Category, Entry, Message, Pattern, Recognised, Remedies, entries};

/// Said at the top of every generated file.
const GENERATED: &str = "<!-- Generated from crates/catalogue: UPDATE_DOCS=1 cargo test -p portolan-catalogue -->\n\n";

/// The page of one entry: `docs/events/LANG/REASON.md`.
pub fn markdown(entry: &Entry, lang: Lang) -> String {
    let mut out = String::from(GENERATED);
    let other = match lang {
        Lang::En => (Lang::Zh, "中文"),
        Lang::Zh => (Lang::En, "English"),
    };
    line(&mut out, &format!("# {}\n", entry.name));
    line(&mut out, &format!("[{}](../{}/{}.md)\n", other.1, other.0.code(), entry.name));
    line(&mut out, &format!("{}\n", entry.summary.get(lang)));
    facts(&mut out, entry, lang);
    messages(&mut out, entry.messages, lang);
    patterns(&mut out, entry.patterns, lang);
    for (heading, text) in [(words::MEANING, entry.meaning), (words::WHO, entry.impact.who)] {
        section(&mut out, heading, lang);
        line(&mut out, text.get(lang));
    }
    section(&mut out, words::CHAIN, lang);
    for (label, text) in [(words::BEFORE, entry.chain.before), (words::AFTER, entry.chain.after)] {
        line(&mut out, &format!("- **{}**{}{}", label.get(lang), words::colon(lang), text.get(lang)));
    }
    checks_and_remedies(&mut out, entry, lang);
    rest(&mut out, entry, lang);
    out
}

fn facts(out: &mut String, entry: &Entry, lang: Lang) {
    line(out, "| | |");
    line(out, "|---|---|");
    for (label, value) in [
        (words::TYPE, entry.severity.as_str().to_owned()),
        (words::FROM, entry.emitter.to_owned()),
        (words::OBJECT, words::object(entry, lang)),
        (words::PLACE, entry.place.map_or("", |place| place.get(lang)).to_owned()),
        (words::CATEGORY, entry.category.name().get(lang).to_owned()),
        (words::VERSIONS, words::versions(entry.versions, lang)),
        (words::KUBERNETES, words::status(entry.status, lang)),
        (words::PORTOLAN, words::portolan(entry, lang)),
        (words::HARM, entry.impact.harm.name().get(lang).to_owned()),
        (words::FREQUENCY, entry.frequency.get(lang).to_owned()),
    ] {
        if value.is_empty() {
            continue;
        }
        line(out, &format!("| {} | {value} |", label.get(lang)));
    }
}

fn messages(out: &mut String, messages: &[Message], lang: Lang) {
    section(out, words::MESSAGES, lang);
    for (label, message) in words::labelled(messages) {
        if let Some(label) = label {
            line(out, &format!("- {label}"));
        }
        if let Some(note) = message.note {
            line(out, &format!("  {}", note.get(lang)));
        }
        if !message.template.is_empty() {
            code(out, "  ", "text", &[message.template]);
        }
    }
}

fn patterns(out: &mut String, patterns: &[Pattern], lang: Lang) {
    if patterns.is_empty() {
        return;
    }
    section(out, words::PATTERNS, lang);
    for pattern in patterns {
        let code = pattern.code.map(|code| format!(" [{code}](codes/{code}.md)")).unwrap_or_default();
        line(out, &format!("- `{}`  ", words::variant(pattern)));
        line(out, &format!("  {}{code}", pattern.cause.get(lang)));
    }
}

fn checks_and_remedies(out: &mut String, entry: &Entry, lang: Lang) {
    section(out, words::CHECKS, lang);
    for (number, check) in entry.checks.iter().enumerate() {
        line(out, &format!("{}. {}", number + 1, check.shows.get(lang)));
        code(out, "   ", "sh", &[check.command]);
    }
    section(out, words::REMEDIES, lang);
    match entry.remedies {
        Remedies::NoneNeeded(why) => line(out, why.get(lang)),
        Remedies::Steps(steps) => {
            for step in steps {
                line(out, &format!("- **{}** {}", step.when.get(lang), step.action.get(lang)));
                if !step.commands.is_empty() {
                    code(out, "  ", "sh", step.commands);
                }
                if let Some(risk) = step.risk {
                    let label = words::RISK.get(lang);
                    line(out, &format!("\n  **{label}**{}{}", words::colon(lang), risk.get(lang)));
                }
            }
        }
    }
}

fn rest(out: &mut String, entry: &Entry, lang: Lang) {
    if !entry.misreadings.is_empty() {
        section(out, words::MISREADINGS, lang);
        for misreading in entry.misreadings {
            let not_so = words::NOT_SO.get(lang);
            line(out, &format!("> **{not_so}**{}{}\n", words::colon(lang), misreading.claim.get(lang)));
            line(out, &format!("{}\n", misreading.fact.get(lang)));
        }
        // The last one has its empty line from the next section.
        out.pop();
    }
    if !entry.aliases.is_empty() {
        section(out, words::ALIASES, lang);
        for alias in entry.aliases {
            line(out, &format!("- `{}`{}{}", alias.name, words::colon(lang), alias.note.get(lang)));
        }
    }
    scenario(out, entry.scenario, lang);
    section(out, words::SEE_ALSO, lang);
    let links: Vec<String> = entry.see_also.iter().map(|reason| format!("[{reason}]({reason}.md)")).collect();
    line(out, &words::enumerate(links.iter().map(String::as_str), lang));
}

fn scenario(out: &mut String, scenario: Option<&str>, lang: Lang) {
    if let Some(name) = scenario {
        section(out, words::SCENARIO, lang);
        code(out, "", "sh", &[&words::run(name)]);
    }
}

/// The page of one code: `docs/events/LANG/codes/CODE.md`.
pub fn code_markdown(code: &Code, lang: Lang) -> String {
    let mut out = String::from(GENERATED);
    let other = match lang {
        Lang::En => (Lang::Zh, "中文"),
        Lang::Zh => (Lang::En, "English"),
    };
    line(&mut out, &format!("# {}\n", code.code));
    line(&mut out, &format!("[{}](../../{}/codes/{}.md)\n", other.1, other.0.code(), code.code));
    line(&mut out, code.title.get(lang));
    for (heading, text) in super::code::parts(code) {
        section(&mut out, heading, lang);
        line(&mut out, text.get(lang));
    }
    scenario(&mut out, code.scenario, lang);
    if !code.reasons.is_empty() {
        section(&mut out, words::REASONS, lang);
        let links: Vec<String> = code.reasons.iter().map(|reason| format!("[{reason}](../{reason}.md)")).collect();
        line(&mut out, &words::enumerate(links.iter().map(String::as_str), lang));
    }
    out
}

/// The table of all codes: `docs/events/LANG/codes/README.md`.
pub fn codes_index(lang: Lang) -> String {
    let mut out = String::from(GENERATED);
    let (title, other) = match lang {
        Lang::En => ("Findings of `portolan diagnose`", "[中文](../../zh/codes/README.md) - [events](../README.md)"),
        Lang::Zh => ("`portolan diagnose` 的诊断结论", "[English](../../en/codes/README.md) - [事件](../README.md)"),
    };
    line(&mut out, &format!("# {title}\n"));
    line(&mut out, &format!("{other}\n"));
    let heading = [words::CODE, words::LINK, words::SUMMARY].map(|heading| heading.get(lang));
    line(&mut out, &format!("| {} |", heading.join(" | ")));
    line(&mut out, "|---|---|---|");
    for code in codes::all() {
        line(&mut out, &format!("| [{0}]({0}.md) | {1} | {2} |", code.code, code.link, code.title.get(lang)));
    }
    out
}

/// What a pasted text was found to be.
pub fn recognised_markdown(found: &[Recognised], lang: Lang) -> String {
    let mut out = String::new();
    for one in found {
        let (label, cause) = super::found::cause(one);
        line(&mut out, &format!("## {}\n", one.entry.name));
        line(&mut out, &format!("{}\n", one.entry.summary.get(lang)));
        line(&mut out, &format!("- **{}**{}{}", label.get(lang), words::colon(lang), cause.get(lang)));
        if let Some(vendor) = one.vendor {
            let provider = words::PROVIDER.get(lang);
            line(&mut out, &format!("- **{provider}**{}`{}` ({})", words::colon(lang), vendor.code, vendor.vendor));
        }
        if let Some(code) = one.pattern.and_then(|pattern| codes::find(pattern.code?)) {
            let title = code.title.get(lang);
            let label = words::CODE.get(lang);
            let colon = words::colon(lang);
            line(&mut out, &format!("- **{label}**{colon}`{}`{colon}{title}", code.code));
        }
        out.push('\n');
    }
    out
}

/// The table of all entries: `docs/events/LANG/README.md`.
pub fn index(lang: Lang) -> String {
    let mut out = String::from(GENERATED);
    let (title, other) = match lang {
        Lang::En => (
            "Events of the Service network",
            "[中文](../zh/README.md) - [how to read this](../README.md) - [findings](codes/README.md)",
        ),
        Lang::Zh => (
            "Service 网络的事件",
            "[English](../en/README.md) - [阅读说明](../README.md) - [诊断结论](codes/README.md)",
        ),
    };
    line(&mut out, &format!("# {title}\n"));
    line(&mut out, other);
    for category in Category::ALL {
        section(&mut out, category.name(), lang);
        let heading = [words::REASON, words::TYPE, words::FROM, words::OBJECT, words::KUBERNETES, words::SUMMARY];
        line(&mut out, &format!("| {} |", heading.map(|heading| heading.get(lang)).join(" | ")));
        line(&mut out, "|---|---|---|---|---|---|");
        for entry in entries().iter().filter(|entry| entry.category == category) {
            let link = format!("[{0}]({0}.md)", entry.name);
            line(&mut out, &format!("| {} |", row(entry, &link, lang).join(" | ")));
        }
    }
    aliases(&mut out, lang);
    out
}

/// The reasons of `entries` as one table, without links.
pub fn table(entries: &[&Entry], lang: Lang) -> String {
    let heading = [words::REASON, words::TYPE, words::FROM, words::OBJECT, words::KUBERNETES, words::SUMMARY];
    let mut out = format!("| {} |\n|---|---|---|---|---|---|\n", heading.map(|heading| heading.get(lang)).join(" | "));
    for entry in entries {
        line(&mut out, &format!("| {} |", row(entry, entry.name, lang).join(" | ")));
    }
    out
}

/// The cells of an entry, `name` in the first.
fn row<'a>(entry: &Entry, name: &'a str, lang: Lang) -> [&'a str; 6] {
    [name, entry.severity.as_str(), entry.emitter, entry.object, entry.status.word().get(lang), entry.summary.get(lang)]
}

fn aliases(out: &mut String, lang: Lang) {
    section(out, words::ALIASES, lang);
    for entry in entries() {
        for alias in entry.aliases {
            line(out, &format!("- `{}` -> [{1}]({1}.md)", alias.name, entry.name));
        }
    }
}

fn section(out: &mut String, heading: Text, lang: Lang) {
    let heading = heading.get(lang);
    let mut letters = heading.chars();
    let capital = letters.next().map(|first| first.to_ascii_uppercase().to_string()).unwrap_or_default();
    line(out, &format!("\n## {capital}{}\n", letters.as_str()));
}

fn code(out: &mut String, indent: &str, language: &str, lines: &[&str]) {
    line(out, &format!("{indent}```{language}"));
    for text in lines {
        line(out, &format!("{indent}{text}"));
    }
    line(out, &format!("{indent}```"));
}

fn line(out: &mut String, text: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "{text}");
}
