//! The catalogue as text: pages and lists for terminals, files for `docs/events/`.
//!
//! Called by `portolan explain` and by the test that holds the files to the data. Pure: width, language and colour are
//! the caller's decision.

mod list;
mod markdown;
mod page;
mod width;
mod words;

pub use list::list;
pub use markdown::{index, markdown};
pub use page::page;
pub use width::{display_width, wrap};

/// Whether a terminal page carries colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Characters only.
    #[default]
    Plain,
    /// ANSI escape sequences for headings and severity.
    Ansi,
}
