//! Errors as clients see them: the Status object with its code, reason, details and causes.
//!
//! The registry and the parser make these; nothing below them knows status codes. Messages follow upstream's texts
//! where clients or people match on them (`k8s.io/apimachinery/pkg/api/errors`).

use bytes::Bytes;
use portolan_kinds::{DecodeError, FieldError, ParseError, PatchError, Resource};
use serde_json::{Value, json};

/// A request that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// HTTP status.
    pub code: u16,
    /// Machine-readable reason, `NotFound`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// `details` of the Status object.
    pub details: Option<Value>,
}

/// `services`, `deployments.apps`.
fn qualified(resource: &Resource) -> String {
    join(resource.plural, resource.group)
}

fn join(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

fn object_details(kind: &str, group: &str, name: &str) -> Value {
    let mut details = json!({"kind": kind});
    if !name.is_empty() {
        details["name"] = name.into();
    }
    if !group.is_empty() {
        details["group"] = group.into();
    }
    details
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn of(resource: &Resource, name: &str, code: u16, reason: &'static str, message: String) -> Self {
        let details = Some(object_details(resource.plural, resource.group, name));
        Self { code, reason, message, details }
    }

    /// 404: no such object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", qualified(resource));
        Self::of(resource, name, 404, "NotFound", message)
    }

    /// 409: a deletion was asked for under a condition that does not hold. Names the kind, as upstream does only here.
    pub fn precondition(resource: &Resource, name: &str, why: &str) -> Self {
        let kind = join(resource.kind, resource.group);
        let message = format!("Operation cannot be fulfilled on {kind} \"{name}\": {why}");
        let details = Some(object_details(resource.kind, resource.group, name));
        Self { details, ..Self::new(409, "Conflict", message) }
    }

    /// 404: no such namespace, on create.
    pub fn namespace_not_found(name: &str) -> Self {
        let details = Some(object_details("namespaces", "", name));
        Self { details, ..Self::new(404, "NotFound", format!("namespaces \"{name}\" not found")) }
    }

    /// 404: no such path or resource.
    pub fn no_such_path() -> Self {
        let details = Some(json!({}));
        Self { details, ..Self::new(404, "NotFound", "the server could not find the requested resource") }
    }

    /// 409: the name is taken.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(resource));
        Self::of(resource, name, 409, "AlreadyExists", message)
    }

    /// 409: the object is not in the state that the request assumes.
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified(resource));
        Self::of(resource, name, 409, "Conflict", message)
    }

    /// 409: the resourceVersion is stale.
    pub fn stale(resource: &Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 422: fields of the object are wrong.
    pub fn invalid(resource: &Resource, name: &str, errors: &[FieldError]) -> Self {
        // Each text once: upstream's message joins a set, its causes are a list.
        let mut texts: Vec<String> = Vec::new();
        for text in errors.iter().map(ToString::to_string) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let what = if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
        let causes: Vec<_> = errors
            .iter()
            .map(|error| json!({"reason": error.kind.as_str(), "message": error.detail, "field": error.field}))
            .collect();
        let mut details = object_details(resource.kind, resource.group, name);
        details["causes"] = causes.into();
        let message = format!("{} \"{name}\" is invalid: {what}", join(resource.kind, resource.group));
        Self { details: Some(details), ..Self::new(422, "Invalid", message) }
    }

    /// 422: options of the request are wrong.
    pub fn invalid_options(kind: &str, field: &str, kind_of_error: &str, detail: &str) -> Self {
        let message = format!("{kind} is invalid: {field}: {detail}");
        let details = json!({
            "group": "meta.k8s.io", "kind": kind,
            "causes": [{"reason": kind_of_error, "message": detail, "field": field}],
        });
        Self { details: Some(details), ..Self::new(422, "Invalid", message) }
    }

    /// 422: the request is well-formed but cannot be done to this object.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message)
    }

    /// 400: the request is malformed.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 410: the history asked for is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 504: the revision asked for does not exist yet.
    pub fn too_large_revision(asked: u64, current: u64) -> Self {
        let details = json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        });
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        Self { details: Some(details), ..Self::new(504, "Timeout", message) }
    }

    /// 403: not in a namespace that is going away.
    pub fn namespace_terminating(resource: &Resource, name: &str, namespace: &str) -> Self {
        let message = format!(
            "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
            qualified(resource)
        );
        let mut error = Self::of(resource, name, 403, "Forbidden", message);
        if let Some(details) = &mut error.details {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        error
    }

    /// 403: this object may not be changed so.
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", qualified(resource));
        Self::of(resource, name, 403, "Forbidden", message)
    }

    /// 403: not for this client.
    pub fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", message)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self { details: Some(json!({})), ..Self::new(405, "MethodNotAllowed", message) }
    }

    /// 406.
    pub fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, application/yaml";
        Self::new(406, "NotAcceptable", message)
    }

    /// 413.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 415.
    pub fn unsupported_media_type(accepted: &str) -> Self {
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 500.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        let text = message.to_string();
        let details = json!({"causes": [{"message": text}]});
        let message = format!("Internal error occurred: {text}");
        Self { details: Some(details), ..Self::new(500, "InternalError", message) }
    }

    /// 501: a part of the API that Portolan does not have.
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(501, "NotImplemented", message)
    }

    /// 503: another component is needed and does not answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// The Status object.
    pub fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }

    /// The Status object, encoded.
    pub fn to_json(&self) -> Bytes {
        self.to_value().to_string().into()
    }
}

impl From<ParseError> for ApiError {
    fn from(error: ParseError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<DecodeError> for ApiError {
    fn from(error: DecodeError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<PatchError> for ApiError {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::Malformed(_) => Self::bad_request(error.to_string()),
            PatchError::DoesNotApply(_) => Self::unprocessable(error.to_string()),
            PatchError::TooManyOperations { .. } => Self::too_large(error.to_string()),
        }
    }
}

/// The Status object that answers a successful request without an object of its own.
pub fn success(resource: &Resource, name: &str, uid: Option<&str>) -> Value {
    let mut details = object_details(resource.plural, resource.group, name);
    if let Some(uid) = uid {
        details["uid"] = uid.into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
