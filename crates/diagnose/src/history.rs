//! The events around a Service, as a witness that may have forgotten.
//!
//! Upstream: client-go `tools/record` (spam filter, aggregation); apiserver `--event-ttl`, one hour by default. The
//! recorder of core/v1 lets [`BURST`] events through at once and then one in [`REFILL`], for each source and object, and
//! since 1.32 for each type too; a dropped event is counted all the same, and the next one that passes shows the true
//! count. Ten different texts of one reason within ten minutes become one event that shows the newest text. The recorder of
//! events.k8s.io has neither rule.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, Unit};
use k8s_openapi::api::core::v1::Event;

use crate::{Evidence, Index, Words, words::words};

/// How long an API server keeps events by default, in seconds.
const LIFETIME: i64 = 3600;
/// Events of one source about one object before its recorder starts to drop.
const BURST: i64 = 25;
/// Seconds until one more is let through.
const REFILL: i64 = 300;
/// How an aggregated event's text begins.
const COMBINED: &str = "(combined from similar events)";
/// The first minor version of Kubernetes whose recorders count Normal and Warning events apart.
const APART_SINCE: u32 = 32;

/// The events about one object, newest last.
pub(crate) struct History<'a> {
    events: Vec<&'a Event>,
    /// Normal and Warning events have limits of their own.
    apart: bool,
}

/// A source whose limit about this object is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exhausted {
    /// The source, such as `service-controller`.
    pub(crate) source: String,
    /// The type that has a limit of its own; `None` if all types share one.
    pub(crate) type_: Option<String>,
    /// Events that it is known to have sent.
    pub(crate) seen: i64,
    /// Seconds in which it sent them.
    pub(crate) within: i64,
    /// When the newest of them was let through.
    pub(crate) last: Timestamp,
}

impl Exhausted {
    /// When the next event is let through.
    pub(crate) fn next(&self) -> Timestamp {
        later(self.last, REFILL)
    }

    /// When the recorder has forgotten all of it.
    fn forgiven(&self) -> Timestamp {
        later(self.last, REFILL * BURST)
    }

    fn words(&self) -> Words {
        let Self { source, seen, within, .. } = self;
        let (kind, next, forgiven) =
            (self.type_.as_deref().map_or(String::new(), |type_| format!("{type_} ")), self.next(), self.forgiven());
        words!(
            "{source} sent {seen} {kind}events about it within {within} s; its recorder lets 25 through at once and then one in 5 minutes: what it said until {next} may be missing, and until {forgiven} events stay rare",
            "{source} 在 {within} 秒内发出了 {seen} 条 {kind}事件；记录器先放行 25 条，之后每 5 分钟 1 条：{next} 之前的事件可能缺失，直到 {forgiven} 之前事件都会偏少"
        )
    }
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
        let apart = index.snapshot.minor().is_none_or(|minor| minor >= APART_SINCE);
        Self { events, apart }
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

    /// Sources that have used up what their recorder lets through about this object.
    pub(crate) fn exhausted(&self) -> Vec<Exhausted> {
        let mut groups: BTreeMap<(&str, &str, Option<&str>), Vec<&Event>> = BTreeMap::new();
        for event in self.events.iter().copied().filter(|event| is_limited(event)) {
            let source = event.source.as_ref();
            let component = source.and_then(|source| source.component.as_deref()).unwrap_or_default();
            let host = source.and_then(|source| source.host.as_deref()).unwrap_or_default();
            let type_ = event.type_.as_deref().filter(|_| self.apart);
            groups.entry((component, host, type_)).or_default().push(event);
        }
        groups.into_iter().filter_map(|((source, _, type_), events)| exhausted(source, type_, &events)).collect()
    }

    /// Whether events of this type are likely to have been dropped.
    pub(crate) fn hides(&self, type_: &str) -> bool {
        self.exhausted().iter().any(|limit| limit.type_.as_deref().is_none_or(|limited| limited == type_))
    }

    /// Whether the recorder is likely to have dropped or merged events about this object.
    pub(crate) fn suppressed(&self) -> bool {
        self.merged().next().is_some() || !self.exhausted().is_empty()
    }

    /// Events that stand for several with different texts.
    fn merged(&self) -> impl Iterator<Item = &'a Event> {
        self.events.iter().copied().filter(|event| message(event).starts_with(COMBINED))
    }

    /// What may be missing, and until when.
    pub(crate) fn gaps(&self) -> Vec<Words> {
        let merged = self.merged().map(|event| {
            let (reason, count) = (event.reason.clone().unwrap_or_default(), count(event));
            words!(
                "{count} events {reason} with different texts were merged into one that shows only the newest text",
                "{count} 条文字不同的 {reason} 事件被合并为一条，只显示最新的文字"
            )
        });
        self.exhausted().iter().map(Exhausted::words).chain(merged).collect()
    }
}

/// Whether the recorder of the event has the two rules.
fn is_limited(event: &Event) -> bool {
    event.event_time.is_none()
}

/// Whether these events, all under one limit, have used it up when the last one came.
fn exhausted(source: &str, type_: Option<&str>, events: &[&Event]) -> Option<Exhausted> {
    let seen: i64 = events.iter().map(|event| i64::from(count(event))).sum();
    let first = events.iter().filter_map(|event| first_seen(event)).min()?;
    let last = events.iter().filter_map(|event| last_seen(event)).max()?;
    let within = seconds_between(first, last).max(0);
    (seen >= BURST + within / REFILL).then(|| Exhausted {
        source: source.to_owned(),
        type_: type_.map(str::to_owned),
        seen,
        within,
        last,
    })
}

/// Whether events from the birth of an object this old may have expired.
pub(crate) fn expired(age_seconds: i64) -> bool {
    age_seconds > LIFETIME
}

/// When the event was first seen.
pub(crate) fn first_seen(event: &Event) -> Option<Timestamp> {
    let first = event.first_timestamp.as_ref().map(|time| time.0);
    first
        .or(event.event_time.as_ref().map(|time| time.0))
        .or(event.metadata.creation_timestamp.as_ref().map(|time| time.0))
        .or_else(|| last_seen(event))
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

/// How often it happened.
pub(crate) fn count(event: &Event) -> i32 {
    let series = event.series.as_ref().and_then(|series| series.count);
    event.count.into_iter().chain(series).max().unwrap_or(1).max(1)
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

/// `seconds` after `time`, in whole seconds.
fn later(time: Timestamp, seconds: i64) -> Timestamp {
    let later = time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
    later.round(Unit::Second).unwrap_or(later)
}
