//! Errors of each step, with the texts that upstream's API server sends for them.

use std::fmt;

/// One wrong field of an object; the API server answers 422 `Invalid` with one cause per error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path as upstream writes it: `spec.ports[0].port`, `metadata.labels`, `data[key]`.
    pub field: String,
    /// What is wrong with it.
    pub kind: FieldErrorKind,
    /// Full message without the path: `Invalid value: 0: must be between 1 and 65535, inclusive`.
    pub detail: String,
}

/// Upstream's field error types, by the cause reason they become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldErrorKind {
    /// A field that must be set is not.
    Required,
    /// A value that is not acceptable.
    Invalid,
    /// A value outside a closed set.
    NotSupported,
    /// A value that must be unique and is not.
    Duplicate,
    /// A field that may not be set or changed here.
    Forbidden,
    /// A value longer than allowed.
    TooLong,
    /// More items than allowed.
    TooMany,
    /// A reference to something that is not there.
    NotFound,
}

impl FieldErrorKind {
    /// The `reason` of the cause in a Status object.
    pub fn as_str(self) -> &'static str {
        match self {
            FieldErrorKind::Required => "FieldValueRequired",
            FieldErrorKind::Invalid => "FieldValueInvalid",
            FieldErrorKind::NotSupported => "FieldValueNotSupported",
            FieldErrorKind::Duplicate => "FieldValueDuplicate",
            FieldErrorKind::Forbidden => "FieldValueForbidden",
            FieldErrorKind::TooLong => "FieldValueTooLong",
            FieldErrorKind::TooMany => "FieldValueTooMany",
            FieldErrorKind::NotFound => "FieldValueNotFound",
        }
    }
}

impl fmt::Display for FieldErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.detail)
    }
}

impl std::error::Error for FieldError {}

/// A body whose bytes are not in the format they should be in; 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or nested too deeply.
    #[error("couldn't get version/kind; json parse error: {0}")]
    Json(String),
    /// Not YAML, nested too deeply, or aliases that expand without bound.
    #[error("couldn't get version/kind; yaml parse error: {0}")]
    Yaml(String),
    /// Not protobuf, or of a kind that the server does not know.
    #[error("the body is not a Kubernetes object in protobuf: {0}")]
    Protobuf(String),
}

/// A body that parses but is not an object of its kind; 400, the text is the whole message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// `kind` or `apiVersion` names something else than the path.
    #[error("{0}")]
    WrongKind(String),
    /// A field holds a value of another type.
    #[error("{kind} in version \"{version}\" cannot be handled as a {kind}: {problem}")]
    Type {
        /// Kind of the object.
        kind: &'static str,
        /// Its version without the group.
        version: &'static str,
        /// `json: cannot unmarshal ...`.
        problem: String,
    },
    /// Unknown fields, under strict validation.
    #[error("{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {}", problems.join(", "))]
    Strict {
        /// Kind of the object.
        kind: &'static str,
        /// Its version without the group.
        version: &'static str,
        /// One text per unknown field.
        problems: Vec<String>,
    },
}

/// A patch that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Not a patch of its type; 400.
    #[error("{0}")]
    Malformed(String),
    /// Fits its type but not this object (a failed test, a missing path); 422.
    #[error("the server rejected our request due to an error in our request: {0}")]
    DoesNotApply(String),
    /// More operations than the server is willing to do; 413.
    #[error("The allowed maximum operations in a JSON patch is {limit}, got {got}")]
    TooManyOperations {
        /// Most operations allowed.
        limit: usize,
        /// Operations in the patch.
        got: usize,
    },
}

/// A Scale that cannot be written to its object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    /// The resource has no replicas.
    #[error("{0} cannot be scaled: it has no scale subresource")]
    NotScalable(&'static str),
    /// `spec.replicas` is wrong; 422.
    #[error("{0}")]
    Invalid(FieldError),
}
