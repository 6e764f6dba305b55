//! Errors of providers, in the vendor's words and in ours.

use std::time::Duration;

/// What kind of trouble a provider's error is: enough to choose a remedy, whatever the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Too many calls; trying later helps.
    Throttled,
    /// Credentials or rights are missing; trying again does not help.
    Auth,
    /// A limit or pool is used up; something must be freed or raised.
    Quota,
    /// No answer in time.
    Timeout,
    /// The Service asks for something that cannot be had.
    Invalid,
    /// Another controller is responsible for this Service; not an error for the user.
    Elsewhere,
    /// Anything else.
    Other,
}

/// A provider's refusal. Prints as `code: message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CloudError {
    /// The vendor's code, such as `RequestLimitExceeded`; never translated.
    pub code: String,
    /// What failed, on what, and what to do.
    pub message: String,
    /// Its kind.
    pub class: Class,
    /// When the vendor says that trying again makes sense.
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
