//! A code of the doctor as a page for terminals, and all of them as a list.

use super::sheet::{BOLD, Sheet};
use super::width::display_width;
use super::{Style, words};
use crate::codes::{self, Code};
use crate::lang::Lang;

/// `code` as a page of `width` columns.
pub fn code_page(code: &Code, lang: Lang, width: usize, style: Style) -> String {
    let mut page = Sheet::new(lang, width, style);
    let name = page.paint(BOLD, code.code);
    page.line(0, &name);
    page.text(0, code.title.get(lang));
    page.facts(&[(words::LINK, code.link.to_owned())]);
    for (heading, text) in parts(code) {
        page.paragraph(heading, text);
    }
    page.scenario(code.scenario);
    if !code.reasons.is_empty() {
        page.heading(words::REASONS);
        let names = words::enumerate(code.reasons.iter().copied(), lang);
        page.text(2, &names);
    }
    page.finish()
}

/// The paragraphs of a code with their headings.
pub(super) fn parts(code: &Code) -> [(crate::Text, crate::Text); 4] {
    [
        (words::MEANING, code.meaning),
        (words::PROOF, code.proof),
        (words::WHO, code.impact),
        (words::REMEDIES, code.remedy),
    ]
}

/// Every code with its title, one a line, in the order of the chain.
pub fn list_codes(lang: Lang) -> String {
    let widest = codes::all().map(|code| display_width(code.code)).max().unwrap_or_default();
    let mut out = format!("{}\n", words::CODES.get(lang));
    for code in codes::all() {
        let padding = " ".repeat(widest - display_width(code.code) + 2);
        out.push_str(&format!("{}{padding}{}\n", code.code, code.title.get(lang)));
    }
    out
}
