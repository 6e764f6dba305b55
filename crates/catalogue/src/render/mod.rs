//! The catalogue as text: pages and lists for terminals, files for `docs/events/`.
//!
//! Called by `portolan explain` and by the test that holds the files to the data. Pure: width, language and colour are
//! the caller's decision.

mod code;
mod found;
mod list;
mod markdown;
mod page;
mod sheet;
mod width;
mod words;

pub use code::{code_page, list_codes};
pub use found::recognised;
pub use list::list;
pub use markdown::{code_markdown, codes_index, index, markdown, recognised_markdown, table};
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
