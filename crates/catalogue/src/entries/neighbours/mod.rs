//! What others than Kubernetes say about Services: one file per project. Names and texts were read in their sources.

mod aws;
mod cilium;
mod google;
mod k3s;
mod metallb;

use crate::Entry;

/// All of them.
pub(super) const GROUPS: &[&[Entry]] =
    &[metallb::ENTRIES, aws::ENTRIES, cilium::ENTRIES, k3s::ENTRIES, google::ENTRIES];
