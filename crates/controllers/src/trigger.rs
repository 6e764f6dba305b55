//! When did the change happen that a write answers? The time goes into an annotation, from which the latency of the
//! whole chain is measured. Upstream: `endpointslice/trigger/trigger_tracker.go`.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use portolan_objects::ObjectKey;

use crate::backends::{Pod, pod};

/// When the pods of each Service had last changed their readiness, as of the last sync of that Service.
#[derive(Debug, Default)]
pub(crate) struct Triggers {
    services: HashMap<ObjectKey, State>,
}

/// What the last sync saw: the pods themselves, which the index holds anyway.
#[derive(Debug)]
struct State {
    service: Option<Timestamp>,
    pods: Vec<Arc<Pod>>,
}

impl Triggers {
    /// The time to write for this sync, and remembers what it has seen. The first sync of a Service answers its
    /// creation; later ones the earliest change since the last sync, if any is known. `pods` are sorted by name.
    pub(crate) fn sync(&mut self, key: &ObjectKey, service: &Service, pods: &[Arc<Pod>]) -> Option<Timestamp> {
        let created = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let state = State { service: created, pods: pods.to_vec() };
        match self.services.insert(key.clone(), state) {
            None => created,
            Some(before) => {
                let recreated = created.filter(|_| created > before.service);
                moved(&before.pods, pods).chain(recreated).min()
            }
        }
    }

    /// The Service is gone.
    pub(crate) fn forget(&mut self, key: &ObjectKey) {
        self.services.remove(key);
    }
}

/// The times that are later than they were, or of pods that were not there. Both sides are sorted by name.
fn moved<'a>(before: &'a [Arc<Pod>], now: &'a [Arc<Pod>]) -> impl Iterator<Item = Timestamp> + 'a {
    let mut before = before.iter().peekable();
    now.iter().filter_map(move |pod| {
        let then = loop {
            match before.peek().map(|old| old.name.cmp(&pod.name)) {
                Some(Ordering::Less) => drop(before.next()),
                Some(Ordering::Equal) => break before.next(),
                Some(Ordering::Greater) | None => break None,
            }
        };
        if then.is_some_and(|old| Arc::ptr_eq(old, pod)) {
            return None;
        }
        let then = then.and_then(|old| pod::ready_changed(old));
        pod::ready_changed(pod).filter(|time| then.is_none_or(|then| *time > then))
    })
}

/// The annotation's text: RFC 3339 with nanoseconds where there are any.
pub(crate) fn annotation(time: Timestamp) -> String {
    time.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn pods(changes: &[(&str, &str)]) -> Vec<Arc<Pod>> {
        let pod = |(name, time): &(&str, &str)| {
            let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": time});
            let body = json!({"metadata": {"name": name}, "status": {"conditions": [ready]}});
            Arc::new(serde_json::from_value::<Pod>(body).unwrap())
        };
        changes.iter().map(pod).collect()
    }

    #[test]
    fn the_first_sync_answers_the_creation_and_later_ones_the_earliest_change() {
        let key = ObjectKey::new("shop", "web");
        let service: Service =
            serde_json::from_value(json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}})).unwrap();
        let mut triggers = Triggers::default();
        let mut sync = |changes: &[(&str, &str)]| {
            triggers.sync(&key, &service, &pods(changes)).map(annotation).unwrap_or_default()
        };
        let (one, two, three) = ("2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z", "2026-01-01T00:00:03Z");
        assert_eq!(sync(&[("a", one)]), "2026-01-01T00:00:00Z");
        assert_eq!(sync(&[("a", one)]), "", "nothing has moved");
        assert_eq!(sync(&[("a", three), ("b", two)]), two, "the earliest of what has moved");
        assert_eq!(sync(&[("b", two)]), "", "a pod that went away has no time");
        assert_eq!(sync(&[("b", one)]), "", "times only move forward");
        assert_eq!(sync(&[("a", two), ("b", one), ("c", three)]), two, "those that are new count, first and last");
        assert_eq!(sync(&[("b", three), ("c", three)]), three, "whatever stands before it");
    }
}
