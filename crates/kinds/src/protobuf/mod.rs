//! Bodies in `application/vnd.kubernetes.protobuf`, to the same [`Value`] that the object's JSON would give.
//!
//! kubectl of 1.32 and later sends what it makes from flags (`kubectl create deployment`) in this form, and so do Go
//! programs with typed clients; none of them falls back to JSON. [`crate::parse`] is the only caller. Reading is all
//! there is: answers are JSON, which every client accepts.
//!
//! A body is four magic bytes and a `runtime.Unknown`: apiVersion and kind, and the object's own message as bytes. The
//! objects are read by one walk over a table of field numbers (`schema/protobuf.py`), no code per kind. Whatever the
//! bytes are, the outcome is a value or an error; work and memory are bounded by their length. Field numbers and the
//! envelope are upstream's: `generated.proto` of each API group, and `k8s.io/apimachinery/pkg/runtime`.

mod message;
mod table;
mod wire;

use serde_json::{Map, Value};

use crate::resources::{by_kind, resources};
use message::Walk;
use wire::Fields;

/// First bytes of every body. The NUL keeps them apart from JSON and YAML.
pub(crate) const MAGIC: &[u8] = b"k8s\0";

/// A body that is not an object in protobuf.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProtobufError {
    /// Fields from the innermost to the outermost.
    path: Vec<String>,
    problem: Problem,
}

/// What is wrong with it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("it does not begin with the bytes k8s\\0")]
    Magic,
    #[error("it ends in the middle of a field")]
    Truncated,
    #[error("a number is longer than 64 bits")]
    Varint,
    #[error("wire type {0} is not used by Kubernetes")]
    WireType(u64),
    #[error("the field is of another type")]
    Shape,
    #[error("the text is not UTF-8")]
    Text,
    #[error("the time is out of range")]
    Time,
    #[error("the bytes are not JSON")]
    Json,
    #[error("messages are nested too deeply")]
    Depth,
    #[error("no kind \"{kind}\" is registered for version \"{version}\"")]
    Kind { kind: String, version: String },
}

impl From<Problem> for ProtobufError {
    fn from(problem: Problem) -> Self {
        Self { path: Vec::new(), problem }
    }
}

impl ProtobufError {
    fn inside(mut self, field: &str) -> Self {
        self.path.push(field.to_string());
        self
    }
}

impl std::fmt::Display for ProtobufError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, field) in self.path.iter().rev().enumerate() {
            write!(f, "{}{field}", if index == 0 { "" } else { "." })?;
        }
        write!(f, "{}{}", if self.path.is_empty() { "" } else { ": " }, self.problem)
    }
}

/// Reads a body.
pub(crate) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = Envelope::read(body.strip_prefix(MAGIC).ok_or(Problem::Magic)?)?;
    let unknown_kind = || Problem::Kind { kind: envelope.kind.to_string(), version: envelope.api_version.to_string() };
    let table = table::table();
    let definition = definition(envelope.api_version, envelope.kind).ok_or_else(unknown_kind)?;
    let message = table.named(&definition).ok_or_else(unknown_kind)?;
    let mut object = Map::new();
    Walk { table }.message(message, envelope.raw, 0, &mut object)?;
    object.insert("apiVersion".to_string(), envelope.api_version.into());
    object.insert("kind".to_string(), envelope.kind.into());
    Ok(Value::Object(object))
}

/// `runtime.Unknown`. Its encoding and content type are not used by any client and not heeded by upstream either.
#[derive(Default)]
struct Envelope<'b> {
    api_version: &'b str,
    kind: &'b str,
    raw: &'b [u8],
}

impl<'b> Envelope<'b> {
    fn read(bytes: &'b [u8]) -> Result<Self, Problem> {
        let mut envelope = Self::default();
        let mut fields = Fields::new(bytes);
        while let Some((number, wire)) = fields.next()? {
            match number {
                1 => envelope.read_type(wire.bytes()?)?,
                2 => envelope.raw = wire.bytes()?,
                _ => {}
            }
        }
        Ok(envelope)
    }

    fn read_type(&mut self, bytes: &'b [u8]) -> Result<(), Problem> {
        let mut fields = Fields::new(bytes);
        while let Some((number, wire)) = fields.next()? {
            match number {
                1 => self.api_version = wire.text()?,
                2 => self.kind = wire.text()?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The definition of a kind that may come as a body.
fn definition(api_version: &str, kind: &str) -> Option<String> {
    // Part of every group version: typed clients send it in that of the object they delete.
    if kind == "DeleteOptions" {
        return Some("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions".to_string());
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if let Some(resource) = by_kind(group, version, kind) {
        return Some(resource.definition.to_string());
    }
    let mut bodies = resources().iter().flat_map(|resource| resource.subresources);
    bodies.find(|body| (body.group, body.version, body.kind) == (group, version, kind))?;
    let group = if group.is_empty() { "core" } else { group };
    Some(format!("io.k8s.api.{group}.{version}.{kind}"))
}

#[cfg(test)]
mod tests;
