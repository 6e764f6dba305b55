//! Which field number is which JSON field: the checked-in table, joined with the types of the schema.
//!
//! `schema/protobuf.py` makes `protobuf.json.gz` and documents its form. Read once, at the first protobuf body.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::schema::{Schema, Struct, Type, schema, unpack};

/// What a field number stands for.
#[derive(Debug)]
pub(super) enum Target {
    /// A field of the JSON object.
    Field {
        name: &'static str,
        ty: &'static Type,
        /// Whether 0, false and "" are values, not the same as leaving the field out.
        keep_zero: bool,
    },
    /// A struct whose fields JSON writes into the object around it.
    Inline(Message),
}

/// The fields of one message, by number.
#[derive(Debug, Default)]
pub(super) struct Message(HashMap<u64, Target>);

impl Message {
    pub(super) fn target(&self, number: u64) -> Option<&Target> {
        self.0.get(&number)
    }

    /// Numbers that the schema does not know are left out: the two files are of one Kubernetes version or nearly so.
    fn load(definition: &'static Struct, numbers: &Value) -> Self {
        let mut fields = HashMap::new();
        for (number, target) in numbers.as_object().into_iter().flatten() {
            let target = match target.as_str() {
                None => Some(Target::Inline(Self::load(definition, target))),
                Some(name) => {
                    let known = definition.fields.get_key_value(name.trim_end_matches('*'));
                    known.map(|(known, field)| Target::Field {
                        name: known,
                        ty: &field.ty,
                        keep_zero: name.ends_with('*'),
                    })
                }
            };
            if let (Ok(number), Some(target)) = (number.parse(), target) {
                fields.insert(number, target);
            }
        }
        Self(fields)
    }
}

/// The messages of all structs of the schema.
#[derive(Debug)]
pub(super) struct Table {
    schema: &'static Schema,
    messages: HashMap<usize, Message>,
}

impl Table {
    /// The message of a struct; None for one that is newer than the table.
    pub(super) fn message(&self, index: usize) -> Option<&Message> {
        self.messages.get(&index)
    }

    /// The message of a definition.
    pub(super) fn named(&self, definition: &str) -> Option<&Message> {
        self.message(self.schema.named(definition)?)
    }
}

/// The checked-in table.
pub(super) fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        let schema = schema();
        let numbers = unpack(include_bytes!("../../schema/protobuf.json.gz"));
        let messages = numbers.as_object().into_iter().flatten().filter_map(|(definition, numbers)| {
            let index = schema.named(definition)?;
            Some((index, Message::load(schema.get(index), numbers)))
        });
        Table { schema, messages: messages.collect() }
    });
    &TABLE
}
