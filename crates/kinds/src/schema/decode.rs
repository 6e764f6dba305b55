//! Checks an object against its schema, the way Go's decoder would read it into a typed struct.
//!
//! Upstream decodes JSON into structs and encodes those again, which drops unknown fields and nulls and turns numeric
//! quantities into text. The walk here does the same in place; its error texts are those of Go's `encoding/json`.

use std::fmt::Write;

use serde_json::Value;

use super::{Schema, Type, quantity, schema};
use crate::error::DecodeError;
use crate::json::text;
use crate::resource::{FieldValidation, Resource};

/// See [`Resource::decode`].
pub(crate) fn decode(
    resource: &Resource,
    object: &mut Value,
    validation: FieldValidation,
) -> Result<Vec<String>, DecodeError> {
    let schema = schema();
    let root = schema.named(resource.definition).expect("every resource has a definition");
    if !object.is_object() {
        let problem =
            format!("json: cannot unmarshal {} into Go value of type {}", describe(object), schema.get(root).go_name());
        return Err(DecodeError::Type { kind: resource.kind, version: resource.version, problem });
    }
    check_identity(resource, object)?;
    let mut walk = Walk { schema, unknown: Vec::new(), fields: Vec::new(), path: String::new() };
    walk.object(root, object).map_err(|problem| DecodeError::Type {
        kind: resource.kind,
        version: resource.version,
        problem,
    })?;
    object["apiVersion"] = resource.api_version().into();
    object["kind"] = resource.kind.into();
    let problems: Vec<String> = walk.unknown.into_iter().map(|path| format!("unknown field \"{path}\"")).collect();
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(problems),
        FieldValidation::Strict if problems.is_empty() => Ok(problems),
        FieldValidation::Strict => {
            Err(DecodeError::Strict { kind: resource.kind, version: resource.version, problems })
        }
    }
}

/// `kind` and `apiVersion`, when given, must be those of the path.
fn check_identity(resource: &Resource, object: &Value) -> Result<(), DecodeError> {
    let version = text(object, "apiVersion");
    if !version.is_empty() && version != resource.api_version() {
        return Err(DecodeError::WrongKind(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            resource.api_version()
        )));
    }
    let kind = text(object, "kind");
    if !kind.is_empty() && kind != resource.kind {
        return Err(DecodeError::WrongKind(format!(
            "{kind} in version \"{}\" cannot be handled as a {}: converting ({}.{kind}) to (core.{}): unknown conversion",
            resource.version, resource.kind, resource.version, resource.kind
        )));
    }
    Ok(())
}

struct Walk<'s> {
    schema: &'s Schema,
    /// Paths of unknown fields: `spec.ports[0].foo`.
    unknown: Vec<String>,
    /// Field names from the root, as Go's errors name a field: `spec.ports.port`.
    fields: Vec<String>,
    /// Path with indices, as strict errors name a field.
    path: String,
}

