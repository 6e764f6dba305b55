//! Every event reason of the Service network, as data.
//!
//! One [`Entry`] per [`Reason`]: who emits it, on what, in which words, since when, what it means, whom it hurts, what
//! to look at and what to do, in English and Chinese. `portolan explain`, `docs/events/` and the JSON output are
//! renderings of this data; log lines, Events and metric labels share its words through [`Reason`].
//!
//! Pure: no I/O, no clock, no environment. Invariants (every reason has an entry, both languages are there, commands
//! name real tools, the upstream story is consistent) are tests over the slice in `tests/`.
//!
//! Facts come from reading the upstream sources: `k8s.io/cloud-provider/controllers/service`,
//! `k8s.io/endpointslice`, `pkg/controller/endpoint`, `pkg/kubelet`, `pkg/proxy` and
//! `pkg/registry/core/service` of Kubernetes, at the versions that each entry names.

mod entries;
mod entry;
mod lang;
mod pattern;
mod reason;
mod recognise;
mod search;
mod upstream;

pub mod codes;
pub mod render;
pub mod vendor;

pub use entries::entries;
pub use entry::{
    Alias, Api, Bound, Category, Chain, Check, Entry, Harm, Impact, Message, Misreading, Portolan, Remedies, Remedy,
    Status, Versions,
};
pub use lang::{Lang, Text};
pub use pattern::{Captured, Pattern};
pub use reason::{Reason, Severity};
pub use recognise::{Recognised, recognise};
pub use search::{find, nearest};
pub use upstream::Upstream;
