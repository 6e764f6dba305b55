//! What happened around a Service, in order: events of the Service, its slices, pods and nodes, with the changes that the
//! objects themselves remember between them.
//!
//! Events are a lossy witness. One that was counted shows where it was first and last seen; where the recorder's limits
//! have probably hidden some, the timeline says so instead of looking complete.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::{
    Metadata,
    api::core::v1::{ContainerStatus, Event, Node, Pod},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use portolan_objects::{ObjectKey, pod};
use serde::Serialize;

use crate::{
    Ask, Index, Words,
    history::{History, count, first_seen, last_seen, message},
    view::{View, containers, name},
    words::words,
};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Entry {
    /// When.
    pub time: Timestamp,
    /// On what, as `KIND/NAME`.
    pub object: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum What {
    /// Somebody said something.
    Event {
        /// `Normal` or `Warning`.
        #[serde(rename = "type")]
        type_: String,
        /// The reason.
        reason: String,
        /// Who said it.
        from: String,
        /// The text.
        message: String,
        /// How often it had been said by then.
        count: i32,
    },
    /// An object changed.
    Change {
        /// How.
        text: Words,
    },
    /// Events are missing here.
    Gap {
        /// Why.
        text: Words,
    },
}

/// Everything about the Service, in order; `None` if there is no such Service.
pub fn of_service(index: &Index<'_>, key: &ObjectKey) -> Option<Vec<Entry>> {
    let service = index.service(key)?;
    let ask = Ask::default();
    let view = View::new(index, key.clone(), service, &ask);
    let mut timeline = Timeline { entries: Vec::new() };
    timeline.life(&view.object(), &service.metadata);
    timeline.history(&view.object(), &view.history);
    for slice in view.slices {
        let object = format!("endpointslice/{}", name(*slice));
        timeline.life(&object, &slice.metadata);
        timeline.history(&object, &History::of(index, "EndpointSlice", view.namespace(), name(*slice), None));
    }
    timeline.history(
        &format!("endpoints/{}", key.name),
        &History::of(index, "Endpoints", view.namespace(), view.name(), None),
    );
    for pod in &view.selected {
        timeline.pod(pod);
        timeline.history(&format!("pod/{}", name(*pod)), &view.pod_history(pod));
    }
    let nodes: BTreeSet<&str> = view.selected.iter().filter_map(|pod| pod::node(pod)).collect();
    for node in nodes.into_iter().filter_map(|node| index.node(node)) {
        timeline.node(node);
        // Events about nodes lie in the default namespace, and involve an object without one.
        timeline.history(&format!("node/{}", name(node)), &History::of(index, "Node", "", name(node), None));
    }
    timeline.entries.sort();
    timeline.entries.dedup();
    Some(timeline.entries)
}

/// All events of the snapshot that `wanted` accepts, in order.
pub fn of_events(index: &Index<'_>, wanted: impl Fn(&Event) -> bool) -> Vec<Entry> {
    let mut timeline = Timeline { entries: Vec::new() };
    for event in index.snapshot.events.iter().filter(|event| wanted(event)) {
        let object = &event.involved_object;
        let kind = object.kind.as_deref().unwrap_or_default().to_ascii_lowercase();
        timeline.event(&format!("{kind}/{}", object.name.as_deref().unwrap_or_default()), event);
    }
    timeline.entries.sort();
    timeline.entries
}

struct Timeline {
    entries: Vec<Entry>,
}

impl Timeline {
    fn add(&mut self, time: Option<Timestamp>, object: &str, what: What) {
        self.entries.extend(time.map(|time| Entry { time, object: object.to_owned(), what }));
    }

    fn change(&mut self, time: Option<&Time>, object: &str, text: Words) {
        self.add(time.map(|time| time.0), object, What::Change { text });
    }

    /// Birth, the last edit that left its time, and the wish that it should go.
    fn life(&mut self, object: &str, metadata: &ObjectMeta) {
        self.change(metadata.creation_timestamp.as_ref(), object, words!("created", "已创建"));
        for entry in metadata.managed_fields.iter().flatten() {
            let who = entry.manager.as_deref().unwrap_or("?");
            if entry.time != metadata.creation_timestamp {
                self.change(entry.time.as_ref(), object, words!("changed by {who}", "被 {who} 修改"));
            }
        }
        self.change(metadata.deletion_timestamp.as_ref(), object, words!("is to be gone", "应在此时删除完成"));
    }

    fn pod(&mut self, pod: &Pod) {
        let object = format!("pod/{}", name(pod));
        self.life(&object, &pod.metadata);
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        for condition in conditions.into_iter().flatten() {
            let (kind, status) = (&condition.type_, &condition.status);
            let why = condition.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            self.change(
                condition.last_transition_time.as_ref(),
                &object,
                words!("{kind} is {status}{why}", "{kind} 变为 {status}{why}"),
            );
        }
        containers(pod).for_each(|status| self.container(&object, status));
    }

    fn container(&mut self, object: &str, status: &ContainerStatus) {
        let container = &status.name;
        for state in [&status.state, &status.last_state].into_iter().flatten() {
            if let Some(running) = &state.running {
                self.change(
                    running.started_at.as_ref(),
                    object,
                    words!("container {container} started", "容器 {container} 已启动"),
                );
            }
            if let Some(ended) = &state.terminated {
                let (code, why) = (ended.exit_code, ended.reason.as_deref().unwrap_or("?"));
                self.change(
                    ended.finished_at.as_ref(),
                    object,
                    words!(
                        "container {container} ended: {why}, exit code {code}",
                        "容器 {container} 已结束：{why}，退出码 {code}"
                    ),
                );
            }
        }
    }

    fn node(&mut self, node: &Node) {
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
        let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
        if let Some(ready) = ready {
            let status = &ready.status;
            self.change(
                ready.last_transition_time.as_ref(),
                &format!("node/{}", node.metadata().name.as_deref().unwrap_or_default()),
                words!("Ready is {status}", "Ready 变为 {status}"),
            );
        }
    }

    fn history(&mut self, object: &str, history: &History<'_>) {
        for event in history.all() {
            self.event(object, event);
        }
        let last = history.all().last().and_then(|event| last_seen(event));
        if history.suppressed() {
            self.add(
                last,
                object,
                What::Gap {
                    text: words!(
                        "the recorder's limits (25 at once, then one in 5 minutes; similar ones merged) have probably hidden events from here on",
                        "此后的事件可能已被记录器的限流（先 25 条，之后每 5 分钟 1 条；相似事件合并）隐藏"
                    ),
                },
            );
        }
    }

    /// Where it was first seen, and where last if it was counted.
    fn event(&mut self, object: &str, event: &Event) {
        let (first, last, total) = (first_seen(event), last_seen(event), count(event));
        let said = |count| What::Event {
            type_: event.type_.clone().unwrap_or_default(),
            reason: event.reason.clone().unwrap_or_default(),
            from: emitter(event),
            message: message(event).to_owned(),
            count,
        };
        if total > 1 && first != last {
            self.add(first, object, said(1));
        }
        self.add(last, object, said(total));
    }
}

fn emitter(event: &Event) -> String {
    let source = event.source.as_ref().and_then(|source| source.component.clone()).filter(|name| !name.is_empty());
    source.or_else(|| event.reporting_component.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::tests::fixture::Cluster;

    #[test]
    fn events_and_changes_come_in_order_and_counts_show_both_ends() {
        let cluster = Cluster::healthy()
            .event("Service", "web", "SyncLoadBalancerFailed", "Error syncing load balancer: busy", 600)
            .counted(7, 60)
            .event("Pod", "web-1", "Unhealthy", "Readiness probe failed: refused", 300)
            .event("Service", "other", "Ignored", "about another one", 200);
        let snapshot = cluster.snapshot();
        let timeline = of_service(&Index::new(&snapshot), &ObjectKey::new("default", "web")).unwrap();
        assert!(timeline.windows(2).all(|pair| pair[0].time <= pair[1].time), "{timeline:#?}");
        let events: Vec<(&str, i32)> = timeline
            .iter()
            .filter_map(|entry| match &entry.what {
                What::Event { reason, count, .. } => Some((reason.as_str(), *count)),
                _ => None,
            })
            .collect();
        assert_eq!(events, [("SyncLoadBalancerFailed", 1), ("Unhealthy", 1), ("SyncLoadBalancerFailed", 7)]);
        let changes = timeline.iter().filter(|entry| matches!(entry.what, What::Change { .. }));
        assert!(changes.clone().any(|entry| entry.object == "service/web"), "{timeline:#?}");
        assert!(changes.clone().any(|entry| entry.object == "pod/web-0"), "{timeline:#?}");
    }

    #[test]
    fn hidden_events_are_a_gap_not_silence() {
        let quiet = Cluster::healthy().event("Service", "web", "EnsuringLoadBalancer", "Ensuring load balancer", 60);
        let flood = quiet.clone().counted(40, 30);
        let gaps = |cluster: &Cluster| {
            let snapshot = cluster.snapshot();
            let timeline = of_service(&Index::new(&snapshot), &ObjectKey::new("default", "web")).unwrap();
            timeline.iter().filter(|entry| matches!(entry.what, What::Gap { .. })).count()
        };
        assert_eq!((gaps(&quiet), gaps(&flood)), (0, 1));
    }

    #[test]
    fn the_json_form_names_what_kind_of_entry_it_is() {
        let entry = Entry {
            time: "2026-07-01T12:00:00Z".parse().unwrap(),
            object: "service/web".into(),
            what: What::Change { text: words!("created", "已创建") },
        };
        let written = serde_json::to_value(&entry).unwrap();
        assert_eq!(written["kind"], json!("change"));
        assert_eq!(written["object"], json!("service/web"));
    }
}
