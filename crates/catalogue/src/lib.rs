//! Every event reason of the Service network, as data.

mod reason;

pub use reason::{Reason, Severity};
