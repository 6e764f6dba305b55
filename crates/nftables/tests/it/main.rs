//! The real kernel, in a private world.

mod kernel;
