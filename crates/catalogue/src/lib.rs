//! Every event reason of the Service network, as data.

mod reason;
mod upstream;

pub use reason::{Reason, Severity};
pub use upstream::Upstream;
