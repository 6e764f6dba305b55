//! Files, folders and standard input -> texts. The only I/O of the linter.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The largest file that is read.
pub(super) const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Levels of folders; a loop of links ends here.
const MAX_DEPTH: usize = 64;

/// One file's text.
#[derive(Debug, Clone)]
pub struct Source {
    /// As the user named it; `-` for standard input.
    pub name: String,
    /// What is in it.
    pub content: Content,
    /// Whether the user named this very file, and not a folder around it.
    pub named: bool,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text, ready to be parsed.
    Text(String),
    /// A chart (`Chart.yaml` lies beside `templates`): only its rendered form is manifests.
    Chart,
    /// Larger than what is read.
    TooLarge(u64),
}

impl Source {
    /// A text that the user named.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), content: Content::Text(text.into()), named: true }
    }
}

/// A path that cannot be read. Not worth trying again as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It does not exist or is not allowed.
    #[error("cannot read {}", path.display())]
    Path {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard input cannot be read.
    #[error("cannot read standard input")]
    Input(#[source] io::Error),
}

/// Reads files; folders with all `.yaml`, `.yml` and `.json` files below them, hidden folders left out; `-` is
/// `input`. In the order given, files of a folder in the order of their names.
///
/// # Errors
/// A path that cannot be read; nothing is linted then, because half an answer looks like a whole one.
pub fn read(paths: &[PathBuf], input: impl Fn() -> io::Result<Vec<u8>>) -> Result<Vec<Source>, ReadError> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            sources.push(Source::text("-", to_text(input().map_err(ReadError::Input)?)));
        } else if metadata(path)?.is_dir() {
            folder(path, 0, &mut sources)?;
        } else {
            sources.push(file(path, true)?);
        }
    }
    Ok(sources)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ReadError {
    let path = path.to_owned();
    move |source| ReadError::Path { path, source }
}

fn metadata(path: &Path) -> Result<fs::Metadata, ReadError> {
    fs::metadata(path).map_err(at(path))
}

fn file(path: &Path, named: bool) -> Result<Source, ReadError> {
    let name = path.display().to_string();
    let size = metadata(path)?.len();
    if size > MAX_BYTES {
        return Ok(Source { name, content: Content::TooLarge(size), named });
    }
    let text = to_text(fs::read(path).map_err(at(path))?);
    Ok(Source { name, content: Content::Text(text), named })
}

/// Bytes that are not UTF-8 become a character that shows; the parser says the rest.
fn to_text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

fn folder(path: &Path, depth: usize, sources: &mut Vec<Source>) -> Result<(), ReadError> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(at(path))? {
        entries.push(entry.map_err(at(path))?.path());
    }
    entries.sort();
    let chart = path.join("Chart.yaml");
    if chart.is_file() && path.join("templates").is_dir() {
        sources.push(Source { name: chart.display().to_string(), content: Content::Chart, named: depth == 0 });
        // What is below a chart is templates, values and charts that it includes.
        return Ok(());
    }
    for entry in entries {
        let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        // A link that leads nowhere is no manifest.
        let Ok(metadata) = fs::metadata(&entry) else { continue };
        if metadata.is_dir() {
            folder(&entry, depth + 1, sources)?;
        } else if [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end)) {
            sources.push(file(&entry, false)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
