//! Objects as a watch delivers them, reduced to what a part reads of them while they are parsed.
//!
//! A Pod of a real cluster is some ten kilobytes, most of it about containers and field managers; the controllers
//! here read a few hundred bytes of it. What is not read is skipped by the parser and never allocated.

use std::{borrow::Cow, collections::BTreeMap, fmt::Debug};

use k8s_openapi::{
    api::core::v1::{Service, ServiceSpec},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};
use kube::Resource;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// What a part reads of one kind.
pub(crate) trait Facts: Sized {
    /// The kind.
    type Kind: Resource<DynamicType = ()>;
    /// The fields that are parsed.
    type Raw: DeserializeOwned;

    /// What the watch itself reads of the metadata, and the facts.
    fn split(raw: Self::Raw) -> (ObjectMeta, Self);
}

/// One object of a watch.
#[derive(Debug, Clone)]
pub(crate) struct Watched<F> {
    /// For the watch.
    pub(crate) metadata: ObjectMeta,
    /// For the part.
    pub(crate) facts: F,
}

impl<F> Watched<F> {
    /// What is left when the watch has read its part.
    pub(crate) fn into_facts(self) -> F {
        self.facts
    }
}

impl<'de, F: Facts> Deserialize<'de> for Watched<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (metadata, facts) = F::split(F::Raw::deserialize(deserializer)?);
        Ok(Self { metadata, facts })
    }
}

impl<F: Facts> Resource for Watched<F> {
    type DynamicType = ();
    type Scope = <F::Kind as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        F::Kind::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        F::Kind::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        F::Kind::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        F::Kind::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The metadata that parts read: all but the field managers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    pub(crate) name: Option<String>,
    pub(crate) generate_name: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) generation: Option<i64>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    pub(crate) creation_timestamp: Option<Time>,
    pub(crate) deletion_timestamp: Option<Time>,
    pub(crate) owner_references: Option<Vec<OwnerReference>>,
    pub(crate) finalizers: Option<Vec<String>>,
}

impl Metadata {
    /// What the watch reads: the revision, at which it goes on after an interruption.
    pub(crate) fn revision(&self) -> ObjectMeta {
        ObjectMeta { resource_version: self.resource_version.clone(), ..ObjectMeta::default() }
    }

    /// Everything that was parsed, in the API's own type.
    pub(crate) fn into_meta(self) -> ObjectMeta {
        ObjectMeta {
            name: self.name,
            generate_name: self.generate_name,
            namespace: self.namespace,
            uid: self.uid,
            resource_version: self.resource_version,
            generation: self.generation,
            labels: self.labels,
            annotations: self.annotations,
            creation_timestamp: self.creation_timestamp,
            deletion_timestamp: self.deletion_timestamp,
            owner_references: self.owner_references,
            finalizers: self.finalizers,
            ..ObjectMeta::default()
        }
    }
}

/// The fields of a Service that are parsed: its specification as it is. Nobody here reads what became of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawService {
    metadata: Metadata,
    spec: Option<ServiceSpec>,
}

/// An annotation that is as large as the object itself and says nothing more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Facts for Service {
    type Kind = Self;
    type Raw = RawService;

    fn split(mut raw: RawService) -> (ObjectMeta, Self) {
        if let Some(annotations) = &mut raw.metadata.annotations {
            annotations.remove(LAST_APPLIED);
        }
        let revision = raw.metadata.revision();
        (revision, Self { metadata: raw.metadata.into_meta(), spec: raw.spec, status: None })
    }
}
