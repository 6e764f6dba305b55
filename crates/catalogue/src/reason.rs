//! The reasons that Portolan's parts emit, as one closed type: log line, Event, metric label and `portolan explain`
//! share one word.

use serde::Serialize;

/// Whether an Event is routine or asks for a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Severity {
    /// `Normal`.
    Normal,
    /// `Warning`.
    Warning,
}

impl Severity {
    /// The word in an Event's `type` field.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

macro_rules! reasons {
    ($($name:ident $severity:ident,)*) => {
        /// An event reason; the variant is spelled as in the Event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[allow(missing_docs)] // Each one's documentation is its catalogue entry.
        pub enum Reason {
            $($name,)*
        }

        impl Reason {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The word in an Event's `reason` field.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The `type` that its Events carry.
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }
        }
    };
}

reasons! {
    EnsuringLoadBalancer Normal,
    EnsuredLoadBalancer Normal,
    CreatingLoadBalancer Normal,
    CreatedLoadBalancer Normal,
    DeletingLoadBalancer Normal,
    DeletedLoadBalancer Normal,
    UpdatedLoadBalancer Normal,
    UpdateLoadBalancerFailed Warning,
    DeleteLoadBalancerFailed Warning,
    UnAvailableLoadBalancer Warning,
    SyncLoadBalancerFailed Warning,
    FailedToCreateEndpoint Warning,
    FailedToUpdateEndpoint Warning,
    FailedToDeleteEndpoint Warning,
    FailedToCreateEndpointSlice Warning,
    FailedToUpdateEndpointSlice Warning,
    FailedToUpdateEndpointSlices Warning,
    FailedToDeleteEndpointSlice Warning,
    HostPortConflict Warning,
    DNSConfigForming Warning,
    IPAllocated Normal,
    IPNotAllocated Warning,
    FailedSync Warning,
    Scheduled Normal,
    FailedScheduling Warning,
    Created Normal,
    Started Normal,
    Killing Normal,
    Unhealthy Warning,
    BackOff Warning,
    Failed Warning,
    FailedCreatePodSandBox Warning,
    FailedMount Warning,
    ScalingReplicaSet Normal,
    SuccessfulCreate Normal,
    SuccessfulDelete Normal,
    FailedCreate Warning,
    FailedDelete Warning,
    NodeReady Normal,
    Starting Normal,
    FailedToStartServiceHealthcheck Warning,
    FailedToListPods Warning,
    FailedToListEndpointSlices Warning,
    TopologyAwareHintsEnabled Normal,
    TopologyAwareHintsDisabled Warning,
    InvalidIPAddress Warning,
    TooManyAddressesToMirror Warning,
    ClusterIPNotValid Warning,
    ClusterIPNotAllocated Warning,
    ClusterIPAlreadyAllocated Warning,
    ClusterIPOutOfRange Warning,
    IPAddressNotAllocated Warning,
    IPAddressWrongReference Warning,
    PortNotAllocated Warning,
    PortAlreadyAllocated Warning,
    PortOutOfRange Warning,
    KubernetesServiceCIDRError Warning,
    CIDRNotAvailable Normal,
    NodeNotReady Warning,
    NodePorts Warning,
    MissingClusterDNS Warning,
    CheckLimitsForResolvConf Warning,
    LeaderElection Normal,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
