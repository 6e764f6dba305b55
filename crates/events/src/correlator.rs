//! What becomes of a report: pure, the clock is in the report.
//!
//! Three stages in this order: similar reports are summed up (aggregate), equal ones are counted (observe), and an
//! object that causes too many is cut off (spam filter). A cut-off report has been counted before, so that the next
//! write shows the true count. Upstream: client-go `tools/record/events_cache.go`.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};

use crate::{lru::Lru, names::Names};

/// Objects, texts and buckets remembered in each stage.
const REMEMBERED: usize = 4096;
/// From this many different messages on, reports are summed up.
const SIMILAR_LIMIT: usize = 10;
/// Similar reports further apart than this have nothing to do with each other.
const SIMILAR: SignedDuration = SignedDuration::from_secs(600);
/// Writes that an object may cause in a row.
const BURST: i32 = 25;
/// After that, one write in this time.
const REFILL: SignedDuration = SignedDuration::from_secs(300);

/// What a part reports.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) regarding: ObjectReference,
    pub(crate) reason: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) message: String,
    pub(crate) at: Timestamp,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decision {
    /// Create this Event.
    Create(Event),
    /// Bring count, last time and message of the existing Event to these. If it is gone, create this one.
    Update(Event),
    /// Say nothing: the object causes too many Events.
    Filtered,
}

/// Who reports.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) component: &'static str,
    pub(crate) host: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Correlator {
    source: Source,
    similar: Lru<Kind, Similar>,
    seen: Lru<Text, Seen>,
    buckets: Lru<Object, Bucket>,
    names: Names,
}

/// An object as the reports name it. The source is one per correlator and needs no place here.
type Object = (Subject, &'static str);

/// The object without the field path: kind, namespace, name, UID, version.
type Subject = [Option<String>; 5];

/// Everything but message and field path.
type Kind = (Subject, &'static str, &'static str);

/// Everything that must be equal for two reports to be one Event: the last is empty for summaries.
type Text = (Kind, Option<String>, Option<String>);

#[derive(Debug, Default)]
struct Similar {
    messages: HashSet<String>,
    last: Option<Timestamp>,
}

#[derive(Debug)]
struct Seen {
    name: String,
    first: Timestamp,
    count: i32,
}

#[derive(Debug)]
struct Bucket {
    /// What the object may still cause, as the time that it takes to gain it.
    credit: SignedDuration,
    at: Timestamp,
}

impl Correlator {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            similar: Lru::new(REMEMBERED),
            seen: Lru::new(REMEMBERED),
            buckets: Lru::new(REMEMBERED),
            names: Names::default(),
        }
    }

    pub(crate) fn decide(&mut self, report: Report) -> Decision {
        let name = self.names.next(report.regarding.name.as_deref().unwrap_or_default(), report.at);
        let subject = subject(&report.regarding);
        let kind = (subject.clone(), report.severity, report.reason);
        let summary = self.is_similar(&kind, &report);
        let text = if summary {
            (kind, None, None)
        } else {
            (kind, report.regarding.field_path.clone(), Some(report.message.clone()))
        };
        let at = report.at;
        let (seen, _) = self.seen.entry(&text, || Seen { name, first: at, count: 0 });
        seen.count = seen.count.saturating_add(1);
        let event = event(&self.source, &report, seen, summary);
        let again = seen.count > 1;
        if !self.take_token((subject, report.severity), at) {
            return Decision::Filtered;
        }
        if again { Decision::Update(event) } else { Decision::Create(event) }
    }

    /// Whether the report has become one of too many that differ only in their message.
    fn is_similar(&mut self, kind: &Kind, report: &Report) -> bool {
        let (similar, _) = self.similar.entry(kind, Similar::default);
        if similar.last.is_some_and(|last| report.at.duration_since(last) > SIMILAR) {
            similar.messages.clear();
        }
        similar.last = Some(report.at);
        similar.messages.insert(report.message.clone());
        if similar.messages.len() < SIMILAR_LIMIT {
            return false;
        }
        // Stays at the limit: the memory per object is bounded. Upstream drops any one of them, chosen by chance, so
        // that with it a message may change between the summary and itself.
        similar.messages.remove(&report.message);
        true
    }

    fn take_token(&mut self, object: Object, at: Timestamp) -> bool {
        let (bucket, _) = self.buckets.entry(&object, || Bucket { credit: REFILL * BURST, at });
        let gained = at.duration_since(bucket.at).max(SignedDuration::ZERO);
        bucket.credit = bucket.credit.saturating_add(gained).min(REFILL * BURST);
        bucket.at = bucket.at.max(at);
        let allowed = bucket.credit >= REFILL;
        if allowed {
            bucket.credit -= REFILL;
        }
        allowed
    }
}

fn event(source: &Source, report: &Report, seen: &Seen, summary: bool) -> Event {
    let namespace = report.regarding.namespace.clone().filter(|namespace| !namespace.is_empty());
    let message =
        if summary { format!("(combined from similar events): {}", report.message) } else { report.message.clone() };
    let host = source.host.clone();
    Event {
        metadata: ObjectMeta {
            name: Some(seen.name.clone()),
            namespace: Some(namespace.unwrap_or_else(|| "default".to_owned())),
            ..ObjectMeta::default()
        },
        involved_object: report.regarding.clone(),
        reason: Some(report.reason.to_owned()),
        message: Some(message),
        type_: Some(report.severity.to_owned()),
        source: Some(EventSource { component: Some(source.component.to_owned()), host: host.clone() }),
        first_timestamp: Some(Time(seen.first)),
        last_timestamp: Some(Time(report.at)),
        count: Some(seen.count),
        // Summaries carry neither, upstream builds them anew without these fields.
        reporting_component: Some(if summary { String::new() } else { source.component.to_owned() }),
        reporting_instance: Some(host.filter(|_| !summary).unwrap_or_default()),
        ..Event::default()
    }
}

fn subject(regarding: &ObjectReference) -> Subject {
    [
        regarding.kind.clone(),
        regarding.namespace.clone(),
        regarding.name.clone(),
        regarding.uid.clone(),
        regarding.api_version.clone(),
    ]
}

#[cfg(test)]
mod tests;
