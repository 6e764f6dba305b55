//! Rules of Events. core/v1 Events of the old style (no `eventTime`) are held to one rule only; the newer API is strict.
//! Errors name the fields of the stored form, except the reporting controller, whichever API was used.
//!
//! Upstream: `pkg/apis/core/validation/events.go`.

use serde_json::Value;

use super::report::Report;
use super::{core, names};
use crate::events::to_core;
use crate::json::{at, int, same, text};
use crate::resource::Model;

const NAME_MAX: usize = 128;
const NOTE_MAX: usize = 1024;
const NOT_SET: &str = "needs to be unset";

pub(super) fn create(report: &mut Report, model: Model, event: &Value) {
    let event = &stored(model, event);
    common(report, model, event);
    if model != Model::NewEvent {
        return;
    }
    report.check("metadata.name", text(event, "metadata.name"), names::subdomain);
    series(report, event);
    if at(event, "eventTime").is_none() {
        report.required("eventTime", "");
    }
    let kind = text(event, "type");
    if !matches!(kind, "Normal" | "Warning") {
        report.invalid("type", "", &format!("has invalid value: {kind}"));
    }
    for key in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        if int(event, key) != Some(0) && !same(at(event, key), None) {
            report.invalid(key, "", NOT_SET);
        }
    }
}

pub(super) fn update(report: &mut Report, model: Model, new: &Value, old: &Value) {
    let (new, old) = (&stored(model, new), &stored(model, old));
    common(report, model, new);
    if model != Model::NewEvent {
        return;
    }
    if !same(at(new, "series"), at(old, "series")) {
        series(report, new);
    }
    for key in [
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingComponent",
        "reportingInstance",
    ] {
        core::immutable(report, new, old, key);
    }
}

/// The event as core/v1 has it.
fn stored(model: Model, event: &Value) -> Value {
    let mut event = event.clone();
    if model == Model::NewEvent {
        to_core(&mut event);
    }
    event
}

/// Rules of both APIs: an event lives in the namespace of what it is about; those about cluster-scoped things live in
/// `default`.
fn common(report: &mut Report, model: Model, event: &Value) {
    let (about, own) = (text(event, "involvedObject.namespace"), text(event, "metadata.namespace"));
    let new_style = at(event, "eventTime").is_some();
    let fine = match (about.is_empty(), new_style) {
        (true, false) => own.is_empty() || own == "default",
        (true, true) => own == "default" || own == "kube-system",
        (false, false) => about == own,
        (false, true) => true,
    };
    if !fine {
        report.invalid("involvedObject.namespace", about, "does not match event.namespace");
    }
    if new_style {
        reporting(report, model, event);
    }
}

fn reporting(report: &mut Report, model: Model, event: &Value) {
    let controller = if model == Model::NewEvent { "reportingController" } else { "reportingComponent" };
    match text(event, "reportingComponent") {
        "" => report.required(controller, ""),
        name => report.check(controller, name, names::qualified),
    }
    for key in ["reportingInstance", "action", "reason"] {
        match text(event, key) {
            "" => report.required(key, ""),
            value if value.len() > NAME_MAX => {
                report.invalid(key, "", &format!("can have at most {NAME_MAX} characters"));
            }
            _ => {}
        }
    }
    if text(event, "message").len() > NOTE_MAX {
        report.invalid("message", "", &format!("can have at most {NOTE_MAX} characters"));
    }
}

fn series(report: &mut Report, event: &Value) {
    let Some(series) = at(event, "series") else {
        return;
    };
    if int(series, "count").unwrap_or(0) < 2 {
        report.invalid("series.count", "", "should be at least 2");
    }
    if at(series, "lastObservedTime").is_none() {
        report.required("series.lastObservedTime", "");
    }
}
