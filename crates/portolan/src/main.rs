//! The Kubernetes Service network in one binary, and the doctor for it.

fn main() {}
