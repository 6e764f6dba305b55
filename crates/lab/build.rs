//! Puts the folders of `scenarios/` into the program, as a table of texts.

use std::{env, fmt::Write as _, fs, io, path::Path};

/// A scenario without steps has no `fault.yaml`.
const FILES: [&str; 3] = ["objects.yaml", "fault.yaml", "expect.yaml"];

fn main() -> io::Result<()> {
    let manifest = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let root = Path::new(&manifest).join("../../scenarios").canonicalize()?;
    println!("cargo::rerun-if-changed={}", root.display());
    let mut folders: Vec<_> = fs::read_dir(&root)?.flatten().filter(|entry| entry.path().is_dir()).collect();
    folders.sort_by_key(fs::DirEntry::file_name);
    let mut table = String::from("&[\n");
    for folder in folders {
        let name = folder.file_name().to_string_lossy().into_owned();
        let _ = write!(table, "    ({name:?}, [");
        for file in FILES {
            let path = folder.path().join(file);
            let _ = match path.exists() {
                true => write!(table, "include_str!({:?}), ", path.display().to_string()),
                false => write!(table, "\"\", "),
            };
        }
        table.push_str("]),\n");
    }
    table.push(']');
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("scenarios.rs"), table)
}
