//! `docs/events/` is exactly what the catalogue renders. `UPDATE_DOCS=1` rewrites it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use portolan_catalogue::{Lang, entries, render};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events")
}

/// The generated files of one language, by name.
fn rendered(lang: Lang) -> BTreeMap<String, String> {
    let pages = entries().iter().map(|entry| (format!("{}.md", entry.reason), render::markdown(entry, lang)));
    pages.chain([("README.md".to_owned(), render::index(lang))]).collect()
}

#[test]
fn files_are_what_the_catalogue_renders() {
    let update = env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1");
    for lang in Lang::ALL {
        let directory = directory().join(lang.code());
        let wanted = rendered(lang);
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
        let present = names(&directory);
        let expected: Vec<String> = wanted.keys().cloned().collect();
        assert_eq!(present, expected, "files of {}; UPDATE_DOCS=1 rewrites them", directory.display());
        for (name, text) in &wanted {
            let found = fs::read_to_string(directory.join(name)).unwrap();
            assert!(&found == text, "{}/{name} is stale; UPDATE_DOCS=1 rewrites it", lang.code());
        }
    }
}

/// The files in a directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

#[test]
fn links_of_all_files_lead_somewhere() {
    let mut files = vec![directory().join("README.md")];
    for lang in Lang::ALL {
        let directory = directory().join(lang.code());
        files.extend(names(&directory).into_iter().map(|name| directory.join(name)));
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
