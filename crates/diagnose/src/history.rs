//! The events around a Service, as a witness that may have forgotten.
//! Upstream: client-go `tools/record` (spam filter, aggregation); apiserver `--event-ttl`, one hour by default.

use jiff::{Timestamp, Unit};
use k8s_openapi::api::core::v1::Event;

use crate::{Evidence, Index};

/// How long an API server keeps events by default, in seconds.
const LIFETIME: i64 = 3600;
/// Events of one source about one object and type before the recorder starts to drop.
const BURST: i64 = 25;
/// How an aggregated event's text begins.
const COMBINED: &str = "(combined from similar events)";

/// The events about one object, newest last.
pub(crate) struct History<'a> {
    events: Vec<&'a Event>,
}

impl<'a> History<'a> {
    /// The events about the object; those about an earlier one of the same name are left out.
    pub(crate) fn of(index: &Index<'a>, kind: &str, namespace: &str, name: &str, uid: Option<&str>) -> Self {
        let of_this_one = |event: &&Event| match (event.involved_object.uid.as_deref(), uid) {
            (Some(theirs), Some(ours)) if !theirs.is_empty() => theirs == ours,
            _ => true,
        };
        let all = index.events_of(kind, namespace, name).iter().copied();
        let mut events: Vec<&Event> = all.filter(of_this_one).collect();
        events.sort_by_key(|event| last_seen(event));
        Self { events }
    }

    /// All of them, newest last.
    pub(crate) fn all(&self) -> &[&'a Event] {
        &self.events
    }

    /// The newest event with one of these reasons.
    pub(crate) fn newest(&self, reasons: &[&str]) -> Option<&'a Event> {
        let named = |event: &&&Event| event.reason.as_deref().is_some_and(|reason| reasons.contains(&reason));
        self.events.iter().rev().find(named).copied()
    }

    /// The newest event whose text contains `part`.
    pub(crate) fn newest_saying(&self, part: &str) -> Option<&'a Event> {
        self.events.iter().rev().find(|event| message(event).contains(part)).copied()
    }

    /// Whether the recorder is likely to have dropped or merged events about this object.
    pub(crate) fn suppressed(&self) -> bool {
        let seen: i64 = self.events.iter().map(|event| i64::from(event.count.unwrap_or(1))).sum();
        seen >= BURST || self.events.iter().any(|event| message(event).starts_with(COMBINED))
    }
}

/// Whether events from the birth of an object this old may have expired.
pub(crate) fn expired(age_seconds: i64) -> bool {
    age_seconds > LIFETIME
}

/// When the event was last seen.
pub(crate) fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    series
        .map(|time| time.0)
        .or(event.last_timestamp.as_ref().map(|time| time.0))
        .or(event.event_time.as_ref().map(|time| time.0))
        .or(event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

/// When the event was first seen.
pub(crate) fn first_seen(event: &Event) -> Option<Timestamp> {
    event.first_timestamp.as_ref().map(|time| time.0).or(event.event_time.as_ref().map(|time| time.0)).or(event
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0))
}

/// How often it was said, at least.
pub(crate) fn count(event: &Event) -> i32 {
    event.count.or(event.series.as_ref().and_then(|series| series.count)).unwrap_or(1).max(1)
}

/// The event's text.
pub(crate) fn message(event: &Event) -> &str {
    event.message.as_deref().unwrap_or_default()
}

/// The event as evidence: its text, how often and how long ago.
pub(crate) fn evidence(event: &Event, now: Timestamp) -> Evidence {
    let kind = event.involved_object.kind.as_deref().unwrap_or_default().to_ascii_lowercase();
    let name = event.involved_object.name.as_deref().unwrap_or_default();
    let count = count(event);
    let times = if count > 1 { format!(" (x{count}") } else { " (once".to_owned() };
    let age = last_seen(event).map(|seen| format!(", {} ago", age(now, seen))).unwrap_or_default();
    let field = format!("event {}", event.reason.as_deref().unwrap_or_default());
    Evidence::new(format!("{kind}/{name}"), field, format!("{}{times}{age})", message(event)))
}

/// The time from `then` to `now` as kubectl writes it: `45s`, `12m`, `3h`, `2d`.
pub(crate) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = seconds_between(then, now).max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Whole seconds from `then` to `now`.
pub(crate) fn seconds_between(then: Timestamp, now: Timestamp) -> i64 {
    now.since((Unit::Second, then)).map_or(0, |span| span.get_seconds())
}
