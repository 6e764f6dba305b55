//! The codes of findings and their pages in the catalogue are one list.

use std::{fs, path::Path};

use portolan_catalogue::{codes, vendor};

fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}

/// The other direction is asserted wherever a finding is made.
#[test]
fn every_code_that_has_a_page_is_found_by_some_check() {
    let checks = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checks"));
    // What a provider's error is about has its code from the catalogue.
    let of_nobody = [vendor::Trouble::Timeout, vendor::Trouble::Unreachable];
    let of_providers = |code: &str| {
        let listed = vendor::CODES.iter().map(|known| known.trouble);
        listed.chain(of_nobody).any(|trouble| trouble.code() == code)
    };
    let found = |code: &str| checks.contains(&format!("\"{code}\"")) || of_providers(code);
    let unused: Vec<&str> = codes::all().map(|code| code.code).filter(|code| !found(code)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}
