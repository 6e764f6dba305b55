//! `docs/events/` is exactly what the catalogue renders. `UPDATE_DOCS=1` rewrites it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use portolan_catalogue::{Lang, codes, entries, render};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events")
}

/// The generated files of one folder, by name.
type Files = BTreeMap<String, String>;

/// The generated folders of one language.
fn rendered(lang: Lang) -> [(PathBuf, Files); 2] {
    let pages = entries().iter().map(|entry| (format!("{}.md", entry.name), render::markdown(entry, lang)));
    let events = pages.chain([("README.md".to_owned(), render::index(lang))]).collect();
    let pages = codes::all().map(|code| (format!("{}.md", code.code), render::code_markdown(code, lang)));
    let findings = pages.chain([("README.md".to_owned(), render::codes_index(lang))]).collect();
    let folder = directory().join(lang.code());
    [(folder.clone(), events), (folder.join("codes"), findings)]
}

#[test]
fn files_are_what_the_catalogue_renders() {
    let update = env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1");
    for (directory, wanted) in Lang::ALL.into_iter().flat_map(rendered) {
        if update {
            fs::create_dir_all(&directory).unwrap();
            for name in names(&directory) {
                if !wanted.contains_key(&name) {
                    fs::remove_file(directory.join(name)).unwrap();
                }
            }
            for (name, text) in &wanted {
                fs::write(directory.join(name), text).unwrap();
            }
        }
        let place = directory.display();
        let present = names(&directory);
        let expected: Vec<String> = wanted.keys().cloned().collect();
        assert_eq!(present, expected, "files of {place}; UPDATE_DOCS=1 rewrites them");
        for (name, text) in &wanted {
            let found = fs::read_to_string(directory.join(name)).unwrap();
            assert!(&found == text, "{place}/{name} is stale; UPDATE_DOCS=1 rewrites it");
        }
    }
}

/// The files in a directory, sorted; its folders are not among them.
fn names(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).into_iter().flatten().map(Result::unwrap);
    let files = files.filter(|file| file.file_type().unwrap().is_file());
    let mut names: Vec<String> = files.map(|file| file.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn links_of_all_files_lead_somewhere() {
    let mut files = vec![directory().join("README.md")];
    for lang in Lang::ALL {
        for (folder, pages) in rendered(lang) {
            files.extend(pages.into_keys().map(|name| folder.join(name)));
        }
    }
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") {
                continue;
            }
            let path = file.parent().unwrap().join(target);
            assert!(path.exists(), "{} links to {target}, which is not there", file.display());
        }
    }
}
