//! What an entry says about Portolan is so: the parts name exactly the reasons that the catalogue says are emitted, and
//! have the texts that it quotes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use portolan_catalogue::{Reason, entries};

/// The crates that report; the others only read or record. The last reports who leads.
const PARTS: &[&str] = &["controllers", "node", "proxy", "portolan"];

/// All sources of the parts, tests aside.
fn sources() -> Vec<String> {
    let mut found = Vec::new();
    for part in PARTS {
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(part).join("src"), &mut found);
    }
    found
}

fn read(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("tests") {
            continue;
        }
        if path.is_dir() {
            read(&path, found);
        } else if name.ends_with(".rs") {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn portolan_emits_what_its_entries_say_and_nothing_else() {
    let mut found: BTreeSet<Reason> = BTreeSet::new();
    for source in sources() {
        for rest in source.split("Reason::").skip(1) {
            let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
            found.extend(Reason::ALL.iter().filter(|reason| reason.as_str() == word));
        }
    }
    for entry in entries() {
        assert_eq!(
            entry.portolan.emits,
            entry.reason.is_some_and(|reason| found.contains(&reason)),
            "{}: `portolan.emits` of the entry does not agree with crates {PARTS:?}; correct the entry",
            entry.name
        );
    }
}

/// The constant pieces of a template: what is between its variable parts and between the errors that it is made of.
fn pieces(template: &str) -> Vec<String> {
    let mut constant = String::new();
    let mut depth = 0;
    for c in template.chars() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                constant.push('\n');
            }
            c if depth == 0 => constant.push(c),
            _ => {}
        }
    }
    let pieces = constant.split(['\n', ',', ':']);
    let trimmed = pieces.map(|piece| piece.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned());
    trimmed.filter(|piece| !piece.is_empty()).collect()
}

/// Whether the sources have the piece, put together from three words or phrases at most and not of single words: a limit
/// or a kind may be a constant of its own there.
fn is_said(piece: &str, sources: &[String]) -> bool {
    let words: Vec<&str> = piece.split(' ').collect();
    let mut rest = &words[..];
    for used in 1..=3 {
        let known = |count: &usize| {
            let phrase = rest[..*count].join(" ");
            sources.iter().any(|source| source.contains(&phrase))
        };
        let Some(count) = (1..=rest.len()).rev().find(known) else { return false };
        rest = &rest[count..];
        if rest.is_empty() {
            return used == 1 || used < words.len();
        }
    }
    false
}

/// A source with its string literals as they are at run time: no breaks, no escapes.
fn unbroken(source: &str) -> String {
    let mut lines = source.split("\\\n");
    let mut out = lines.next().unwrap_or_default().to_owned();
    lines.for_each(|line| out.push_str(line.trim_start()));
    out.replace("\\\"", "\"")
}

#[test]
fn the_texts_of_portolan_are_in_its_sources() {
    let sources: Vec<String> = sources().iter().map(|source| unbroken(source)).collect();
    for entry in entries().iter().filter(|entry| entry.portolan.emits) {
        for message in entry.messages.iter().filter(|message| message.by.contains("Portolan")) {
            for piece in pieces(message.template) {
                let said = is_said(&piece, &sources);
                assert!(said, "{}: no part says {piece:?} of {:?}", entry.name, message.template);
            }
        }
    }
}
