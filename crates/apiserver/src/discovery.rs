//! Discovery: which groups, versions and resources there are, in the plain and the aggregated form.
//!
//! Made from the table of resources once. The content type of the aggregated form must repeat its parameters exactly,
//! or clients read it as an empty plain answer.

use std::sync::LazyLock;

use bytes::Bytes;
use portolan_kinds::{Resource, Subresource, resources};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{http::accept::DiscoveryForm, status::ApiError};

/// A document that never changes while the server runs.
#[derive(Debug)]
pub struct Document {
    /// Exact content type.
    pub content_type: &'static str,
    /// Quoted hash of the content.
    pub etag: String,
    /// The content.
    pub body: Bytes,
}

impl Document {
    fn new(content_type: &'static str, value: &Value) -> Self {
        let body = Bytes::from(value.to_string());
        Self { content_type, etag: etag(&body), body }
    }
}

/// The entity tag of a content.
pub fn etag(body: &[u8]) -> String {
    let hash = Sha256::digest(body);
    let hex: String = hash.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("\"{hex}\"")
}

const JSON: &str = "application/json";
const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2_BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

struct Roots {
    plain: Document,
    v2: Document,
    v2_beta1: Document,
}

impl Roots {
    fn new(plain: &Value, groups: &[&'static str]) -> Self {
        let aggregated = |version| {
            json!({
                "kind": "APIGroupDiscoveryList",
                "apiVersion": format!("apidiscovery.k8s.io/{version}"),
                "metadata": {},
                "items": groups.iter().map(|group| aggregated_group(group)).collect::<Vec<_>>(),
            })
        };
        Self {
            plain: Document::new(JSON, plain),
            v2: Document::new(V2, &aggregated("v2")),
            v2_beta1: Document::new(V2_BETA1, &aggregated("v2beta1")),
        }
    }

    fn get(&'static self, form: DiscoveryForm) -> &'static Document {
        match form {
            DiscoveryForm::Plain => &self.plain,
            DiscoveryForm::Aggregated("v2") => &self.v2,
            DiscoveryForm::Aggregated(_) => &self.v2_beta1,
        }
    }
}

/// `/api`.
pub fn core(form: DiscoveryForm) -> &'static Document {
    static CORE: LazyLock<Roots> = LazyLock::new(|| {
        let plain = json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
        });
        Roots::new(&plain, &[""])
    });
    CORE.get(form)
}

/// `/apis`.
pub fn groups(form: DiscoveryForm) -> &'static Document {
    static GROUPS: LazyLock<Roots> = LazyLock::new(|| {
        let names = group_names();
        let groups: Vec<_> = names.iter().map(|group| plain_group(group)).collect();
        let plain = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups});
        Roots::new(&plain, &names)
    });
    GROUPS.get(form)
}

/// `/apis/GROUP`.
pub fn group(name: &str) -> Result<Value, ApiError> {
    let known = group_names().into_iter().find(|group| *group == name).ok_or_else(ApiError::no_such_path)?;
    let mut group = plain_group(known);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Ok(group)
}

/// `/api/v1`, `/apis/GROUP/VERSION`.
pub fn group_version(group: &str, version: &str) -> Result<Value, ApiError> {
    let members: Vec<_> =
        resources().iter().filter(|resource| resource.group == group && resource.version == version).collect();
    let first = members.first().ok_or_else(ApiError::no_such_path)?;
    let mut list = Vec::new();
    for resource in &members {
        list.push(plain_resource(resource));
        list.extend(resource.subresources.iter().map(|part| plain_subresource(resource, part)));
    }
    Ok(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(), "resources": list,
    }))
}

/// The named groups in order of first appearance.
fn group_names() -> Vec<&'static str> {
    let mut names = Vec::new();
    for resource in resources() {
        if !resource.group.is_empty() && !names.contains(&resource.group) {
            names.push(resource.group);
        }
    }
    names
}

fn versions(group: &str) -> Vec<&'static str> {
    let mut versions = Vec::new();
    for resource in resources().iter().filter(|resource| resource.group == group) {
        if !versions.contains(&resource.version) {
            versions.push(resource.version);
        }
    }
    versions
}

fn plain_group(group: &str) -> Value {
    let versions: Vec<_> = versions(group)
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions[0]})
}

fn plain_resource(resource: &Resource) -> Value {
    let mut entry = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    entry
}

fn plain_subresource(resource: &Resource, part: &Subresource) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", resource.plural, part.name), "singularName": "",
        "namespaced": resource.namespaced, "kind": part.kind, "verbs": part.verbs,
    });
    if part.group != resource.group || part.version != resource.version {
        entry["group"] = part.group.into();
        entry["version"] = part.version.into();
    }
    entry
}

fn aggregated_group(group: &str) -> Value {
    let versions: Vec<_> = versions(group)
        .into_iter()
        .map(|version| {
            let members: Vec<_> = resources()
                .iter()
                .filter(|resource| resource.group == group && resource.version == version)
                .map(aggregated_resource)
                .collect();
            json!({"version": version, "resources": members, "freshness": "Current"})
        })
        .collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind(resource.group, resource.version, resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    let parts: Vec<_> = resource
        .subresources
        .iter()
        .map(|part| {
            json!({
                "subresource": part.name,
                "responseKind": kind(part.group, part.version, part.kind),
                "verbs": part.verbs,
            })
        })
        .collect();
    if !parts.is_empty() {
        entry["subresources"] = parts.into();
    }
    entry
}
