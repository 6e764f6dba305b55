//! A diagnosis for people: plain text, or with colour if the caller says that someone can see it.

use std::fmt::Write;

use portolan_catalogue::{Lang, Text};

use super::words;
use crate::{Cause, Diagnosis, Evidence, Finding, Link, Report, State, Unread};

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// The whole diagnosis: the chain, the cause with evidence and remedies, hints, and what could not be read.
pub fn text(diagnosis: &Diagnosis, lang: Lang, colour: bool) -> String {
    let mut page = Page { out: String::new(), lang, colour };
    page.chain(diagnosis);
    for (index, finding) in diagnosis.findings.iter().enumerate() {
        let heading = if index == 0 { words::CAUSE } else { words::ALSO };
        page.finding(finding, &format!("{}{}", page.say(heading), page.say(words::COLON)));
    }
    page.rest(diagnosis);
    page.out
}

/// The causes of many Services, those with the most victims first.
pub fn report(report: &Report, lang: Lang, colour: bool) -> String {
    let mut page = Page { out: String::new(), lang, colour };
    page.verdict(report);
    for (index, cause) in report.causes.iter().enumerate() {
        page.cause(index + 1, cause);
    }
    page.unread(&report.unread);
    page.out
}

/// Most Services that are named under a cause; JSON has them all.
const SHOWN: usize = 8;

struct Page {
    out: String,
    lang: Lang,
    colour: bool,
}

impl Page {
    fn say(&self, text: Text) -> &'static str {
        text.get(self.lang)
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour { format!("{style}{text}{RESET}") } else { text.to_owned() }
    }

    fn line(&mut self, line: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.out, "{}", line.trim_end());
    }

    fn chain(&mut self, diagnosis: &Diagnosis) {
        let title = format!("Service {}", diagnosis.service);
        self.line(&self.paint(BOLD, &title));
        let lang = self.lang;
        let states: Vec<usize> = diagnosis.links.iter().map(|link| width(words::state(link.state).get(lang))).collect();
        let names: Vec<usize> = diagnosis.links.iter().map(|link| width(words::link(link.id).get(lang))).collect();
        let (states, names) = (states.into_iter().max().unwrap_or(0), names.into_iter().max().unwrap_or(0));
        for link in &diagnosis.links {
            let line = self.link(link, states, names);
            self.line(&line);
        }
    }

    fn link(&self, link: &Link, states: usize, names: usize) -> String {
        let style = match link.state {
            State::Ok => GREEN,
            State::Broken => RED,
            State::Consequence => YELLOW,
            State::NotChecked => DIM,
        };
        let state = self.paint(style, &padded(self.say(words::state(link.state)), states));
        let name = padded(self.say(words::link(link.id)), names);
        format!("  {state}  {name}  {}", link.summary.get(self.lang))
    }

    fn finding(&mut self, finding: &Finding, heading: &str) {
        let heading = format!("{heading}{}", finding.title.get(self.lang));
        self.line("");
        self.line(&self.paint(BOLD, &heading));
        self.line(&self.paint(DIM, &format!("  [{}]", finding.code)));
        for step in &finding.chain {
            let step = format!("  -> {}", step.get(self.lang));
            self.line(&step);
        }
        if !finding.evidence.is_empty() {
            self.line(self.say(words::EVIDENCE));
            self.evidence(&finding.evidence);
        }
        if !finding.remedies.is_empty() {
            self.line(self.say(words::REMEDIES));
        }
        for (index, remedy) in finding.remedies.iter().enumerate() {
            let what = format!("  {}. {}", index + 1, remedy.what.get(self.lang));
            self.line(&what);
            for command in &remedy.commands {
                self.line(&format!("     {command}"));
            }
        }
        let known = finding.reason.as_deref().filter(|reason| portolan_catalogue::find(reason).is_some());
        if let Some(reason) = known {
            let more = self.say(words::MORE);
            self.line(&format!("  {more} portolan explain {reason}"));
        }
    }

    fn evidence(&mut self, evidence: &[Evidence]) {
        let objects = evidence.iter().map(|item| width(&item.object)).max().unwrap_or(0);
        let fields = evidence.iter().map(|item| width(&item.field)).max().unwrap_or(0);
        for item in evidence {
            let (object, field) = (padded(&item.object, objects), padded(&item.field, fields));
            self.line(&format!("  {object}  {field}  {}", item.value));
        }
    }

    fn rest(&mut self, diagnosis: &Diagnosis) {
        if !diagnosis.hints.is_empty() {
            self.line("");
            self.line(self.say(words::HINTS));
        }
        for hint in &diagnosis.hints {
            let hint = format!("  - {}", hint.get(self.lang));
            self.line(&hint);
        }
        self.unread(&diagnosis.unread);
        if diagnosis.findings.is_empty() {
            self.line("");
            self.line(self.say(if diagnosis.exit_code() == 0 { words::FINE } else { words::FINE_AS_FAR }));
        }
    }

    fn unread(&mut self, unread: &[Unread]) {
        if !unread.is_empty() {
            self.line("");
            self.line(self.say(words::UNREAD));
        }
        for Unread { what, why, .. } in unread {
            let hides = words::hides(what).map(|hides| format!(" ({})", self.say(hides))).unwrap_or_default();
            self.line(&format!("  - {what}: {why}{hides}"));
        }
    }

    fn cause(&mut self, number: usize, cause: &Cause) {
        self.finding(&cause.finding, &format!("{number}. "));
        let services = self.say(words::SERVICES);
        let shown = cause.services.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        let more = match cause.services.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(", +{more}"),
        };
        self.line(&format!("{services} ({}): {shown}{more}", cause.services.len()));
    }

    fn verdict(&mut self, report: &Report) {
        let (all, healthy, causes) = (report.services, report.healthy, report.causes.len());
        let hurt = all - healthy;
        let line = match (self.lang, causes) {
            (Lang::En, 0) => format!("{all} Services looked at: {}", words::FINE.en),
            (Lang::Zh, 0) => format!("已检查 {all} 个 Service：{}", words::FINE.zh),
            (Lang::En, _) => format!("{hurt} of {all} Services have a fault; causes: {causes}"),
            (Lang::Zh, _) => format!("{all} 个 Service 中有 {hurt} 个存在故障；原因：{causes} 个"),
        };
        self.line(&self.paint(BOLD, &line));
    }
}

/// Columns on a terminal: Chinese characters take two.
fn width(text: &str) -> usize {
    text.chars().map(|character| if character >= '\u{2e80}' { 2 } else { 1 }).sum()
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}
