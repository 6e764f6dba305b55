//! What becomes of a reason under the `upstream` vocabulary: exactly what Kubernetes itself would have said.
//!
//! Used by the event recorder, which has the message and the object from the part that reports; only the reason, or
//! whether there is an Event at all, differs. The catalogue entries tell the same story in words, and a test holds
//! the two together.

use crate::Reason;

/// How Kubernetes of today treats the situation that a reason names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Upstream {
    /// It emits an Event with this very reason.
    Same,
    /// It emits an Event with another reason.
    Renamed(&'static str),
    /// It emits no Event for this.
    Never,
}

impl Reason {
    /// What Kubernetes emits where Portolan's full vocabulary says `self`.
    pub const fn upstream(self) -> Upstream {
        match self {
            // The service controller reports the attempt and its outcome, not whether the provider had to create.
            Self::CreatingLoadBalancer | Self::CreatedLoadBalancer => Upstream::Never,
            // A failed deletion of an Endpoints object is only retried.
            Self::FailedToDeleteEndpoint => Upstream::Never,
            // One reason for every failed write of a sync; the verb is in the message.
            Self::FailedToCreateEndpointSlice
            | Self::FailedToUpdateEndpointSlice
            | Self::FailedToDeleteEndpointSlice => Upstream::Renamed("FailedToUpdateEndpointSlices"),
            // The kubelet's admission names the predicate that failed.
            Self::HostPortConflict => Upstream::Renamed("NodePorts"),
            // Address allocation shows as status, or as an API error; only third parties emit Events for it.
            Self::IPAllocated | Self::IPNotAllocated => Upstream::Never,
            _ => Upstream::Same,
        }
    }
}
