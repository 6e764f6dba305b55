//! Answers for people and for other programs. Each form is a function from data to text.

mod markdown;
pub mod sarif;
mod text;
mod words;

pub use markdown::{diagnosis as markdown, report as report_markdown};
pub use text::{report as report_text, text};
