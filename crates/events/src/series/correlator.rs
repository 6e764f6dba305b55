//! What becomes of a report: pure, the clock is in the report.
//!
//! The first report of its kind is an Event. The second makes a series of it, and later ones only raise the count in
//! memory. Series are written again once in a while, so that they do not expire, and a last time when they have
//! ended. Nothing is cut off and nothing summed up: the note is not a part of the key, so there is little to sum up.
//! Upstream: client-go `tools/events/event_broadcaster.go`.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};

use crate::{lru::Lru, names::Names};

/// Events remembered; upstream has no bound but the time.
const REMEMBERED: usize = 4096;
/// A series that has been silent for so long has ended.
const FINISHED: SignedDuration = SignedDuration::from_mins(6);
/// The API takes no longer note.
const NOTE_LIMIT: usize = 1024;

/// What a part reports.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) regarding: ObjectReference,
    pub(crate) related: Option<ObjectReference>,
    pub(crate) reason: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) action: &'static str,
    pub(crate) note: String,
    pub(crate) at: Timestamp,
}

/// An Event to write. With a series it exists already, and is brought to this series; if it is gone, it is created.
pub(crate) type Write = Event;

/// Who reports.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) controller: &'static str,
    pub(crate) instance: String,
}

#[derive(Debug)]
pub(crate) struct Correlator {
    source: Source,
    running: Lru<Key, Running>,
    names: Names,
}

/// Type, action and reason with the objects. The source is one per correlator and needs no place here.
type Key = (&'static str, &'static str, &'static str, Reference, Option<Reference>);

/// All seven fields of a reference.
type Reference = [Option<String>; 7];

#[derive(Debug)]
struct Running {
    event: Event,
    last: Timestamp,
    /// Reports that no write has shown yet.
    unwritten: bool,
}

impl Correlator {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, running: Lru::new(REMEMBERED), names: Names::default() }
    }

    /// What to write because of `report`, in this order: mostly one Event or nothing.
    pub(crate) fn decide(&mut self, report: Report) -> Vec<Write> {
        let key = key(&report);
        let at = report.at;
        let (names, source) = (&mut self.names, &self.source);
        let mut fresh = false;
        let (running, evicted) = self.running.entry(&key, || {
            fresh = true;
            Running { event: event(names, source, report), last: at, unwritten: false }
        });
        // Making room must not lose the true count of a series.
        let mut writes: Vec<Write> = evicted.filter(|gone| gone.unwritten).map(|gone| gone.event).into_iter().collect();
        if fresh {
            writes.push(running.event.clone());
            return writes;
        }
        running.last = at;
        match &mut running.event.series {
            Some(series) => {
                series.count = series.count.saturating_add(1);
                series.last_observed_time = MicroTime(at);
                running.unwritten = true;
            }
            series => {
                *series = Some(EventSeries { count: 2, last_observed_time: MicroTime(at) });
                writes.push(running.event.clone());
            }
        }
        writes
    }

    /// Every series, to be written so that none expires.
    pub(crate) fn refresh(&mut self) -> Vec<Write> {
        self.those(|running| running.event.series.is_some())
    }

    /// Every series with a count that no write has shown.
    pub(crate) fn unwritten(&mut self) -> Vec<Write> {
        self.those(|running| running.unwritten)
    }

    /// Every series that has ended, to be written a last time and then given to [`Self::forget`]. Forgets by itself
    /// what happened once: the next one is a new Event.
    pub(crate) fn finish(&mut self, now: Timestamp) -> Vec<Write> {
        let silent = |running: &Running| now.duration_since(running.last) > FINISHED;
        self.running.retain(|running| running.event.series.is_some() || !silent(running));
        self.those(silent)
    }

    fn those(&mut self, wanted: impl Fn(&Running) -> bool) -> Vec<Write> {
        let running = self.running.values_mut().into_iter();
        running.filter(|running| wanted(running)).map(|running| running.event.clone()).collect()
    }

    /// The API has answered to these: what comes later has not been written.
    pub(crate) fn written(&mut self, writes: &[&Write]) {
        let names = names_of(writes);
        for running in self.running.values_mut() {
            running.unwritten &= !names.contains(&running.event.metadata.name);
        }
    }

    /// These have been written for the last time.
    pub(crate) fn forget(&mut self, writes: &[&Write]) {
        let names = names_of(writes);
        self.running.retain(|running| !names.contains(&running.event.metadata.name));
    }
}

/// Names are unique within one recorder.
fn names_of<'a>(writes: &[&'a Write]) -> HashSet<&'a Option<String>> {
    writes.iter().map(|write| &write.metadata.name).collect()
}

fn event(names: &mut Names, source: &Source, report: Report) -> Event {
    let namespace = report.regarding.namespace.clone().filter(|namespace| !namespace.is_empty());
    let name = names.next(report.regarding.name.as_deref().unwrap_or_default(), report.at);
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(namespace.unwrap_or_else(|| "default".to_owned())),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(report.at)),
        reporting_controller: Some(source.controller.to_owned()),
        reporting_instance: Some(source.instance.clone()),
        action: Some(report.action.to_owned()),
        reason: Some(report.reason.to_owned()),
        regarding: Some(report.regarding),
        related: report.related,
        note: Some(shortened(report.note)),
        type_: Some(report.severity.to_owned()),
        ..Event::default()
    }
}

fn key(report: &Report) -> Key {
    let objects = (reference(&report.regarding), report.related.as_ref().map(reference));
    (report.severity, report.action, report.reason, objects.0, objects.1)
}

fn reference(object: &ObjectReference) -> Reference {
    [
        object.kind.clone(),
        object.namespace.clone(),
        object.name.clone(),
        object.uid.clone(),
        object.api_version.clone(),
        object.resource_version.clone(),
        object.field_path.clone(),
    ]
}

/// Upstream sends longer notes as they are, and the API refuses them: the beginning is better than nothing.
fn shortened(mut note: String) -> String {
    const MARK: &str = "...";
    if note.len() > NOTE_LIMIT {
        let end = note.floor_char_boundary(NOTE_LIMIT - MARK.len());
        note.truncate(end);
        note.push_str(MARK);
    }
    note
}

#[cfg(test)]
mod tests;
