//! The laboratory of Portolan: a network is broken on purpose, and the doctor is asked.
//!
//! [`fault`] says what can be broken at run time, as data; `portolan up` reads it from a ConfigMap and does it. A
//! [`scenario`] is a healthy start, the steps that break it, and the truth about it; the [`library`] has them all. The
//! [`runner`] runs one in a network of its own and keeps a [`record`]; the [`score`] sums up many, beside two
//! [`baselines`].
//!
//! Invariant: what a scenario expects is what is true of it, whatever any engine says.

pub mod baselines;
mod cluster;
pub mod fault;
pub mod kinds;
pub mod library;
pub mod look;
mod network;
pub mod record;
pub mod runner;
pub mod scenario;
pub mod score;
mod undo;
mod wait;
