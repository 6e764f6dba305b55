//! Reviews: what a client asks about itself (`kubectl auth can-i`, `kubectl auth whoami`). Answered, never stored.
//!
//! The answers say what `auth` does: everyone who is authenticated is allowed everything. When that changes, they must
//! be given by the same code that decides.

use bytes::Bytes;
use portolan_kinds::{FieldError, FieldErrorKind};
use serde_json::{Value, json};

use super::{Answer, decode};
use crate::{
    auth::Identity,
    http::request::{ResourceRequest, Verb},
    status::ApiError,
};

/// Answers a review: its own body with the status filled in.
pub(crate) fn review(request: &ResourceRequest, identity: &Identity, body: &Bytes) -> Result<Answer, ApiError> {
    let Verb::Create { options, body: format, .. } = &request.verb else {
        return Err(ApiError::method_not_allowed());
    };
    let (mut object, warnings) = decode(request.resource, body, *format, options.validation)?;
    object["status"] = status(request, identity, &object["spec"])?;
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    Ok(Answer::value(201, &object).warn(warnings))
}

fn status(request: &ResourceRequest, identity: &Identity, spec: &Value) -> Result<Value, ApiError> {
    match request.resource.kind {
        "SelfSubjectReview" => Ok(json!({"userInfo": {"username": identity.user, "groups": identity.groups}})),
        "SelfSubjectRulesReview" => match spec["namespace"].as_str() {
            None | Some("") => Err(ApiError::bad_request("no namespace on request")),
            Some(_) => Ok(json!({
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": false,
            })),
        },
        _ if spec["resourceAttributes"].is_object() == spec["nonResourceAttributes"].is_object() => {
            let detail =
                "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
            let field = "spec.resourceAttributes".to_owned();
            let error = FieldError { field, kind: FieldErrorKind::Invalid, detail: detail.to_owned() };
            Err(ApiError::invalid(request.resource, "", &[error]))
        }
        _ => Ok(json!({"allowed": true})),
    }
}
