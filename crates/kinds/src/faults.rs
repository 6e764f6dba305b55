//! What can be wrong with an API on purpose, as data: the form of `/debug/faults` and of the faults that are declared.

use serde::{Deserialize, Serialize};

/// What happens to which requests. An empty list of names means all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Verbs as discovery names them: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<String>,
    /// Plural names, with the subresource behind a slash: `endpointslices`, `services/status`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// User names, `system:serviceaccount:kube-system:endpoint-controller`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Only the next so many requests; without it, until the fault is taken from the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The answer is held back this long, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_milliseconds: u64,
    /// The answer is this error; without it the request goes through (late, if there is a delay).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
}

/// A Status that says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refusal {
    /// HTTP status, 400 to 599.
    pub code: u16,
    /// Machine-readable reason, `Forbidden`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// `Retry-After`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Fault {
    /// What is wrong with it, with the path of the field; `None` if it can be switched on.
    pub fn mistake(&self) -> Option<String> {
        let code = self.error.as_ref()?.code;
        (!(400..600).contains(&code)).then(|| format!("error.code: {code} is no error; use 400 to 599"))
    }
}
