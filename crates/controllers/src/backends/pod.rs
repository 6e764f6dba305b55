//! What an endpoint can show of a pod, in little room: the index holds every pod of the cluster.
//!
//! The functions are named as those of `portolan_objects::pod`, which ask the same of a whole Pod.

use std::{
    cell::RefCell,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{self as core, ObjectReference, Service},
    apimachinery::pkg::{
        apis::meta::v1::{ObjectMeta, Time},
        util::intstr::IntOrString,
    },
};
use portolan_objects::{
    Family, ObjectKey, Protocol,
    ports::{self, Port, PortSet},
    service,
};
use serde::{Deserialize, Deserializer};

use super::{
    Labels,
    watched::{Facts, Metadata},
};

/// One pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Box<str>,
    pub(crate) uid: Box<str>,
    /// Shared by all pods that carry the same ones.
    pub(crate) labels: Arc<Labels>,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    /// Its primary address is the one of IPv6.
    v6_first: bool,
    node: Option<Box<str>>,
    hostname: Option<Box<str>>,
    subdomain: Option<Box<str>>,
    /// The named ports of its containers and sidecars, in order. Shared by pods that declare the same ones.
    pub(crate) ports: Arc<[NamedPort]>,
    ready_changed: Option<Timestamp>,
    ready: bool,
    terminal: bool,
    terminating: bool,
}

/// A port that a Service can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPort {
    name: Box<str>,
    protocol: Protocol,
    number: u16,
}

impl Pod {
    /// Namespace and name.
    pub(crate) fn key(&self) -> ObjectKey {
        ObjectKey::new(&*self.namespace, &*self.name)
    }

    /// Nothing that an endpoint shows differs, labels aside. When readiness changed is no such thing: the annotation
    /// that is made of it goes with the writes that something else causes.
    pub(crate) fn shows_the_same(&self, other: &Self) -> bool {
        self.uid == other.uid
            && (self.v4, self.v6) == (other.v4, other.v6)
            && self.node == other.node
            && (&self.hostname, &self.subdomain) == (&other.hostname, &other.subdomain)
            && (self.ready, self.terminal, self.terminating) == (other.ready, other.terminal, other.terminating)
    }
}

/// The condition Ready is True.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    pod.ready
}

/// When the condition Ready last changed.
pub(crate) fn ready_changed(pod: &Pod) -> Option<Timestamp> {
    pod.ready_changed
}

/// Its processes have ended and never come back: phase Succeeded or Failed.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    pod.terminal
}

/// Has been told to stop, but is not gone.
pub(crate) fn is_terminating(pod: &Pod) -> bool {
    pod.terminating
}

/// The node it is placed on.
pub(crate) fn node(pod: &Pod) -> Option<&str> {
    pod.node.as_deref()
}

/// Its first address of a family.
pub(crate) fn ip(pod: &Pod, family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => pod.v4.map(IpAddr::V4),
        Family::V6 => pod.v6.map(IpAddr::V6),
    }
}

/// Its addresses, the primary one first.
pub(crate) fn ips(pod: &Pod) -> impl Iterator<Item = IpAddr> {
    let families = if pod.v6_first { [Family::V6, Family::V4] } else { [Family::V4, Family::V6] };
    families.into_iter().filter_map(|family| ip(pod, family))
}

/// The host name under which DNS answers for this pod in the Service `service`: its `hostname`, if its `subdomain`
/// is that Service.
pub(crate) fn endpoint_hostname<'a>(pod: &'a Pod, service: &str) -> Option<&'a str> {
    let hostname = pod.hostname.as_deref()?;
    (pod.subdomain.as_deref() == Some(service)).then_some(hostname)
}

/// The Service's ports as this pod has them. A named port that the pod does not declare is left out.
pub(crate) fn resolve_ports(service: &Service, pod: &Pod) -> PortSet {
    let resolve = |port: &core::ServicePort| {
        let protocol = Protocol::of(port.protocol.as_deref());
        Some(Port {
            name: port.name.clone().unwrap_or_default(),
            protocol,
            number: Some(resolve_port(pod, &service::target_port(port), protocol)?),
            app_protocol: port.app_protocol.clone(),
        })
    };
    service::ports(service).iter().filter_map(resolve).collect()
}

/// The number that a Service's `targetPort` means on this pod, by name and protocol; `None` if no container declares it.
fn resolve_port(pod: &Pod, target: &IntOrString, protocol: Protocol) -> Option<u16> {
    match target {
        IntOrString::Int(port) => ports::number(*port),
        IntOrString::String(name) => {
            let mut ports = pod.ports.iter();
            ports.find(|port| *port.name == **name && port.protocol == protocol).map(|port| port.number)
        }
    }
}

