//! What the variable parts of messages tell: the cause behind each variant, one file per group of entries.
//!
//! In each list the most telling variant comes first; a test checks that no sample of a later one is taken by an earlier
//! one with another cause.

mod balancers;
mod endpoints;
mod network;
mod pods;

pub(super) use balancers::*;
pub(super) use endpoints::*;
pub(super) use network::*;
pub(super) use pods::*;
