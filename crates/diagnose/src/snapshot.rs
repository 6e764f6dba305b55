//! The state of the cluster around one Service at one moment: plain objects, no client. It can be stored and read
//! back, so that a diagnosis can be repeated elsewhere.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{Event, Node, Pod, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use portolan_objects::ObjectKey;
use serde::{Deserialize, Serialize};

/// What [`crate::diagnose`] looks at. Lists are bounded; [`Snapshot::unread`] says what is missing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub name: String,
    /// When it was taken.
    pub taken_at: Time,
    /// Whether the namespace exists, as far as could be seen.
    pub namespace_exists: Option<bool>,
    /// The Service; `None` if it does not exist.
    pub service: Option<Service>,
    /// Names of the Services in the namespace; read only if the Service does not exist.
    pub service_names: Vec<String>,
    /// Other namespaces that hold a Service of this name; read only if the Service does not exist.
    pub same_name_in: Vec<String>,
    /// Pods that the selector selects; if there are none, pods of the namespace.
    pub pods: Vec<Pod>,
    /// Workloads of the namespace.
    pub workloads: Vec<Workload>,
    /// Namespaces whose pods fit the selector; read only if none in this namespace does.
    pub selected_elsewhere: Vec<String>,
    /// Slices that carry the Service's name.
    pub slices: Vec<EndpointSlice>,
    /// Addresses in the Endpoints object of the Service's name, ready or not; `None` if there is no such object.
    pub endpoints_addresses: Option<usize>,
    /// Events of the namespace.
    pub events: Vec<Event>,
    /// All nodes.
    pub nodes: Vec<Node>,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

impl Snapshot {
    /// The Service's key.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace.clone(), self.name.clone())
    }

    /// Whether everything of this kind was read.
    pub(crate) fn has_read(&self, what: &str) -> bool {
        !self.unread.iter().any(|unread| unread.what == what)
    }
}

/// What makes pods: a Deployment, StatefulSet, DaemonSet, ReplicaSet or Job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Kind as kubectl takes it, such as `deployment`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
    /// Pods that it wants; `None` where the kind does not say.
    pub replicas: Option<i32>,
    /// Whether something else owns it, as a Deployment owns its ReplicaSets.
    pub owned: bool,
}

impl Workload {
    /// `KIND/NAME`.
    pub fn object(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// Something that could not be read, or not completely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// Resource, such as `pods`.
    pub what: String,
    /// The error, or how much was left out.
    pub why: String,
    /// Whether links rest on it. Without events a diagnosis stands; without pods it does not.
    pub essential: bool,
}
