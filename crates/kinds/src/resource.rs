//! One resource of the API: its names, verbs and behaviour.
//!
//! The data is a row in `resources.rs`; the methods here only dispatch on [`Model`] to the module that holds the rule.
//! Adding a kind means: a row, a definition in `schema/generate.py`, and an arm where it differs from the plain case.

use std::fmt;

use serde_json::Value;

use crate::error::{DecodeError, FieldError, ScaleError};
use crate::{defaults, events, fields, prepare, scale, schema, table, validate};

/// How strictly unknown and duplicate fields are taken (query parameter `fieldValidation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// An unknown field fails the request with 400.
    Strict,
    /// An unknown field is dropped and reported in a `Warning` header.
    Warn,
    /// An unknown field is dropped.
    Ignore,
}

/// Which part of an object a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The resource itself: everything but status.
    Main,
    /// The status subresource: status alone.
    Status,
    /// The scale subresource: `spec.replicas` alone.
    Scale,
    /// The finalize subresource of Namespaces: `spec.finalizers` alone.
    Finalize,
}

/// The name of one set of stored objects. Two resources may be views of the same storage: core/v1 and
/// events.k8s.io/v1 Events both live in `events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Storage(pub(crate) &'static str);

impl Storage {
    /// The name as a string, `services` or `deployments.apps`. Stable: it is part of stored keys.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A path below an object: `status`, `scale`, `log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// Last path segment.
    pub name: &'static str,
    /// Group of the body.
    pub group: &'static str,
    /// Version of the body.
    pub version: &'static str,
    /// Kind of the body.
    pub kind: &'static str,
    /// Verbs as in discovery.
    pub verbs: &'static [&'static str],
}

/// A printer column of the Table answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// `string`, `integer`.
    pub kind: &'static str,
    /// `name` for the name column, else empty.
    pub format: &'static str,
    /// What it shows, in one sentence.
    pub description: &'static str,
    /// 0 always shown, 1 with `-o wide`.
    pub priority: i32,
}

/// Which rules apply; the key of every dispatch in this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    Namespace,
    Service,
    Endpoints,
    Pod,
    Node,
    CoreEvent,
    NewEvent,
    ConfigMap,
    Secret,
    ServiceAccount,
    EndpointSlice,
    Lease,
    NetworkPolicy,
    ServiceCidr,
    IpAddress,
    Deployment,
    ReplicaSet,
    Review,
}

/// One resource: a row of the table.
#[derive(Debug)]
pub struct Resource {
    /// API group, empty for core.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural name: the path segment.
    pub plural: &'static str,
    /// Singular name.
    pub singular: &'static str,
    /// Short names for kubectl.
    pub short_names: &'static [&'static str],
    /// Categories: `all`.
    pub categories: &'static [&'static str],
    /// False for Nodes, Namespaces, ServiceCIDRs and IPAddresses.
    pub namespaced: bool,
    /// Verbs as in discovery.
    pub verbs: &'static [&'static str],
    /// Subresources.
    pub subresources: &'static [Subresource],
    /// Where its objects live; empty for reviews, which are answered and not kept.
    pub storage: Storage,
    pub(crate) model: Model,
    /// Name of its definition in the schema.
    pub(crate) definition: &'static str,
}

impl Resource {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// False for reviews: creating one asks a question, and the answer is all there ever is of it.
    pub fn is_stored(&self) -> bool {
        !self.storage.0.is_empty()
    }

    /// Whether a PUT of an object that is not there creates it, as upstream allows for a few kinds.
    pub fn creates_on_update(&self) -> bool {
        use Model::{CoreEvent, Endpoints, Lease, NewEvent, Service};
        matches!(self.model, Service | Endpoints | Lease | CoreEvent | NewEvent)
    }

    /// Whether a DELETE answers with the object that it removed, and not with a Status.
    pub fn returns_deleted(&self) -> bool {
        matches!(self.model, Model::Pod | Model::Service | Model::ServiceAccount | Model::Namespace)
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// Checks the object against its schema: wrong types fail, unknown fields fail (strict) or are dropped and reported
    /// (warn), nulls are dropped, `kind` and `apiVersion` are filled in when absent. Returns the warnings.
    pub fn decode(&self, object: &mut Value, validation: FieldValidation) -> Result<Vec<String>, DecodeError> {
        schema::decode(self, object, validation)
    }

    /// Fills in what the user left out, as upstream's defaulting does. Idempotent.
    pub fn default(&self, object: &mut Value) {
        defaults::apply(self.model, object);
    }

    /// Resets what a create may not set (status) and sets what it must (generation, phase).
    pub fn prepare_create(&self, object: &mut Value) {
        prepare::create(self.model, object);
    }

    /// Restores what a write to `part` may not change and moves the generation.
    pub fn prepare_update(&self, new: &mut Value, old: &Value, part: Part) {
        prepare::update(self.model, new, old, part);
    }

    /// Rules for a new object.
    pub fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        validate::create(self, object)
    }

    /// Rules for a changed object.
    pub fn validate_update(&self, new: &Value, old: &Value, part: Part) -> Vec<FieldError> {
        validate::update(self, new, old, part)
    }

    /// Values of the selectable fields besides `metadata.name` and `metadata.namespace`.
    pub fn fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        fields::values(self.model, object)
    }

    /// Whether a field selector may use `label`; anything else is 400 `field label not supported`.
    pub fn selects_by(&self, label: &str) -> bool {
        fields::supported(self, label)
    }

    /// Columns of the Table answer.
    pub fn columns(&self) -> &'static [Column] {
        table::columns(self.model)
    }

    /// Cells of one row, one per column, ages relative to `now`.
    pub fn cells(&self, object: &Value, now: jiff::Timestamp) -> Vec<Value> {
        table::cells(self.model, object, now)
    }

    /// Turns a stored object into this resource's form; changes only events.
    pub fn to_view(&self, stored: &mut Value) {
        if self.model == Model::NewEvent {
            events::to_new(stored);
        }
    }

    /// Turns an object in this resource's form into the stored form; changes only events.
    pub fn from_view(&self, object: &mut Value) {
        if self.model == Model::NewEvent {
            events::to_core(object);
        }
    }

    /// The autoscaling/v1 Scale of the object, for resources that have one.
    pub fn scale(&self, object: &Value) -> Option<Value> {
        scale::read(self.model, object)
    }

    /// Writes `scale.spec.replicas` to the object.
    pub fn apply_scale(&self, object: &mut Value, scale: &Value) -> Result<(), ScaleError> {
        scale::write(self, object, scale)
    }
}
