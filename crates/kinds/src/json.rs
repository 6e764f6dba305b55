//! Small readers and writers over [`Value`]: the vocabulary the other modules are written in.

use serde_json::{Map, Value};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// The value at a dotted path of object keys.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut current = value;
    for key in path.split('.') {
        current = current.as_object()?.get(key)?;
    }
    Some(current)
}

/// The string at a dotted path, empty when absent.
pub(crate) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or("")
}

/// The integer at a dotted path.
pub(crate) fn int(value: &Value, path: &str) -> Option<i64> {
    at(value, path).and_then(Value::as_i64)
}

/// The bool at a dotted path, false when absent.
pub(crate) fn flag(value: &Value, path: &str) -> bool {
    at(value, path).and_then(Value::as_bool).unwrap_or(false)
}

/// The items of the list at a dotted path, none when absent.
pub(crate) fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The entries of the object at a dotted path, none when absent.
pub(crate) fn entries<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    at(value, path).and_then(Value::as_object).into_iter().flatten()
}

/// The value at a dotted path, to change.
pub(crate) fn at_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut current = value;
    for key in path.split('.') {
        current = current.as_object_mut()?.get_mut(key)?;
    }
    Some(current)
}

/// The object under `key`, made if absent or of another type.
pub(crate) fn object<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(Object::new());
    }
    let slot = &mut value[key];
    if !slot.is_object() {
        *slot = Value::Object(Object::new());
    }
    slot
}

/// Sets `key` unless it is there already.
pub(crate) fn set_default(value: &mut Value, key: &str, default: impl Into<Value>) {
    if let Some(map) = value.as_object_mut()
        && map.get(key).is_none_or(Value::is_null)
    {
        map.insert(key.to_string(), default.into());
    }
}

/// As [`set_default`], where an empty string counts as absent.
pub(crate) fn set_default_text(value: &mut Value, key: &str, default: &str) {
    if text(value, key).is_empty()
        && let Some(map) = value.as_object_mut()
        && map.get(key).is_none_or(|v| v.is_null() || v.is_string())
    {
        map.insert(key.to_string(), default.into());
    }
}

/// Removes `key` and gives what was there.
pub(crate) fn take(value: &mut Value, key: &str) -> Option<Value> {
    value.as_object_mut()?.remove(key)
}

/// Sets `key` to `new`, or removes it for none.
pub(crate) fn put(value: &mut Value, key: &str, new: Option<Value>) {
    if let Some(map) = value.as_object_mut() {
        match new {
            Some(new) => {
                map.insert(key.to_string(), new);
            }
            None => {
                map.remove(key);
            }
        }
    }
}

/// Every item of the list under `key`, to change.
pub(crate) fn items_mut<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    value.as_object_mut().and_then(|map| map.get_mut(key)).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Equal, where absent, null, empty object and empty list are all the same: what Go's semantic equality does with
/// `omitempty` fields.
pub(crate) fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a.filter(|v| !is_empty(v)), b.filter(|v| !is_empty(v))) {
        (None, None) => true,
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            a.keys().all(|k| same(a.get(k), b.get(k))) && b.keys().all(|k| a.contains_key(k) || same(None, b.get(k)))
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(Some(a), Some(b)))
        }
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
