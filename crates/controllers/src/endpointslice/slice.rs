//! Slices and their endpoints in little room: a cluster has as many endpoints as pods, often more, and every one of
//! them is compared with its pod at each sync of its Service.

use std::net::IpAddr;

use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        discovery::v1::{self as discovery, EndpointConditions, EndpointHints, EndpointSlice, ForNode, ForZone},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use portolan_objects::{Family, ObjectKey, labels, ports::PortSet};
use serde::Deserialize;

use crate::backends::watched::{Facts, Metadata};

/// One slice: as it exists, or as it should.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Slice {
    /// Without `managedFields`, which the API server keeps by itself.
    pub(crate) metadata: ObjectMeta,
    /// `None` for slices of names, which are never this controller's.
    pub(crate) family: Option<Family>,
    pub(crate) ports: PortSet,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// One endpoint: a pod under one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    /// Name of the pod, in the slice's namespace.
    pub(crate) pod: Box<str>,
    pub(crate) uid: Box<str>,
    pub(crate) hostname: Option<Box<str>>,
    pub(crate) node: Option<Box<str>>,
    pub(crate) zone: Option<Box<str>>,
    pub(crate) conditions: Conditions,
    pub(crate) hints: Option<Box<Hints>>,
    /// Says something else that this controller never writes: it differs from whatever is wanted.
    pub(crate) foreign: bool,
}

/// The conditions of an endpoint. This controller sets them all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Conditions {
    pub(crate) ready: Option<bool>,
    pub(crate) serving: Option<bool>,
    pub(crate) terminating: Option<bool>,
}

/// Who should use an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    pub(crate) zones: Vec<Box<str>>,
    pub(crate) nodes: Vec<Box<str>>,
}

impl Slice {
    /// Namespace and name.
    pub(crate) fn key(&self) -> ObjectKey {
        let metadata = &self.metadata;
        ObjectKey::new(metadata.namespace.clone().unwrap_or_default(), self.name())
    }

    /// Empty for one that does not exist yet.
    pub(crate) fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The Service that its label names.
    pub(crate) fn service(&self) -> Option<ObjectKey> {
        let name = self.metadata.labels.as_ref()?.get(labels::SERVICE_NAME).filter(|name| !name.is_empty())?;
        Some(ObjectKey::new(self.metadata.namespace.clone().unwrap_or_default(), name))
    }

    /// How many of its endpoints are ready.
    pub(crate) fn ready(&self) -> usize {
        self.endpoints.iter().filter(|endpoint| endpoint.is_ready()).count()
    }

    /// As the API has it.
    pub(crate) fn to_api(&self) -> EndpointSlice {
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        EndpointSlice {
            address_type: self.family.map(|family| family.to_string()).unwrap_or_default(),
            endpoints: Some(self.endpoints.iter().map(|endpoint| endpoint.to_api(namespace)).collect()),
            metadata: self.metadata.clone(),
            ports: Some(self.ports.to_slice()),
        }
    }
}

impl Endpoint {
    /// Says so. What is left out counts as not ready here: only hints ask, and upstream reads it so for them.
    pub(crate) fn is_ready(&self) -> bool {
        self.conditions.ready == Some(true)
    }

    fn to_api(&self, namespace: &str) -> discovery::Endpoint {
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        discovery::Endpoint {
            addresses: vec![self.address.to_string()],
            conditions: Some(EndpointConditions {
                ready: self.conditions.ready,
                serving: self.conditions.serving,
                terminating: self.conditions.terminating,
            }),
            hints: self.hints.as_deref().map(Hints::to_api),
            hostname: text(&self.hostname),
            node_name: text(&self.node),
            zone: text(&self.zone),
            target_ref: Some(ObjectReference {
                kind: Some("Pod".to_owned()),
                namespace: Some(namespace.to_owned()),
                name: Some(self.pod.to_string()),
                uid: Some(self.uid.to_string()),
                ..ObjectReference::default()
            }),
            ..discovery::Endpoint::default()
        }
    }
}

impl Hints {
    /// For clients in one zone.
    pub(crate) fn zone(name: &str) -> Box<Self> {
        Box::new(Self { zones: vec![name.into()], nodes: Vec::new() })
    }

    fn to_api(&self) -> EndpointHints {
        let zones: Vec<_> = self.zones.iter().map(|name| ForZone { name: name.to_string() }).collect();
        let nodes: Vec<_> = self.nodes.iter().map(|name| ForNode { name: name.to_string() }).collect();
        EndpointHints {
            for_zones: (!zones.is_empty()).then_some(zones),
            for_nodes: (!nodes.is_empty()).then_some(nodes),
        }
    }
}

/// The fields of a slice that are parsed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawSlice {
    metadata: Metadata,
    address_type: String,
    endpoints: Option<Vec<RawEndpoint>>,
    ports: Option<Vec<discovery::EndpointPort>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawEndpoint {
    addresses: Vec<String>,
    conditions: Option<Conditions>,
    hints: Option<RawHints>,
    hostname: Option<Box<str>>,
    node_name: Option<Box<str>>,
    zone: Option<Box<str>>,
    target_ref: Option<RawTarget>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawHints {
    for_zones: Option<Vec<Named>>,
    for_nodes: Option<Vec<Named>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: Box<str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawTarget {
    api_version: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<Box<str>>,
    uid: Option<Box<str>>,
    field_path: Option<String>,
}

impl Facts for Slice {
    type Kind = EndpointSlice;
    type Raw = RawSlice;

    fn split(raw: RawSlice) -> (ObjectMeta, Self) {
        let revision = raw.metadata.revision();
        let metadata = raw.metadata.into_meta();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let endpoints = raw.endpoints.into_iter().flatten().map(|endpoint| endpoint.read(namespace)).collect();
        let ports = PortSet::of_slice(&EndpointSlice { ports: raw.ports, ..EndpointSlice::default() });
        let family = raw.address_type.parse().ok();
        (revision, Self { metadata, family, ports, endpoints })
    }
}

impl RawEndpoint {
    fn read(self, namespace: &str) -> Endpoint {
        let text = self.addresses.first().map(String::as_str).unwrap_or_default();
        let address = text.parse::<IpAddr>().ok().filter(|address| address.to_string() == text);
        let target = self.target_ref.unwrap_or_default();
        let here = target.namespace.as_deref() == Some(namespace);
        let usual = self.addresses.len() == 1
            && address.is_some()
            && here
            && target.kind.as_deref() == Some("Pod")
            && target.api_version.is_none()
            && target.field_path.is_none();
        Endpoint {
            address: address.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)),
            pod: target.name.filter(|_| here).unwrap_or_default(),
            uid: target.uid.unwrap_or_default(),
            hostname: self.hostname.filter(|text| !text.is_empty()),
            node: self.node_name,
            zone: self.zone,
            conditions: self.conditions.unwrap_or_default(),
            hints: self.hints.map(|hints| {
                let names = |list: Option<Vec<Named>>| list.into_iter().flatten().map(|named| named.name).collect();
                Box::new(Hints { zones: names(hints.for_zones), nodes: names(hints.for_nodes) })
            }),
            foreign: !usual,
        }
    }
}

#[cfg(test)]
mod tests;
