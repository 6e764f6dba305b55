//! What holds for every entry of the catalogue, and for the files rendered from it.
#![allow(clippy::unwrap_used)]

mod docs;
mod emitted;
mod invariants;
mod texts;