impl Walk<'_> {
    /// Walks the fields of a struct; the error is Go's text.
    fn object(&mut self, index: usize, value: &mut Value) -> Result<(), String> {
        let definition = self.schema.get(index);
        let Some(map) = value.as_object_mut() else {
            return Ok(());
        };
        let mut dropped = Vec::new();
        for (key, value) in map.iter_mut() {
            let Some(field) = definition.fields.get(key) else {
                self.unknown.push(join(&self.path, key));
                dropped.push(key.clone());
                continue;
            };
            if value.is_null() {
                dropped.push(key.clone());
                continue;
            }
            let length = self.path.len();
            self.path = join(&self.path, key);
            self.fields.push(key.clone());
            self.value(&field.ty, value, definition.short_name())?;
            self.fields.pop();
            self.path.truncate(length);
            if is_empty_collection(&field.ty, value) && !ALWAYS_WRITTEN.contains(&(definition.short_name(), key)) {
                dropped.push(key.clone());
            }
        }
        for key in dropped {
            map.remove(&key);
        }
        Ok(())
    }

    fn value(&mut self, ty: &Type, value: &mut Value, owner: &str) -> Result<(), String> {
        match (ty, &mut *value) {
            (Type::Any, _)
            | (Type::String, Value::String(_))
            | (Type::Bool, Value::Bool(_))
            | (Type::Number, Value::Number(_)) => Ok(()),
            (Type::Struct(index), Value::Object(_)) => self.object(*index, value),
            (Type::List(item), Value::Array(items)) => {
                let length = self.path.len();
                for (index, element) in items.iter_mut().enumerate() {
                    // Writing to a String cannot fail.
                    let _ = write!(self.path, "[{index}]");
                    if element.is_null() {
                        *element = zero(item);
                    }
                    self.value(item, element, owner)?;
                    self.path.truncate(length);
                }
                Ok(())
            }
            (Type::Map(item), Value::Object(map)) => {
                let length = self.path.len();
                for (key, element) in map.iter_mut() {
                    let _ = write!(self.path, ".{key}");
                    if element.is_null() {
                        *element = zero(item);
                    }
                    self.value(item, element, owner)?;
                    self.path.truncate(length);
                }
                Ok(())
            }
            _ => self.scalar(ty, value, owner),
        }
    }

    /// Scalars whose text or size matters, and every mismatch.
    fn scalar(&self, ty: &Type, value: &mut Value, owner: &str) -> Result<(), String> {
        match (ty, &*value) {
            (Type::Int32, Value::Number(number)) => match number.as_i64() {
                Some(n) if i32::try_from(n).is_ok() => Ok(()),
                _ => Err(self.mismatch(&format!("number {number}"), ty, owner)),
            },
            (Type::Int64, Value::Number(number)) if number.is_i64() => Ok(()),
            (Type::Int64, Value::Number(number)) => Err(self.mismatch(&format!("number {number}"), ty, owner)),
            (Type::Bytes, Value::String(data)) => match bad_base64(data) {
                None => Ok(()),
                Some(at) => Err(format!("illegal base64 data at input byte {at}")),
            },
            (Type::Time | Type::MicroTime, Value::String(time)) => {
                if time.parse::<jiff::Timestamp>().is_ok() {
                    return Ok(());
                }
                let layout = match ty {
                    Type::MicroTime => "2006-01-02T15:04:05.000000Z07:00",
                    _ => "2006-01-02T15:04:05Z07:00",
                };
                Err(format!("parsing time \"{time}\" as \"{layout}\": cannot parse \"{time}\" as \"2006\""))
            }
            (Type::Quantity, Value::String(amount)) if quantity::is_valid(amount) => Ok(()),
            (Type::Quantity, Value::String(_)) => {
                Err("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                    .to_string())
            }
            (Type::Quantity, Value::Number(number)) => {
                *value = Value::String(number.to_string());
                Ok(())
            }
            (Type::IntOrString, Value::String(_)) => Ok(()),
            (Type::IntOrString, Value::Number(number)) => match number.as_i64().filter(|n| i32::try_from(*n).is_ok()) {
                Some(_) => Ok(()),
                None => Err(format!("json: cannot unmarshal number {number} into Go value of type int32")),
            },
            (Type::IntOrString | Type::Quantity | Type::Time | Type::MicroTime, _) => {
                Err(format!("json: cannot unmarshal {} into Go value of type string", describe(value)))
            }
            _ => Err(self.mismatch(describe(value), ty, owner)),
        }
    }

    fn mismatch(&self, found: &str, ty: &Type, owner: &str) -> String {
        format!(
            "json: cannot unmarshal {found} into Go struct field {owner}.{} of type {}",
            self.fields.join("."),
            go_type(self.schema, ty)
        )
    }
}

/// Lists that Go writes out even when empty.
const ALWAYS_WRITTEN: [(&str, &str); 1] = [("EndpointSlice", "endpoints")];

/// An empty list or map is the same as none, and encoded as none: `labels: {}` changes nothing.
fn is_empty_collection(ty: &Type, value: &Value) -> bool {
    match (ty, value) {
        (Type::List(_), Value::Array(items)) => items.is_empty(),
        (Type::Map(_), Value::Object(map)) => map.is_empty(),
        _ => false,
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

/// What Go reads a null list item as.
fn zero(ty: &Type) -> Value {
    match ty {
        Type::Struct(_) | Type::Map(_) => Value::Object(serde_json::Map::new()),
        Type::List(_) => Value::Array(Vec::new()),
        Type::Int32 | Type::Int64 | Type::Number | Type::IntOrString => 0.into(),
        Type::Bool => false.into(),
        Type::Quantity => "0".into(),
        Type::String | Type::Bytes => "".into(),
        Type::Time | Type::MicroTime | Type::Any => Value::Null,
    }
}

/// A JSON value as Go's decoder calls it.
fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn go_type(schema: &Schema, ty: &Type) -> String {
    match ty {
        Type::String => "string".to_string(),
        Type::Int32 => "int32".to_string(),
        Type::Int64 => "int64".to_string(),
        Type::Number => "float64".to_string(),
        Type::Bool => "bool".to_string(),
        Type::Bytes => "[]uint8".to_string(),
        Type::Time => "v1.Time".to_string(),
        Type::MicroTime => "v1.MicroTime".to_string(),
        Type::Quantity => "resource.Quantity".to_string(),
        Type::IntOrString => "intstr.IntOrString".to_string(),
        Type::Any => "interface {}".to_string(),
        Type::Struct(index) => schema.get(*index).go_name().to_string(),
        Type::List(item) => format!("[]{}", go_type(schema, item)),
        Type::Map(item) => format!("map[string]{}", go_type(schema, item)),
    }
}

/// Where standard base64 (line breaks allowed, as in Go) goes wrong.
fn bad_base64(data: &str) -> Option<usize> {
    let mut symbols = 0;
    let mut padding = 0;
    for (at, byte) in data.bytes().enumerate() {
        match byte {
            b'\n' | b'\r' => continue,
            b'=' if symbols % 4 >= 2 && padding < 2 => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return Some(at),
        }
        symbols += 1;
    }
    (symbols % 4 != 0).then_some(data.len())
}

#[cfg(test)]
mod tests;
