//! A pasted line, of `kubectl describe`, `kubectl get events`, a log or a chat, is traced back to its entry and cause.
//!
//! Called by `portolan explain "text"`. Never panics, whatever is pasted. Two ways lead to an entry: the reason stands
//! in the line, or the text of one of its messages does. With the reason at hand a few words decide between causes;
//! without it, enough of a message must be there not to be an accident.

use serde::Serialize;

use crate::pattern::{Captured, Folded, matches, weight};
use crate::vendor::{self, Vendor};
use crate::{Entry, Pattern, Status, entries};

/// Letters and digits of a message that are no accident any more.
const ENOUGH: usize = 10;
/// Lines that are looked at; nobody reads more.
const LINES: usize = 500;
/// Characters of a line that are looked at; an Event has 1024.
const LENGTH: usize = 4096;
/// Entries that one line may mean; a text of more of them identifies none.
const CANDIDATES: usize = 3;

/// What a text was found to be.
#[derive(Debug, Clone, Serialize)]
pub struct Recognised {
    /// The entry.
    pub entry: &'static Entry,
    /// The variant, if one of its causes is told.
    pub pattern: Option<&'static Pattern>,
    /// What stood in the variable parts, by name.
    pub captured: Vec<Captured>,
    /// The provider's code in it.
    pub vendor: Option<&'static Vendor>,
}

/// What is in `text`, best first for each line, each finding once.
pub fn recognise(text: &str) -> Vec<Recognised> {
    let mut found: Vec<Recognised> = Vec::new();
    for line in text.lines().take(LINES) {
        for one in in_line(cut(line.trim())) {
            let same = |other: &Recognised| {
                let cause = |one: &Recognised| one.pattern.map(|pattern| pattern.cause.en);
                other.entry.name == one.entry.name && cause(other) == cause(&one)
            };
            if !found.iter().any(same) {
                found.push(one);
            }
        }
    }
    found
}

/// At most [`LENGTH`] bytes of a line, whole characters.
fn cut(line: &str) -> &str {
    let end = (0..=line.len().min(LENGTH)).rev().find(|at| line.is_char_boundary(*at)).unwrap_or_default();
    &line[..end]
}

fn in_line(line: &str) -> Vec<Recognised> {
    if line.is_empty() {
        return Vec::new();
    }
    if let Some((entry, after)) = named(line) {
        return vec![of_entry(entry, message(&line[after..]), line)];
    }
    let by_text = by_message(line);
    if by_text.is_empty() { by_provider(line).into_iter().collect() } else { by_text }
}

/// The entry, its reason being known.
fn of_entry(entry: &'static Entry, message: &str, line: &str) -> Recognised {
    // What is before the reason, as in a log, may hold the message too.
    let fits =
        |text: &Folded<'_>| entry.patterns.iter().find_map(|pattern| Some((pattern, pattern.matches_folded(text)?)));
    let text = Folded::new(message);
    let (pattern, captured) = match fits(&text).or_else(|| fits(&Folded::new(line))) {
        Some((pattern, captured)) => (Some(pattern), captured),
        None => (None, entry.messages.iter().find_map(|known| caught(known.template, &text)).unwrap_or_default()),
    };
    Recognised { entry, pattern, captured, vendor: vendor::code_in(line) }
}

/// What stands in the holes of a message, if the message is there.
fn caught(template: &'static str, text: &Folded<'_>) -> Option<Vec<Captured>> {
    if weight(template) == 0 { None } else { matches(template, text) }
}

