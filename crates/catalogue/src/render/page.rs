//! One entry as a page for terminals.

use super::sheet::{BOLD, GREEN, Sheet, YELLOW};
use super::{Style, words};
use crate::lang::Lang;
use crate::{Entry, Remedies, Severity};

/// `entry` as a page of `width` columns. Commands are never broken: they are there to be copied.
pub fn page(entry: &Entry, lang: Lang, width: usize, style: Style) -> String {
    let mut page = Sheet::new(lang, width, style);
    page.title(entry);
    page.entry_facts(entry);
    page.messages(entry);
    page.patterns(entry);
    page.paragraph(words::MEANING, entry.meaning);
    page.paragraph(words::WHO, entry.impact.who);
    page.chain(entry);
    page.checks(entry);
    page.remedies(entry);
    page.misreadings(entry);
    page.aliases(entry);
    page.scenario(entry.scenario);
    page.see_also(entry);
    page.finish()
}

impl Sheet {
    fn title(&mut self, entry: &Entry) {
        let colour = match entry.severity {
            Severity::Normal => GREEN,
            Severity::Warning => YELLOW,
        };
        let name = self.paint(BOLD, entry.name);
        let severity = self.paint(colour, entry.severity.as_str());
        self.line(0, &format!("{name}  {severity}"));
        self.text(0, entry.summary.get(self.lang));
    }

    fn entry_facts(&mut self, entry: &Entry) {
        let lang = self.lang;
        let mut facts = vec![(words::FROM, entry.emitter.to_owned()), (words::OBJECT, words::object(entry, lang))];
        facts.extend(entry.place.map(|place| (words::PLACE, place.get(lang).to_owned())));
        facts.extend([
            (words::CATEGORY, entry.category.name().get(lang).to_owned()),
            (words::VERSIONS, words::versions(entry.versions, lang)),
            (words::KUBERNETES, words::status(entry.status, lang)),
            (words::PORTOLAN, words::portolan(entry, lang)),
            (words::HARM, entry.impact.harm.name().get(lang).to_owned()),
            (words::FREQUENCY, entry.frequency.get(lang).to_owned()),
        ]);
        self.facts(&facts);
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

    fn patterns(&mut self, entry: &Entry) {
        if entry.patterns.is_empty() {
            return;
        }
        self.heading(words::PATTERNS);
        for pattern in entry.patterns {
            self.hanging(2, "* ", &words::variant(pattern));
            let code = pattern.code.map(|code| format!(" [{code}]")).unwrap_or_default();
            self.text(4, &format!("{}{code}", pattern.cause.get(self.lang)));
        }
    }

    /// How to see it happen.
    pub(super) fn scenario(&mut self, scenario: Option<&str>) {
        if let Some(name) = scenario {
            self.heading(words::SCENARIO);
            self.command(&words::run(name));
        }
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

    pub(super) fn remedies(&mut self, entry: &Entry) {
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
                    if let Some(risk) = step.risk {
                        let label = format!("{}{}", words::RISK.get(self.lang), words::colon(self.lang));
                        self.hanging(4, &label, risk.get(self.lang));
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
        let names = words::enumerate(entry.see_also.iter().copied(), self.lang);
        self.text(2, &names);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sheet::CYAN;
    use super::super::width::display_width;
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
                        assert!(fits || command || one_word, "{} {width}: {line:?}", entry.name);
                        assert_eq!(line.trim_end(), line, "{}", entry.name);
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
