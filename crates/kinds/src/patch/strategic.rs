//! Strategic merge patch: merge patch that knows the schema.
//!
//! Lists whose field has the patch strategy `merge` are merged by the merge key (`ports` of a Service by `port`), all
//! others are replaced. Directives in the patch steer it: `$patch: replace|delete|merge` in objects and list items,
//! `$retainKeys`, `$deleteFromPrimitiveList/x`, `$setElementOrder/x`. Upstream: apimachinery `strategicpatch`; two
//! of its rough edges are smoothed: nulls and directives inside values that are new to the object have no effect (there they
//! can make the value invalid or vanish), and a deletion from a primitive list always comes after the additions.

use serde_json::{Map, Value};

use crate::error::PatchError;
use crate::resource::Resource;
use crate::schema::{Field, Type, schema};

type Object = Map<String, Value>;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ELEMENT_ORDER: &str = "$setElementOrder/";

/// See [`super::strategic`].
pub(super) fn apply(resource: &Resource, doc: &mut Value, patch: &Value) -> Result<(), PatchError> {
    let Value::Object(patch) = patch else {
        return Err(malformed("error decoding patch: a strategic merge patch is an object"));
    };
    let ty = schema().named(resource.definition).map_or(Type::Any, Type::Struct);
    let original = match doc.take() {
        Value::Object(map) => map,
        _ => Object::new(),
    };
    *doc = Value::Object(merge_object(&ty, original, patch)?);
    Ok(())
}

fn malformed(message: impl Into<String>) -> PatchError {
    PatchError::Malformed(message.into())
}

/// The field `key` of a type: struct fields have metadata, values of maps only their type.
fn field(ty: &Type, key: &str) -> Field {
    let plain = |ty: Type| Field { ty, merge: false, merge_key: None };
    match ty {
        Type::Struct(index) => schema().get(*index).fields.get(key).cloned().unwrap_or_else(|| plain(Type::Any)),
        Type::Map(item) => plain((**item).clone()),
        _ => plain(Type::Any),
    }
}

fn merge_object(ty: &Type, mut original: Object, patch: &Object) -> Result<Object, PatchError> {
    match patch.get(DIRECTIVE).map(|d| d.as_str().unwrap_or("")) {
        None | Some("merge") => {}
        Some("replace") => return Ok(without_directives(patch)),
        Some("delete") => return Ok(Object::new()),
        Some(other) => return Err(unknown_directive(other)),
    }
    if let Some(keys) = patch.get(RETAIN_KEYS) {
        retain(&mut original, patch, keys)?;
    }
    for (key, value) in patch {
        if is_directive(key) {
            continue;
        }
        merge_field(&field(ty, key), &mut original, key, value, patch)?;
    }
    for (key, value) in patch {
        if let Some(name) = key.strip_prefix(DELETE_FROM) {
            delete_from_primitives(&mut original, name, value)?;
        }
    }
    for (key, order) in patch {
        if let Some(name) = key.strip_prefix(ELEMENT_ORDER)
            && !patch.contains_key(name)
            && let Some(Value::Array(items)) = original.get_mut(name)
        {
            let live = items.clone();
            set_order(&field(ty, name), items, &live, list(key, order)?);
        }
    }
    Ok(original)
}

fn merge_field(
    field: &Field,
    original: &mut Object,
    key: &str,
    value: &Value,
    patch: &Object,
) -> Result<(), PatchError> {
    let merged = match (original.remove(key), value) {
        (_, Value::Null) => return Ok(()),
        (Some(Value::Object(old)), Value::Object(change)) => Value::Object(merge_object(&field.ty, old, change)?),
        (old, Value::Array(change)) if field.merge => {
            let old = match old {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            };
            let order = match patch.get(&format!("{ELEMENT_ORDER}{key}")) {
                Some(order) => Some(list(key, order)?),
                None => None,
            };
            Value::Array(merge_list(field, key, old, change, order)?)
        }
        (_, Value::Object(change)) if change.get(DIRECTIVE).is_some_and(|d| d == "delete") => {
            return Ok(());
        }
        (_, change) => clean(change),
    };
    original.insert(key.to_string(), merged);
    Ok(())
}

/// Merges a patch list into a list whose items are merged. Unless the patch says otherwise its own order holds: items
/// it names come out in the order it names them.
fn merge_list(
    field: &Field,
    name: &str,
    old: Vec<Value>,
    change: &[Value],
    order: Option<&[Value]>,
) -> Result<Vec<Value>, PatchError> {
    let live = old.clone();
    let mut items = match &field.merge_key {
        Some(key) => merge_keyed(field, name, key, old, change)?,
        None => merge_primitives(old, change),
    };
    let kept: Vec<Value> = change
        .iter()
        .filter(|item| item.get(DIRECTIVE).is_none_or(|directive| directive == "merge"))
        .cloned()
        .collect();
    if let Some(order) = order {
        let places: Vec<Option<usize>> = kept.iter().map(|item| position(field, order, item)).collect();
        if places.contains(&None) || !places.is_sorted() {
            return Err(malformed(format!(
                "The order in patch list of {name} doesn't match the order in its {ELEMENT_ORDER}{name} list"
            )));
        }
    }
    set_order(field, &mut items, &live, order.unwrap_or(&kept));
    Ok(items)
}

