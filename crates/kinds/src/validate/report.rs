//! The list of field errors under construction, one method per kind of error, texts as upstream prints them.

use serde_json::Value;

use crate::error::{FieldError, FieldErrorKind};
use crate::json::int;

/// Errors found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    errors: Vec<FieldError>,
}

impl Report {
    pub(crate) fn into_errors(self) -> Vec<FieldError> {
        self.errors
    }

    fn add(&mut self, field: impl Into<String>, kind: FieldErrorKind, detail: String) {
        self.errors.push(FieldError { field: field.into(), kind, detail });
    }

    pub(crate) fn required(&mut self, field: impl Into<String>, why: &str) {
        let detail = if why.is_empty() { "Required value".to_string() } else { format!("Required value: {why}") };
        self.add(field, FieldErrorKind::Required, detail);
    }

    pub(crate) fn invalid(&mut self, field: impl Into<String>, value: impl Into<Value>, why: &str) {
        self.add(field, FieldErrorKind::Invalid, format!("Invalid value: {}: {why}", value.into()));
    }

    /// As [`Report::invalid`], with a value that is printed in another way than as JSON.
    pub(crate) fn invalid_text(&mut self, field: impl Into<String>, value: &str, why: &str) {
        self.add(field, FieldErrorKind::Invalid, format!("Invalid value: {value}: {why}"));
    }

    pub(crate) fn unsupported(&mut self, field: impl Into<String>, value: impl Into<Value>, supported: &[&str]) {
        let listed = supported.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", ");
        let detail = format!("Unsupported value: {}: supported values: {listed}", value.into());
        self.add(field, FieldErrorKind::NotSupported, detail);
    }

    pub(crate) fn duplicate(&mut self, field: impl Into<String>, value: impl Into<Value>) {
        self.add(field, FieldErrorKind::Duplicate, format!("Duplicate value: {}", value.into()));
    }

    /// A port of a Service that is there already, printed as Go prints its internal struct.
    pub(crate) fn duplicate_port(&mut self, field: impl Into<String>, port: i64, protocol: &str) {
        let value = format!(
            "{{\"Name\":\"\",\"Protocol\":\"{protocol}\",\"AppProtocol\":null,\"Port\":{port},\"TargetPort\":0,\"NodePort\":0}}"
        );
        self.add(field, FieldErrorKind::Duplicate, format!("Duplicate value: {value}"));
    }

    pub(crate) fn forbidden(&mut self, field: impl Into<String>, why: &str) {
        self.add(field, FieldErrorKind::Forbidden, format!("Forbidden: {why}"));
    }

    pub(crate) fn too_long(&mut self, field: impl Into<String>, most: usize) {
        self.add(field, FieldErrorKind::TooLong, format!("Too long: may not be more than {most} bytes"));
    }

    pub(crate) fn too_many(&mut self, field: impl Into<String>, got: usize, most: usize) {
        self.add(field, FieldErrorKind::TooMany, format!("Too many: {got}: must have at most {most} items"));
    }

    pub(crate) fn not_found(&mut self, field: impl Into<String>, value: &str) {
        self.add(field, FieldErrorKind::NotFound, format!("Not found: {value:?}"));
    }

    /// Adds an error for each reason the value breaks the rule.
    pub(crate) fn check(&mut self, field: &str, value: &str, rule: fn(&str) -> Vec<String>) {
        for why in rule(value) {
            self.invalid(field, value, &why);
        }
    }

    /// A member of a closed set, or absent.
    pub(crate) fn one_of(&mut self, field: &str, value: &str, supported: &[&str]) {
        if !value.is_empty() && !supported.contains(&value) {
            self.unsupported(field, value, supported);
        }
    }

    /// A member of a closed set that must be there.
    pub(crate) fn needs_one_of(&mut self, field: &str, value: &str, supported: &[&str]) {
        if value.is_empty() {
            self.required(field, "");
        } else {
            self.one_of(field, value, supported);
        }
    }

    /// The integer at `key` of `object`, if there, is not negative.
    pub(crate) fn not_negative(&mut self, prefix: &str, object: &Value, key: &str) {
        if let Some(number) = int(object, key).filter(|n| *n < 0) {
            self.invalid(format!("{prefix}.{key}"), number, "must be greater than or equal to 0");
        }
    }

    /// A port number.
    pub(crate) fn port(&mut self, field: impl Into<String>, number: i64) {
        if !(1..=65535).contains(&number) {
            self.invalid(field, number, "must be between 1 and 65535, inclusive");
        }
    }

    /// A port number or the name of a port.
    pub(crate) fn port_or_name(&mut self, field: &str, value: &Value) {
        match value {
            Value::String(name) => self.check(field, name, super::names::port_name),
            other => self.port(field, other.as_i64().unwrap_or(0)),
        }
    }
}