/// The entries whose messages or variants are in the line, the one with the most constant text first.
fn by_message(line: &str) -> Vec<Recognised> {
    let message = message(line);
    let text = Folded::new(message);
    let mut found: Vec<(usize, Recognised)> = Vec::new();
    for entry in entries() {
        let of_pattern = |pattern: &'static Pattern| {
            let weight = weight(pattern.template);
            (weight >= ENOUGH && pattern.matches_folded(&text).is_some()).then_some(weight)
        };
        let of_template = |template: &'static str| {
            let weight = weight(template);
            (weight >= ENOUGH && matches(template, &text).is_some()).then_some(weight)
        };
        let patterns = entry.patterns.iter().filter_map(of_pattern);
        let messages = entry.messages.iter().filter_map(|known| of_template(known.template));
        if let Some(weight) = patterns.chain(messages).max() {
            found.push((weight, of_entry(entry, message, line)));
        }
    }
    // Between equals: who knows the cause, then what is said today before what is not, then the catalogue's order.
    let rank = |one: &Recognised| (one.pattern.is_none(), standing(one.entry.status));
    found.sort_by_key(|(weight, one)| (std::cmp::Reverse(*weight), rank(one)));
    let best = found.first().map_or(0, |(weight, _)| *weight);
    // A text that is contained in another one's is not that other one's rival.
    found.retain(|(weight, _)| *weight == best);
    // What everybody may say, as `connection refused`, tells nothing about who said it.
    if found.len() > CANDIDATES {
        return Vec::new();
    }
    found.into_iter().map(|(_, one)| one).collect()
}

/// What Kubernetes says comes first, then what others say, then what nobody says any more, then what nobody ever said.
fn standing(status: Status) -> u8 {
    match status {
        Status::Current => 0,
        Status::ThirdParty { .. } => 1,
        Status::Legacy { .. } => 2,
        Status::NeverUpstream { .. } => 3,
    }
}

/// A provider's words alone: they come with the failure that nearly always brings them.
fn by_provider(line: &str) -> Option<Recognised> {
    vendor::code_in(line)?;
    let entry = crate::find("SyncLoadBalancerFailed")?;
    Some(of_entry(entry, line, line))
}

/// The entry whose reason stands in the line, and where the line goes on after it. Reasons that are everyday words
/// count only where a reason belongs: alone, after the type, or after `reason=`.
fn named(line: &str) -> Option<(&'static Entry, usize)> {
    let mut previous = "";
    let mut end = 0;
    for (at, word) in words(line) {
        let known = crate::find(word).filter(|entry| is_spelled(entry, word));
        if let Some(entry) = known {
            let alone = word.len() == line.len();
            let labelled = line[end..at].trim_start_matches(['"', '\'', ' ']).starts_with([':', '=']);
            let expected =
                ["Normal", "Warning"].contains(&previous) || (previous.eq_ignore_ascii_case("reason") && labelled);
            if alone || expected || is_distinctive(word) {
                return Some((entry, at + word.len()));
            }
        }
        previous = word;
        end = at + word.len();
    }
    None
}

/// Whether the word is spelled as a name of the entry is: in running text the case tells names from words.
fn is_spelled(entry: &Entry, word: &str) -> bool {
    entry.name == word || entry.aliases.iter().any(|alias| alias.name == word)
}

/// Whether a word can be nothing but a reason: of several words written as one, or with underscores, and no provider's
/// code.
fn is_distinctive(word: &str) -> bool {
    if vendor::lookup(word).is_some() {
        return false;
    }
    let humps =
        word.chars().zip(word.chars().skip(1)).filter(|(a, b)| a.is_ascii_lowercase() && b.is_ascii_uppercase());
    humps.count() >= 1 || (word.contains('_') && word.len() >= 7)
}

/// The words of a line, with where they begin.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at + line[at..].find(part)?;
        let end = line[begin..].find(|c| !part(c)).map_or(line.len(), |length| begin + length);
        at = end;
        Some((begin, &line[begin..end]))
    })
}

/// What is left of a row when its columns are taken off: of `describe` the age and who says it, of `get events` the
/// object.
fn message(row: &str) -> &str {
    let row = row.trim_start_matches(|c: char| c.is_whitespace() || ":\"',=".contains(c));
    let Some((first, rest)) = row.split_once(char::is_whitespace) else { return row };
    if is_age(first) {
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix("(x").and_then(|counted| counted.split_once(')')) {
            Some((_, rest)) => rest.trim_start(),
            None => rest,
        };
        return rest.split_once(char::is_whitespace).map_or(rest, |(_, message)| message.trim_start());
    }
    if is_object(first) { rest.trim_start() } else { row }
}

/// `12s`, `3m5s`, `2d`.
fn is_age(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.ends_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_digit() || "smhdy".contains(c))
}

/// `pod/web-1`.
fn is_object(word: &str) -> bool {
    let Some((kind, name)) = word.split_once('/') else { return false };
    let part = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c))
    };
    part(kind) && part(name) && !kind.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
