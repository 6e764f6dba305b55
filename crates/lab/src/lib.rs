//! The laboratory of Portolan.
//!
//! [`fault`] says what can be broken at run time, as data; `portolan up` reads it from a ConfigMap and does it.

pub mod fault;
