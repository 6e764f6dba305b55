//! The kinds of objects that scenarios may have, and how the API calls them.

use kube::core::{ApiResource, GroupVersionKind};

/// One kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name.
    pub kind: &'static str,
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

const fn kind(kind: &'static str, api: [&'static str; 2], plural: &'static str, namespaced: bool) -> Kind {
    Kind { kind, group: api[0], version: api[1], plural, namespaced }
}

const CORE: [&str; 2] = ["", "v1"];
const APPS: [&str; 2] = ["apps", "v1"];
const DISCOVERY: [&str; 2] = ["discovery.k8s.io", "v1"];
const NETWORKING: [&str; 2] = ["networking.k8s.io", "v1"];

const KINDS: &[Kind] = &[
    kind("ConfigMap", CORE, "configmaps", true),
    kind("Deployment", APPS, "deployments", true),
    kind("EndpointSlice", DISCOVERY, "endpointslices", true),
    kind("Endpoints", CORE, "endpoints", true),
    kind("IPAddress", NETWORKING, "ipaddresses", false),
    kind("Namespace", CORE, "namespaces", false),
    kind("NetworkPolicy", NETWORKING, "networkpolicies", true),
    kind("Node", CORE, "nodes", false),
    kind("Pod", CORE, "pods", true),
    kind("ReplicaSet", APPS, "replicasets", true),
    kind("Service", CORE, "services", true),
    kind("ServiceCIDR", NETWORKING, "servicecidrs", false),
];

/// The kind of this name.
pub fn find(name: &str) -> Option<Kind> {
    KINDS.iter().find(|known| known.kind == name).copied()
}

/// All names.
pub fn names() -> Vec<&'static str> {
    KINDS.iter().map(|known| known.kind).collect()
}

impl Kind {
    /// As manifests write it.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// As the client wants it.
    pub fn resource(&self) -> ApiResource {
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(self.group, self.version, self.kind), self.plural)
    }

    /// `KIND/NAME` as kubectl takes it.
    pub fn object(&self, name: &str) -> String {
        format!("{}/{name}", self.kind.to_lowercase())
    }
}
