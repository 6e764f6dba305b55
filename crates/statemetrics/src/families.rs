//! The families of the page, in the order of kube-state-metrics 2.19.

/// One metric: every series here is a gauge.
#[derive(Debug)]
pub(crate) struct Family {
    pub name: &'static str,
    /// With the marks of stability and deprecation that kube-state-metrics puts in front.
    pub help: &'static str,
}

const fn family(name: &'static str, help: &'static str) -> Family {
    Family { name, help }
}

/// The labels of Services that become labels of `kube_service_labels`, with what they become:
/// `--metric-labels-allowlist=services=[...]`.
pub const SERVICE_LABELS: [(&str, &str); 1] = [("portolan.dev/may-be-empty", "label_portolan_dev_may_be_empty")];

/// The labels of slices that become labels of `kube_endpointslice_labels`. Nothing else leads from a slice to its Service.
pub const SLICE_LABELS: [(&str, &str); 2] = [
    ("endpointslice.kubernetes.io/managed-by", "label_endpointslice_kubernetes_io_managed_by"),
    ("kubernetes.io/service-name", "label_kubernetes_io_service_name"),
];

/// Of each Service. `kube_service_info` has the label `external_traffic_policy` since 2.15; `kube_service_deletion_timestamp`
/// exists since 2.17; the others are older than 2.0.
pub(crate) const SERVICES: &[Family] = &[
    family("kube_service_info", "[STABLE] Information about service."),
    family("kube_service_created", "[STABLE] Unix creation timestamp"),
    family("kube_service_spec_type", "[STABLE] Type about service."),
    family("kube_service_labels", "[STABLE] Kubernetes labels converted to Prometheus labels."),
    family("kube_service_spec_external_ip", "[STABLE] Service external ips. One series for each ip"),
    family("kube_service_status_load_balancer_ingress", "[STABLE] Service load balancer ingress status"),
    family("kube_service_deletion_timestamp", "Unix deletion timestamp"),
];

/// Of each EndpointSlice. All exist since 2.8 (hints since 2.10), the label `namespace` since 2.11.
pub(crate) const SLICES: &[Family] = &[
    family("kube_endpointslice_info", "Information about endpointslice."),
    family("kube_endpointslice_created", "Unix creation timestamp"),
    family("kube_endpointslice_endpoints_hints", "Topology routing hints attached to endpoints"),
    family("kube_endpointslice_endpoints", "Endpoints attached to the endpointslice."),
    family("kube_endpointslice_ports", "Ports attached to the endpointslice."),
    family("kube_endpointslice_labels", "Kubernetes labels converted to Prometheus labels."),
];

/// Of each Endpoints object. `kube_endpoint_address` exists since 2.6, with its ports since 2.14, which deprecated
/// `kube_endpoint_ports` and removed `kube_endpoint_address_available` and `kube_endpoint_address_not_ready`.
pub(crate) const ENDPOINTS: &[Family] = &[
    family("kube_endpoint_info", "[STABLE] Information about endpoint."),
    family("kube_endpoint_created", "[STABLE] Unix creation timestamp"),
    family("kube_endpoint_address", "[STABLE] Information about Endpoint available and non available addresses."),
    family("kube_endpoint_ports", "[STABLE] (Deprecated since v2.14.0) Information about the Endpoint ports."),
];
