//! One message to one JSON object, guided by the table.
//!
//! Go writes every field that is not a pointer, so zeros arrive that nobody set; JSON leaves them out, and so does the
//! walk, but for the fields whose zero says something. Structs are kept even when empty, as Go's JSON keeps them.

use serde_json::{Map, Value};

use super::table::{Message, Table, Target};
use super::wire::{Fields, Wire};
use super::{Problem, ProtobufError};
use crate::schema::Type;

/// Messages nest no deeper than this. No struct in scope contains itself, so the table ends the walk at about 15
/// already; the limit is for the first one that does.
const DEPTH: usize = 64;

pub(super) struct Walk<'t> {
    pub(super) table: &'t Table,
}

impl Walk<'_> {
    /// Reads the fields of a message into `object`; a field that comes again is merged or replaced, as protobuf has it.
    pub(super) fn message(
        &self,
        message: &Message,
        bytes: &[u8],
        depth: usize,
        object: &mut Map<String, Value>,
    ) -> Result<(), ProtobufError> {
        if depth > DEPTH {
            return Err(Problem::Depth.into());
        }
        let mut fields = Fields::new(bytes);
        while let Some((number, wire)) = fields.next()? {
            match message.target(number) {
                // Newer than the table, or never meant for JSON: protobuf readers skip what they do not know.
                None => {}
                Some(Target::Inline(inner)) => self.message(inner, wire.bytes()?, depth + 1, object)?,
                Some(Target::Field { name, ty, keep_zero }) => {
                    let value = self.field(ty, wire, depth, object.remove(*name)).map_err(|e| e.inside(name))?;
                    if *keep_zero && !value.is_null() || !is_zero(&value) {
                        object.insert((*name).to_string(), value);
                    }
                }
            }
        }
        Ok(())
    }

    /// The value of a field after one more occurrence; `before` is its value so far.
    fn field(&self, ty: &Type, wire: Wire<'_>, depth: usize, before: Option<Value>) -> Result<Value, ProtobufError> {
        match (ty, before) {
            (Type::List(item), before) => {
                let mut items = match before {
                    Some(Value::Array(items)) => items,
                    _ => Vec::new(),
                };
                match (&**item, wire) {
                    (Type::Int32 | Type::Int64 | Type::Bool, Wire::Bytes(packed)) => {
                        for number in Fields::new(packed).packed()? {
                            items.push(self.value(item, Wire::Varint(number), depth, Map::new())?);
                        }
                    }
                    _ => items.push(self.value(item, wire, depth, Map::new())?),
                }
                Ok(Value::Array(items))
            }
            (Type::Map(item), before) => {
                let mut map = object(before);
                let (key, value) = self.entry(item, wire.bytes()?, depth)?;
                map.insert(key, value);
                Ok(Value::Object(map))
            }
            (Type::Struct(_), before) => self.value(ty, wire, depth, object(before)),
            _ => self.value(ty, wire, depth, Map::new()),
        }
    }

    /// An entry of a map is a message of its key (1) and its value (2); either may be left out when zero.
    fn entry(&self, item: &Type, bytes: &[u8], depth: usize) -> Result<(String, Value), ProtobufError> {
        let mut key = "";
        let mut value = match item {
            Type::Int32 | Type::Int64 | Type::Bool => Wire::Varint(0),
            _ => Wire::Bytes(&[]),
        };
        let mut fields = Fields::new(bytes);
        while let Some((number, wire)) = fields.next()? {
            match number {
                1 => key = wire.text()?,
                2 => value = wire,
                _ => {}
            }
        }
        let value = self.value(item, value, depth, Map::new()).map_err(|e| e.inside(key))?;
        Ok((key.to_string(), value))
    }

    /// One value; fields of a struct are added to `object`.
    fn value(
        &self,
        ty: &Type,
        wire: Wire<'_>,
        depth: usize,
        mut object: Map<String, Value>,
    ) -> Result<Value, ProtobufError> {
        Ok(match ty {
            Type::String => wire.text()?.into(),
            // Go keeps the low half, too.
            Type::Int32 => (wire.number()? as i32).into(),
            Type::Int64 => wire.number()?.cast_signed().into(),
            Type::Bool => (wire.number()? != 0).into(),
            Type::Bytes => base64(wire.bytes()?).into(),
            Type::Time => time(wire.bytes()?, false)?,
            Type::MicroTime => time(wire.bytes()?, true)?,
            Type::Quantity => match first_text(wire.bytes()?)? {
                "" => "0".into(),
                amount => amount.into(),
            },
            Type::IntOrString => int_or_string(wire.bytes()?)?,
            Type::Any => any(wire.bytes()?)?,
            Type::Struct(index) => {
                if let Some(message) = self.table.message(*index) {
                    self.message(message, wire.bytes()?, depth + 1, &mut object)?;
                }
                Value::Object(object)
            }
            // No kind in scope has floating point numbers or lists in lists.
            Type::Number | Type::List(_) | Type::Map(_) => return Err(Problem::Shape.into()),
        })
    }
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Field 1 of a message: the text of a Quantity.
fn first_text(bytes: &[u8]) -> Result<&str, Problem> {
    let mut text = "";
    let mut fields = Fields::new(bytes);
    while let Some((number, wire)) = fields.next()? {
        if number == 1 {
            text = wire.text()?;
        }
    }
    Ok(text)
}

/// `Timestamp{seconds, nanos}`; the zero time is null, as in Go's JSON.
fn time(bytes: &[u8], micros: bool) -> Result<Value, Problem> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut fields = Fields::new(bytes);
    while let Some((number, wire)) = fields.next()? {
        match number {
            1 => seconds = wire.number()?.cast_signed(),
            2 => nanos = wire.number()?.cast_signed(),
            _ => {}
        }
    }
    if seconds == 0 && nanos == 0 {
        return Ok(Value::Null);
    }
    let nanos = i32::try_from(nanos).ok().filter(|nanos| (0..1_000_000_000).contains(nanos)).ok_or(Problem::Time)?;
    // A Time has whole seconds in JSON.
    let time = jiff::Timestamp::new(seconds, if micros { nanos } else { 0 }).map_err(|_| Problem::Time)?;
    let layout = if micros { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(time.strftime(layout).to_string().into())
}

/// `IntOrString{type, intVal, strVal}`; type 0 is the number.
fn int_or_string(bytes: &[u8]) -> Result<Value, Problem> {
    let (mut is_text, mut int, mut text) = (false, 0, "");
    let mut fields = Fields::new(bytes);
    while let Some((number, wire)) = fields.next()? {
        match number {
            1 => is_text = wire.number()? != 0,
            2 => int = wire.number()?,
            3 => text = wire.text()?,
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { (int as i32).into() })
}

/// FieldsV1 and RawExtension: JSON text in field 1. Its depth is limited by the JSON parser.
fn any(bytes: &[u8]) -> Result<Value, Problem> {
    match first_text(bytes)? {
        "" => Ok(Value::Null),
        text => serde_json::from_str(text).map_err(|_| Problem::Json),
    }
}

/// Standard base64 with padding, the JSON form of bytes.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let symbol = group >> (18 - 6 * position) & 63;
            text.push(if position > chunk.len() { '=' } else { char::from(ALPHABET[symbol as usize]) });
        }
    }
    text
}
