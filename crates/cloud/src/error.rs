//! Errors of providers, in the vendor's words and in ours.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What kind of trouble a provider's error is: enough to choose a remedy, whatever the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Class {
    /// Too many calls; trying later helps.
    Throttled,
    /// Credentials or rights are missing; trying again does not help.
    Auth,
    /// A limit of the account is used up; something must be freed or the limit raised.
    Quota,
    /// No address is left in the pool.
    Pool,
    /// The wanted address belongs to another balancer.
    Conflict,
    /// No answer in time: whether the call was carried out is not known.
    Timeout,
    /// The provider cannot be reached: the call was probably not carried out.
    Unreachable,
    /// The Service asks for something that cannot be had.
    Invalid,
    /// Another controller is responsible for this Service; not an error for the user.
    Elsewhere,
    /// The call succeeded, but says nothing of where the balancer is reached.
    NoStatus,
    /// The provider has started anew and wants to hear first what exists ([`crate::LoadBalancers::adopt`]).
    AdoptFirst,
    /// Anything else.
    #[serde(other)]
    Other,
}

impl Class {
    /// Its name, as on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "Throttled",
            Self::Auth => "Auth",
            Self::Quota => "Quota",
            Self::Pool => "Pool",
            Self::Conflict => "Conflict",
            Self::Timeout => "Timeout",
            Self::Unreachable => "Unreachable",
            Self::Invalid => "Invalid",
            Self::Elsewhere => "Elsewhere",
            Self::NoStatus => "NoStatus",
            Self::AdoptFirst => "AdoptFirst",
            Self::Other => "Other",
        }
    }
}

/// A provider's refusal. Prints as `code: message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[error("{code}: {message}")]
pub struct CloudError {
    /// The vendor's code, such as `RequestLimitExceeded`; never translated.
    pub code: String,
    /// What failed, on what, and what to do.
    pub message: String,
    /// Its kind.
    pub class: Class,
    /// When the vendor says that trying again makes sense; on the wire `retryAfterMilliseconds`.
    #[serde(
        default,
        rename = "retryAfterMilliseconds",
        skip_serializing_if = "Option::is_none",
        with = "crate::milliseconds::option"
    )]
    pub retry_after: Option<Duration>,
}

impl CloudError {
    /// An error without a time to come back.
    pub fn new(class: Class, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), class, retry_after: None }
    }

    /// The same, to be tried again after exactly `delay`.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}
