//! One entry as a page for terminals.

use super::width::{display_width, wrap};
use super::{Style, words};
use crate::lang::{Lang, Text};
use crate::{Entry, Remedies, Severity};

/// No terminal is narrower than this.
const NARROWEST: usize = 40;

/// `entry` as a page of `width` columns. Commands are never broken: they are there to be copied.
pub fn page(entry: &Entry, lang: Lang, width: usize, style: Style) -> String {
    let mut page = Page { out: String::new(), lang, width: width.max(NARROWEST), style };
    page.title(entry);
    page.facts(entry);
    page.messages(entry);
    page.paragraph(words::MEANING, entry.meaning);
    page.paragraph(words::WHO, entry.impact.who);
    page.chain(entry);
    page.checks(entry);
    page.remedies(entry);
    page.misreadings(entry);
    page.aliases(entry);
    page.see_also(entry);
    page.out
}

/// A page being written.
struct Page {
    out: String,
    lang: Lang,
    width: usize,
    style: Style,
}

impl Page {
    fn title(&mut self, entry: &Entry) {
        let colour = match entry.severity {
            Severity::Normal => GREEN,
            Severity::Warning => YELLOW,
        };
        let name = self.paint(BOLD, entry.reason.as_str());
        let severity = self.paint(colour, entry.severity.as_str());
        self.line(0, &format!("{name}  {severity}"));
        self.text(0, entry.summary.get(self.lang));
    }

    fn facts(&mut self, entry: &Entry) {
        let lang = self.lang;
        let facts = [
            (words::FROM, entry.emitter.to_owned()),
            (words::OBJECT, words::object(entry, lang)),
            (words::CATEGORY, entry.category.name().get(lang).to_owned()),
            (words::VERSIONS, words::versions(entry.versions, lang)),
            (words::KUBERNETES, words::status(entry.status, lang)),
            (words::PORTOLAN, words::portolan(entry, lang)),
            (words::HARM, entry.impact.harm.name().get(lang).to_owned()),
        ];
        self.blank();
        let column = facts.iter().map(|(label, _)| display_width(label.get(lang))).max().unwrap_or_default();
        for (label, value) in &facts {
            let label = label.get(lang);
            let padding = " ".repeat(column - display_width(label) + 2);
            self.hanging(2, &format!("{label}{padding}"), value);
        }
    }

    fn messages(&mut self, entry: &Entry) {
        self.heading(words::MESSAGES);
        for (label, message) in words::labelled(entry.messages) {
            if let Some(label) = label {
                self.text(2, &format!("[{label}]"));
            }
            if !message.template.is_empty() {
                self.text(4, message.template);
            }
            if let Some(note) = message.note {
                self.text(4, note.get(self.lang));
            }
        }
    }

    fn paragraph(&mut self, heading: Text, text: Text) {
        self.heading(heading);
        self.text(2, text.get(self.lang));
    }

    fn chain(&mut self, entry: &Entry) {
        self.heading(words::CHAIN);
        for (label, text) in [(words::BEFORE, entry.chain.before), (words::AFTER, entry.chain.after)] {
            let label = format!("{}{}", label.get(self.lang), words::colon(self.lang));
            self.hanging(2, &label, text.get(self.lang));
        }
    }

    fn checks(&mut self, entry: &Entry) {
        self.heading(words::CHECKS);
        for (number, check) in entry.checks.iter().enumerate() {
            self.hanging(2, &format!("{}. ", number + 1), check.shows.get(self.lang));
            self.command(check.command);
        }
    }

    fn remedies(&mut self, entry: &Entry) {
        self.heading(words::REMEDIES);
        match entry.remedies {
            Remedies::NoneNeeded(why) => self.text(2, why.get(self.lang)),
            Remedies::Steps(steps) => {
                for step in steps {
                    self.hanging(2, "* ", step.when.get(self.lang));
                    self.text(4, step.action.get(self.lang));
                    for command in step.commands {
                        self.command(command);
                    }
                }
            }
        }
    }

