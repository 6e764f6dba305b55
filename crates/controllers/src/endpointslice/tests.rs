//! What the tests of this module share: objects as a watch delivers them, and an API that takes plans.
#![allow(clippy::unwrap_used)]

mod timing;

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use portolan_objects::{Family, ObjectKey};
use portolan_runtime::Change;
use serde_json::{Value, json};

use super::{
    Input,
    apply::Written,
    index::Index,
    metrics::Metrics,
    nodes::Node,
    pace::Pace,
    plan::SlicePlan,
    slice::{Endpoint, Slice},
};
use crate::{
    backends::{Pod, Watched, watched::Facts},
    batch::Batch,
};

/// The Service that most tests are about.
pub(super) fn web() -> ObjectKey {
    ObjectKey::new("shop", "web")
}

/// A Service `web` on port 80 that leads to the port named `http`; `changes` are set at JSON pointers.
pub(super) fn service(changes: &[(&str, Value)]) -> Value {
    let body = json!({
        "metadata": {
            "namespace": "shop", "name": "web", "uid": "uid-web", "labels": {"team": "a"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "ipFamilies": ["IPv4"], "clusterIP": "10.96.0.9", "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    });
    changed(body, changes)
}

/// A ready pod of `web` on node-1 that serves `http` on 8080, under the addresses 10.244.0.n and fd00::n.
pub(super) fn pod(number: u8, changes: &[(&str, Value)]) -> Value {
    let (v4, v6) = (format!("10.244.0.{number}"), format!("fd00::{number:x}"));
    let body = json!({
        "metadata": {
            "namespace": "shop", "name": format!("web-{number:03}"), "uid": format!("uid-{number}"),
            "labels": {"app": "web"},
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "a", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {
            "phase": "Running", "podIP": v4, "podIPs": [{"ip": v4}, {"ip": v6}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}],
        },
    });
    changed(body, changes)
}

pub(super) fn not_ready() -> (&'static str, Value) {
    ("/status/conditions", json!([{"type": "Ready", "status": "False"}]))
}

pub(super) fn on(node: &str) -> (&'static str, Value) {
    ("/spec/nodeName", json!(node))
}

/// A ready node with so much CPU.
pub(super) fn node(name: &str, zone: &str, cpu: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
        "status": {"allocatable": {"cpu": cpu}, "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// Sets values at JSON pointers; null takes away.
pub(super) fn changed(mut body: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/");
        let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => drop(parent.remove(&key)),
            value => drop(parent.insert(key, value.clone())),
        }
    }
    body
}

pub(super) fn seen<F: Facts>(body: &Value) -> Watched<F> {
    serde_json::from_value(body.clone()).unwrap()
}

/// A controller without its loop, and the API server that it talks to.
pub(super) struct Fixture {
    pub(super) index: Index,
    /// The slices that exist, by name, as JSON.
    pub(super) slices: BTreeMap<String, Value>,
    pub(super) revision: u64,
}

impl Fixture {
    /// With node-1 in zone `a` and node-2 in zone `b`.
    pub(super) fn new() -> Self {
        Self::with_max(100)
    }

    pub(super) fn with_max(max: usize) -> Self {
        let (by_pods, _) = Pace::new(std::time::Duration::ZERO);
        let (by_slices, _) = Batch::new(std::time::Duration::ZERO);
        let index = Index::new(by_pods, by_slices, Metrics::default(), max);
        let mut fixture = Self { index, slices: BTreeMap::new(), revision: 0 };
        fixture.nodes(&[node("node-1", "a", "4"), node("node-2", "b", "4")]);
        fixture.take(Input::Slice(Box::new(Change::Reset(Vec::new()))));
        fixture
    }

    pub(super) fn take(&mut self, input: Input) -> Vec<ObjectKey> {
        let mut dirty = Vec::new();
        self.index.take(input, &mut dirty);
        dirty.sort();
        dirty.dedup();
        dirty
    }

    pub(super) fn nodes(&mut self, nodes: &[Value]) -> Vec<ObjectKey> {
        self.take(Input::Node(Box::new(Change::Reset(nodes.iter().map(seen::<Node>).collect()))))
    }

    pub(super) fn service(&mut self, service: &Value) -> Vec<ObjectKey> {
        self.take(Input::Service(Box::new(Change::Apply(seen::<Service>(service)))))
    }

    pub(super) fn no_service(&mut self) -> Vec<ObjectKey> {
        self.take(Input::Service(Box::new(Change::Reset(Vec::new()))))
    }

    /// The complete set of pods.
    pub(super) fn pods(&mut self, pods: &[Value]) -> Vec<ObjectKey> {
        self.take(Input::Pod(Box::new(Change::Reset(pods.iter().map(|pod| seen::<Pod>(pod).facts).collect()))))
    }

    /// Somebody else writes a slice, and the watch shows it.
    pub(super) fn write(&mut self, slice: Value) -> Vec<ObjectKey> {
        let slice = self.store(slice);
        self.show(&slice)
    }

    /// The watch shows a slice.
    pub(super) fn show(&mut self, slice: &Value) -> Vec<ObjectKey> {
        self.take(Input::Slice(Box::new(Change::Apply(seen(slice)))))
    }

    /// Somebody else deletes a slice, and the watch shows it.
    pub(super) fn delete(&mut self, name: &str) -> Vec<ObjectKey> {
        let mut slice = self.slices.remove(name).unwrap();
        self.revision += 1;
        slice["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.take(Input::Slice(Box::new(Change::Delete(seen(&slice)))))
    }

    pub(super) fn plan(&mut self) -> Option<SlicePlan> {
        self.index.plan(&web())
    }

    /// Plans, writes, and says what was done in short: created, updated, deleted.
    pub(super) fn sync(&mut self) -> String {
        let Some(plan) = self.plan() else { return "nothing".to_owned() };
        self.apply(&plan);
        let count = |of: fn(&super::plan::FamilyPlan) -> usize| plan.families.iter().map(of).sum::<usize>();
        let deletes = count(|family| family.deletes.len()) + plan.unwanted.len();
        format!("+{} ~{} -{deletes}", count(|family| family.creates.len()), count(|family| family.updates.len()))
    }

    /// Writes a plan as the API server would, and gives the answers to the index.
    pub(super) fn apply(&mut self, plan: &SlicePlan) {
        let mut written = Written::default();
        for family in &plan.families {
            for slice in family.creates.iter().chain(&family.updates) {
                let answer = self.store(serde_json::to_value(slice.to_api()).unwrap());
                written.written.push(seen::<Slice>(&answer).facts);
            }
            written.deleted.extend(family.deletes.iter().cloned());
        }
        written.deleted.extend(plan.unwanted.iter().cloned());
        for slice in &written.deleted {
            self.slices.remove(slice.name()).unwrap();
        }
        self.index.wrote(written);
    }

    fn store(&mut self, mut slice: Value) -> Value {
        self.revision += 1;
        let metadata = slice["metadata"].as_object_mut().unwrap();
        if metadata.get("name").is_none() {
            let prefix = metadata["generateName"].as_str().unwrap();
            metadata.insert("name".into(), json!(format!("{prefix}{:05}", self.revision)));
        }
        let name = metadata["name"].as_str().unwrap().to_owned();
        let (mut uid, mut generation) = (json!(format!("uid-{name}-{}", self.revision)), 1);
        if let Some(old) = self.slices.get(&name) {
            assert_eq!(old["addressType"], slice["addressType"], "the API does not allow this");
            uid = old["metadata"]["uid"].clone();
            let given = slice["metadata"].get("uid");
            assert!(given.is_none_or(|given| *given == uid), "not the slice that was meant");
            let same = ["endpoints", "ports"].iter().all(|key| old[*key] == slice[*key]);
            generation = old["metadata"]["generation"].as_i64().unwrap() + i64::from(!same);
        }
        slice["metadata"]["uid"] = uid;
        slice["metadata"]["generation"] = json!(generation);
        slice["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        // What is stored has been through the API's own type.
        let stored: EndpointSlice = serde_json::from_value(slice).unwrap();
        let stored = serde_json::to_value(stored).unwrap();
        self.slices.insert(name, stored.clone());
        stored
    }

    /// The slices of a family, in order of name.
    pub(super) fn of(&self, family: Family) -> Vec<Slice> {
        let slices = self.slices.values().map(|slice| seen::<Slice>(slice).facts);
        slices.filter(|slice| slice.family == Some(family)).collect()
    }

    /// The only slice.
    pub(super) fn only(&self) -> Value {
        assert_eq!(self.slices.len(), 1, "{:#?}", self.slices);
        self.slices.values().next().unwrap().clone()
    }

    /// One line for each slice, sorted: `family [ports] endpoints`, with r, s, t for the conditions that are true and
    /// the hints behind a colon.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.slices.values().map(|slice| line(&seen::<Slice>(slice).facts)).collect();
        lines.sort();
        lines
    }
}

fn line(slice: &Slice) -> String {
    let ports: Vec<String> = slice.ports.iter().map(|port| port.number.unwrap_or_default().to_string()).collect();
    let mut endpoints: Vec<String> = slice.endpoints.iter().map(short).collect();
    endpoints.sort();
    let all = endpoints.into_iter().map(|endpoint| format!(" {endpoint}")).collect::<String>();
    format!("{} [{}]{all}", slice.family.unwrap(), ports.join(","))
}

/// `1rs-:a/node-1`: the pod's number, its conditions, its hints.
pub(super) fn short(endpoint: &Endpoint) -> String {
    let number = endpoint.pod.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_start_matches('0');
    let flag = |set: Option<bool>, letter| if set.unwrap() { letter } else { "-" };
    let conditions = endpoint.conditions;
    let hints =
        endpoint.hints.as_deref().map(|hints| format!(":{}", [hints.zones.join("+"), hints.nodes.join("+")].join("/")));
    format!(
        "{number}{}{}{}{}",
        flag(conditions.ready, "r"),
        flag(conditions.serving, "s"),
        flag(conditions.terminating, "t"),
        hints.unwrap_or_default().trim_end_matches('/'),
    )
}

/// Everything that is wanted is there once, in slices that are not too full, and a placeholder stands alone.
pub(super) fn check(fixture: &Fixture, families: &[Family], wanted: usize, max: usize) {
    for family in families {
        let slices = fixture.of(*family);
        assert!(!slices.is_empty(), "{family} has no slice");
        assert!(slices.iter().all(|slice| slice.endpoints.len() <= max), "too full");
        let mut pods: Vec<_> = slices.iter().flat_map(|slice| &slice.endpoints).map(|e| e.pod.clone()).collect();
        pods.sort();
        let all = pods.len();
        pods.dedup();
        assert_eq!((pods.len(), all), (wanted, wanted), "none is missing, none is there twice");
    }
    let all: usize = fixture.slices.len();
    let own: usize = families.iter().map(|family| fixture.of(*family).len()).sum();
    assert_eq!(all, own, "no slice of another family");
}

/// Keeps the type of a shared slice in one place.
pub(super) type Shared = Arc<Slice>;
