//! What is remembered of an Endpoints that exists: enough to see whether it is right and to write over it. The
//! addresses themselves are in the index already, as pods.

use k8s_openapi::{
    Metadata, NamespaceResourceScope, Resource, api::core::v1::Endpoints, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::{Deserialize, Deserializer};

use super::repack;

/// An Endpoints as it was last seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    /// Without `managedFields`, which the API server keeps by itself.
    pub(crate) metadata: ObjectMeta,
    /// [`repack::fingerprint`] of the subsets in canonical form.
    pub(crate) fingerprint: u128,
}

impl Stored {
    pub(crate) fn of(endpoints: Endpoints) -> Self {
        let subsets = repack::repack(endpoints.subsets.as_deref().unwrap_or_default());
        let metadata = ObjectMeta { managed_fields: None, ..endpoints.metadata };
        Self { metadata, fingerprint: repack::fingerprint(&subsets) }
    }

    /// The annotation `key`.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }
}

/// The watch's pages hold no more than this either.
impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Endpoints::deserialize(deserializer).map(Self::of)
    }
}

impl Resource for Stored {
    const API_VERSION: &'static str = Endpoints::API_VERSION;
    const GROUP: &'static str = Endpoints::GROUP;
    const KIND: &'static str = Endpoints::KIND;
    const VERSION: &'static str = Endpoints::VERSION;
    const URL_PATH_SEGMENT: &'static str = Endpoints::URL_PATH_SEGMENT;
    type Scope = NamespaceResourceScope;
}

impl Metadata for Stored {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
