//! The load-balancer controller against the real API server: step by step, with faults, killed, on a virtual clock.

mod drift;
mod faults;
mod pace;
mod site;
mod steps;
mod words;
