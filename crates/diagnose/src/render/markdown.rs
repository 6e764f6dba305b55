//! A diagnosis to paste into an issue or a ticket.

use std::fmt::Write;

use portolan_catalogue::{Lang, Text};

use super::words;
use crate::{Diagnosis, Finding, Report, Unread};

/// One Service.
pub fn diagnosis(diagnosis: &Diagnosis, lang: Lang) -> String {
    let mut page = Page { out: String::new(), lang };
    page.line(&format!("# Service {}\n", diagnosis.service));
    page.line(match lang {
        Lang::En => "| link | state | |\n|---|---|---|",
        Lang::Zh => "| 环节 | 状态 | |\n|---|---|---|",
    });
    for link in &diagnosis.links {
        let (name, state) = (page.say(words::link(link.id)), page.say(words::state(link.state)));
        page.line(&format!("| {name} | {state} | {} |", escaped(link.summary.get(lang))));
    }
    for (index, finding) in diagnosis.findings.iter().enumerate() {
        let heading = if index == 0 { words::CAUSE } else { words::ALSO };
        page.finding(finding, page.say(heading));
    }
    if !diagnosis.hints.is_empty() {
        page.line(&format!("\n## {}\n", page.say(words::HINTS)));
    }
    for hint in &diagnosis.hints {
        page.line(&format!("- {}", escaped(hint.get(lang))));
    }
    page.unread(&diagnosis.unread);
    if diagnosis.findings.is_empty() {
        let verdict = if diagnosis.exit_code() == 0 { words::FINE } else { words::FINE_AS_FAR };
        page.line(&format!("\n{}", page.say(verdict)));
    }
    page.out
}

/// Many Services.
pub fn report(report: &Report, lang: Lang) -> String {
    let mut page = Page { out: String::new(), lang };
    let (all, hurt, causes) = (report.services, report.services - report.healthy, report.causes.len());
    page.line(&match lang {
        Lang::En => format!("# {hurt} of {all} Services have a fault; causes: {causes}"),
        Lang::Zh => format!("# {all} 个 Service 中有 {hurt} 个存在故障；原因：{causes} 个"),
    });
    for (index, cause) in report.causes.iter().enumerate() {
        page.finding(&cause.finding, &(index + 1).to_string());
        let services: Vec<String> = cause.services.iter().map(|service| format!("`{service}`")).collect();
        page.line(&format!("\n{} ({}): {}", page.say(words::SERVICES), services.len(), services.join(", ")));
    }
    page.unread(&report.unread);
    page.out
}

struct Page {
    out: String,
    lang: Lang,
}

impl Page {
    fn say(&self, text: Text) -> &'static str {
        text.get(self.lang)
    }

    fn line(&mut self, line: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.out, "{line}");
    }

    fn finding(&mut self, finding: &Finding, heading: &str) {
        let colon = self.say(words::COLON);
        self.line(&format!("\n## {heading}{colon}{}\n", escaped(finding.title.get(self.lang))));
        self.line(&format!("`{}`\n", finding.code));
        for step in &finding.chain {
            self.line(&format!("- -> {}", escaped(step.get(self.lang))));
        }
        if !finding.evidence.is_empty() {
            self.line(&format!("\n**{}**\n", self.say(words::EVIDENCE)));
        }
        for item in &finding.evidence {
            self.line(&format!("- `{}` {}: {}", item.object, code(&item.field), code(&item.value)));
        }
        if !finding.remedies.is_empty() {
            self.line(&format!("\n**{}**\n", self.say(words::REMEDIES)));
        }
        for (index, remedy) in finding.remedies.iter().enumerate() {
            self.line(&format!("{}. {}", index + 1, escaped(remedy.what.get(self.lang))));
            if !remedy.commands.is_empty() {
                self.line(&format!("\n   ```\n   {}\n   ```", remedy.commands.join("\n   ")));
            }
        }
        let known = finding.reason.as_deref().filter(|reason| portolan_catalogue::find(reason).is_some());
        if let Some(reason) = known {
            self.line(&format!("\n{} `portolan explain {reason}`", self.say(words::MORE)));
        }
    }

    fn unread(&mut self, unread: &[Unread]) {
        if !unread.is_empty() {
            self.line(&format!("\n## {}\n", self.say(words::UNREAD)));
        }
        for Unread { what, why, .. } in unread {
            let hides = words::hides(what).map(|hides| format!(" ({})", self.say(hides))).unwrap_or_default();
            self.line(&format!("- {what}: {}{hides}", escaped(why)));
        }
    }
}

/// Text of objects must not become markup.
fn escaped(text: &str) -> String {
    let special = |character: char| matches!(character, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#');
    text.chars().fold(String::with_capacity(text.len()), |mut out, character| {
        if special(character) {
            out.push('\\');
        }
        out.push(if character == '\n' { ' ' } else { character });
        out
    })
}

/// As code, whatever quotes it holds.
fn code(text: &str) -> String {
    let text = text.replace('\n', " ");
    match text.contains('`') {
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    }
}
