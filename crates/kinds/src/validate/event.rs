//! Rules of Events. core/v1 clients of the old style (no `eventTime`) are held to one rule only; the new style is strict.
//!
//! Upstream: `pkg/apis/core/validation/events.go`.

use serde_json::Value;

use super::names;
use super::report::Report;
use crate::json::{at, int, same, text};
use crate::resource::Model;

const NAME_MAX: usize = 128;
const NOTE_MAX: usize = 1024;

/// The names of an event's fields in its view.
struct Names {
    regarding: &'static str,
    note: &'static str,
    controller: &'static str,
}

fn names_of(model: Model) -> Names {
    match model {
        Model::NewEvent => Names { regarding: "regarding", note: "note", controller: "reportingController" },
        _ => Names { regarding: "involvedObject", note: "message", controller: "reportingComponent" },
    }
}

pub(super) fn create(report: &mut Report, model: Model, event: &Value) {
    let names = names_of(model);
    namespace(report, &names, event);
    if at(event, "eventTime").is_none() {
        if model == Model::NewEvent {
            report.required("eventTime", "");
        }
        return;
    }
    if model == Model::NewEvent {
        for (key, shown) in [
            ("deprecatedCount", "deprecatedCount"),
            ("deprecatedFirstTimestamp", "deprecatedFirstTimestamp"),
            ("deprecatedLastTimestamp", "deprecatedLastTimestamp"),
            ("deprecatedSource", "deprecatedSource"),
        ] {
            let zero = int(event, key) == Some(0);
            if !zero && !same(at(event, key), None) {
                report.invalid(shown, event[key].clone(), "needs to be unset");
            }
        }
    }
    strict(report, &names, event);
}

pub(super) fn update(report: &mut Report, model: Model, new: &Value, old: &Value) {
    let names = names_of(model);
    namespace(report, &names, new);
    if model != Model::NewEvent {
        return;
    }
    series(report, new);
    for key in
        [names.regarding, names.note, names.controller, "reportingInstance", "action", "reason", "type", "related"]
    {
        super::core::immutable(report, new, old, key);
    }
}

/// An event lives in the namespace of what it is about; cluster-scoped things have theirs in `default`.
fn namespace(report: &mut Report, names: &Names, event: &Value) {
    let path = format!("{}.namespace", names.regarding);
    let (about, own) = (text(event, &path), text(event, "metadata.namespace"));
    let fine = if about.is_empty() { matches!(own, "default" | "kube-system" | "") } else { about == own };
    if !fine {
        report.invalid(path, about, "does not match event.namespace");
    }
}

fn strict(report: &mut Report, event_names: &Names, event: &Value) {
    let limited = |report: &mut Report, key: &str| match text(event, key) {
        "" => report.required(key, ""),
        value if value.len() > NAME_MAX => {
            report.invalid(key, value, &format!("can have at most {NAME_MAX} characters"));
        }
        _ => {}
    };
    match text(event, event_names.controller) {
        "" => report.required(event_names.controller, ""),
        controller => report.check(event_names.controller, controller, names::qualified),
    }
    limited(report, "reportingInstance");
    limited(report, "action");
    limited(report, "reason");
    let note = text(event, event_names.note);
    if note.len() > NOTE_MAX {
        report.invalid(event_names.note, "", &format!("can have at most {NOTE_MAX} characters"));
    }
    if !matches!(text(event, "type"), "Normal" | "Warning") {
        report.invalid("type", text(event, "type"), "has invalid value");
    }
    series(report, event);
}

fn series(report: &mut Report, event: &Value) {
    let Some(series) = at(event, "series") else {
        return;
    };
    let count = int(series, "count").unwrap_or(0);
    if count < 2 {
        report.invalid("series.count", count, "should be at least 2");
    }
    if at(series, "lastObservedTime").is_none() {
        report.required("series.lastObservedTime", "");
    }
}