/// How an endpoint names the pod that it stands for.
pub(crate) fn target_ref(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.namespace.to_string()),
        name: Some(pod.name.to_string()),
        uid: Some(pod.uid.to_string()),
        ..ObjectReference::default()
    }
}

/// The fields of a Pod that are parsed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawPod {
    metadata: Metadata,
    spec: Option<RawSpec>,
    status: Option<RawStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawSpec {
    node_name: Option<Box<str>>,
    hostname: Option<Box<str>>,
    subdomain: Option<Box<str>>,
    containers: Option<Vec<RawContainer>>,
    init_containers: Option<Vec<RawContainer>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawContainer {
    restart_policy: Option<String>,
    ports: Option<Vec<RawPort>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawPort {
    name: Option<Box<str>>,
    container_port: i32,
    protocol: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawStatus {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Option<Vec<RawAddress>>,
    conditions: Option<Vec<RawCondition>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawAddress {
    ip: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    last_transition_time: Option<Time>,
}

impl Facts for Pod {
    type Kind = core::Pod;
    type Raw = RawPod;

    fn split(raw: RawPod) -> (ObjectMeta, Self) {
        (raw.metadata.revision(), Self::from(raw))
    }
}

/// What the pod read last has in common with the next one, as a rule: a list comes sorted by name, so pods of one
/// template follow each other.
#[derive(Debug, Default)]
struct Neighbour {
    namespace: Arc<str>,
    labels: Arc<Labels>,
    ports: Arc<[NamedPort]>,
}

thread_local! {
    static NEIGHBOUR: RefCell<Neighbour> = RefCell::default();
}

/// Gives away what is held if it is the same.
fn share<T: ?Sized + PartialEq>(held: &mut Arc<T>, read: Arc<T>) -> Arc<T> {
    if **held != *read {
        *held = read;
    }
    Arc::clone(held)
}

impl Neighbour {
    /// Lets the pod share what it can.
    fn meet(&mut self, pod: &mut Pod) {
        pod.namespace = share(&mut self.namespace, std::mem::take(&mut pod.namespace));
        pod.labels = share(&mut self.labels, std::mem::take(&mut pod.labels));
        pod.ports = share(&mut self.ports, std::mem::take(&mut pod.ports));
    }
}

impl From<RawPod> for Pod {
    fn from(raw: RawPod) -> Self {
        let RawPod { metadata, spec, status } = raw;
        let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
        let conditions = status.conditions.unwrap_or_default();
        let ready = conditions.into_iter().find(|condition| condition.kind == "Ready");
        let mut pod = Self {
            namespace: metadata.namespace.unwrap_or_default().into(),
            name: metadata.name.unwrap_or_default().into(),
            uid: metadata.uid.unwrap_or_default().into(),
            labels: Arc::new(metadata.labels.unwrap_or_default()),
            node: spec.node_name.filter(|text| !text.is_empty()),
            hostname: spec.hostname.filter(|text| !text.is_empty()),
            subdomain: spec.subdomain,
            ports: named_ports(spec.containers, spec.init_containers),
            ready: ready.as_ref().is_some_and(|condition| condition.status == "True"),
            ready_changed: ready.and_then(|condition| condition.last_transition_time).map(|time| time.0),
            terminal: matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
            terminating: metadata.deletion_timestamp.is_some(),
            ..Self::default()
        };
        let listed = status.pod_ips.into_iter().flatten().map(|address| address.ip);
        // `podIP` is the first of `podIPs`; only writers from before dual stack leave the list out.
        listed.chain(status.pod_ip).for_each(|text| pod.add_address(&text));
        NEIGHBOUR.with_borrow_mut(|neighbour| neighbour.meet(&mut pod));
        pod
    }
}

impl Pod {
    /// Takes the first address of each family.
    fn add_address(&mut self, text: &str) {
        match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V4(address)) => self.v4 = self.v4.or(Some(address)),
            Ok(IpAddr::V6(address)) => {
                self.v6_first |= self.v4.is_none();
                self.v6 = self.v6.or(Some(address));
            }
            Err(_) => {}
        }
    }
}

/// The ports of containers come before those of sidecars, the init containers that keep running.
fn named_ports(containers: Option<Vec<RawContainer>>, init: Option<Vec<RawContainer>>) -> Arc<[NamedPort]> {
    let sidecars = init.into_iter().flatten().filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ports = containers.into_iter().flatten().chain(sidecars).flat_map(|container| container.ports);
    ports
        .flatten()
        .filter_map(|port| {
            Some(NamedPort {
                name: port.name.filter(|name| !name.is_empty())?,
                protocol: Protocol::of(port.protocol.as_deref()),
                number: ports::number(port.container_port)?,
            })
        })
        .collect()
}

impl<'de> Deserialize<'de> for Pod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawPod::deserialize(deserializer).map(Self::from)
    }
}
