//! Options of a request, typed: what the query says beyond the path.

use std::time::Duration;

use portolan_kinds::FieldValidation;
use portolan_objects::selector::Selector;

use super::select::FieldSelector;
use crate::{registry::Continue, status::ApiError, store::Revision};

/// The language of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' strategic merge.
    Strategic,
}

/// Which objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// By label.
    pub labels: Selector,
    /// By field.
    pub fields: FieldSelector,
}

/// How fresh a list must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The present; also for `resourceVersion=0` and for revisions that it must not be older than.
    NotOlderThan(Revision),
    /// Exactly this revision.
    Exact(Revision),
}

/// Options of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListOptions {
    /// Which objects.
    pub filter: Filter,
    /// At most so many; 0 is no limit.
    pub limit: usize,
    /// Where the page before ended.
    pub page: Option<Continue>,
    /// How fresh.
    pub at: At,
    /// Whether table rows carry the full object, its metadata or nothing.
    pub include: Include,
}

/// The `object` of a table row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Include {
    /// None.
    None,
    /// PartialObjectMetadata.
    Metadata,
    /// All of it.
    Object,
}

/// Options of a watch.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchOptions {
    /// Which objects.
    pub filter: Filter,
    /// Changes after this revision; None begins with the present state as ADDED events.
    pub from: Option<Revision>,
    /// Whether to send the present state first and a bookmark at its end; None leaves that to `from`.
    pub initial_events: Option<bool>,
    /// Whether to send bookmarks about once a minute.
    pub bookmarks: bool,
    /// When the server ends it.
    pub timeout: Option<Duration>,
    /// As for lists.
    pub include: Include,
}

/// Options of create, update and patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    /// Do everything but store it.
    pub dry_run: bool,
    /// What to do about unknown fields.
    pub validation: FieldValidation,
}

/// Options of delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Do everything but delete it.
    pub dry_run: bool,
    /// Seconds a pod gets to end.
    pub grace: Option<i64>,
    /// What becomes of dependents.
    pub propagation: Option<Propagation>,
    /// The object must have this uid.
    pub uid: Option<String>,
    /// The object must have this revision.
    pub revision: Option<String>,
}

/// What becomes of the objects that an object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They stay.
    Orphan,
    /// They go afterwards.
    Background,
    /// They go before.
    Foreground,
}

impl Propagation {
    /// Parses the API's word.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        match text {
            "Orphan" => Ok(Self::Orphan),
            "Background" => Ok(Self::Background),
            "Foreground" => Ok(Self::Foreground),
            other => Err(ApiError::invalid_options(
                "DeleteOptions",
                "propagationPolicy",
                "FieldValueNotSupported",
                &format!("Unsupported value: {other:?}: supported values: \"Background\", \"Foreground\", \"Orphan\""),
            )),
        }
    }
}