fn merge_primitives(mut items: Vec<Value>, change: &[Value]) -> Vec<Value> {
    for item in change {
        if !items.contains(item) {
            items.push(item.clone());
        }
    }
    items
}

fn merge_keyed(
    field: &Field,
    name: &str,
    key: &str,
    mut items: Vec<Value>,
    change: &[Value],
) -> Result<Vec<Value>, PatchError> {
    let item_type = match &field.ty {
        Type::List(item) => (**item).clone(),
        _ => Type::Any,
    };
    if change.iter().any(|item| item.get(DIRECTIVE).is_some_and(|d| d == "replace")) {
        return Ok(change.iter().filter(|item| item.get(DIRECTIVE).is_none()).map(clean).collect());
    }
    for item in change {
        let Value::Object(object) = item else {
            return Err(malformed(format!("cannot merge {name}: its items are objects identified by {key}")));
        };
        let Some(id) = object.get(key) else {
            return Err(malformed(format!("map: {item} does not contain declared merge key: {key}")));
        };
        match object.get(DIRECTIVE).map(|d| d.as_str().unwrap_or("")) {
            Some("delete") => items.retain(|old| old.get(key) != Some(id)),
            None | Some("merge") => match items.iter_mut().find(|old| old.get(key) == Some(id)) {
                Some(Value::Object(old)) => {
                    *old = merge_object(&item_type, std::mem::take(old), object)?;
                }
                _ => items.push(clean(item)),
            },
            Some(other) => return Err(unknown_directive(other)),
        }
    }
    Ok(items)
}

/// Puts the items named by `order` into that order; the others keep their place relative to them in the live list
/// as well as can be.
fn set_order(field: &Field, items: &mut Vec<Value>, live: &[Value], order: &[Value]) {
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        items.drain(..).partition(|item| position(field, order, item).is_some());
    named.sort_by_key(|item| position(field, order, item));
    others.sort_by_key(|item| position(field, live, item));
    let mut others = others.into_iter().peekable();
    for item in named {
        while let Some(other) = others.peek() {
            match (position(field, live, other), position(field, live, &item)) {
                (Some(a), Some(b)) if a < b => items.extend(others.next()),
                _ => break,
            }
        }
        items.push(item);
    }
    items.extend(others);
}

/// Where in a list the item with the same identity is.
fn position(field: &Field, items: &[Value], item: &Value) -> Option<usize> {
    items.iter().position(|other| match &field.merge_key {
        Some(key) => other.get(key).is_some() && other.get(key) == item.get(key),
        None => other == item,
    })
}

fn delete_from_primitives(original: &mut Object, name: &str, value: &Value) -> Result<(), PatchError> {
    let gone = list(name, value)?;
    if let Some(Value::Array(items)) = original.get_mut(name) {
        items.retain(|item| !gone.contains(item));
    }
    Ok(())
}

/// `$retainKeys`: fields of the original that are not named go away; the patch may only set named ones.
fn retain(original: &mut Object, patch: &Object, keys: &Value) -> Result<(), PatchError> {
    let keys: Vec<&str> = list(RETAIN_KEYS, keys)?.iter().filter_map(Value::as_str).collect();
    let stray =
        patch.iter().find(|(key, value)| !key.starts_with('$') && !value.is_null() && !keys.contains(&key.as_str()));
    if let Some((key, _)) = stray {
        return Err(malformed(format!("the patch sets {key}, which its {RETAIN_KEYS} list does not name")));
    }
    original.retain(|key, _| keys.contains(&key.as_str()));
    Ok(())
}

fn list<'a>(name: &str, value: &'a Value) -> Result<&'a [Value], PatchError> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| malformed(format!("{name} in the patch must be a list")))
}

fn unknown_directive(directive: &str) -> PatchError {
    malformed(format!("Unknown patch type found: {directive}"))
}

/// A value that is new to the object: directives and nulls in it have nothing to act on.
fn clean(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(without_directives(map)),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .filter(|item| !item.get(DIRECTIVE).is_some_and(|d| d == "delete" || d == "replace"))
                .map(clean)
                .collect(),
        ),
        other => other.clone(),
    }
}

fn without_directives(map: &Object) -> Object {
    map.iter()
        .filter(|(key, value)| !is_directive(key) && !value.is_null())
        .map(|(key, value)| (key.clone(), clean(value)))
        .collect()
}

fn is_directive(key: &str) -> bool {
    key == DIRECTIVE || key == RETAIN_KEYS || key.starts_with(DELETE_FROM) || key.starts_with(ELEMENT_ORDER)
}
