//! A page for terminals while it is being written: headings, wrapped text, commands.

use super::Style;
use super::width::{display_width, wrap};
use crate::lang::{Lang, Text};

/// No terminal is narrower than this.
const NARROWEST: usize = 40;

/// A page being written. Commands are never broken: they are there to be copied.
pub(super) struct Sheet {
    out: String,
    pub(super) lang: Lang,
    width: usize,
    style: Style,
}

impl Sheet {
    pub(super) fn new(lang: Lang, width: usize, style: Style) -> Self {
        Self { out: String::new(), lang, width: width.max(NARROWEST), style }
    }

    /// What has been written.
    pub(super) fn finish(self) -> String {
        self.out
    }

    /// Rows of a label and a value, the values under each other.
    pub(super) fn facts(&mut self, facts: &[(Text, String)]) {
        let lang = self.lang;
        self.blank();
        let column = facts.iter().map(|(label, _)| display_width(label.get(lang))).max().unwrap_or_default();
        for (label, value) in facts {
            let label = label.get(lang);
            let padding = " ".repeat(column - display_width(label) + 2);
            self.hanging(2, &format!("{label}{padding}"), value);
        }
    }

    pub(super) fn paragraph(&mut self, heading: Text, text: Text) {
        self.heading(heading);
        self.text(2, text.get(self.lang));
    }

    pub(super) fn heading(&mut self, heading: Text) {
        self.blank();
        let heading = self.paint(BOLD, heading.get(self.lang));
        self.line(0, &heading);
    }

    pub(super) fn command(&mut self, command: &str) {
        let command = self.paint(CYAN, &format!("$ {command}"));
        self.line(4, &command);
    }

    /// Wrapped text, indented.
    pub(super) fn text(&mut self, indent: usize, text: &str) {
        for line in wrap(text, self.width - indent) {
            self.line(indent, &line);
        }
    }

    /// Wrapped text whose first line begins with `label` and whose other lines stand under the text.
    pub(super) fn hanging(&mut self, indent: usize, label: &str, text: &str) {
        let under = indent + display_width(label);
        for (number, line) in wrap(text, self.width - under).into_iter().enumerate() {
            if number == 0 {
                self.line(indent, &format!("{label}{line}"));
            } else {
                self.line(under, &line);
            }
        }
    }

    pub(super) fn line(&mut self, indent: usize, line: &str) {
        self.out.push_str(&" ".repeat(indent));
        self.out.push_str(line);
        self.out.push('\n');
    }

    pub(super) fn blank(&mut self) {
        self.out.push('\n');
    }

    pub(super) fn paint(&self, colour: &str, text: &str) -> String {
        match self.style {
            Style::Plain => text.to_owned(),
            Style::Ansi => format!("\x1b[{colour}m{text}\x1b[0m"),
        }
    }
}

/// SGR parameters.
pub(super) const BOLD: &str = "1";
pub(super) const GREEN: &str = "32";
pub(super) const YELLOW: &str = "33";
pub(super) const CYAN: &str = "36";
