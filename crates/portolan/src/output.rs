//! Terminals, colour, and pipes that close early.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;

/// Colour belongs on terminals only, and NO_COLOR switches it off there.
pub fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The same for logs, which go to standard error.
pub fn log_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns of the terminal, or a comfortable width for files and pipes.
pub fn width() -> usize {
    comfy_table::Table::new().width().map_or(100, usize::from).clamp(40, 110)
}

/// Prints a finished text, whole, with a newline at its end.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Prints one line for whoever listens. That nobody does any more, as after `| head`, must not stop a running network.
pub fn say(line: impl std::fmt::Display) {
    // Nothing can be done about it, and nothing has to be.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Prints JSON the way kubectl does: indented by four.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))?;
    print(&String::from_utf8(text)?)
}

/// The reader of our output went away, as `head` does: not an error.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}
