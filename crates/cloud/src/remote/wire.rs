//! The messages, and which HTTP status goes with which class of error.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{BalancerId, Class, CloudError, Held, LoadBalancer, Status, Step};

/// Which run of the provider answers; it has forgotten what earlier runs were told to adopt.
pub(super) const INSTANCE: &str = "portolan-instance";
/// Which run of the provider the caller has told what exists.
pub(super) const ADOPTED: &str = "portolan-adopted";
/// Longest message that either side reads.
pub(super) const LIMIT: usize = 16 << 20;

/// Where each call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Adopt,
    List,
    Get,
    Ensure,
    UpdateNodes,
    Delete,
}

impl Route {
    pub const ALL: [Self; 6] = [Self::Adopt, Self::List, Self::Get, Self::Ensure, Self::UpdateNodes, Self::Delete];

    pub const fn path(self) -> &'static str {
        match self {
            Self::Adopt => "/v1/adopt",
            Self::List => "/v1/list",
            Self::Get => "/v1/get",
            Self::Ensure => "/v1/ensure",
            Self::UpdateNodes => "/v1/update-nodes",
            Self::Delete => "/v1/delete",
        }
    }

    pub fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.path() == path)
    }
}

/// What is asked. Each call uses the fields that it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Question {
    /// Of `get` and `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<BalancerId>,
    /// Of `ensure` and `update-nodes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancer: Option<LoadBalancer>,
    /// Of `adopt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
}

/// What is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// To `get` and `ensure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// To `ensure`, also with an error: what was done, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// To `list`; absent if the provider cannot say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Vec<Held>>,
    /// The call failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CloudError>,
}

/// The HTTP status of an error: for whoever looks at the traffic, and for tools in between.
pub(super) fn http_status(class: Class) -> StatusCode {
    match class {
        Class::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Class::Auth => StatusCode::FORBIDDEN,
        Class::Quota | Class::Pool => StatusCode::INSUFFICIENT_STORAGE,
        Class::Conflict => StatusCode::CONFLICT,
        Class::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Class::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
        Class::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Class::Elsewhere => StatusCode::NOT_IMPLEMENTED,
        Class::AdoptFirst => StatusCode::PRECONDITION_REQUIRED,
        Class::NoStatus | Class::Other => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The class of an answer that carries no error of ours.
pub(super) fn class_of(status: StatusCode) -> Class {
    match status.as_u16() {
        401 | 403 => Class::Auth,
        409 => Class::Conflict,
        400 | 422 => Class::Invalid,
        428 => Class::AdoptFirst,
        429 => Class::Throttled,
        501 => Class::Elsewhere,
        502 | 503 => Class::Unreachable,
        408 | 504 => Class::Timeout,
        507 => Class::Quota,
        _ => Class::Other,
    }
}
