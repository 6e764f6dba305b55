//! Portolan beside real Kubernetes: both get the same work, and what comes out is compared. Run by `cargo xtask peers`.

fn main() {}
