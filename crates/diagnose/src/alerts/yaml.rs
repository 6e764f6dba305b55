//! The few pieces of YAML that are written here: by hand, because rules are read by people and need comments and blocks.

/// A string in double quotes: what is JSON there is YAML too.
pub(super) fn quoted(text: &str) -> String {
    // A string cannot fail to be written.
    serde_json::to_string(text).unwrap_or_default()
}

/// A text of several lines as a block whose lines are indented by `indent`; one line stays a quoted string.
pub(super) fn text(text: &str, indent: usize) -> String {
    if !text.contains('\n') {
        return quoted(text);
    }
    let lines = text.lines().map(|line| format!("\n{:indent$}{line}", ""));
    format!("|-{}", lines.collect::<String>())
}

/// Lines as comments, indented.
pub(super) fn comments(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| format!("# {line}\n")).collect()
}
