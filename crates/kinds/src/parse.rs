//! Bytes to [`Value`], from JSON or YAML, remembering keys that came twice.
//!
//! A plain `serde_json::from_slice` keeps the last of two equal keys and says nothing; strict field validation must
//! name them. Both formats go through one visitor. Depth is limited by the parsers, alias expansion by the YAML one.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::ParseError;

/// What the body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// `application/json` and the JSON patch types.
    Json,
    /// `application/yaml`, `application/apply-patch+yaml`.
    Yaml,
}

/// Parses a body; the second part names fields that came more than once (`spec.type`), last one kept.
pub fn parse(bytes: &[u8], content_type: ContentType) -> Result<(Value, Vec<String>), ParseError> {
    let mut duplicates = Vec::new();
    let seed = Node { path: &Path::Root, duplicates: &mut duplicates };
    let value = match content_type {
        ContentType::Json => {
            let mut deserializer = serde_json::Deserializer::from_slice(bytes);
            let value = seed.deserialize(&mut deserializer).map_err(|e| ParseError::Json(e.to_string()))?;
            deserializer.end().map_err(|e| ParseError::Json(e.to_string()))?;
            value
        }
        ContentType::Yaml => {
            let mut options = serde_saphyr::Options::default();
            options.duplicate_keys = serde_saphyr::DuplicateKeyPolicy::PassThrough;
            options.with_snippet = false;
            serde_saphyr::with_deserializer_from_slice_with_options(bytes, options, |d| seed.deserialize(d))
                .map_err(|e| ParseError::Yaml(e.to_string()))?
        }
    };
    Ok((value, duplicates))
}

/// Where the visitor is; a list on the stack, so that the common case allocates nothing.
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => f.write_str(key),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

struct Node<'a> {
    path: &'a Path<'a>,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let path = Path::Index(self.path, items.len());
            match seq.next_element_seed(Node { path: &path, duplicates: &mut *self.duplicates })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = Path::Key(self.path, &key);
            let value = entries.next_value_seed(Node { path: &path, duplicates: &mut *self.duplicates })?;
            if map.contains_key(&key) {
                self.duplicates.push(path.to_string());
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
