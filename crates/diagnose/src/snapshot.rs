//! The state of a cluster at one moment: plain objects, no client. It can be stored and read back, so that a diagnosis
//! can be repeated elsewhere.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{Endpoints, Event, Namespace, Node, Pod, Service},
        discovery::v1::EndpointSlice,
        networking::v1::{IPAddress, NetworkPolicy, ServiceCIDR},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use serde::{Deserialize, Serialize};

use crate::evidence::NodeEvidence;

/// The format that this version writes. A change that older readers cannot bear raises it.
pub const FORMAT: u32 = 1;

/// What [`crate::diagnose`] looks at. [`Snapshot::unread`] says what is missing. Objects are slimmed: what no check reads
/// (environment variables, volumes, managed fields, annotations of pods) never enters it, so no secret can.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// When it was taken.
    pub taken_at: Time,
    /// What part of the world it covers.
    pub scope: Scope,
    /// The API server's version, such as `v1.36.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Services.
    #[serde(default)]
    pub services: Vec<Service>,
    /// EndpointSlices.
    #[serde(default)]
    pub slices: Vec<EndpointSlice>,
    /// Endpoints, to find disagreement with the slices; nothing else rests on them.
    #[serde(default)]
    pub endpoints: Vec<Endpoints>,
    /// Pods.
    #[serde(default)]
    pub pods: Vec<Pod>,
    /// What makes pods.
    #[serde(default)]
    pub workloads: Vec<Workload>,
    /// Nodes.
    #[serde(default)]
    pub nodes: Vec<Node>,
    /// Namespaces.
    #[serde(default)]
    pub namespaces: Vec<Namespace>,
    /// Events.
    #[serde(default)]
    pub events: Vec<Event>,
    /// NetworkPolicies.
    #[serde(default)]
    pub network_policies: Vec<NetworkPolicy>,
    /// The ranges of cluster IPs.
    #[serde(default)]
    pub service_cidrs: Vec<ServiceCIDR>,
    /// Records of the cluster IPs of the Service that was asked for; `None` if they were not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_addresses: Option<Vec<IPAddress>>,
    /// Services outside the scope that were looked for and do not exist, as `NAMESPACE/NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
    /// What nodes said of their kernels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<NodeEvidence>,
    /// What could not be read.
    #[serde(default)]
    pub unread: Vec<Unread>,
}

/// What part of the world a snapshot covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Everything.
    Cluster,
    /// One namespace, what belongs to no namespace, and the system's namespace for DNS and proxies.
    Namespace(String),
    /// Manifests that nobody has applied yet. What is not among them may exist all the same.
    Manifests,
}

/// The namespace of the cluster's own Services and pods.
pub const SYSTEM_NAMESPACE: &str = "kube-system";

impl Snapshot {
    /// Nothing, seen at this moment.
    pub fn empty(taken_at: Time, scope: Scope) -> Self {
        Self {
            format: FORMAT,
            taken_at,
            scope,
            version: None,
            services: Vec::new(),
            slices: Vec::new(),
            endpoints: Vec::new(),
            pods: Vec::new(),
            workloads: Vec::new(),
            nodes: Vec::new(),
            namespaces: Vec::new(),
            events: Vec::new(),
            network_policies: Vec::new(),
            service_cidrs: Vec::new(),
            ip_addresses: None,
            absent: Vec::new(),
            evidence: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// Whether everything of this kind was read.
    pub(crate) fn has_read(&self, what: &str) -> bool {
        !self.unread.iter().any(|unread| unread.what == what)
    }

    /// Whether all objects of this namespace are here: what is absent then does not exist.
    pub(crate) fn covers(&self, namespace: &str) -> bool {
        match &self.scope {
            Scope::Cluster => true,
            Scope::Namespace(own) => own == namespace || namespace == SYSTEM_NAMESPACE,
            Scope::Manifests => false,
        }
    }

    /// The minor version of the API server: 36 for `v1.36.3`.
    pub(crate) fn minor(&self) -> Option<u32> {
        let (_, rest) = self.version.as_deref()?.split_once('.')?;
        rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
    }

    /// Whether controllers have had their say: manifests have neither status nor slices.
    pub(crate) fn is_live(&self) -> bool {
        self.scope != Scope::Manifests
    }
}

/// What makes pods: a Deployment, StatefulSet, DaemonSet, ReplicaSet or Job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Kind as kubectl takes it, such as `deployment`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Labels of its pods.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Pods that it wants; `None` where the kind does not say.
    #[serde(default)]
    pub replicas: Option<i32>,
    /// Whether something else owns it, as a Deployment owns its ReplicaSets.
    #[serde(default)]
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
#[serde(rename_all = "camelCase")]
pub struct Unread {
    /// Resource, such as `pods`.
    pub what: String,
    /// The error, or how much was left out.
    pub why: String,
    /// Whether links rest on it. Without events a diagnosis stands; without pods it does not.
    pub essential: bool,
}
