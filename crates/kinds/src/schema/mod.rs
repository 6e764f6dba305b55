//! The types of every field of every kind, with the patch metadata that strategic merge needs.
//!
//! Read once, at the first use, from `schema/types.json.gz` (7 kB, 46 kB unpacked); decoding and patching then walk
//! plain structs.

mod decode;
pub(crate) mod quantity;

use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

use serde_json::Value;

pub(crate) use decode::decode;

/// The type of a value.
#[derive(Clone, Debug)]
pub(crate) enum Type {
    String,
    Int32,
    Int64,
    Number,
    Bool,
    /// Base64 text.
    Bytes,
    /// RFC 3339 text.
    Time,
    /// RFC 3339 text with microseconds.
    MicroTime,
    /// `100m`, `1Gi`, or a number.
    Quantity,
    IntOrString,
    /// Any JSON.
    Any,
    /// An object with known fields: index into [`Schema::structs`].
    Struct(usize),
    List(Box<Type>),
    Map(Box<Type>),
}

/// A field of a struct.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) ty: Type,
    /// Lists: items are merged, not replaced.
    pub(crate) merge: bool,
    /// Lists of objects that are merged: the field that identifies an item.
    pub(crate) merge_key: Option<String>,
}

/// An object with known fields.
#[derive(Debug)]
pub(crate) struct Struct {
    /// Name of the definition.
    pub(crate) name: String,
    pub(crate) fields: HashMap<String, Field>,
}

impl Struct {
    /// `ServicePort`, as Go's decoder names it.
    pub(crate) fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// `v1.ServicePort`.
    pub(crate) fn go_name(&self) -> &str {
        self.name.rmatch_indices('.').nth(1).map_or(&self.name, |(dot, _)| &self.name[dot + 1..])
    }
}

/// All structs.
#[derive(Debug)]
pub(crate) struct Schema {
    structs: Vec<Struct>,
    by_name: HashMap<String, usize>,
}

impl Schema {
    pub(crate) fn get(&self, index: usize) -> &Struct {
        &self.structs[index]
    }

    /// The struct of a definition.
    pub(crate) fn named(&self, definition: &str) -> Option<usize> {
        self.by_name.get(definition).copied()
    }
}

/// The checked-in types.
pub(crate) fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| load(&unpack(include_bytes!("../../schema/types.json.gz"))));
    &SCHEMA
}

/// Unpacks checked-in JSON. A damaged file is caught by any test of this crate, hence no error.
pub(crate) fn unpack(bytes: &[u8]) -> Value {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut text).expect("checked-in data is valid gzip");
    serde_json::from_slice(&text).expect("checked-in data is valid JSON")
}

fn load(types: &Value) -> Schema {
    let definitions = types.as_object().expect("types.json is an object of definitions");
    let by_name: HashMap<String, usize> =
        definitions.keys().enumerate().map(|(index, name)| (name.clone(), index)).collect();
    let structs = definitions
        .iter()
        .map(|(name, fields)| Struct {
            name: name.clone(),
            fields: fields
                .as_object()
                .into_iter()
                .flatten()
                .map(|(field, code)| (field.clone(), load_field(code, &by_name)))
                .collect(),
        })
        .collect();
    Schema { structs, by_name }
}

fn load_field(code: &Value, by_name: &HashMap<String, usize>) -> Field {
    let strategies = code.get("patch").and_then(Value::as_str).unwrap_or("");
    Field {
        ty: load_type(code, by_name),
        merge: strategies.split(',').any(|s| s == "merge"),
        merge_key: code.get("key").and_then(Value::as_str).map(str::to_string),
    }
}

/// An unknown code is read as "any": the generator is the authority, and its output is covered by tests.
fn load_type(code: &Value, by_name: &HashMap<String, usize>) -> Type {
    if let Some(name) = code.get("struct").and_then(Value::as_str) {
        return by_name.get(name).map_or(Type::Any, |index| Type::Struct(*index));
    }
    if let Some(item) = code.get("list") {
        return Type::List(Box::new(load_type(item, by_name)));
    }
    if let Some(item) = code.get("map") {
        return Type::Map(Box::new(load_type(item, by_name)));
    }
    match code.as_str().unwrap_or("") {
        "string" => Type::String,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "number" => Type::Number,
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "time" => Type::Time,
        "microtime" => Type::MicroTime,
        "quantity" => Type::Quantity,
        "int-or-string" => Type::IntOrString,
        _ => Type::Any,
    }
}
