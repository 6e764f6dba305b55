//! OpenAPI v3: the index and one document per group version. OpenAPI v2: a document that describes nothing.
//!
//! kubectl reads these for `explain`, and to learn that the server validates fields itself. It needs schemas and, for
//! each resource, one path with a `patch` operation that names the kind and the `fieldValidation` parameter; nothing
//! else of a full specification. Built at the first request: no write waits for it.
//!
//! For kinds that v3 does not have (a mistyped one, `List`) kubectl looks into v2, and gives up when there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::resource::Resource;
use crate::resources::resources;
use crate::schema::unpack;

const TITLE: &str = "Kubernetes";
const LEVEL: &str = "v1.36.0";
const REFERENCE: &str = "#/components/schemas/";

/// One document of `/openapi/v3`.
#[derive(Debug)]
pub struct Document {
    /// The document, encoded.
    pub json: Vec<u8>,
    /// Hash of its content, upper-case hexadecimal; goes into the index and the URL.
    pub hash: String,
}

struct All {
    index: Value,
    documents: BTreeMap<String, Document>,
}

/// The index: `{"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=..."}}}`.
pub fn v3_index() -> &'static Value {
    &all().index
}

/// The document of a group version: `api/v1`, `apis/apps/v1`.
pub fn v3_document(path: &str) -> Option<&'static Document> {
    all().documents.get(path)
}

/// `/openapi/v2` as JSON.
pub fn v2_json() -> Value {
    json!({"swagger": "2.0", "info": {"title": TITLE, "version": LEVEL}, "paths": {}, "definitions": {}})
}

/// `/openapi/v2` as kubectl asks for it: gnostic's `openapi.v2.Document` in protobuf.
pub fn v2_protobuf() -> Vec<u8> {
    let info = [field(1, TITLE.as_bytes()), field(2, LEVEL.as_bytes())].concat();
    [field(1, b"2.0"), field(2, &info), field(8, &[]), field(9, &[])].concat()
}

/// A field of a protobuf message: text or another message, shorter than 128 bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    const LENGTH_DELIMITED: u8 = 2;
    debug_assert!(content.len() < 128);
    [&[number << 3 | LENGTH_DELIMITED, content.len() as u8], content].concat()
}

fn all() -> &'static All {
    static ALL: LazyLock<All> = LazyLock::new(build);
    &ALL
}

fn build() -> All {
    let schemas = unpack(include_bytes!("../schema/openapi.json.gz"));
    let mut members: BTreeMap<String, Vec<&Resource>> = BTreeMap::new();
    for resource in resources() {
        members.entry(root(resource)).or_default().push(resource);
    }
    let mut index = Map::new();
    let mut documents = BTreeMap::new();
    for (path, resources) in members {
        let json = document(&schemas, &path, &resources).to_string().into_bytes();
        let hash: String = Sha256::digest(&json).iter().map(|byte| format!("{byte:02X}")).collect();
        let url = format!("/openapi/v3/{path}?hash={hash}");
        index.insert(path.clone(), json!({"serverRelativeURL": url}));
        documents.insert(path, Document { json, hash });
    }
    All { index: json!({"paths": index}), documents }
}

/// `api/v1`, `apis/apps/v1`.
fn root(resource: &Resource) -> String {
    if resource.group.is_empty() {
        format!("api/{}", resource.version)
    } else {
        format!("apis/{}/{}", resource.group, resource.version)
    }
}

fn document(schemas: &Value, path: &str, resources: &[&Resource]) -> Value {
    let mut paths = Map::new();
    let mut wanted = BTreeSet::new();
    for resource in resources {
        let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let item = format!("/{path}{scope}/{}/{{name}}", resource.plural);
        paths.insert(item, operations(resource));
        reach(schemas, resource.definition, &mut wanted);
    }
    let components: Map<String, Value> =
        wanted.into_iter().map(|name| (name.clone(), schemas[&name].clone())).collect();
    json!({
        "openapi": "3.0.0",
        "info": {"title": TITLE, "version": LEVEL},
        "paths": paths,
        "components": {"schemas": components},
    })
}

fn operations(resource: &Resource) -> Value {
    let parameter =
        |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let body = json!({"schema": {"$ref": format!("{REFERENCE}{}", resource.definition)}});
    json!({
        "patch": {
            "operationId": format!("patch{}{}", resource.kind, resource.version),
            "parameters": [parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")],
            "responses": {"200": {"description": "OK", "content": {"application/json": body}}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind":
                {"group": resource.group, "version": resource.version, "kind": resource.kind},
        }
    })
}

/// Adds a definition and all it refers to.
fn reach(schemas: &Value, name: &str, wanted: &mut BTreeSet<String>) {
    if !wanted.insert(name.to_string()) {
        return;
    }
    let mut stack = vec![&schemas[name]];
    while let Some(value) = stack.pop() {
        match value {
            Value::Object(map) => {
                if let Some(target) = map.get("$ref").and_then(Value::as_str) {
                    reach(schemas, target.trim_start_matches(REFERENCE), wanted);
                }
                stack.extend(map.values());
            }
            Value::Array(items) => stack.extend(items),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Value;

    #[test]
    fn every_group_version_has_a_document_with_paths_and_schemas() {
        for resource in crate::resources() {
            let path = super::root(resource);
            let document = super::v3_document(&path).unwrap();
            let url = super::v3_index()["paths"][&path]["serverRelativeURL"].as_str().unwrap();
            assert!(url.ends_with(&document.hash), "{url}");
            let json: Value = serde_json::from_slice(&document.json).unwrap();
            assert!(json["components"]["schemas"][resource.definition]["properties"]["metadata"].is_object());
            let kinds: Vec<&Value> = json["paths"]
                .as_object()
                .unwrap()
                .values()
                .map(|p| &p["patch"]["x-kubernetes-group-version-kind"]["kind"])
                .collect();
            assert!(kinds.contains(&&Value::from(resource.kind)));
        }
    }

    #[test]
    fn every_reference_is_in_its_document() {
        for path in super::v3_index()["paths"].as_object().unwrap().keys() {
            let text = String::from_utf8(super::v3_document(path).unwrap().json.clone()).unwrap();
            let json: Value = serde_json::from_str(&text).unwrap();
            for part in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(json["components"]["schemas"][name].is_object(), "{path}: {name}");
            }
        }
    }

    #[test]
    fn the_second_version_is_a_valid_document() {
        let bytes = b"\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.36.0\x42\x00\x4a\x00";
        assert_eq!(super::v2_protobuf(), bytes);
        assert_eq!(super::v2_json()["swagger"], "2.0");
    }
}
