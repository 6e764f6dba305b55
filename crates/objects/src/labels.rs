//! Labels and annotations of the Service network that more than one part reads or writes.

/// On a slice: the Service it belongs to.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// On a slice: who writes it.
pub const SLICE_MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// [`SLICE_MANAGED_BY`] of the slices made from a Service's selector.
pub const SLICE_CONTROLLER: &str = "endpointslice-controller.k8s.io";
/// On an Endpoints: who writes it (1.33 and later).
pub const ENDPOINTS_MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
/// [`ENDPOINTS_MANAGED_BY`] of the Endpoints made from a Service's selector.
pub const ENDPOINTS_CONTROLLER: &str = "endpoint-controller";
/// On Endpoints and slices of a headless Service, with an empty value.
pub const HEADLESS: &str = "service.kubernetes.io/headless";
/// Annotation: when the change happened that the last write of Endpoints or a slice answers.
pub const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// Annotation on an Endpoints that does not hold every address of its Service.
pub const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// Annotation on an Endpoints that serves as a lock, not as a list of addresses.
pub const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// On a Node: its zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// On a Node: keeps external load balancers away from it.
pub const EXCLUDE_BALANCERS: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
