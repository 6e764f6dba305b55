//! Which reasons reach the API.

use portolan_catalogue::{Reason, Upstream};

/// Whose words the Events use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Vocabulary {
    /// Every reason of the catalogue where it is true, on the object whose `kubectl describe` should show it.
    #[default]
    Full,
    /// Exactly what Kubernetes itself emits: other reasons become the real one, or no Event at all.
    Upstream,
}

impl Vocabulary {
    /// The word for `reason`, or `None` if this vocabulary has none.
    pub const fn word(self, reason: Reason) -> Option<&'static str> {
        match self {
            Self::Full => Some(reason.as_str()),
            Self::Upstream => match reason.upstream() {
                Upstream::Same => Some(reason.as_str()),
                Upstream::Renamed(real) => Some(real),
                Upstream::Never => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_says_only_what_kubernetes_says() {
        let cases = [
            (Reason::EnsuredLoadBalancer, Some("EnsuredLoadBalancer")),
            (Reason::CreatingLoadBalancer, None),
            (Reason::FailedToDeleteEndpoint, None),
            (Reason::FailedToCreateEndpointSlice, Some("FailedToUpdateEndpointSlices")),
            (Reason::IPAllocated, None),
        ];
        for (reason, word) in cases {
            assert_eq!(Vocabulary::Upstream.word(reason), word, "{reason}");
            assert_eq!(Vocabulary::Full.word(reason), Some(reason.as_str()));
        }
    }
}
