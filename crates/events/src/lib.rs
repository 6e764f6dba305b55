//! The event recorder.
