//! What a pasted text was found to be.

use super::sheet::{BOLD, Sheet, YELLOW};
use super::{Style, words};
use crate::codes;
use crate::lang::{Lang, Text};
use crate::{Recognised, Remedies};

/// The findings one after the other: reason, cause, and what the doctor would call it. With a single one the remedies of
/// its entry follow, for they are what one pastes a text for.
pub fn recognised(found: &[Recognised], lang: Lang, width: usize, style: Style) -> String {
    let mut page = Sheet::new(lang, width, style);
    for (index, one) in found.iter().enumerate() {
        if index > 0 {
            page.blank();
        }
        page.found(one);
    }
    if let [one] = found
        && let Remedies::Steps(_) = one.entry.remedies
    {
        page.remedies(one.entry);
    }
    page.finish()
}

/// The cause and its heading; the meaning where a reason has only one.
pub(super) fn cause(one: &Recognised) -> (Text, Text) {
    match one.pattern {
        Some(pattern) => (words::CAUSE, pattern.cause),
        None if one.entry.patterns.is_empty() => (words::MEANING, one.entry.meaning),
        None => (words::CAUSE, words::NO_CAUSE),
    }
}

impl Sheet {
    fn found(&mut self, one: &Recognised) {
        let lang = self.lang;
        let name = self.paint(BOLD, one.entry.name);
        let severity = self.paint(YELLOW, one.entry.severity.as_str());
        self.line(0, &format!("{name}  {severity}"));
        self.text(0, one.entry.summary.get(lang));
        let (label, cause) = cause(one);
        let mut facts = vec![(label, cause.get(lang).to_owned())];
        if let Some(vendor) = one.vendor {
            facts.push((words::PROVIDER, format!("{} ({}): {}", vendor.code, vendor.vendor, vendor.message)));
        }
        // The error is what was pasted, and the cause says what it means.
        let captured = one.captured.iter().filter(|part| !["error", "causes"].contains(&part.name));
        let captured: Vec<String> = captured.map(|part| format!("{} = {}", part.name, part.value)).collect();
        if !captured.is_empty() {
            facts.push((words::CAPTURED, captured.join("; ")));
        }
        if let Some(code) = one.pattern.and_then(|pattern| codes::find(pattern.code?)) {
            let title = code.title.get(lang);
            facts.push((words::CODE, format!("{}{}{title}", code.code, words::colon(lang))));
        }
        facts.push((words::FREQUENCY, one.entry.frequency.get(lang).to_owned()));
        self.facts(&facts);
    }
}
