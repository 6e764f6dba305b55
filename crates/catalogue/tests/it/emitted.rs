//! What an entry says about Portolan is so: the parts name exactly the reasons that the catalogue says are emitted.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use portolan_catalogue::{Reason, entries};

/// The crates that report; the others only read or record. The last reports who leads.
const PARTS: &[&str] = &["controllers", "node", "proxy", "portolan"];

/// The reasons that the sources below `directory` name, tests aside.
fn named(directory: &Path, found: &mut BTreeSet<Reason>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("tests") {
            continue;
        }
        if path.is_dir() {
            named(&path, found);
        } else if name.ends_with(".rs") {
            let source = fs::read_to_string(&path).unwrap();
            for rest in source.split("Reason::").skip(1) {
                let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
                found.extend(Reason::ALL.iter().filter(|reason| reason.as_str() == word));
            }
        }
    }
}

#[test]
fn portolan_emits_what_its_entries_say_and_nothing_else() {
    let mut found = BTreeSet::new();
    for part in PARTS {
        named(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(part).join("src"), &mut found);
    }
    for entry in entries() {
        let reason = entry.reason;
        assert_eq!(
            entry.portolan.emits,
            found.contains(&reason),
            "{reason}: `portolan.emits` of the entry does not agree with crates {PARTS:?}; correct the entry"
        );
    }
}
