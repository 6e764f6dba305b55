//! Bytes to [`Value`], from JSON, YAML or protobuf, remembering keys that came twice.
//!
//! A plain `serde_json::from_slice` keeps the last of two equal keys and says nothing; strict field validation must
//! name them. Both text formats go through one visitor. Depth is limited by the parsers, alias expansion by the YAML one.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::ParseError;
use crate::protobuf;

/// What the body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// `application/json` and the JSON patch types.
    Json,
    /// `application/yaml`, `application/apply-patch+yaml`. Also for a body that may be in any of the three: JSON is YAML,
    /// and protobuf begins with bytes that YAML may not have.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
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
        ContentType::Yaml if !bytes.starts_with(protobuf::MAGIC) => {
            let mut options = serde_saphyr::Options::default();
            options.duplicate_keys = serde_saphyr::DuplicateKeyPolicy::PassThrough;
            options.with_snippet = false;
            serde_saphyr::with_deserializer_from_slice_with_options(bytes, options, |d| seed.deserialize(d))
                .map_err(|e| ParseError::Yaml(e.to_string()))?
        }
        ContentType::Yaml | ContentType::Protobuf => {
            protobuf::decode(bytes).map_err(|e| ParseError::Protobuf(e.to_string()))?
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::ContentType::{Json, Yaml};
    use super::parse;
    use crate::FieldValidation;

    #[test]
    fn duplicate_keys_are_named_with_their_path() {
        let (value, duplicates) =
            parse(br#"{"a": 1, "spec": {"ports": [{"port": 1, "port": 2}]}, "a": 3}"#, Json).unwrap();
        assert_eq!(value, json!({"a": 3, "spec": {"ports": [{"port": 2}]}}));
        assert_eq!(duplicates, ["spec.ports[0].port", "a"]);
        let (value, duplicates) = parse(b"spec:\n  type: A\n  type: B\n", Yaml).unwrap();
        assert_eq!((value, duplicates), (json!({"spec": {"type": "B"}}), vec!["spec.type".to_string()]));
    }

    #[test]
    fn json_and_yaml_say_the_same() {
        let text = br#"{"a": [1, -2, 1.5, true, null, "x", {}], "b": {"c": "1"}}"#;
        assert_eq!(parse(text, Json).unwrap(), parse(text, Yaml).unwrap());
        let (value, _) = parse(b"a:\n- 1\n- 1.5\n- true\n- null\n- x\n- '1'\n", Yaml).unwrap();
        assert_eq!(value["a"], json!([1, 1.5, true, null, "x", "1"]));
    }

    #[test]
    fn what_goes_on_too_long_is_refused() {
        let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000)).into_bytes();
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            assert!(parse(&deep(open, close), Json).is_err());
            assert!(parse(&deep(open, close), Yaml).is_err());
        }
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let item = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [item.as_str(); 9].join(", ")));
        }
        assert!(parse(bomb.as_bytes(), Yaml).is_err());
        assert!(parse(b"{} trailing", Json).is_err());
        assert!(parse(b"a: 1\n---\nb: 2\n", Yaml).is_err());
        assert!(parse(b"\xff\xfe", Json).is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, Json);
            let _ = parse(&bytes, Yaml);
        }

        #[test]
        fn parsing_text_that_is_nearly_right_never_panics(text in "[-\\[\\]{}:,\"' \n#&*!|>%@0-9a-e.~]{0,120}") {
            let _ = parse(text.as_bytes(), Json);
            let _ = parse(text.as_bytes(), Yaml);
        }

        /// Whatever parses goes through the whole crate without a panic.
        #[test]
        fn no_body_panics_a_resource(text in body()) {
            let Ok((value, _)) = parse(text.as_bytes(), Json) else { return Ok(()); };
            for resource in crate::resources() {
                let mut object = value.clone();
                if resource.decode(&mut object, FieldValidation::Ignore).is_err() { continue; }
                resource.default(&mut object);
                resource.prepare_create(&mut object);
                resource.validate_create(&object);
                let mut again = object.clone();
                resource.prepare_update(&mut again, &object, crate::Part::Main);
                resource.validate_update(&again, &object, crate::Part::Main);
                resource.cells(&object, jiff::Timestamp::UNIX_EPOCH);
                resource.fields(&object);
                resource.scale(&object);
                let _ = crate::patch::strategic(resource, &mut object, &value);
            }
        }
    }

    /// JSON objects built from field names of the API, with values that are often of the wrong type.
    fn body() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(|b| json!(b)),
            (-2i64..70000).prop_map(|n| json!(n)),
            Just(json!("")),
            Just(json!("LoadBalancer")),
            Just(json!("ExternalName")),
            Just(json!("None")),
            Just(json!("Local")),
            Just(json!("10.96.0.1")),
            Just(json!("ClientIP")),
            Just(json!({"a": "b"})),
        ];
        let key = proptest::sample::select(vec![
            "metadata",
            "spec",
            "status",
            "ports",
            "port",
            "name",
            "namespace",
            "type",
            "clusterIP",
            "clusterIPs",
            "selector",
            "template",
            "containers",
            "labels",
            "nodePort",
            "targetPort",
            "externalIPs",
            "ipFamilies",
            "loadBalancer",
            "ingress",
            "subsets",
            "addresses",
            "endpoints",
            "data",
            "stringData",
            "strategy",
            "replicas",
            "series",
            "finalizers",
            "$patch",
            "volumes",
            "initContainers",
            "resources",
            "limits",
            "tolerations",
            "readinessProbe",
            "httpGet",
            "sessionAffinityConfig",
        ]);
        let tree = leaf.prop_recursive(6, 40, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
                proptest::collection::btree_map(key.clone(), inner, 0..5).prop_map(|map| map
                    .into_iter()
                    .map(|(k, v)| (k.to_string(), v))
                    .collect::<serde_json::Map<_, _>>()
                    .into()),
            ]
        });
        tree.prop_map(|value| value.to_string())
    }
}
