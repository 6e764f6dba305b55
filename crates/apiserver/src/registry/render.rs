//! Objects to bytes: plain, as table or as metadata only; single, as list, and as watch frames.
//!
//! Plain answers are the stored bytes, joined. Only tables, metadata and the second view of Events decode an object,
//! and a watch does that once per event for all its watchers.

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;
use portolan_kinds::Resource;
use serde_json::{Value, json};

use super::{is_stored_form, view};
use crate::{
    http::{accept::Form, options::Include},
    store::{Action, Event, Object, Revision},
};

/// One object.
pub(super) fn one(resource: &Resource, object: &Object, form: Form, include: Include) -> Bytes {
    match form {
        Form::Plain if is_stored_form(resource) => object.json.clone(),
        Form::Plain => view(resource, object).to_string().into(),
        Form::Metadata => partial(object.value()).to_string().into(),
        Form::Table => {
            let value = view(resource, object);
            let revision = value["metadata"]["resourceVersion"].clone();
            let row = row(resource, value, include);
            table(resource, &json!({"resourceVersion": revision}), &[row.to_string().into()])
        }
    }
}

/// What `metadata` of a list holds.
pub(super) struct ListHead {
    pub revision: Revision,
    pub next: Option<String>,
    pub remaining: Option<usize>,
}

impl ListHead {
    fn to_value(&self) -> Value {
        let mut metadata = json!({"resourceVersion": self.revision.to_string()});
        if let Some(next) = &self.next {
            metadata["continue"] = next.as_str().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }
}

/// A list.
pub(super) fn list<'a>(
    resource: &Resource,
    objects: impl Iterator<Item = &'a Object>,
    head: &ListHead,
    form: Form,
    include: Include,
) -> Bytes {
    let metadata = head.to_value();
    let (kind, api_version) = match form {
        Form::Plain => (format!("{}List", resource.kind), resource.api_version()),
        Form::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
        Form::Table => {
            let rows: Vec<Bytes> =
                objects.map(|object| row(resource, view(resource, object), include).to_string().into()).collect();
            return table(resource, &metadata, &rows);
        }
    };
    let items: Vec<Bytes> = objects.map(|object| one(resource, object, form, include)).collect();
    let head = format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":[");
    joined(head.as_bytes(), &items)
}

/// `head`, the items with commas, `]}`.
fn joined(head: &[u8], items: &[Bytes]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(head.len() + 2 + items.iter().map(|item| item.len() + 1).sum::<usize>());
    bytes.put_slice(head);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            bytes.put_u8(b',');
        }
        bytes.put_slice(item);
    }
    bytes.put_slice(b"]}");
    bytes.freeze()
}

fn table(resource: &Resource, metadata: &Value, rows: &[Bytes]) -> Bytes {
    let columns: Vec<_> = resource
        .columns()
        .iter()
        .map(|column| {
            json!({
                "name": column.name, "type": column.kind, "format": column.format,
                "description": column.description, "priority": column.priority,
            })
        })
        .collect();
    let columns = Value::from(columns);
    let head = format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{metadata},\"columnDefinitions\":{columns},\"rows\":["
    );
    joined(head.as_bytes(), rows)
}

fn row(resource: &Resource, value: Value, include: Include) -> Value {
    let cells = resource.cells(&value, Timestamp::now());
    match include {
        Include::None => json!({"cells": cells}),
        Include::Metadata => json!({"cells": cells, "object": partial(value)}),
        Include::Object => json!({"cells": cells, "object": value}),
    }
}

fn partial(mut value: Value) -> Value {
    let metadata = value["metadata"].take();
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

/// What a watch frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    Added,
    Modified,
    /// Deleted from the storage.
    Deleted,
    /// Left the selection: its last state inside, under the revision of the change.
    Left,
}

impl From<Action> for FrameKind {
    fn from(action: Action) -> Self {
        match action {
            Action::Added => Self::Added,
            Action::Modified => Self::Modified,
            Action::Deleted => Self::Deleted,
        }
    }
}

/// How one watcher wants its frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameStyle {
    pub resource: &'static Resource,
    pub form: Form,
    pub include: Include,
}

impl FrameStyle {
    /// The frame of an event, encoded by the first watcher of this style and shared by the others.
    pub(super) fn event(&self, event: &Event, kind: FrameKind) -> Bytes {
        let view = u64::from(!is_stored_form(self.resource));
        let key = view << 24 | (self.form as u64) << 16 | (self.include as u64) << 8 | kind as u64;
        event.frame(key, || match (kind, &event.old) {
            (FrameKind::Left, Some(old)) => {
                let mut value = old.value();
                value["metadata"]["resourceVersion"] = event.object.revision.to_string().into();
                let json = value.to_string().into();
                let labels = old.labels.clone();
                let fields = old.fields.clone();
                let key = old.key.clone();
                let last =
                    Object { key, revision: event.object.revision, json, labels, fields, deleting: old.deleting };
                self.object(&last, "DELETED")
            }
            (FrameKind::Added, _) => self.object(&event.object, "ADDED"),
            (FrameKind::Modified, _) => self.object(&event.object, "MODIFIED"),
            (FrameKind::Deleted | FrameKind::Left, _) => self.object(&event.object, "DELETED"),
        })
    }

    /// The frame of an object of the initial state.
    pub(super) fn initial(&self, object: &Object) -> Bytes {
        self.object(object, "ADDED")
    }

    fn object(&self, object: &Object, kind: &str) -> Bytes {
        frame(kind, &one(self.resource, object, self.form, self.include))
    }

    /// A bookmark; `end` marks the end of the initial events.
    pub(super) fn bookmark(&self, revision: Revision, end: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let (kind, api_version) = match self.form {
            Form::Plain => (self.resource.kind, self.resource.api_version()),
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            Form::Table => {
                let object =
                    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
                let cells = vec![Value::Null; self.resource.columns().len()];
                let row = json!({"cells": cells, "object": object}).to_string().into();
                let metadata = json!({"resourceVersion": revision.to_string()});
                return frame("BOOKMARK", &table(self.resource, &metadata, &[row]));
            }
        };
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        frame("BOOKMARK", object.to_string().as_bytes())
    }
}

/// `{"type":...,"object":...}` and a newline.
pub(super) fn frame(kind: &str, object: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(object.len() + 40);
    bytes.put_slice(b"{\"type\":\"");
    bytes.put_slice(kind.as_bytes());
    bytes.put_slice(b"\",\"object\":");
    bytes.put_slice(object);
    bytes.put_slice(b"}\n");
    bytes.freeze()
}