    fn misreadings(&mut self, entry: &Entry) {
        if entry.misreadings.is_empty() {
            return;
        }
        self.heading(words::MISREADINGS);
        for misreading in entry.misreadings {
            let label = format!("{}{}", words::NOT_SO.get(self.lang), words::colon(self.lang));
            self.hanging(2, &label, misreading.claim.get(self.lang));
            self.text(4, misreading.fact.get(self.lang));
        }
    }

    fn aliases(&mut self, entry: &Entry) {
        if entry.aliases.is_empty() {
            return;
        }
        self.heading(words::ALIASES);
        for alias in entry.aliases {
            let label = format!("{}{}", alias.name, words::colon(self.lang));
            self.text(2, &format!("{label}{}", alias.note.get(self.lang)));
        }
    }

    fn see_also(&mut self, entry: &Entry) {
        self.heading(words::SEE_ALSO);
        let names = words::enumerate(entry.see_also.iter().map(|reason| reason.as_str()), self.lang);
        self.text(2, &names);
    }

    fn heading(&mut self, heading: Text) {
        self.blank();
        let heading = self.paint(BOLD, heading.get(self.lang));
        self.line(0, &heading);
    }

    fn command(&mut self, command: &str) {
        let command = self.paint(CYAN, &format!("$ {command}"));
        self.line(4, &command);
    }

    /// Wrapped text, indented.
    fn text(&mut self, indent: usize, text: &str) {
        for line in wrap(text, self.width - indent) {
            self.line(indent, &line);
        }
    }

    /// Wrapped text whose first line begins with `label` and whose other lines stand under the text.
    fn hanging(&mut self, indent: usize, label: &str, text: &str) {
        let under = indent + display_width(label);
        for (number, line) in wrap(text, self.width - under).into_iter().enumerate() {
            if number == 0 {
                self.line(indent, &format!("{label}{line}"));
            } else {
                self.line(under, &line);
            }
        }
    }

    fn line(&mut self, indent: usize, line: &str) {
        self.out.push_str(&" ".repeat(indent));
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn blank(&mut self) {
        self.out.push('\n');
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        match self.style {
            Style::Plain => text.to_owned(),
            Style::Ansi => format!("\x1b[{colour}m{text}\x1b[0m"),
        }
    }
}

/// SGR parameters.
const BOLD: &str = "1";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries;

    #[test]
    fn pages_keep_the_width_except_for_commands_and_long_words() {
        for entry in entries() {
            for lang in Lang::ALL {
                for width in [40, 80, 120] {
                    let page = page(entry, lang, width, Style::Plain);
                    for line in page.lines() {
                        let command = line.trim_start().starts_with("$ ");
                        // The second column after its heading counts by itself.
                        let text = line.trim().rsplit_once("  ").map_or(line.trim(), |(_, cell)| cell);
                        let one_word = !text.contains(' ');
                        let fits = display_width(line) <= width;
                        assert!(fits || command || one_word, "{} {width}: {line:?}", entry.reason);
                        assert_eq!(line.trim_end(), line, "{}", entry.reason);
                    }
                }
            }
        }
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        for entry in entries() {
            let plain = page(entry, Lang::Zh, 80, Style::Plain);
            let mut coloured = page(entry, Lang::Zh, 80, Style::Ansi);
            assert!(!plain.contains('\x1b'));
            for code in [BOLD, GREEN, YELLOW, CYAN, "0"] {
                coloured = coloured.replace(&format!("\x1b[{code}m"), "");
            }
            assert_eq!(plain, coloured);
        }
    }

    #[test]
    fn a_page_of_no_width_is_still_a_page() {
        let page = page(&entries()[0], Lang::En, 0, Style::Plain);
        assert!(page.starts_with("EnsuringLoadBalancer  Normal\n"));
    }
}
